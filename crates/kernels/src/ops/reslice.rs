//! A volume seen from the side.
//!
//! Any type → same type; needs z. `xz`: slices along y, each with x to the right and z downwards. `yz`: slices along x,
//! each with y to the right and z downwards. `zy`: slices along x, each with z to the right and y downwards, as beside the
//! image in orthogonal views. Nothing is interpolated; pixel sizes move along. Equal to `numpy.transpose`: `xz` is
//! `transpose yzx`, `yz` is `transpose xzy`, `zy` is `transpose xyz`. Cost: a copy; no scratch.

use crate::moved::Turn;
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::model::Axis;

/// `reslice xz`.
pub(super) static SPEC: Spec = Spec {
    name: "reslice",
    about: "a volume seen from the side: XZ or YZ slices",
    params: &[Param {
        name: "view",
        value: Value::Choice(&["xz", "yz", "zy"]),
        default: Some("xz"),
        about: "what runs to the right and what downwards in each slice",
    }],
    inputs: 1,
    example: "reslice xz",
    build: Build::One(|args| {
        use Axis::{X, Y, Z};
        let view = args.choice("view")?;
        let from = match view {
            "xz" => [Y, Z, X],
            "yz" => [X, Z, Y],
            _ => [X, Y, Z],
        };
        let axes = args.input().axes;
        if axes.space().len() < 3 {
            return Err(args.impossible("view", format!("the image ({axes}) is no volume")));
        }
        Ok(Arc::new(Turn::ordered(SPEC.name, &[Z, Y, X], &from)))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Meta};

    fn oracle(image: &Image, shape: [u64; 3], from: impl Fn(u64, u64, u64) -> [u64; 3]) -> Image {
        let [t, c, ..] = image.meta().shape;
        let meta = Meta { shape: [t, c, shape[0], shape[1], shape[2]], ..image.meta().clone() };
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |[t, c, slice, down, right]| {
            let [z, y, x] = from(slice, down, right);
            image.at::<T>([t, c, z, y, x])
        }))
    }

    fn volume(m: &Meta) -> bool {
        m.axes.space().len() == 3
    }

    conforms!(from_above: &SPEC, "reslice", |image| {
        let [.., z, y, x] = image.meta().shape;
        oracle(image, [y, z, x], |slice, down, right| [down, slice, right])
    }, only(volume));
    conforms!(from_the_left: &SPEC, "reslice yz", |image| {
        let [.., z, y, x] = image.meta().shape;
        oracle(image, [x, z, y], |slice, down, right| [down, right, slice])
    }, only(volume));
    conforms!(beside_the_image: &SPEC, "reslice view=zy", |image| {
        let [.., z, y, x] = image.meta().shape;
        oracle(image, [x, y, z], |slice, down, right| [right, down, slice])
    }, only(volume));

    #[test]
    fn a_plane_has_no_side() {
        assert!(stages(&SPEC, "reslice xz", &[meta("tyx", &[2, 3, 4], Dtype::U8)]).is_err());
    }
}
