//! Labels without the small objects.
//!
//! Label image of an integer type → the same image, whose objects of fewer voxels than said are 0; the others keep their
//! values. An object is all voxels of one value above 0 within one t and c, wherever they lie; values below 0 become 0.
//! Equal to `skimage.morphology.remove_small_objects(labels, max_size=N - 1)`. A mask is refused, as one object: `label
//! min-size=N` finds and counts its components in one step.
//! Cost: one read and one write, 1 ns a voxel and more where runs are short. Memory besides the tiles: 70 to 140 bytes per
//! object; disk for the runs, 3 bytes each.

use crate::objects::{Rule, counted};
use crate::spec::{Build, Param, Spec, Value};

/// `min-size 50`.
pub(super) static SPEC: Spec = Spec {
    name: "min-size",
    about: "labels without the small objects",
    params: &[Param {
        name: "voxels",
        value: Value::Number,
        default: None,
        about: "fewest voxels of an object that stays",
    }],
    inputs: 1,
    example: "threshold 900 | label | min-size 50",
    build: Build::One(|args| {
        let least = args.whole("voxels", 0..=u64::MAX)?;
        Ok(counted(SPEC.name, Rule::Voxels(least..=u64::MAX)))
    }),
};

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::objects::oracle::replaced;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::{Dtype, Kind, Meta};

    const INTEGERS: [Dtype; 8] =
        [Dtype::U8, Dtype::U16, Dtype::U32, Dtype::U64, Dtype::I8, Dtype::I16, Dtype::I32, Dtype::I64];

    conforms!(
        of_seven: &SPEC, "min-size 7",
        |image| replaced(image, |key, voxels| if voxels.len() < 7 { 0 } else { key.2 }), dtypes(&INTEGERS),
    );

    #[test]
    fn what_holds_no_labels_is_refused_with_the_reason() {
        let refused = |meta: Meta| {
            let made = stages(&SPEC, "min-size 7", std::slice::from_ref(&meta)).unwrap();
            made[0].op.output(&[meta]).unwrap_err().to_string()
        };
        let mask = Meta { kind: Kind::Mask, ..meta("yx", &[3, 3], Dtype::U8) };
        assert!(refused(mask).contains("`label` makes an object of each component"));
        assert!(refused(meta("x", &[3], Dtype::F32)).contains("`label` makes them"));
    }

    #[test]
    fn pieces_of_a_value_count_together() {
        let image = Image::of::<u16>("yx", &[2, 5], &[9, 9, 0, 9, 4, 0, 0, 0, 4, 0]);
        let got = crate::testing::steps("min-size 3", &image);
        assert_eq!(got.values::<u16>(), [9, 9, 0, 9, 0, 0, 0, 0, 0, 0]);
    }
}
