//! Time points selected.
//!
//! Any type → same type. As in numpy's indexing: one number makes the axis `t` disappear (`frame 2` is `image[2]`),
//! ranges and lists keep it (`frame 0,2`, `frame 1:3`, in any order, also twice). The time of the first one moves along with a single range.
//! Cost: a copy; what is not selected is not read.

use crate::cut::selected;
use crate::spec::{Build, Param, Spec, Value};
use voxtile_sched::model::Axis;

/// `frame 0`.
pub(super) static SPEC: Spec = Spec {
    name: "frame",
    about: "time points selected by number",
    params: &[Param {
        name: "frames",
        value: Value::Positions,
        default: None,
        about: "numbers from 0 and half-open ranges; one number drops the axis t",
    }],
    inputs: 1,
    example: "frame 0",
    build: Build::Chain(|args| selected(SPEC.name, args, "frames", Axis::T)),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Meta};

    /// The positions in the order of the list.
    fn oracle(image: &Image, list: &[u64], dropped: bool) -> Image {
        let a = Axis::T.index();
        let mut meta = image.meta().clone();
        meta.shape[a] = list.len() as u64;
        if dropped {
            meta.axes = meta.axes.without(Axis::T);
        }
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |mut at| {
            at[a] = list[at[a] as usize];
            image.at::<T>(at)
        }))
    }

    fn several(m: &Meta) -> bool {
        m.axes.contains(Axis::T) && m.shape[Axis::T.index()] >= 2
    }

    conforms!(one: &SPEC, "frame 1", |image| oracle(image, &[1], true), only(several));
    conforms!(a_range: &SPEC, "frame frames=1:2", |image| oracle(image, &[1], false), only(several));
    conforms!(a_list: &SPEC, "frame 1,0,0:2", |image| oracle(image, &[1, 0, 0, 1], false), only(several));

    #[test]
    fn an_image_of_time_alone_keeps_its_axis() {
        let image = [meta("t", &[5], Dtype::U8)];
        assert!(stages(&SPEC, "frame 2", &image).is_err());
        assert!(stages(&SPEC, "frame 2:3", &image).is_ok());
        assert!(stages(&SPEC, "frame 2:9", &image).is_err());
    }
}
