//! The standard deviation along an axis: `numpy.std`, as f32.
//!
//! Integers of up to 16 bits: exact sums of values and of squares. Other types: mean and sum of squared differences in f64,
//! brought forward value by value (Welford), so a bright ground drowns nothing. 16 or 24 bytes of state per output voxel.

use super::{add, reduced, state};
use crate::device::why;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use voxtile_sched::contract::{Fold, Footprint, Kernels, Op, Pass, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Dtype, Meta, Shape, Tile, TileMut};

pub(crate) struct Deviation {
    pub(crate) name: &'static str,
    pub(crate) axis: Axis,
    /// Of the input.
    pub(crate) dtype: Dtype,
    pub(crate) extent: u64,
}

vectorised! {
    /// Values and squares of voxels side by side.
    fn exact<T: Sample>(row: &[T], sum: &mut [i64], squares: &mut [i64]) {
        let (sum, squares) = (&mut sum[..row.len()], &mut squares[..row.len()]);
        for i in 0..row.len() {
            let value = row[i].to_word() as i32;
            sum[i] += i64::from(value);
            // The square of 16 bits is 32 bits without a sign.
            squares[i] += i64::from(value.wrapping_mul(value) as u32);
        }
    }
}

vectorised! {
    /// Another value of each voxel; `share` is one part of all so far.
    fn forward<T: Sample>(row: &[T], share: f64, mean: &mut [f64], squares: &mut [f64]) {
        let (mean, squares) = (&mut mean[..row.len()], &mut squares[..row.len()]);
        for i in 0..row.len() {
            let value = row[i].to_f64();
            let before = value - mean[i];
            mean[i] += before * share;
            squares[i] += before * (value - mean[i]);
        }
    }
}

impl Deviation {
    fn is_exact(&self) -> bool {
        self.dtype.size() <= 2
    }

    /// Calls `work` with every row of the slab (every voxel of it, along x), the number of the slice, and the place of its
    /// state.
    fn each<T: Sample>(&self, slab: &Tile<'_>, mut work: impl FnMut(&[T], usize, usize)) {
        let rows = slab.view::<T>();
        let mut shape = slab.shape();
        let extent = std::mem::replace(&mut shape[self.axis.index()], 1);
        let nx = shape[4];
        let mut n = 0;
        for_rows(shape, |t, c, z, y| {
            if self.axis == Axis::X {
                let row = rows.row(t, c, z, y);
                (0..extent).for_each(|k| work(&row[k..=k], k, n));
            } else {
                for k in 0..extent {
                    let mut at = [t, c, z, y];
                    at[self.axis.index()] = k;
                    work(rows.row(at[0], at[1], at[2], at[3]), k, n);
                }
            }
            n += nx;
        });
    }
}

impl Fold for Deviation {
    fn axis(&self) -> Axis {
        self.axis
    }

    fn state_size(&self) -> usize {
        if self.is_exact() { 16 } else { 24 }
    }

    fn start(&self, state: &mut [u8]) {
        state.fill(0);
    }

    fn add(&self, slab: &Tile<'_>, state: &mut [u8]) {
        let count = state.len() / self.state_size();
        if count == 0 {
            return;
        }
        if self.is_exact() {
            let (sum, squares) = bytemuck::cast_slice_mut::<u8, i64>(state).split_at_mut(count);
            dispatch!(self.dtype, T => self.each::<T>(slab, |row, _, n| {
                exact(row, &mut sum[n..], &mut squares[n..]);
            }));
        } else {
            let (mean, rest) = bytemuck::cast_slice_mut::<u8, f64>(state).split_at_mut(count);
            let (squares, seen) = rest.split_at_mut(count);
            let before = seen[0];
            dispatch!(self.dtype, T => self.each::<T>(slab, |row, k, n| {
                forward(row, 1.0 / (before + (k + 1) as f64), &mut mean[n..], &mut squares[n..]);
            }));
            seen[0] = before + slab.shape()[self.axis.index()] as f64;
        }
    }

    fn finish(&self, count: u64, state: &[u8], mut output: TileMut<'_>) {
        let voxels = output.len();
        let of = count as f64;
        let deviation = |n: usize| {
            if self.is_exact() {
                let state: &[i64] = bytemuck::cast_slice(state);
                let (sum, squares) = (i128::from(state[n]), i128::from(state[voxels + n]));
                ((i128::from(count) * squares - sum * sum) as f64).sqrt() / of
            } else {
                let state: &[f64] = bytemuck::cast_slice(state);
                (state[voxels + n] / of).sqrt()
            }
        };
        let mut out = output.view::<f32>();
        let mut n = 0;
        for_rows(out.shape(), |t, c, z, y| {
            for out in out.row(t, c, z, y) {
                *out = deviation(n) as f32;
                n += 1;
            }
        });
    }

    fn kernels(&self, slab: Dtype, shape: &Shape) -> Option<Kernels> {
        match slab {
            Dtype::U8 | Dtype::U16 => {
                Some(state(format!("project_squares_{slab}"), self.axis, Dtype::U64, shape, 2, &[]))
            }
            Dtype::F32 if shape[self.axis.index()] == self.extent => {
                Some(state("project_welford_f32".to_owned(), self.axis, Dtype::F64, shape, 3, &[]))
            }
            _ => None,
        }
    }

    fn join(&self, next: &[u8], state: &mut [u8]) {
        if self.is_exact() {
            return add::<i64>(next, state, i64::wrapping_add);
        }
        // Only made of slabs that are all of the axis.
        state.copy_from_slice(next);
    }
}

impl Op for Deviation {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        reduced(&inputs[0], self.axis, Dtype::F32, false)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Along(AxisSet::of(&[self.axis]))
    }

    fn ns_per_voxel(&self) -> f64 {
        let per_input = if self.axis == Axis::X { 4.0 } else { 0.5 };
        per_input * self.extent as f64
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Fold(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        self.dtype.is_float().then_some(why::ORDER)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract feeds a fold in slabs");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{has, oracle};
    use crate::conforms;
    use crate::ops::PROJECT as SPEC;
    use crate::testing::{Image, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Element};

    /// Small integers by exact sums, others brought forward one by one.
    fn wanted(image: &Image, axis: Axis) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |values: &[T]| {
            let count = values.len() as f64;
            if size_of::<T>() <= 2 {
                let sum: i128 = values.iter().map(|v| v.to_f64() as i128).sum();
                let squares: i128 = values.iter().map(|v| (v.to_f64() as i128).pow(2)).sum();
                return (((values.len() as i128 * squares - sum * sum) as f64).sqrt() / count) as f32;
            }
            let (mut mean, mut squares) = (0.0, 0.0);
            for (k, value) in values.iter().enumerate() {
                let before = value.to_f64() - mean;
                mean += before * (1.0 / (k + 1) as f64);
                squares += before * (value.to_f64() - mean);
            }
            (squares / count).sqrt() as f32
        }))
    }

    conforms!(
        planes: &SPEC, "project z method=std",
        |image| wanted(image, Axis::Z), only(|m| has(m, Axis::Z)),
    );
    conforms!(
        rows: &SPEC, "project x method=std",
        |image| wanted(image, Axis::X), only(|m| has(m, Axis::X)),
    );

    #[test]
    fn two_passes_give_the_same() {
        let image = Image::noise("yx", &[40, 9], Dtype::F64, 4);
        let made = steps("project y method=std", &image);
        for x in 0..9 {
            let values: Vec<f64> = (0..40).map(|y| image.values::<f64>()[y * 9 + x]).collect();
            let mean = values.iter().sum::<f64>() / 40.0;
            let want = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 40.0).sqrt();
            assert!((f64::from(made.values::<f32>()[x]) / want - 1.0).abs() < 1e-7);
        }
    }
}
