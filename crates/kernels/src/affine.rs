//! Values between voxels at places that a matrix gives: every output voxel on its own.

use crate::pointwise::for_rows;
use crate::sampling::Method;
use crate::vectorised;
use voxtile_sched::contract::{Footprint, Op, Pass, Placed, Refused};
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

/// Input voxels around the place of one output voxel.
struct Around {
    /// The first voxel along each axis.
    first: [usize; 3],
    /// Its distance from the place.
    rest: [f64; 3],
    /// Whether it is the last one of the image.
    end: [bool; 3],
}

impl Row {
    /// Where the voxel at `x` takes its value; `None` outside the image.
    #[inline(always)]
    fn around(&self, x: i64) -> Option<Around> {
        let mut out = Around { first: [0; 3], rest: [0.0; 3], end: [false; 3] };
        for a in 0..3 {
            let along = &self.along[a];
            let place = along.base + x as f64 * along.step;
            // Also false for NaN.
            if !(place >= 0.0 && place <= along.last) {
                return None;
            }
            // Rounded down, because it is not negative.
            let first = (place + self.half) as i64;
            out.rest[a] = place - first as f64;
            out.first[a] = (first - along.before) as usize;
            out.end[a] = first as f64 >= along.last;
        }
        Some(out)
    }
}

/// The voxels that a tile holds of the input.
struct Held<'a, 'b, T> {
    voxels: &'a View<'b, T>,
    /// Where the plane of this time and channel begins.
    base: usize,
    /// The way to the next voxel along each axis; 0 where it has no weight.
    more: [usize; 3],
}

impl<T> Held<'_, '_, T> {
    #[inline(always)]
    fn place(&self, [z, y, x]: [usize; 3]) -> usize {
        let strides = self.voxels.strides();
        self.base + z * strides[2] + y * strides[3] + x
    }
}

vectorised! {
    fn pick<T: Element>(row: &Row, start: i64, held: &Held<'_, '_, T>, outside: T, out: &mut [T]) {
        let data = held.voxels.raw();
        for (out, x) in out.iter_mut().zip(start..) {
            *out = match row.around(x) {
                None => outside,
                Some(around) => data[held.place(around.first)],
            };
        }
    }
}

vectorised! {
    /// Sums in f64: along x, then y, then z.
    fn mix<T: Element>(row: &Row, start: i64, held: &Held<'_, '_, T>, outside: f32, out: &mut [f32]) {
        let data = held.voxels.raw();
        for (out, x) in out.iter_mut().zip(start..) {
            let Some(around) = row.around(x) else {
                *out = outside;
                continue;
            };
            let at = held.place(around.first);
            let [rz, ry, rx] = around.rest;
            // The voxel after the last one has no weight.
            let more = |a: usize| if around.end[a] { 0 } else { held.more[a] };
            let (dy, dx) = (more(1), more(2));
            let along = |at: usize| data[at].to_f64() * (1.0 - rx) + data[at + dx].to_f64() * rx;
            let plane = |at: usize| along(at) * (1.0 - ry) + along(at + dy) * ry;
            *out = if held.more[0] == 0 {
                plane(at) as f32
            } else {
                (plane(at) * (1.0 - rz) + plane(at + more(0)) * rz) as f32
            };
        }
    }
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
}

fn fill_row<T: Element>(output: &mut TileMut<'_>, value: T) {
    let mut out = output.view::<T>();
    for_rows(out.shape(), |t, c, z, y| out.row(t, c, z, y).fill(value));
}

/// Sizes along z, y and x in place of an image's.
pub(crate) fn with_space(image: &Shape, space: [u64; 3]) -> PerAxis<u64> {
    [image[0], image[1], space[0], space[1], space[2]]
}
