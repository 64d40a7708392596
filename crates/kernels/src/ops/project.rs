//! A projection: one axis reduced to a single value.
//!
//! Any type, any axis that the image has; the axis disappears. `max` and `min` keep the type and let NaN through, as
//! numpy. `sum` gives u64, i64 or f64 (64-bit sums wrap, as in numpy). `mean` gives f32: an exact integer sum or an
//! f64 sum, divided once in f64. `std` and `median` give f32, `argmax` and `argmin` the position as u32, the first of
//! equals, all as numpy. `focus` takes each pixel from the plane that is sharpest there, see `along/focus.rs`. Floats are added in rising order along the axis, so the result depends on no tile
//! (numpy adds pairwise: the last bits of its f64 sums may differ).
//! Cost: one read; 1–24 bytes of state per output voxel, whatever the extent of the axis. For `median` and `focus` a tile
//! holds the whole axis.

use crate::along::{Deviation, Focus, Median, Position, add, reduced, state};
use crate::device::why;
use crate::pointwise::{Sample, for_rows};
use crate::spec::{Build, Param, Spec, Value};
use crate::totals::{Total, larger, smaller};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Buffer, Slot, Sweep};
use voxtile_sched::contract::{Fold, Footprint, Kernels, Op, Pass, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Dtype, Element, Meta, Shape, Tile, TileMut};

/// `project z method=max`.
pub(crate) static SPEC: Spec = Spec {
    name: "project",
    about: "projection along an axis: maximum, mean, sum, median, sharpest plane, …",
    params: &[
        Param { name: "axis", value: Value::Axis, default: None, about: "the axis that disappears" },
        Param {
            name: "method",
            value: Value::Choice(&[
                "max", "mean", "sum", "min", "std", "median", "argmax", "argmin", "focus",
            ]),
            default: Some("max"),
            about: "how its values become one",
        },
        Param {
            name: "size",
            value: Value::Number,
            default: Some("9"),
            about: "for focus: pixels along y and x over which sharpness is judged",
        },
    ],
    inputs: 1,
    example: "project z method=max",
    build: Build::One(|args| {
        let axis = args.axis("axis")?;
        let input = args.input();
        let (name, dtype, extent) = (SPEC.name, input.dtype, input.shape[axis.index()]);
        let method = match args.choice("method")? {
            "max" => Method::Max,
            "mean" => Method::Mean,
            "sum" => Method::Sum,
            "min" => Method::Min,
            "std" => return Ok(Arc::new(Deviation { name, axis, dtype, extent })),
            "median" => return Ok(Arc::new(Median { name, axis, extent })),
            "focus" => {
                let size = args.finite("size")?;
                if size.fract() != 0.0 || !(2.0..=1000.0).contains(&size) {
                    let text = args.text("size").unwrap_or_default();
                    return Err(args.wrong("size", text, "a whole number from 2 to 1000"));
                }
                return Ok(Arc::new(Focus { name, axis, size: size as u64 }));
            }
            at => return Ok(Arc::new(Position { name, axis, largest: at == "argmax", dtype, extent })),
        };
        Ok(Arc::new(Project { axis, method, dtype, extent }))
    }),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Max,
    Mean,
    Sum,
    Min,
}

struct Project {
    axis: Axis,
    method: Method,
    /// Of the input.
    dtype: Dtype,
    /// Of the axis, for the estimate of time.
    extent: u64,
}

/// How a sum is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    I64,
    I128,
    F64,
}

impl Project {
    fn kept(&self) -> Kept {
        match (self.dtype, self.method) {
            (Dtype::F32 | Dtype::F64, _) => Kept::F64,
            (Dtype::U64 | Dtype::I64, Method::Mean) => Kept::I128,
            _ => Kept::I64,
        }
    }

    fn result(&self) -> Dtype {
        match self.method {
            Method::Max | Method::Min => self.dtype,
            Method::Mean => Dtype::F32,
            Method::Sum if self.dtype.is_float() => Dtype::F64,
            Method::Sum if self.dtype.is_signed_integer() => Dtype::I64,
            Method::Sum => Dtype::U64,
        }
    }
}

/// What a voxel does to the state: one type for each reduction, so that each is compiled as its own loop.
trait Take<T>: Copy {
    type State: bytemuck::Pod;
    fn take(state: Self::State, value: T) -> Self::State;
}

#[derive(Clone, Copy)]
struct Largest;
#[derive(Clone, Copy)]
struct Smallest;
#[derive(Clone, Copy)]
struct Sum<A>(std::marker::PhantomData<A>);

impl<T: Sample> Take<T> for Largest {
    type State = T;
    #[inline(always)]
    fn take(state: T, value: T) -> T {
        larger(state, value)
    }
}

impl<T: Sample> Take<T> for Smallest {
    type State = T;
    #[inline(always)]
    fn take(state: T, value: T) -> T {
        smaller(state, value)
    }
}

impl<T: Sample, A: Total> Take<T> for Sum<A> {
    type State = A;
    #[inline(always)]
    fn take(state: A, value: T) -> A {
        state.plus(A::of(value))
    }
}

vectorised! {
    /// Voxels side by side, each with its own state.
    fn beside<T: Sample, K: Take<T>>(row: &[T], state: &mut [K::State]) {
        for (state, &value) in state.iter_mut().zip(row) {
            *state = K::take(*state, value);
        }
    }
}

/// Slices that are taken at once, so that the states are read and written once for all of them.
const AT_ONCE: usize = 4;

vectorised! {
    /// [`beside`], several slices one after the other.
    fn slices<T: Sample, K: Take<T>>(rows: [&[T]; AT_ONCE], state: &mut [K::State]) {
        let rows = rows.map(|row| &row[..state.len()]);
        for (i, state) in state.iter_mut().enumerate() {
            for row in rows {
                *state = K::take(*state, row[i]);
            }
        }
    }
}

vectorised! {
    /// Voxels of one row into one state, in order.
    fn along<T: Sample, K: Take<T>>(row: &[T], state: &mut K::State) {
        *state = row.iter().fold(*state, |state, &value| K::take(state, value));
    }
}

/// Bytes of states that are worked on while the axis runs.
const STATES: usize = 16 << 10;

/// Adds a slab to the states, which lie in raster order of the output.
fn take_slab<T: Sample, K: Take<T>>(slab: &Tile<'_>, axis: Axis, state: &mut [u8]) {
    let state: &mut [K::State] = bytemuck::cast_slice_mut(state);
    let rows = slab.view::<T>();
    let mut shape = slab.shape();
    let extent = std::mem::replace(&mut shape[axis.index()], 1);
    let (ny, nx) = (shape[3], shape[4]);
    let mut n = 0;
    if axis == Axis::X {
        for_rows(shape, |t, c, z, y| {
            along::<T, K>(rows.row(t, c, z, y), &mut state[n]);
            n += 1;
        });
        return;
    }
    // The states of some rows stay in the first-level cache while the axis runs; together these rows are long enough for
    // the memory to foresee what is read.
    let together = (STATES / (nx * size_of::<K::State>()).max(1)).clamp(1, ny.max(1));
    shape[3] = ny.div_ceil(together);
    let joined = rows.strides()[3] == nx;
    for_rows(shape, |t, c, z, block| {
        let ys = block * together..ny.min((block + 1) * together);
        let states = &mut state[n..n + ys.len() * nx];
        n += states.len();
        let mut at = [t, c, z, ys.start];
        at[axis.index()] = 0;
        let first = (0..4).map(|a| at[a] * rows.strides()[a]).sum::<usize>();
        // Rows without gaps between them are one long row.
        let length = if joined { states.len() } else { nx };
        for (i, states) in states.chunks_exact_mut(length.max(1)).enumerate() {
            let len = states.len();
            let row = |k: usize| {
                let start = first + i * rows.strides()[3] + k * rows.strides()[axis.index()];
                &rows.raw()[start..start + len]
            };
            let mut k = 0;
            while k + AT_ONCE <= extent {
                slices::<T, K>(std::array::from_fn(|n| row(k + n)), states);
                k += AT_ONCE;
            }
            for k in k..extent {
                beside::<T, K>(row(k), states);
            }
        }
    });
}

/// Divides the sums of a row.
fn divide<A: Total>(state: &[u8], count: u64, output: &mut TileMut<'_>) {
    let mut out = output.view::<f32>();
    let nx = out.shape()[4];
    let mut states = bytemuck::cast_slice::<u8, A>(state).chunks_exact(nx.max(1));
    for_rows(out.shape(), |t, c, z, y| {
        let row = out.row(t, c, z, y).iter_mut();
        for (out, sum) in row.zip(states.next().unwrap_or_default()) {
            *out = sum.mean(count);
        }
    });
}

impl Fold for Project {
    fn axis(&self) -> Axis {
        self.axis
    }

    fn state_size(&self) -> usize {
        match (self.method, self.kept()) {
            (Method::Max | Method::Min, _) => self.dtype.size(),
            (_, Kept::I64 | Kept::F64) => 8,
            (_, Kept::I128) => 16,
        }
    }

    fn start(&self, state: &mut [u8]) {
        match self.method {
            Method::Max => dispatch!(self.dtype, T => bytemuck::cast_slice_mut(state).fill(T::LOWEST)),
            Method::Min => dispatch!(self.dtype, T => bytemuck::cast_slice_mut(state).fill(T::HIGHEST)),
            Method::Mean | Method::Sum => state.fill(0),
        }
    }

    fn add(&self, slab: &Tile<'_>, state: &mut [u8]) {
        dispatch!(self.dtype, T => match (self.method, self.kept()) {
            (Method::Max, _) => take_slab::<T, Largest>(slab, self.axis, state),
            (Method::Min, _) => take_slab::<T, Smallest>(slab, self.axis, state),
            (_, Kept::I64) => take_slab::<T, Sum<i64>>(slab, self.axis, state),
            (_, Kept::I128) => take_slab::<T, Sum<i128>>(slab, self.axis, state),
            (_, Kept::F64) => take_slab::<T, Sum<f64>>(slab, self.axis, state),
        });
    }

    fn finish(&self, count: u64, state: &[u8], mut output: TileMut<'_>) {
        match (self.method, self.kept()) {
            (Method::Mean, Kept::I64) => divide::<i64>(state, count, &mut output),
            (Method::Mean, Kept::I128) => divide::<i128>(state, count, &mut output),
            (Method::Mean, Kept::F64) => divide::<f64>(state, count, &mut output),
            _ => output.copy_from(&Tile::new(self.result(), output.shape(), state)),
        }
    }

    /// The largest of a slab is its state, as its sum is.
    fn kernels(&self, slab: Dtype, shape: &Shape) -> Option<Kernels> {
        let smallest = match self.method {
            Method::Max => 0,
            Method::Min => 1,
            Method::Mean | Method::Sum => {
                let float = slab == Dtype::F32;
                // Sums of floats keep their order.
                let possible = !float || shape[self.axis.index()] == self.extent;
                let sum = if float { Dtype::F64 } else { Dtype::U64 };
                let kernels = state(format!("project_sum_{slab}"), self.axis, sum, shape, 1, &[]);
                return possible.then_some(kernels);
            }
        };
        let (mut reduced, axis) = (*shape, self.axis.index());
        reduced[axis] = 1;
        let arguments = vec![Argument::U32(axis as u32), Argument::U32(smallest)];
        let (from, to) = (vec![Slot::Input(0)], vec![Slot::Result(0)]);
        let sweep = Sweep::new(format!("project_extreme_{slab}"), from, to, arguments);
        Some(Kernels { results: vec![Buffer::any(slab, reduced).into()], ..sweep.into() })
    }

    fn join(&self, next: &[u8], state: &mut [u8]) {
        let largest = match (self.method, self.kept()) {
            (Method::Max, _) => true,
            (Method::Min, _) => false,
            (_, Kept::F64) => return add::<f64>(next, state, |a, b| a + b),
            _ => return add::<i64>(next, state, i64::wrapping_add),
        };
        dispatch!(self.dtype, T => {
            let next = next.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned::<T>);
            for (state, next) in bytemuck::cast_slice_mut::<u8, T>(state).iter_mut().zip(next) {
                *state = if largest { larger(*state, next) } else { smaller(*state, next) };
            }
        });
    }
}

impl Op for Project {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = reduced(&inputs[0], self.axis, self.result(), self.method == Method::Sum)?;
        if matches!(self.method, Method::Max | Method::Min) {
            meta.kind = inputs[0].kind;
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Along(AxisSet::of(&[self.axis]))
    }

    fn ns_per_voxel(&self) -> f64 {
        let per_input = if self.axis == Axis::X && self.dtype.is_float() { 1.0 } else { 0.1 };
        per_input * self.extent as f64
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Fold(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (self.dtype.is_float() && matches!(self.method, Method::Mean | Method::Sum)).then_some(why::ORDER)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract feeds a fold in slabs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};

    /// The values along the axis of every output voxel, reduced one by one.
    fn oracle<T: Element, U: Element>(image: &Image, axis: Axis, reduce: impl Fn(&[T]) -> U) -> Image {
        let mut meta = image.meta().with_dtype(U::DTYPE);
        meta.axes = meta.axes.without(axis);
        meta.shape[axis.index()] = 1;
        Image::from_fn(meta, |mut at| {
            let values: Vec<T> = (0..image.meta().shape[axis.index()])
                .map(|k| {
                    at[axis.index()] = k;
                    image.at(at)
                })
                .collect();
            reduce(&values)
        })
    }

    fn max(image: &Image, axis: Axis) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |v: &[T]| v.iter().copied().reduce(larger).unwrap()))
    }

    fn min(image: &Image, axis: Axis) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |v: &[T]| v.iter().copied().reduce(smaller).unwrap()))
    }

    fn sum(image: &Image, axis: Axis) -> Image {
        let dtype = image.meta().dtype;
        dispatch!(dtype, T => {
            if dtype.is_float() {
                return oracle(image, axis, |v: &[T]| v.iter().fold(0.0, |s, v| s + v.to_f64()));
            }
            let total = |v: &[T]| v.iter().map(|v| v.to_i128()).sum::<i128>();
            if dtype.is_signed_integer() {
                oracle(image, axis, |v: &[T]| total(v) as i64)
            } else {
                oracle(image, axis, |v: &[T]| total(v) as u64)
            }
        })
    }

    fn mean(image: &Image, axis: Axis) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |v: &[T]| {
            let total = if T::DTYPE.is_float() {
                v.iter().fold(0.0, |s, v| s + v.to_f64())
            } else {
                v.iter().map(|v| v.to_i128()).sum::<i128>() as f64
            };
            (total / v.len() as f64) as f32
        }))
    }

    fn deep(m: &Meta) -> bool {
        m.axes.contains(Axis::Z) && m.axes.len() > 1 && m.shape[2] > 0
    }

    fn wide(m: &Meta) -> bool {
        m.axes.len() > 1 && m.shape[4] > 0
    }

    conforms!(max_z: &SPEC, "project z", |image| max(image, Axis::Z), only(deep));
    conforms!(max_x: &SPEC, "project x method=max", |image| max(image, Axis::X), only(wide));
    conforms!(
        min_y: &SPEC, "project y method=min",
        |image| min(image, Axis::Y),
        only(|m| wide(m) && m.axes.contains(Axis::Y) && m.shape[3] > 0),
    );
    conforms!(sum_z: &SPEC, "project z method=sum", |image| sum(image, Axis::Z), only(deep));
    conforms!(
        sum_x_also_of_nothing: &SPEC, "project x method=sum",
        |image| sum(image, Axis::X),
        only(|m| m.axes.len() > 1),
    );
    conforms!(
        sum_t: &SPEC, "project axis=t method=sum",
        |image| sum(image, Axis::T),
        only(|m| m.axes.contains(Axis::T)),
    );
    conforms!(mean_z: &SPEC, "project z method=mean", |image| mean(image, Axis::Z), only(deep));
    conforms!(
        mean_c: &SPEC, "project c method=mean",
        |image| mean(image, Axis::C),
        only(|m| m.axes.contains(Axis::C)),
    );
    conforms!(mean_x: &SPEC, "project x method=mean", |image| mean(image, Axis::X), only(wide));

    #[test]
    fn sums_of_64_bit_wrap_and_their_means_do_not() {
        let image = Image::of::<u64>("yx", &[2, 1], &[u64::MAX, u64::MAX]);
        assert_eq!(steps("project y method=sum", &image).values::<u64>(), [u64::MAX - 1]);
        assert_eq!(steps("project y method=mean", &image).values::<f32>(), [u64::MAX as f32]);
    }

    #[test]
    fn axes_that_cannot_disappear_are_refused() {
        let refused = |text: &str, meta: Meta| {
            let stages = stages(&SPEC, text, std::slice::from_ref(&meta)).unwrap();
            stages[0].op.output(std::slice::from_ref(&meta)).unwrap_err()
        };
        let z = refused("project z", meta("yx", &[4, 4], Dtype::U8));
        assert!(matches!(z, Refused::Axis { axis: Axis::Z, .. }));
        let x = refused("project x", meta("x", &[4], Dtype::U8));
        assert!(x.to_string().contains("only axis"), "{x}");
        let none = refused("project y method=mean", meta("yx", &[0, 4], Dtype::U8));
        assert!(none.to_string().contains("no voxels along y"), "{none}");
    }
}
