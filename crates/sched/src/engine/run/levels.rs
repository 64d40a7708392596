//! The levels of an output, made of its groups while these are written.

use super::super::levels::{Completion, Level};
use super::super::plan::Planned;
use super::super::tile_run::{self, Block};
use super::RunError;
use super::dispatch::StageRun;
use super::group::Orders;
use crate::contract::{Place, Sink};
use crate::model::{Grid, Region, Tile, voxels};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// All levels of one output.
pub(super) struct Levels {
    rungs: Vec<Rung>,
    completions: Arc<Vec<Completion>>,
}

struct Rung {
    level: Level,
    sink: Arc<dyn Sink>,
    grid: Grid,
    /// Where chunks go that will be complete when the groups on their way are, by their number.
    places: Mutex<HashMap<u64, Place>>,
    /// Chunks of which a part is there, by their number.
    open: Mutex<HashMap<u64, Arc<Mutex<Open>>>>,
}

/// A chunk on its way.
struct Open {
    /// `None` before the first piece, and when it is complete.
    block: Option<Block>,
    /// Voxels that are still to come.
    left: u64,
}

impl Levels {
    pub(super) fn new(planned: &Planned, sink: &Arc<dyn Sink>) -> Self {
        let rung = |(level, sink): (&Level, &Arc<dyn Sink>)| Rung {
            level: level.clone(),
            sink: sink.clone(),
            grid: level.grid(),
            places: Mutex::default(),
            open: Mutex::default(),
        };
        let rungs = planned.levels.iter().zip(sink.levels()).map(rung).collect();
        Self { rungs, completions: planned.completions.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rungs.is_empty()
    }

    /// Gives places to the chunks that group number `group` completes. Called for each group in the order of the plan,
    /// before its tiles.
    pub(super) fn number(&self, group: u32, orders: &mut Orders) {
        let first = self.completions.partition_point(|c| c.group < group);
        for c in self.completions[first..].iter().take_while(|c| c.group == group) {
            let (rung, number) = (&self.rungs[c.level], c.number as u64);
            let place = orders.place(c.level + 1, rung.grid.index(number));
            rung.places.lock().expect("levels lock").insert(number, place);
        }
    }

    /// The place of a chunk of a level, when all groups have been [numbered](Self::number).
    pub(super) fn place(&self, level: usize, number: u64) -> Place {
        self.rungs[level].places.lock().expect("levels lock")[&number]
    }

    /// The voxels of the version before that a region of a level is made of.
    pub(super) fn made_of(&self, level: usize, region: &Region, above: &Grid) -> Region {
        self.rungs[level].level.enlarged(region).clip(&above.image)
    }

    /// Takes a region of the output, or of level `above - 1`: makes its piece of the next level, writes what that
    /// completes, and goes on with it.
    pub(super) fn add(
        &self,
        run: &StageRun,
        above: usize,
        region: &Region,
        tile: &Tile<'_>,
    ) -> Result<(), RunError> {
        let Some(first) = self.rungs.get(above) else { return Ok(()) };
        let mut complete: Vec<(usize, u64, Block)> = Vec::new();
        first.take(run, region, tile, |number, block| complete.push((above, number, block)))?;
        while let Some((n, number, block)) = complete.pop() {
            let rung = &self.rungs[n];
            let place = rung.places.lock().expect("levels lock").remove(&number).expect("numbered before");
            let bytes = rung
                .sink
                .write(place, &block.tile())
                .map_err(|source| RunError::Write { region: block.region, source })?;
            run.shared.meters.wrote(bytes);
            if let Some(next) = self.rungs.get(n + 1) {
                let keep = |number, block| complete.push((n + 1, number, block));
                next.take(run, &block.region, &block.tile(), keep)?;
            }
        }
        Ok(())
    }
}

impl Rung {
    /// Makes the piece of a region of the version before and puts it where it belongs; calls `complete` with every
    /// chunk whose last piece it was.
    fn take(
        &self,
        run: &StageRun,
        from: &Region,
        tile: &Tile<'_>,
        mut complete: impl FnMut(u64, Block),
    ) -> Result<(), RunError> {
        let region = self.level.reduced(from);
        let memory = |source| RunError::Memory { region, source };
        let pool = &run.shared.pool;
        let mut piece = tile_run::block(pool, region, self.level.meta.dtype).map_err(memory)?;
        let mut scratch = pool.take(self.level.op.scratch(&region.shape)).map_err(memory)?;
        self.level.op.cpu(&[tile.part(&Region::whole(from.shape))], piece.tile_mut(), &mut scratch);
        drop(scratch);
        for index in self.grid.covering(&region) {
            let number = self.grid.linear(&index);
            let chunk = self.grid.region(&index);
            if chunk == region {
                complete(number, piece);
                return Ok(());
            }
            let open = {
                let mut open = self.open.lock().expect("levels lock");
                let new = || Arc::new(Mutex::new(Open { block: None, left: voxels(&chunk.shape) }));
                open.entry(number).or_insert_with(new).clone()
            };
            let mut state = open.lock().expect("level chunk lock");
            if state.block.is_none() {
                state.block = Some(tile_run::block(pool, chunk, self.level.meta.dtype).map_err(memory)?);
            }
            let part = chunk.intersect(&region);
            if let Some(block) = &mut state.block {
                let to = part.translate(&chunk.start.map(|s| -s));
                block.tile_mut().part(&to).copy_from(&piece.part(&part));
            }
            state.left -= part.voxels();
            if state.left == 0 {
                self.open.lock().expect("levels lock").remove(&number);
                if let Some(block) = state.block.take() {
                    complete(number, block);
                }
            }
        }
        Ok(())
    }
}
