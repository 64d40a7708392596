//! The harness that every operation passes, ours and yours.
//!
//! [`conforms!`](crate::conforms) makes a test from a [`Spec`], the text of a step and a naive
//! oracle. It runs the operation over images of one to five axes, with axes of size 1, without voxels, and with the
//! extremes of every sample type, and asserts that
//!
//! 1. the result is the oracle's, with every instruction set that this CPU has;
//! 2. computed in tiles — of one voxel, of odd sizes, smaller than the halo, larger than the image — it has the same
//!    bits as computed whole;
//! 3. the halo is exact: its outermost voxels matter, and memory around the tile does not;
//! 4. the scratch declared is enough, whatever it holds before, and nothing outside the output tile is written;
//! 5. on a GPU it has the same bits, where there is one and the operation has kernels; elsewhere that is said.
//!
//! [`run`], [`apply`] and [`steps`] compute in memory, slowly and plainly; the engine is tested against them.
//!
//! ```
//! use voxtile_kernels::testing::{Image, steps};
//!
//! let image = Image::of::<u8>("yx", &[2, 2], &[0, 10, 250, 255]);
//! let mask = steps("invert | threshold 200", &image);
//! assert_eq!(mask.values::<u8>(), [1, 1, 0, 0]);
//! ```

mod conformance;
mod device;
mod execute;
mod image;
mod joins;
mod tables;
#[cfg(test)]
mod tests;

pub use conformance::{Check, inputs, stages};
#[cfg(test)]
pub(crate) use device::has_kernels;
pub use execute::{WHOLE, apply, cut, resolve, run, tabulate};
pub use image::{Fill, Float, Image, Random, meta};
pub use tables::{check_table, same};

use crate::ops;
use crate::spec::Spec;

/// Runs a chain of steps from the table over an image: `gaussian sigma=2 | threshold 900`. No quotes, no names: the
/// recipes of the command line know more.
///
/// # Panics
/// If a step is unknown or refused.
#[must_use]
pub fn steps(text: &str, image: &Image) -> Image {
    text.split('|').fold(image.clone(), |image, text| {
        let name = text.split_whitespace().next().unwrap_or_default();
        let spec = ops::find(name).unwrap_or_else(|| panic!("no operation `{name}`"));
        step(spec, text.trim(), &image)
    })
}

/// Runs one step of an operation that need not be in the table.
///
/// # Panics
/// If the step is refused.
#[must_use]
pub fn step(spec: &'static Spec, text: &str, image: &Image) -> Image {
    let stages = stages(spec, text, &[image.meta().clone()]).unwrap_or_else(|refused| panic!("{refused}"));
    apply(&stages, &[image], WHOLE)
}

/// Makes a test that runs [`testing::check_table`](crate::testing::check_table):
///
/// ```text
/// conforms_table!(sizes: &SPEC, "measure", [U8, I32], |meta| true, |images| oracle(&images[0]));
/// ```
#[macro_export]
macro_rules! conforms_table {
    ($name:ident: $spec:expr, $step:expr, [$($dtype:ident),*], |$meta:ident| $accepts:expr, |$images:ident| $oracle:expr $(,)?) => {
        #[test]
        fn $name() {
            let dtypes = [$(voxtile_sched::model::Dtype::$dtype),*];
            let accepts = |$meta: &voxtile_sched::model::Meta| $accepts;
            let oracle = |$images: &[$crate::testing::Image]| $oracle;
            $crate::testing::check_table($spec, $step, &dtypes, accepts, oracle);
        }
    };
}

/// Makes a test that runs [`testing::Check`](crate::testing::Check):
///
/// ```text
/// conforms!(box_of_even_size: &SPEC, "min size=4", |image| oracle(image, 4));
/// conforms!(uniform: &SPEC, "mean size=3", |image| oracle(image), ulp(1, "sums are not exact in f64"));
/// ```
///
/// Name of the test, spec, text of the step, oracle of one input image, then any settings of `Check`. The oracle of
/// several inputs takes them in a slice: `all |images| oracle(&images[0], &images[1])`.
#[macro_export]
macro_rules! conforms {
    ($name:ident: $spec:expr, $step:expr, all |$images:ident| $oracle:expr $(, $set:ident($($arg:expr),* $(,)?))* $(,)?) => {
        #[test]
        fn $name() {
            let oracle = |$images: &[$crate::testing::Image]| $oracle;
            $crate::testing::Check::new($spec, $step, oracle)$(.$set($($arg),*))*.run();
        }
    };
    ($name:ident: $spec:expr, $step:expr, |$image:ident| $oracle:expr $(, $set:ident($($arg:expr),* $(,)?))* $(,)?) => {
        #[test]
        fn $name() {
            let oracle = |inputs: &[$crate::testing::Image]| {
                let $image: &$crate::testing::Image = &inputs[0];
                $oracle
            };
            $crate::testing::Check::new($spec, $step, oracle)$(.$set($($arg),*))*.run();
        }
    };
}
