//! Grey erosion with a box: bright objects shrink.
//!
//! The same as `min` in every respect, under the name that morphology gives it; equal to
//! `scipy.ndimage.grey_erosion(size=…)`.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, erosion};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "erode",
    about: "Grey erosion with a box: bright objects shrink",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "erode size=3",
    build: Build::Chain(erosion),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, oracle};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// All values of the box, sorted; the first.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Centre, border, Rank::Least)
    }

    conforms_over_boxes!("erode", naive);
}
