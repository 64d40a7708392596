//! Mean and variance of a box around every voxel, at a cost that grows with the logarithm of the size.
//!
//! A window is described by its mean and by the sum of the squared distances from it. Two windows that touch are merged
//! without a large difference of large numbers (Chan, Golub, LeVeque 1979: with `d` the difference of the means, squares
//! gain `d² · m n / (m + n)`), so the variance of a bright image is as good as that of a dark one. Windows of 1, 2, 4, …
//! voxels are made by doubling, first along z, then y, then x; those that the binary digits of the size name are merged,
//! the shortest first. The order depends on nothing but the size: not on the tile, and not on where a voxel lies in it.
//! All in f64, from the image rounded to f32.

use super::Scratch;
use crate::device::{Along, separable, sweep};
use crate::spec::{ArgError, Args, Param, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Dtype, Element, Halo, Kind, Meta, PerAxis, Shape, Tile, TileMut, View};

/// Most outputs along z, y and x of a block: for small windows, and for wide ones, which are read for each block anew.
const SMALL: [usize; 3] = [16, 32, 64];
const LARGE: [usize; 3] = [32, 64, 128];

/// Columns that are merged at once.
const CHUNK: usize = 16;

/// The parameter `size` of a box.
pub(crate) const SIZE: Param =
    Param { name: "size", value: Value::Size, default: None, about: "width of the box, one or per axis" };

/// Size in voxels beyond which an image would have to be absurd.
const MAX_SIZE: u64 = 200_000;

/// The value of [`SIZE`].
pub(crate) fn sizes(args: &Args<'_>) -> Result<PerAxis<u64>, ArgError> {
    let size = args.sizes_px(SIZE.name)?;
    if size.iter().all(|&n| n <= MAX_SIZE) {
        return Ok(size);
    }
    let text = args.text(SIZE.name).unwrap_or_default();
    Err(args.wrong(SIZE.name, text, format!("at most {MAX_SIZE} voxels")))
}

/// What a device makes of the moments: `kernels/variance.cu`.
pub(crate) enum Ending {
    /// The variance, or its root.
    Deviation {
        /// Whether the root is taken.
        root: bool,
    },
    /// Whether the voxel is above a level: 0 for Niblack's, 1 for Sauvola's.
    Threshold { method: u32, k: f64, r: f64 },
}

/// What is made of the mean and the variance of a window.
pub(crate) trait Statistic: Copy + Send + Sync + 'static {
    /// f32, or u8 for a mask.
    type Output: Element;

    /// The output voxel, from the voxel itself, the mean and the variance. `#[inline(always)]`.
    fn at(self, voxel: f64, mean: f64, variance: f64) -> Self::Output;

    /// The same on a device.
    fn kernel(self) -> Ending;
}

/// A statistic of a box as an operation: any sample type → the statistic's.
pub(crate) struct Moments<S> {
    /// Of the operation.
    pub(crate) name: &'static str,
    /// Widths along t, c, z, y and x.
    pub(crate) size: PerAxis<u64>,
    /// What is made of the window.
    pub(crate) statistic: S,
    /// What stands beyond the edge.
    pub(crate) border: Border,
}

impl<S: Statistic> Moments<S> {
    /// The operation.
    pub(crate) fn op(self) -> Arc<dyn Op> {
        Arc::new(self)
    }

    fn halo(&self) -> Halo {
        Halo { lo: self.size.map(|n| n / 2), hi: self.size.map(|n| (n - 1) / 2) }
    }

    fn blocks(&self, output: [usize; 5]) -> Blocks {
        let sizes = [2, 3, 4].map(|a| self.size[a] as usize);
        Blocks { sizes, most: std::array::from_fn(|a| output[a + 2].min(sizes[a].clamp(SMALL[a], LARGE[a]))) }
    }
}

impl<S: Statistic> Op for Moments<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let kind = if S::Output::DTYPE == Dtype::U8 { Kind::Mask } else { Kind::Image };
        Ok(inputs[0].with_dtype(S::Output::DTYPE).with_kind(kind))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.halo())
    }

    fn border(&self) -> Border {
        self.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        self.blocks(output.map(|n| n as usize)).scratch() as u64
    }

    fn ns_per_voxel(&self) -> f64 {
        let steps = |n: &u64| f64::from(n.ilog2() + n.count_ones());
        1.0 + self.size.iter().map(steps).sum::<f64>() * 0.4
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let shape = output.shape();
        if shape.contains(&0) {
            return;
        }
        let blocks = self.blocks(shape);
        let mut scratch = Scratch::new(scratch);
        let mut buffers = blocks.buffers(&mut scratch);
        let mut to = output.view::<S::Output>();
        let centre = self.halo().lo.map(|n| n as usize);
        dispatch!(inputs[0].dtype(), T => {
            let input = inputs[0].view::<T>();
            for t in 0..shape[0] {
                for c in 0..shape[1] {
                    for z in (0..shape[2]).step_by(blocks.most[0]) {
                        for y in (0..shape[3]).step_by(blocks.most[1]) {
                            for x in (0..shape[4]).step_by(blocks.most[2]) {
                                let at = [t, c, z, y, x];
                                let size = std::array::from_fn(|a| (shape[a + 2] - at[a + 2]).min(blocks.most[a]));
                                blocks.block(&input, at, size, &mut buffers);
                                for (row, [mean, squares]) in blocks.rows(size, &buffers).enumerate() {
                                    let (z, y) = (z + row / size[1], y + row % size[1]);
                                    let voxels = input.row(t, c, z + centre[2], y + centre[3]);
                                    let voxels = &voxels[x + centre[4]..][..size[2]];
                                    let to = &mut to.row(t, c, z, y)[x..x + size[2]];
                                    finish(self.statistic, blocks.count(), voxels, mean, squares, to);
                                }
                            }
                        }
                    }
                }
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, shape: &Shape) -> Option<Kernels> {
        // Between passes lie two numbers for each voxel, which an image of f64 has not.
        if inputs[0] == Dtype::F64 {
            return None;
        }
        let mut passes: Vec<Along> = Vec::new();
        let mut voxels = 1;
        let last = (2..5).rev().find(|&axis| self.size[axis] > 1).unwrap_or(4);
        for axis in (2..5).filter(|&axis| self.size[axis] > 1 || axis == last) {
            let from = if passes.is_empty() { inputs[0] } else { Dtype::F64 };
            let numbers = [axis as u32, self.size[axis] as u32].map(Argument::U32);
            let arguments = [&numbers[..], &[Argument::F64(voxels as f64)]].concat();
            let reach = self.size[axis] - 1;
            let weight = 1.0 + 0.3 * reach as f64;
            passes.push(Along { axis, reach, kernel: format!("moments_{from}"), arguments, weight });
            voxels *= self.size[axis];
        }
        // Means and sums, one after the other along the channels.
        let mut pairs = *shape;
        pairs[1] *= 2;
        let mut kernels = separable(passes, Dtype::F64, &pairs);
        kernels.scratch.push((Dtype::F64, pairs).into());
        let moments = Slot::Scratch(kernels.scratch.len() - 1);
        if let Some(last) = kernels.sweeps.last_mut() {
            last.to = vec![moments];
        }
        let count = Argument::F64(voxels as f64);
        kernels.sweeps.push(match self.statistic.kernel() {
            Ending::Deviation { root } => {
                let arguments = vec![count, Argument::U32(u32::from(root))];
                sweep("deviation_f64".to_owned(), vec![moments], Slot::Output, arguments)
            }
            Ending::Threshold { method, k, r } => {
                let [.., z, y, x] = self.halo().lo.map(|n| Argument::U32(n as u32));
                let arguments =
                    vec![count, Argument::U32(method), Argument::F64(k), Argument::F64(r), z, y, x];
                sweep(format!("local_{}", inputs[0]), vec![Slot::Input(0), moments], Slot::Output, arguments)
            }
        });
        Some(kernels)
    }
}

vectorised! {
    fn finish<S: Statistic, T: Element>(
        statistic: S, count: f64, voxels: &[T], mean: &[f64], squares: &[f64], to: &mut [S::Output],
    ) {
        for (((to, voxel), &mean), &squares) in to.iter_mut().zip(voxels).zip(mean).zip(squares) {
            // Infinite voxels have no variance; which of the merges met them first must not show.
            let variance = if squares < f64::INFINITY { squares / count } else { f64::NAN };
            *to = statistic.at(f64::from(voxel.to_f32()), mean, variance);
        }
    }
}

/// How a tile is cut.
struct Blocks {
    /// Widths of the window along z, y and x.
    sizes: [usize; 3],
    /// Most outputs of a block.
    most: [usize; 3],
}

/// Means, and sums of squared distances from them.
type Pair<'a> = [&'a mut [f64]; 2];

/// What is kept of a block.
struct Buffers<'a> {
    /// Windows along z, then along all axes.
    slab: Pair<'a>,
    /// Windows along z and y.
    plane: Pair<'a>,
    /// Lines that windows are merged in.
    sums: Pair<'a>,
    doubled: Pair<'a>,
    total: Pair<'a>,
}

impl Blocks {
    /// Voxels of a window.
    fn count(&self) -> f64 {
        self.sizes.iter().product::<usize>() as f64
    }

    /// Voxels read along an axis for so many outputs.
    fn read(&self, size: [usize; 3], a: usize) -> usize {
        size[a] + self.sizes[a] - 1
    }

    /// Elements of each of a pair: slab, plane, line.
    fn elements(&self) -> [usize; 3] {
        let [z, y, x] = [0, 1, 2].map(|a| self.read(self.most, a));
        [self.most[0] * y * x, self.most[0] * self.most[1] * x, x.max(z.max(y) * CHUNK)]
    }

    fn scratch(&self) -> usize {
        let [slab, plane, line] = self.elements().map(|n| 2 * Scratch::bytes::<f64>(n));
        slab + plane + 3 * line
    }

    fn buffers<'a>(&self, scratch: &mut Scratch<'a>) -> Buffers<'a> {
        let [slab, plane, line] = self.elements();
        let mut pair = |n: usize| [scratch.take(n), scratch.take(n)];
        Buffers {
            slab: pair(slab),
            plane: pair(plane),
            sums: pair(line),
            doubled: pair(line),
            total: pair(line),
        }
    }

    /// Fills the slab with the windows of the block of `size` outputs at `at`.
    fn block<T: Element>(
        &self,
        input: &View<'_, T>,
        at: PerAxis<usize>,
        size: [usize; 3],
        buffers: &mut Buffers<'_>,
    ) {
        let strides = input.strides();
        let start: usize = (0..5).map(|a| at[a] * strides[a]).sum();
        let data = &input.raw()[start..];
        let (rows, width) = (self.read(size, 1), self.read(size, 2));
        let Buffers { slab, plane, sums, doubled, total } = buffers;
        let mut lines = Lines { sums, doubled, total };
        // Along z: each row of the slab on its own.
        for y in 0..rows {
            for x in (0..width).step_by(CHUNK) {
                let part = CHUNK.min(width - x);
                lines.widen(&data[y * strides[3] + x..], strides[2], self.read(size, 0), part);
                lines.merge(1, self.sizes[0], part, size[0]);
                lines.put(slab, y * width + x, rows * width, size[0], part);
            }
        }
        // Along y: each plane.
        for z in 0..size[0] {
            for x in (0..width).step_by(CHUNK) {
                let part = CHUNK.min(width - x);
                lines.get(slab, z * rows * width + x, width, rows, part);
                lines.merge(self.sizes[0], self.sizes[1], part, size[1]);
                lines.put(plane, z * size[1] * width + x, width, size[1], part);
            }
        }
        // Along x: each row is a line.
        for row in 0..size[0] * size[1] {
            lines.get(plane, row * width, 0, 1, width);
            lines.merge(self.sizes[0] * self.sizes[1], self.sizes[2], 1, size[2]);
            lines.put(slab, row * size[2], 0, 1, size[2]);
        }
    }

    /// The rows of a block's windows, one after the other.
    fn rows<'b>(&self, size: [usize; 3], buffers: &'b Buffers<'_>) -> impl Iterator<Item = [&'b [f64]; 2]> {
        let [mean, squares] = &buffers.slab;
        let rows = size[0] * size[1];
        mean.chunks_exact(size[2]).zip(squares.chunks_exact(size[2])).take(rows).map(|(m, s)| [m, s])
    }
}

/// Lines of windows: some columns of voxels, row after row.
struct Lines<'a, 'b> {
    sums: &'a mut Pair<'b>,
    doubled: &'a mut Pair<'b>,
    total: &'a mut Pair<'b>,
}

impl Lines<'_, '_> {
    /// Takes voxels: windows of one.
    fn widen<T: Element>(&mut self, from: &[T], stride: usize, rows: usize, width: usize) {
        widen(from, stride, width, &mut self.sums[0][..rows * width]);
        self.sums[1][..rows * width].fill(0.0);
    }

    /// Takes windows.
    fn get(&mut self, from: &Pair<'_>, start: usize, stride: usize, rows: usize, width: usize) {
        for (to, from) in self.sums.iter_mut().zip(from) {
            for (row, to) in to[..rows * width].chunks_exact_mut(width).enumerate() {
                to.copy_from_slice(&from[start + row * stride..][..width]);
            }
        }
    }

    /// Gives the merged windows.
    fn put(&self, to: &mut Pair<'_>, start: usize, stride: usize, rows: usize, width: usize) {
        for (to, from) in to.iter_mut().zip(self.total.iter()) {
            for (row, from) in from[..rows * width].chunks_exact(width).enumerate() {
                to[start + row * stride..][..width].copy_from_slice(from);
            }
        }
    }

    /// Merges `size` windows of `voxels` each that lie `step` apart, for each of `count · step` places.
    fn merge(&mut self, voxels: usize, size: usize, step: usize, count: usize) {
        let voxels = voxels as f64;
        let Self { sums, doubled, total } = self;
        let (mut sums, mut doubled) = (&mut **sums, &mut **doubled);
        let places = count * step;
        // Each of the `sums` is of `width` windows; `done` windows are in the total.
        let (mut width, mut done) = (1, 0);
        let mut held = (count + size - 1) * step;
        loop {
            if size & width != 0 {
                let from = sums.each_ref().map(|s| &s[done * step..][..places]);
                let total = total.each_mut().map(|t| &mut t[..places]);
                if done == 0 {
                    total.into_iter().zip(from).for_each(|(total, from)| total.copy_from_slice(from));
                } else {
                    let both = (done + width) as f64;
                    let gain = voxels * (done as f64 * width as f64 / both);
                    add(width as f64 / both, gain, from, total);
                }
                done += width;
            }
            if done == size {
                return;
            }
            held -= width * step;
            let near = sums.each_ref().map(|s| &s[..held]);
            let far = sums.each_ref().map(|s| &s[width * step..][..held]);
            double(voxels * width as f64 * 0.5, near, far, doubled.each_mut().map(|d| &mut d[..held]));
            (sums, doubled) = (doubled, sums);
            width *= 2;
        }
    }
}

vectorised! {
    fn widen<T: Element>(from: &[T], stride: usize, width: usize, to: &mut [f64]) {
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            for (to, from) in to.iter_mut().zip(&from[row * stride..][..width]) {
                *to = f64::from(from.to_f32());
            }
        }
    }
}

vectorised! {
    /// Windows and their neighbours of the same width, merged.
    fn double(gain: f64, near: [&[f64]; 2], far: [&[f64]; 2], to: [&mut [f64]; 2]) {
        let [mean, squares] = to;
        let windows = near[0].iter().zip(near[1]).zip(far[0].iter().zip(far[1]));
        for ((mean, squares), ((&m, &s), (&n, &t))) in mean.iter_mut().zip(squares).zip(windows) {
            let d = n - m;
            *mean = m + d * 0.5;
            *squares = (s + t) + d * d * gain;
        }
    }
}

vectorised! {
    /// Windows merged into what is there; `share` is their part of the whole.
    fn add(share: f64, gain: f64, from: [&[f64]; 2], to: [&mut [f64]; 2]) {
        let [mean, squares] = to;
        for ((mean, squares), (&n, &t)) in mean.iter_mut().zip(squares).zip(from[0].iter().zip(from[1])) {
            let d = n - *mean;
            *mean += d * share;
            *squares = (*squares + t) + d * d * gain;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::Image;

    /// Voxel, mean and variance of every window: all its voxels, in two passes.
    pub(crate) fn windows<U: Element>(
        image: &Image,
        size: PerAxis<u64>,
        border: Border,
        f: impl Fn(f64, f64, f64) -> U,
    ) -> Image {
        let image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        let shape = image.meta().shape;
        let size = [1, 1, size[2], size[3], size[4]];
        Image::from_fn(image.meta().with_dtype(U::DTYPE), |p| {
            let mut values = Vec::new();
            for n in 0..size.iter().product::<u64>() {
                let offset = [0, 0, n / size[4] / size[3], n / size[4] % size[3], n % size[4]];
                let at = |a: usize| p[a] as i64 + offset[a] as i64 - (size[a] / 2) as i64;
                let from: Vec<Option<i64>> = (0..5).map(|a| border.map(at(a), shape[a])).collect();
                values.push(match border {
                    Border::Constant(c) if from.contains(&None) => f64::from(c as f32),
                    _ => f64::from(image.at::<f32>(std::array::from_fn(|a| from[a].unwrap() as u64))),
                });
            }
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
            f(f64::from(image.at::<f32>(p)), mean, variance)
        })
    }

    /// The same size along all space axes of an image.
    pub(crate) fn along(image: &Image, size: u64) -> PerAxis<u64> {
        let axes = image.meta().axes.space();
        axes.spread(&[size; 3][..axes.len()], 1)
    }
}
