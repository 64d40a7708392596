//! Values between voxels at places that a matrix gives: every output voxel on its own.

use crate::pointwise::{Sample, for_rows};
use crate::sampling::Method;
use crate::vectorised;
use std::ops::Range;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{
    Axis, Dtype, Element, Kind, Meta, PerAxis, Region, Shape, Spacing, Tile, TileMut, View,
};

/// A map from the voxels of the result to places in the image, along z, y and x.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) name: &'static str,
    /// The place of output voxel `o` along axis `a` is `offset[a] + Σ matrix[a][b] · o[b]`.
    pub(crate) matrix: [[f64; 3]; 3],
    pub(crate) offset: [f64; 3],
    /// Of the input and of the output.
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    /// Nearest or linear.
    pub(crate) method: Method,
    /// What stands outside.
    pub(crate) cval: f64,
}

impl Affine {
    /// The place of an output voxel along an axis: products are added to the offset in the order z, y, x.
    #[inline(always)]
    fn place(&self, a: usize, z: f64, y: f64, x: f64) -> f64 {
        ((self.offset[a] + z * self.matrix[a][0]) + y * self.matrix[a][1]) + x * self.matrix[a][2]
    }

    /// Voxels taken along each axis: one where the position is always whole.
    fn taps(&self, a: usize) -> i64 {
        let whole = |v: f64| v.fract() == 0.0;
        let exact = whole(self.offset[a]) && self.matrix[a].iter().all(|&v| whole(v));
        if self.method == Method::Nearest || exact { 1 } else { 2 }
    }

    /// The first voxel along an axis that a place takes.
    #[inline(always)]
    fn first(&self, place: f64) -> f64 {
        if self.method == Method::Nearest { (place + 0.5).floor() } else { place.floor() }
    }

    /// What the voxels of an output row share.
    fn row(&self, [z, y]: [i64; 2], from: &Region) -> Row {
        let along = |a: usize| Along {
            base: (self.offset[a] + z as f64 * self.matrix[a][0]) + y as f64 * self.matrix[a][1],
            step: self.matrix[a][2],
            last: (self.input[2 + a] - 1) as f64,
            before: from.start[2 + a],
        };
        Row {
            along: [along(0), along(1), along(2)],
            half: if self.method == Method::Nearest { 0.5 } else { 0.0 },
        }
    }

    fn nearest<T: Element>(
        &self,
        region: &Region,
        input: &Tile<'_>,
        from: &Region,
        output: &mut TileMut<'_>,
    ) {
        let (voxels, mut out) = (input.view::<T>(), output.view::<T>());
        let outside = T::from_f64(self.cval);
        for_rows(out.shape(), |t, c, z, y| {
            let row = self.row([region.start[2] + z as i64, region.start[3] + y as i64], from);
            let held = Held {
                voxels: &voxels,
                base: t * voxels.strides()[0] + c * voxels.strides()[1],
                more: [0; 3],
            };
            pick(&row, region.start[4], &held, outside, out.row(t, c, z, y));
        });
    }

    fn linear<T: Element>(&self, region: &Region, input: &Tile<'_>, from: &Region, output: &mut TileMut<'_>) {
        let (voxels, mut out) = (input.view::<T>(), output.view::<f32>());
        let strides = voxels.strides();
        let more = std::array::from_fn(|a| if self.taps(a) > 1 { strides[2 + a] } else { 0 });
        for_rows(out.shape(), |t, c, z, y| {
            let row = self.row([region.start[2] + z as i64, region.start[3] + y as i64], from);
            let held = Held { voxels: &voxels, base: t * strides[0] + c * strides[1], more };
            mix(&row, region.start[4], &held, self.cval as f32, out.row(t, c, z, y));
        });
    }
}

/// Places along one axis of the voxels of an output row.
struct Along {
    /// Of the voxel at x 0.
    base: f64,
    /// For one voxel.
    step: f64,
    /// The last place that lies in the image.
    last: f64,
    /// The first voxel of the input that the tile holds.
    before: i64,
}

struct Row {
    along: [Along; 3],
    /// What is added to a place before it is rounded down.
    half: f64,
}

/// Output voxels that are computed together: their numbers stay in the first-level cache.
const BLOCK: usize = 64;

/// Adding 2^52 rounds a number that is not negative to a whole one and leaves it in the low bits of the sum.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// Where neighbours along a row take their values.
struct Block {
    /// The first input voxel of each, in the tile.
    at: [usize; BLOCK],
    /// Its distance from the place, along each axis.
    rest: [[f64; BLOCK]; 3],
    /// The way to the voxel after it, along each axis; 0 after the last one, which has no weight.
    more: [[usize; BLOCK]; 3],
}

impl Row {
    /// Which voxels of an output row from `start` on lie in the image: along it places only rise or only fall.
    fn inside(&self, start: i64, len: usize) -> Range<usize> {
        let mut range = 0..len;
        for along in &self.along {
            if !along.base.is_finite() {
                return 0..0;
            }
            let place = |n: usize| along.base + (start + n as i64) as f64 * along.step;
            let (above, below) = (|n| place(n) >= 0.0, |n| place(n) <= along.last);
            range = if along.step < 0.0 {
                first(range.clone(), below)..first(range, |n| !above(n))
            } else {
                first(range.clone(), above)..first(range, |n| !below(n))
            };
        }
        range
    }

    /// Where the `len` voxels from `start` on, which lie in the image, take their values.
    #[inline(always)]
    fn block<T>(&self, start: i64, len: usize, held: &Held<'_, '_, T>) -> Block {
        let strides = held.voxels.strides();
        let mut out = Block { at: [held.base; BLOCK], rest: [[0.0; BLOCK]; 3], more: [[0; BLOCK]; 3] };
        for a in 0..3 {
            let (along, step, after) = (&self.along[a], strides[2 + a], held.more[a]);
            let voxels = out.at[..len].iter_mut().zip(&mut out.rest[a][..len]).zip(&mut out.more[a][..len]);
            for (k, ((at, rest), more)) in voxels.enumerate() {
                let place = along.base + (start + k as i64) as f64 * along.step;
                let raised = place + self.half;
                let near = (raised + WHOLE) - WHOLE;
                let first = if near > raised { near - 1.0 } else { near };
                let index = (first + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()) as usize;
                *at += index.wrapping_sub(along.before as usize).wrapping_mul(step);
                *rest = place - first;
                *more = if first >= along.last { 0 } else { after };
            }
        }
        out
    }

    /// Whether an output row lies along rows of the image, voxel on voxel.
    fn is_straight<T>(&self, held: &Held<'_, '_, T>) -> bool {
        self.along[0].step == 0.0
            && self.along[1].step == 0.0
            && self.along[2].step == 1.0
            && held.more[2] == 0
    }
}

/// The first number of a range from which on something holds; its end if that never happens.
#[inline]
fn first(range: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    if range.is_empty() || holds(range.start) {
        return range.start;
    }
    if !holds(range.end - 1) {
        return range.end;
    }
    // It does not hold for the one, and does for the other.
    let (mut not, mut yes) = (range.start, range.end - 1);
    while yes - not > 1 {
        let middle = not + (yes - not) / 2;
        if holds(middle) {
            yes = middle;
        } else {
            not = middle;
        }
    }
    yes
}

/// The voxels that a tile holds of the input.
struct Held<'a, 'b, T> {
    voxels: &'a View<'b, T>,
    /// Where the plane of this time and channel begins.
    base: usize,
    /// The way to the next voxel along each axis; 0 where it has no weight.
    more: [usize; 3],
}

vectorised! {
    fn pick<T: Element>(row: &Row, start: i64, held: &Held<'_, '_, T>, outside: T, out: &mut [T]) {
        let data = held.voxels.raw();
        let inside = row.inside(start, out.len());
        out[..inside.start].fill(outside);
        out[inside.end..].fill(outside);
        let mut x = start + inside.start as i64;
        for out in out[inside].chunks_mut(BLOCK) {
            let block = row.block(x, out.len(), held);
            for (out, &at) in out.iter_mut().zip(&block.at) {
                *out = data[at];
            }
            x += out.len() as i64;
        }
    }
}

vectorised! {
    /// Sums in f64: along x, then y, then z.
    fn mix<T: Element>(row: &Row, start: i64, held: &Held<'_, '_, T>, outside: f32, out: &mut [f32]) {
        let data = held.voxels.raw();
        let inside = row.inside(start, out.len());
        out[..inside.start].fill(outside);
        out[inside.end..].fill(outside);
        let straight = row.is_straight(held);
        let flat = held.more[0] == 0;
        let mut x = start + inside.start as i64;
        // The voxels around each place: in its plane, and in the next one.
        let (mut near, mut far) = ([[0.0; BLOCK]; 4], [[0.0; BLOCK]; 4]);
        for out in out[inside].chunks_mut(BLOCK) {
            let len = out.len();
            let block = row.block(x, len, held);
            let Block { at, rest: [rz, ry, rx], more: [dz, dy, dx] } = &block;
            if straight {
                corners_of_rows(data, at[0], dy[0], len, &mut near);
                if !flat {
                    corners_of_rows(data, at[0] + dz[0], dy[0], len, &mut far);
                }
            } else {
                for k in 0..len {
                    corners(data, at[k], dy[k], dx[k], k, &mut near);
                }
                if !flat {
                    for k in 0..len {
                        corners(data, at[k] + dz[k], dy[k], dx[k], k, &mut far);
                    }
                }
            }
            if flat {
                for (k, out) in out.iter_mut().enumerate() {
                    *out = in_plane(&near, ry, rx, k) as f32;
                }
            } else {
                for (k, out) in out.iter_mut().enumerate() {
                    let (near, far) = (in_plane(&near, ry, rx, k), in_plane(&far, ry, rx, k));
                    *out = (near * (1.0 - rz[k]) + far * rz[k]) as f32;
                }
            }
            x += len as i64;
        }
    }
}

/// The four voxels of a plane around place `k`.
#[inline(always)]
fn corners<T: Element>(data: &[T], at: usize, dy: usize, dx: usize, k: usize, to: &mut [[f64; BLOCK]; 4]) {
    to[0][k] = data[at].to_f64();
    to[1][k] = data[at + dx].to_f64();
    to[2][k] = data[at + dy].to_f64();
    to[3][k] = data[at + dy + dx].to_f64();
}

/// Those around places that are neighbours and lie on voxels of the rows.
#[inline(always)]
fn corners_of_rows<T: Element>(data: &[T], at: usize, dy: usize, len: usize, to: &mut [[f64; BLOCK]; 4]) {
    let [a, b, c, d] = to;
    for (from, one, two) in [(at, a, b), (at + dy, c, d)] {
        let row = &data[from..from + len];
        for ((voxel, one), two) in row.iter().zip(one).zip(two) {
            *one = voxel.to_f64();
            *two = *one;
        }
    }
}

/// The value between the four voxels of a plane.
#[inline(always)]
fn in_plane(v: &[[f64; BLOCK]; 4], ry: &[f64; BLOCK], rx: &[f64; BLOCK], k: usize) -> f64 {
    let along = |a: f64, b: f64| a * (1.0 - rx[k]) + b * rx[k];
    along(v[0][k], v[1][k]) * (1.0 - ry[k]) + along(v[2][k], v[3][k]) * ry[k]
}

impl Op for Affine {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = Meta { shape: self.output, ..inputs[0].clone() };
        if self.method != Method::Nearest {
            (meta.dtype, meta.kind) = (Dtype::F32, Kind::Image);
        }
        // A step along an axis of the result is this long in the image.
        let spacing = |axis: Axis| inputs[0].spacing[axis.index()].clone();
        for (b, axis) in [Axis::Z, Axis::Y, Axis::X].into_iter().enumerate() {
            let Some(own) = spacing(axis) else { continue };
            let length = |a: usize, axis: Axis| {
                let scale = spacing(axis).filter(|s| s.unit == own.unit).map_or(own.scale, |s| s.scale);
                self.matrix[a][b] * scale
            };
            let steps = [length(0, Axis::Z), length(1, Axis::Y), length(2, Axis::X)];
            let scale = steps.iter().map(|s| s * s).sum::<f64>().sqrt();
            let origin = own.origin + self.offset[b] * own.scale;
            meta.spacing[axis.index()] = Some(Spacing { scale, origin, unit: own.unit });
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    /// The box around the places of the region's corners: along each axis places rise or fall with every coordinate,
    /// rounding included.
    fn reads(&self, _input: usize, out: &Region, image: &Shape) -> Region {
        let mut read = *out;
        for (a, axis) in [Axis::Z, Axis::Y, Axis::X].into_iter().enumerate() {
            let corner = |n: usize, b: usize| {
                let last = if n >> b & 1 == 1 { out.shape[2 + b] as i64 - 1 } else { 0 };
                (out.start[2 + b] + last) as f64
            };
            let places = (0..8).map(|n| self.place(a, corner(n, 0), corner(n, 1), corner(n, 2)));
            let (lo, hi) =
                places.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p), hi.max(p)));
            let last = (image[2 + a] as f64) - 1.0;
            if !(hi >= 0.0 && lo <= last) {
                return Region::default();
            }
            let start = self.first(lo.max(0.0)) as i64;
            let end = self.first(hi.min(last)) as i64 + self.taps(a);
            read = read.with_axis(axis, start, (end - start).max(0) as u64);
        }
        read.clip(image)
    }

    fn ns_per_voxel(&self) -> f64 {
        if self.method == Method::Nearest { 3.0 } else { 8.0 }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies");
    }
}

impl Placed for Affine {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        from: &[Region],
        mut output: TileMut<'_>,
        _scratch: &mut [u8],
    ) {
        let (input, from) = (&inputs[0], &from[0]);
        if input.is_empty() {
            dispatch!(output.dtype(), T => fill_row::<T>(&mut output, T::from_f64(self.cval)));
            return;
        }
        dispatch!(input.dtype(), T => match self.method {
            Method::Nearest => self.nearest::<T>(region, input, from, &mut output),
            _ => self.linear::<T>(region, input, from, &mut output),
        });
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, region: &Region, from: &[Region]) -> Option<Kernels> {
        let last = [2, 3, 4].map(|a| self.input[a] as f64 - 1.0);
        let numbers = [self.matrix.as_flattened(), &self.offset, &last].concat();
        let starts = |region: &Region| region.start[2..].to_vec();
        let between = [0, 1, 2].map(|a| i64::from(self.taps(a) > 1)).to_vec();
        let places = [starts(region), starts(&from[0]), between].concat();
        let map = [Argument::F64s(numbers, 15), Argument::I64s(places)];
        let (kernel, outside) = if self.method == Method::Nearest {
            let word = dispatch!(output, T => T::from_f64(self.cval).to_word());
            (format!("affine_nearest_{}", output.size()), Argument::U64(word))
        } else {
            (format!("affine_{}", inputs[0]), Argument::F64(self.cval))
        };
        Some(Sweep::over(kernel, [&[outside], &map[..]].concat()).into())
    }
}

fn fill_row<T: Element>(output: &mut TileMut<'_>, value: T) {
    let mut out = output.view::<T>();
    for_rows(out.shape(), |t, c, z, y| out.row(t, c, z, y).fill(value));
}

/// Sizes along z, y and x in place of an image's.
pub(crate) fn with_space(image: &Shape, space: [u64; 3]) -> PerAxis<u64> {
    [image[0], image[1], space[0], space[1], space[2]]
}
