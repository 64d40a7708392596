//! The median along an axis: `numpy.median`, as f32.
//!
//! Of an even number of values the mean of the two in the middle, in f64, rounded once. NaN, if there is one. A tile holds
//! the whole axis, in a column of a few voxels if need be.

use super::reduced;
use crate::device::why;
use crate::pointwise::{Sample, for_rows};
use std::cmp::Ordering;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Dtype, Meta, Shape, Tile, TileMut};

pub(crate) struct Median {
    pub(crate) name: &'static str,
    pub(crate) axis: Axis,
    pub(crate) extent: u64,
}

/// Columns that are gathered at once: a cache line of small samples.
const COLUMNS: usize = 32;

/// The median of some values, which are put in another order; there is one at least.
fn median<T: Sample>(values: &mut [T]) -> f32 {
    #[expect(clippy::eq_op, reason = "NaN is the value that differs from itself")]
    if T::DTYPE.is_float() && values.iter().any(|v| v != v) {
        return f32::NAN;
    }
    let (even, half) = (values.len().is_multiple_of(2), values.len() / 2);
    let (below, middle, _) =
        values.select_nth_unstable_by(half, |a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    let upper = *middle;
    if !even {
        return upper.to_f32();
    }
    let lower = below.iter().fold(T::LOWEST, |most, &v| if v > most { v } else { most });
    ((lower.to_f64() + upper.to_f64()) / 2.0) as f32
}

impl Median {
    fn fill<T: Sample>(&self, input: &Tile<'_>, output: &mut TileMut<'_>, scratch: &mut [u8]) {
        let (rows, mut out) = (input.view::<T>(), output.view::<f32>());
        let extent = rows.shape()[self.axis.index()];
        let columns: &mut [T] = bytemuck::cast_slice_mut(scratch);
        for_rows(out.shape(), |t, c, z, y| {
            let out = out.row(t, c, z, y);
            if self.axis == Axis::X {
                let column = &mut columns[..extent];
                column.copy_from_slice(rows.row(t, c, z, y));
                out[0] = median(column);
                return;
            }
            for (n, out) in out.chunks_mut(COLUMNS).enumerate() {
                for k in 0..extent {
                    let mut at = [t, c, z, y];
                    at[self.axis.index()] = k;
                    let row = &rows.row(at[0], at[1], at[2], at[3])[n * COLUMNS..][..out.len()];
                    for (x, &value) in row.iter().enumerate() {
                        columns[x * extent + k] = value;
                    }
                }
                for (out, column) in out.iter_mut().zip(columns.chunks_exact_mut(extent)) {
                    *out = median(column);
                }
            }
        });
    }
}

impl Op for Median {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        reduced(&inputs[0], self.axis, Dtype::F32, false)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Along(AxisSet::of(&[self.axis]))
    }

    fn scratch(&self, _output: &Shape) -> u64 {
        8 * COLUMNS as u64 * self.extent
    }

    fn ns_per_voxel(&self) -> f64 {
        4.0 * self.extent as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        if !output.is_empty() {
            dispatch!(inputs[0].dtype(), T => self.fill::<T>(&inputs[0], &mut output, scratch));
        }
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::ZEROS)
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        // Which of equal zeros stands in the middle does not follow from their order.
        if inputs[0] == Dtype::F32 {
            return None;
        }
        let axis = vec![Argument::U32(self.axis.index() as u32)];
        Some(Sweep::over(format!("project_median_{}", inputs[0]), axis).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{has, oracle};
    use crate::conforms;
    use crate::ops::PROJECT as SPEC;
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Element};

    fn wanted(image: &Image, axis: Axis) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |values: &[T]| {
            if values.iter().any(|v| v.partial_cmp(v).is_none()) {
                return f32::NAN;
            }
            let mut sorted = values.to_vec();
            sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let half = sorted.len() / 2;
            match sorted.len() % 2 {
                1 => sorted[half].to_f32(),
                _ => ((sorted[half - 1].to_f64() + sorted[half].to_f64()) / 2.0) as f32,
            }
        }))
    }

    conforms!(
        planes: &SPEC, "project z method=median",
        |image| wanted(image, Axis::Z), only(|m| has(m, Axis::Z)),
    );
    conforms!(
        rows: &SPEC, "project y method=median",
        |image| wanted(image, Axis::Y), only(|m| has(m, Axis::Y)),
    );
    conforms!(
        columns: &SPEC, "project x method=median",
        |image| wanted(image, Axis::X), only(|m| has(m, Axis::X)),
    );
}
