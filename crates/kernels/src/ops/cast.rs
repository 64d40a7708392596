//! Change of the sample type.
//!
//! Any type → any type, same shape, every axis. Integers saturate and are exact between each other; floats round half
//! to even and saturate, NaN becomes 0; f64 → f32 and integer → float round once. No value is rescaled: 200 stays 200.
//! Cost: one read and one write; no scratch.

use crate::device;
use crate::pointwise::{Point, Sample, cast, map};
use crate::spec::{Build, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::device::Sweep;
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Meta, Shape, Tile, TileMut};

/// `cast u8`.
pub(super) static SPEC: Spec = Spec {
    name: "cast",
    about: "change the sample type: saturates, rounds half to even",
    params: &[Param {
        name: "dtype",
        value: Value::Dtype,
        default: None,
        about: "sample type of the result",
    }],
    inputs: 1,
    example: "cast u8",
    build: Build::One(|args| Ok(Arc::new(Cast { to: args.dtype("dtype")? }))),
};

pub(super) struct Cast {
    pub(super) to: Dtype,
}

#[derive(Clone, Copy)]
struct Convert;

impl<T: Sample, U: Sample> Point<T, U> for Convert {
    #[inline(always)]
    fn at(self, value: T) -> U {
        cast(value)
    }
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(self.to))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.15
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        if inputs[0].dtype() == self.to {
            return output.copy_from(&inputs[0]);
        }
        dispatch!(inputs[0].dtype(), T => dispatch!(self.to, U => map::<T, U>(Convert, &inputs[0], output)));
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        if inputs[0] == output {
            return Some(device::copy(output));
        }
        Some(Sweep::over(format!("cast_{}_{output}", inputs[0]), Vec::new()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, steps};
    use voxtile_sched::model::Element;

    /// Through a number that holds both types: `i128` between integers, `f64` otherwise.
    fn oracle(image: &Image, to: Dtype) -> Image {
        dispatch!(image.meta().dtype, T => dispatch!(to, U => image.map(|v: T| {
            if T::DTYPE.is_float() || U::DTYPE.is_float() {
                if U::DTYPE == Dtype::F32 { U::from_f64(f64::from(v.to_f32())) } else { U::from_f64(v.to_f64()) }
            } else {
                let wide = v.to_i128().clamp(U::LOWEST.to_i128(), U::HIGHEST.to_i128());
                *bytemuck::from_bytes(&wide.to_le_bytes()[..size_of::<U>()])
            }
        })))
    }

    conforms!(to_u8: &SPEC, "cast u8", |image| oracle(image, Dtype::U8));
    conforms!(to_i8: &SPEC, "cast dtype=int8", |image| oracle(image, Dtype::I8));
    conforms!(to_u16: &SPEC, "cast u16", |image| oracle(image, Dtype::U16));
    conforms!(to_i16: &SPEC, "cast i16", |image| oracle(image, Dtype::I16));
    conforms!(to_u32: &SPEC, "cast u32", |image| oracle(image, Dtype::U32));
    conforms!(to_i32: &SPEC, "cast i32", |image| oracle(image, Dtype::I32));
    conforms!(to_u64: &SPEC, "cast u64", |image| oracle(image, Dtype::U64));
    conforms!(to_i64: &SPEC, "cast i64", |image| oracle(image, Dtype::I64));
    conforms!(to_f32: &SPEC, "cast f32", |image| oracle(image, Dtype::F32));
    conforms!(to_f64: &SPEC, "cast float64", |image| oracle(image, Dtype::F64));

    #[test]
    fn halves_go_to_the_even_neighbour_and_nan_to_zero() {
        let image = Image::of::<f32>("x", &[8], &[0.5, 1.5, 2.5, -0.5, 254.5, 255.5, f32::NAN, -1e30]);
        assert_eq!(steps("cast u8", &image).values::<u8>(), [0, 2, 2, 0, 254, 255, 0, 0]);
        let image = Image::of::<f64>("x", &[3], &[1e300, f64::NEG_INFINITY, 9.3e18]);
        assert_eq!(steps("cast i64", &image).values::<i64>(), [i64::MAX, i64::MIN, i64::MAX]);
        // 2^53 + 1 survives between 64-bit integers: no way through f64.
        let image = Image::of::<u64>("x", &[1], &[(1 << 53) + 1]);
        assert_eq!(steps("cast i64", &image).values::<i64>(), [(1 << 53) + 1]);
    }

    #[test]
    fn a_double_is_rounded_once() {
        // Halfway between two floats but for a bit far below: rounding through any narrower step would lose it.
        let value = 1.0 + f64::from(f32::EPSILON) / 2.0 + f64::EPSILON;
        let image = Image::of::<f64>("x", &[1], &[value]);
        assert_eq!(steps("cast f32", &image).values::<f32>(), [1.0 + f32::EPSILON]);
        assert_eq!(steps("cast f32", &Image::new(meta("x", &[0], Dtype::U8))).meta().dtype, Dtype::F32);
    }
}
