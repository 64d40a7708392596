//! Space axes exchanged.
//!
//! Any type → same type. `axes` names all space axes of the image in the order in which the result has them: with
//! `axes=xzy`, depth of the result is the image's x, its rows are planes, its columns rows. Without it, their order is
//! turned round. Names stay in the order t, c, z, y, x; sizes and pixel sizes move. Equal to `numpy.transpose` over those
//! axes. Cost: one read and one write, in squares that fit the cache; no scratch.

use crate::moved::Turn;
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::model::Axis;

/// `transpose axes=xzy`.
pub(super) static SPEC: Spec = Spec {
    name: "transpose",
    about: "space axes in another order",
    params: &[Param {
        name: "axes",
        value: Value::Axes,
        default: Some(""),
        about: "the image's space axes as the result's, slowest first; turned round if not given",
    }],
    inputs: 1,
    example: "transpose axes=xzy",
    build: Build::One(|args| {
        let space: Vec<Axis> = args.input().axes.space().iter().collect();
        let Some(text) = args.text("axes") else {
            let back: Vec<Axis> = space.iter().rev().copied().collect();
            return Ok(Arc::new(Turn::ordered(SPEC.name, &space, &back)));
        };
        let from = args.axes("axes")?;
        if from.len() != space.len() || !from.iter().all(|axis| axis.is_space()) {
            let all: String = space.iter().map(|axis| axis.name()).collect();
            return Err(args.wrong(
                "axes",
                text,
                format!("all space axes of the image ({all}) in some order"),
            ));
        }
        Ok(Arc::new(Turn::ordered(SPEC.name, &space, &from)))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Meta, Spacing};

    /// Axis `2 + k` of the result is axis `order[k]` of the image.
    fn oracle(image: &Image, order: [usize; 3]) -> Image {
        let mut meta = image.meta().clone();
        (0..3).for_each(|k| meta.shape[2 + k] = image.meta().shape[order[k]]);
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |at| {
            let mut from = at;
            (0..3).for_each(|k| from[order[k]] = at[2 + k]);
            image.at::<T>(from)
        }))
    }

    fn volume(m: &Meta) -> bool {
        m.axes.space().len() == 3
    }

    conforms!(planes_and_rows: &SPEC, "transpose yzx", |image| oracle(image, [3, 2, 4]), only(volume));
    conforms!(columns_first: &SPEC, "transpose x,y,z", |image| oracle(image, [4, 3, 2]), only(volume));
    conforms!(round: &SPEC, "transpose axes=yxz", |image| oracle(image, [3, 4, 2]), only(volume));
    conforms!(the_other_way_round: &SPEC, "transpose xzy", |image| oracle(image, [4, 2, 3]), only(volume));
    conforms!(
        planes: &SPEC, "transpose", |image| oracle(image, [2, 4, 3]), only(|m| m.axes.space().len() == 2 && m.axes.contains(Axis::Y)),
    );

    #[test]
    fn large_planes_are_transposed_in_squares() {
        let image = Image::noise("zyx", &[2, 37, 50], Dtype::U16, 5);
        crate::testing::steps("transpose xyz", &image).assert_same(
            &oracle(&image, [4, 3, 2]),
            crate::testing::Float::Exact,
            || "squares and what is left".into(),
        );
    }

    #[test]
    fn pixel_sizes_move_and_other_lists_are_refused() {
        let mut image = meta("tzyx", &[2, 3, 4, 5], Dtype::U8);
        image.spacing[2] = Some(Spacing { scale: 2.0, origin: 1.0, unit: Some("micrometer".into()) });
        let image = std::slice::from_ref(&image);
        let turned = stages(&SPEC, "transpose yxz", image).unwrap()[0].op.output(image).unwrap();
        assert_eq!((turned.dims(), turned.spacing[4].clone().unwrap().scale), (vec![2, 4, 5, 3], 2.0));
        assert!(turned.spacing[2].is_none());
        for text in ["transpose yx", "transpose tzyx", "transpose zyy"] {
            assert!(stages(&SPEC, text, image).is_err(), "{text}");
        }
    }
}
