//! Variance of a box around every voxel.
//!
//! Any sample type → f32, same shape; acts on the space axes present. Sizes in voxels, one or per axis; of an even size,
//! the window reaches one voxel further on the low side, as in scipy.ndimage. All voxels of the window count, so the
//! sum of squares is divided by their number. Cost: `O(voxels · Σ log size)`, 4 ns per voxel for a box of 5³.
//!
//! The image is rounded to f32 once; all else is f64, without differences of large sums (`conv::moments`), and rounded
//! to f32 once. Equal to `scipy.ndimage.generic_filter(…, numpy.var)` of the float32 image within 1 ULP of f32.
//! The order of the arithmetic depends on the size alone, so the result does not depend on the tiles. NaN where the window
//! holds an infinite value.

use crate::conv::{Ending, Moments, SIZE, Statistic, sizes};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "variance",
    about: "Variance of a box",
    params: &[SIZE, BORDER, CVAL],
    inputs: 1,
    example: "variance size=5",
    build: Build::Linear(|args| {
        let (size, border) = (sizes(args)?, args.border()?);
        Ok(Moments { name: SPEC.name, size, statistic: Variance, border }.op())
    }),
};

#[derive(Clone, Copy)]
struct Variance;

impl Statistic for Variance {
    type Output = f32;

    #[inline(always)]
    fn at(self, _voxel: f64, _mean: f64, variance: f64) -> f32 {
        variance as f32
    }

    fn kernel(self) -> Ending {
        Ending::Deviation { root: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::moments::tests::{along, windows};
    use crate::testing::{Float, Image, meta, step};
    use voxtile_sched::model::{Axis, Border, Dtype};

    fn oracle(image: &Image, size: u64, border: Border) -> Image {
        windows(image, along(image, size), border, |_, _, variance| variance as f32)
    }

    const WHY: &str = "another order of the sums may round to another f32";
    conforms!(
        three: &SPEC, "variance 3", |image| oracle(image, 3, Border::Reflect),
        ulp(1, WHY), finite("windows with an infinite value have no variance"),
    );
    conforms!(
        even: &SPEC, "variance 4 border=constant cval=9", |image| oracle(image, 4, Border::Constant(9.0)),
        ulp(1, WHY), finite("windows with an infinite value have no variance"),
    );
    conforms!(
        wide: &SPEC, "variance 1,1,21 border=wrap",
        |image| windows(image, [1, 1, 1, 1, 21], Border::Wrap, |_, _, variance| variance as f32),
        ulp(1, WHY), finite("windows with an infinite value have no variance"),
        only(|meta| meta.axes.contains(Axis::Z)), dtypes(&[Dtype::U16, Dtype::F32]),
    );

    #[test]
    fn a_bright_ground_does_not_drown_the_variance() {
        let dark = Image::noise("yx", &[40, 50], Dtype::U8, 3);
        let bright: Image = dark.map(|v: u8| f32::from(v) + 8_388_608.0);
        for size in ["3", "16", "37"] {
            let step = |image: &Image| step(&SPEC, &format!("variance {size}"), image);
            step(&bright).assert_same(&step(&dark), Float::Ulp(1), || format!("size {size}"));
        }
    }

    #[test]
    fn a_level_has_no_variance_and_an_infinite_value_none_that_is_a_number() {
        let level = Image::from_fn(meta("zyx", &[3, 20, 70], Dtype::F32), |_| 0.1f32);
        assert!(step(&SPEC, "variance 7", &level).values::<f32>().iter().all(|&v| v == 0.0));
        for at in 0..7 {
            let line =
                Image::from_fn(meta("x", &[7], Dtype::F32), |p| if p[4] == at { f32::INFINITY } else { 1.0 });
            for (n, v) in step(&SPEC, "variance 3 border=nearest", &line).values::<f32>().iter().enumerate() {
                assert_eq!(v.is_nan(), n.abs_diff(at as usize) <= 1, "{n}, infinite at {at}");
            }
        }
    }
}
