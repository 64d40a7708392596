//! Operations that take each voxel through a function of real numbers.

use crate::pointwise::{Point, map};
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Kind, Meta, Tile, TileMut};

/// A function of one real number. Its methods must be `#[inline(always)]`, as those of [`Point`].
pub(crate) trait Real: Copy + Send + Sync + 'static {
    /// The value, computed in `f64`.
    fn of(self, x: f64) -> f64;

    /// The value for a voxel, rounded to `f32` once. A function that needs no `f64` for that may say so.
    #[inline(always)]
    fn at<T: Element>(self, voxel: T) -> f32 {
        self.of(voxel.to_f64()) as f32
    }
}

/// Any sample type → f32.
struct Function<F> {
    name: &'static str,
    ns_per_voxel: f64,
    f: F,
}

/// The operation of that name, and what it costs.
pub(crate) fn function(name: &'static str, ns_per_voxel: f64, f: impl Real) -> Arc<dyn Op> {
    Arc::new(Function { name, ns_per_voxel, f })
}

#[derive(Clone, Copy)]
struct Rounded<F>(F);

impl<T: Element, F: Real> Point<T, f32> for Rounded<F> {
    #[inline(always)]
    fn at(self, value: T) -> f32 {
        self.0.at(value)
    }
}

impl<F: Real> Op for Function<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        self.ns_per_voxel
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => map::<T, f32>(Rounded(self.f), &inputs[0], output));
    }
}
