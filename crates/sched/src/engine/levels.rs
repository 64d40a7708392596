//! Smaller versions of the output, written in the same pass: when which chunk of which level is complete, and what waits
//! until then.
//!
//! A chunk of the output becomes [cells](super::cells) of the first level, which wait until all cells of their chunk are
//! there; a complete chunk is written and becomes cells of the next level. A cell that is made of several chunks waits for
//! all of them. Groups complete about in the order of the plan, so it is known beforehand from which group to which one a
//! chunk or a cell waits, and how much waits at most.

use super::cells::Cells;
use super::demand;
use super::pool::rounded;
use super::tiles::Tiling;
use crate::contract::{Fold, Footprint, Layout, Op, Pass};
use crate::model::{Border, Dtype, Grid, Meta, Region, voxels};
use std::sync::Arc;

/// A smaller version of the output, made of the version before it.
#[derive(Clone)]
pub struct Level {
    /// Makes one voxel of every block, and perhaps of what lies around it.
    pub op: Arc<dyn Op>,
    /// What it makes.
    pub meta: Meta,
    /// How the level is cut.
    pub layout: Layout,
}

/// Why a version cannot be made in the same pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// The operation reads more than what lies around a block.
    #[error("`{op}` reads beyond what lies around its blocks")]
    Op {
        /// Its name.
        op: &'static str,
    },
}

impl Level {
    /// Whether each voxel is made of a block, or of what lies around it, axis by axis.
    fn is_local(&self) -> bool {
        let footprint = self.op.footprint(0);
        let around = matches!(footprint, Footprint::Point | Footprint::Halo(_) | Footprint::Scale { .. });
        let periodic = footprint.is_padded() && self.op.border() == Border::Wrap;
        around && !periodic && matches!(self.op.pass(), Pass::Local)
    }

    pub(crate) fn grid(&self) -> Grid {
        Grid::new(self.meta.shape, self.layout.chunk)
    }
}

/// Refuses levels that need more of the image than its chunks bring one by one.
pub(crate) fn check(levels: &[Level]) -> Result<(), LevelError> {
    match levels.iter().find(|level| !level.is_local()) {
        Some(level) => Err(LevelError::Op { op: level.op.name() }),
        None => Ok(()),
    }
}

/// How each level is made of the chunks of the version before it; `output` are those of the output.
pub(crate) fn cells(levels: &[Level], output: Grid) -> Vec<Cells> {
    let above = std::iter::once(output).chain(levels.iter().map(Level::grid));
    levels.iter().zip(above).map(|(level, above)| Cells::new(level, above)).collect()
}

/// The levels of an output that is being planned.
pub(crate) struct Ladder<'a> {
    levels: &'a [Level],
    cells: Vec<Cells>,
    /// Sample type of the output.
    dtype: Dtype,
    /// By which the output is made of tiles, where it is.
    fold: Option<&'a dyn Fold>,
}

impl<'a> Ladder<'a> {
    /// Levels of an output that is cut in that way.
    pub(crate) fn new(
        levels: &'a [Level],
        output: &Meta,
        layout: &Layout,
        fold: Option<&'a dyn Fold>,
    ) -> Self {
        let cells = cells(levels, Grid::new(output.shape, layout.chunk));
        Self { levels, cells, dtype: output.dtype, fold }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

/// Nanoseconds of one core that the levels take.
pub(crate) fn work_ns(levels: &[Level]) -> f64 {
    let one = |l: &Level| (l.op.ns_per_voxel() + l.layout.ns_per_voxel) * voxels(&l.meta.shape) as f64;
    levels.iter().map(one).sum()
}

/// When the chunks and cells of all levels wait, if the groups of a tiling complete one after the other.
pub(crate) struct Timeline {
    /// Per level and chunk: the number of the group with its last piece.
    complete: Vec<Vec<u32>>,
    /// Bytes that begin to wait with each group, and bytes that do not any more after it.
    begin: Vec<u64>,
    end: Vec<u64>,
    /// What one group needs on its way through the levels.
    passing: u64,
}

impl Timeline {
    pub(crate) fn new(ladder: &Ladder<'_>, tiling: &Tiling) -> Self {
        let mut this =
            Self { complete: Vec::new(), begin: Vec::new(), end: Vec::new(), passing: passing(ladder) };
        let Some(first) = ladder.cells.first() else { return this };
        let (mut above, mut groups) = (vec![0u32; first.above().len() as usize], 0);
        let mut before = None;
        for at in tiling.iter().filter(|at| before.replace(at.group) != Some(at.group)) {
            let written = ladder.fold.map_or(at.group, |f| at.group.with_axis(f.axis(), 0, 1));
            for chunk in first.above().covering(&written) {
                above[first.above().linear(&chunk) as usize] = groups;
            }
            groups += 1;
        }
        (this.begin, this.end) = (vec![0; groups as usize], vec![0; groups as usize]);
        let mut dtype = ladder.dtype;
        for (level, cells) in ladder.levels.iter().zip(&ladder.cells) {
            let grid = level.grid();
            let mut spans = vec![(u32::MAX, 0); grid.len() as usize];
            for cell in cells.iter() {
                let times = cells.chunks(&cell).map(|chunk| above[cells.above().linear(&chunk) as usize]);
                let (first, last) = times.fold((u32::MAX, 0), |(lo, hi), at| (at.min(lo), at.max(hi)));
                if let Some(gathered) = cells.gathered(&cell) {
                    this.waits((first, last), demand::bytes(&gathered, dtype.size()));
                }
                for to in grid.covering(&cells.region(&cell)) {
                    let span = &mut spans[grid.linear(&to) as usize];
                    *span = (last.min(span.0), last.max(span.1));
                }
            }
            for (chunk, &span) in grid.iter().zip(&spans) {
                this.waits(span, demand::bytes(&grid.region(&chunk), level.meta.dtype.size()));
            }
            let complete: Vec<u32> = spans.into_iter().map(|(_, last)| last).collect();
            above.clone_from(&complete);
            dtype = level.meta.dtype;
            this.complete.push(complete);
        }
        this
    }

    /// Something of so many bytes waits from one group to another.
    fn waits(&mut self, (first, last): (u32, u32), bytes: u64) {
        self.begin[first as usize] += rounded(bytes);
        self.end[last as usize] += rounded(bytes);
    }

    /// Bytes that wait at most while so many groups are on their way.
    pub(crate) fn bytes(&self, inflight: usize) -> u64 {
        // The group that is behind may be the oldest of those on their way, and the one ahead the newest.
        let ahead = inflight.saturating_sub(1);
        let mut change = vec![0i64; self.begin.len() + 1];
        for (group, (begin, end)) in self.begin.iter().zip(&self.end).enumerate() {
            change[group.saturating_sub(ahead)] += *begin as i64;
            change[group + 1] -= *end as i64;
        }
        let mut now = 0;
        let most = change.iter().map(|c| {
            now += c;
            now
        });
        most.max().unwrap_or(0) as u64 + inflight as u64 * self.passing
    }

    /// Which group completes which chunks, in the order of the plan.
    pub(crate) fn completions(&self) -> Vec<Completion> {
        let of_level = |(level, groups): (usize, &Vec<u32>)| {
            let one = move |(number, &group): (usize, &u32)| Completion { group, level, number };
            groups.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let mut all: Vec<Completion> = self.complete.iter().enumerate().flat_map(of_level).collect();
        all.sort_unstable();
        all
    }
}

/// A chunk of a level, and the group whose piece completes it if groups complete one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Completion {
    pub(crate) group: u32,
    pub(crate) level: usize,
    pub(crate) number: usize,
}

/// Bytes of what one group needs on its way: the cell that is being made.
fn passing(ladder: &Ladder<'_>) -> u64 {
    let working = |(level, cells): (&Level, &Cells)| {
        let cell = cells.largest();
        let bytes = demand::bytes(&Region::whole(cell), level.meta.dtype.size());
        rounded(bytes) + rounded(level.op.scratch(&cell))
    };
    ladder.levels.iter().zip(&ladder.cells).map(working).max().unwrap_or(0)
}
