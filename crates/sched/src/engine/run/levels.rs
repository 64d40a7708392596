//! The levels of an output, made of its chunks while these are written.

use super::super::cells::Cells;
use super::super::levels::{self, Completion, Level};
use super::super::pad;
use super::super::plan::Planned;
use super::super::pool::{OutOfMemory, Pool};
use super::super::tile_run::{self, Block};
use super::RunError;
use super::dispatch::StageRun;
use super::group::Orders;
use crate::contract::{Place, Sink};
use crate::model::{Grid, Region, Shape, Tile};
use std::collections::{HashMap, HashSet};
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
    cells: Cells,
    /// Where chunks go that will be complete when the groups on their way are, by their number.
    places: Mutex<HashMap<u64, Place>>,
    /// What cells are made of, where no chunk holds all of it, by the number of the cell.
    gathered: Parts,
    /// Chunks of which a cell is there, by their number.
    chunks: Parts,
    /// Numbers of the chunks that an earlier run wrote.
    written: Mutex<HashSet<u64>>,
}

/// Blocks that are put together.
#[derive(Default)]
struct Parts(Mutex<HashMap<u64, Arc<Mutex<Open>>>>);

/// A block on its way.
struct Open {
    /// `None` before the first part, and when it is complete.
    block: Option<Block>,
    /// Voxels that are still to come.
    left: u64,
}

impl Parts {
    /// Adds what a tile over the region `from` has of a block; the block, if it was the last of the voxels in `comes`.
    fn add(
        &self,
        pool: &Arc<Pool>,
        number: u64,
        (block, comes): (&Region, &Region),
        (from, tile): (&Region, &Tile<'_>),
    ) -> Result<Option<Block>, OutOfMemory> {
        let open = {
            let mut open = self.0.lock().expect("parts lock");
            let new = || Arc::new(Mutex::new(Open { block: None, left: comes.voxels() }));
            open.entry(number).or_insert_with(new).clone()
        };
        let mut state = open.lock().expect("block lock");
        if state.block.is_none() {
            state.block = Some(tile_run::block(pool, *block, tile.dtype())?);
        }
        if let Some(to) = &mut state.block {
            pad::copy_common(&mut to.tile_mut(), block, tile, from);
        }
        state.left -= comes.intersect(from).voxels();
        if state.left > 0 {
            return Ok(None);
        }
        self.0.lock().expect("parts lock").remove(&number);
        Ok(state.block.take())
    }
}

impl Levels {
    pub(super) fn new(planned: &Planned, sink: &Arc<dyn Sink>) -> Self {
        let output = Grid::new(sink.meta().shape, sink.layout().chunk);
        let cells = levels::cells(&planned.levels, output);
        let rung = |((level, cells), sink): ((&Level, Cells), &Arc<dyn Sink>)| Rung {
            level: level.clone(),
            sink: sink.clone(),
            grid: level.grid(),
            cells,
            places: Mutex::default(),
            gathered: Parts::default(),
            chunks: Parts::default(),
            written: Mutex::default(),
        };
        let rungs = planned.levels.iter().zip(cells).zip(sink.levels()).map(rung).collect();
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

    /// The chunks of the version before that a chunk of a level is made of.
    pub(super) fn made_of(&self, level: usize, chunk: &Shape) -> impl Iterator<Item = Shape> + use<> {
        let Rung { cells, grid, .. } = &self.rungs[level];
        cells.above().covering(&cells.made_of(&grid.region(chunk)))
    }

    /// Takes a chunk of a level for written: no cells are made of it.
    pub(super) fn skip(&self, level: usize, number: u64) {
        self.rungs[level].written.lock().expect("levels lock").insert(number);
    }

    /// Takes a region of the output, or of level `above - 1`: makes its cells of the next level, writes what they
    /// complete, and goes on with that.
    pub(super) fn add(
        &self,
        run: &StageRun,
        above: usize,
        region: &Region,
        tile: &Tile<'_>,
    ) -> Result<(), RunError> {
        let Some(first) = self.rungs.get(above) else { return Ok(()) };
        let mut complete: Vec<(usize, u64, Block)> = Vec::new();
        first.take(run, (region, tile), |number, block| complete.push((above, number, block)))?;
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
                next.take(run, (&block.region, &block.tile()), keep)?;
            }
        }
        Ok(())
    }
}

impl Rung {
    /// Makes the cells of a region of the version before, as far as all that they are made of is there, and puts them where
    /// they belong; calls `complete` with every chunk whose last cell it was.
    fn take(
        &self,
        run: &StageRun,
        (region, tile): (&Region, &Tile<'_>),
        mut complete: impl FnMut(u64, Block),
    ) -> Result<(), RunError> {
        let above = self.cells.above();
        for chunk in above.covering(region) {
            let from = above.region(&chunk);
            let tile = tile.part(&from.translate(&region.start.map(|s| -s)));
            for cell in self.cells.of(&chunk) {
                let made = self.make(run, &cell, (&from, &tile));
                let memory = |source| RunError::Memory { region: self.cells.region(&cell), source };
                if let Some(block) = made.map_err(memory)? {
                    self.put(run, block, &mut complete).map_err(memory)?;
                }
            }
        }
        Ok(())
    }

    /// A cell, if the chunk over the region `from` was the last that it is made of.
    fn make(
        &self,
        run: &StageRun,
        cell: &Shape,
        (from, tile): (&Region, &Tile<'_>),
    ) -> Result<Option<Block>, OutOfMemory> {
        let (Level { op, meta, .. }, pool) = (&self.level, &run.shared.pool);
        let (region, reads) = (self.cells.region(cell), self.cells.reads(cell));
        let of = self.cells.made_of(&region);
        if of.intersect(from).is_empty() || self.are_written(&region) {
            return Ok(None);
        }
        let make = |input: Tile<'_>| {
            let mut made = tile_run::block(pool, region, meta.dtype)?;
            let mut scratch = pool.take(op.scratch(&region.shape))?;
            op.cpu(&[input], made.tile_mut(), &mut scratch);
            Ok(Some(made))
        };
        let Some(gathered) = self.cells.gathered(cell) else {
            return make(tile.part(&reads.translate(&from.start.map(|s| -s))));
        };
        let number = self.cells.number(cell);
        let Some(mut whole) = self.gathered.add(pool, number, (&gathered, &of), (from, tile))? else {
            return Ok(None);
        };
        pad::fill(&mut whole.tile_mut(), &gathered, &of, &self.cells.above().image, op.border());
        make(whole.part(&reads))
    }

    /// Whether all chunks that a region lies in are written.
    fn are_written(&self, region: &Region) -> bool {
        let written = self.written.lock().expect("levels lock");
        self.grid.covering(region).all(|chunk| written.contains(&self.grid.linear(&chunk)))
    }

    /// Puts a cell into its chunks.
    fn put(
        &self,
        run: &StageRun,
        cell: Block,
        mut complete: impl FnMut(u64, Block),
    ) -> Result<(), OutOfMemory> {
        for index in self.grid.covering(&cell.region) {
            let (number, chunk) = (self.grid.linear(&index), self.grid.region(&index));
            if self.are_written(&chunk) {
                continue;
            }
            if chunk == cell.region {
                complete(number, cell);
                break;
            }
            let whole =
                self.chunks.add(&run.shared.pool, number, (&chunk, &chunk), (&cell.region, &cell.tile()))?;
            if let Some(block) = whole {
                complete(number, block);
            }
        }
        Ok(())
    }
}
