//! Labels numbered from 1 without gaps.
//!
//! Label image of an integer type → the same image, in which the smallest value above 0 is 1, the next one 2, and so on;
//! values below 0 become 0. The order is that of the values, so that of `label` stays; a value has one number in all time
//! points and channels. Equal to `skimage.segmentation.relabel_sequential(labels)[0]`, which may be of another sample
//! type. Cost, memory and disk as `min-size`.

use crate::objects::{Rule, counted};
use crate::spec::{Build, Spec};

/// `relabel`.
pub(super) static SPEC: Spec = Spec {
    name: "relabel",
    about: "labels numbered from 1 without gaps",
    params: &[],
    inputs: 1,
    example: "threshold 900 | label | clear-border | relabel",
    build: Build::One(|_| Ok(counted(SPEC.name, Rule::Renumbered))),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::objects::oracle::{objects, replaced};
    use crate::testing::Image;
    use std::collections::BTreeSet;
    use voxtile_sched::model::Dtype;

    fn oracle(image: &Image) -> Image {
        let values: BTreeSet<u64> = objects(image).into_keys().map(|key| key.2).collect();
        replaced(image, |key, _| values.iter().position(|v| *v == key.2).unwrap() as u64 + 1)
    }

    conforms!(in_order: &SPEC, "relabel", |image| oracle(image), dtypes(&[Dtype::U8, Dtype::U64, Dtype::I8]));
}
