//! Minimum and maximum: over a box, one axis after the other, over a diamond in small steps, and over any other set of
//! voxels by its runs.
//!
//! ```text
//! z  blocks of planes: columns of vectors          → planes of keys in scratch
//! y  blocks of rows of a plane: columns of vectors → rows of keys in scratch (L1)
//! x  each row: keys that stand for 1, 4, 16 … neighbours, then up to four of them overlapping → output
//! ```
//!
//! A column of windows longer than three voxels costs three comparisons a voxel, whatever its length (van Herk,
//! Gil and Werman): it is cut into blocks of `k`; a window is the suffix of one block and the prefix of the next.

use super::codec::{Codec, Encoded, Sample};
use super::runs::{Minima, Runs};
use super::steps::{Steps, Swept};
use super::vector::{self, Kernel, Key, Two, Vector};
use super::volume::Volume;
use super::window::{Window, space};
use super::{GROUP_BYTES, carve, carved_bytes, panel, three};
use crate::device::{self, Along, ROWS, sweep, why};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Dtype, Meta, Shape, Tile, TileMut};

/// Which end of a window's order is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extreme {
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
}

/// The smallest or largest value in a window.
pub(crate) struct Extremum {
    name: &'static str,
    extreme: Extreme,
    window: Window,
    /// Of a window that is no box: one of the two.
    steps: Option<Steps>,
    runs: Option<Runs>,
}

impl Extremum {
    /// The operation of that name.
    pub(crate) fn of(name: &'static str, extreme: Extreme, window: Window) -> Arc<dyn Op> {
        let steps = window.steps();
        let runs = if steps.is_none() { window.runs() } else { None };
        Arc::new(Self { name, extreme, window, steps, runs })
    }
}

impl Op for Extremum {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.window.halo)
    }

    fn border(&self) -> Border {
        self.window.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        dispatch!(self.window.dtype, T => match (&self.steps, &self.runs) {
            (Some(steps), _) => steps.bytes::<T>(space(output)),
            (_, Some(runs)) => runs.bytes::<T>(),
            _ => Layout::new(space(output), self.window.size, size_of::<T>()).bytes::<T>(),
        } as u64)
    }

    fn ns_per_voxel(&self) -> f64 {
        if let Some(steps) = &self.steps {
            return 0.02 + 0.005 * steps.cost() * self.window.dtype.size() as f64;
        }
        if let Some(runs) = &self.runs {
            return 0.02 + 0.01 * runs.cost() * self.window.dtype.size() as f64;
        }
        let axes = self.window.size.iter().filter(|&&k| k > 1).count();
        0.02 + 0.04 * axes as f64 * self.window.dtype.size() as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let (shape, dtype) = (output.shape(), output.dtype());
        if output.is_empty() {
            return;
        }
        dispatch!(dtype, T => {
            let (from, mut to) = (inputs[0].view::<T>(), output.view::<T>());
            let layout = Layout::new([shape[2], shape[3], shape[4]], self.window.size, size_of::<T>());
            let (most, nx) = (self.extreme == Extreme::Max, shape[4]);
            let filtered = |volume: Volume<'_, _, { <T as Sample>::FLOAT }>| match (&self.steps, &self.runs) {
                (Some(steps), _) => vector::run(nx, Swept { steps, volume }),
                (_, Some(runs)) => vector::run(nx, Minima { runs, volume }),
                _ => vector::run(nx, Filter { layout: &layout, volume }),
            };
            Volume::each(&from, &mut to, most, scratch, filtered);
        });
    }

    fn no_kernels(&self) -> Option<&'static str> {
        self.window.packed().is_none().then_some(why::WINDOW)
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, shape: &Shape) -> Option<Kernels> {
        if !self.window.is_box() {
            return self.over(inputs[0], shape);
        }
        let axes = (2..5).zip(self.window.size).filter(|(_, size)| *size > 1);
        let pass = |(axis, size): (usize, usize)| {
            let largest = u32::from(self.extreme == Extreme::Max);
            let arguments = [axis as u32, size as u32, largest].map(Argument::U32).to_vec();
            let kernel = format!("extreme_{}", inputs[0]);
            Along { axis, reach: size as u64 - 1, kernel, arguments, weight: 1.5 }
        };
        let passes: Vec<Along> = axes.map(pass).collect();
        if passes.is_empty() {
            return Some(device::copy(output));
        }
        Some(device::separable(passes, output, shape))
    }
}

impl Extremum {
    /// The steps of a window that is no box, each of which makes what the later ones read.
    fn over(&self, dtype: Dtype, shape: &Shape) -> Option<Kernels> {
        let (rows, times) = self.window.packed()?;
        let (count, reach) = (rows.len() as u32, self.window.reach());
        let largest = u32::from(self.extreme == Extreme::Max);
        let mut kernels = Kernels::default();
        for step in 0..times {
            let left = (times - 1 - step) as u64;
            let from = if step == 0 { Slot::Input(0) } else { Slot::Scratch(step - 1) };
            let to = if left == 0 { Slot::Output } else { Slot::Scratch(step) };
            if left > 0 {
                let more = |a: usize| if a < 2 { 0 } else { left * reach[a - 2] };
                kernels.scratch.push((dtype, std::array::from_fn(|a| shape[a] + more(a))).into());
            }
            let arguments = vec![Argument::U32(largest), Argument::U32(count), words(&rows)];
            let sweep = sweep(format!("extreme_over_{dtype}"), vec![from], to, arguments);
            kernels.sweeps.push(sweep.weighing(1.0 + 0.2 * self.window.count() as f64));
        }
        Some(kernels)
    }
}

/// Rows of a window as an argument, two in each word.
pub(super) fn words(rows: &[u32]) -> Argument {
    let mut words = vec![0i64; ROWS / 2];
    for (n, row) in rows.iter().enumerate() {
        words[n / 2] |= (u64::from(*row) << (32 * (n % 2))) as i64;
    }
    Argument::I64s(words)
}

/// Blocking of one volume, and what it takes of the scratch buffer.
struct Layout {
    /// Output voxels along `z, y, x`.
    out: [usize; 3],
    /// Window along `z, y, x`.
    size: [usize; 3],
    /// Output planes of a block of the z pass; 0 if there is no z pass.
    planes: usize,
    /// Elements between rows of these planes.
    pitch: usize,
    /// Output rows of a block of the y pass.
    rows: usize,
    /// Output voxels of a block along x.
    panel: usize,
    /// Elements between these rows.
    row_pitch: usize,
}

impl Layout {
    /// Blocks of at least that many windows, so that short windows do not make small blocks.
    const BLOCK: usize = 8;
    /// Bytes of rows that the z pass takes as one.
    const STRIP_BYTES: usize = 4 << 10;
    /// Bytes of the rows that the y pass hands to the x pass: they should stay in L1.
    const ROWS_BYTES: usize = 28 << 10;

    /// For output voxels and a window along `z, y, x`, and samples of that many bytes.
    fn new(out: [usize; 3], size: [usize; 3], bytes: usize) -> Self {
        let block = |k: usize| Self::BLOCK.div_ceil(k) * k;
        let group = GROUP_BYTES / bytes;
        let planes = if size[0] > 1 { block(size[0]).min(out[0]) } else { 0 };
        let room = (Self::ROWS_BYTES / bytes / block(size[1])).saturating_sub(size[2]);
        let most = room.max(4 * group).next_multiple_of(group).min(out[2]);
        Self {
            out,
            size,
            planes,
            pitch: pitch(out[2] + size[2] - 1, bytes),
            rows: block(size[1]).min(out[1]),
            panel: panel(out[2], most, group),
            // The x pass runs over the end by less than a vector and the window.
            row_pitch: pitch(most + 2 * size[2] + 2 * group, bytes),
        }
    }

    /// Keys between the planes of the z pass.
    fn plane<K>(&self) -> usize {
        pitch((self.out[1] + self.size[1] - 1) * self.pitch, size_of::<K>())
    }

    /// Keys of: planes, rows, suffixes.
    fn elements<K>(&self) -> [usize; 3] {
        let suffixes = self.size[0].max(self.size[1]) * (GROUP_BYTES / size_of::<K>());
        [self.planes * self.plane::<K>(), self.rows * self.row_pitch, suffixes]
    }

    fn bytes<K>(&self) -> usize {
        if three::is_three(self.size) {
            return three::bytes();
        }
        self.elements::<K>().iter().map(|&n| carved_bytes::<K>(n)).sum()
    }
}

/// Elements between rows or planes of that length: no multiple of 4 KiB, at which they would share cache sets.
pub(super) fn pitch(len: usize, size: usize) -> usize {
    if (len * size).is_multiple_of(4096) { len + 64 / size } else { len }
}

/// All windows of one volume.
struct Filter<'a, K, const FLOAT: bool> {
    layout: &'a Layout,
    volume: Volume<'a, K, FLOAT>,
}

impl<K: Key, const FLOAT: bool> Kernel<K> for Filter<'_, K, FLOAT> {
    #[inline(always)]
    fn run<V: Vector<Key = K>>(self, proof: V::Proof) {
        let Self { layout, volume } = self;
        let Volume { samples, src, src_step, dst, dst_step, scratch, .. } = volume;
        let [nz, ny, nx] = layout.out;
        let [kz, ky, kx] = layout.size;
        if three::is_three(layout.size) {
            let (src, dst, deep) = ((src, src_step), (dst, dst_step), kz == 3);
            if nx < Two::<V>::COUNT {
                three::windows::<V>(proof, samples, layout.out, deep, src, dst, scratch);
            } else {
                three::windows::<Two<V>>(proof, samples, layout.out, deep, src, dst, scratch);
            }
            return;
        }
        let (height, width) = (ny + ky - 1, nx + kx - 1);
        let [planes, rows, suffixes] = layout.elements::<K>();
        let (planes, rest) = carve::<K>(scratch, planes);
        let (rows, rest) = carve::<K>(rest, rows);
        let (suffixes, _) = carve::<K>(rest, suffixes);
        if kz == 1 {
            for z in 0..nz {
                let src = Rows { keys: &src[z * src_step[0]..], step: src_step[1] };
                let dst = &mut dst[z * dst_step[0]..];
                sheet::<V>(proof, layout, samples, src, samples, dst, dst_step[1], rows, suffixes);
            }
            return;
        }
        let plane = layout.plane::<K>();
        // Rows that follow each other without gaps are one long row.
        let dense = src_step[1] == width && layout.pitch == width;
        let strip = if dense { (Layout::STRIP_BYTES / size_of::<K>() / width).max(1) } else { 1 };
        for z in (0..nz).step_by(layout.planes) {
            let n = layout.planes.min(nz - z);
            for y in (0..height).step_by(strip) {
                let src = Rows { keys: &src[z * src_step[0] + y * src_step[1]..], step: src_step[0] };
                let to = &mut planes[y * layout.pitch..];
                columns::<V>(proof, samples, src, width * strip.min(height - y), kz, n, to, plane, suffixes);
            }
            for i in 0..n {
                let src = Rows { keys: &planes[i * plane..], step: layout.pitch };
                let dst = &mut dst[(z + i) * dst_step[0]..];
                sheet::<V>(proof, layout, Encoded, src, samples, dst, dst_step[1], rows, suffixes);
            }
        }
    }
}

/// Rows in a buffer, `step` keys from one to the next.
#[derive(Clone, Copy)]
struct Rows<'a, K> {
    keys: &'a [K],
    step: usize,
}

impl<'a, K: Key> Rows<'a, K> {
    /// The same rows from column `x` on.
    #[inline(always)]
    fn at(self, x: usize) -> Self {
        Self { keys: &self.keys[x..], ..self }
    }

    /// The first keys of row `i`.
    #[inline(always)]
    fn row(self, i: usize, width: usize) -> &'a [K] {
        &self.keys[i * self.step..][..width]
    }

    /// The first vector of row `i`.
    #[inline(always)]
    fn load<V: Vector<Key = K>>(self, proof: V::Proof, codec: impl Codec<K>, i: usize) -> V {
        load(proof, codec, self.keys, i * self.step)
    }
}

/// The y and x passes over one plane.
#[inline(always)]
fn sheet<V: Vector>(
    proof: V::Proof,
    layout: &Layout,
    input: impl Codec<V::Key>,
    src: Rows<'_, V::Key>,
    output: impl Codec<V::Key>,
    dst: &mut [V::Key],
    dst_step: usize,
    rows: &mut [V::Key],
    suffixes: &mut [V::Key],
) {
    let [_, ny, nx] = layout.out;
    let [_, ky, kx] = layout.size;
    let panel = layout.panel;
    let width = panel + kx - 1;
    for y in (0..ny).step_by(layout.rows) {
        let n = layout.rows.min(ny - y);
        let mut x = 0;
        while x < nx {
            // The last panel overlaps the one before, so that it is not narrower than a vector.
            x = x.min(nx - panel);
            let src = src.at(y * src.step + x);
            columns::<V>(proof, input, src, width, ky, n, rows, layout.row_pitch, suffixes);
            for i in 0..n {
                let row = &mut rows[i * layout.row_pitch..][..layout.row_pitch];
                let out = &mut dst[(y + i) * dst_step + x..][..panel];
                if panel < Two::<V>::COUNT {
                    along::<V>(proof, output, row, kx, out);
                } else {
                    along::<Two<V>>(proof, output, row, kx, out);
                }
            }
            x += panel;
        }
    }
}

/// `n` windows of `k` along every column of rows of `width` keys, at least one vector; to rows `pitch` apart.
#[inline(always)]
fn columns<V: Vector>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    src: Rows<'_, V::Key>,
    width: usize,
    k: usize,
    n: usize,
    out: &mut [V::Key],
    pitch: usize,
    suffixes: &mut [V::Key],
) {
    match k {
        1 => {
            for i in 0..n {
                combine::<V, 1>(proof, codec, [src.row(i, width)], &mut out[i * pitch..][..width]);
            }
        }
        2 => {
            for i in 0..n {
                let rows = [src.row(i, width), src.row(i + 1, width)];
                combine::<V, 2>(proof, codec, rows, &mut out[i * pitch..][..width]);
            }
        }
        3 => {
            // Two windows share the pair between their other rows.
            for i in (0..n - n % 2).step_by(2) {
                let rows = [i, i + 1, i + 2, i + 3].map(|i| src.row(i, width));
                let (first, second) = out[i * pitch..].split_at_mut(pitch);
                let (first, second) = (&mut first[..width], &mut second[..width]);
                for x in (0..width).step_by(V::COUNT) {
                    let x = x.min(width - V::COUNT);
                    let pair = load::<V>(proof, codec, rows[1], x).min(load(proof, codec, rows[2], x));
                    pair.min(load(proof, codec, rows[0], x)).store(&mut first[x..]);
                    pair.min(load(proof, codec, rows[3], x)).store(&mut second[x..]);
                }
            }
            if n % 2 == 1 {
                let rows = [n - 1, n, n + 1].map(|i| src.row(i, width));
                combine::<V, 3>(proof, codec, rows, &mut out[(n - 1) * pitch..][..width]);
            }
        }
        _ => {
            let mut x = 0;
            while x + 2 * V::COUNT <= width {
                column::<Two<V>>(proof, codec, src.at(x), k, n, &mut out[x..], pitch, suffixes);
                x += 2 * V::COUNT;
            }
            while x < width {
                // The last vector overlaps the one before: the same keys are written again.
                x = x.min(width - V::COUNT);
                column::<V>(proof, codec, src.at(x), k, n, &mut out[x..], pitch, suffixes);
                x += V::COUNT;
            }
        }
    }
}

/// The minimum of rows of one length.
#[inline(always)]
fn combine<V: Vector, const N: usize>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    rows: [&[V::Key]; N],
    out: &mut [V::Key],
) {
    let width = out.len();
    for x in (0..width).step_by(V::COUNT) {
        let x = x.min(width - V::COUNT);
        let mut least = load::<V>(proof, codec, rows[0], x);
        for row in &rows[1..] {
            least = least.min(load(proof, codec, row, x));
        }
        least.store(&mut out[x..]);
    }
}

/// The keys of a row from `x` on.
#[inline(always)]
fn load<V: Vector>(proof: V::Proof, codec: impl Codec<V::Key>, row: &[V::Key], x: usize) -> V {
    codec.encode(proof, V::load(proof, &row[x..]))
}

/// `n` windows of `k` along one column of vectors, by suffixes and prefixes of blocks of `k`.
#[inline(always)]
fn column<V: Vector>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    src: Rows<'_, V::Key>,
    k: usize,
    n: usize,
    out: &mut [V::Key],
    pitch: usize,
    suffixes: &mut [V::Key],
) {
    for first in (0..n).step_by(k) {
        let windows = k.min(n - first);
        let mut suffix = src.load::<V>(proof, codec, first + k - 1);
        for j in (windows..k).rev() {
            suffix = suffix.min(src.load(proof, codec, first + j - 1));
        }
        for j in (1..windows).rev() {
            suffix.store(&mut suffixes[j * V::COUNT..]);
            suffix = suffix.min(src.load(proof, codec, first + j - 1));
        }
        suffix.store(&mut out[first * pitch..]);
        if windows > 1 {
            let mut prefix = src.load::<V>(proof, codec, first + k);
            for j in 1..windows {
                if j > 1 {
                    prefix = prefix.min(src.load(proof, codec, first + k + j - 1));
                }
                let suffix = V::load(proof, &suffixes[j * V::COUNT..]);
                suffix.min(prefix).store(&mut out[(first + j) * pitch..]);
            }
        }
    }
}

/// All windows of `k` along one row of keys, which is overwritten; it goes on for `k` and two vectors beyond.
#[inline(always)]
fn along<V: Vector>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    row: &mut [V::Key],
    k: usize,
    out: &mut [V::Key],
) {
    let len = out.len() + k - 1;
    // How many neighbours each key stands for.
    let mut reach = 1;
    while 4 * reach < k {
        for x in (0..len).step_by(V::COUNT) {
            let (a, b) = (V::load(proof, &row[x..]), V::load(proof, &row[x + reach..]));
            let (c, d) = (V::load(proof, &row[x + 2 * reach..]), V::load(proof, &row[x + 3 * reach..]));
            a.min(b).min(c.min(d)).store(&mut row[x..]);
        }
        reach *= 4;
    }
    // Up to four of them, overlapping, make a window.
    match k.div_ceil(reach) {
        1 => parts::<V, _>(proof, codec, row, [0], out),
        2 => parts::<V, _>(proof, codec, row, [0, k - reach], out),
        3 => parts::<V, _>(proof, codec, row, [0, reach, k - reach], out),
        _ => parts::<V, _>(proof, codec, row, [0, reach, 2 * reach, k - reach], out),
    }
}

/// The minimum of the keys at these distances, for a whole row of at least one vector.
#[inline(always)]
pub(super) fn parts<V: Vector, const N: usize>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    row: &[V::Key],
    distances: [usize; N],
    out: &mut [V::Key],
) {
    let len = out.len();
    let rows = distances.map(|distance| &row[distance..][..len]);
    for x in (0..len).step_by(V::COUNT) {
        // The last vector overlaps the one before.
        let x = x.min(len - V::COUNT);
        let mut least = V::load(proof, &rows[0][x..]);
        for row in &rows[1..] {
            least = least.min(V::load(proof, &row[x..]));
        }
        codec.decode(proof, least).store(&mut out[x..]);
    }
}
