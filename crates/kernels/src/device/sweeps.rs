//! What operations share when they say which kernels do their work.

use voxtile_sched::contract::Kernels;
use voxtile_sched::contract::device::{Argument, Buffer, Slot, Sweep};
use voxtile_sched::model::{Dtype, Shape};

/// A plain copy of samples.
pub(crate) fn copy(dtype: Dtype) -> Kernels {
    Sweep::over(format!("copy_{}", dtype.size()), Vec::new()).into()
}

/// One axis of a separable filter.
pub(crate) struct Along {
    /// Its number.
    pub(crate) axis: usize,
    /// Voxels that it reads along it besides those that it makes.
    pub(crate) reach: u64,
    /// Name of the kernel.
    pub(crate) kernel: String,
    /// Its arguments.
    pub(crate) arguments: Vec<Argument>,
}

/// Passes along axes, one after the other. Each makes what the later ones read around the output tile of that shape; in
/// between lie samples of that type.
pub(crate) fn separable(passes: Vec<Along>, between: Dtype, shape: &Shape) -> Kernels {
    let mut kernels = Kernels::default();
    let count = passes.len();
    // What is made grows from the last pass to the first.
    let mut made = *shape;
    let mut shapes: Vec<Shape> = Vec::new();
    for pass in passes.iter().rev() {
        shapes.push(made);
        made[pass.axis] += pass.reach;
    }
    shapes.reverse();
    for (n, pass) in passes.into_iter().enumerate() {
        let from = if n == 0 { Slot::Input(0) } else { Slot::Scratch(n - 1) };
        let to = if n + 1 == count { Slot::Output } else { Slot::Scratch(n) };
        if n + 1 < count {
            kernels.scratch.push(Buffer::any(between, shapes[n]));
        }
        let Along { kernel, arguments, .. } = pass;
        kernels.sweeps.push(Sweep::new(kernel, vec![from], vec![to], arguments));
    }
    kernels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_makes_what_the_later_ones_read() {
        let along = |axis, reach| Along { axis, reach, kernel: format!("a{axis}"), arguments: Vec::new() };
        let kernels = separable(vec![along(2, 4), along(3, 2), along(4, 6)], Dtype::F32, &[1, 1, 5, 7, 9]);
        let shapes = [[1, 1, 5, 9, 15], [1, 1, 5, 7, 15]];
        assert_eq!(kernels.scratch, shapes.map(|shape| Buffer::any(Dtype::F32, shape)));
        let slots: Vec<(Slot, Slot)> = kernels.sweeps.iter().map(|s| (s.from[0], s.to[0])).collect();
        let wanted = [
            (Slot::Input(0), Slot::Scratch(0)),
            (Slot::Scratch(0), Slot::Scratch(1)),
            (Slot::Scratch(1), Slot::Output),
        ];
        assert_eq!(slots, wanted);
    }
}
