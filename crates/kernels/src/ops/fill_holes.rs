//! Foreground with its holes filled.
//!
//! Mask or image of any type → u8 mask of the same shape: 1 where the input is not 0, and where its zeros cannot be left
//! for the edge of the image. Zeros join along the space axes, within each t and c, over as many axes at once as
//! `connectivity` says: 1 lets a hole be closed by voxels that touch at corners only. Equal to
//! `scipy.ndimage.binary_fill_holes(image != 0, generate_binary_structure(n, connectivity))`. A hole is known as such when
//! the whole image has been seen, however large it is. Cost, memory and disk as `label`, over the background.

use super::label::{CONNECTIVITY, connectivity};
use crate::components::{Marks, Same, Selection, Writes};
use crate::spec::{Build, Spec};
use std::sync::Arc;
use voxtile_sched::contract::Joining;

/// `fill-holes`.
pub(super) static SPEC: Spec = Spec {
    name: "fill-holes",
    about: "foreground with its holes filled",
    params: &[CONNECTIVITY],
    inputs: 1,
    example: "threshold 900 | fill-holes",
    build: Build::One(|args| {
        Ok(Arc::new(Selection {
            name: SPEC.name,
            joining: Joining {
                connectivity: connectivity(args)?,
                voxels: 1..=u64::MAX,
                marked: Some(false),
                wide: false,
            },
            same: Same::Zero,
            marks: Marks::Edge(args.input().axes.space()),
            writes: Writes::Mask { elsewhere: 1 },
        }))
    }),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::components::oracle::{Foreground, inside, numbers};
    use crate::conforms;
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Kind, Meta, PerAxis};

    fn oracle(image: &Image, connectivity: usize) -> Image {
        let shut = |voxels: &[PerAxis<u64>]| inside(image.meta(), voxels);
        let holes = numbers(image, Foreground::Zero, connectivity, shut);
        let meta = Meta { kind: Kind::Mask, ..image.meta().with_dtype(Dtype::U8) };
        dispatch!(image.meta().dtype, T => Image::from_fn(meta.clone(), |at: PerAxis<u64>| {
            u8::from(image.at::<T>(at) != T::default() || holes.contains_key(&at))
        }))
    }

    conforms!(shut_by_corners: &SPEC, "fill-holes", |image| oracle(image, 1));
    conforms!(
        shut_by_faces: &SPEC, "fill-holes connectivity=2", |image| oracle(image, 2),
        only(|meta| meta.axes.space().len() > 1),
    );
    conforms!(
        open_at_corners: &SPEC, "fill-holes connectivity=3", |image| oracle(image, 3),
        only(|meta| meta.axes.contains(Axis::Z)),
    );
}
