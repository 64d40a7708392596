//! What of a stage is done already, and what a run notes when it has done more.

use super::super::plan::Planned;
use super::RunError;
use super::dispatch::StageRun;
use crate::contract::{Journal, Place, Unit};
use crate::model::{Grid, Region, Shape, voxels};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The journal, for one pass over the tiles of a stage.
#[derive(Clone)]
pub(super) struct Notes {
    journal: Arc<dyn Journal>,
    stage: u32,
    pass: u32,
}

/// How the groups of a stage make units: those of one shard are written to one object, so they are done together.
pub(super) struct Cut {
    shards: Grid,
    group: Shape,
}

impl Cut {
    pub(super) fn new(planned: &Planned) -> Self {
        let tiling = &planned.tiling;
        Self { shards: Grid::new(tiling.image, tiling.shard), group: tiling.group }
    }

    /// How many units there are.
    pub(super) fn len(&self) -> u64 {
        self.shards.len()
    }

    /// The number of the unit that a group belongs to, and how many groups it has.
    pub(super) fn unit(&self, group: &Region) -> (u64, u64) {
        let index = std::array::from_fn(|a| group.start[a] as u64 / self.shards.chunk[a].max(1));
        let shape = self.shards.region(&index).shape;
        let groups = std::array::from_fn(|a| shape[a].div_ceil(self.group[a].max(1)));
        (self.shards.linear(&index), voxels(&groups))
    }
}

/// A unit that is being worked on.
pub(super) struct Open {
    notes: Notes,
    number: u64,
    /// Groups that are still to come.
    left: AtomicU64,
}

impl Open {
    /// A group of it has been written. The last one is noted.
    pub(super) async fn group_done(self: &Arc<Self>, run: &Arc<StageRun>, region: Region) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let this = self.clone();
            run.on_cpu("write", region, move |run| this.notes.done(run, this.number, &[])).await;
        }
    }
}

impl Notes {
    /// Notes of a pass; `None` where nobody keeps a journal.
    pub(super) fn new(run: &StageRun, pass: u32) -> Option<Self> {
        let journal = run.shared.hooks.journal.clone()?;
        Some(Self { journal, stage: run.number, pass })
    }

    fn unit(&self, number: u64) -> Unit {
        Unit { stage: self.stage, pass: self.pass, number }
    }

    /// What an earlier run noted of a unit.
    pub(super) fn of(&self, number: u64) -> Option<Vec<u8>> {
        self.journal.noted(self.unit(number))
    }

    /// Whether one of so many units is this run's to do.
    pub(super) fn owns(&self, number: u64, of: u64) -> bool {
        self.journal.owns(self.unit(number), of)
    }

    /// Whether an earlier run left anything at all.
    pub(super) fn has_progress(&self) -> bool {
        self.journal.has_progress()
    }

    /// Notes a unit. Runs on a worker.
    pub(super) fn done(&self, run: &StageRun, number: u64, note: &[u8]) {
        if let Err(source) = self.journal.done(self.unit(number), note) {
            run.fail(RunError::Journal { source });
        }
    }

    pub(super) fn open(&self, number: u64, groups: u64) -> Arc<Open> {
        Arc::new(Open { notes: self.clone(), number, left: AtomicU64::new(groups) })
    }
}

/// What becomes of a group.
pub(super) enum Turn {
    /// It is computed and written, and noted where there is a journal.
    Work(Option<Arc<Open>>),
    /// An earlier run wrote it.
    Done,
    /// Another run does.
    Foreign,
}

/// Decides group by group, in the order of the plan.
pub(super) struct Turns {
    notes: Option<Notes>,
    open: Option<Arc<Open>>,
}

impl Turns {
    pub(super) fn new(notes: Option<Notes>) -> Self {
        Self { notes, open: None }
    }

    /// Of a tile that is handed on.
    pub(super) fn of_tile(&self, number: u64, of: u64) -> Option<Turn> {
        let notes = self.notes.as_ref()?;
        if !notes.owns(number, of) && notes.of(number).is_none() {
            return Some(Turn::Foreign);
        }
        notes.of(number).map(|_| Turn::Done)
    }

    /// Of a group that is written to these places.
    pub(super) fn of(&mut self, run: &StageRun, group: &Region, places: &[Place]) -> Turn {
        let Some(notes) = &self.notes else { return Turn::Work(None) };
        let (number, groups) = run.cut.unit(group);
        if notes.of(number).is_some() && places.iter().all(|place| run.sink.holds(*place)) {
            return Turn::Done;
        }
        if !notes.owns(number, run.cut.len()) {
            return Turn::Foreign;
        }
        if self.open.as_ref().is_none_or(|open| open.number != number) {
            self.open = Some(notes.open(number, groups));
        }
        Turn::Work(self.open.clone())
    }
}
