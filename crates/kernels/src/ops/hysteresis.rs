//! Mask of the objects above a low threshold that rise above a high one somewhere.
//!
//! Any type → u8 mask of the same shape: 1 in those components of input **>** `low` that hold a voxel > `high`; NaN is
//! above nothing. Components join along the space axes, within each t and c. Equal to
//! `skimage.filters.apply_hysteresis_threshold(image, low, high)` with connectivity 1, its only one. The high voxel may lie
//! at the other end of the image. Cost, memory and disk as `label`, over what is above `low`.

use super::label::{CONNECTIVITY, connectivity};
use super::threshold::Threshold;
use crate::components::{Marks, Same, Selection, Writes};
use crate::spec::{Build, From, Param, Spec, Stage, Value};
use std::sync::Arc;
use voxtile_sched::contract::Joining;

/// `hysteresis low=500 high=900`.
pub(super) static SPEC: Spec = Spec {
    name: "hysteresis",
    about: "mask of the objects above a low threshold that rise above a high one",
    params: &[
        Param {
            name: "low",
            value: Value::Number,
            default: None,
            about: "objects are where the input is greater",
        },
        Param {
            name: "high",
            value: Value::Number,
            default: None,
            about: "an object stays if its input is greater somewhere",
        },
        CONNECTIVITY,
    ],
    inputs: 1,
    example: "hysteresis low=500 high=900",
    build: Build::Chain(|args| {
        let (low, high) = (args.exact("low")?, args.exact("high")?);
        let above = |value| {
            let op = Arc::new(Threshold { value });
            Stage { op, inputs: vec![From::Input(0)] }
        };
        // As scikit-image has it: what is above the high one is an object in any case.
        let low = if low.to_f64() > high.to_f64() { high } else { low };
        let selection = Selection {
            name: SPEC.name,
            joining: Joining {
                connectivity: connectivity(args)?,
                voxels: 1..=u64::MAX,
                marked: Some(true),
                wide: false,
            },
            same: Same::NonZero,
            marks: Marks::Second,
            writes: Writes::Mask { elsewhere: 0 },
        };
        let select = Stage { op: Arc::new(selection), inputs: vec![From::Stage(0), From::Stage(1)] };
        Ok(vec![above(low), above(high), select])
    }),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::components::oracle::{Foreground, numbers};
    use crate::conforms;
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Kind, Meta, PerAxis};

    fn oracle(image: &Image, low: f64, high: f64) -> Image {
        dispatch!(image.meta().dtype, T => {
            let meta = Meta { kind: Kind::Mask, ..image.meta().with_dtype(Dtype::U8) };
            let above = |bound: f64| Image::from_fn(meta.clone(), |at| u8::from(image.at::<T>(at).to_f64() > bound));
            let (weak, strong) = (above(low), above(high));
            let rises = |voxels: &[PerAxis<u64>]| voxels.iter().any(|at| strong.at::<u8>(*at) == 1);
            let stay = numbers(&weak, Foreground::NonZero, 1, rises);
            Image::from_fn(meta.clone(), |at| u8::from(stay.contains_key(&at)))
        })
    }

    conforms!(few: &SPEC, "hysteresis low=1 high=2", |image| oracle(image, 1.0, 2.0));
    conforms!(upside_down: &SPEC, "hysteresis low=3 high=1", |image| oracle(image, 1.0, 1.0));
    conforms!(many: &SPEC, "hysteresis 60 high=100.5", |image| oracle(image, 60.0, 100.5));
}
