//! What a tiling would cost: bytes and modelled seconds. Rough on purpose; it only has to rank tilings.

use super::demand::{self, Demand};
use super::pool::rounded;
use super::schedule::Schedule;
use super::stage::{End, Stage, Value};
use super::tiles::Tiling;
use crate::contract::{Fold, Footprint, Layout, Op, Pass};
use crate::model::{Grid, NDIM, PerAxis, Region, Shape, voxels};

/// Bytes per nanosecond that one core copies between buffers.
pub(crate) const COPY_BYTES_PER_NS: f64 = 10.0;
/// Cost of one tile besides its voxels: admission, hand-over, allocation.
const TILE_NS: f64 = 40_000.0;
/// A tile whose buffers exceed this share of the last-level cache runs from DRAM.
const CACHE_BYTES: u64 = 24 << 20;
/// How much slower kernels run from DRAM.
const DRAM_FACTOR: f64 = 1.3;

/// What a stage reads: one entry per feed.
#[derive(Clone, Copy)]
pub(crate) struct FeedCost {
    pub(crate) ns_per_voxel: f64,
    pub(crate) scratch: u64,
}

/// Bytes of one tile in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TileBytes {
    /// Feeds with halo.
    pub(crate) input: u64,
    /// The result.
    pub(crate) output: u64,
    /// Everything that lives while the tile is computed, input and output included.
    pub(crate) total: u64,
    /// What the group holds from its first tile to its last write; 0 where a group is one tile.
    pub(crate) group: u64,
}

/// The reduction that ends a stage, if one does.
pub(crate) fn fold_of<'a>(stage: &Stage, op: &'a dyn Op) -> Option<&'a dyn Fold> {
    match (stage.end, op.pass()) {
        (End::Fold(_), Pass::Fold(fold)) => Some(fold),
        _ => None,
    }
}

fn is_mapped(op: &dyn Op, input: usize) -> bool {
    matches!(op.footprint(input), Footprint::Mapped { .. })
}

/// Whether tiles of one shape may read regions of different shapes.
fn is_uneven(stage: &Stage) -> bool {
    stage.nodes.iter().any(|n| (0..n.inputs.len()).any(|i| is_mapped(&*n.op, i)))
}

/// Tiles all over the image.
fn spread(tiling: &Tiling) -> impl Iterator<Item = Region> {
    const PARTS: PerAxis<u64> = [2, 2, 4, 4, 4];
    let tiles = Grid::new(tiling.image, tiling.tile);
    let counts = tiles.counts();
    let steps = PARTS.map(|n| n + 1);
    Grid::new(steps, [1; NDIM])
        .iter()
        .map(move |i| std::array::from_fn(|a| i[a] * counts[a].saturating_sub(1) / PARTS[a]))
        .filter(move |_| !counts.contains(&0))
        .map(move |i| tiles.region(&i))
}

/// Representative tiles: the first, one in the middle, the last.
pub(crate) fn samples(tiling: &Tiling) -> Vec<Region> {
    let groups = Grid::new(tiling.image, tiling.group);
    let counts = groups.counts();
    if counts.contains(&0) {
        return Vec::new();
    }
    let pick = |f: fn(u64) -> u64| -> Region {
        let g = groups.region(&counts.map(f));
        let tiles = Grid::new(g.shape, tiling.tile);
        tiles.region(&tiles.counts().map(f)).translate(&g.start)
    };
    vec![pick(|_| 0), pick(|n| n / 2), pick(|n| n - 1)]
}

/// A tile in the middle of the image, away from its edges where there are such.
pub(crate) fn middle(tiling: &Tiling) -> Option<Region> {
    samples(tiling).get(1).copied()
}

/// Most bytes that one tile needs, as far as a few tell; `end` is the step that folds, merges or counts it.
pub(crate) fn tile_bytes(stage: &Stage, tiling: &Tiling, end: Option<&dyn Op>) -> TileBytes {
    let more = is_uneven(stage).then(|| spread(tiling));
    bytes_of(stage, tiling, end, samples(tiling).into_iter().chain(more.into_iter().flatten()))
}

/// Most bytes that one tile needs; a few tell, unless tiles read regions of different shapes.
pub(crate) fn exact_tile_bytes(stage: &Stage, tiling: &Tiling, end: Option<&dyn Op>) -> TileBytes {
    // What the estimate looked at counts here too: it need not be a tile where groups start anew in each shard.
    // Of very many tiles, some all over the image must do.
    const MOST: u64 = 1 << 20;
    let all = (is_uneven(stage) && tiling.len() <= MOST)
        .then(|| spread(tiling).chain(tiling.iter().map(|at| at.region)));
    bytes_of(stage, tiling, end, samples(tiling).into_iter().chain(all.into_iter().flatten()))
}

fn bytes_of(
    stage: &Stage,
    tiling: &Tiling,
    end: Option<&dyn Op>,
    tiles: impl Iterator<Item = Region>,
) -> TileBytes {
    let fold = end.and_then(|op| fold_of(stage, op));
    let mut out = TileBytes::default();
    for region in tiles {
        let demand = demand::demand(stage, &region);
        let size = |slot: usize| -> u64 {
            let sample = stage.slot_type(slot).0.size();
            demand.holds[slot].buffers.iter().map(|b| rounded(demand::bytes(&b.region, sample))).sum()
        };
        out.input = out.input.max((0..stage.feeds.len()).map(size).sum());
        out.output = out.output.max(stage.roots.iter().map(|&r| size(stage.slot(r))).sum());
        out.total = out.total.max(demand::peak_bytes(stage, &demand, rounded));
    }
    let group = Region::whole(std::array::from_fn(|a| tiling.group[a].min(tiling.image[a])));
    let sample = stage.output.dtype.size() as u64;
    if let (End::Merge(_) | End::Tally(_), Some(op)) = (stage.end, end) {
        // In a first pass what the operation works with, in a second one the painted tile.
        let painted = rounded(voxels(&tiling.tile) * sample);
        // In whole pages, as the dispatcher counts.
        out.total = (out.total + rounded(op.scratch(&tiling.tile))).max(painted);
    }
    out.group = match (fold, stage.end) {
        (Some(fold), _) => {
            let n = voxels(&group.with_axis(fold.axis(), 0, 1).shape);
            rounded(n * fold.state_size() as u64) + rounded(n * sample)
        }
        (None, End::Observe(..) | End::Tally(_)) => 0,
        // A tile's state with its surroundings, and the chunk through which it is read.
        (None, End::Propagate(_)) => 4 * rounded(voxels(&tiling.tile) * sample.max(8)),
        (None, _) if (0..NDIM).any(|a| tiling.tile[a] < group.shape[a]) => {
            rounded(voxels(&group.shape) * sample)
        }
        (None, _) => 0,
    };
    out
}

/// Nanoseconds of compute of one tile, on one core.
fn compute_ns(stage: &Stage, demand: &Demand) -> f64 {
    let mut ns = 0.0;
    for (n, node) in stage.nodes.iter().enumerate() {
        let made = demand.holds[stage.slot(Value::Node(n))].inside.voxels();
        let read = demand.reads[n].iter().enumerate().filter(|(i, _)| is_mapped(&*node.op, *i));
        let read = read.map(|(_, (_, region))| region.voxels()).fold(0, u64::saturating_add);
        ns += node.op.ns_per_voxel() * made.max(read) as f64;
    }
    for slot in 0..stage.slots() {
        let sample = stage.slot_type(slot).0.size();
        let copies = &demand.holds[slot].buffers[usize::from(slot >= stage.feeds.len())..];
        ns += copies.iter().map(|b| demand::bytes(&b.region, sample) as f64).sum::<f64>() / COPY_BYTES_PER_NS;
    }
    ns
}

/// Nanoseconds of one core for everything but decoding.
pub(crate) fn work_ns(
    stage: &Stage,
    tiling: &Tiling,
    bytes: &TileBytes,
    layout: &Layout,
    end: Option<&dyn Op>,
) -> f64 {
    let tiles = tiling.len() as f64;
    let Some(middle) = middle(tiling) else { return 0.0 };
    let demand = demand::demand(stage, &middle);
    // The middle tile may be thin: scale by its share of a full one.
    let full = voxels(&tiling.image) as f64 / (middle.voxels().max(1) as f64);
    let slow = if bytes.total + bytes.group > CACHE_BYTES { DRAM_FACTOR } else { 1.0 };
    let encode =
        if matches!(stage.end, End::Observe(..) | End::Tally(_)) { 0.0 } else { layout.ns_per_voxel };
    let ending = end.map_or(0.0, Op::ns_per_voxel) * voxels(&tiling.image) as f64;
    compute_ns(stage, &demand) * full * slow
        + ending
        + encode * voxels(&stage.output.shape) as f64
        + tiles * TILE_NS
}

/// Nanoseconds of one core for the steps of a stage alone, and for the end if it is one of them.
pub(crate) fn steps_ns(stage: &Stage, tiling: &Tiling, bytes: &TileBytes, end: Option<&dyn Op>) -> f64 {
    let Some(middle) = middle(tiling) else { return 0.0 };
    let demand = demand::demand(stage, &middle);
    let full = voxels(&tiling.image) as f64 / (middle.voxels().max(1) as f64);
    let slow = if bytes.total + bytes.group > CACHE_BYTES { DRAM_FACTOR } else { 1.0 };
    let ending = end.map_or(0.0, Op::ns_per_voxel) * voxels(&tiling.image) as f64;
    compute_ns(stage, &demand) * full * slow + ending
}

/// Nanoseconds of one core that a stage spends on voxels outside of its tiles: the price of fusing its steps.
pub(crate) fn excess_ns(stage: &Stage, tiling: &Tiling) -> f64 {
    let Some(middle) = middle(tiling) else { return 0.0 };
    let demand = demand::demand(stage, &middle);
    let mut ns = 0.0;
    for (n, node) in stage.nodes.iter().enumerate() {
        let share = middle.voxels() as f64 / voxels(&tiling.image).max(1) as f64;
        let own = voxels(&node.meta.shape) as f64 * share;
        let computed = demand.holds[stage.slot(Value::Node(n))].inside.voxels() as f64;
        ns += node.op.ns_per_voxel() * (computed - own).max(0.0) / share;
    }
    ns
}

/// The part of a tiling that is played through while planning: enough tiles to meet every kind of reuse. The second
/// value is how many times it fits into the whole.
pub(crate) fn excerpt(tiling: &Tiling) -> (Tiling, f64) {
    const ENOUGH: [u64; NDIM] = [1, 2, 6, 12, 12];
    let small: Shape = std::array::from_fn(|a| {
        let unit = tiling.shard[a].max(tiling.group[a]);
        tiling.image[a].min(unit.saturating_mul(ENOUGH[a]))
    });
    let scale = voxels(&tiling.image) as f64 / voxels(&small).max(1) as f64;
    (Tiling { image: small, ..tiling.clone() }, scale)
}

/// Nanoseconds of one core for what a schedule decodes.
pub(crate) fn decode_ns(schedule: &Schedule, feeds: &[FeedCost]) -> f64 {
    schedule.voxels.iter().zip(feeds).map(|(&v, f)| v as f64 * f.ns_per_voxel).sum()
}
