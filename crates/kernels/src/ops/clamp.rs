//! Values kept within bounds.
//!
//! Any type → same type and shape, every axis. A bound between two values of the type moves inwards (`min=1.5` on
//! integers is 2), one beyond the type's range does nothing; float bounds are rounded to the image's type. NaN stays
//! NaN. Cost: one read and one write; no scratch.

use crate::pointwise::{Point, Sample, map};
use crate::spec::{Build, Number, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Shape, Tile, TileMut};

/// `clamp min=0 max=255`.
pub(super) static SPEC: Spec = Spec {
    name: "clamp",
    about: "values kept within bounds",
    params: &[
        Param { name: "min", value: Value::Number, default: Some("-inf"), about: "values below become this" },
        Param { name: "max", value: Value::Number, default: Some("inf"), about: "values above become this" },
    ],
    inputs: 1,
    example: "clamp min=100 max=4000",
    build: Build::One(|args| Ok(Arc::new(Clamp { min: args.exact("min")?, max: args.exact("max")? }))),
};

struct Clamp {
    min: Number,
    max: Number,
}

#[derive(Clone, Copy)]
struct Between<T> {
    lo: T,
    hi: T,
}

impl<T: Sample> Point<T, T> for Between<T> {
    #[inline(always)]
    fn at(self, value: T) -> T {
        // In this order NaN passes.
        let value = if value < self.lo { self.lo } else { value };
        if value > self.hi { self.hi } else { value }
    }
}

impl Clamp {
    /// The bounds as values of the type; `None` if there is no value between them.
    fn bounds<T: Sample>(&self) -> Option<Between<T>> {
        let bounds = if T::DTYPE.is_float() {
            Between { lo: T::from_f64(self.min.to_f64()), hi: T::from_f64(self.max.to_f64()) }
        } else {
            let (least, most) = (T::LOWEST.to_i128(), T::HIGHEST.to_i128());
            let (lo, hi) = (self.min.ceil(), self.max.floor());
            if lo > hi {
                return None;
            }
            Between {
                lo: T::from_word(lo.clamp(least, most) as u64),
                hi: T::from_word(hi.clamp(least, most) as u64),
            }
        };
        (bounds.lo <= bounds.hi).then_some(bounds)
    }
}

impl Op for Clamp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        dispatch!(inputs[0].dtype, T => match self.bounds::<T>() {
            Some(_) => Ok(inputs[0].clone()),
            None => Err(Refused::Param {
                param: "min",
                why: format!("no {} lies between min={} and max={}", T::DTYPE, self.min, self.max),
            }),
        })
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.08
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => {
            let all = Between { lo: T::LOWEST, hi: T::HIGHEST };
            map::<T, T>(self.bounds().unwrap_or(all), &inputs[0], output);
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let words = dispatch!(inputs[0], T => self.bounds::<T>().map(|b| [b.lo.to_word(), b.hi.to_word()]));
        let arguments = words?.map(Argument::U64).to_vec();
        Some(Sweep::over(format!("clamp_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};

    /// Whole bounds, in `i128` for integers and in the type itself for floats.
    fn oracle(image: &Image, min: i64, max: i64) -> Image {
        dispatch!(image.meta().dtype, T => image.map(|v: T| {
            if T::DTYPE.is_float() {
                let (lo, hi) = (T::from_f64(min as f64), T::from_f64(max as f64));
                return if v < lo { lo } else if v > hi { hi } else { v };
            }
            let range = |v: i128| v.clamp(T::LOWEST.to_i128(), T::HIGHEST.to_i128());
            let value = v.to_i128().clamp(range(i128::from(min)), range(i128::from(max)));
            *bytemuck::from_bytes::<T>(&value.to_le_bytes()[..size_of::<T>()])
        }))
    }

    conforms!(both: &SPEC, "clamp min=1 max=100", |image| oracle(image, 1, 100));
    conforms!(
        bounds_beyond_small_types: &SPEC, "clamp min=-1000 max=1000",
        |image| oracle(image, -1000, 1000),
    );
    conforms!(only_below: &SPEC, "clamp 2", |image| oracle(image, 2, i64::MAX), dtypes(&[
        Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16, Dtype::U32, Dtype::I32, Dtype::I64,
    ]));
    conforms!(between_integers: &SPEC, "clamp min=-2.5 max=1.5", |image| oracle(image, -2, 1), dtypes(&[
        Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16, Dtype::U32, Dtype::I32, Dtype::U64, Dtype::I64,
    ]));

    #[test]
    fn floats_keep_nan_and_take_rounded_bounds() {
        let image = Image::of::<f32>("x", &[4], &[f32::NAN, -1.0, 0.5, f32::INFINITY]);
        let clamped = steps("clamp min=0.1 max=0.7", &image);
        assert!(clamped.values::<f32>()[0].is_nan());
        assert_eq!(clamped.values::<f32>()[1..], [0.1, 0.5, 0.7]);
    }

    #[test]
    fn large_integers_are_kept_exactly() {
        let image = Image::of::<u64>("x", &[2], &[0, u64::MAX]);
        let clamped = steps("clamp min=9007199254740993 max=18446744073709551614", &image);
        assert_eq!(clamped.values::<u64>(), [9_007_199_254_740_993, u64::MAX - 1]);
    }

    #[test]
    fn bounds_without_a_value_between_are_refused() {
        let image = meta("x", &[3], Dtype::U8);
        for text in ["clamp min=5 max=4", "clamp min=1.2 max=1.8"] {
            let stages = stages(&SPEC, text, std::slice::from_ref(&image)).unwrap();
            assert!(stages[0].op.output(std::slice::from_ref(&image)).is_err(), "{text}");
        }
    }
}
