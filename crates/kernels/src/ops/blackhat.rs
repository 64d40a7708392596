//! Black top-hat with a box: the closing minus the image. Keeps dark objects smaller than the box.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.black_tophat(size=…)` except that the difference stops at
//! the ends of an integer type (scipy wraps: unsigned images with a constant border, or mirrored with an even size).

use crate::rank::{Difference, FOOTPRINT, RADIUS, SHAPE, SIZE, closing};
use crate::spec::{BORDER, Build, CVAL, From, Spec, Stage};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "blackhat",
    about: "Closing minus image: keeps small dark objects",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, BORDER, CVAL],
    inputs: 1,
    example: "blackhat size=15",
    build: Build::Chain(|args| {
        let mut stages = closing(args)?;
        let last = stages.len() - 1;
        stages
            .push(Stage { op: Difference::of("blackhat"), inputs: vec![From::Stage(last), From::Input(0)] });
        Ok(stages)
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, conforms_over_boxes, minus, oracle};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// The two filters one after the other, each over the whole image with its own border, and the difference.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        let first = oracle(image, size, Origin::Reflected, border, Rank::Largest);
        minus(&oracle(&first, size, Origin::Centre, border, Rank::Least), image)
    }

    conforms_over_boxes!("blackhat", naive, composed);
}
