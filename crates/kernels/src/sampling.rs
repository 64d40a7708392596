//! Values between voxels, on a grid parallel to the image's: positions, weights, and the sums of rows.

use crate::pointwise::for_rows;
use crate::vectorised;
use voxtile_sched::model::{Element, PerAxis, Region, Tile, TileMut};

/// How a value between voxels follows from those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The voxel that is nearest; of two, the later one.
    Nearest,
    /// The two voxels around the position, along each axis.
    Linear,
    /// Cubic B-splines over four coefficients along each axis.
    Cubic,
}

/// Positions along one axis: the output's voxels lie in the same extent as the input's, `step` input voxels apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Positions {
    pub(crate) method: Method,
    /// Input voxels per output voxel; the axis stays as it is where that is 1.
    pub(crate) step: f64,
    /// Voxels that the input was grown by before its first; of an axis that stays, none.
    pub(crate) lead: i64,
}

/// Most voxels that one position takes along an axis.
const MOST: usize = 4;

impl Positions {
    /// Voxels that each position takes.
    pub(crate) fn taps(&self) -> usize {
        match self.method {
            _ if self.step == 1.0 => 1,
            Method::Nearest => 1,
            Method::Linear => 2,
            Method::Cubic => MOST,
        }
    }

    /// The first of the voxels that output voxel `o` takes, and their weights.
    pub(crate) fn at(&self, o: i64) -> (i64, [f64; MOST]) {
        if self.step == 1.0 {
            return (o, [1.0, 0.0, 0.0, 0.0]);
        }
        let position = (o as f64 + 0.5) * self.step - 0.5;
        let floor = position.floor();
        let x = position - floor;
        match self.method {
            Method::Nearest => (self.lead + (position + 0.5).floor() as i64, [1.0, 0.0, 0.0, 0.0]),
            Method::Linear => (self.lead + floor as i64, [1.0 - x, x, 0.0, 0.0]),
            Method::Cubic => {
                let z = 1.0 - x;
                let (a, b) = (z * z * z / 6.0, (x * x * (x - 2.0) * 3.0 + 4.0) / 6.0);
                let c = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
                (self.lead + floor as i64 - 1, [a, b, c, 1.0 - a - b - c])
            }
        }
    }

    /// First voxel and one past the last that the output voxels `start .. end` take; there is one at least.
    pub(crate) fn reads(&self, start: i64, end: i64) -> (i64, i64) {
        // Rounding does not change the order of positions.
        (self.at(start).0, self.at(end - 1).0 + self.taps() as i64)
    }

    /// Input voxels for so many output voxels, at most.
    fn extent(&self, outputs: u64) -> usize {
        (outputs as f64 * self.step).ceil() as usize + MOST + 1
    }
}

/// Sampling along z, y and x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) along: [Positions; 3],
}

impl Sampling {
    /// Bytes of scratch for an output tile of that shape.
    pub(crate) fn scratch(&self, output: &PerAxis<u64>) -> u64 {
        let [_, y, x] = self.along;
        let row = x.extent(output[4]);
        let columns = output[4] as usize * (x.taps() + 1);
        (8 * (row * (y.taps() + 1) + columns)) as u64
    }

    /// Fills an output tile at `region` from the input's voxels in `from`, in f64: along z, then y, then x, each sum in the
    /// order of the voxels.
    pub(crate) fn fill<T: Element>(
        &self,
        region: &Region,
        input: &Tile<'_>,
        from: &Region,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (rows, mut out) = (input.view::<T>(), output.view::<f32>());
        let (taps_y, taps_x) = (self.along[1].taps(), self.along[2].taps());
        let width = rows.shape()[4];
        let scratch: &mut [f64] = bytemuck::cast_slice_mut(scratch);
        let (ring, rest) = scratch.split_at_mut(taps_y * width);
        let (line, rest) = rest.split_at_mut(width);
        let (weights, first) = rest.split_at_mut(taps_x * out.shape()[4]);
        let first: &mut [u64] = &mut bytemuck::cast_slice_mut(first)[..out.shape()[4]];
        for (x, first) in first.iter_mut().enumerate() {
            let (at, w) = self.along[2].at(region.start[4] + x as i64);
            *first = (at - from.start[4]) as u64;
            weights[x * taps_x..(x + 1) * taps_x].copy_from_slice(&w[..taps_x]);
        }
        // Rows of the input summed along z, each at its number modulo the length of the ring; from `done` on they are not.
        let mut done = 0;
        for_rows(out.shape(), |t, c, z, y| {
            let (z0, wz) = self.along[0].at(region.start[2] + z as i64);
            let z0 = (z0 - from.start[2]) as usize;
            let (y0, wy) = self.along[1].at(region.start[3] + y as i64);
            let y0 = (y0 - from.start[3]) as usize;
            if y == 0 {
                done = 0;
            }
            for row in done.max(y0)..y0 + taps_y {
                let sum = &mut ring[row % taps_y * width..][..width];
                for (k, &w) in wz[..self.along[0].taps()].iter().enumerate() {
                    add(rows.row(t, c, z0 + k, row), w, k == 0, sum);
                }
            }
            done = done.max(y0 + taps_y);
            for (k, &w) in wy[..taps_y].iter().enumerate() {
                add(&ring[(y0 + k) % taps_y * width..][..width], w, k == 0, line);
            }
            let out = out.row(t, c, z, y);
            match taps_x {
                1 => pick::<1>(line, first, weights, out),
                2 => pick::<2>(line, first, weights, out),
                _ => pick::<MOST>(line, first, weights, out),
            }
        });
    }

    /// Fills an output tile with the nearest voxels.
    pub(crate) fn nearest<T: Element>(
        &self,
        region: &Region,
        input: &Tile<'_>,
        from: &Region,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (rows, mut out) = (input.view::<T>(), output.view::<T>());
        let nx = out.shape()[4];
        let place = |a: usize, o: usize| {
            (self.along[a - 2].at(region.start[a] + o as i64).0 - from.start[a]) as usize
        };
        let columns: &mut [u64] = &mut bytemuck::cast_slice_mut(scratch)[..nx];
        columns.iter_mut().enumerate().for_each(|(x, column)| *column = place(4, x) as u64);
        for_rows(out.shape(), |t, c, z, y| {
            let row = rows.row(t, c, place(2, z), place(3, y));
            let out = out.row(t, c, z, y);
            if self.along[2].step == 1.0 {
                out.copy_from_slice(row);
            } else {
                for (out, &column) in out.iter_mut().zip(&*columns) {
                    *out = row[column as usize];
                }
            }
        });
    }
}

/// A sample type or an f64 sum of samples.
pub(crate) trait Term: Copy {
    fn term(self) -> f64;
}

impl<T: Element> Term for T {
    #[inline(always)]
    fn term(self) -> f64 {
        self.to_f64()
    }
}

vectorised! {
    /// Adds a row times its weight, or begins the sum with it.
    fn add<T: Term>(row: &[T], weight: f64, begin: bool, sum: &mut [f64]) {
        if begin && weight == 1.0 {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum = value.term();
            }
        } else if begin {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum = value.term() * weight;
            }
        } else {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += value.term() * weight;
            }
        }
    }
}

/// Sums of neighbours along x.
fn pick<const TAPS: usize>(line: &[f64], first: &[u64], weights: &[f64], out: &mut [f32]) {
    for ((out, &first), weights) in out.iter_mut().zip(first).zip(weights.chunks_exact(TAPS)) {
        let first = first as usize;
        let values = &line[first..first + TAPS];
        let mut sum = values[0] * weights[0];
        for k in 1..TAPS {
            sum += values[k] * weights[k];
        }
        *out = sum as f32;
    }
}
