//! Natural logarithm.
//!
//! Any type → f32, every axis; -∞ of 0, NaN of what is below. Integers and f64 are computed in f64 from the exact value and
//! rounded once: `numpy.log(image.astype(float64)).astype(float32)`, with an error of 1 ULP of f64 before the rounding. f32 is
//! computed in f32 with what the larger sums lose, within 0.63 ULP of that: about one voxel in a hundred near 1, and one in a
//! thousand elsewhere, is the neighbouring f32. Cost: 0.25 ns per voxel of f32, 0.3 of 8 and 16 bits, from a table of all
//! values, 0.8 of others; no scratch.

use crate::functions::{Real, tabled};
use crate::math;
use crate::spec::{Build, Spec};
use voxtile_sched::model::{Dtype, Element};

/// `ln`.
pub(super) static SPEC: Spec = Spec {
    name: "ln",
    about: "natural logarithm",
    params: &[],
    inputs: 1,
    example: "ln",
    build: Build::One(|args| Ok(tabled(SPEC.name, 0.5, args.input().dtype, Ln))),
};

#[derive(Clone, Copy)]
struct Ln;

impl Real for Ln {
    #[inline(always)]
    fn of(self, x: f64) -> f64 {
        math::ln(x)
    }

    #[inline(always)]
    fn at<T: Element>(self, voxel: T) -> f32 {
        if T::DTYPE == Dtype::F32 { math::ln_of_f32(voxel.to_f32()) } else { self.of(voxel.to_f64()) as f32 }
    }

    fn kernel(self) -> (u32, [f64; 3]) {
        (1, [0.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use voxtile_sched::dispatch;

    conforms!(
        logarithm: &SPEC, "ln",
        |image| dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f64().ln() as f32)),
        ulp(1, "f32 is computed in f32, within 0.63 ULP; a different last bit of f64 may round to another f32"),
    );
}
