//! Voxels added around the image.
//!
//! Any type → same type; acts on the space axes. `amount` on both sides, or `before` and `after` where they are given;
//! physical lengths are rounded to whole voxels. What the new voxels hold is the border rule: `reflect`, `constant` with
//! `cval`, `nearest`, `mirror`, `wrap`, any number of times round. The position of the first voxel moves along. Equal to
//! `numpy.pad`, whose names for the rules are `symmetric`, `constant`, `edge`, `reflect`, `wrap`. Cost: a copy.

use crate::device;
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Axis, Border, Dtype, Meta, PerAxis, Region, Shape, Tile, TileMut};

/// `pad 10 border=nearest`.
pub(super) static SPEC: Spec = Spec {
    name: "pad",
    about: "voxels added around the image",
    params: &[
        Param {
            name: "amount",
            value: Value::Length,
            default: Some("0"),
            about: "voxels added on both sides",
        },
        Param {
            name: "before",
            value: Value::Length,
            default: Some(""),
            about: "voxels before the first instead",
        },
        Param {
            name: "after",
            value: Value::Length,
            default: Some(""),
            about: "voxels after the last instead",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "pad 8",
    build: Build::One(|args| Ok(Arc::new(Pad::new(args)?))),
};

pub(super) struct Pad {
    before: PerAxis<u64>,
    after: PerAxis<u64>,
    border: Border,
}

impl Pad {
    /// As many voxels on both sides.
    pub(super) fn around(amount: PerAxis<u64>, border: Border) -> Self {
        Self { before: amount, after: amount, border }
    }

    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let side =
            |name: &'static str| args.whole_px(if args.text(name).is_some() { name } else { "amount" });
        Ok(Self { before: side("before")?, after: side("after")?, border: args.border()? })
    }
}

/// Voxels that may be added along one axis.
const MOST: u64 = 1 << 40;

impl Op for Pad {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        for axis in Axis::ALL {
            let a = axis.index();
            let added = self.before[a].saturating_add(self.after[a]);
            if added > MOST {
                let why = format!("{added} voxels along {axis} are more than an image can have");
                return Err(Refused::Param { param: "amount", why });
            }
            if added > 0 && meta.shape[a] == 0 {
                let why = format!("the image has no voxels along {axis}");
                return Err(Refused::Param { param: "amount", why });
            }
            meta.shape[a] += added;
            if let Some(spacing) = &mut meta.spacing[a] {
                spacing.origin -= self.before[a] as f64 * spacing.scale;
            }
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: true }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        out.translate(&self.before.map(|n| -(n as i64)))
    }

    fn border(&self) -> Border {
        self.border
    }

    fn ns_per_voxel(&self) -> f64 {
        0.05
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        output.copy_from(&inputs[0]);
    }

    fn kernels(&self, _inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        Some(device::copy(output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Spacing};

    fn oracle(image: &Image, before: [u64; 3], after: [u64; 3], border: Border) -> Image {
        let mut meta = image.meta().clone();
        let here = |a: usize, n: [u64; 3]| if meta.axes.contains(Axis::ALL[a]) { n[a - 2] } else { 0 };
        let (before, after): ([u64; 3], [u64; 3]) =
            ([2, 3, 4].map(|a| here(a, before)), [2, 3, 4].map(|a| here(a, after)));
        (0..3).for_each(|k| meta.shape[2 + k] += before[k] + after[k]);
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |at| {
            let mut from = at;
            for k in 0..3 {
                match border.map(at[2 + k] as i64 - before[k] as i64, image.meta().shape[2 + k]) {
                    Some(p) => from[2 + k] = p as u64,
                    None => return if let Border::Constant(v) = border { T::from_f64(v) } else { unreachable!() },
                }
            }
            image.at::<T>(from)
        }))
    }

    fn some(m: &Meta) -> bool {
        !m.shape.contains(&0)
    }

    fn flat(m: &Meta) -> bool {
        some(m) && m.axes.space().len() == 2
    }

    conforms!(all_round: &SPEC, "pad 3", |image| oracle(image, [3; 3], [3; 3], Border::Reflect), only(some));
    conforms!(
        far_outside: &SPEC, "pad 20 border=constant cval=7",
        |image| oracle(image, [20; 3], [20; 3], Border::Constant(7.0)), only(flat),
    );
    conforms!(
        one_side: &SPEC, "pad after=2,5 border=wrap",
        |image| oracle(image, [0; 3], [0, 2, 5], Border::Wrap), only(|m| some(m) && m.axes.contains(Axis::Y)),
    );
    conforms!(
        two_amounts: &SPEC, "pad 1 before=9 border=mirror",
        |image| oracle(image, [9; 3], [1; 3], Border::Mirror), only(flat),
    );
    conforms!(edges: &SPEC, "pad 4 border=nearest", |image| oracle(image, [4; 3], [4; 3], Border::Nearest), only(flat));

    #[test]
    fn the_first_voxel_moves_and_an_axis_without_voxels_is_not_padded() {
        let mut image = meta("yx", &[4, 5], Dtype::U8);
        image.spacing[4] = Some(Spacing { scale: 0.5, origin: 10.0, unit: Some("micrometer".into()) });
        let image = std::slice::from_ref(&image);
        let padded = stages(&SPEC, "pad before=0,1um", image).unwrap()[0].op.output(image).unwrap();
        assert_eq!((padded.dims(), padded.spacing[4].clone().unwrap().origin), (vec![4, 7], 9.0));
        let empty = [meta("yx", &[0, 5], Dtype::U8)];
        assert!(stages(&SPEC, "pad 1", &empty).unwrap()[0].op.output(&empty).is_err());
        assert!(stages(&SPEC, "pad 1e13", image).is_err());
    }
}
