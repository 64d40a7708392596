//! Backward: what every value of a stage must hold so that one tile can be computed.

use super::stage::{Stage, Value};
use crate::contract::Op;
use crate::model::{Border, NDIM, Region, Shape, voxels};

/// One buffer of a value: its in-image part, and what lies around it by one border rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Padded {
    /// The rule by which voxels outside the image are filled; `None` if the buffer holds none.
    pub(crate) border: Option<Border>,
    /// What the buffer covers; may reach outside the image.
    pub(crate) region: Region,
}

/// What one value must hold.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Hold {
    /// The voxels inside the image that are read or computed; empty if only periodic copies are needed.
    pub(crate) inside: Region,
    /// The first is computed or read in place, the others are copies under another border rule.
    pub(crate) buffers: Vec<Padded>,
}

/// What all values of a stage must hold for one tile.
pub(crate) struct Demand {
    pub(crate) holds: Vec<Hold>,
    /// Per node and input: which buffer it reads, and what of it.
    pub(crate) reads: Vec<Vec<(usize, Region)>>,
    /// The same of each root, for what takes it.
    pub(crate) roots: Vec<(usize, Region)>,
}

/// What has been asked for so far, per slot.
struct Asked<'a> {
    stage: &'a Stage,
    inside: Vec<Region>,
    wants: Vec<Vec<Want>>,
}

struct Want {
    border: Border,
    region: Region,
}

/// Goes from the tile (a region of the stage's domain) back to the feeds.
pub(crate) fn demand(stage: &Stage, tile: &Region) -> Demand {
    let mut asked = Asked {
        stage,
        inside: vec![Region::default(); stage.slots()],
        wants: (0..stage.slots()).map(|_| Vec::new()).collect(),
    };
    let reader = stage.reader.as_deref();
    let mut root = |(i, &value): (usize, &Value)| match reader {
        Some(op) => asked.read(op, i, value, tile),
        None => asked.inside(stage.slot(value), tile),
    };
    let roots: Vec<Region> = stage.roots.iter().enumerate().map(&mut root).collect();
    let mut reads: Vec<Vec<Region>> = vec![Vec::new(); stage.nodes.len()];
    for (n, node) in stage.nodes.iter().enumerate().rev() {
        let out = asked.inside[stage.slot(Value::Node(n))];
        let inputs = node.inputs.iter().enumerate();
        reads[n] = inputs.map(|(i, &input)| asked.read(&*node.op, i, input, &out)).collect();
    }
    let holds: Vec<Hold> = asked.inside.into_iter().zip(asked.wants).map(|(i, w)| hold(i, w)).collect();
    let find = |op: Option<&dyn Op>, value: Value, region: Region| {
        let image = Region::whole(stage.meta(value).shape);
        let border = op.filter(|_| !image.contains(&region)).map(Op::border);
        let fits = |b: &Padded| (border.is_none() || b.border == border) && b.region.contains(&region);
        let buffer = holds[stage.slot(value)].buffers.iter().position(fits);
        (buffer.expect("every read has a buffer"), region)
    };
    let reads = reads.into_iter().zip(&stage.nodes).map(|(regions, node)| {
        let inputs = node.inputs.iter().zip(regions);
        inputs.map(|(&input, region)| find(Some(&*node.op), input, region)).collect()
    });
    let (reads, roots) =
        (reads.collect(), stage.roots.iter().zip(roots).map(|(&v, r)| find(reader, v, r)).collect());
    Demand { holds, reads, roots }
}

impl Asked<'_> {
    /// A part of the image.
    fn inside(&mut self, slot: usize, region: &Region) -> Region {
        self.inside[slot] = self.inside[slot].hull(region);
        *region
    }

    /// What an operation reads of an input for that output, which is what is returned.
    fn read(&mut self, op: &dyn Op, i: usize, input: Value, out: &Region) -> Region {
        let slot = self.stage.slot(input);
        let image = self.stage.meta(input).shape;
        let want = if out.is_empty() { Region::default() } else { op.reads(i, out, &image) };
        if Region::whole(image).contains(&want) {
            return self.inside(slot, &want);
        }
        debug_assert!(op.footprint(i).is_padded(), "`{}` reads outside", op.name());
        let border = op.border();
        let mut region = want;
        if border != Border::Wrap {
            // The buffer also holds the voxels that the rule copies from.
            let sources = needed(&want, &image, &border);
            region = region.hull(&self.inside(slot, &sources));
        }
        self.wants[slot].push(Want { border, region });
        want
    }
}

/// The in-image voxels that answer all of `want` under a border rule.
fn needed(want: &Region, image: &Shape, border: &Border) -> Region {
    let mut out = Region::default();
    for a in 0..NDIM {
        let (lo, hi) = border.needed(want.start[a], want.shape[a], image[a]);
        out.start[a] = lo;
        out.shape[a] = (hi - lo) as u64;
    }
    out
}

fn hold(inside: Region, wants: Vec<Want>) -> Hold {
    let mut buffers: Vec<Padded> = Vec::new();
    for want in wants {
        // A periodic buffer is filled from the store, so it holds exactly what is wanted.
        match buffers.iter_mut().find(|b| b.border == Some(want.border)) {
            Some(b) => b.region = b.region.hull(&want.region),
            None => buffers.push(Padded { border: Some(want.border), region: want.region }),
        }
    }
    // The in-place buffer also holds the inside; periodic ones come after it.
    buffers.sort_by_key(|b| b.border == Some(Border::Wrap));
    if !inside.is_empty() {
        match buffers.first_mut() {
            Some(b) if b.border != Some(Border::Wrap) => b.region = b.region.hull(&inside),
            _ => buffers.insert(0, Padded { border: None, region: inside }),
        }
    } else if buffers.is_empty() {
        buffers.push(Padded { border: None, region: inside });
    }
    Hold { inside, buffers }
}

/// Bytes of a buffer over that region.
pub(crate) fn bytes(region: &Region, sample: usize) -> u64 {
    voxels(&region.shape).saturating_mul(sample as u64)
}

/// For each slot, the last node that reads it (the number of nodes if a root or if never).
pub(crate) fn last_reads(stage: &Stage) -> Vec<usize> {
    let mut last = vec![stage.nodes.len(); stage.slots()];
    for (n, node) in stage.nodes.iter().enumerate() {
        for &input in &node.inputs {
            last[stage.slot(input)] = n;
        }
    }
    for &root in &stage.roots {
        last[stage.slot(root)] = stage.nodes.len();
    }
    last
}

/// Most bytes held at one time while the tile is computed, its result included.
pub(crate) fn peak_bytes(stage: &Stage, demand: &Demand, round: impl Fn(u64) -> u64) -> u64 {
    let size = |slot: usize| -> u64 {
        let sample = stage.slot_type(slot).0.size();
        demand.holds[slot].buffers.iter().map(|b| round(bytes(&b.region, sample))).sum()
    };
    let last = last_reads(stage);
    let mut held: u64 = (0..stage.feeds.len()).map(size).sum();
    let mut peak = held;
    for (n, node) in stage.nodes.iter().enumerate() {
        let slot = stage.slot(Value::Node(n));
        held += size(slot);
        let made = &demand.holds[slot].inside;
        // What a tile does not need is not computed.
        let scratch = if made.is_empty() { 0 } else { node.op.scratch(&made.shape) };
        peak = peak.max(held + round(scratch));
        held -= (0..stage.slots()).filter(|&s| last[s] == n && s != slot).map(size).sum::<u64>();
        if last[slot] == stage.nodes.len() && !stage.roots.contains(&Value::Node(n)) {
            held -= size(slot);
        }
    }
    peak
}
