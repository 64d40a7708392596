//! The search for tile shape, order and cache size of each stage.

use super::cost::{self, FeedCost, TileBytes};
use super::demand;
use super::device_run::Placement;
use super::graph::Graph;
use super::levels::{self, Ladder, Level, Timeline};
use super::plan::{Options, PlanError, Planned, Room};
use super::pool::rounded;
use super::schedule::{self, Schedule};
use super::stage::{End, Origin, Stage, stages};
use super::tiles::{Order, Tiling};
use crate::contract::{Layout, Pass, Source};
use crate::model::{Axis, Dtype, Grid, NDIM, PerAxis, Shape, voxels};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Tilings that are played through in full, after a first ranking.
const FINALISTS: usize = 4;
/// Tiles this much slower than the fastest are looked at if they are smaller.
const SLACK: f64 = 1.03;
/// A plan may be this much slower than the fastest at most, and only if it needs less memory.
const MOST_SLACK: f64 = 1.1;
/// What memory is worth: a percent of time buys this many percent of memory.
const MEMORY_FOR_TIME: f64 = 2.0;
/// A plan this much slower than its work alone is short of memory.
const SQUEEZED: f64 = 1.5;
/// Choices that are played through in full until one keeps to the budget.
const TRIALS: usize = 16;
/// Tiles in flight where chunks are fetched before they are read, if memory allows.
const AHEAD: usize = 16;
/// Reads of chunks that a plan lists at most, each in about 32 bytes.
const MAX_READS: u64 = 20_000_000;
/// Edges of the chunks of temporary stores, in voxels: flat images and volumes.
const TEMP_CHUNK: (u64, u64) = (512, 64);

/// Plans every stage of a graph cut in this way.
pub(crate) fn all(
    graph: &Graph,
    sources: &[Arc<dyn Source>],
    target: &Target<'_>,
    options: &Options,
    room: &Room,
    cuts: &BTreeSet<usize>,
) -> Result<Vec<Planned>, PlanError> {
    let mut temps: BTreeMap<usize, Shape> = BTreeMap::new();
    let mut out: Vec<Planned> = Vec::new();
    // Of stages that do not fit, the one that needs most: with that much memory the others do.
    let mut failed: Option<(u64, PlanError)> = None;
    let stages = stages(graph, cuts);
    let count = stages.len();
    for (n, mut stage) in stages.into_iter().enumerate() {
        let temporary = temp_layout(&stage);
        let to = if n + 1 == count { *target } else { Target { layout: &temporary, levels: &[] } };
        let layout = to.layout;
        let mut feeds = Vec::new();
        let mut grids = Vec::new();
        for feed in &mut stage.feeds {
            let (chunk, cost) = match feed.origin {
                Origin::Source(i) => {
                    let s = &sources[i];
                    feed.fetched = s.fetched();
                    (s.chunk(), FeedCost { ns_per_voxel: s.ns_per_voxel(), scratch: s.scratch() })
                }
                Origin::Temp(step) => (temps[&step], FeedCost { ns_per_voxel: 0.3, scratch: 0 }),
            };
            grids.push(Grid::new(feed.meta.shape, chunk));
            feeds.push(cost);
        }
        if let (Some(step), true) = (stage.result, n + 1 < count) {
            temps.insert(step, layout.chunk);
        }
        match one(graph, stage, &grids, &feeds, &to, options, room) {
            Ok(planned) => out.push(planned),
            Err(error @ PlanError::Budget { smallest, .. }) => {
                if failed.as_ref().is_none_or(|(most, _)| smallest > *most) {
                    failed = Some((smallest, error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    failed.map_or(Ok(out), |(_, error)| Err(error))
}

fn temp_layout(stage: &Stage) -> Layout {
    let flat = stage.output.shape[Axis::Z.index()] <= 1;
    let edge = if flat { TEMP_CHUNK.0 } else { TEMP_CHUNK.1 };
    let chunk = std::array::from_fn(|a| if a < 2 { 1 } else { edge.min(stage.output.shape[a].max(1)) });
    Layout { chunk, shard: None, scratch: 0, ns_per_voxel: 0.3 }
}

/// Bytes of small planes that a device is given together.
const TOGETHER: u64 = 4 << 20;

/// How what a stage writes is cut.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) layout: &'a Layout,
    /// Smaller versions that are written with it.
    pub(crate) levels: &'a [Level],
}

/// One way to run a stage.
struct Candidate {
    tiling: Tiling,
    bytes: TileBytes,
    work_ns: f64,
    /// Bytes without which it cannot run at all.
    least: u64,
}

/// A candidate with its cache.
struct Choice {
    tiling: Tiling,
    inflight: usize,
    capacity: u64,
    pool: u64,
    seconds: f64,
}

impl Choice {
    /// Time and memory, of which `fixed` bytes are needed in any case, as one number: less is better.
    fn price(&self, fixed: u64) -> f64 {
        self.seconds * ((fixed + self.pool) as f64).powf(1.0 / MEMORY_FOR_TIME)
    }
}

fn one(
    graph: &Graph,
    stage: Stage,
    grids: &[Grid],
    feeds: &[FeedCost],
    target: &Target<'_>,
    options: &Options,
    room: &Room,
) -> Result<Planned, PlanError> {
    let Target { layout, levels } = *target;
    let workers = room.workers as u64;
    let read_scratch = feeds.iter().map(|f| f.scratch).max().unwrap_or(0);
    let (statistic, spanned) = match stage.end {
        End::Observe(step, _) => match graph.steps[step].op.pass() {
            Pass::Global(global) => (global.bytes(), global.spans().map(Axis::index)),
            _ => (0, None),
        },
        _ => (0, None),
    };
    let kept = |node: &super::stage::Node| match node.op.pass() {
        Pass::Global(global) => global.kept(),
        _ => 0,
    };
    let kept: u64 = stage.nodes.iter().map(kept).sum();
    // One statistic more is what the others are merged into.
    let write_scratch = levels.iter().map(|l| l.layout.scratch).fold(layout.scratch, u64::max);
    let scratch = workers * (read_scratch + write_scratch) + (workers + 1) * statistic + kept;
    let allowed = room.bytes.saturating_sub(scratch);
    let end_op = match stage.end {
        End::Fold(step) | End::Merge(step) | End::Tally(step) => Some(graph.steps[step].op.clone()),
        _ => None,
    };
    let end_op = end_op.as_deref();
    let fold = end_op.and_then(|op| cost::fold_of(&stage, op));
    // Output chunks in coordinates of the domain: along a reduced axis they span it.
    let chunk: Shape = std::array::from_fn(|a| match fold {
        Some(f) if f.axis().index() == a => stage.domain.shape[a].max(1),
        _ => layout.chunk[a],
    });
    let whole = fold.map(|f| f.axis().index());
    let ladder = Ladder::new(levels, &stage.output, layout, fold);
    let mut candidates: Vec<Candidate> = tile_shapes(&stage, &chunk, grids, options, whole, spanned)
        .into_iter()
        .map(|tile| {
            let tiling =
                Tiling::new(stage.domain.shape, tile, &chunk, layout.shard.as_ref(), whole, Order::Sweep);
            let bytes = cost::tile_bytes(&stage, &tiling, end_op);
            let work_ns = cost::work_ns(&stage, &tiling, &bytes, layout, end_op) + levels::work_ns(levels);
            let waiting = waiting(&ladder, &Tiling { order: Order::Nested, ..tiling.clone() }, 1);
            let least = bytes.total + bytes.group + load_bytes(&stage, grids, &tiling) + waiting;
            Candidate { tiling, bytes, work_ns, least }
        })
        .collect();
    // So many tiles are too many, whatever each of them reads.
    let fewest = candidates.iter().map(|c| c.tiling.len()).min().unwrap_or(0);
    if fewest > MAX_READS {
        return Err(PlanError::TooLarge { tiles: fewest, reads: fewest, most: MAX_READS });
    }
    candidates.retain(|c| c.tiling.len() <= MAX_READS);
    candidates.sort_by(|a, b| a.work_ns.total_cmp(&b.work_ns));
    let mut fitting: Vec<&Candidate> = Vec::new();
    for c in &candidates {
        if fitting.len() < FINALISTS && c.least <= allowed {
            fitting.push(c);
        }
    }
    // Among those about as fast as the fastest, the smallest come along too: the budget is a ceiling, not a target.
    let near = candidates.first().map_or(0.0, |c| c.work_ns * SLACK);
    let mut small: Vec<&Candidate> =
        candidates.iter().filter(|c| c.work_ns <= near && c.least <= allowed).collect();
    small.sort_by_key(|c| c.least);
    for c in small.into_iter().take(2) {
        if !fitting.iter().any(|f| f.tiling == c.tiling) {
            fitting.push(c);
        }
    }
    let mut by_size: Vec<&Candidate> = candidates.iter().collect();
    by_size.sort_by_key(|c| c.least);
    by_size.truncate(FINALISTS);
    let mut choices: Vec<Choice> = Vec::new();
    for c in &fitting {
        consider(&stage, grids, feeds, c, &ladder, room, allowed, &mut choices);
    }
    // Small tiles have many plans to play through; they only count where large ones are squeezed.
    let ideal = fitting.first().map_or(0.0, |c| c.work_ns * 1e-9 / room.workers as f64);
    if !choices.iter().any(|c| c.seconds < SQUEEZED * ideal) {
        let more =
            by_size.iter().filter(|c| c.least <= allowed && !fitting.iter().any(|f| f.tiling == c.tiling));
        for c in more {
            consider(&stage, grids, feeds, c, &ladder, room, allowed, &mut choices);
        }
    }
    let Some(best) = choices.iter().map(|c| c.seconds).min_by(f64::total_cmp) else {
        let exact = |c: &&Candidate| {
            let order = if ladder.is_empty() { c.tiling.order } else { Order::Nested };
            let tiling = Tiling { order, ..c.tiling.clone() };
            let alone = schedule::needs(&stage, grids, &tiling).count(0);
            let tile = cost::exact_tile_bytes(&stage, &tiling, end_op);
            let waiting = waiting(&ladder, &tiling, 1);
            (pool_bytes(&tile, 1, alone.peak_bytes, alone.peak_load) + waiting).max(c.least)
        };
        let smallest = by_size.iter().map(|c| (*c, exact(c))).min_by_key(|(_, bytes)| *bytes);
        return Err(too_small(graph, &stage, smallest, scratch, room));
    };
    let fixed = room.base + scratch;
    let slow = |c: &Choice| c.seconds > best * MOST_SLACK;
    choices.sort_by(|a, b| slow(a).cmp(&slow(b)).then(a.price(fixed).total_cmp(&b.price(fixed))));
    // The excerpt that a choice was made on may have been kinder than the whole.
    let mut short: Option<(&Candidate, u64)> = None;
    let mut long = None;
    for choice in choices.into_iter().take(TRIALS) {
        let per_tile = cost::middle(&choice.tiling).map_or(0, |tile| {
            let demand = demand::demand(&stage, &tile);
            grids.iter().enumerate().map(|(k, g)| g.count(&demand.holds[k].inside)).sum()
        });
        let reads = choice.tiling.len().saturating_mul(per_tile);
        if reads > MAX_READS {
            return Err(PlanError::TooLarge { tiles: choice.tiling.len(), reads, most: MAX_READS });
        }
        // The list is part of the plan: one that is longer than the budget is not begun.
        let chunks = grids.iter().fold(0u64, |n, grid| n.saturating_add(grid.len())).min(reads);
        let listed = schedule::list_bytes(reads, chunks);
        if listed > allowed {
            let most = reads * allowed / listed;
            long = Some(PlanError::TooLarge { tiles: choice.tiling.len(), reads, most });
            continue;
        }
        let allowed = allowed - listed;
        let tile = cost::exact_tile_bytes(&stage, &choice.tiling, end_op);
        let needs = schedule::needs(&stage, grids, &choice.tiling);
        let timeline = Timeline::new(&ladder, &choice.tiling);
        let alone = |s: &Schedule| pool_bytes(&tile, 1, s.peak_bytes, s.peak_load) + timeline.bytes(1);
        let capacities = [choice.capacity, choice.capacity / 2, 0];
        let mut played = capacities.into_iter().map(|c| needs.play(c));
        let schedule = played.find(|s| alone(s) <= allowed).unwrap_or_else(|| needs.play(0));
        let bytes =
            |n: usize| pool_bytes(&tile, n, schedule.peak_bytes, schedule.peak_load) + timeline.bytes(n);
        let Some(inflight) = (1..=choice.inflight).rev().find(|&n| bytes(n) <= allowed) else {
            let this = candidates.iter().find(|c| c.tiling.tile == choice.tiling.tile);
            short =
                this.map(|c| (c, bytes(1) + listed)).into_iter().chain(short).min_by_key(|(_, bytes)| *bytes);
            continue;
        };
        let pool_bytes = bytes(inflight);
        let why = format!(
            "{}; {} of {} tilings fit, fastest {:.2} s",
            choice.tiling.order,
            candidates.iter().filter(|c| c.bytes.total + c.bytes.group <= allowed).count(),
            candidates.len(),
            best
        );
        return Ok(Planned {
            grids: grids.to_vec(),
            layout: layout.clone(),
            tiling: choice.tiling,
            schedule: Arc::new(schedule),
            bytes: tile,
            inflight,
            pool_bytes,
            level_bytes: timeline.bytes(inflight),
            completions: Arc::new(timeline.completions()),
            levels: levels.to_vec(),
            scratch,
            seconds: choice.seconds,
            compared: None,
            why,
            placement: Placement::Only,
            stage,
        });
    }
    Err(long.filter(|_| short.is_none()).unwrap_or_else(|| too_small(graph, &stage, short, scratch, room)))
}

fn pool_bytes(bytes: &TileBytes, inflight: usize, chunks: u64, load: u64) -> u64 {
    let n = inflight as u64;
    chunks + n * (bytes.total + bytes.group) + (n - 1) * load
}

/// Bytes that wait for the levels of an output at most.
fn waiting(ladder: &Ladder<'_>, tiling: &Tiling, inflight: usize) -> u64 {
    // Too many to play through, and refused for that.
    if ladder.is_empty() || tiling.len() > MAX_READS {
        return 0;
    }
    Timeline::new(ladder, tiling).bytes(inflight)
}

/// Bytes of the chunks that a middle tile reads.
fn load_bytes(stage: &Stage, grids: &[Grid], tiling: &Tiling) -> u64 {
    let Some(tile) = cost::middle(tiling) else { return 0 };
    let demand = demand::demand(stage, &tile);
    let of_feed = |(k, grid): (usize, &Grid)| -> u64 {
        const FEW: u64 = 512;
        if grid.count(&demand.holds[k].inside) <= FEW {
            let each = |i: Shape| stage.feeds[k].chunk_bytes(&grid.region(&i));
            return grid.covering(&demand.holds[k].inside).map(each).sum();
        }
        let chunk = std::array::from_fn(|a| grid.chunk[a].min(grid.image[a]));
        let bytes = voxels(&chunk).saturating_mul(stage.feeds[k].meta.dtype.size() as u64);
        let bytes = rounded(bytes.saturating_add(stage.feeds[k].fetched));
        grid.count(&demand.holds[k].inside).saturating_mul(bytes)
    };
    grids.iter().enumerate().map(of_feed).fold(0, u64::saturating_add)
}

/// Adds the ways to run one tiling: orders, cache sizes, tiles in flight.
fn consider(
    stage: &Stage,
    grids: &[Grid],
    feeds: &[FeedCost],
    candidate: &Candidate,
    ladder: &Ladder<'_>,
    room: &Room,
    allowed: u64,
    out: &mut Vec<Choice>,
) {
    let tile = candidate.bytes.total + candidate.bytes.group;
    let counts = Grid::new(candidate.tiling.image, candidate.tiling.shard).counts();
    let widths = || [2, 4, 8].into_iter().filter(|_| counts[2] > 1);
    let strips = widths().filter(|&x| counts[4] > x).map(|x| Order::Columns { y: counts[3], x });
    // Where bytes are long on their way, more of them are asked for ahead.
    let waits = stage.feeds.iter().any(|feed| feed.fetched > 0);
    let most = if waits { AHEAD.max(2 * room.workers) } else { 2 * room.workers };
    // Columns as wide as the image are the sweep again.
    let pencils = widths().filter(|&w| counts[3].max(counts[4]) > w).map(|w| Order::Columns { y: w, x: w });
    let too_slow = |seconds: f64, out: &[Choice]| out.iter().any(|c| seconds > c.seconds * MOST_SLACK);
    // Where levels are written too, blocks that are soon complete leave little to wait.
    let nested = (!ladder.is_empty()).then_some(Order::Nested);
    for order in nested.into_iter().chain([Order::Sweep]).chain(strips).chain(pencils) {
        if too_slow(candidate.work_ns * 1e-9 / room.workers as f64, out) {
            return;
        }
        let tiling = Tiling { order, ..candidate.tiling.clone() };
        let timeline = Timeline::new(ladder, &tiling);
        let (excerpt, scale) = cost::excerpt(&tiling);
        let needs = schedule::needs(stage, grids, &excerpt);
        // A cache larger than what is ever held changes nothing.
        let mut held = u64::MAX;
        for share in [Some(1), Some(2), Some(3), Some(4), Some(6), Some(8), None] {
            // Without a cache a chunk stays only for the tile that it was decoded for.
            let capacity = share.map_or(0, |s| allowed / s);
            if capacity > 0 && (capacity + tile > allowed || capacity >= held) {
                continue;
            }
            let played = needs.count(capacity);
            held = played.peak_bytes;
            let bytes = |n: usize| {
                pool_bytes(&candidate.bytes, n, played.peak_bytes, played.peak_load) + timeline.bytes(n)
            };
            let mut counts = (2..=most).rev().chain([1]);
            let Some(inflight) = counts.find(|&n| bytes(n) <= allowed) else { continue };
            let busy = room.workers.min(inflight).min(tiling.len().max(1) as usize) as f64;
            // One tile at a time still overlaps its codec work.
            let busy = if inflight == 1 { busy * 1.3 } else { busy }.min(room.workers as f64);
            let seconds = (candidate.work_ns + cost::decode_ns(&played, feeds) * scale) / busy * 1e-9;
            out.push(Choice { tiling: tiling.clone(), inflight, capacity, pool: bytes(inflight), seconds });
            // A smaller cache could only help by giving its room to more tiles.
            if inflight >= room.workers && too_slow(seconds, out) {
                break;
            }
        }
    }
}

/// Tile shapes worth looking at: whole output chunks in powers of two, and parts of a chunk where chunks are large. `whole` is
/// an axis along which slabs are fed, `spanned` one that no tile cuts.
fn tile_shapes(
    stage: &Stage,
    chunk: &Shape,
    grids: &[Grid],
    options: &Options,
    whole: Option<usize>,
    spanned: Option<usize>,
) -> Vec<Shape> {
    let image = stage.domain.shape;
    let sample = stage.domain.dtype.size().max(Dtype::F32.size()) as u64;
    let plane = voxels(&[1, 1, image[2], image[3], image[4]]).saturating_mul(sample);
    let per_axis: PerAxis<Vec<u64>> = std::array::from_fn(|a| {
        let n = image[a].max(1);
        if spanned == Some(a) {
            return vec![n];
        }
        if let Some(fixed) = options.tile[a] {
            return vec![fixed.clamp(1, n)];
        }
        let unit = match whole {
            // Slabs along a reduced axis follow the chunks that are read.
            Some(w) if w == a => grids.iter().map(|g| g.chunk[a]).max().unwrap_or(1),
            _ => chunk[a],
        }
        .min(n);
        let mut sizes = BTreeSet::new();
        if a < 2 {
            let read = grids.iter().map(|g| g.chunk[a]).max().unwrap_or(1).min(n);
            sizes.extend([unit, unit.div_ceil(read) * read, read.div_ceil(unit) * unit].map(|s| s.min(n)));
            // Small planes go to a device together.
            let mut size = unit;
            while options.device.is_some() && size < n && size * plane <= TOGETHER {
                size *= 2;
                sizes.insert(size.min(n));
            }
        } else {
            let mut size = unit;
            loop {
                sizes.insert(size.min(n));
                if size >= n {
                    break;
                }
                size *= 2;
            }
            for part in [2, 4, 8] {
                if unit / part >= 32 {
                    sizes.insert(unit.div_ceil(part));
                }
            }
        }
        sizes.into_iter().collect()
    });
    let mut out = vec![[1; NDIM]];
    for (a, sizes) in per_axis.iter().enumerate() {
        out = out
            .into_iter()
            .flat_map(|shape| {
                sizes.iter().map(move |&s| {
                    let mut shape = shape;
                    shape[a] = s;
                    shape
                })
            })
            .collect();
    }
    // Very large tiles only cost memory.
    let most = (64 << 20) / sample;
    let least = out.iter().map(voxels).min().unwrap_or(1);
    out.retain(|s| voxels(s) <= most.max(least));
    out
}

fn too_small(
    graph: &Graph,
    stage: &Stage,
    smallest: Option<(&Candidate, u64)>,
    scratch: u64,
    room: &Room,
) -> PlanError {
    let largest = stage.nodes.iter().max_by_key(|n| match n.op.footprint(0) {
        crate::contract::Footprint::Halo(h) => (0..NDIM).map(|a| h.lo[a] + h.hi[a]).sum(),
        _ => 0,
    });
    let (tile, bytes, least) =
        smallest.map_or(([1; NDIM], TileBytes::default(), 0), |(c, least)| (c.tiling.tile, c.bytes, least));
    PlanError::Budget {
        step: largest.map_or(String::new(), |n| graph.steps[n.step].label.clone()),
        smallest: room.base + scratch + least,
        allowed: room.allowed,
        tile: stage.domain.axes.pick(&tile),
        input: bytes.input,
        output: bytes.output,
    }
}
