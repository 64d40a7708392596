//! From pixels to planes: the loop that every colour tile goes through, compiled for wide registers too.

use bytemuck::Pod;
use voxtile_sched::model::Dtype;

/// Takes the samples of pixels apart: `planes` receives all first samples, then all second ones, and so on.
/// `stride` is the distance between the planes in bytes.
pub(crate) fn split(dtype: Dtype, pixels: &[u8], samples: usize, planes: &mut [u8], stride: usize) {
    fn cast<T: Pod>(pixels: &[u8], samples: usize, planes: &mut [u8], stride: usize) {
        let stride = stride / size_of::<T>();
        split_as::<T>(bytemuck::cast_slice(pixels), samples, bytemuck::cast_slice_mut(planes), stride);
    }
    match dtype.size() {
        1 => cast::<u8>(pixels, samples, planes, stride),
        2 => cast::<u16>(pixels, samples, planes, stride),
        4 => cast::<u32>(pixels, samples, planes, stride),
        _ => cast::<u64>(pixels, samples, planes, stride),
    }
}

fn split_as<T: Pod>(pixels: &[T], samples: usize, planes: &mut [T], stride: usize) {
    let count = pixels.len() / samples;
    let mut rest = planes;
    let mut next = || {
        let at = stride.min(rest.len());
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(at);
        rest = tail;
        &mut head[..count]
    };
    match samples {
        2 => in_wide_registers([next(), next()], pixels),
        3 => in_wide_registers([next(), next(), next()], pixels),
        4 => in_wide_registers([next(), next(), next(), next()], pixels),
        _ => {
            for s in 0..samples {
                for (out, pixel) in next().iter_mut().zip(pixels.chunks_exact(samples)) {
                    *out = pixel[s];
                }
            }
        }
    }
}

#[inline(always)]
fn loops<T: Pod, const N: usize>(planes: [&mut [T]; N], pixels: &[T]) {
    let pixels = pixels.as_chunks::<N>().0;
    for (s, plane) in planes.into_iter().enumerate() {
        for (out, pixel) in plane.iter_mut().zip(pixels) {
            *out = pixel[s];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn loops_avx2<T: Pod, const N: usize>(planes: [&mut [T]; N], pixels: &[T]) {
    loops(planes, pixels);
}

fn in_wide_registers<T: Pod, const N: usize>(planes: [&mut [T]; N], pixels: &[T]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { loops_avx2(planes, pixels) };
    }
    loops(planes, pixels);
}
