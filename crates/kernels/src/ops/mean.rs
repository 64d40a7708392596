//! Mean of a box.
//!
//! Any sample type → f32, same shape; acts on the space axes present. Sizes in voxels, one or per axis; of an even
//! size, the window reaches one voxel further on the low side, as in scipy.ndimage. Cost: `O(voxels · Σ log size)`.
//!
//! The image is rounded to f32 once; per axis, in the order z, y, x, the window is summed in f64, divided by the size
//! and rounded to f32. The order of a sum depends on the size alone, so the result does not depend on the tiles.
//!
//! We differ: `scipy.ndimage.uniform_filter(image.astype(float32), …)` carries one sum along the whole line, with a
//! rounding error that grows. Where its sums are exact the results are equal, otherwise within 1 ULP of f32.

use crate::conv::{SIZE, Separable, sizes};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Spec};
use std::sync::Arc;
use voxtile_sched::contract::Op;

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "mean",
    about: "Mean of a box",
    params: &[SIZE, BORDER, CVAL],
    inputs: 1,
    example: "mean size=5",
    build: Build::Linear(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let size = sizes(args)?;
    let filter = Separable::Mean([2, 3, 4].map(|a| size[a] as usize));
    Ok(filter.op(SPEC.name, args.border()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Float, Image, meta, step};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Border, Dtype, Element};

    /// Sum of `count` values, a power of two, from `at` on.
    fn doubled(value: &impl Fn(u64) -> f64, at: u64, count: u64) -> f64 {
        match count {
            1 => value(at),
            _ => doubled(value, at, count / 2) + doubled(value, at + count / 2, count / 2),
        }
    }

    /// One axis after the other, every voxel on its own; `size` along all axes.
    fn oracle(image: &Image, size: u64, border: Border) -> Image {
        let mut image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        let axes = image.meta().axes.space();
        for axis in axes.iter().map(voxtile_sched::model::Axis::index) {
            image = Image::from_fn(image.meta().clone(), |p| {
                let value = |n: u64| {
                    let mut from = p;
                    let at = p[axis] as i64 + n as i64 - (size / 2) as i64;
                    match (border.map(at, image.meta().shape[axis]), border) {
                        (Some(at), _) => from[axis] = at as u64,
                        (None, Border::Constant(c)) => return c,
                        (None, _) => unreachable!(),
                    }
                    f64::from(image.at::<f32>(from))
                };
                // The powers of two that make up the size, the smallest first.
                let (mut sum, mut done) = (None, 0);
                for power in (0..64).map(|bit| 1 << bit).filter(|power| size & power != 0) {
                    let part = doubled(&value, done, power);
                    sum = Some(sum.map_or(part, |sum| sum + part));
                    done += power;
                }
                (sum.expect("a size of 1 or more") / size as f64) as f32
            });
        }
        image
    }

    conforms!(three: &SPEC, "mean size=3", |image| oracle(image, 3, Border::Reflect));
    conforms!(even: &SPEC, "mean 6 border=mirror", |image| oracle(image, 6, Border::Mirror));
    conforms!(wide: &SPEC, "mean 21 border=constant cval=5", |image| oracle(image, 21, Border::Constant(5.0)));

    #[test]
    fn the_mean_of_a_level_is_the_level() {
        for size in 1..40 {
            let level = Image::from_fn(meta("zyx", &[3, 40, 300], Dtype::F32), |_| 0.1f32);
            let mean = step(&SPEC, &format!("mean {size}"), &level);
            mean.assert_same(&level, Float::Exact, || format!("size {size}"));
        }
    }
}
