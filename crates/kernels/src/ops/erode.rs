//! Erosion: bright objects shrink.
//!
//! As `min`, under the name that morphology gives it; equal to `scipy.ndimage.grey_erosion(size=…, footprint=…)`.
//!
//! `iterations=n` is that filter `n` times in a row, computed as one with a larger window, or of small sets in one sweep,
//! where that gives the same in every voxel, also at the edge of the image, and costs less (`Window::repeated`). On masks,
//! with `border=constant`, it equals `scipy.ndimage.binary_erosion(structure=generate_binary_structure(ndim, connectivity), iterations=n)`:
//! connectivity 1 is `shape=cross radius=1`, 2 in three dimensions `shape=ball radius=1.5`, and that of all neighbours
//! `size=3`. The same holds for `dilate`, `open` and `close`. scipy's "until nothing changes" is not among them.

use crate::rank::{FOOTPRINT, ITERATIONS, RADIUS, SHAPE, SIZE, erosion};
use crate::spec::{BORDER, Build, CVAL, Spec};

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "erode",
    about: "Erosion, the smallest value in a window: bright objects shrink",
    params: &[SIZE, SHAPE, RADIUS, FOOTPRINT, ITERATIONS, BORDER, CVAL],
    inputs: 1,
    example: "erode size=3",
    build: Build::Chain(erosion),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, ball, conforms_over_boxes, drawn, oracle, oracle_over};
    use crate::testing::Image;
    use voxtile_sched::model::Border;

    /// All values of the box, sorted; the first.
    fn naive(image: &Image, size: [u64; 3], border: Border) -> Image {
        oracle(image, size, Origin::Centre, border, Rank::Least)
    }

    /// One after the other, each over the whole image with its own border.
    fn repeated(
        image: &Image,
        times: usize,
        reach: [i64; 3],
        window: &dyn Fn([i64; 3]) -> bool,
        border: Border,
    ) -> Image {
        let once = |image: Image, _| oracle_over(&image, reach, window, border, Rank::Least);
        (0..times).fold(image.clone(), once)
    }

    conforms_over_boxes!("erode", naive);
    conforms!(drawn_set: &SPEC, "erode footprint=0110/1111/0001", |image| {
        repeated(image, 1, [0, 1, 2], &drawn(false), Border::Reflect)
    }, only(|meta| meta.axes.space().len() > 1));
    conforms!(drawn_twice: &SPEC, "erode footprint=0110/1111/0001 iterations=2 border=nearest", |image| {
        repeated(image, 2, [0, 1, 2], &drawn(false), Border::Nearest)
    }, only(|meta| meta.axes.space().len() > 1));
    conforms!(even_thrice: &SPEC, "erode 1,1,2 iterations=3", |image| {
        repeated(image, 3, [0, 0, 1], &|[_, _, x]| x <= 0, Border::Reflect)
    }, only(|meta| meta.axes.space().len() == 3));

    // Several filters as one, with every border.
    conforms!(cross_reflect: &SPEC, "erode shape=cross radius=1 iterations=3", |image| {
        repeated(image, 3, [1; 3], &ball(1), Border::Reflect)
    });
    conforms!(cross_constant: &SPEC, "erode shape=cross radius=1 iterations=3 border=constant cval=7", |image| {
        repeated(image, 3, [1; 3], &ball(1), Border::Constant(7.0))
    });
    conforms!(disk_nearest: &SPEC, "erode shape=ball radius=2 iterations=2 border=nearest", |image| {
        repeated(image, 2, [2; 3], &ball(2), Border::Nearest)
    });
    conforms!(cross_of_two_mirrored: &SPEC, "erode shape=cross radius=2 iterations=2 border=mirror", |image| {
        let straight = |d: [i64; 3]| d.iter().filter(|&&d| d != 0).count() <= 1;
        repeated(image, 2, [2; 3], &straight, Border::Mirror)
    });
    conforms!(diamond_wrapped: &SPEC, "erode shape=diamond radius=2 iterations=2 border=wrap", |image| {
        repeated(image, 2, [2; 3], &|[z, y, x]| z.abs() + y.abs() + x.abs() <= 2, Border::Wrap)
    });
    conforms!(box_nearest: &SPEC, "erode 3 iterations=2 border=nearest", |image| {
        repeated(image, 2, [1; 3], &|_| true, Border::Nearest)
    });
}
