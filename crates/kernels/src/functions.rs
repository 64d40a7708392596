//! Operations that take each voxel through a function of real numbers.

use crate::pointwise::{Point, Sample, line, map};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Kind, Meta, Shape, Tile, TileMut};

/// A function of one real number. Its methods must be `#[inline(always)]`, as those of [`Point`].
pub(crate) trait Real: Copy + Send + Sync + 'static {
    /// The value, computed in `f64`.
    fn of(self, x: f64) -> f64;

    /// The same on a device: the function's number in `kernels/gamma.cu`, and what it is given.
    fn kernel(self) -> (u32, [f64; 3]);

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
    /// Its values, if few are possible: by the bits of the voxel. Empty otherwise.
    table: Vec<f32>,
}

/// The operation of that name, and what it costs.
pub(crate) fn function(name: &'static str, ns_per_voxel: f64, f: impl Real) -> Arc<dyn Op> {
    Arc::new(Function { name, ns_per_voxel, f, table: Vec::new() })
}

/// As [`function`], of images of that type, where looking a value up costs less than computing it: integers of 8 and 16
/// bits go through a table of all their values, which takes at most 256 KiB.
pub(crate) fn tabled(name: &'static str, ns_per_voxel: f64, input: Dtype, f: impl Real) -> Arc<dyn Op> {
    /// Reading a voxel, the table, and writing.
    const LOOK_UP_NS: f64 = 0.3;
    if input.is_float() || input.size() > 2 {
        return function(name, ns_per_voxel, f);
    }
    let mut table = vec![0.0; 1 << (8 * input.size())];
    dispatch!(input, T => {
        let values: Vec<T> = (0..table.len() as u64).map(T::from_word).collect();
        line(Rounded(f), &values, &mut table);
    });
    Arc::new(Function { name, ns_per_voxel: LOOK_UP_NS, f, table })
}

#[derive(Clone, Copy)]
struct Rounded<F>(F);

impl<T: Element, F: Real> Point<T, f32> for Rounded<F> {
    #[inline(always)]
    fn at(self, value: T) -> f32 {
        self.0.at(value)
    }
}

/// The values of a table, by the low bits of the voxel.
#[derive(Clone, Copy)]
struct Listed<'a>(&'a [f32]);

impl<T: Sample> Point<T, f32> for Listed<'_> {
    #[inline(always)]
    fn at(self, value: T) -> f32 {
        self.0[value.to_word() as usize & (self.0.len() - 1)]
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
        dispatch!(inputs[0].dtype(), T => match &self.table[..] {
            [] => map::<T, f32>(Rounded(self.f), &inputs[0], output),
            table => map::<T, f32>(Listed(table), &inputs[0], output),
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let (function, [a, b, c]) = self.f.kernel();
        let arguments = vec![Argument::U32(function), Argument::F64(a), Argument::F64(b), Argument::F64(c)];
        Some(Sweep::over(format!("real_{}", inputs[0]), arguments).into())
    }
}
