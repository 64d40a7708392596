//! Contrast limited adaptive histogram equalisation: each voxel becomes the share of its surroundings that is not above it.
//!
//! Any sample type → f32 from 0 to 1, same shape; acts on the space axes, each time point and channel by itself. Values
//! are placed in 2^14 levels between the lowest and the highest of the whole image, and counted in `bins` in boxes of
//! `size`, an eighth of the image along each axis if not given and at most the image. Counts above `clip` of a box's voxels
//! are spread over its other bins. A voxel's level is found between the boxes around it, linearly along each axis; the result
//! is level / (2^14 − 1). NaN stays NaN, infinities are the lowest and the highest value; a constant image gives one value.
//! Cost: two passes more over what the step reads; 3 ns per voxel then in a plane, 8 in a volume. Each worker keeps 8
//! bytes per bin of every box while boxes are counted, the result 2 for all workers. Zuiderveld 1994.
//!
//! Equal to the levels of `skimage.exposure.equalize_adapthist`, before it stretches them so that the result's lowest
//! is 0 and its highest 1, which needs the whole result; `normalize percentiles=0,100` does that. We differ: no value
//! is rounded to 16 bits nor cut at 0 first, and channels have boxes of their own.

use crate::device::{constants, sweep};
use crate::pointwise::{Sample, for_rows};
use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::statistics::{Boxes, Contextual, Extent, LEVELS, Scale};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Constants, Slot};
use voxtile_sched::contract::{Footprint, Global, Kernels, Op, Pass, Placed, Refused, Resolved, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Kind, Meta, Region, Shape, Tile, TileMut};

/// `clahe`.
pub(super) static SPEC: Spec = Spec {
    name: "clahe",
    about: "contrast limited adaptive histogram equalisation: the share of the surroundings that is not above the voxel",
    params: &[
        Param {
            name: "size",
            value: Value::Size,
            default: Some(""),
            about: "voxels of the boxes whose histograms count; an eighth of the image if not given",
        },
        Param {
            name: "clip",
            value: Value::Number,
            default: Some("0.01"),
            about: "most of a box's voxels that count in one bin, from 0 (no limit) to 1",
        },
        Param { name: "bins", value: Value::Number, default: Some("256"), about: "bins of a histogram" },
    ],
    inputs: 1,
    example: "clahe",
    build: Build::One(|args| Ok(Arc::new(Clahe::new(args)?))),
};

struct Clahe {
    dtype: Dtype,
    boxes: Boxes,
    /// Most voxels in a bin.
    limit: u64,
    bins: u32,
}

impl Clahe {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let (image, axes) = (args.input().shape, args.input().axes.space());
        let size = match args.text("size") {
            Some(_) => args.sizes_px("size")?,
            None => Axis::ALL.map(|a| if axes.contains(a) { (image[a.index()] / 8).max(1) } else { 1 }),
        };
        let boxes = Boxes::new(image, size);
        let clip = args.finite("clip")?;
        if !(0.0..=1.0).contains(&clip) {
            return Err(args.wrong("clip", args.text("clip").unwrap_or_default(), "a number from 0 to 1"));
        }
        let limit = match clip {
            0.0 => boxes.voxels(),
            clip => ((clip * boxes.voxels() as f64) as u64).max(1),
        };
        let bins = args.whole("bins", 1..=u64::from(LEVELS))? as u32;
        Ok(Self { dtype: args.input().dtype, boxes, limit, bins })
    }

    /// The level of each bin of a box.
    fn map(&self, counts: &[u64]) -> Vec<u16> {
        let mut counts = counts.to_vec();
        limit(&mut counts, self.limit);
        let highest = f64::from(LEVELS - 1);
        let per_voxel = highest / self.boxes.voxels() as f64;
        let mut below = 0;
        let level = |n: u64| {
            below += n;
            (below as f64 * per_voxel).min(highest) as u16
        };
        counts.into_iter().map(level).collect()
    }
}

/// Cuts counts at a limit and spreads what was above evenly, then one by one from each bin on at equal steps; as
/// scikit-image does.
fn limit(counts: &mut [u64], limit: u64) {
    let mut excess = counts.iter().map(|n| n.saturating_sub(limit)).sum::<u64>() as i64;
    let share = excess as u64 / counts.len() as u64;
    let upper = limit.saturating_sub(share);
    for n in counts.iter_mut() {
        *n = (*n).min(limit);
        if *n < upper {
            *n += share;
            excess -= share as i64;
        }
        if *n >= upper && *n < limit {
            excess -= (limit - *n) as i64;
            *n = limit;
        }
    }
    while excess > 0 {
        let before = excess;
        for first in 0..counts.len() {
            let free = counts.iter().filter(|n| **n < limit).count() as i64;
            let step = (free / excess).max(1) as usize;
            for n in counts[first..].iter_mut().step_by(step).filter(|n| **n < limit) {
                *n += 1;
                excess -= 1;
            }
            if excess <= 0 {
                break;
            }
        }
        if excess == before {
            break;
        }
    }
}

fn equalized(input: &Meta) -> Meta {
    input.with_dtype(Dtype::F32).with_kind(Kind::Image)
}

/// Between levels in a plane, and more in a volume.
fn cost(boxes: &Boxes) -> f64 {
    if boxes.size[Axis::Z.index()] > 1 { 8.0 } else { 3.0 }
}

impl Op for Clahe {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(equalized(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, output: &Shape) -> u64 {
        2 * output[Axis::X.index()]
    }

    fn ns_per_voxel(&self) -> f64 {
        cost(&self.boxes)
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("placed when it runs")
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let arguments = vec![
            Argument::U32(0),
            Argument::U64(0),
            Argument::F64(0.0),
            Argument::F64(0.0),
            Argument::I64s(vec![0; 15]),
        ];
        Some(contrast(inputs[0], constants(&[0u16]), arguments))
    }
}

impl Global for Clahe {
    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Extent::new(self.dtype))
    }

    fn bytes(&self) -> u64 {
        self.kept().saturating_mul(4)
    }

    fn kept(&self) -> u64 {
        self.boxes.len().saturating_mul(2 * u64::from(self.bins))
    }

    fn passes(&self, _input: usize) -> usize {
        2
    }

    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let counted = match statistic.into_any().downcast::<Extent>() {
            Ok(extent) => {
                let scale = Scale::new(&extent, self.bins);
                return Ok(Resolved::Again(Box::new(Contextual::new(self.boxes, scale, self.bins))));
            }
            Err(other) => other.downcast::<Contextual>().expect("what this asked for"),
        };
        let maps: Vec<u16> = counted.histograms().flat_map(|counts| self.map(counts)).collect();
        let size = self.boxes.size[Axis::X.index()];
        Ok(Resolved::Local(Arc::new(Between {
            boxes: self.boxes,
            scale: counted.scale(),
            bins: self.bins as usize,
            constants: constants(&maps),
            maps,
            parts: (0..size).map(|n| n as f64 / size as f64).collect(),
        })))
    }
}

/// The levels that the maps of the boxes around a voxel give it.
struct Between {
    boxes: Boxes,
    scale: Scale,
    bins: usize,
    /// Of each box, the level of each bin.
    maps: Vec<u16>,
    /// The same for a device.
    constants: Constants,
    /// Of the way from the middle of a box to that of the next one along x.
    parts: Vec<f64>,
}

/// A box along y and z, and what counts of it.
#[derive(Clone, Copy, Default)]
struct Neighbour {
    at: [u64; 2],
    parts: [f64; 2],
}

impl Between {
    /// Those with a part, in rising order; how many.
    fn neighbours(&self, z: u64, y: u64) -> ([Neighbour; 4], usize) {
        let [z, y] = [(Axis::Z, z), (Axis::Y, y)].map(|(axis, position)| {
            let (before, after, way) = self.boxes.around(axis, position);
            let part = way as f64 / self.boxes.size[axis.index()] as f64;
            [(before, 1.0 - part), (after, part)]
        });
        let (mut out, mut len) = ([Neighbour::default(); 4], 0);
        for z in z {
            for y in y {
                out[len] = Neighbour { at: [z.0, y.0], parts: [z.1, y.1] };
                len += usize::from(z.1 > 0.0 && y.1 > 0.0);
            }
        }
        (out, len)
    }

    /// The map of a box.
    fn map(&self, at: [u64; 5]) -> &[u16] {
        &self.maps[self.boxes.index(at) * self.bins..][..self.bins]
    }

    /// A row of bins whose first voxel lies there.
    fn row(&self, bins: &[u16], at: [u64; 5], to: &mut [f32]) {
        let [t, c, z, y, start] = at;
        let (neighbours, len) = self.neighbours(z, y);
        let mut from = 0;
        while from < bins.len() {
            let (before, after, way) = self.boxes.around(Axis::X, start + from as u64);
            let end = bins.len().min(from + self.parts.len() - way as usize);
            let ways = &self.parts[way as usize..][..end - from];
            let mut maps: [([&[u16]; 2], [f64; 2]); 4] = [([&[]; 2], [0.0; 2]); 4];
            for (slot, Neighbour { at: [z, y], parts }) in maps.iter_mut().zip(neighbours) {
                *slot = ([before, after].map(|x| self.map([t, c, z, y, x])), parts);
            }
            let maps = &maps[..len];
            for ((to, &bin), &way) in to[from..end].iter_mut().zip(&bins[from..end]).zip(ways) {
                let (bin, mut level) = (usize::from(bin), 0f32);
                for ([before, after], [z, y]) in maps {
                    // In the reference's order: sums are rounded after each term.
                    level += (f64::from(before[bin]) * ((1.0 - way) * y * z)) as f32;
                    level += (f64::from(after[bin]) * (way * y * z)) as f32;
                }
                *to = (f64::from(level as u32) / f64::from(LEVELS - 1)) as f32;
            }
            from = end;
        }
    }

    fn fill<T: Sample>(&self, region: &Region, input: &Tile<'_>, mut output: TileMut<'_>, row: &mut [u16]) {
        let (from, mut to) = (input.view::<T>(), output.view::<f32>());
        for_rows(from.shape(), |t, c, z, y| {
            let (from, to) = (from.row(t, c, z, y), to.row(t, c, z, y));
            self.scale.row(from, row);
            let within = [t, c, z, y, 0];
            self.row(row, std::array::from_fn(|a| region.start[a] as u64 + within[a] as u64), to);
            if T::DTYPE.is_float() {
                let missing = to.iter_mut().zip(from).filter(|(_, from)| from.to_f64().is_nan());
                missing.for_each(|(to, _)| *to = f32::NAN);
            }
        });
    }
}

/// The kernel of any contrast of boxes, with these maps.
fn contrast(input: Dtype, maps: Constants, arguments: Vec<Argument>) -> Kernels {
    let from = vec![Slot::Input(0), Slot::Constants(0)];
    let sweeps = vec![sweep(format!("context_{input}"), from, Slot::Output, arguments)];
    Kernels { constants: vec![maps], sweeps, ..Kernels::default() }
}

impl Placed for Between {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        _from: &[Region],
        output: TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let row = bytemuck::cast_slice_mut(scratch);
        dispatch!(inputs[0].dtype(), T => self.fill::<T>(region, &inputs[0], output, row));
    }

    fn kernels(
        &self,
        inputs: &[Dtype],
        _output: Dtype,
        region: &Region,
        _from: &[Region],
    ) -> Option<Kernels> {
        let (low, span, inverse) = self.scale.numbers();
        let numbers = |values: [u64; 5]| values.map(|n| n as i64);
        let places = [self.boxes.count(), self.boxes.size].map(numbers);
        let arguments = vec![
            Argument::U32(self.bins as u32),
            Argument::U64(inverse),
            Argument::F64(low),
            Argument::F64(span),
            Argument::I64s([places[0], places[1], region.start].concat()),
        ];
        Some(contrast(inputs[0], self.constants.clone(), arguments))
    }
}

impl Op for Between {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(equalized(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, output: &Shape) -> u64 {
        2 * output[Axis::X.index()]
    }

    fn ns_per_voxel(&self) -> f64 {
        cost(&self.boxes)
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use std::collections::BTreeMap;
    use voxtile_sched::model::{Border, Element, PerAxis};

    /// Every box is filled voxel by voxel, and every voxel asks all boxes around it.
    fn oracle(image: &Image, wanted: [u64; 3], clip: f64, bins: u32) -> Image {
        let shape = image.meta().shape;
        let size: PerAxis<u64> = std::array::from_fn(|a| if a < 2 { 1 } else { wanted[a - 2].min(shape[a]) });
        let numbers: Vec<f64> =
            dispatch!(image.meta().dtype, T => image.values::<T>().iter().map(|v| v.to_f64()).collect());
        let finite = || numbers.iter().copied().filter(|v| v.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        let number =
            |at: PerAxis<u64>| -> f64 { dispatch!(image.meta().dtype, T => image.at::<T>(at).to_f64()) };
        let bin = |v: f64| {
            let level = ((v - low) / (high - low) * 16383.0).round_ties_even();
            (level.clamp(0.0, 16383.0) as u32 / (1 + 16384 / bins)) as usize
        };
        let voxels: u64 = size.iter().product();
        let map = |b: PerAxis<u64>| -> Vec<f64> {
            let mut counts = vec![0; bins as usize];
            for n in 0..voxels {
                let (mut rest, mut at) = (n, [0; 5]);
                for a in (0..5).rev() {
                    let position = b[a] * size[a] + rest % size[a];
                    at[a] = Border::Mirror.map(position as i64, shape[a]).unwrap() as u64;
                    rest /= size[a];
                }
                counts[bin(number(at))] += 1;
            }
            let most = if clip == 0.0 { voxels } else { ((clip * voxels as f64) as u64).max(1) };
            limit(&mut counts, most);
            let upto = |n: usize| counts[..=n].iter().sum::<u64>() as f64 * (16383.0 / voxels as f64);
            (0..counts.len()).map(|n| upto(n).min(16383.0).floor()).collect()
        };
        let mut maps = BTreeMap::new();
        Image::from_fn(equalized(image.meta()), |at: PerAxis<u64>| {
            let mut level = 0f32;
            for corner in 0..8 {
                let (mut b, mut part) = (at, 1.0);
                for a in [4, 3, 2] {
                    let from_middle = at[a] + size[a] / 2;
                    let after = corner >> (4 - a) & 1;
                    let way = (from_middle % size[a]) as f64 / size[a] as f64;
                    let last = shape[a].div_ceil(size[a]) as i64 - 1;
                    b[a] = ((from_middle / size[a]) as i64 + after - 1).clamp(0, last) as u64;
                    part *= if after == 1 { way } else { 1.0 - way };
                }
                let levels = maps.entry(b).or_insert_with(|| map(b));
                level += (levels[bin(number(at))] * part) as f32;
            }
            if number(at).is_nan() { f32::NAN } else { (f64::from(level.floor()) / 16383.0) as f32 }
        })
    }

    conforms!(
        boxes_of_three: &SPEC, "clahe 3 clip=0.2 bins=16", |image| oracle(image, [3, 3, 3], 0.2, 16),
    );
    conforms!(
        long_boxes: &SPEC, "clahe 2,50 clip=0.05 bins=300", |image| oracle(image, [1, 2, 50], 0.05, 300),
        only(|meta| meta.axes.contains(Axis::Y)), dtypes(&[Dtype::U8, Dtype::U16, Dtype::F32]),
    );

    #[test]
    fn what_is_above_the_limit_is_spread() {
        // As scikit-image's clip_histogram.
        for (mut counts, most, want) in [
            (vec![9u64, 0, 1, 2], 3, vec![3, 3, 3, 3]),
            (vec![10, 0, 0, 0, 0, 0], 4, vec![4, 1, 1, 1, 1, 2]),
            (vec![7, 7, 0, 0, 0, 0, 0, 0], 6, vec![6, 6, 0, 1, 0, 0, 1, 0]),
            (vec![1, 2, 3], 9, vec![1, 2, 3]),
            (vec![50, 3, 0, 1, 0, 4, 0, 9, 20], 7, vec![7; 9]),
            (vec![50, 0, 0, 1], 20, vec![20, 9, 10, 12]),
        ] {
            limit(&mut counts, most);
            assert_eq!(counts, want);
        }
    }

    #[test]
    fn a_constant_image_gives_one_value() {
        let flat = steps("clahe 4", &Image::of::<u16>("x", &[9], &[7; 9]));
        assert!(flat.values::<f32>().iter().all(|v| *v == flat.values::<f32>()[0]));
    }

    #[test]
    fn a_limit_that_is_no_share_and_bins_without_levels_are_refused() {
        let image = [meta("yx", &[30, 40], Dtype::U8)];
        for step in ["clahe clip=2", "clahe clip=-1", "clahe bins=0", "clahe bins=16385", "clahe 0"] {
            assert!(stages(&SPEC, step, &image).is_err(), "{step}");
        }
    }
}
