//! Closing: dilation, then erosion. Fills dark gaps that the window does not fit into.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.grey_closing(size=…, footprint=…)`. The dilated image is
//! padded anew at the image edge before it is eroded, so this is a step of two stages. Iterations: so many dilations,
//! then as many erosions; masks as in `erode`.

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
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, drawn, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// The two filters one after the other, each over the whole image with its own border.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        let first = oracle(image, size, Origin::Reflected, border, Rank::Largest);
        oracle(&first, size, Origin::Centre, border, Rank::Least)
    }

    /// The same over the set that the text below draws, each filter twice.
    fn naive_drawn(image: &Image, border: Border) -> Image {
        let filter = |image: Image, (reflected, rank): (bool, Rank)| {
            oracle_over(&image, [0, 1, 2], &drawn(reflected), border, rank)
        };
        let (first, second) = ((true, Rank::Largest), (false, Rank::Least));
        [first, first, second, second].into_iter().fold(image.clone(), filter)
    }

    conforms_over_boxes!("close", naive, composed);
    conforms!(
        drawn_twice: &SPEC, "close footprint=0110/1111/0001 iterations=2 border=mirror",
        |image| naive_drawn(image, Border::Mirror), only(|meta| meta.axes.space().len() > 1)
    );
}
