//! White top-hat: the image minus its opening. Keeps bright objects that the window does not fit into.
//!
//! Every sample type, which is kept; equal to `scipy.ndimage.white_tophat(size=…, footprint=…)` except that the difference
//! stops at the ends of an integer type (scipy wraps: unsigned images with a constant border, or mirrored with an even size).

use crate::rank::{Difference, FOOTPRINT, RADIUS, SHAPE, SIZE, opening};
use crate::spec::{BORDER, Build, CVAL, From, Spec, Stage};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "tophat",
    about: "Image minus its opening: keeps small bright objects",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, BORDER, CVAL],
    inputs: 1,
    example: "tophat size=15",
    build: Build::Chain(|args| {
        let mut stages = opening(args)?;
        let last = stages.len() - 1;
        stages.push(Stage { op: Difference::of("tophat"), inputs: vec![From::Input(0), From::Stage(last)] });
        Ok(stages)
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, ball, conforms_over_boxes, minus, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// The two filters one after the other, each over the whole image with its own border, and the difference.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        let first = oracle(image, size, Origin::Centre, border, Rank::Least);
        minus(image, &oracle(&first, size, Origin::Reflected, border, Rank::Largest))
    }

    /// The same with a ball.
    fn naive_ball(image: &Image, radius: i64, border: Border) -> Image {
        let filter = |image, rank| oracle_over(image, [radius; 3], &ball(radius), border, rank);
        let second = filter(&filter(image, Rank::Least), Rank::Largest);
        minus(image, &second)
    }

    conforms_over_boxes!("tophat", naive, composed);
    conforms!(ball_of_two: &SPEC, "tophat shape=ball radius=2 border=wrap", |image| naive_ball(image, 2, Border::Wrap));
}
