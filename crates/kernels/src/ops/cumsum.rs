//! Sums of all voxels so far along an axis.
//!
//! Any axis. Gives u64, i64 or f64, as `numpy.cumsum` (with `dtype=float64` for f32); integers wrap. Floats are added one
//! after the other from the first voxel on, in f64, as numpy does, so every bit is equal.
//! Cost: a tile reads everything before it along the axis, so tiles that hold the whole axis are the fast ones, and the plan
//! prefers them; in memory that does not hold such a tile, parts are read again. Scratch of a row.

use crate::pointwise::{Sample, for_rows};
use crate::spec::{Build, Param, Spec, Value};
use crate::totals::Total;
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Element, Kind, Meta, Region, Shape, Tile, TileMut};

/// `cumsum z`.
pub(super) static SPEC: Spec = Spec {
    name: "cumsum",
    about: "sums of all voxels so far along an axis",
    params: &[Param {
        name: "axis",
        value: Value::Axis,
        default: None,
        about: "the axis that is summed along",
    }],
    inputs: 1,
    example: "cumsum z",
    build: Build::One(|args| Ok(Arc::new(Cumsum { axis: args.axis("axis")? }))),
};

struct Cumsum {
    axis: Axis,
}

/// The type of the sums of samples.
fn sums(dtype: Dtype) -> Dtype {
    match dtype {
        _ if dtype.is_float() => Dtype::F64,
        _ if dtype.is_signed_integer() => Dtype::I64,
        _ => Dtype::U64,
    }
}

vectorised! {
    /// Adds the next voxels, side by side.
    fn forward<T: Sample, A: Total>(row: &[T], sums: &mut [A]) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum = sum.plus(A::of(value));
        }
    }
}

impl Cumsum {
    /// `A` adds as `U` does, which wraps.
    fn fill<T: Sample, A: Total, U: Element>(
        &self,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (rows, mut out) = (input.view::<T>(), output.view::<U>());
        let a = self.axis.index();
        let extent = rows.shape()[a];
        let before = extent - out.shape()[a];
        let mut across = out.shape();
        across[a] = 1;
        for_rows(across, |t, c, z, y| {
            if self.axis == Axis::X {
                let mut sum = A::of(T::default());
                let (begun, own) = rows.row(t, c, z, y).split_at(before);
                begun.iter().for_each(|&value| sum = sum.plus(A::of(value)));
                for (out, &value) in out.row(t, c, z, y).iter_mut().zip(own) {
                    sum = sum.plus(A::of(value));
                    *out = bytemuck::cast(sum);
                }
                return;
            }
            let sums: &mut [A] = &mut bytemuck::cast_slice_mut(scratch)[..across[4]];
            sums.fill(A::of(T::default()));
            for k in 0..extent {
                let mut at = [t, c, z, y];
                at[a] = k;
                forward(rows.row(at[0], at[1], at[2], at[3]), sums);
                if k >= before {
                    at[a] = k - before;
                    out.row(at[0], at[1], at[2], at[3]).copy_from_slice(bytemuck::cast_slice(sums));
                }
            }
        });
    }
}

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        if !inputs[0].axes.contains(self.axis) {
            return Err(Refused::Axis { axis: self.axis, axes: inputs[0].axes });
        }
        Ok(inputs[0].with_dtype(sums(inputs[0].dtype)).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        out.with_axis(self.axis, 0, out.end(self.axis.index()) as u64)
    }

    fn scratch(&self, output: &Shape) -> u64 {
        8 * output[4]
    }

    fn ns_per_voxel(&self) -> f64 {
        if self.axis == Axis::X { 1.0 } else { 0.5 }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let (input, output) = (&inputs[0], &mut output);
        dispatch!(input.dtype(), T => match output.dtype() {
            Dtype::F64 => self.fill::<T, f64, f64>(input, output, scratch),
            Dtype::I64 => self.fill::<T, i64, i64>(input, output, scratch),
            _ => self.fill::<T, i64, u64>(input, output, scratch),
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let axis = vec![Argument::U32(self.axis.index() as u32)];
        Some(Sweep::over(format!("cumsum_{}", inputs[0]), axis).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::Image;

    /// One voxel after the other, from the first.
    fn oracle(image: &Image, axis: Axis) -> Image {
        let meta = image.meta().with_dtype(sums(image.meta().dtype));
        let so_far = |at: [u64; 5]| {
            (0..=at[axis.index()]).map(move |k| {
                let mut from = at;
                from[axis.index()] = k;
                from
            })
        };
        dispatch!(image.meta().dtype, T => match meta.dtype {
            Dtype::F64 => Image::from_fn(meta, |at| so_far(at).fold(0.0, |s, p| s + image.at::<T>(p).to_f64())),
            Dtype::I64 => Image::from_fn(meta, |at| {
                so_far(at).fold(0i64, |s, p| s.wrapping_add(image.at::<T>(p).to_i128() as i64))
            }),
            _ => Image::from_fn(meta, |at| {
                so_far(at).fold(0u64, |s, p| s.wrapping_add(image.at::<T>(p).to_i128() as u64))
            }),
        })
    }

    conforms!(rows: &SPEC, "cumsum x", |image| oracle(image, Axis::X));
    conforms!(planes: &SPEC, "cumsum z", |image| oracle(image, Axis::Z), only(|m| m.axes.contains(Axis::Z)));
    conforms!(time: &SPEC, "cumsum axis=t", |image| oracle(image, Axis::T), only(|m| m.axes.contains(Axis::T)));
}
