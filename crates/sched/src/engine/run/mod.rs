//! Runs a plan.

mod dispatch;
mod group;
mod levels;
mod meters;
mod passes;
mod restore;
mod trace;
mod units;

pub use meters::{DamagedChunk, DeviceTimes, Progress, Report};

use self::dispatch::StageRun;
use self::meters::Meters;
use self::trace::Trace;
use super::GraphError;
use super::device_run::Placement;
use super::plan::{Plan, Planned};
use super::pool::{OutOfMemory, Pool};
use super::stage::{self, End, Origin, Stage};
use super::workshop::{self, Workshop};
use crate::contract::{
    DeviceError, Journal, Pass, Resolved, Sink, Source, Spill, SpillStore, StoreError, Table,
};
use crate::model::Region;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Stops a run from outside: no new tile is started, what is being written is written, and what is being computed a second
/// later is left behind.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<watch::Sender<Asked>>);

/// How long ago somebody asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Not,
    Now,
    /// So long that nobody waits any more.
    Before,
}

/// How long tiles may be computed after somebody asked to stop.
const PATIENCE: Duration = Duration::from_secs(1);

impl Cancel {
    /// A token that nobody has pulled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop.
    pub fn cancel(&self) {
        let first = |asked: &mut Asked| {
            let first = *asked == Asked::Not;
            if first {
                *asked = Asked::Now;
            }
            first
        };
        if self.0.send_if_modified(first) {
            let sender = self.0.clone();
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                sender.send_replace(Asked::Before);
            });
        }
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() != Asked::Not
    }

    /// Returns when somebody asked to stop, and has waited.
    async fn impatient(&self) {
        // The sender is here: the wait ends with its word.
        let _ = self.0.subscribe().wait_for(|asked| *asked == Asked::Before).await;
    }
}

/// Called with a snapshot after each tile.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What a caller may watch and stop.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Called after each tile, from the thread that runs the plan.
    pub progress: Option<OnProgress>,
    /// Stops the run.
    pub cancel: Cancel,
    /// Writes a Chrome trace (`chrome://tracing`, Perfetto) of every read, compute and write.
    pub trace: Option<PathBuf>,
    /// Threads and memory from earlier runs, and for later ones.
    pub workshop: Option<Workshop>,
    /// Who keeps what was done, for a later run, and knows what earlier ones did.
    pub journal: Option<Arc<dyn Journal>>,
}

/// Why a run ended without its output.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A chunk could not be read.
    #[error("cannot read {region}")]
    Read {
        /// The chunk's voxels.
        region: Region,
        /// The store's error.
        source: StoreError,
    },
    /// A chunk could not be written.
    #[error("cannot write {region}")]
    Write {
        /// The chunk's voxels.
        region: Region,
        /// The store's error.
        source: StoreError,
    },
    /// The output could not be completed.
    #[error("cannot complete the output")]
    Finish {
        /// The store's error.
        source: StoreError,
    },
    /// No temporary store could be made.
    #[error("cannot make a temporary store")]
    Spill {
        /// The store's error.
        source: StoreError,
    },
    /// What was done could not be noted.
    #[error("cannot keep the journal")]
    Journal {
        /// The store's error.
        source: StoreError,
    },
    /// The system gave no memory.
    #[error("out of memory at {region}: {source}")]
    Memory {
        /// The tile.
        region: Region,
        /// What was asked for.
        source: OutOfMemory,
    },
    /// The device gave up: its memory, or a kernel of ours.
    #[error("at {region}: {source}")]
    Device {
        /// The tile.
        region: Region,
        /// The device's word.
        source: DeviceError,
    },
    /// What a step keeps of the whole image grew beyond the budget.
    #[error(
        "`{step}` holds {bytes} bytes of objects beside the {planned} that are planned; {allowed} are allowed"
    )]
    Objects {
        /// The step, in the user's words.
        step: String,
        /// What it holds.
        bytes: u64,
        /// What the plan needs besides.
        planned: u64,
        /// The budget.
        allowed: u64,
    },
    /// A kernel or store panicked: a bug.
    #[error("a worker panicked at {region}: {message}")]
    Panicked {
        /// The tile or chunk.
        region: Region,
        /// The panic's message.
        message: String,
    },
    /// A step refused after it had seen the image.
    #[error(transparent)]
    Refused(#[from] GraphError),
    /// Somebody cancelled.
    #[error("cancelled after {done} of {total} tiles")]
    Cancelled {
        /// Tiles finished.
        done: u64,
        /// Tiles in all.
        total: u64,
    },
    /// Worker threads could not be started.
    #[error("cannot start {workers} worker threads: {message}")]
    Threads {
        /// How many.
        workers: usize,
        /// The system's word.
        message: String,
    },
    /// The trace could not be written.
    #[error("cannot write the trace `{}`: {source}", path.display())]
    Trace {
        /// Its path.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl RunError {
    /// Whether a later run of the same plan would end in the same way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Objects { .. })
    }
}

/// A stage with what it reads and writes.
struct Place {
    number: u32,
    stage: Stage,
    feeds: Vec<Arc<dyn Source>>,
    target: Arc<dyn Sink>,
    /// Where it is computed.
    device: Option<dispatch::There>,
}

/// What all stages of a run share.
struct Shared {
    pool: Arc<Pool>,
    cpu: Arc<rayon::ThreadPool>,
    meters: Meters,
    trace: Trace,
    hooks: Hooks,
}

impl Plan {
    /// Runs the plan and waits. `sources` and `sink` must be what it was planned for. On error the sink is aborted, or left
    /// for a later run where the journal has something to go on from.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub fn run(
        &self,
        sources: &[Arc<dyn Source>],
        sink: Arc<dyn Sink>,
        spill: &dyn Spill,
        hooks: &Hooks,
    ) -> Result<Report, RunError> {
        // On a thread of its own: the caller may already be inside an async runtime.
        std::thread::scope(|scope| {
            let run = || -> Result<Report, RunError> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|e| RunError::Threads { workers: 1, message: e.to_string() })?;
                runtime.block_on(self.run_async(sources, sink, spill, hooks))
            };
            match scope.spawn(run).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs the plan on the caller's tokio runtime.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub async fn run_async(
        &self,
        sources: &[Arc<dyn Source>],
        sink: Arc<dyn Sink>,
        spill: &dyn Spill,
        hooks: &Hooks,
    ) -> Result<Report, RunError> {
        let result = self.stages_async(sources, &sink, spill, hooks).await;
        let left = |error: &RunError| {
            hooks.journal.as_ref().is_some_and(|journal| journal.has_progress()) && !error.is_final()
        };
        match result {
            Ok(report) if report.partial => {
                sink.leave();
                Ok(report)
            }
            Ok(report) => {
                sink.finish()
                    .map_err(|source| RunError::Finish { source })
                    .inspect_err(|error| if left(error) { sink.leave() } else { sink.abort() })?;
                Ok(report)
            }
            Err(error) => {
                if left(&error) {
                    sink.leave();
                } else {
                    sink.abort();
                }
                Err(error)
            }
        }
    }

    /// The report of a run that an earlier one left nothing to do.
    #[must_use]
    pub fn nothing_left(&self) -> Report {
        Meters::new(self.tiles(), self.stages.len(), self.memory_bytes).report_of_nothing()
    }

    async fn stages_async(
        &self,
        sources: &[Arc<dyn Source>],
        sink: &Arc<dyn Sink>,
        spill: &dyn Spill,
        hooks: &Hooks,
    ) -> Result<Report, RunError> {
        let workers = self.options.workers;
        let cpu = hooks
            .workshop
            .as_ref()
            .map_or_else(|| workshop::start(workers), |kept| kept.threads(workers))
            .map_err(|e| RunError::Threads { workers, message: e.to_string() })?;
        let pool_bytes = self.stages.iter().map(|s| s.pool_bytes).max().unwrap_or(0);
        // Small images keep all that they need, where the user's ceiling is higher than their plan.
        let spare = match hooks.workshop {
            Some(_) => self.options.memory.saturating_sub(self.memory_bytes).min(pool_bytes),
            None => 0,
        };
        let total = self.tiles();
        let shared = Arc::new(Shared {
            pool: Pool::new(
                pool_bytes + spare,
                hooks.workshop.as_ref().map(|kept| kept.buffers.clone()),
                self.options.device.clone().filter(|_| self.on_device()),
            ),
            cpu,
            meters: Meters::new(total, self.stages.len(), self.memory_bytes),
            trace: Trace::new(hooks.trace.is_some()),
            hooks: hooks.clone(),
        });
        let mut temps: HashMap<usize, SpillStore> = HashMap::new();
        let mut resolved: HashMap<usize, Resolved> = HashMap::new();
        let mut table = None;
        for (n, planned) in self.stages.iter().enumerate() {
            shared.meters.stage(n);
            tracing::debug!(stage = n + 1, tiles = planned.tiling.len(), "stage starts");
            let stage = with_resolved(&planned.stage, &resolved);
            let feeds: Vec<Arc<dyn Source>> = stage
                .feeds
                .iter()
                .map(|f| match f.origin {
                    Origin::Source(i) => sources[i].clone(),
                    Origin::Temp(step) => temps[&step].1.clone(),
                })
                .collect();
            let (target, temp) = if n + 1 == self.stages.len() {
                (sink.clone(), None)
            } else if let Some(step) = stage.result {
                let made = spill.create(&stage.output, planned.layout.chunk);
                let (to, from) = made.map_err(|source| RunError::Spill { source })?;
                (to, Some((step, from)))
            } else {
                // Statistics write nothing.
                (sink.clone(), None)
            };
            let device = match planned.placement {
                Placement::Device { bytes, jobs, constants, .. } => self
                    .options
                    .device
                    .as_ref()
                    .map(|device| dispatch::There::new(device, bytes, constants, jobs)),
                _ => None,
            };
            let place = Place { number: n as u32, stage, feeds, target: target.clone(), device };
            table = self.run_stage(planned, place, spill, &shared, &mut resolved).await?;
            if shared.meters.is_partial() {
                break;
            }
            if let Some((step, from)) = temp {
                target.finish().map_err(|source| RunError::Finish { source })?;
                temps.insert(step, (target, from));
            }
            self.drop_temps(n, &mut temps);
        }
        if let Some(path) = &hooks.trace {
            shared.trace.write(path).map_err(|source| RunError::Trace { path: path.clone(), source })?;
        }
        let in_image: u64 = sources.iter().map(|s| crate::model::voxels(&s.meta().shape)).sum();
        Ok(Report { table, ..shared.meters.report(in_image) })
    }

    async fn run_stage(
        &self,
        planned: &Planned,
        place: Place,
        spill: &dyn Spill,
        shared: &Arc<Shared>,
        resolved: &mut HashMap<usize, Resolved>,
    ) -> Result<Option<Table>, RunError> {
        let end = place.stage.end;
        let step = |n: usize| &self.graph.steps[n];
        let run = StageRun::new(planned, place, shared.clone());
        match end {
            End::Write => run.dispatch(group::Finish::Write, Some(0)).await?,
            End::Fold(n) => run.dispatch(group::Finish::Fold(step(n).op.clone()), Some(0)).await?,
            End::Tally(n) => {
                let heap = match shared.hooks.journal {
                    Some(_) => Some(spill.heap().map_err(|source| RunError::Spill { source })?),
                    None => None,
                };
                return passes::tally(&run, &step(n).op, &self.keeps(n), heap).await;
            }
            End::Observe(n, _) => {
                let known = resolved.remove(&n);
                let found = passes::observe(&run, &step(n).op, &step(n).label, known).await?;
                self.resolve(n, found, resolved);
            }
            End::Merge(n) => {
                let heap = spill.heap().map_err(|source| RunError::Spill { source })?;
                passes::merge(&run, &step(n).op, &self.keeps(n), heap, &self.options.joins).await?;
            }
            End::Propagate(n) => {
                let tile = planned.tiling.tile;
                let state = spill.create(&run.stage.output, tile);
                let state = state.map_err(|source| RunError::Spill { source })?;
                passes::propagate(&run, &step(n).op, state, tile).await?;
            }
        }
        Ok(None)
    }

    /// Makes of what was found the operations of all steps that asked for it.
    fn resolve(&self, step: usize, found: Resolved, resolved: &mut HashMap<usize, Resolved>) {
        let Resolved::Found(found) = found else {
            resolved.insert(step, found);
            return;
        };
        for (n, other) in self.graph.steps.iter().enumerate() {
            if let Pass::Global(global) = other.op.pass()
                && (n == step || stage::asks_the_same(&self.graph, n, step))
            {
                resolved.insert(n, Resolved::Local(global.local(&*found)));
            }
        }
    }

    /// What a step may keep of the whole image.
    fn keeps(&self, step: usize) -> passes::Keeps {
        let (planned, allowed) = (self.memory_bytes, self.options.memory);
        passes::Keeps { step: self.graph.steps[step].label.clone(), planned, allowed }
    }

    /// Frees what no later stage reads.
    fn drop_temps(&self, done: usize, temps: &mut HashMap<usize, SpillStore>) {
        let later = &self.stages[done + 1..];
        temps.retain(|step, (sink, _)| {
            let read = later.iter().any(|s| s.stage.feeds.iter().any(|f| f.origin == Origin::Temp(*step)));
            if !read {
                sink.abort();
            }
            read
        });
    }
}

/// The stage with global steps replaced by what their statistics made of them.
fn with_resolved(stage: &Stage, resolved: &HashMap<usize, Resolved>) -> Stage {
    let mut stage = stage.clone();
    for node in &mut stage.nodes {
        if let Some(Resolved::Local(op)) = resolved.get(&node.step) {
            node.op = op.clone();
        }
    }
    stage
}
