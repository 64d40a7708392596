//! Natural logarithm.
//!
//! Any type → f32, every axis; -∞ of 0, NaN of what is below. Computed in f64 from the exact value and rounded once:
//! `numpy.log(image.astype(float64)).astype(float32)`, with a relative error below 10⁻¹⁴ before the rounding, so that
//! about one voxel in 10⁷ may be the neighbouring f32. Cost: 0.6 ns per voxel, 0.3 of 8 and 16 bits, from a table of all
//! values; no scratch.

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
    build: Build::One(|args| Ok(tabled(SPEC.name, 0.6, args.input().dtype, Ln))),
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
        // Others have no denormal number, or their own is a normal one of f64.
        let ln = if T::DTYPE == Dtype::F64 { math::ln } else { math::ln_of_normal };
        ln(voxel.to_f64()) as f32
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
        ulp(1, "a different last bit of f64 may round to another f32"),
    );
}
