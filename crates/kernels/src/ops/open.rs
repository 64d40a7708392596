//! Opening: erosion, then dilation. Removes bright objects that the window does not fit into.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.grey_opening(size=…, footprint=…)`. The eroded image is
//! padded anew at the image edge before it is dilated, so this is a step of two stages. Iterations: so many erosions,
//! then as many dilations; masks as in `erode`.

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
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, drawn, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// The two filters one after the other, each over the whole image with its own border.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        let first = oracle(image, size, Origin::Centre, border, Rank::Least);
        oracle(&first, size, Origin::Reflected, border, Rank::Largest)
    }

    /// The same over the set that the text below draws, each filter twice.
    fn naive_drawn(image: &Image, border: Border) -> Image {
        let filter = |image: Image, (reflected, rank): (bool, Rank)| {
            oracle_over(&image, [0, 1, 2], &drawn(reflected), border, rank)
        };
        let (first, second) = ((false, Rank::Least), (true, Rank::Largest));
        [first, first, second, second].into_iter().fold(image.clone(), filter)
    }

    conforms_over_boxes!("open", naive, composed);
    conforms!(
        drawn_twice: &SPEC, "open footprint=0110/1111/0001 iterations=2 border=mirror",
        |image| naive_drawn(image, Border::Mirror), only(|meta| meta.axes.space().len() > 1)
    );
}
