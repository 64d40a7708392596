//! Plans: which stages, which tiles in which order, which chunks when, and the bytes of it all.

use super::choose::{self, Target};
use super::cost::{self, TileBytes};
use super::device_run::{self, Placement};
use super::graph::{Graph, GraphError};
use super::levels::{self, Completion, Level, LevelError};
use super::schedule::Schedule;
use super::stage::{self, End, Stage};
use super::tiles::Tiling;
use crate::contract::{Device, DeviceError, Joins, Layout, Pass, Source};
use crate::model::{Grid, PerAxis};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of the process before the first tile: code, stacks, runtime, allocator slack.
const BASE_BYTES: u64 = 20 << 20;
/// Bytes of one worker besides its tiles: stack, codec contexts that stores do not count.
const WORKER_BYTES: u64 = 2 << 20;

/// What a run may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ceiling for the whole process, in bytes.
    pub memory: u64,
    /// Threads that compute.
    pub workers: usize,
    /// Compute tile, in voxels; `None` along an axis leaves it to the planner.
    pub tile: PerAxis<Option<u64>>,
    /// Who joins what tiles leave open.
    pub joins: Joins,
    /// Where stages are computed whose steps all have kernels there; `None`: nowhere but on the CPU.
    pub device: Option<Arc<dyn Device>>,
    /// Whether it computes all that it can; else only what it is expected to do faster than the CPU.
    pub always: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No tiling fits the budget.
    #[error("this plan needs {smallest} bytes and the budget allows {allowed}")]
    Budget {
        /// The step with the largest tile, in the user's words; empty for a copy.
        step: String,
        /// Bytes of the smallest plan that works.
        smallest: u64,
        /// Bytes allowed.
        allowed: u64,
        /// Tile of the smallest plan.
        tile: Vec<u64>,
        /// Bytes per tile of that plan: input with halo.
        input: u64,
        /// Bytes per tile: result.
        output: u64,
    },
    /// The plan itself would be too large to hold: tiny chunks in an enormous image.
    #[error("this plan would list {reads} reads of chunks by {tiles} tiles; at most {most} are planned")]
    TooLarge {
        /// Tiles of the image.
        tiles: u64,
        /// Reads of chunks.
        reads: u64,
        /// How many a plan lists at most, with the memory that it has.
        most: u64,
    },
    /// A step refuses its inputs.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A step runs on a device only, and cannot be there.
    #[error("`{step}` runs on a device only: {why}")]
    NeedsDevice {
        /// The step, in the user's words.
        step: String,
        /// Why it is not there.
        why: String,
    },
    /// The device refuses a step.
    #[error("`{step}`: {source}")]
    Device {
        /// The step, in the user's words.
        step: String,
        /// The device's word.
        source: DeviceError,
    },
    /// A smaller version cannot be written in the same pass.
    #[error(transparent)]
    Level(#[from] LevelError),
}

/// A stage with everything that its run needs.
pub(crate) struct Planned {
    pub(crate) stage: Stage,
    pub(crate) grids: Vec<Grid>,
    pub(crate) layout: Layout,
    pub(crate) tiling: Tiling,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) bytes: TileBytes,
    /// Tiles in flight at most.
    pub(crate) inflight: usize,
    /// Bytes that tiles, groups, chunks and levels may hold together.
    pub(crate) pool_bytes: u64,
    /// Of these, what waits for levels.
    pub(crate) level_bytes: u64,
    /// Smaller versions that are written with the result.
    pub(crate) levels: Vec<Level>,
    /// Their chunks in the order in which they are complete.
    pub(crate) completions: Arc<Vec<Completion>>,
    /// Bytes of codecs and stores.
    pub(crate) scratch: u64,
    pub(crate) seconds: f64,
    /// Seconds at the other place, if there is a choice: on the CPU for a stage on the device.
    pub(crate) compared: Option<f64>,
    pub(crate) why: String,
    pub(crate) placement: Placement,
}

impl Planned {
    /// How many times the stage goes over its tiles.
    pub(crate) fn passes(&self, graph: &Graph) -> u64 {
        match self.stage.end {
            End::Observe(step, input) => match graph.steps[step].op.pass() {
                Pass::Global(global) => global.passes(input) as u64,
                _ => 1,
            },
            End::Merge(_) => 2,
            End::Tally(step) => match graph.steps[step].op.pass() {
                Pass::Tally(tally) => tally.passes() as u64,
                _ => 1,
            },
            _ => 1,
        }
    }
}

/// A plan that can be run any number of times on equal inputs.
pub struct Plan {
    pub(crate) graph: Graph,
    pub(crate) stages: Vec<Planned>,
    pub(crate) options: Options,
    pub(crate) memory_bytes: u64,
    /// Of these, what using the device takes besides the stages.
    pub(crate) host_bytes: u64,
}

impl Plan {
    /// Plans a graph over sources, for a sink that is cut as `layout` says. Decides stages, tiles, order and cache;
    /// opens nothing.
    ///
    /// # Errors
    /// [`PlanError::Budget`] if no tiling fits.
    pub fn new(
        graph: Graph,
        sources: &[Arc<dyn Source>],
        layout: &Layout,
        options: &Options,
    ) -> Result<Self, PlanError> {
        Self::with_levels(graph, sources, layout, &[], options)
    }

    /// As [`new`](Self::new), for a sink that has smaller versions of the image too.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`PlanError::Level`] for versions that need too much of the image at once.
    pub fn with_levels(
        graph: Graph,
        sources: &[Arc<dyn Source>],
        layout: &Layout,
        levels: &[Level],
        options: &Options,
    ) -> Result<Self, PlanError> {
        levels::check(levels)?;
        let target = Target { layout, levels };
        let options = Options { workers: options.workers.max(1), ..options.clone() };
        let held = sources.iter().fold(0u64, |sum, source| sum.saturating_add(source.held()));
        let base = base_bytes(options.workers).saturating_add(held);
        let all = options.memory.saturating_sub(base);
        let room = |bytes| Room { workers: options.workers, bytes, base, allowed: options.memory };
        let choose = |room: &Room| best_stages(&graph, sources, &target, &options, room);
        // What objects that cross tiles will take is not known; a quarter is left to them where the rest is enough.
        let mut stages = match keeps_objects(&graph) {
            true => choose(&room(all - all / 4)).or_else(|_| choose(&room(all)))?,
            false => choose(&room(all))?,
        };
        let lists: u64 = stages.iter().map(|s| s.schedule.list_bytes()).sum();
        let (base, mut host_bytes) = (base + lists, 0);
        if let Some(device) = &options.device {
            let host = device.host_bytes();
            for stage in &mut stages {
                let taken = base + stage.scratch + stage.pool_bytes;
                let room = options.memory.saturating_sub(taken);
                device_run::place(&graph, stage, &**device, room, &options)?;
            }
            let used = stages.iter().any(|s| matches!(s.placement, Placement::Device { .. }));
            host_bytes = if used { host } else { 0 };
        }
        stages.iter().try_for_each(|stage| device_run::check(&graph, stage))?;
        let most = stages.iter().map(|s| s.scratch + s.pool_bytes).max().unwrap_or(0);
        let memory_bytes = base + host_bytes + most;
        Ok(Self { graph, stages, options, memory_bytes, host_bytes })
    }

    /// Most bytes that the process will hold.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Tiles of all stages, each counted as often as it is gone over.
    #[must_use]
    pub fn tiles(&self) -> u64 {
        self.stages.iter().map(|stage| stage.tiling.len() * stage.passes(&self.graph)).sum()
    }

    /// Whether all tiles are on their way at once, and so is all that they read.
    #[must_use]
    pub fn is_at_once(&self) -> bool {
        matches!(&*self.stages, [only] if self.tiles() <= only.inflight as u64)
    }

    /// How each stage is cut into units of work: two plans with the same words number them alike.
    #[must_use]
    pub fn cut(&self) -> Vec<String> {
        let words = |planned: &Planned| {
            let Tiling { image, tile, group, shard, order } = &planned.tiling;
            format!("{image:?} in tiles of {tile:?}, groups of {group:?}, shards of {shard:?}, {order}")
        };
        self.stages.iter().map(words).collect()
    }

    /// How many times parts of the work run until nothing is left but to put an end to it: once for each time that tiles are
    /// gone over and what they gave is kept. Statistics are found by each part alone.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let counts = |p: &&Planned| !matches!(p.stage.end, End::Observe(..));
        self.stages.iter().filter(counts).map(|planned| planned.passes(&self.graph)).sum()
    }

    /// Whether a stage is computed on the device.
    pub(crate) fn on_device(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage.placement, Placement::Device { .. }))
    }

    /// The graph that the plan computes.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// Whether a step keeps something of the whole image that grows with what is in it.
fn keeps_objects(graph: &Graph) -> bool {
    stage::live_steps(graph)
        .into_iter()
        .any(|step| matches!(graph.steps[step].op.pass(), Pass::Merge(_) | Pass::Tally(_)))
}

/// The stages with the best modelled time that fit the room.
fn best_stages(
    graph: &Graph,
    sources: &[Arc<dyn Source>],
    target: &Target<'_>,
    options: &Options,
    room: &Room,
) -> Result<Vec<Planned>, PlanError> {
    let mut cuts = stage::forced_cuts(graph);
    let mut best = choose::all(graph, sources, target, options, room, &cuts);
    // Cut where that pays: the best single cut first, then the next, until none helps.
    let candidates = stage::live_steps(graph);
    loop {
        let seconds = best.as_ref().map_or(f64::INFINITY, |p| total_seconds(p));
        // Nothing to gain: the fused steps hardly compute more than they must.
        let excess = |p: &Planned| cost::excess_ns(&p.stage, &p.tiling) * 1e-9 / options.workers as f64;
        if best.as_ref().is_ok_and(|p| p.iter().map(excess).sum::<f64>() < 0.1 * seconds) {
            break;
        }
        let mut better: Option<(BTreeSet<usize>, Vec<Planned>)> = None;
        for &cut in candidates.iter().filter(|c| worth_trying(graph, **c, &cuts)) {
            let mut more = cuts.clone();
            more.insert(cut);
            if let Ok(stages) = choose::all(graph, sources, target, options, room, &more) {
                let limit = better.as_ref().map_or(seconds * 0.97, |b| total_seconds(&b.1));
                if total_seconds(&stages) < limit {
                    better = Some((more, stages));
                }
            }
        }
        match better {
            Some((more, stages)) => (cuts, best) = (more, Ok(stages)),
            None => break,
        }
    }
    best
}

/// What the planner may spend.
pub(crate) struct Room {
    pub(crate) workers: usize,
    /// Bytes for tiles, chunks and codecs.
    pub(crate) bytes: u64,
    pub(crate) base: u64,
    /// The whole budget, as the user gave it.
    pub(crate) allowed: u64,
}

pub(crate) fn base_bytes(workers: usize) -> u64 {
    BASE_BYTES + WORKER_BYTES * workers as u64
}

fn total_seconds(stages: &[Planned]) -> f64 {
    stages.iter().map(|s| s.seconds).sum()
}

/// A cut can only pay before a step that reads a neighbourhood, or where two steps share a result.
fn worth_trying(graph: &Graph, step: usize, cuts: &BTreeSet<usize>) -> bool {
    use super::graph::Input;
    use crate::contract::Footprint;
    let mut readers = 0;
    let mut reads_around = false;
    for later in &graph.steps {
        for (i, input) in later.inputs.iter().enumerate() {
            if *input == Input::Step(step) {
                readers += 1;
                reads_around |= later.op.footprint(i).is_padded();
            }
        }
    }
    // What comes before must be worth keeping: a neighbourhood step somewhere upstream.
    let mut costly = false;
    let mut open = vec![Input::Step(step)];
    // Once each: there may be exponentially many ways from a step to those before it.
    let mut met = BTreeSet::new();
    while let Some(input) = open.pop() {
        if let Input::Step(i) = input
            && (i == step || !cuts.contains(&i))
            && met.insert(i)
        {
            let op = &graph.steps[i].op;
            costly |= (0..graph.steps[i].inputs.len()).any(|n| matches!(op.footprint(n), Footprint::Halo(_)));
            open.extend(&graph.steps[i].inputs);
        }
    }
    !cuts.contains(&step) && readers > 0 && costly && (reads_around || readers > 1)
}
