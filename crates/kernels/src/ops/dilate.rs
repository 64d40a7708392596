//! Dilation: bright objects grow.
//!
//! Equal to `scipy.ndimage.grey_dilation(size=…, footprint=…)`: as `max`, but the window is reflected: one of even size
//! reaches one voxel further after the centre, so that an opening does not move objects. NaN, −0 and cost as in `max`,
//! iterations and masks as in `erode`.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, dilation};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "dilate",
    about: "Dilation, the largest value in the reflected window: bright objects grow",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "dilate size=3",
    build: Build::Chain(dilation),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, ball, conforms_over_boxes, drawn, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// All values of the reflected box, sorted; the last.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Reflected, border, Rank::Largest)
    }

    /// All values of the reflected set, sorted; the last.
    fn naive_drawn(image: &Image, border: Border) -> Image {
        oracle_over(image, [0, 1, 2], &drawn(true), border, Rank::Largest)
    }

    conforms_over_boxes!("dilate", naive);
    conforms!(
        drawn_set: &SPEC, "dilate footprint=0110/1111/0001 border=constant cval=8",
        |image| naive_drawn(image, Border::Constant(8.0)), only(|meta| meta.axes.space().len() > 1)
    );
    conforms!(
        drawn_twice: &SPEC, "dilate footprint=0110/1111/0001 iterations=2",
        |image| naive_drawn(&naive_drawn(image, Border::Reflect), Border::Reflect),
        only(|meta| meta.axes.space().len() > 1)
    );
    conforms!(ball_of_two: &SPEC, "dilate shape=ball radius=2", |image| {
        oracle_over(image, [2; 3], &ball(2), Border::Reflect, Rank::Largest)
    });
}
