//! Forward on a device: computes one tile of a stage there, and decides while planning which stages are.

use super::cost;
use super::demand::{self, Demand};
use super::graph::Graph;
use super::lower::{self, Ending, Lowered, NO_END, lower};
use super::plan::{Options, PlanError, Planned};
use super::pool::{OutOfMemory, Pool};
use super::stage::{End, Stage, Value};
use super::tile_run::{self, Block, Chunk};
use super::tiles::Tiling;
use crate::contract::device::{Constants, Job, Launch, Ran, Rates};
use crate::contract::{Device, DeviceError, Kernels, Pass, Stopped};
use crate::model::{Dtype, NDIM, Region, Shape};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a stage is computed, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On the CPU; there was no choice.
    #[default]
    Only,
    /// On the CPU, because of this.
    Cpu(String),
    /// On the device.
    Device {
        /// Bytes that are set aside there for a tile, or for a part of one.
        bytes: u64,
        /// Tiles that are there at one time.
        jobs: usize,
        /// Parts that a tile is computed in there; 1 unless it is too large for the device.
        parts: u64,
        /// Bytes there of numbers that all tiles share.
        constants: u64,
    },
}

/// What a stage takes on a device.
struct Needs {
    /// Bytes of its memory, per tile.
    bytes: u64,
    /// Bytes that come back of a tile which is no image.
    results: u64,
    /// Parts of a tile.
    parts: u64,
    /// Bytes of constants.
    constants: u64,
    /// What the middle tile takes.
    time: Time,
}

/// What a tile takes on a device, in nanoseconds of the part that is busy.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    upload: f64,
    kernels: f64,
    download: f64,
    /// Of one core: filling what is uploaded.
    gather: f64,
}

impl Time {
    fn of(job: &Job, rates: &Rates) -> Self {
        let up: u64 = job.uploads.iter().map(|span| span.len).sum();
        let kernel = |launch: &Launch| {
            let places = launch.from.iter().chain(&launch.to);
            let bytes: u64 = places.map(|place| place.voxels() * place.dtype.size() as u64).sum();
            launch.weight * bytes as f64 / rates.memory + rates.launch_ns
        };
        Self {
            upload: up as f64 / rates.upload,
            kernels: job.launches().map(kernel).sum(),
            download: (job.copied() - up) as f64 / rates.download,
            gather: up as f64 / cost::COPY_BYTES_PER_NS,
        }
    }
}

/// Moves a stage to the device, if all of its steps have kernels there and `room` bytes are enough for the device's driver
/// and for what is copied.
pub(crate) fn place(
    graph: &Graph,
    planned: &mut Planned,
    device: &dyn Device,
    room: u64,
    options: &Options,
) -> Result<(), PlanError> {
    let needs = match needs(graph, planned, device) {
        Ok(needs) => needs,
        Err(Not::There(why)) => {
            planned.placement = Placement::Cpu(why);
            return Ok(());
        }
        Err(Not::Anywhere(error)) => return Err(error),
    };
    let memory = device.memory().saturating_sub(needs.constants);
    let fitting = device.cards() * (memory / needs.bytes.max(1)) as usize;
    let jobs = device.jobs().min(planned.inflight).min(fitting).max(1);
    // Inputs and results of a tile are here at one time.
    let bytes = &planned.bytes;
    let more = (bytes.input + bytes.output).saturating_sub(bytes.total);
    let tiles = more * planned.inflight as u64;
    let results = needs.results * planned.inflight as u64;
    let needed = device.host_bytes() + tiles + results;
    if needed > room {
        let [needed, room] = [needed.div_ceil(1 << 20), room >> 20];
        planned.placement = Placement::Cpu(format!(
            "the device needs {needed} MiB of this process's memory, and the budget leaves {room} MiB"
        ));
        return Ok(());
    }
    let seconds = seconds(graph, planned, &needs, device, options.workers);
    let cpu = planned.seconds;
    planned.compared = Some(seconds);
    let needed = planned.stage.nodes.iter().any(|node| node.op.needs_device());
    if seconds >= cpu && !options.always && !needed {
        planned.placement = Placement::Cpu(format!("{} would take {seconds:.2} s", device.name()));
        return Ok(());
    }
    planned.seconds = seconds;
    planned.compared = Some(cpu);
    planned.bytes.total += more;
    planned.pool_bytes += tiles;
    planned.scratch += results;
    let Needs { bytes, parts, constants, .. } = needs;
    planned.placement = Placement::Device { bytes, jobs, parts, constants };
    Ok(())
}

/// Why a stage is not on the device.
enum Not {
    /// It is on the CPU.
    There(String),
    /// It can be nowhere.
    Anywhere(PlanError),
}

impl From<&str> for Not {
    fn from(why: &str) -> Self {
        Self::There(why.to_owned())
    }
}

/// Refuses a stage that must be on a device and is not.
pub(crate) fn check(graph: &Graph, planned: &Planned) -> Result<(), PlanError> {
    let why = match &planned.placement {
        Placement::Device { .. } => return Ok(()),
        Placement::Cpu(why) => why.clone(),
        Placement::Only => "there is none".to_owned(),
    };
    match planned.stage.nodes.iter().find(|node| node.op.needs_device()) {
        None => Ok(()),
        Some(node) => Err(PlanError::NeedsDevice { step: graph.steps[node.step].label.clone(), why }),
    }
}

/// Modelled seconds of a stage whose steps are on the device: what is slowest of codecs here, copies either way, and kernels
/// there, which go on at the same time.
fn seconds(graph: &Graph, planned: &Planned, needs: &Needs, device: &dyn Device, workers: usize) -> f64 {
    let end = planned.stage.end.step().map(|step| &*graph.steps[step].op).filter(|_| needs.results > 0);
    let computed =
        cost::steps_ns(&planned.stage, &planned.tiling, &planned.bytes, end) * 1e-9 / workers as f64;
    let (time, cards) = (needs.time, device.cards() as f64);
    let tiles = planned.tiling.len() as f64 * 1e-9;
    let codecs = (planned.seconds - computed).max(0.0) + tiles * time.gather / workers as f64;
    let busiest = time.upload.max(time.download).max(time.kernels);
    // The first tile has nobody to overlap with.
    let alone = (time.upload + time.kernels + time.download) * 1e-9;
    let pinned = planned.pool_bytes.min(planned.bytes.total * planned.tiling.len()) as f64;
    codecs.max(tiles * busiest / cards) + alone + pinned / device.rates().pin * 1e-9
}

/// Bytes that are left to what later passes over the same tiles share: what they ask for follows from what is found. An end
/// that asks for more is done by the CPU.
const LATER_CONSTANTS: u64 = 64 << 10;

/// Most parts that a tile is cut into.
const MOST_PARTS: u64 = 1 << 12;

/// What a tile takes, or why the stage cannot be there.
fn needs(graph: &Graph, planned: &Planned, device: &dyn Device) -> Result<Needs, Not> {
    let stage = &planned.stage;
    let end = end_kernels(graph, stage);
    let tiles = kinds(stage, &planned.tiling);
    let ends = |tile: &Region| lower::ending_of(stage, tile, &*end).filter(|kernels| known(kernels, device));
    if stage.nodes.is_empty() && !tiles.iter().any(|tile| ends(tile).is_some()) {
        let end = stage.end.step().map(|step| &graph.steps[step]);
        return Err(Not::There(match end.and_then(|step| Some((&step.label, step.op.no_kernels()?))) {
            Some((step, why)) => format!("`{step}` has no kernels: {why}"),
            None => "nothing is computed before the end of the stage".to_owned(),
        }));
    }
    for tile in &tiles {
        let demand = demand::demand(stage, tile);
        for (n, node) in stage.nodes.iter().enumerate() {
            if demand.holds[stage.slot(Value::Node(n))].inside.is_empty() {
                continue;
            }
            let step = &graph.steps[node.step].label;
            let kernels = lower::kernels_of(stage, &demand, n, node);
            if let Some(program) = kernels.as_ref().and_then(|kernels| kernels.program.as_ref())
                && let Err(source) = device.ready(program)
            {
                return Err(Not::Anywhere(PlanError::Device { step: step.clone(), source }));
            }
            if !kernels.is_some_and(|k| known(&k, device)) {
                let dtypes: Vec<&str> = node.inputs.iter().map(|&i| stage.meta(i).dtype.name()).collect();
                let (from, to) = (dtypes.join(" and "), node.meta.dtype);
                let why = node.op.no_kernels().map_or_else(String::new, |why| format!(": {why}"));
                return Err(Not::There(format!("`{step}` has no kernel from {from} to {to}{why}")));
            }
        }
    }
    let rates = device.rates();
    let mut most = Needs { bytes: 0, results: 0, parts: 1, constants: 0, time: Time::default() };
    for (n, tile) in tiles.into_iter().enumerate() {
        let demand = demand::demand(stage, &tile);
        let kernels = ends(&tile);
        let lowered = lower(stage, &demand, kernels.as_ref());
        let Some(Lowered { job, .. }) = lowered else {
            return Err("a step has no kernels for its tiles".into());
        };
        if kernels.is_some() {
            most.results = most.results.max(job.downloads.iter().map(|d| d.span.len).sum());
        }
        most.bytes = most.bytes.max(job.bytes);
        most.constants = most.constants.max(constants_bytes(&job));
        if n == 0 {
            most.time = Time::of(&job, &rates);
        }
    }
    if matches!(stage.end, End::Observe(..) | End::Tally(_)) {
        most.constants = most.constants.max(LATER_CONSTANTS);
    }
    let memory = device.memory().saturating_sub(most.constants);
    if most.bytes <= memory {
        return Ok(most);
    }
    let (whole, mut least) = (most.bytes, u64::MAX);
    // Halves of halves, until they fit; what ends in no image is then ended here.
    while most.parts < MOST_PARTS {
        most.parts *= 2;
        most.bytes = part_bytes(planned, most.parts).ok_or("a step has no kernels for its tiles")?;
        if most.bytes <= memory {
            return Ok(Needs { results: 0, ..most });
        }
        if most.bytes >= least {
            break;
        }
        least = most.bytes;
    }
    let [needed, free] = [whole.div_ceil(1 << 20), memory >> 20];
    let why =
        format!("a tile needs {needed} MiB of the device's memory, also in parts, and {free} MiB are free");
    Err(Not::There(why))
}

/// Tiles of every kind there is: those of one shape, as near to the edges of the image, take the same. One in the middle comes
/// first.
fn kinds(stage: &Stage, tiling: &Tiling) -> Vec<Region> {
    // Of very many, some must do; those that take more are computed in parts.
    const MOST: usize = 1 << 16;
    let Some(middle) = cost::middle(tiling) else { return Vec::new() };
    let demand = demand::demand(stage, &middle);
    let mut reach = [0; NDIM];
    for (feed, hold) in stage.feeds.iter().zip(&demand.holds) {
        let same = feed.meta.shape == tiling.image && !hold.inside.is_empty();
        for a in (0..NDIM).filter(|_| same) {
            let low = middle.start[a] - hold.inside.start[a];
            reach[a] = reach[a].max(low).max(hold.inside.end(a) - middle.end(a));
        }
    }
    let mut seen = BTreeSet::new();
    let mut out = vec![middle];
    for region in tiling.iter().map(|at| at.region).chain(cost::samples(tiling)).take(MOST) {
        let near = |a: usize| {
            let after = tiling.image[a] as i64 - region.end(a);
            (region.start[a].min(reach[a]), after.min(reach[a]), region.shape[a])
        };
        if seen.insert(std::array::from_fn::<_, NDIM, _>(near)) {
            out.push(region);
        }
    }
    out
}

/// Bytes of what all tiles share.
fn constants_bytes(job: &Job) -> u64 {
    let mut known: Vec<&Constants> = Vec::new();
    for constants in &job.constants {
        if !known.contains(&constants) {
            known.push(constants);
        }
    }
    known.iter().map(|constants| (constants.bytes.len() as u64).next_multiple_of(256)).sum()
}

fn known(kernels: &Kernels, device: &dyn Device) -> bool {
    kernels.program.is_some() || kernels.sweeps.iter().all(|sweep| device.has(sweep))
}

/// Gives kernels for inputs of these sample types and a tile of this shape, if there are any.
type KernelsOf<'a> = Box<dyn Fn(&[Dtype], &Shape) -> Option<Kernels> + 'a>;

/// The kernels of the first pass of a stage's end.
fn end_kernels<'a>(graph: &'a Graph, stage: &Stage) -> KernelsOf<'a> {
    let op = stage.end.step().map(|step| &graph.steps[step].op);
    match (stage.end, op.map(|op| op.pass())) {
        (End::Fold(_), Some(Pass::Fold(fold))) => Box::new(|dtypes, shape| fold.kernels(dtypes[0], shape)),
        (End::Merge(_), Some(Pass::Merge(merge))) => Box::new(|dtypes, shape| merge.kernels(dtypes, shape)),
        (End::Tally(_), Some(Pass::Tally(tally))) => Box::new(|dtypes, shape| tally.kernels(dtypes, shape)),
        (End::Observe(_, input), Some(Pass::Global(global))) if global.observes().first() == Some(&input) => {
            let empty = global.start();
            Box::new(move |dtypes, shape| empty.kernels(dtypes[0], shape))
        }
        _ => Box::new(NO_END),
    }
}

/// Bytes of the largest of so many parts of a tile.
fn part_bytes(planned: &Planned, parts: u64) -> Option<u64> {
    let mut most = 0;
    for tile in kinds(&planned.stage, &planned.tiling) {
        let whole = demand::demand(&planned.stage, &tile);
        for root in &planned.stage.roots {
            let inside = whole.holds[planned.stage.slot(*root)].inside;
            let alone = alone(&planned.stage, *root);
            let mut pieces = vec![inside];
            while (pieces.len() as u64) < parts && pieces.iter().any(|p| halves(p).is_some()) {
                pieces = pieces.iter().flat_map(|p| halves(p).map_or(vec![*p], Vec::from)).collect();
            }
            for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                let lowered = lower(&alone, &demand::demand(&alone, piece), None)?;
                most = most.max(lowered.job.bytes);
            }
        }
    }
    Some(most)
}

/// A stage that computes one of the roots and nothing else.
fn alone(stage: &Stage, root: Value) -> Stage {
    let meta = stage.meta(root).clone();
    Stage {
        roots: vec![root],
        end: End::Write,
        reader: None,
        domain: meta.clone(),
        output: meta,
        ..stage.clone()
    }
}

/// A region cut in two across its longest axis; `None` if it is one voxel, or none.
fn halves(region: &Region) -> Option<[Region; 2]> {
    let axis = (0..region.shape.len()).max_by_key(|&a| region.shape[a])?;
    let len = region.shape[axis];
    if len < 2 || region.is_empty() {
        return None;
    }
    let (mut low, mut high) = (*region, *region);
    low.shape[axis] = len / 2;
    high.start[axis] += (len / 2) as i64;
    high.shape[axis] = len - len / 2;
    Some([low, high])
}

/// Why a tile was not computed.
pub(crate) enum Failed {
    Memory(OutOfMemory),
    Device(DeviceError),
}

impl From<OutOfMemory> for Failed {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

/// What became of a tile.
pub(crate) enum Computed {
    /// The roots of the stage.
    Roots(Vec<Arc<Vec<Block>>>),
    /// What the kernels of the end gave.
    Results(Vec<Vec<u8>>),
}

/// A device, and the bytes of its memory that a tile may take.
pub(crate) struct On<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) room: u64,
    /// Bytes there of what all tiles share.
    pub(crate) constants: u64,
    /// Called after every job.
    pub(crate) told: &'a dyn Fn(&Ran),
}

/// As [`tile_run::compute`], with all steps on the device, and the end too, if it has kernels for what it takes.
pub(crate) fn compute(
    pool: &Arc<Pool>,
    stage: &Stage,
    tile: &Region,
    chunks: &[Vec<Arc<Chunk>>],
    on: &On<'_>,
    ending: Ending<'_>,
) -> Result<Computed, Failed> {
    let demand = demand::demand(stage, tile);
    if let Some(kernels) = lower::ending_of(stage, tile, ending)
        && known(&kernels, on.device)
        && let Some(lowered) = lower(stage, &demand, Some(&kernels))
        && lowered.job.bytes <= on.room
        && constants_bytes(&lowered.job) <= on.constants
    {
        let feeds = feeds(pool, stage, &demand, chunks)?;
        let mut made: Vec<Vec<u8>> =
            lowered.job.downloads.iter().map(|d| vec![0; d.span.len as usize]).collect();
        let mut outputs: Vec<&mut [u8]> = made.iter_mut().map(Vec::as_mut_slice).collect();
        match run(&lowered, &feeds, &mut outputs, on) {
            Ok(ran) => {
                made.iter_mut().zip(ran.written).for_each(|(bytes, len)| bytes.truncate(len as usize));
                return Ok(Computed::Results(made));
            }
            Err(Stopped::NoRoom(_)) => {}
            Err(Stopped::Failed(why)) => return Err(Failed::Device(why)),
        }
    }
    if stage.roots.iter().all(|root| matches!(root, Value::Feed(_))) {
        let roots = tile_run::compute(pool, stage, &demand, chunks.to_vec())?;
        return Ok(Computed::Roots(roots));
    }
    roots(pool, stage, &demand, chunks, on).map(Computed::Roots)
}

/// The buffers of all feeds.
fn feeds(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    chunks: &[Vec<Arc<Chunk>>],
) -> Result<Vec<Arc<Vec<Block>>>, OutOfMemory> {
    let feed = |(k, chunks): (usize, &Vec<Arc<Chunk>>)| tile_run::feed(pool, stage, demand, k, chunks);
    chunks.iter().enumerate().map(|of| feed(of).map(Arc::new)).collect()
}

fn run(
    lowered: &Lowered,
    feeds: &[Arc<Vec<Block>>],
    outputs: &mut [&mut [u8]],
    on: &On<'_>,
) -> Result<Ran, Stopped> {
    let inputs: Vec<&[u8]> = lowered.inputs.iter().map(|&(k, b)| feeds[k][b].bytes()).collect();
    let ran = on.device.run(&lowered.job, &inputs, outputs)?;
    (on.told)(&ran);
    Ok(ran)
}

/// The roots of a stage over one tile, in parts where the device has no room for all of it.
fn roots(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    chunks: &[Vec<Arc<Chunk>>],
    on: &On<'_>,
) -> Result<Vec<Arc<Vec<Block>>>, Failed> {
    let Some(mut lowered) = lower(stage, demand, None) else {
        return Ok(tile_run::compute(pool, stage, demand, chunks.to_vec())?);
    };
    let feeds = feeds(pool, stage, demand, chunks)?;
    let slots = if lowered.job.bytes <= on.room {
        lowered.job.room = on.room;
        let mut made = Vec::with_capacity(lowered.outputs.len());
        for &(slot, b) in &lowered.outputs {
            let region = demand.holds[slot].buffers[b].region;
            made.push(tile_run::block(pool, region, stage.slot_type(slot).0)?);
        }
        let mut outputs: Vec<&mut [u8]> = made.iter_mut().map(Block::bytes_mut).collect();
        match run(&lowered, &feeds, &mut outputs, on) {
            Ok(_) => by_slot(&lowered, made),
            Err(Stopped::NoRoom(why)) => in_parts(pool, stage, demand, chunks, on, Some(why))?,
            Err(Stopped::Failed(why)) => return Err(Failed::Device(why)),
        }
    } else {
        in_parts(pool, stage, demand, chunks, on, None)?
    };
    let of_root = |root: &Value| match root {
        Value::Feed(k) => feeds[*k].clone(),
        Value::Node(_) => {
            let slot = stage.slot(*root);
            let found = slots.iter().find(|(s, _)| *s == slot);
            found.expect("every computed root is an output").1.clone()
        }
    };
    Ok(stage.roots.iter().map(of_root).collect())
}

/// Values with their slots.
type Slots = Vec<(usize, Arc<Vec<Block>>)>;

fn by_slot(lowered: &Lowered, made: Vec<Block>) -> Slots {
    let mut made: Vec<(usize, Block)> = lowered.outputs.iter().map(|(slot, _)| *slot).zip(made).collect();
    let mut slots = Vec::new();
    while let Some(&(slot, _)) = made.first() {
        let rest = made.iter().position(|(s, _)| *s != slot).unwrap_or(made.len());
        slots.push((slot, Arc::new(made.drain(..rest).map(|(_, block)| block).collect())));
    }
    slots
}

/// Every computed root by itself, each in halves of its tile, and these in halves where they must be. `why`: what the
/// device said to the whole, if it was asked.
fn in_parts(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    chunks: &[Vec<Arc<Chunk>>],
    on: &On<'_>,
    mut why: Option<DeviceError>,
) -> Result<Slots, Failed> {
    let mut slots: Slots = Vec::new();
    for root in stage.roots.iter().filter(|root| matches!(root, Value::Node(_))) {
        let slot = stage.slot(*root);
        if slots.iter().any(|(known, _)| *known == slot) {
            continue;
        }
        let hold = &demand.holds[slot];
        let alone = alone(stage, *root);
        let mut whole = tile_run::block(pool, hold.buffers[0].region, alone.output.dtype)?;
        let mut open: Vec<Region> = match halves(&hold.inside) {
            Some(parts) => parts.into(),
            None => return Err(Failed::Device(no_room(why, &hold.inside, on.room))),
        };
        while let Some(part) = open.pop() {
            let demand = demand::demand(&alone, &part);
            let Some(mut lowered) = lower(&alone, &demand, None) else { unreachable!("lowered as a whole") };
            let smaller = if lowered.job.bytes <= on.room {
                // What was refused once is not asked for again.
                lowered.job.room = if why.is_none() { on.room } else { 0 };
                let feeds = feeds(pool, &alone, &demand, chunks)?;
                let mut made = tile_run::block(pool, part, alone.output.dtype)?;
                match run(&lowered, &feeds, &mut [made.bytes_mut()], on) {
                    Ok(_) => {
                        let back = part.translate(&whole.region.start.map(|s| -s));
                        whole.tile_mut().part(&back).copy_from(&made.tile());
                        continue;
                    }
                    Err(Stopped::NoRoom(said)) => Some(said),
                    Err(Stopped::Failed(said)) => return Err(Failed::Device(said)),
                }
            } else {
                None
            };
            why = smaller.or(why);
            match halves(&part) {
                Some(parts) => open.extend(parts),
                None => return Err(Failed::Device(no_room(why, &part, on.room))),
            }
        }
        let blocks = tile_run::padded(pool, hold, whole, &stage.meta(*root).shape)?;
        slots.push((slot, Arc::new(blocks)));
    }
    Ok(slots)
}

/// What the device said last, or that the plan leaves too little.
fn no_room(why: Option<DeviceError>, part: &Region, room: u64) -> DeviceError {
    why.unwrap_or_else(|| format!("{room} bytes of the device's memory do not hold {part}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_cut_across_the_longest_axis_down_to_one_voxel() {
        let region = Region::new([0, 0, -2, 5, 1], [1, 1, 3, 7, 4]);
        let [low, high] = halves(&region).unwrap();
        assert_eq!(low, Region::new([0, 0, -2, 5, 1], [1, 1, 3, 3, 4]));
        assert_eq!(high, Region::new([0, 0, -2, 8, 1], [1, 1, 3, 4, 4]));
        let mut open = vec![region];
        let mut ones = 0;
        while let Some(region) = open.pop() {
            match halves(&region) {
                Some(parts) => open.extend(parts),
                None => ones += region.voxels(),
            }
        }
        assert_eq!(ones, 3 * 7 * 4);
        assert_eq!(halves(&Region::default()), None);
    }
}
