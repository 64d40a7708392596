//! An image mirrored along axes.
//!
//! Any type → same type and shape; any axes, also `t` and `c`, whose channels keep their names. The image stays where it
//! is: the position of its first voxel does not change. Equal to `numpy.flip`. Cost: a copy; no scratch.

use crate::moved::Turn;
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;

/// `flip axes=x`.
pub(super) static SPEC: Spec = Spec {
    name: "flip",
    about: "mirrored along axes",
    params: &[Param {
        name: "axes",
        value: Value::Axes,
        default: None,
        about: "the axes that are walked backwards: `x`, `yx`",
    }],
    inputs: 1,
    example: "flip axes=yx",
    build: Build::One(|args| {
        let axes = args.axes("axes")?;
        Ok(Arc::new(axes.into_iter().fold(Turn::new(SPEC.name), Turn::mirrored)))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Channel, Dtype};

    fn oracle(image: &Image, axes: &[Axis]) -> Image {
        dispatch!(image.meta().dtype, T => Image::from_fn(image.meta().clone(), |mut at| {
            for axis in axes {
                at[axis.index()] = image.meta().shape[axis.index()] - 1 - at[axis.index()];
            }
            image.at::<T>(at)
        }))
    }

    conforms!(rows: &SPEC, "flip x", |image| oracle(image, &[Axis::X]));
    conforms!(
        two_axes: &SPEC, "flip axes=xy",
        |image| oracle(image, &[Axis::Y, Axis::X]), only(|m| m.axes.contains(Axis::Y)),
    );
    conforms!(
        batch_axes: &SPEC, "flip t,c,z",
        |image| oracle(image, &[Axis::T, Axis::C, Axis::Z]), only(|m| m.axes.len() == 5),
    );

    #[test]
    fn channels_keep_their_names_and_other_axes_are_refused() {
        let mut image = meta("cyx", &[2, 3, 4], Dtype::U8);
        image.channels = ["r", "g"].map(|n| Channel { name: Some(n.into()), color: None }).to_vec();
        let image = std::slice::from_ref(&image);
        let flipped = stages(&SPEC, "flip c", image).unwrap()[0].op.output(image).unwrap();
        assert_eq!(flipped.channels[0].name.as_deref(), Some("g"));
        for text in ["flip z", "flip xx", "flip q", "flip ,"] {
            assert!(stages(&SPEC, text, image).is_err(), "{text}");
        }
    }
}
