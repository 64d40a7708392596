//! The steps of a tile as one job of a device: where every buffer lies in its memory, and which kernels run.
//!
//! As on the CPU, every step's result is padded anew at the image's edge, by a kernel; and what no later step reads makes
//! room for what comes. Where a tile ends in something else than an image, the kernels of that end come last.

use super::demand::{self, Demand};
use super::stage::{Node, Stage, Value};
use crate::contract::Pass;
use crate::contract::device::{Argument, Buffer, Download, Job, Kernels, Launch, Place, Threads, Work};
use crate::dispatch;
use crate::model::{Border, Dtype, Element, NDIM, Region, Shape, voxels};
use std::collections::BTreeMap;

/// A job, and what its inputs and outputs are: a value's slot and the number of the buffer.
pub(crate) struct Lowered {
    pub(crate) job: Job,
    pub(crate) inputs: Vec<(usize, usize)>,
    /// Of the values that come back; none where the results of an end do.
    pub(crate) outputs: Vec<(usize, usize)>,
}

/// The kernels of an end, for roots of these types and a tile of that shape; none where the roots come back.
pub(crate) type Ending<'a> = &'a dyn Fn(&[Dtype], &Shape) -> Option<Kernels>;

/// An end without kernels.
pub(crate) const NO_END: Ending<'_> = &|_, _| None;

/// What a node's kernels are asked for, for one tile.
pub(crate) fn kernels_of(stage: &Stage, demand: &Demand, n: usize, node: &Node) -> Option<Kernels> {
    let inside = &demand.holds[stage.slot(Value::Node(n))].inside;
    let dtypes: Vec<Dtype> = node.inputs.iter().map(|&input| stage.meta(input).dtype).collect();
    match node.op.pass() {
        Pass::Placed(placed) => {
            let from: Vec<Region> = demand.reads[n].iter().map(|(_, region)| *region).collect();
            placed.kernels(&dtypes, node.meta.dtype, inside, &from)
        }
        Pass::Local | Pass::Global(_) => node.op.kernels(&dtypes, node.meta.dtype, &inside.shape),
        _ => None,
    }
}

/// What the end of a stage is given on a device, for one tile.
pub(crate) fn ending_of(stage: &Stage, tile: &Region, ending: Ending<'_>) -> Option<Kernels> {
    let dtypes: Vec<Dtype> = stage.roots.iter().map(|&root| stage.meta(root).dtype).collect();
    if tile.is_empty() { None } else { ending(&dtypes, &tile.shape) }
}

/// The job of one tile; `None` if a step has no kernels.
pub(crate) fn lower(stage: &Stage, demand: &Demand, ending: Option<&Kernels>) -> Option<Lowered> {
    let last = demand::last_reads(stage);
    let mut memory = Memory::default();
    let mut out = Lowered { job: Job::default(), inputs: Vec::new(), outputs: Vec::new() };
    let mut held: Vec<Vec<Place>> = Vec::with_capacity(stage.slots());
    for (k, feed) in stage.feeds.iter().enumerate() {
        let ends = ending.is_some() && stage.roots.contains(&Value::Feed(k));
        let read = ends || stage.nodes.iter().any(|node| node.inputs.contains(&Value::Feed(k)));
        let buffers = if read { &demand.holds[k].buffers[..] } else { &[] };
        held.push(buffers.iter().map(|b| memory.place(feed.meta.dtype, b.region.shape)).collect());
        for (b, place) in held[k].iter().enumerate() {
            out.job.uploads.push(place.span());
            out.inputs.push((k, b));
        }
    }
    for (n, node) in stage.nodes.iter().enumerate() {
        let slot = stage.slot(Value::Node(n));
        let hold = &demand.holds[slot];
        let (dtype, image) = (node.meta.dtype, &node.meta.shape);
        let places: Vec<Place> = hold.buffers.iter().map(|b| memory.place(dtype, b.region.shape)).collect();
        if !hold.inside.is_empty() {
            let mut from = Vec::with_capacity(node.inputs.len());
            for (&input, (buffer, region)) in node.inputs.iter().zip(&demand.reads[n]) {
                let s = stage.slot(input);
                from.push(part(&held[s][*buffer], &demand.holds[s].buffers[*buffer].region, region));
            }
            let to = part(&places[0], &hold.buffers[0].region, &hold.inside);
            let kernels = kernels_of(stage, demand, n, node)?;
            let buffer = |buffer: &Buffer| memory.place(buffer.dtype, buffer.shape);
            let placed = kernels.add(&mut out.job, node.step, &from, Some(&to), buffer)?;
            placed.scratch.iter().for_each(|place| memory.give(place));
        }
        let first = &hold.buffers[0];
        for (b, (buffer, place)) in hold.buffers.iter().zip(&places).enumerate() {
            if b == 0 && buffer.border.is_none() || buffer.region.is_empty() {
                continue;
            }
            let launch = Launch {
                kernel: format!("place_{}", dtype.size()),
                step: node.step,
                from: vec![places[0].clone()],
                to: vec![place.clone()],
                arguments: around(
                    &buffer.region,
                    &first.region,
                    &hold.inside,
                    image,
                    buffer.border,
                    dtype,
                    b == 0,
                ),
                threads: Threads::Voxels,
                weight: 1.0,
            };
            out.job.work.push(Work::Launch(launch));
        }
        held.push(places);
        for (s, places) in held.iter_mut().enumerate() {
            if last[s] == n {
                std::mem::take(places).iter().for_each(|place| memory.give(place));
            }
        }
    }
    if let Some(kernels) = ending {
        let roots = stage.roots.iter().zip(&demand.roots);
        let from: Vec<Place> = roots
            .map(|(root, (buffer, region))| {
                let s = stage.slot(*root);
                part(&held[s][*buffer], &demand.holds[s].buffers[*buffer].region, region)
            })
            .collect();
        let buffer = |buffer: &Buffer| memory.place(buffer.dtype, buffer.shape);
        kernels.add(&mut out.job, stage.end.step()?, &from, None, buffer)?;
        out.job.bytes = memory.end;
        return Some(out);
    }
    for root in &stage.roots {
        let slot = stage.slot(*root);
        if matches!(root, Value::Node(_)) && !out.outputs.iter().any(|(s, _)| *s == slot) {
            for (b, place) in held[slot].iter().enumerate() {
                out.job.downloads.push(Download { span: place.span(), counted: None });
                out.outputs.push((slot, b));
            }
        }
    }
    out.job.bytes = memory.end;
    Some(out)
}

/// What the kernel `place` is told: where both buffers and the voxels that are there lie in the image, the rule, and
/// whether the buffers are one, whose voxels in the image are there already.
fn around(
    to: &Region,
    from: &Region,
    inside: &Region,
    image: &Shape,
    border: Option<Border>,
    dtype: Dtype,
    one: bool,
) -> Vec<Argument> {
    let mut positions = Vec::with_capacity(5 * NDIM);
    positions.extend(to.start);
    positions.extend(from.start);
    positions.extend(inside.start);
    positions.extend((0..NDIM).map(|a| inside.end(a)));
    positions.extend(image.map(|n| n as i64));
    let (rule, constant) = match border {
        // Periodic buffers are cut where they are read.
        None | Some(Border::Wrap) => (0, 0.0),
        Some(Border::Reflect) => (1, 0.0),
        Some(Border::Constant(value)) => (2, value),
        Some(Border::Nearest) => (3, 0.0),
        Some(Border::Mirror) => (4, 0.0),
    };
    let word = dispatch!(dtype, T => {
        let mut word = [0; 8];
        word[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&T::from_f64(constant)));
        u64::from_le_bytes(word)
    });
    vec![Argument::I64s(positions), Argument::U64(word), Argument::U32(rule), Argument::U32(u32::from(one))]
}

/// The part of a buffer over `full` that lies at `region` of the image.
fn part(buffer: &Place, full: &Region, region: &Region) -> Place {
    if region.is_empty() {
        return Place { shape: region.shape, ..buffer.clone() };
    }
    let skipped: u64 = (0..NDIM).map(|a| (region.start[a] - full.start[a]) as u64 * buffer.strides[a]).sum();
    Place { at: buffer.at + skipped * buffer.dtype.size() as u64, shape: region.shape, ..buffer.clone() }
}

/// The memory of a job: what is given back is taken again.
#[derive(Default)]
struct Memory {
    /// Holes below the end: where each begins, and its bytes.
    holes: BTreeMap<u64, u64>,
    end: u64,
}

/// Buffers begin at multiples of so many bytes.
const ALIGN: u64 = 256;

impl Memory {
    fn place(&mut self, dtype: Dtype, shape: Shape) -> Place {
        let bytes = Self::bytes(dtype, &shape);
        let fits = self.holes.iter().find(|(_, len)| **len >= bytes).map(|(at, len)| (*at, *len));
        let at = match fits {
            Some((at, len)) => {
                self.holes.remove(&at);
                if len > bytes {
                    self.holes.insert(at + bytes, len - bytes);
                }
                at
            }
            None => {
                self.end += bytes;
                self.end - bytes
            }
        };
        Place::packed(dtype, at, shape)
    }

    fn bytes(dtype: Dtype, shape: &Shape) -> u64 {
        (voxels(shape) * dtype.size() as u64).next_multiple_of(ALIGN)
    }

    /// Takes back what [`place`](Self::place) gave.
    fn give(&mut self, place: &Place) {
        let (mut at, mut bytes) = (place.at, Self::bytes(place.dtype, &place.shape));
        if bytes == 0 {
            return;
        }
        if let Some((before, len)) = self.holes.range(..at).next_back().map(|(at, len)| (*at, *len))
            && before + len == at
        {
            self.holes.remove(&before);
            (at, bytes) = (before, bytes + len);
        }
        if let Some(len) = self.holes.remove(&(at + bytes)) {
            bytes += len;
        }
        self.holes.insert(at, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_given_back_is_taken_again_and_nothing_overlaps() {
        let mut memory = Memory::default();
        let place = |memory: &mut Memory, n: u64| memory.place(Dtype::U8, [1, 1, 1, 1, n]);
        let a = place(&mut memory, 1000);
        let b = place(&mut memory, 300);
        let c = place(&mut memory, 256);
        assert_eq!([a.at, b.at, c.at, memory.end], [0, 1024, 1536, 1792]);
        memory.give(&a);
        memory.give(&b);
        // Both holes are one, of which a part is taken.
        let d = place(&mut memory, 1500);
        assert_eq!((d.at, memory.end), (0, 1792));
        memory.give(&c);
        memory.give(&d);
        assert_eq!(memory.holes, BTreeMap::from([(0, 1792)]));
    }

    #[test]
    fn a_part_begins_where_its_region_does() {
        let mut memory = Memory::default();
        memory.place(Dtype::U8, [1, 1, 1, 1, 1]);
        let full = Region::new([0, 0, -1, -2, -3], [1, 1, 4, 5, 6]);
        let whole = memory.place(Dtype::U16, full.shape);
        let place = part(&whole, &full, &Region::new([0, 0, 1, 0, 2], [1, 1, 2, 2, 1]));
        assert_eq!((place.at, place.shape), (256 + 2 * (2 * 30 + 2 * 6 + 5), [1, 1, 2, 2, 1]));
        assert_eq!(place.strides, [120, 120, 30, 6, 1]);
    }
}
