//! The steps of a tile as one job of a device: where every buffer lies in its memory, and which kernels run.
//!
//! As on the CPU, every step's result is padded anew at the image's edge, by a kernel; and what no later step reads makes
//! room for what comes.

use super::demand::{self, Demand};
use super::stage::{Stage, Value};
use crate::contract::device::{Argument, Job, Launch, Place, Slot, Span};
use crate::dispatch;
use crate::model::{Border, Dtype, Element, NDIM, PerAxis, Region, Shape, voxels};
use std::collections::BTreeMap;

/// A job, and what its inputs and outputs are: a value's slot and the number of the buffer.
pub(crate) struct Lowered {
    pub(crate) job: Job,
    pub(crate) inputs: Vec<(usize, usize)>,
    pub(crate) outputs: Vec<(usize, usize)>,
}

/// The job of one tile; `None` if a step has no kernels.
pub(crate) fn lower(stage: &Stage, demand: &Demand) -> Option<Lowered> {
    let last = demand::last_reads(stage);
    let mut memory = Memory::default();
    let mut out = Lowered { job: Job::default(), inputs: Vec::new(), outputs: Vec::new() };
    let mut held: Vec<Vec<Place>> = Vec::with_capacity(stage.slots());
    for (k, feed) in stage.feeds.iter().enumerate() {
        let read = stage.nodes.iter().any(|node| node.inputs.contains(&Value::Feed(k)));
        let buffers = if read { &demand.holds[k].buffers[..] } else { &[] };
        held.push(buffers.iter().map(|b| memory.place(feed.meta.dtype, b.region.shape)).collect());
        for (b, place) in held[k].iter().enumerate() {
            out.job.uploads.push(span(place));
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
            let dtypes: Vec<Dtype> = from.iter().map(|place| place.dtype).collect();
            let kernels = node.op.kernels(&dtypes, dtype, &hold.inside.shape)?;
            let to = part(&places[0], &hold.buffers[0].region, &hold.inside);
            let scratch: Vec<Place> =
                kernels.scratch.iter().map(|(dtype, shape)| memory.place(*dtype, *shape)).collect();
            let find = |slot: &Slot| match *slot {
                Slot::Input(i) => from.get(i).cloned(),
                Slot::Scratch(i) => scratch.get(i).cloned(),
                Slot::Output => Some(to.clone()),
            };
            for sweep in &kernels.sweeps {
                out.job.launches.push(Launch {
                    kernel: sweep.kernel.clone(),
                    step: node.step,
                    from: sweep.from.iter().map(find).collect::<Option<_>>()?,
                    to: find(&sweep.to)?,
                    arguments: sweep.arguments.clone(),
                });
            }
            scratch.iter().for_each(|place| memory.give(place));
        }
        let first = &hold.buffers[0];
        for (b, (buffer, place)) in hold.buffers.iter().zip(&places).enumerate() {
            if b == 0 && buffer.border.is_none() || buffer.region.is_empty() {
                continue;
            }
            out.job.launches.push(Launch {
                kernel: format!("place_{}", dtype.size()),
                step: node.step,
                from: vec![places[0].clone()],
                to: place.clone(),
                arguments: around(
                    &buffer.region,
                    &first.region,
                    &hold.inside,
                    image,
                    buffer.border,
                    dtype,
                    b == 0,
                ),
            });
        }
        held.push(places);
        for (s, places) in held.iter_mut().enumerate() {
            if last[s] == n {
                std::mem::take(places).iter().for_each(|place| memory.give(place));
            }
        }
    }
    for root in &stage.roots {
        let slot = stage.slot(*root);
        if matches!(root, Value::Node(_)) && !out.outputs.iter().any(|(s, _)| *s == slot) {
            for (b, place) in held[slot].iter().enumerate() {
                out.job.downloads.push(span(place));
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

fn span(place: &Place) -> Span {
    Span { at: place.at, len: voxels(&place.shape) * place.dtype.size() as u64 }
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
        let mut strides: PerAxis<u64> = [1; NDIM];
        for a in (0..NDIM - 1).rev() {
            strides[a] = strides[a + 1] * shape[a + 1].max(1);
        }
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
        Place { dtype, at, shape, strides }
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
