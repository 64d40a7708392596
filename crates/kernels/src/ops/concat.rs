//! Images one after the other along an axis that they have.
//!
//! Two or more images (`on=a,b,c`) of one sample type and of one shape but for that axis. Channels keep their names; position
//! and pixel size are the first image's. Equal to `numpy.concatenate`. Cost: a copy; a tile reads only the images that it
//! shows.

use crate::cut::Beside;
use crate::spec::{Build, Param, SEVERAL, Spec, Value};
use std::sync::Arc;

/// `concat axis=x on=a,b`.
pub(super) static SPEC: Spec = Spec {
    name: "concat",
    about: "images one after the other along an axis: on=A,B",
    params: &[Param { name: "axis", value: Value::Axis, default: None, about: "an axis of the images" }],
    inputs: SEVERAL,
    example: "gaussian 2 | cast u16 as smooth | concat x on=input,smooth",
    build: Build::One(|args| Ok(Arc::new(Beside::new(SPEC.name, args.axis("axis")?, false, args.inputs())))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, WHOLE, apply, meta, stages};
    use voxtile_sched::contract::Refused;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype};

    fn oracle(images: &[Image], axis: Axis) -> Image {
        let a = axis.index();
        let mut meta = images[0].meta().clone();
        meta.shape[a] = images.iter().map(|i| i.meta().shape[a]).sum();
        dispatch!(meta.dtype, T => Image::from_fn(meta, |mut at| {
            let mut n = 0;
            while at[a] >= images[n].meta().shape[a] {
                at[a] -= images[n].meta().shape[a];
                n += 1;
            }
            images[n].at::<T>(at)
        }))
    }

    conforms!(rows: &SPEC, "concat x", all |images| oracle(images, Axis::X));
    conforms!(
        three_planes: &SPEC, "concat axis=z on=a,b,c",
        all |images| oracle(images, Axis::Z), only(|m| m.axes.contains(Axis::Z)),
    );
    conforms!(
        channels: &SPEC, "concat c", all |images| oracle(images, Axis::C), only(|m| m.axes.contains(Axis::C)),
    );

    #[test]
    fn images_of_other_extents_along_the_axis_and_no_others() {
        let image = |sizes: &[u64], n| Image::noise("yx", sizes, Dtype::U16, n);
        let images = [image(&[5, 9], 1), image(&[2, 9], 2), image(&[7, 9], 3)];
        let metas: Vec<_> = images.iter().map(|i| i.meta().clone()).collect();
        let along_y = stages(&SPEC, "concat y on=a,b,c", &metas).unwrap();
        let inputs: Vec<&Image> = images.iter().collect();
        for tile in [WHOLE, [1, 1, 1, 3, 4]] {
            let made = apply(&along_y, &inputs, tile);
            made.assert_same(&oracle(&images, Axis::Y), crate::testing::Float::Exact, || format!("{tile:?}"));
        }
        let refused = |text, metas: &[voxtile_sched::model::Meta]| {
            stages(&SPEC, text, metas).unwrap()[0].op.output(metas)
        };
        assert!(matches!(refused("concat x", &metas), Err(Refused::Shapes { .. })));
        assert!(matches!(refused("concat z", &metas), Err(Refused::Axis { .. })));
        let types = [meta("x", &[3], Dtype::U8), meta("x", &[3], Dtype::U16)];
        assert!(matches!(refused("concat x", &types), Err(Refused::Dtype { .. })));
    }
}
