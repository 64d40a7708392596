//! The middle value of a window: removes single bright or dark voxels and keeps edges.
//!
//! Every sample type, which is kept; acts on the space axes. Of `n` values it is the one of rank `n / 2` from below,
//! for even `n` too, as in `scipy.ndimage.median_filter(size=…, footprint=…)`, which the result is equal to.
//! Windows of up to 2²⁰ voxels. Squares and cubes of 3 and 5 go through networks of comparators (`rank/small.rs`), large
//! windows of 8 and 16 bits are counted from one voxel to the next (`rank/sliding.rs`), all others are found bit by bit
//! (`rank/select.rs`).
//! NaN counts as larger than every number and −0 as smaller than 0 (scipy's answer depends on their places).

use crate::rank::{FOOTPRINT, RADIUS, Ranked, SHAPE, SIZE};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "median",
    about: "Middle value of a window",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, BORDER, CVAL],
    inputs: 1,
    example: "median size=3",
    build: Build::One(|args| Ranked::of("median", args, |n| Ok(n / 2))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, conforms_over_sets, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::{Border, Dtype};

    /// All values of the box, sorted; the middle one.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Centre, border, Rank::Middle)
    }

    /// The same over any window.
    fn naive_over(
        image: &Image,
        reach: [i64; 3],
        window: &dyn Fn([i64; 3]) -> bool,
        border: Border,
    ) -> Image {
        oracle_over(image, reach, window, border, Rank::Middle)
    }

    conforms_over_boxes!("median", naive);
    conforms_over_sets!("median", naive_over);
    conforms!(seven: &SPEC, "median 7", |image| naive(image, [7; 3], Border::Reflect),
        only(|meta| meta.axes.space().len() < 3));
    conforms!(more_than_a_byte_counts: &SPEC, "median 1,17,17", |image| naive(image, [1, 17, 17], Border::Reflect),
        dtypes(&[Dtype::U8, Dtype::I8]), only(|meta| meta.axes.space().len() == 3));
}
