//! Arithmetic on decoded bytes: byte order, odd bit depths, predictors, planes to pixels.

use bytemuck::Pod;
use voxtile_sched::model::Dtype;

/// Whole numbers of 1 to 63 bits, most significant bit first and rows starting at whole bytes, as numbers of `size`
/// bytes. `row` is the number of samples in a row. That is so for 24 bits in little-endian files too, as tifffile has
/// it.
pub(super) fn unpack(packed: &[u8], bits: u64, row: usize, out: &mut [u8], size: usize) {
    let row_bytes = (row as u64 * bits).div_ceil(8) as usize;
    for (packed, out) in packed.chunks_exact(row_bytes).zip(out.chunks_exact_mut(row * size)) {
        let (mut held, mut count) = (0u128, 0u64);
        let mut bytes = packed.iter();
        for out in out.chunks_exact_mut(size) {
            while count < bits {
                held = held << 8 | u128::from(bytes.next().copied().unwrap_or(0));
                count += 8;
            }
            count -= bits;
            let value = (held >> count) as u64 & ((1 << bits) - 1);
            match size {
                1 => out[0] = value as u8,
                2 => out.copy_from_slice(&(value as u16).to_ne_bytes()),
                4 => out.copy_from_slice(&(value as u32).to_ne_bytes()),
                _ => out.copy_from_slice(&value.to_ne_bytes()),
            }
        }
    }
}

/// Keeps the low `bits` of each sample; those of signed types bring their sign.
pub(super) fn extend(bits: u64, samples: &mut [u8], dtype: Dtype) {
    macro_rules! each {
        ($($dtype:ident $t:ty),*) => {
            match dtype {
                $(Dtype::$dtype => {
                    let shift = <$t>::BITS - bits as u32;
                    for v in bytemuck::cast_slice_mut::<u8, $t>(samples) {
                        *v = *v << shift >> shift;
                    }
                })*
                Dtype::F32 | Dtype::F64 => {}
            }
        };
    }
    each!(U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, U64 u64, I64 i64);
}

macro_rules! by_size {
    ($size:expr, $T:ident => $body:expr) => {
        match $size {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}

/// Wrapping addition and subtraction of samples as whole numbers.
trait Wrap: Pod {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
}

macro_rules! wrap {
    ($($t:ty)*) => { $(impl Wrap for $t {
        #[inline(always)]
        fn add(self, other: Self) -> Self { self.wrapping_add(other) }
        #[inline(always)]
        fn sub(self, other: Self) -> Self { self.wrapping_sub(other) }
    })* };
}
wrap!(u8 u16 u32 u64);

/// Replaces samples by their running sums. Two rows at a time: each sum waits for the one before it, those of the other row do
/// not.
fn running<T: Wrap>(rows: &mut [T], row: usize) {
    for pair in rows.chunks_mut(2 * row) {
        let (upper, lower) = pair.split_at_mut(row.min(pair.len()));
        let (mut up, mut low) = (T::zeroed(), T::zeroed());
        if lower.is_empty() {
            for v in upper {
                up = up.add(*v);
                *v = up;
            }
            continue;
        }
        for (u, l) in upper.iter_mut().zip(lower) {
            (up, low) = (up.add(*u), low.add(*l));
            (*u, *l) = (up, low);
        }
    }
}

/// Undoes the horizontal predictor on rows of `row` samples, `samples` of them per pixel.
pub(super) fn undo_horizontal(size: usize, bytes: &mut [u8], row: usize, samples: usize) {
    fn sums<T: Wrap, const N: usize>(row: &mut [T]) {
        let mut sum = [T::zeroed(); N];
        for pixel in row.as_chunks_mut::<N>().0 {
            for (sum, v) in sum.iter_mut().zip(pixel) {
                *sum = sum.add(*v);
                *v = *sum;
            }
        }
    }
    by_size!(size, T => {
        let all = bytemuck::cast_slice_mut::<u8, T>(bytes);
        if samples == 1 {
            return running::<T>(all, row);
        }
        for row in all.chunks_exact_mut(row) {
            match samples {
                2 => sums::<T, 2>(row),
                3 => sums::<T, 3>(row),
                4 => sums::<T, 4>(row),
                _ => {
                    for i in samples..row.len() {
                        row[i] = row[i].add(row[i - samples]);
                    }
                }
            }
        }
    });
}

/// Replaces samples by their difference to the pixel on the left.
pub(super) fn horizontal(size: usize, bytes: &mut [u8], row: usize, samples: usize) {
    by_size!(size, T => {
        for row in bytemuck::cast_slice_mut::<u8, T>(bytes).chunks_exact_mut(row) {
            for i in (samples..row.len()).rev() {
                row[i] = row[i].sub(row[i - samples]);
            }
        }
    });
}

/// Undoes the floating-point predictor on rows of `row` samples; `scratch` holds one row.
pub(super) fn undo_float(size: usize, bytes: &mut [u8], row: usize, samples: usize, scratch: &mut [u8]) {
    fn merge<const N: usize>(sorted: &[u8], row: usize, out: &mut [u8]) {
        // The most significant bytes of all samples come first, in either byte order.
        let planes: [&[u8]; N] = std::array::from_fn(|k| {
            let significance = if cfg!(target_endian = "little") { N - 1 - k } else { k };
            &sorted[significance * row..][..row]
        });
        for (i, out) in out.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            *out = std::array::from_fn(|k| planes[k][i]);
        }
    }
    let bytes_of_row = row * size;
    undo_horizontal(1, bytes, bytes_of_row, samples);
    let sorted = &mut scratch[..bytes_of_row];
    for row_bytes in bytes.chunks_exact_mut(bytes_of_row) {
        sorted.copy_from_slice(row_bytes);
        match size {
            2 => merge::<2>(sorted, row, row_bytes),
            3 => merge::<3>(sorted, row, row_bytes),
            4 => merge::<4>(sorted, row, row_bytes),
            _ => merge::<8>(sorted, row, row_bytes),
        }
    }
}

/// Puts the values of one plane into sample `s` of pixels of `samples` samples.
pub(super) fn join(size: usize, plane: &[u8], pixels: &mut [u8], s: usize, samples: usize) {
    by_size!(size, T => {
        let plane = bytemuck::cast_slice::<u8, T>(plane);
        for (pixel, &v) in bytemuck::cast_slice_mut::<u8, T>(pixels).chunks_exact_mut(samples).zip(plane) {
            pixel[s] = v;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::split::split;
    use super::*;

    #[test]
    fn predictors_and_splits_are_inverse() {
        for dtype in Dtype::ALL {
            for samples in 1..7usize {
                let row = 13 * samples;
                let mut bytes: Vec<u8> = vec![0; row * 3 * dtype.size() + 8];
                let at = bytes.as_ptr().align_offset(8);
                let len = row * 3 * dtype.size();
                let data = &mut bytes[at..at + len];
                for (i, b) in data.iter_mut().enumerate() {
                    *b = (i * i * 7 + 3 * i) as u8;
                }
                let before = data.to_vec();
                horizontal(dtype.size(), data, row, samples);
                assert_ne!(data, before);
                undo_horizontal(dtype.size(), data, row, samples);
                assert_eq!(data, before, "{dtype} × {samples}");

                let plane = len / samples;
                let mut planes = vec![0u64; len.div_ceil(8)];
                let planes: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut planes)[..len];
                split(dtype, data, samples, planes, plane);
                for s in 0..samples {
                    let want: Vec<&[u8]> = before.chunks(dtype.size()).skip(s).step_by(samples).collect();
                    assert_eq!(planes[s * plane..][..plane], want.concat());
                }
                data.fill(0);
                for (s, part) in planes.chunks_exact(plane).enumerate() {
                    join(dtype.size(), part, data, s, samples);
                }
                assert_eq!(data, before);
            }
        }
    }

    #[test]
    fn unpacks_most_significant_bits_first() {
        let mut out = [0; 6];
        unpack(&[0b1011_0000, 0b0100_0000], 1, 3, &mut out, 1);
        assert_eq!(out, [1, 0, 1, 0, 1, 0]);
        let mut out = [0u16; 3];
        unpack(&[0x12, 0x34, 0x56, 0x78, 0x90], 12, 3, bytemuck::cast_slice_mut(&mut out), 2);
        assert_eq!(out, [0x123, 0x456, 0x789]);
        let mut out = [0u32; 1];
        unpack(&[1, 2, 3], 24, 1, bytemuck::cast_slice_mut(&mut out), 4);
        assert_eq!(out, [0x01_02_03]);
    }

    #[test]
    fn unpacks_wide_numbers() {
        // 63 ones, and 63 bits of which the first and the last are set.
        let mut packed = [0xFFu8; 16];
        packed[7] = 0xFF;
        packed[8..].fill(0);
        packed[15] = 0b0000_0100;
        let mut out = [0u64; 2];
        unpack(&packed, 63, 2, bytemuck::cast_slice_mut(&mut out), 8);
        assert_eq!(out, [u64::MAX >> 1, 1 << 62 | 1]);
    }

    #[test]
    fn odd_numbers_keep_their_sign() {
        let mut values = [0x7FFi16, 0x800, 0xFFF, 0x1001];
        extend(12, bytemuck::cast_slice_mut(&mut values), Dtype::I16);
        assert_eq!(values, [2047, -2048, -1, 1]);
        let mut values = [0x1FFu16, 0x200];
        extend(9, bytemuck::cast_slice_mut(&mut values), Dtype::U16);
        assert_eq!(values, [511, 0]);
    }
}
