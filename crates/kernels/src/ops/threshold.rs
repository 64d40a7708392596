//! Mask of the voxels above a value.
//!
//! Any type → u8 mask of the same shape, every axis: 1 where input **>** value, else 0; NaN is not above anything. The
//! comparison is exact in every type: values between integers, beyond the type's range or larger than 2^53 do what
//! the mathematics says. Cost: one read and one write; no scratch. The value is a number, or found in the whole image
//! first: `automatic.rs` says how.

use super::automatic::{Automatic, Method, NAMES};
use crate::pointwise::{Point, Sample, map};
use crate::spec::{ArgError, Args, Build, Number, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Kind, Meta, Tile, TileMut};

/// `threshold 900`.
pub(super) static SPEC: Spec = Spec {
    name: "threshold",
    about: "mask of the voxels above a value",
    params: &[
        Param {
            name: "value",
            value: Value::NumberOr(&NAMES),
            default: Some(""),
            about: "the mask is 1 where the input is greater; a name finds it in the whole image",
        },
        Param {
            name: "percentile",
            value: Value::Number,
            default: Some(""),
            about: "0 to 100, instead of a value: that percentile of the whole image",
        },
    ],
    inputs: 1,
    example: "threshold 900",
    build: Build::One(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let dtype = args.input().dtype;
    let method = match (args.text("value"), args.text("percentile")) {
        (Some(text), Some(_)) => return Err(args.wrong("value", text, "allowed beside `percentile`")),
        (None, Some(text)) => match args.number("percentile")? {
            percent if (0.0..=100.0).contains(&percent) => Some(Method::Percentile(percent)),
            _ => return Err(args.wrong("percentile", text, "a number from 0 to 100")),
        },
        (text, None) => text.and_then(|text| Method::from_name(text.trim())),
    };
    Ok(match method {
        Some(method) => Arc::new(Automatic { method, dtype }),
        None => Arc::new(Threshold { value: args.exact("value")? }),
    })
}

pub(super) struct Threshold {
    pub(super) value: Number,
}

/// `x >= bound`, or nothing at all.
#[derive(Clone, Copy)]
struct AtLeast<T>(T);

#[derive(Clone, Copy)]
struct Above<T>(T);

#[derive(Clone, Copy)]
struct Never;

impl<T: Sample> Point<T, u8> for AtLeast<T> {
    #[inline(always)]
    fn at(self, value: T) -> u8 {
        u8::from(value >= self.0)
    }
}

impl<T: Sample> Point<T, u8> for Above<T> {
    #[inline(always)]
    fn at(self, value: T) -> u8 {
        u8::from(value > self.0)
    }
}

impl<T: Sample> Point<T, u8> for Never {
    #[inline(always)]
    fn at(self, _value: T) -> u8 {
        0
    }
}

/// The mask of one tile. An integer is above `v` where it is at least ⌊v⌋ + 1; a float is above `v` where it is
/// above the largest number of its type that is not above `v`.
fn mask<T: Sample>(value: Number, input: &Tile<'_>, output: TileMut<'_>) {
    match T::DTYPE {
        Dtype::F32 => {
            let bound = T::from_word(u64::from(value.floor_f32().to_bits()));
            map::<T, u8>(Above(bound), input, output);
        }
        Dtype::F64 => map::<T, u8>(Above(T::from_word(value.floor_f64().to_bits())), input, output),
        _ => {
            let bound = value.floor().saturating_add(1).max(T::LOWEST.to_i128());
            if bound > T::HIGHEST.to_i128() {
                map::<T, u8>(Never, input, output);
            } else {
                map::<T, u8>(AtLeast(T::from_word(bound as u64)), input, output);
            }
        }
    }
}

impl Op for Threshold {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.06
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => mask::<T>(self.value, &inputs[0], output));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, steps};
    use voxtile_sched::model::Element;

    /// Integers in `i128` against the value's floor, floats in `f64`.
    fn oracle(image: &Image, value: f64) -> Image {
        dispatch!(image.meta().dtype, T => image.map(|v: T| {
            u8::from(if T::DTYPE.is_float() { v.to_f64() > value } else { v.to_i128() > value.floor() as i128 })
        }))
    }

    conforms!(zero: &SPEC, "threshold 0", |image| oracle(image, 0.0));
    conforms!(below_unsigned: &SPEC, "threshold value=-1", |image| oracle(image, -1.0));
    conforms!(between_integers: &SPEC, "threshold 1.5", |image| oracle(image, 1.5));
    conforms!(between_floats: &SPEC, "threshold 0.3", |image| oracle(image, 0.3));
    conforms!(highest_of_u8: &SPEC, "threshold 255", |image| oracle(image, 255.0));
    conforms!(beyond_all_integers: &SPEC, "threshold 1e29", |image| oracle(image, 1e29));
    conforms!(below_all_integers: &SPEC, "threshold -1e300", |image| oracle(image, -1e300));
    conforms!(infinite: &SPEC, "threshold -inf", |image| oracle(image, f64::NEG_INFINITY));

    #[test]
    fn large_integers_are_compared_exactly() {
        let image = Image::of::<u64>("x", &[3], &[(1 << 53) + 1, (1 << 53) + 2, u64::MAX]);
        assert_eq!(steps("threshold 9007199254740993", &image).values::<u8>(), [0, 1, 1]);
        assert_eq!(steps("threshold 18446744073709551614", &image).values::<u8>(), [0, 0, 1]);
        assert_eq!(steps("threshold 18446744073709551615", &image).values::<u8>(), [0, 0, 0]);
        let image = Image::of::<i64>("x", &[2], &[i64::MIN, i64::MIN + 1]);
        assert_eq!(steps("threshold -9223372036854775808", &image).values::<u8>(), [0, 1]);
        // 2^53 + 1 is no f64: the double 2^53 is not above it, the next double is.
        let image = Image::of::<f64>("x", &[2], &[9_007_199_254_740_992.0, 9_007_199_254_740_994.0]);
        assert_eq!(steps("threshold 9007199254740993", &image).values::<u8>(), [0, 1]);
    }

    #[test]
    fn nan_is_not_above_anything_and_the_result_is_a_mask() {
        let image = Image::of::<f32>("x", &[3], &[f32::NAN, f32::INFINITY, -1.0]);
        let mask = steps("threshold -2", &image);
        assert_eq!(mask.values::<u8>(), [0, 1, 1]);
        assert_eq!(mask.meta().kind, Kind::Mask);
    }
}
