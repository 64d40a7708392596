//! One image minus another, never wrapping.

use crate::pointwise::{same_dtype, same_shape};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Slot, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Shape, Tile, TileMut};

/// The first input minus the second, voxel by voxel; integers stop at the ends of their type.
pub(crate) struct Difference {
    name: &'static str,
}

impl Difference {
    /// The last stage of the operation of that name.
    pub(crate) fn of(name: &'static str) -> Arc<dyn Op> {
        Arc::new(Self { name })
    }
}

impl Op for Difference {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        same_dtype(inputs)?;
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.05
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let [nt, nc, nz, ny, _] = output.shape();
        dispatch!(output.dtype(), T => {
            let (a, b, mut out) = (inputs[0].view::<T>(), inputs[1].view::<T>(), output.view::<T>());
            for t in 0..nt {
                for c in 0..nc {
                    for z in 0..nz {
                        for y in 0..ny {
                            subtract(a.row(t, c, z, y), b.row(t, c, z, y), out.row(t, c, z, y));
                        }
                    }
                }
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let from = vec![Slot::Input(0), Slot::Input(1)];
        let kernel = format!("subtract_{}", inputs[0]);
        Some(Sweep::new(kernel, from, vec![Slot::Output], Vec::new()).into())
    }
}

/// A sample type with a subtraction that does not wrap.
trait Subtract: Element {
    fn minus(self, other: Self) -> Self;
}

macro_rules! subtract {
    ($($t:ty: $($path:ident)::+),*) => { $(impl Subtract for $t {
        #[inline(always)]
        fn minus(self, other: Self) -> Self { $($path)::+(self, other) }
    })* };
}
subtract!(u8: u8::saturating_sub, i8: i8::saturating_sub, u16: u16::saturating_sub, i16: i16::saturating_sub);
subtract!(u32: u32::saturating_sub, i32: i32::saturating_sub, u64: u64::saturating_sub, i64: i64::saturating_sub);
subtract!(f32: std::ops::Sub::sub, f64: std::ops::Sub::sub);

vectorised! {
    fn subtract<T: Subtract>(a: &[T], b: &[T], out: &mut [T]) {
        for ((&a, &b), out) in a.iter().zip(b).zip(out) {
            *out = a.minus(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_stop_at_the_ends_of_the_type() {
        let (a, b) = ([-100i8, 100, 5], [100i8, -100, 2]);
        let mut out = [0i8; 3];
        let shape = [1, 1, 1, 1, 3];
        let tile = |v| Tile::new(Dtype::I8, shape, bytemuck::cast_slice(v));
        let to = TileMut::new(Dtype::I8, shape, bytemuck::cast_slice_mut(&mut out));
        Difference::of("tophat").cpu(&[tile(&a), tile(&b)], to, &mut []);
        assert_eq!(out, [-128, 127, 3]);
    }
}
