//! Magnitude of the gradient from windows of three: along each axis the difference of the two neighbours, smoothed along
//! the others; then `√(Σ g²) / √axes`, or the signed difference where there is one axis. `sobel`, `scharr` and `prewitt`.
//!
//! The result is scikit-image's of `image.astype(float32)` bit for bit: each component is an f64 sum over the window in
//! row-major order, rounded to f32 once; the rest is f32, squares added in the order z, y, x. Where a sum is exact its
//! order does not matter, and smoothing one axis after the other is ten times cheaper. With weights that are whole numbers
//! over a power of two that is so for integers of up to 16 bits, even in f32, and for rows of floats whose exponents lie
//! close enough together ([`Range`]); other rows are summed in order.

use super::Scratch;
use crate::simd::{self, Planes, Smooth, Sum};
use crate::spec::{ArgError, Args};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{
    AxisSet, Border, Dtype, Element, Kind, Meta, PerAxis, Shape, Tile, TileMut, View, ViewMut,
};

/// Edges by some weights.
pub(crate) struct Edges {
    name: &'static str,
    smoothing: Smoothing,
    /// The axes of space.
    axes: AxisSet,
    border: Border,
}

impl Edges {
    /// The operation of that name; `smoothing` are the weights along the axes that are not differentiated.
    ///
    /// # Errors
    /// As [`Args::border`].
    pub(crate) fn op(
        name: &'static str,
        smoothing: Smoothing,
        args: &Args<'_>,
    ) -> Result<Arc<dyn Op>, ArgError> {
        Ok(Arc::new(Self { name, smoothing, axes: args.input().axes.space(), border: args.border()? }))
    }
}

/// Weights of three neighbours that sum to 1.
#[derive(Clone, Copy)]
pub(crate) enum Smoothing {
    /// Whole numbers over their sum, a power of two.
    Whole(Smooth),
    /// Any; the outer one, then the middle one.
    Any([f64; 2]),
}

impl Smoothing {
    /// The three weights.
    fn weights(self) -> [f64; 3] {
        let [side, centre] = match self {
            Self::Whole(Smooth { side, centre }) => {
                let sum = f64::from(2.0 * side + centre);
                [f64::from(side) / sum, f64::from(centre) / sum]
            }
            Self::Any(weights) => weights,
        };
        [side, centre, side]
    }
}

impl Op for Edges {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::radius(self.reach().map(|n| n as u64))
    }

    fn border(&self) -> Border {
        self.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        Buffers::bytes(&self.blocks(output.map(|n| n as usize))) as u64
    }

    fn ns_per_voxel(&self) -> f64 {
        match self.smoothing {
            Smoothing::Whole(_) => 0.5,
            Smoothing::Any(_) => 4.0,
        }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let (input, blocks) = (&inputs[0], self.blocks(output.shape()));
        if output.is_empty() {
            return;
        }
        let output = output.view::<f32>();
        dispatch!(input.dtype(), T => {
            let input = input.view::<T>();
            // Sums of integers of up to 16 bits are exact in f32: of all whole weights the largest is 2⁸.
            if matches!(self.smoothing, Smoothing::Whole(_)) && !T::DTYPE.is_float() && size_of::<T>() <= 2 {
                tile::<T, f32>(&blocks, input, output, scratch);
            } else {
                tile::<T, f64>(&blocks, input, output, scratch);
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let [_, _, z, y, x] = self.reach().map(|n| n as u32);
        let arguments =
            vec![Argument::U32(z << 2 | y << 1 | x), Argument::F64s(self.smoothing.weights().to_vec(), 3)];
        (z + y + x > 0).then(|| Sweep::over(format!("edges_{}", inputs[0]), arguments).into())
    }
}

/// Most outputs of a block along y, without and with an axis z, and along x.
const ROWS: [usize; 2] = [16, 64];
const COLUMNS: usize = 512;

/// How a tile is cut: into columns of blocks, which move along z.
struct Blocks {
    smoothing: Smoothing,
    /// Voxels read on either side, along z, y and x.
    reach: [usize; 3],
    /// Outputs along y and x.
    size: [usize; 2],
    /// Samples from row to row: what is read, and whole registers behind it.
    stride: usize,
}

impl Edges {
    /// Voxels read on either side.
    fn reach(&self) -> PerAxis<usize> {
        self.axes.spread(&[1; 3][..self.axes.len()], 0)
    }

    fn blocks(&self, output: PerAxis<usize>) -> Blocks {
        let [_, _, z, y, x] = self.reach();
        let size = [output[3].min(ROWS[z]), output[4].min(COLUMNS)];
        let stride = size[1].next_multiple_of(16) + 16;
        Blocks { smoothing: self.smoothing, reach: [z, y, x], size, stride }
    }
}

impl Blocks {
    /// Rows of a plane that is read.
    fn rows(&self) -> usize {
        self.size[0] + 2 * self.reach[1]
    }

    /// Planes that are kept, as samples.
    fn planes(&self) -> usize {
        1 + 2 * self.reach[0]
    }
}

/// What is kept of a block.
struct Buffers<'a, S> {
    /// The planes around the current one, in turns.
    planes: [&'a mut [f32]; 3],
    /// The range of each of their rows.
    ranges: [&'a mut [Range]; 3],
    /// For [`simd::magnitudes`].
    kept: &'a mut [S],
    /// For [`in_order`].
    sums: &'a mut [f64],
}

impl<'a, S: Sum> Buffers<'a, S> {
    fn new(blocks: &Blocks, scratch: &'a mut [u8]) -> Self {
        let mut scratch = Scratch::new(scratch);
        let used = |n: usize| if n < blocks.planes() { blocks.rows() } else { 0 };
        Self {
            planes: [0, 1, 2].map(|n| scratch.take(used(n) * blocks.stride)),
            ranges: [0, 1, 2].map(|n| scratch.take(used(n))),
            kept: scratch.take(simd::kept(blocks.size[1])),
            sums: scratch.take(blocks.size[1]),
        }
    }
}

impl Buffers<'_, f64> {
    /// Bytes for buffers with either type of sums.
    fn bytes(blocks: &Blocks) -> usize {
        let plane = Scratch::bytes::<f32>(blocks.rows() * blocks.stride);
        blocks.planes() * (plane + Scratch::bytes::<Range>(blocks.rows()))
            + Scratch::bytes::<f64>(simd::kept(blocks.size[1]))
            + Scratch::bytes::<f64>(blocks.size[1])
    }
}

/// All planes of a tile, block by block.
fn tile<T: Element, S: Sum>(
    blocks: &Blocks,
    input: View<'_, T>,
    mut output: ViewMut<'_, f32>,
    scratch: &mut [u8],
) {
    let [nt, nc, nz, ny, nx] = output.shape();
    let mut buffers = Buffers::<S>::new(blocks, scratch);
    let (from, to) = (input.strides(), output.strides());
    for t in 0..nt {
        for c in 0..nc {
            for y in (0..ny).step_by(blocks.size[0]) {
                for x in (0..nx).step_by(blocks.size[1]) {
                    let size = [(ny - y).min(blocks.size[0]), (nx - x).min(blocks.size[1])];
                    for z in 0..nz + 2 * blocks.reach[0] {
                        let start: usize = (0..5).map(|a| [t, c, z, y, x][a] * from[a]).sum();
                        read(blocks, &input.raw()[start..], from[3], size, z, &mut buffers);
                        if z >= 2 * blocks.reach[0] {
                            let z = z - 2 * blocks.reach[0];
                            let start: usize = (0..5).map(|a| [t, c, z, y, x][a] * to[a]).sum();
                            write(blocks, &mut buffers, z, size, &mut output.raw()[start..], to[3]);
                        }
                    }
                }
            }
        }
    }
}

/// Reads plane `z` of a block.
fn read<T: Element, S: Sum>(
    blocks: &Blocks,
    data: &[T],
    stride: usize,
    size: [usize; 2],
    z: usize,
    buffers: &mut Buffers<'_, S>,
) {
    let slot = z % blocks.planes();
    let (rows, width) = (size[0] + 2 * blocks.reach[1], size[1] + 2 * blocks.reach[2]);
    let samples = &mut buffers.planes[slot][..rows * blocks.stride];
    convert(data, stride, width, samples, blocks.stride);
    if size_of::<S>() == 8 && matches!(blocks.smoothing, Smoothing::Whole(_)) {
        find_ranges(samples, blocks.stride, width, &mut buffers.ranges[slot][..rows]);
    }
}

vectorised! {
    /// Copies rows of `width` samples, and zeros behind them.
    fn convert<T: Element>(from: &[T], from_stride: usize, width: usize, to: &mut [f32], to_stride: usize) {
        for (y, row) in to.chunks_exact_mut(to_stride).enumerate() {
            let (row, rest) = row.split_at_mut(width);
            for (to, from) in row.iter_mut().zip(&from[y * from_stride..][..width]) {
                *to = from.to_f32();
            }
            rest.fill(0.0);
        }
    }
}

/// The samples that a plane of a block is made from.
struct Window<'a> {
    /// Weights of the smoothing.
    weights: [f64; 3],
    /// Planes, as many as the window has.
    planes: [&'a [f32]; 3],
    /// Samples from row to row.
    stride: usize,
    /// Voxels read on either side, along z, y and x.
    reach: [usize; 3],
}

/// Makes the plane of a block whose window begins with plane `z`.
fn write<S: Sum>(
    blocks: &Blocks,
    buffers: &mut Buffers<'_, S>,
    z: usize,
    size: [usize; 2],
    output: &mut [f32],
    stride: usize,
) {
    let slots = [0, 1, 2].map(|n| (z + n) % blocks.planes());
    let window = Window {
        weights: blocks.smoothing.weights(),
        planes: slots.map(|slot| &*buffers.planes[slot]),
        stride: blocks.stride,
        reach: blocks.reach,
    };
    let [deep, y, x] = blocks.reach.map(|n| n == 1);
    let smooth = match blocks.smoothing {
        Smoothing::Whole(smooth) if y && x => Some(smooth),
        _ => None,
    };
    if let Some(smooth) = smooth {
        let planes = Planes { samples: window.planes, deep, smooth, stride: blocks.stride };
        simd::magnitudes(planes, size[0], size[1], buffers.kept, output, stride);
        if size_of::<S>() == 4 {
            return;
        }
    }
    for row in 0..size[0] {
        let near = |slot: usize| &buffers.ranges[slot][row..];
        let ranges = slots.iter().flat_map(|&slot| &near(slot)[..3]);
        if !smooth.is_some_and(|smooth| exact(smooth, ranges)) {
            let output = &mut output[row * stride..][..size[1]];
            in_order(&window, row, &mut buffers.sums[..size[1]], output);
        }
    }
}

/// Bits of the magnitudes of a row, as `f32`: one less than the smallest that is not 0, and the largest.
type Range = [u32; 2];

vectorised! {
    /// The range of each of some rows of `width` samples.
    fn find_ranges(samples: &[f32], stride: usize, width: usize, ranges: &mut [Range]) {
        for (row, range) in samples.chunks_exact(stride).zip(ranges) {
            let (mut least, mut most) = (u32::MAX, 0);
            for v in &row[..width] {
                let magnitude = v.to_bits() & 0x7fff_ffff;
                least = least.min(magnitude.wrapping_sub(1));
                most = most.max(magnitude);
            }
            *range = [least, most];
        }
    }
}

/// Whether all sums over these rows are exact in `f64`, in any order, and the squares of sums normal numbers, with all their
/// digits, whether or not the sums are divided by what the weights sum to.
///
/// With magnitudes that are multiples of `2^l` and less than `2^m`, and weights that sum to `s`, sums are multiples of `2^l`
/// and less than `2 s² · 2^m`: there must be 53 bits from the one to the other. A square is 0 or `(2^l / s²)²` at least, which
/// must be `2^-126`, and the sum of three is less than 4 of the largest, which must be `2^128`. A number of exponent `e` is a
/// multiple of `2^(e - 150)` and less than `2^(e - 126)`.
fn exact<'a>(smooth: Smooth, rows: impl Iterator<Item = &'a Range>) -> bool {
    let (least, most) = rows.fold((u32::MAX, 0), |(l, m), r| (l.min(r[0]), m.max(r[1])));
    if most == 0 {
        return true;
    }
    let exponent = |bits: u32| (bits >> 23) as i32;
    let (low, high) = (exponent(least + 1), exponent(most));
    let bits = 2 * (2.0 * smooth.side + smooth.centre).log2() as i32;
    let (multiple, bound) = (low - 150, high - 126 + 1 + bits);
    bound - multiple <= 53 && 2 * (multiple - bits) >= -126 && 2 * bound + 2 <= 128
}

vectorised! {
    /// Sums the window of every voxel of row `y` in row-major order, as scipy does.
    fn in_order(window: &Window<'_>, y: usize, sums: &mut [f64], output: &mut [f32]) {
        let reach = window.reach;
        let axes = reach.iter().sum::<usize>();
        for axis in (0..3).filter(|&a| reach[a] == 1) {
            sums.fill(0.0);
            for (z, plane) in window.planes[..=2 * reach[0]].iter().enumerate() {
                for dy in 0..=2 * reach[1] {
                    for x in 0..=2 * reach[2] {
                        let weight = weight(axis, [z, dy, x], reach, window.weights);
                        if weight != 0.0 {
                            let row = &plane[(y + dy) * window.stride + x..][..output.len()];
                            for (sum, &v) in sums.iter_mut().zip(row) {
                                *sum += weight * f64::from(v);
                            }
                        }
                    }
                }
            }
            if axes == 1 {
                for (to, &sum) in output.iter_mut().zip(&*sums) {
                    *to = sum as f32;
                }
                return;
            }
            let first = reach[..axis].iter().sum::<usize>() == 0;
            for (to, &sum) in output.iter_mut().zip(&*sums) {
                let g = sum as f32;
                *to = if first { g * g } else { *to + g * g };
            }
        }
        let root = (axes as f32).sqrt();
        for to in output {
            *to = to.sqrt() / root;
        }
    }
}

/// The weight at a place of the window for the component along `axis`.
#[inline(always)]
fn weight(axis: usize, at: [usize; 3], reach: [usize; 3], smoothing: [f64; 3]) -> f64 {
    let along = |a: usize| match (a == axis, reach[a] == 1) {
        (true, _) => at[a] as f64 - 1.0,
        (false, true) => smoothing[at[a]],
        (false, false) => 1.0,
    };
    along(0) * along(1) * along(2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::spec::Spec;
    use crate::testing::{Fill, Float, Image, meta, step};

    /// Every voxel and its window, in row-major order.
    pub(crate) fn oracle(image: &Image, border: Border, smoothing: [f64; 3]) -> Image {
        let image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        let shape = image.meta().shape;
        let axes: Vec<usize> =
            image.meta().axes.space().iter().map(voxtile_sched::model::Axis::index).collect();
        let sample = |at: PerAxis<i64>| {
            let mut from = [0; 5];
            for a in 0..5 {
                match (border.map(at[a], shape[a]), border) {
                    (Some(p), _) => from[a] = p as u64,
                    (None, Border::Constant(c)) => return c,
                    (None, _) => unreachable!(),
                }
            }
            f64::from(image.at::<f32>(from))
        };
        Image::from_fn(image.meta().clone(), |p| {
            let mut components = Vec::new();
            for &axis in &axes {
                let mut sum = 0.0;
                for n in 0..3usize.pow(axes.len() as u32) {
                    let (mut at, mut weight) = (p.map(|v| v as i64), 1.0);
                    for (k, &a) in axes.iter().rev().enumerate() {
                        let offset = (n / 3usize.pow(k as u32) % 3) as i64 - 1;
                        at[a] += offset;
                        weight *= if a == axis { offset as f64 } else { smoothing[(offset + 1) as usize] };
                    }
                    if weight != 0.0 {
                        sum += weight * sample(at);
                    }
                }
                components.push(sum as f32);
            }
            match components[..] {
                [one] => one,
                _ => components.iter().fold(0.0, |s: f32, g| s + g * g).sqrt() / (axes.len() as f32).sqrt(),
            }
        })
    }

    /// Holds a step against the oracle on rows whose exponents lie that far apart.
    pub(crate) fn any_exponents(spec: &'static Spec, smoothing: [f64; 3], spreads: &[u64]) {
        for &spread in spreads {
            let noise = Image::filled(meta("zyx", &[3, 20, 530], Dtype::F32), Fill::Noise, spread);
            let mut n = 0u64;
            let image = noise.map(|v: f32| {
                n += 1;
                v * 2f32.powi(-((n * n % (spread + 1)) as i32))
            });
            let wanted = oracle(&image, Border::Reflect, smoothing);
            let made = step(spec, spec.name, &image);
            made.assert_same(&wanted, Float::Exact, || format!("spread {spread}"));
        }
    }

    #[test]
    fn exponents_are_compared_to_the_bit() {
        let (sobel, scharr) = (Smooth { side: 1.0, centre: 2.0 }, Smooth { side: 3.0, centre: 10.0 });
        let range = |a: f32, b: f32| [a.to_bits() - 1, b.to_bits()];
        assert!(exact(sobel, [range(1.0, 1.99 * 2f32.powi(24))].iter()));
        assert!(!exact(sobel, [range(1.0, 2f32.powi(25))].iter()));
        assert!(exact(scharr, [range(1.0, 1.99 * 2f32.powi(20))].iter()));
        assert!(!exact(scharr, [range(1.0, 2f32.powi(21))].iter()));
        assert!(!exact(sobel, [range(1.0, f32::INFINITY)].iter()));
        assert!(exact(sobel, [[u32::MAX, 0]].iter()));
        // Squares that would lose digits, or be too large.
        assert!(exact(sobel, [range(2f32.powi(-36), 1e-6)].iter()));
        assert!(!exact(sobel, [range(1.99 * 2f32.powi(-37), 1e-6)].iter()));
        assert!(exact(sobel, [range(2f32.powi(50), 1.99 * 2f32.powi(57))].iter()));
        assert!(!exact(sobel, [range(2f32.powi(50), 2f32.powi(58))].iter()));
        assert!(!exact(sobel, [range(f32::from_bits(1), f32::from_bits(9))].iter()));
    }

    #[test]
    fn images_of_any_scale_are_the_same_to_the_bit() {
        let noise = Image::filled(meta("zyx", &[3, 9, 70], Dtype::F32), Fill::Noise, 1);
        for exponent in (-140..=100).step_by(6) {
            let image = noise.map(|v: f32| (v.abs() % 3.0 + 1.0) * 2f32.powi(exponent));
            for (name, smoothing) in [("sobel", [0.25, 0.5, 0.25]), ("scharr", [0.1875, 0.625, 0.1875])] {
                let spec = crate::ops::find(name).expect("in the table");
                let made = step(spec, name, &image);
                let wanted = oracle(&image, Border::Reflect, smoothing);
                made.assert_same(&wanted, Float::Exact, || format!("{name}, 2^{exponent}"));
            }
        }
    }
}
