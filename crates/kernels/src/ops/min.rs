//! The smallest value in a window.
//!
//! Every sample type, which is kept; acts on the space axes. A window of even size reaches one voxel further
//! before the centre than after it, as in `scipy.ndimage.minimum_filter(size=…, footprint=…)`, which the result is equal
//! to. A ball is `skimage.morphology.ball` or `disk` (an ellipsoid, if its radii differ), a diamond `octahedron` or `diamond`.
//! Cost: of a box about three comparisons a voxel and axis, whatever the size (`rank/extremum.rs`); of another set one
//! for each run of voxels along x (`rank/runs.rs`); scratch for some planes.
//! We differ from scipy where it goes through `double` or depends on the order of comparison: 64-bit integers are
//! exact, −0 is below 0, and NaN counts as larger than every number.

use crate::rank::{Extreme, Extremum, FOOTPRINT, Origin, RADIUS, SHAPE, SIZE, Window};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "min",
    about: "Smallest value in a window",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, BORDER, CVAL],
    inputs: 1,
    example: "min size=3",
    build: Build::One(|args| Ok(Extremum::of("min", Extreme::Min, Window::from_args(args, Origin::Centre)?))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::testing::{Rank, conforms_over_boxes, conforms_over_sets, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// All values of the box, sorted; the first.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Centre, border, Rank::Least)
    }

    /// The same over any window.
    fn naive_over(
        image: &Image,
        reach: [i64; 3],
        window: &dyn Fn([i64; 3]) -> bool,
        border: Border,
    ) -> Image {
        oracle_over(image, reach, window, border, Rank::Least)
    }

    conforms_over_boxes!("min", naive);
    conforms_over_sets!("min", naive_over);
}
