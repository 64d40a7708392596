//! What is found along one axis: where the extremes lie, how values spread, their median, the plane in focus.

mod deviation;
mod focus;
mod median;
mod position;

pub(crate) use deviation::Deviation;
pub(crate) use focus::Focus;
pub(crate) use median::Median;
pub(crate) use position::Position;

use crate::device::numbers;
use voxtile_sched::contract::device::{Argument, Buffer, Slot, Sweep};
use voxtile_sched::contract::{Kernels, Refused};
use voxtile_sched::model::{Axis, Dtype, Kind, Meta, Shape};

/// The image without one of its axes, with intensities of another type; `empty` says whether an axis without voxels has a
/// result.
pub(crate) fn reduced(input: &Meta, axis: Axis, dtype: Dtype, empty: bool) -> Result<Meta, Refused> {
    if !input.axes.contains(axis) {
        return Err(Refused::Axis { axis, axes: input.axes });
    }
    let refuse = |why: String| Err(Refused::Param { param: "axis", why });
    if input.axes.len() == 1 {
        return refuse(format!("{axis} is the only axis of the image"));
    }
    if input.shape[axis.index()] == 0 && !empty {
        return refuse(format!("the image has no voxels along {axis}"));
    }
    let mut meta = input.with_dtype(dtype).with_kind(Kind::Image);
    meta.axes = meta.axes.without(axis);
    meta.shape[axis.index()] = 1;
    meta.spacing[axis.index()] = None;
    if axis == Axis::C {
        meta.channels.clear();
    }
    Ok(meta)
}

/// The kernel that makes the state of a slab: `parts` lists of it behind each other, as so many times more time points.
pub(crate) fn state(
    kernel: String,
    axis: Axis,
    dtype: Dtype,
    shape: &Shape,
    parts: u64,
    more: &[Argument],
) -> Kernels {
    let mut lines = *shape;
    lines[axis.index()] = 1;
    lines[0] *= parts;
    of_state(kernel, axis, Buffer::any(dtype, lines), more)
}

/// The same, of any buffer.
pub(crate) fn of_state(kernel: String, axis: Axis, buffer: Buffer, more: &[Argument]) -> Kernels {
    let arguments = [&[Argument::U32(axis.index() as u32)], more].concat();
    let sweep = Sweep::new(kernel, vec![Slot::Input(0)], vec![Slot::Result(0)], arguments);
    Kernels { results: vec![buffer.into()], ..sweep.into() }
}

/// Sums of slabs, added.
pub(crate) fn add<T: bytemuck::Pod>(next: &[u8], state: &mut [u8], add: impl Fn(T, T) -> T) {
    let states = bytemuck::cast_slice_mut::<u8, T>(state).iter_mut();
    states.zip(numbers::<T>(next)).for_each(|(state, next)| *state = add(*state, next));
}

/// The values along the axis of every output voxel, reduced one by one: the form of the oracles here.
#[cfg(test)]
fn oracle<T: voxtile_sched::model::Element, U: voxtile_sched::model::Element>(
    image: &crate::testing::Image,
    axis: Axis,
    reduce: impl Fn(&[T]) -> U,
) -> crate::testing::Image {
    let meta = reduced(image.meta(), axis, U::DTYPE, false).unwrap();
    crate::testing::Image::from_fn(meta, |mut at| {
        let along = 0..image.meta().shape[axis.index()];
        let values: Vec<T> = along
            .map(|k| {
                at[axis.index()] = k;
                image.at(at)
            })
            .collect();
        reduce(&values)
    })
}

/// Images that have the axis, another one, and voxels along it.
#[cfg(test)]
fn has(meta: &Meta, axis: Axis) -> bool {
    meta.axes.contains(axis) && meta.axes.len() > 1 && meta.shape[axis.index()] > 0
}
