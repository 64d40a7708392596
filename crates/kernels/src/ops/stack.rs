//! Images one after the other along a new axis.
//!
//! Two or more images (`on=a,b,c`) of one sample type and shape, which lack the axis; it takes its place in the order
//! t, c, z, y, x. Equal to `numpy.stack` at that place. Cost: a copy; a tile reads only the images that it shows.

use crate::cut::Beside;
use crate::spec::{Build, Param, SEVERAL, Spec, Value};
use std::sync::Arc;

/// `stack c on=a,b`.
pub(super) static SPEC: Spec = Spec {
    name: "stack",
    about: "images one after the other along a new axis: on=A,B",
    params: &[Param {
        name: "axis",
        value: Value::Axis,
        default: None,
        about: "an axis that the images lack",
    }],
    inputs: SEVERAL,
    example: "gaussian 2 | cast u16 as smooth | stack c on=input,smooth",
    build: Build::One(|args| Ok(Arc::new(Beside::new(SPEC.name, args.axis("axis")?, true, args.inputs())))),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::contract::Refused;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype};

    fn oracle(images: &[Image], axis: Axis) -> Image {
        let mut meta = images[0].meta().clone();
        meta.shape[axis.index()] = images.len() as u64;
        meta.axes = meta.axes.with(axis);
        dispatch!(meta.dtype, T => Image::from_fn(meta, |mut at| {
            let n = std::mem::replace(&mut at[axis.index()], 0);
            images[n as usize].at::<T>(at)
        }))
    }

    conforms!(
        channels: &SPEC, "stack c", all |images| oracle(images, Axis::C), only(|m| !m.axes.contains(Axis::C)),
    );
    conforms!(
        three_planes: &SPEC, "stack axis=z on=a,b,c",
        all |images| oracle(images, Axis::Z), only(|m| !m.axes.contains(Axis::Z)),
    );

    #[test]
    fn an_axis_that_is_there_is_refused() {
        let metas = [meta("cx", &[2, 3], Dtype::U8), meta("cx", &[2, 3], Dtype::U8)];
        let made = stages(&SPEC, "stack c", &metas).unwrap()[0].op.output(&metas);
        assert!(matches!(made, Err(Refused::Param { .. })));
    }
}
