//! Parts of an image, and images put together: what selects and joins along axes.

use crate::device::{self, IMAGES, sweep, why};
use crate::pointwise::same_dtype;
use crate::spec::{ArgError, Args, From, Stage};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Axis, Dtype, Meta, NDIM, PerAxis, Region, Shape, Tile, TileMut};

/// A box cut out of the image.
pub(crate) struct Cut {
    pub(crate) name: &'static str,
    /// First voxel and one past the last, per axis.
    pub(crate) ranges: PerAxis<(u64, u64)>,
    /// An axis of one voxel that the result does not have.
    pub(crate) dropped: Option<Axis>,
}

impl Op for Cut {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        for axis in Axis::ALL {
            let (lo, hi) = self.ranges[axis.index()];
            meta.shape[axis.index()] = hi - lo;
            if let Some(spacing) = &mut meta.spacing[axis.index()] {
                spacing.origin += lo as f64 * spacing.scale;
            }
        }
        let (lo, hi) = self.ranges[Axis::C.index()];
        meta.channels = meta.channels.into_iter().skip(lo as usize).take((hi - lo) as usize).collect();
        if let Some(axis) = self.dropped {
            meta.axes = meta.axes.without(axis);
            meta.spacing[axis.index()] = None;
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::shift(self.ranges.map(|(lo, _)| lo as i64))
    }

    fn ns_per_voxel(&self) -> f64 {
        0.05
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        output.copy_from(&inputs[0]);
    }

    fn kernels(&self, _inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        Some(device::copy(output))
    }
}

/// Images one after the other along an axis.
pub(crate) struct Beside {
    name: &'static str,
    axis: Axis,
    /// Whether the images lack the axis, and each becomes one voxel of it.
    new: bool,
    /// Where each image begins along the axis.
    starts: Vec<u64>,
}

impl Beside {
    /// Images of these shapes, joined along an axis that they have or, if it is `new`, have not.
    pub(crate) fn new(name: &'static str, axis: Axis, new: bool, inputs: &[Meta]) -> Self {
        let extents = inputs.iter().map(|input| input.shape[axis.index()]);
        let starts = extents
            .scan(0u64, |end, extent| Some(std::mem::replace(end, end.saturating_add(extent))))
            .collect();
        Self { name, axis, new, starts }
    }
}

impl Op for Beside {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_dtype(inputs)?;
        let (axis, first) = (self.axis, &inputs[0]);
        let has = first.axes.contains(axis);
        if has && self.new {
            let why = format!("the images have an axis {axis} already; `concat` joins along it");
            return Err(Refused::Param { param: "axis", why });
        }
        if !has && !self.new {
            return Err(Refused::Axis { axis, axes: first.axes });
        }
        let across = |meta: &Meta| Meta {
            shape: Region::whole(meta.shape).with_axis(axis, 0, 1).shape,
            ..meta.clone()
        };
        for other in inputs {
            if other.axes != first.axes || across(other).shape != across(first).shape {
                return Err(Refused::Shapes { first: first.dims(), second: other.dims() });
            }
        }
        let mut meta = first.clone();
        let extents = inputs.iter().map(|input| input.shape[axis.index()]);
        meta.shape[axis.index()] = extents.fold(0, u64::saturating_add);
        meta.axes = meta.axes.with(axis);
        if axis == Axis::C {
            let known = inputs.iter().all(|m| m.channels.len() as u64 == m.shape[axis.index()]);
            let all = inputs.iter().flat_map(|m| m.channels.clone());
            meta.channels = if known { all.collect() } else { Vec::new() };
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, input: usize, out: &Region, image: &Shape) -> Region {
        let mut offset = [0; NDIM];
        offset[self.axis.index()] = -(self.starts[input] as i64);
        out.translate(&offset).clip(image)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.05
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let whole = Region::whole(output.shape().map(|n| n as u64));
        let mut start = 0;
        for input in inputs.iter().filter(|input| !input.is_empty()) {
            let extent = input.shape()[self.axis.index()];
            output.part(&whole.with_axis(self.axis, start, extent as u64)).copy_from(input);
            start += extent as i64;
        }
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (self.starts.len() > IMAGES).then_some(why::IMAGES)
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        if self.no_kernels().is_some() {
            return None;
        }
        let from = (0..IMAGES).map(|n| Slot::Input(if n < inputs.len() { n } else { 0 })).collect();
        let arguments = [self.axis.index() as u32, inputs.len() as u32].map(Argument::U32).to_vec();
        Some(sweep(format!("beside_{}", output.size()), from, Slot::Output, arguments).into())
    }
}

/// The stages that select positions along an axis, as numpy's indexing does: one number makes the axis disappear.
pub(crate) fn selected(
    name: &'static str,
    args: &Args<'_>,
    param: &'static str,
    axis: Axis,
) -> Result<Vec<Stage>, ArgError> {
    let input = args.input();
    let (ranges, one) = args.positions(param, axis)?;
    let dropped = one.then_some(axis);
    if one && input.axes.len() == 1 {
        let only = format!("a range such as 0:1, because {axis} is the only axis of the image");
        return Err(args.wrong(param, args.text(param).unwrap_or_default(), only));
    }
    let whole = input.shape.map(|n| (0, n));
    let cut = |range: (u64, u64)| {
        let mut ranges = whole;
        ranges[axis.index()] = range;
        Cut { name, ranges, dropped }
    };
    let mut stages: Vec<Stage> = ranges
        .iter()
        .map(|&range| Stage { op: Arc::new(cut(range)), inputs: vec![From::Input(0)] })
        .collect();
    if stages.len() > 1 {
        let part = |range: &(u64, u64)| {
            let mut meta = input.clone();
            meta.shape[axis.index()] = range.1 - range.0;
            meta
        };
        let parts: Vec<Meta> = ranges.iter().map(part).collect();
        let inputs = (0..stages.len()).map(From::Stage).collect();
        stages.push(Stage { op: Arc::new(Beside::new(name, axis, false, &parts)), inputs });
    }
    Ok(stages)
}
