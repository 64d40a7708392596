//! The last stage of a step of several filters: their results become one, voxel by voxel, in f32 arithmetic.

use crate::pointwise::{Parts, same_shape};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Kind, Meta, Shape, Tile, TileMut};

/// A function of the voxels of one to three images, the first of any sample type, the others f32; f32 throughout.
/// `at` must be `#[inline(always)]`. In place of images that there are not, it is given -0, which adds nothing.
pub(crate) trait Join: Copy + Send + Sync + 'static {
    /// f32, or u8 for a mask.
    type Output: Element;

    /// The output voxel.
    fn at(self, a: f32, b: f32, c: f32) -> Self::Output;

    /// The family of kernels that does the same, and what they are given.
    fn kernel(self) -> Option<(&'static str, Vec<Argument>)> {
        None
    }
}

/// The operation of that name.
pub(crate) fn join(name: &'static str, f: impl Join) -> Arc<dyn Op> {
    Arc::new(Joined { name, f })
}

struct Joined<F> {
    name: &'static str,
    f: F,
}

impl<F: Join> Op for Joined<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        let kind = if F::Output::DTYPE == Dtype::U8 { Kind::Mask } else { Kind::Image };
        Ok(inputs[0].with_dtype(F::Output::DTYPE).with_kind(kind))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.2
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let parts = Parts::of(inputs, &output);
        let mut to = output.view::<F::Output>();
        dispatch!(inputs[0].dtype(), T => {
            let first = inputs[0].view::<T>();
            let other = |n: usize| inputs.get(n).map(Tile::view::<f32>);
            let (second, third) = (other(1), other(2));
            parts.each(usize::MAX, |part| {
                let a = &first.raw()[part.range(first.strides())];
                let b = second.map(|b| &b.raw()[part.range(b.strides())]);
                let c = third.map(|c| &c.raw()[part.range(c.strides())]);
                let range = part.range(to.strides());
                line(self.f, a, b, c, &mut to.raw()[range]);
            });
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let (family, arguments) = self.f.kernel()?;
        let from = (0..inputs.len()).map(Slot::Input).collect();
        let kernel = format!("{family}_{}", inputs[0]);
        Some(Sweep::new(kernel, from, vec![Slot::Output], arguments).into())
    }
}

vectorised! {
    fn line<T: Element, F: Join>(f: F, a: &[T], b: Option<&[f32]>, c: Option<&[f32]>, to: &mut [F::Output]) {
        match (b, c) {
            (Some(b), Some(c)) => {
                for (((to, a), &b), &c) in to.iter_mut().zip(a).zip(b).zip(c) {
                    *to = f.at(a.to_f32(), b, c);
                }
            }
            (Some(b), None) => {
                for ((to, a), &b) in to.iter_mut().zip(a).zip(b) {
                    *to = f.at(a.to_f32(), b, -0.0);
                }
            }
            _ => {
                for (to, a) in to.iter_mut().zip(a) {
                    *to = f.at(a.to_f32(), -0.0, -0.0);
                }
            }
        }
    }
}
