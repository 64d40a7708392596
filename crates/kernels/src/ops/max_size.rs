//! Labels without the large objects.
//!
//! Label image of an integer type → the same image, whose objects of more voxels than said are 0. All else is as in
//! `min-size`.

use crate::objects::{Rule, counted};
use crate::spec::{Build, Param, Spec, Value};

/// `max-size 5000`.
pub(super) static SPEC: Spec = Spec {
    name: "max-size",
    about: "labels without the large objects",
    params: &[Param {
        name: "voxels",
        value: Value::Number,
        default: None,
        about: "most voxels of an object that stays",
    }],
    inputs: 1,
    example: "threshold 900 | label | max-size 5000",
    build: Build::One(|args| {
        let most = args.whole("voxels", 0..=u64::MAX)?;
        Ok(counted(SPEC.name, Rule::Voxels(0..=most)))
    }),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::objects::oracle::replaced;
    use voxtile_sched::model::Dtype;

    conforms!(
        of_five: &SPEC, "max-size 5",
        |image| replaced(image, |key, voxels| if voxels.len() > 5 { 0 } else { key.2 }),
        dtypes(&[Dtype::U8, Dtype::U32, Dtype::I16]),
    );
}
