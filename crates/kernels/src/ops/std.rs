//! Standard deviation of a box around every voxel.
//!
//! Any sample type → f32, same shape; acts on the space axes present. Sizes in voxels, one or per axis; of an even size,
//! the window reaches one voxel further on the low side, as in scipy.ndimage. All voxels of the window count, so the
//! sum of squares is divided by their number. Cost: `O(voxels · Σ log size)`, 4 ns per voxel for a box of 5³.
//!
//! The image is rounded to f32 once; all else is f64, without differences of large sums (`conv::moments`), and rounded
//! to f32 once. Equal to `scipy.ndimage.generic_filter(…, numpy.std)` of the float32 image within 1 ULP of f32.
//! The order of the arithmetic depends on the size alone, so the result does not depend on the tiles. NaN where the window
//! holds an infinite value.

use crate::conv::{Ending, Moments, SIZE, Statistic, sizes};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "std",
    about: "Standard deviation of a box",
    params: &[SIZE, BORDER, CVAL],
    inputs: 1,
    example: "std size=5",
    build: Build::Linear(|args| {
        let (size, border) = (sizes(args)?, args.border()?);
        Ok(Moments { name: SPEC.name, size, statistic: Std, border }.op())
    }),
};

#[derive(Clone, Copy)]
struct Std;

impl Statistic for Std {
    type Output = f32;

    #[inline(always)]
    fn at(self, _voxel: f64, _mean: f64, variance: f64) -> f32 {
        variance.sqrt() as f32
    }

    fn kernel(self) -> Ending {
        Ending::Deviation { root: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::moments::tests::{along, windows};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    fn oracle(image: &Image, size: u64, border: Border) -> Image {
        windows(image, along(image, size), border, |_, _, variance| variance.sqrt() as f32)
    }

    conforms!(
        five: &SPEC, "std 5 border=mirror", |image| oracle(image, 5, Border::Mirror),
        ulp(1, "another order of the sums may round to another f32"),
        finite("windows with an infinite value have no variance"),
    );
}
