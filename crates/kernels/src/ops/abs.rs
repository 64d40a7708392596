//! Magnitude.
//!
//! Any type → same type and shape, every axis. Equal to `numpy.abs`, except that the lowest value of a signed type,
//! which has no counterpart, becomes the highest (numpy leaves it negative). A mask stays a mask.
//! Cost: one read and one write; no scratch.

use crate::pointwise::{Point, Sample, map};
use crate::spec::{Build, Spec};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Meta, Shape, Tile, TileMut};

/// `abs`.
pub(super) static SPEC: Spec = Spec {
    name: "abs",
    about: "magnitude: the value without its sign",
    params: &[],
    inputs: 1,
    example: "abs",
    build: Build::One(|_| Ok(Arc::new(Abs))),
};

struct Abs;

#[derive(Clone, Copy)]
struct Magnitude;

impl<T: Sample> Point<T, T> for Magnitude {
    #[inline(always)]
    fn at(self, value: T) -> T {
        match T::DTYPE {
            Dtype::F32 => T::from_word(value.to_word() & 0x7fff_ffff),
            Dtype::F64 => T::from_word(value.to_word() & (u64::MAX >> 1)),
            _ if value == T::LOWEST => {
                if T::DTYPE.is_signed_integer() {
                    T::HIGHEST
                } else {
                    value
                }
            }
            _ if value < T::default() => T::from_word(value.to_word().wrapping_neg()),
            _ => value,
        }
    }
}

impl Op for Abs {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.08
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(output.dtype(), T => map::<T, T>(Magnitude, &inputs[0], output));
    }

    fn kernels(&self, _inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let kind = if output.is_float() { 2 } else { u32::from(output.is_signed_integer()) };
        Some(Sweep::over(format!("abs_{}", output.size()), vec![Argument::U32(kind)]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::Image;

    fn oracle(image: &Image) -> Image {
        match image.meta().dtype {
            Dtype::I8 => image.map(|v: i8| v.saturating_abs()),
            Dtype::I16 => image.map(|v: i16| v.saturating_abs()),
            Dtype::I32 => image.map(|v: i32| v.saturating_abs()),
            Dtype::I64 => image.map(|v: i64| v.saturating_abs()),
            Dtype::F32 => image.map(|v: f32| v.abs()),
            Dtype::F64 => image.map(|v: f64| v.abs()),
            Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => image.clone(),
        }
    }

    conforms!(every_type: &SPEC, "abs", |image| oracle(image));
}
