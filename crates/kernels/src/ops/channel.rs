//! Channels selected.
//!
//! Any type → same type. As in numpy's indexing: one number makes the axis `c` disappear (`channel 2` is `image[2]`),
//! ranges and lists keep it (`channel 0,2`, `channel 1:3`, in any order, also twice). Names and colours of the channels follow.
//! Cost: a copy; what is not selected is not read.

use crate::cut::selected;
use crate::spec::{Build, Param, Spec, Value};
use voxtile_sched::model::Axis;

/// `channel 0`.
pub(super) static SPEC: Spec = Spec {
    name: "channel",
    about: "channels selected by number",
    params: &[Param {
        name: "channels",
        value: Value::Positions,
        default: None,
        about: "numbers from 0 and half-open ranges; one number drops the axis c",
    }],
    inputs: 1,
    example: "channel 0",
    build: Build::Chain(|args| selected(SPEC.name, args, "channels", Axis::C)),
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
        let a = Axis::C.index();
        let mut meta = image.meta().clone();
        meta.shape[a] = list.len() as u64;
        if dropped {
            meta.axes = meta.axes.without(Axis::C);
        }
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |mut at| {
            at[a] = list[at[a] as usize];
            image.at::<T>(at)
        }))
    }

    fn several(m: &Meta) -> bool {
        m.axes.contains(Axis::C) && m.shape[Axis::C.index()] >= 2
    }

    conforms!(one: &SPEC, "channel 1", |image| oracle(image, &[1], true), only(several));
    conforms!(a_range: &SPEC, "channel channels=1:2", |image| oracle(image, &[1], false), only(several));
    conforms!(a_list: &SPEC, "channel 1,0,0:2", |image| oracle(image, &[1, 0, 0, 1], false), only(several));

    #[test]
    fn names_follow_and_what_does_not_exist_is_refused() {
        use voxtile_sched::model::Channel;
        let mut image = meta("cyx", &[3, 4, 5], Dtype::U8);
        image.channels = ["r", "g", "b"].map(|n| Channel { name: Some(n.into()), color: None }).to_vec();
        let image = std::slice::from_ref(&image);
        let one = stages(&SPEC, "channel 1", image).unwrap()[0].op.output(image).unwrap();
        assert_eq!((one.axes.to_string().as_str(), one.channels[0].name.as_deref()), ("yx", Some("g")));
        let stages_of = |text| stages(&SPEC, text, image);
        let parts: Vec<Meta> =
            stages_of("channel 2,0").unwrap()[..2].iter().map(|s| s.op.output(image).unwrap()).collect();
        let two = stages_of("channel 2,0").unwrap()[2].op.output(&parts).unwrap();
        let names: Vec<_> = two.channels.iter().map(|c| c.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["b", "r"]);
        for text in ["channel 3", "channel -1", "channel 1:4", "channel red", "channel 2:2", "channel 0,1:1"]
        {
            assert!(stages_of(text).is_err(), "{text}");
        }
        assert!(stages(&SPEC, "channel 0", &[meta("yx", &[4, 5], Dtype::U8)]).is_err());
    }
}
