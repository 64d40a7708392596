//! Photographic negative.
//!
//! Any type → same type and shape, every axis: `max − x` for unsigned integers, `−1 − x` for signed ones (as
//! `skimage.util.invert`), `1 − x` for floats. A mask stays a mask: 0 becomes 1, all else 0.
//! Cost: one read and one write; no scratch.

use crate::pointwise::{Point, Sample, map};
use crate::spec::{Build, Spec};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Kind, Meta, Shape, Tile, TileMut};

/// `invert`.
pub(super) static SPEC: Spec = Spec {
    name: "invert",
    about: "negative: max − x unsigned, −1 − x signed, 1 − x float and mask",
    params: &[],
    inputs: 1,
    example: "invert",
    build: Build::One(|args| Ok(Arc::new(Invert { mask: args.input().kind == Kind::Mask }))),
};

struct Invert {
    mask: bool,
}

/// `max − x` and `−1 − x` are both the complement of the bits.
#[derive(Clone, Copy)]
struct Negative;

#[derive(Clone, Copy)]
struct Not;

impl<T: Sample> Point<T, T> for Negative {
    #[inline(always)]
    fn at(self, value: T) -> T {
        match T::DTYPE {
            Dtype::F32 => T::from_word(u64::from((1.0 - value.to_f32()).to_bits())),
            Dtype::F64 => T::from_word((1.0 - value.to_f64()).to_bits()),
            _ => T::from_word(!value.to_word()),
        }
    }
}

impl<T: Sample> Point<T, T> for Not {
    #[inline(always)]
    fn at(self, value: T) -> T {
        T::from_f64(if value == T::default() { 1.0 } else { 0.0 })
    }
}

impl Op for Invert {
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
        dispatch!(output.dtype(), T => match self.mask {
            true => map::<T, T>(Not, &inputs[0], output),
            false => map::<T, T>(Negative, &inputs[0], output),
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let arguments = vec![Argument::U32(u32::from(self.mask))];
        Some(Sweep::over(format!("invert_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, steps};
    use voxtile_sched::model::Element;

    fn oracle(image: &Image) -> Image {
        match image.meta().dtype {
            Dtype::U8 => image.map(|v: u8| u8::MAX - v),
            Dtype::U16 => image.map(|v: u16| u16::MAX - v),
            Dtype::U32 => image.map(|v: u32| u32::MAX - v),
            Dtype::U64 => image.map(|v: u64| u64::MAX - v),
            Dtype::I8 => image.map(|v: i8| -1 - v),
            Dtype::I16 => image.map(|v: i16| -1 - v),
            Dtype::I32 => image.map(|v: i32| -1 - v),
            Dtype::I64 => image.map(|v: i64| -1 - v),
            Dtype::F32 => image.map(|v: f32| 1.0 - v),
            Dtype::F64 => image.map(|v: f64| 1.0 - v),
        }
    }

    conforms!(every_type: &SPEC, "invert", |image| oracle(image));

    #[test]
    fn a_mask_stays_a_mask() {
        for dtype in Dtype::ALL {
            dispatch!(dtype, T => {
                let one = T::from_f64(1.0);
                let mask = Image::of::<T>("x", &[2], &[T::default(), one]).described(|m| m.kind = Kind::Mask);
                let inverted = steps("invert", &mask);
                assert_eq!(inverted.values::<T>(), [one, T::default()]);
                assert_eq!(inverted.meta().kind, Kind::Mask);
            });
        }
    }
}
