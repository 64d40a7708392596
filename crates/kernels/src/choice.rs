//! Voxels chosen by the voxels of another image: where that is not 0, as numpy takes it for true, also where it is NaN.

use crate::device::sweep;
use crate::pointwise::Parts;
use crate::vectorised;
use voxtile_sched::contract::Kernels;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Shape, Tile, TileMut, View};

/// Voxels that are decided at once.
const MOST: usize = 1024;

vectorised! {
    fn decide<T: Element>(which: &[T], chosen: &mut [u8]) {
        for (chosen, which) in chosen.iter_mut().zip(which) {
            *chosen = u8::from(*which != T::default());
        }
    }
}

vectorised! {
    fn choose<T: Element>(chosen: &[u8], a: &[T], b: &[T], to: &mut [T]) {
        for (((to, &chosen), &a), &b) in to.iter_mut().zip(chosen).zip(a).zip(b) {
            *to = if chosen != 0 { a } else { b };
        }
    }
}

vectorised! {
    fn keep<T: Element>(chosen: &[u8], a: &[T], else_: T, to: &mut [T]) {
        for ((to, &chosen), &a) in to.iter_mut().zip(chosen).zip(a) {
            *to = if chosen != 0 { a } else { else_ };
        }
    }
}

/// What stands where the deciding voxel is 0.
#[derive(Clone, Copy)]
pub(crate) enum Else<'a, T> {
    /// The voxel of another tile.
    Tile(View<'a, T>),
    /// Always this.
    Value(T),
}

/// The mask of a choice on a device: the image that decides if it is one of bytes, else whether its voxels are 0, in scratch.
pub(crate) fn decided(which: Dtype, input: usize, shape: &Shape, kernels: &mut Kernels) -> Slot {
    if which == Dtype::U8 {
        return Slot::Input(input);
    }
    kernels.scratch.push((Dtype::U8, *shape).into());
    let to = Slot::Scratch(kernels.scratch.len() - 1);
    let floating = vec![Argument::U32(u32::from(which.is_float()))];
    kernels.sweeps.push(sweep(format!("truth_{}", which.size()), vec![Slot::Input(input)], to, floating));
    to
}

/// Fills a tile with the voxels of `a` where `which` is not 0, and with what `else_` says elsewhere. All tiles are of one
/// shape, `parts` walks them.
pub(crate) fn fill<T: Element>(
    parts: &Parts,
    which: &Tile<'_>,
    a: View<'_, T>,
    else_: Else<'_, T>,
    mut output: TileMut<'_>,
) {
    let mut to = output.view::<T>();
    let mut chosen = [0; MOST];
    parts.each(MOST, |part| {
        let chosen = &mut chosen[..part.len()];
        dispatch!(which.dtype(), W => {
            let which = which.view::<W>();
            decide(&which.raw()[part.range(which.strides())], chosen);
        });
        let range = part.range(to.strides());
        let (a, to) = (&a.raw()[part.range(a.strides())], &mut to.raw()[range]);
        match else_ {
            Else::Tile(b) => choose(chosen, a, &b.raw()[part.range(b.strides())], to),
            Else::Value(value) => keep(chosen, a, value, to),
        }
    });
}
