//! Labels without the objects that touch the edge of the image.
//!
//! Label image of an integer type → the same image, whose objects with a voxel in the first or last place along a space
//! axis are 0. A tile's edge is not the image's. Equal to `skimage.segmentation.clear_border(labels)` where each value is
//! in one piece; of a value in several pieces, scikit-image clears those that touch and keeps the rest. All else is as in
//! `min-size`; `label clear-border=yes` does the same to the components of a mask in one step.

use crate::objects::{Rule, counted};
use crate::spec::{Build, Spec};

/// `clear-border`.
pub(super) static SPEC: Spec = Spec {
    name: "clear-border",
    about: "labels without the objects at the edge of the image",
    params: &[],
    inputs: 1,
    example: "threshold 900 | label | clear-border",
    build: Build::One(|args| Ok(counted(SPEC.name, Rule::Inside(args.input().axes.space())))),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::components::oracle::inside;
    use crate::conforms;
    use crate::objects::oracle::replaced;
    use voxtile_sched::model::Dtype;

    conforms!(
        whole_objects: &SPEC, "clear-border",
        |image| replaced(image, |key, voxels| if inside(image.meta(), voxels) { key.2 } else { 0 }),
        dtypes(&[Dtype::U8, Dtype::U16, Dtype::I32]),
    );
}
