//! Grey dilation with a box: bright objects grow.
//!
//! Equal to `scipy.ndimage.grey_dilation(size=…)`: as `max`, but a box of even size is reflected: it reaches one
//! voxel further after the centre, so that an opening does not move objects. NaN, −0 and cost as in `max`.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, dilation};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "dilate",
    about: "Grey dilation with a box: bright objects grow",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "dilate size=3",
    build: Build::Chain(dilation),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, oracle};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// All values of the reflected box, sorted; the last.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Reflected, border, Rank::Largest)
    }

    conforms_over_boxes!("dilate", naive);
}
