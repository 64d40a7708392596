//! Blocked convolution with symmetric or antisymmetric weights along z, y and x.
//!
//! A tile is cut into blocks whose intermediate volume, filtered along z, stays in the L2 or L3 cache. Per block:
//!
//! ```text
//! columns  [z + 2rz][chunk]         converted samples of one row, in L1       \ for each row, each chunk of x
//! slab     [z][y + 2ry][x + 2rx]    filtered along z, f32                     /
//! lanes    [x + 2rx][GROUP]         GROUP rows filtered along y, transposed   \ for each plane, each GROUP of rows
//! output   GROUP rows               filtered along x, transposed back         /
//! ```

use super::scratch::Scratch;
use crate::simd::{self, Lanes, Rows, Sum};
use crate::vectorised;
use voxtile_sched::model::{Element, PerAxis, View, ViewMut};

/// Longest rows of a block: of a volume, and of a plane.
const LONG: [usize; 2] = [256, 512];
/// Bytes of the columns that are converted at once.
const COLUMNS: usize = 32 * 1024;

/// Half of the weights along an axis, centre first.
#[derive(Clone, Debug)]
pub(crate) struct Half<S> {
    /// `[1]` leaves the axis as it is.
    pub(crate) weights: Vec<S>,
    /// Whether the weights of the other half, before the centre, have the other sign.
    pub(crate) odd: bool,
}

impl<S> Half<S> {
    /// Symmetric weights.
    pub(crate) fn even(weights: Vec<S>) -> Self {
        Self { weights, odd: false }
    }

    /// Voxels read on either side.
    pub(crate) fn radius(&self) -> usize {
        self.weights.len() - 1
    }
}

/// Weights along z, y and x.
pub(super) type Weights<S> = [Half<S>; 3];

/// How a tile is cut.
struct Blocks {
    /// Outputs of a block along z, y and x.
    size: [usize; 3],
    /// Neighbours read on either side.
    radius: [usize; 3],
    /// Voxels along x that are filtered along z together.
    chunk: usize,
    /// Elements from row to row and from plane to plane of the slab.
    row: usize,
    plane: usize,
}

impl Blocks {
    fn new<S: Sum>(weights: &Weights<S>, output: PerAxis<usize>) -> Self {
        let radius: [usize; 3] = weights.each_ref().map(Half::radius);
        let even = |n: usize, most: usize, unit: usize| {
            n.div_ceil(n.div_ceil(most).max(1)).next_multiple_of(unit).max(unit)
        };
        let z = match radius[0] {
            0 => 1,
            1..=16 => even(output[2], 16, 8),
            _ => even(output[2], 32, 8),
        };
        let y = even(output[3], 128, 16);
        let x = even(output[4], LONG[usize::from(radius[0] == 0)], 16);
        let line = (z + 2 * radius[0]) * size_of::<S>();
        let row = padded((x + 2 * radius[2]).next_multiple_of(16));
        let plane = padded(row * (y + 2 * radius[1]));
        Self { size: [z, y, x], radius, chunk: if line * 32 <= COLUMNS { 32 } else { 16 }, row, plane }
    }

    fn columns(&self) -> usize {
        (self.size[0] + 2 * self.radius[0]) * self.chunk
    }

    fn slab(&self) -> usize {
        self.size[0] * self.plane
    }

    fn lanes<S: Sum>(&self) -> usize {
        // Blocks of outputs may read a few positions too many.
        (self.row + 16) * S::GROUP
    }
}

/// A distance in memory that does not put neighbours into the same cache sets.
fn padded(elements: usize) -> usize {
    if elements.is_multiple_of(1024) { elements + 16 } else { elements }
}

/// Bytes of scratch for an output tile of that shape.
pub(super) fn scratch<S: Sum>(weights: &Weights<S>, output: PerAxis<usize>) -> usize {
    let blocks = Blocks::new(weights, output);
    Scratch::bytes::<S>(blocks.columns())
        + Scratch::bytes::<f32>(blocks.slab())
        + Scratch::bytes::<S>(blocks.lanes::<S>())
}

/// Filters a tile.
pub(super) fn run<T: Element, S: Sum>(
    weights: &Weights<S>,
    input: View<'_, T>,
    mut output: ViewMut<'_, f32>,
    scratch: &mut [u8],
) {
    let shape = output.shape();
    if shape.contains(&0) {
        return;
    }
    let blocks = Blocks::new(weights, shape);
    let mut scratch = Scratch::new(scratch);
    let columns = scratch.take::<S>(blocks.columns());
    let slab = scratch.take::<f32>(blocks.slab());
    let lanes = scratch.take::<S>(blocks.lanes::<S>());
    for t in 0..shape[0] {
        for c in 0..shape[1] {
            for y in (0..shape[3]).step_by(blocks.size[1]) {
                for x in (0..shape[4]).step_by(blocks.size[2]) {
                    for z in (0..shape[2]).step_by(blocks.size[0]) {
                        let at = [t, c, z, y, x];
                        let size = std::array::from_fn(|a| (shape[a + 2] - at[a + 2]).min(blocks.size[a]));
                        along_z(weights, &blocks, &input, at, size, columns, slab);
                        for plane in 0..size[0] {
                            let slab = &slab[plane * blocks.plane..];
                            let at = [t, c, z + plane, y, x];
                            along_y_and_x(weights, &blocks, slab, lanes, &mut output, at, size);
                        }
                    }
                }
            }
        }
    }
}

/// Fills the slab of the block at `at`.
fn along_z<T: Element, S: Sum>(
    weights: &Weights<S>,
    blocks: &Blocks,
    input: &View<'_, T>,
    at: PerAxis<usize>,
    size: [usize; 3],
    columns: &mut [S],
    slab: &mut [f32],
) {
    let strides = input.strides();
    let first: usize = (0..5).map(|a| at[a] * strides[a]).sum();
    let data = &input.raw()[first..];
    let (rows, width) = (size[1] + 2 * blocks.radius[1], size[2] + 2 * blocks.radius[2]);
    if blocks.radius[0] == 0 {
        for z in 0..size[0] {
            convert(
                &data[z * strides[2]..],
                strides[3],
                rows,
                width,
                &mut slab[z * blocks.plane..],
                blocks.row,
            );
        }
        return;
    }
    let planes = size[0] + 2 * blocks.radius[0];
    for y in 0..rows {
        for x in (0..width).step_by(blocks.chunk) {
            let part = (width - x).min(blocks.chunk);
            convert(&data[y * strides[3] + x..], strides[2], planes, part, columns, blocks.chunk);
            let from = Rows { data: columns, stride: blocks.chunk, weights: &weights[0].weights };
            let (to, part) = (&mut slab[y * blocks.row + x..], part.next_multiple_of(16));
            match weights[0].odd {
                false => simd::rows_from_rows::<S, false>(from, part, size[0], to, blocks.plane),
                true => simd::rows_from_rows::<S, true>(from, part, size[0], to, blocks.plane),
            }
        }
    }
}

vectorised! {
    /// Copies and converts `rows` rows of `width` samples.
    fn convert<T: Element, S: Sum>(
        from: &[T], from_stride: usize, rows: usize, width: usize, to: &mut [S], to_stride: usize,
    ) {
        for row in 0..rows {
            let from = &from[row * from_stride..][..width];
            let to = &mut to[row * to_stride..][..width];
            for (to, &from) in to.iter_mut().zip(from) {
                *to = S::from_f32(from.to_f32());
            }
        }
    }
}

/// Makes the plane of the output at `at` from its plane of the slab.
fn along_y_and_x<S: Sum>(
    weights: &Weights<S>,
    blocks: &Blocks,
    slab: &[f32],
    lanes: &mut [S],
    output: &mut ViewMut<'_, f32>,
    at: PerAxis<usize>,
    size: [usize; 3],
) {
    let strides = output.strides();
    let first: usize = (0..5).map(|a| at[a] * strides[a]).sum();
    let output = &mut output.raw()[first..];
    let width = (size[2] + 2 * blocks.radius[2]).next_multiple_of(16);
    for y in (0..size[1]).step_by(S::GROUP) {
        let from = Rows { data: &slab[y * blocks.row..], stride: blocks.row, weights: &weights[1].weights };
        match weights[1].odd {
            false => simd::lanes_from_rows::<S, false>(from, width, lanes),
            true => simd::lanes_from_rows::<S, true>(from, width, lanes),
        }
        let from = Lanes { data: lanes, weights: &weights[2].weights };
        let (to, rows) = (&mut output[y * strides[3]..], (size[1] - y).min(S::GROUP));
        match weights[2].odd {
            false => simd::rows_from_lanes::<S, false>(from, size[2], rows, to, strides[3]),
            true => simd::rows_from_lanes::<S, true>(from, size[2], rows, to, strides[3]),
        }
    }
}
