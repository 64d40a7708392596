//! Natural logarithm.
//!
//! Any type → f32, every axis; -∞ of 0, NaN of what is below. Computed in f64 from the exact value and rounded once:
//! `numpy.log(image.astype(float64)).astype(float32)`, with an error of 1 ULP in f64 before the rounding, so that about
//! one voxel in 10⁸ may be the neighbouring f32. Cost: 1 ns per voxel; no scratch.

use crate::functions::{Real, function};
use crate::math;
use crate::spec::{Build, Spec};

/// `ln`.
pub(super) static SPEC: Spec = Spec {
    name: "ln",
    about: "natural logarithm",
    params: &[],
    inputs: 1,
    example: "ln",
    build: Build::One(|_| Ok(function(SPEC.name, 1.0, Ln))),
};

#[derive(Clone, Copy)]
struct Ln;

impl Real for Ln {
    #[inline(always)]
    fn of(self, x: f64) -> f64 {
        math::ln(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::Element;

    conforms!(
        logarithm: &SPEC, "ln",
        |image| dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f64().ln() as f32)),
        ulp(1, "a different last bit of f64 may round to another f32"),
    );
}
