//! Grey opening with a box: erosion, then dilation. Removes bright objects smaller than the box.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.grey_opening(size=…)`. The eroded image is padded anew at
//! the image edge before it is dilated, so this is a step of two stages.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, opening};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "open",
    about: "Erosion, then dilation: removes small bright objects",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "open size=3",
    build: Build::Chain(opening),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, oracle};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// The two filters one after the other, each over the whole image with its own border.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        let first = oracle(image, size, Origin::Centre, border, Rank::Least);
        oracle(&first, size, Origin::Reflected, border, Rank::Largest)
    }

    conforms_over_boxes!("open", naive, composed);
}
