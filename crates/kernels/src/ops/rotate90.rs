//! An image turned by quarter turns.
//!
//! Any type → same type. `k` quarter turns in the plane of two space axes, from the first towards the second, so
//! `k=1 axes=yx` turns a picture to the left; negative ones to the right. Pixel sizes move along. Equal to
//! `numpy.rot90(image, k, axes)`. Cost: a copy, in squares that fit the cache; no scratch.

use crate::moved::Turn;
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;

/// `rotate90 k=1`.
pub(super) static SPEC: Spec = Spec {
    name: "rotate90",
    about: "turned by quarter turns",
    params: &[
        Param {
            name: "k",
            value: Value::Number,
            default: Some("1"),
            about: "quarter turns; negative ones turn back",
        },
        Param {
            name: "axes",
            value: Value::Axes,
            default: Some("yx"),
            about: "two space axes: turns from the first towards the second",
        },
    ],
    inputs: 1,
    example: "rotate90 k=1",
    build: Build::One(|args| {
        let turns = args.finite("k")?;
        let text = |name| args.text(name).unwrap_or_default();
        if turns.fract() != 0.0 || turns.abs() > 1e9 {
            return Err(args.wrong("k", text("k"), "a whole number from -1e9 to 1e9"));
        }
        let axes = args.axes("axes")?;
        let [first, second] = axes[..] else { return Err(args.wrong("axes", text("axes"), "two axes")) };
        if !first.is_space() || !second.is_space() {
            return Err(args.wrong("axes", text("axes"), "two space axes"));
        }
        let turn = Turn::new(SPEC.name);
        Ok(Arc::new(match (turns as i64).rem_euclid(4) {
            0 => turn,
            1 => turn.mirrored(second).exchanged(first, second),
            2 => turn.mirrored(first).mirrored(second),
            _ => turn.exchanged(first, second).mirrored(second),
        }))
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Meta};

    /// One quarter turn after the other: what lay at the end of `b` lies at the beginning of `a`.
    fn oracle(image: &Image, turns: usize, a: Axis, b: Axis) -> Image {
        let (a, b) = (a.index(), b.index());
        (0..turns).fold(image.clone(), |image, _| {
            let mut meta = image.meta().clone();
            meta.shape.swap(a, b);
            dispatch!(image.meta().dtype, T => Image::from_fn(meta.clone(), |at| {
                let mut from = at;
                (from[a], from[b]) = (at[b], meta.shape[a] - 1 - at[a]);
                image.at::<T>(from)
            }))
        })
    }

    fn plane(m: &Meta) -> bool {
        m.axes.contains(Axis::Y)
    }

    conforms!(to_the_left: &SPEC, "rotate90", |image| oracle(image, 1, Axis::Y, Axis::X), only(plane));
    conforms!(half: &SPEC, "rotate90 2", |image| oracle(image, 2, Axis::Y, Axis::X), only(plane));
    conforms!(to_the_right: &SPEC, "rotate90 -1", |image| oracle(image, 3, Axis::Y, Axis::X), only(plane));
    conforms!(round: &SPEC, "rotate90 k=8", |image| image.clone(), only(plane));
    conforms!(
        towards_x: &SPEC, "rotate90 axes=z,x",
        |image| oracle(image, 1, Axis::Z, Axis::X), only(|m| m.axes.contains(Axis::Z)),
    );
    conforms!(
        in_depth: &SPEC, "rotate90 k=3 axes=yz",
        |image| oracle(image, 3, Axis::Y, Axis::Z), only(|m| m.axes.contains(Axis::Z)),
    );

    #[test]
    fn other_turns_are_refused() {
        let image = [meta("cyx", &[2, 3, 4], Dtype::U8)];
        for text in ["rotate90 0.5", "rotate90 axes=x", "rotate90 axes=cx", "rotate90 axes=zx"] {
            assert!(stages(&SPEC, text, &image).is_err(), "{text}");
        }
    }
}
