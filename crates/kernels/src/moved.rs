//! Voxels moved without change: axes in another order, or walked backwards.

use crate::pointwise::for_rows;
use crate::vectorised;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Element, Meta, PerAxis, Region, Shape, Tile, TileMut};

/// A turned or mirrored image: along each axis, the input's axis that is walked, and whether backwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Turn {
    name: &'static str,
    from: PerAxis<(Axis, bool)>,
}

impl Turn {
    /// The image as it is, under the name of an operation.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, from: Axis::ALL.map(|axis| (axis, false)) }
    }

    /// Then mirrored along an axis.
    pub(crate) fn mirrored(mut self, axis: Axis) -> Self {
        self.from[axis.index()].1 ^= true;
        self
    }

    /// Then two axes exchanged.
    pub(crate) fn exchanged(mut self, a: Axis, b: Axis) -> Self {
        self.from.swap(a.index(), b.index());
        self
    }

    /// Axis `to[k]` of the result walks axis `from[k]` of the image; the others stay.
    pub(crate) fn ordered(name: &'static str, to: &[Axis], from: &[Axis]) -> Self {
        let mut turn = Self::new(name);
        for (to, from) in to.iter().zip(from) {
            turn.from[to.index()].0 = *from;
        }
        turn
    }

    fn fill<T: Element>(&self, input: &Tile<'_>, output: &mut TileMut<'_>) {
        let (from, mut to) = (input.view::<T>(), output.view::<T>());
        let shape = to.shape();
        if shape.contains(&0) {
            return;
        }
        // Steps in the input for one step along each axis of the output, and the place of the first voxel.
        let mut steps = [0isize; 5];
        let mut first = 0isize;
        for (a, &(axis, backwards)) in self.from.iter().enumerate() {
            let step = from.strides()[axis.index()] as isize;
            steps[a] = if backwards { -step } else { step };
            first -= steps[a].min(0) * (shape[a] as isize - 1);
        }
        let place = |at: [usize; 4]| (0..4).fold(first, |p, a| p + at[a] as isize * steps[a]);
        match self.from[4] {
            (Axis::X, backwards) => for_rows(shape, |t, c, z, y| {
                let place = place([t, c, z, y]);
                let row = to.row(t, c, z, y);
                if backwards {
                    let end = place as usize + 1;
                    reversed(&from.raw()[end - row.len()..end], row);
                } else {
                    row.copy_from_slice(&from.raw()[place as usize..place as usize + row.len()]);
                }
            }),
            _ => {
                // The axis of the result along which the rows of the input lie.
                let b = (0..4).find(|&a| self.from[a].0 == Axis::X).expect("every axis is walked");
                let strides = to.strides();
                let mut others = shape;
                (others[4], others[b]) = (1, 1);
                for_rows(others, |t, c, z, y| {
                    let at = [t, c, z, y];
                    let start = (0..4).map(|a| at[a] * strides[a]).sum();
                    let plane = Plane {
                        first: place(at),
                        step_x: steps[4],
                        step_b: steps[b],
                        size: [shape[b], shape[4]],
                        stride: strides[b],
                    };
                    transposed(from.raw(), &mut to.raw()[start..], &plane);
                });
            }
        }
    }
}

vectorised! {
    fn reversed<T: Element>(from: &[T], to: &mut [T]) {
        for (to, &from) in to.iter_mut().zip(from.iter().rev()) {
            *to = from;
        }
    }
}

/// Edge of the squares in which planes are transposed: their rows fit registers, their columns the first-level cache.
const EDGE: usize = 16;

/// A plane whose rows along x are columns of the input.
struct Plane {
    /// Place of the first voxel in the input.
    first: isize,
    /// Steps in the input, for one step along x and along the other axis, which is 1 or -1.
    step_x: isize,
    step_b: isize,
    /// Voxels along the other axis and along x.
    size: [usize; 2],
    /// Elements of the output from row to row.
    stride: usize,
}

vectorised! {
    fn transposed<T: Element>(from: &[T], to: &mut [T], plane: &Plane) {
        let [nb, nx] = plane.size;
        for b in (0..nb).step_by(EDGE) {
            for x in (0..nx).step_by(EDGE) {
                let place = plane.first + b as isize * plane.step_b + x as isize * plane.step_x;
                let mut square = [[T::default(); EDGE]; EDGE];
                if b + EDGE <= nb && x + EDGE <= nx {
                    // Walked backwards, the rows of the input end at the first voxel.
                    let back = if plane.step_b < 0 { EDGE as isize - 1 } else { 0 };
                    for (k, row) in square.iter_mut().enumerate() {
                        let start = (place + k as isize * plane.step_x - back) as usize;
                        row.copy_from_slice(&from[start..start + EDGE]);
                    }
                    for k in 0..EDGE {
                        let column = if plane.step_b < 0 { EDGE - 1 - k } else { k };
                        let start = (b + k) * plane.stride + x;
                        let row: &mut [T; EDGE] =
                            (&mut to[start..start + EDGE]).try_into().expect("as long as the edge");
                        for j in 0..EDGE {
                            row[j] = square[j][column];
                        }
                    }
                } else {
                    for k in 0..EDGE.min(nb - b) {
                        for j in 0..EDGE.min(nx - x) {
                            let at = place + k as isize * plane.step_b + j as isize * plane.step_x;
                            to[(b + k) * plane.stride + x + j] = from[at as usize];
                        }
                    }
                }
            }
        }
    }
}

impl Op for Turn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let input = &inputs[0];
        let mut meta = input.clone();
        for (a, (axis, _)) in self.from.iter().enumerate() {
            meta.shape[a] = input.shape[axis.index()];
            meta.spacing[a].clone_from(&input.spacing[axis.index()]);
        }
        if self.from[Axis::C.index()].1 {
            meta.channels.reverse();
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, _input: usize, out: &Region, image: &Shape) -> Region {
        let mut read = *out;
        for (a, &(axis, backwards)) in self.from.iter().enumerate() {
            let extent = image[axis.index()] as i64;
            let start = if backwards { extent - out.end(a) } else { out.start[a] };
            read = read.with_axis(axis, start, out.shape[a]);
        }
        read
    }

    fn ns_per_voxel(&self) -> f64 {
        if self.from[4].0 == Axis::X { 0.1 } else { 0.5 }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(output.dtype(), T => self.fill::<T>(&inputs[0], &mut output));
    }

    fn kernels(&self, _inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let walk = |&(axis, backwards): &(Axis, bool)| axis.index() as u32 | u32::from(backwards) << 3;
        let axes = self.from.iter().enumerate().fold(0, |axes, (a, from)| axes | walk(from) << (4 * a));
        Some(Sweep::over(format!("turn_{}", output.size()), vec![Argument::U32(axes)]).into())
    }
}
