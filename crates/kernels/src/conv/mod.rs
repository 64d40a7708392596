//! Separable filters: symmetric weights, or a mean, along each space axis.
//!
//! Axes are filtered in the order z, y, x; values are rounded to `f32` before the first and after each. Rounded sums
//! do not depend on the tile, nor on the machine.

mod boxes;
pub(crate) mod derivative;
pub(crate) mod edges;
mod gaussian;
pub(crate) mod hessian;
mod join;
mod local;
pub(crate) mod moments;
mod recursive;
mod scratch;
mod symmetric;
mod weights;

pub(crate) use derivative::{Order, components};
pub(crate) use edges::{Edges, Smoothing};
pub(crate) use gaussian::{SIGMA, TRUNCATE, blurred, sigmas, truncation};
pub(crate) use join::{Join, Joining, join};
pub(crate) use local::{LOCAL, above_local};
pub(crate) use moments::{Ending, Moments, SIZE, Statistic, sizes};
pub(crate) use recursive::{LEAST_SIGMA, Recursive};
pub(crate) use scratch::Scratch;
pub(crate) use symmetric::Half;
pub(crate) use weights::{
    centred as centred_weights, derivative as derivative_weights, gaussian as gaussian_weights, in_f32,
    radius,
};

use crate::device::{Along, TAPS, separable, why};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Dtype, Halo, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// A filter along z, y and x.
#[derive(Clone, Debug)]
pub(crate) enum Separable {
    /// Weights, centre first; `[1]` leaves an axis as it is. The centre is multiplied first, then the sums or
    /// differences of the pairs are, from the outside in. Sums are `f64`; products are rounded, then added.
    Exact([Half<f64>; 3]),
    /// As `Exact`, but sums are `f32`, with fused products and additions.
    Fast([Half<f32>; 3]),
    /// Means of so many voxels, with sums in `f64`. Of an even number, the centre is the first of the second half.
    Mean([usize; 3]),
}

impl Separable {
    /// Voxels read before and after each output, along z, y and x.
    fn reach(&self) -> [(usize, usize); 3] {
        let radius = |n: usize| (n, n);
        match self {
            Self::Exact(weights) => weights.each_ref().map(|w| radius(w.radius())),
            Self::Fast(weights) => weights.each_ref().map(|w| radius(w.radius())),
            Self::Mean(sizes) => sizes.map(|n| (n / 2, n - 1 - n / 2)),
        }
    }

    /// The operation of that name which filters a whole image.
    pub(crate) fn op(self, name: &'static str, border: Border) -> Arc<dyn Op> {
        Arc::new(Filter { name, filter: self, border })
    }

    /// The neighbourhood that it reads.
    fn footprint(&self) -> Footprint {
        let mut halo = Halo::NONE;
        for (axis, (lo, hi)) in (2..).zip(self.reach()) {
            (halo.lo[axis], halo.hi[axis]) = (lo as u64, hi as u64);
        }
        Footprint::Halo(halo)
    }

    /// Bytes of scratch for an output tile of that shape.
    fn scratch(&self, output: &Shape) -> u64 {
        let output: PerAxis<usize> = output.map(|n| n as usize);
        let bytes = match self {
            Self::Exact(weights) => symmetric::scratch(weights, output),
            Self::Fast(weights) => symmetric::scratch(weights, output),
            Self::Mean(sizes) => boxes::scratch(*sizes, output),
        };
        bytes as u64
    }

    /// Filters a tile of any type into one of `f32`.
    fn run(&self, input: &Tile<'_>, mut output: TileMut<'_>, scratch: &mut [u8]) {
        let output = output.view::<f32>();
        dispatch!(input.dtype(), T => {
            let input = input.view::<T>();
            match self {
                Self::Exact(weights) => symmetric::run(weights, input, output, scratch),
                Self::Fast(weights) => symmetric::run(weights, input, output, scratch),
                Self::Mean(sizes) => boxes::run(*sizes, input, output, scratch),
            }
        });
    }

    /// Whether a device's kernel has room for the weights.
    fn fits(&self) -> bool {
        !matches!(self, Self::Exact(_) | Self::Fast(_)) || self.reach().iter().all(|(lo, _)| *lo < TAPS)
    }

    /// The same on a device: a pass along each axis that has neighbours.
    fn kernels(&self, input: Dtype, shape: &Shape) -> Kernels {
        let mut passes: Vec<Along> = Vec::new();
        for (axis, (lo, hi)) in (2..5).zip(self.reach()) {
            let from = if passes.is_empty() { input } else { Dtype::F32 };
            let (family, arguments) = match self {
                Self::Exact(weights) => {
                    let Half { weights, odd } = &weights[axis - 2];
                    if !odd && *weights == [1.0] {
                        continue;
                    }
                    let numbers = [axis as u32, lo as u32, u32::from(*odd)].map(Argument::U32);
                    ("convolve", [&numbers[..], &[Argument::F64s(weights.clone(), TAPS)]].concat())
                }
                Self::Mean(sizes) => match sizes[axis - 2] {
                    1 => continue,
                    size => ("mean", [axis as u32, size as u32].map(Argument::U32).to_vec()),
                },
                Self::Fast(weights) => {
                    let Half { weights, odd } = &weights[axis - 2];
                    if !odd && *weights == [1.0] {
                        continue;
                    }
                    let numbers = [axis as u32, lo as u32, u32::from(*odd)].map(Argument::U32);
                    let weights = weights.iter().map(|w| f64::from(*w)).collect();
                    ("convolve_fast", [&numbers[..], &[Argument::F64s(weights, TAPS)]].concat())
                }
            };
            passes.push(Along {
                axis,
                reach: (lo + hi) as u64,
                kernel: format!("{family}_{from}"),
                arguments,
                weight: 1.0 + 0.1 * (lo + hi) as f64,
            });
        }
        if passes.is_empty() {
            return Sweep::over(format!("cast_{input}_f32"), Vec::new()).into();
        }
        separable(passes, Dtype::F32, shape)
    }

    /// Estimated nanoseconds per voxel on one core, without the halo.
    fn ns_per_voxel(&self) -> f64 {
        let (axis, pair) = match self {
            Self::Exact(_) => (0.15, 0.05),
            Self::Fast(_) => (0.1, 0.02),
            Self::Mean(_) => (0.4, 0.01),
        };
        self.reach().iter().map(|&(lo, _)| if lo == 0 { 0.05 } else { axis + pair * lo as f64 }).sum()
    }
}

/// A filter as an operation: any sample type → f32.
struct Filter {
    name: &'static str,
    filter: Separable,
    border: Border,
}

impl Op for Filter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        self.filter.footprint()
    }

    fn border(&self) -> Border {
        self.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        self.filter.scratch(output)
    }

    fn ns_per_voxel(&self) -> f64 {
        self.filter.ns_per_voxel()
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, scratch: &mut [u8]) {
        self.filter.run(&inputs[0], output, scratch);
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (!self.filter.fits()).then_some(why::WEIGHTS)
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, shape: &Shape) -> Option<Kernels> {
        self.filter.fits().then(|| self.filter.kernels(inputs[0], shape))
    }
}
