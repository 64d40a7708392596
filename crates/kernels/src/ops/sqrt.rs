//! Square root.
//!
//! Any type → f32, every axis; NaN of what is below 0. Equal to `numpy.sqrt(image.astype(float64)).astype(float32)`:
//! the root in f64 of the exact value, rounded once. Cost: one read and one write; no scratch.

use crate::functions::{Real, function};
use crate::spec::{Build, Spec};
use voxtile_sched::model::{Dtype, Element};

/// `sqrt`.
pub(super) static SPEC: Spec = Spec {
    name: "sqrt",
    about: "square root",
    params: &[],
    inputs: 1,
    example: "sqrt",
    build: Build::One(|_| Ok(function(SPEC.name, 0.15, Root))),
};

#[derive(Clone, Copy)]
struct Root;

impl Real for Root {
    #[inline(always)]
    fn of(self, x: f64) -> f64 {
        x.sqrt()
    }

    #[inline(always)]
    fn at<T: Element>(self, voxel: T) -> f32 {
        match T::DTYPE {
            Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64 | Dtype::F64 => self.of(voxel.to_f64()) as f32,
            // A root that is rounded to f64 first comes out the same: 53 bits are more than twice 24 and 2.
            _ => voxel.to_f32().sqrt(),
        }
    }

    fn kernel(self) -> (u32, [f64; 3]) {
        (3, [0.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use voxtile_sched::dispatch;

    conforms!(root: &SPEC, "sqrt", |image| {
        dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f64().sqrt() as f32))
    });
}
