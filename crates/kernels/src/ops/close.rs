//! Grey closing with a box: dilation, then erosion. Fills dark gaps smaller than the box.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.grey_closing(size=…)`. The dilated image is padded anew at
//! the image edge before it is eroded, so this is a step of two stages.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, closing};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "close",
    about: "Dilation, then erosion: fills small dark gaps",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "close size=3",
    build: Build::Chain(closing),
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
        let first = oracle(image, size, Origin::Reflected, border, Rank::Largest);
        oracle(&first, size, Origin::Centre, border, Rank::Least)
    }

    conforms_over_boxes!("close", naive, composed);
}
