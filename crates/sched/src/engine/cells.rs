//! Which chunks of one version of the output make which voxels of the next, smaller one.
//!
//! A level is cut into cells: boxes of voxels that are made of the same chunks of the version before. Blocks that lie in
//! one chunk make one cell of each chunk. Where a voxel is made of more than its block, or blocks lie across chunks, there
//! are also cells of what two, four or eight chunks have in common:
//!
//! ```text
//! |···········|···········|··········|   chunks
//! |-----aaaaa||--bbbbbbb--||ccccc----|   what the cells a, b and c read
//!       |------ab------|                 and what the cell between a and b does
//! ```

use super::levels::Level;
use super::reach;
use crate::contract::Op;
use crate::model::{Grid, NDIM, PerAxis, Region, Shape};
use std::sync::Arc;

/// How a level is made of the chunks of the version before it.
pub(crate) struct Cells {
    op: Arc<dyn Op>,
    above: Grid,
    /// Along each axis, in order.
    runs: PerAxis<Vec<Run>>,
    counts: Grid,
}

/// Voxels next to each other along an axis that are made of the same chunks.
struct Run {
    start: u64,
    end: u64,
    /// The first and the last of the chunks. Once all runs are known, no run after this one begins before the first and
    /// none before it ends after the last: where an edge of the image is mirrored, that is more than the chunks.
    chunks: (u64, u64),
}

impl Cells {
    /// Of a level, and the chunks of the version before it.
    pub(crate) fn new(level: &Level, above: Grid) -> Self {
        let op = level.op.clone();
        let empty = level.meta.shape.contains(&0);
        let runs: PerAxis<Vec<Run>> = std::array::from_fn(|a| {
            let mut runs: Vec<Run> = Vec::new();
            let mut voxel = Region::new([0; NDIM], [1; NDIM]);
            for n in 0..if empty { 0 } else { level.meta.shape[a] } {
                voxel.start[a] = n as i64;
                let of = reach::reads(&*op, 0, &voxel, &above.image);
                let chunks = (of.start[a] as u64 / above.chunk[a], (of.end(a) as u64 - 1) / above.chunk[a]);
                match runs.last_mut() {
                    Some(run) if run.chunks == chunks => run.end = n + 1,
                    _ => runs.push(Run { start: n, end: n + 1, chunks }),
                }
            }
            for n in (1..runs.len()).rev() {
                runs[n - 1].chunks.0 = runs[n - 1].chunks.0.min(runs[n].chunks.0);
            }
            for n in 1..runs.len() {
                runs[n].chunks.1 = runs[n].chunks.1.max(runs[n - 1].chunks.1);
            }
            runs
        });
        let counts = Grid::new(std::array::from_fn(|a| runs[a].len() as u64), [1; NDIM]);
        Self { op, above, runs, counts }
    }

    /// The version before.
    pub(crate) fn above(&self) -> &Grid {
        &self.above
    }

    /// All cells.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Shape> + use<> {
        self.counts.iter()
    }

    /// The number of a cell.
    pub(crate) fn number(&self, cell: &Shape) -> u64 {
        self.counts.linear(cell)
    }

    /// The cells that a chunk has part in, and perhaps some that it has none in.
    pub(crate) fn of(&self, chunk: &Shape) -> impl Iterator<Item = Shape> + use<> {
        let first = |a: usize| self.runs[a].partition_point(|run| run.chunks.1 < chunk[a]);
        let end = |a: usize| self.runs[a].partition_point(|run| run.chunks.0 <= chunk[a]);
        let start: PerAxis<i64> = std::array::from_fn(|a| first(a) as i64);
        let count = std::array::from_fn(|a| end(a).saturating_sub(first(a)) as u64);
        self.counts.covering(&Region::new(start, count))
    }

    /// The chunks that have part in a cell.
    pub(crate) fn chunks(&self, cell: &Shape) -> impl Iterator<Item = Shape> + use<> {
        self.above.covering(&self.made_of(&self.region(cell)))
    }

    /// The voxels of a cell.
    pub(crate) fn region(&self, cell: &Shape) -> Region {
        let run = |a: usize| &self.runs[a][cell[a] as usize];
        Region::new(
            std::array::from_fn(|a| run(a).start as i64),
            std::array::from_fn(|a| run(a).end - run(a).start),
        )
    }

    /// The largest cell that there may be.
    pub(crate) fn largest(&self) -> Shape {
        std::array::from_fn(|a| self.runs[a].iter().map(|run| run.end - run.start).max().unwrap_or(0))
    }

    /// The voxels of the version before that a region of the level is made of.
    pub(crate) fn made_of(&self, region: &Region) -> Region {
        reach::reads(&*self.op, 0, region, &self.above.image)
    }

    /// What the operation reads to make a cell, perhaps beyond the image.
    pub(crate) fn reads(&self, cell: &Shape) -> Region {
        self.op.reads(0, &self.region(cell), &self.above.image)
    }

    /// What has to be put together to make a cell; `None` if one chunk holds all that is read.
    pub(crate) fn gathered(&self, cell: &Shape) -> Option<Region> {
        let (reads, of) = (self.reads(cell), self.made_of(&self.region(cell)));
        let mut chunks = self.above.covering(&of);
        let alone = chunks.next().filter(|_| chunks.next().is_none());
        let holds = alone.is_some_and(|chunk| self.above.region(&chunk).contains(&reads));
        (!holds).then(|| reads.hull(&of))
    }
}
