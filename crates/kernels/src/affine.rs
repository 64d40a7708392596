//! Values between voxels at places that a matrix gives: every output voxel on its own.

use crate::pointwise::for_rows;
use crate::sampling::Method;
use voxtile_sched::contract::{Footprint, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{
    Axis, Dtype, Element, Kind, Meta, PerAxis, Region, Shape, Spacing, Tile, TileMut,
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

/// Input voxels around the place of one output voxel.
struct Around {
    /// The first voxel along each axis.
    first: [usize; 3],
    /// Its distance from the place.
    rest: [f64; 3],
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

    /// Where an output voxel takes its value, in the coordinates of `from`; `None` outside the image.
    #[inline(always)]
    fn around(&self, at: [f64; 3], from: &Region) -> Option<Around> {
        let mut out = Around { first: [0; 3], rest: [0.0; 3] };
        for a in 0..3 {
            let place = self.place(a, at[0], at[1], at[2]);
            // Also false for NaN.
            if !(place >= 0.0 && place <= (self.input[2 + a] - 1) as f64) {
                return None;
            }
            let first = self.first(place);
            out.rest[a] = place - first;
            out.first[a] = (first as i64 - from.start[2 + a]) as usize;
        }
        Some(out)
    }

    fn nearest<T: Element>(
        &self,
        region: &Region,
        input: &Tile<'_>,
        from: &Region,
        output: &mut TileMut<'_>,
    ) {
        let (voxels, mut out) = (input.view::<T>(), output.view::<T>());
        let (data, strides, outside) = (voxels.raw(), voxels.strides(), T::from_f64(self.cval));
        for_rows(out.shape(), |t, c, z, y| {
            let base = t * strides[0] + c * strides[1];
            let (z_at, y_at) = ((region.start[2] + z as i64) as f64, (region.start[3] + y as i64) as f64);
            for (x, out) in out.row(t, c, z, y).iter_mut().enumerate() {
                let x_at = (region.start[4] + x as i64) as f64;
                *out = match self.around([z_at, y_at, x_at], from) {
                    None => outside,
                    Some(Around { first: [z, y, x], .. }) => {
                        data[base + z * strides[2] + y * strides[3] + x * strides[4]]
                    }
                };
            }
        });
    }

    /// Sums in f64: along x, then y, then z.
    fn linear<T: Element>(&self, region: &Region, input: &Tile<'_>, from: &Region, output: &mut TileMut<'_>) {
        let (voxels, mut out) = (input.view::<T>(), output.view::<f32>());
        let (data, strides, outside) = (voxels.raw(), voxels.strides(), self.cval as f32);
        // The voxel after the last one has no weight.
        let after = |a: usize, first: usize| {
            let next = (first as i64 + 1 + from.start[2 + a]) < self.input[2 + a] as i64 && self.taps(a) > 1;
            if next { strides[2 + a] } else { 0 }
        };
        let flat = self.taps(0) == 1;
        for_rows(out.shape(), |t, c, z, y| {
            let base = t * strides[0] + c * strides[1];
            let (z_at, y_at) = ((region.start[2] + z as i64) as f64, (region.start[3] + y as i64) as f64);
            for (x, out) in out.row(t, c, z, y).iter_mut().enumerate() {
                let x_at = (region.start[4] + x as i64) as f64;
                let Some(around) = self.around([z_at, y_at, x_at], from) else {
                    *out = outside;
                    continue;
                };
                let [z, y, x] = around.first;
                let [rz, ry, rx] = around.rest;
                let at = base + z * strides[2] + y * strides[3] + x * strides[4];
                let (dy, dx) = (after(1, y), after(2, x));
                let row = |at: usize| data[at].to_f64() * (1.0 - rx) + data[at + dx].to_f64() * rx;
                let plane = |at: usize| row(at) * (1.0 - ry) + row(at + dy) * ry;
                *out = if flat {
                    plane(at) as f32
                } else {
                    (plane(at) * (1.0 - rz) + plane(at + after(0, z)) * rz) as f32
                };
            }
        });
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
