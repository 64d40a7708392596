//! Groups: blocks of whole output chunks, assembled from tiles and written once.

use super::super::demand;
use super::super::tile_run::{Block, Held};
use super::RunError;
use super::dispatch::StageRun;
use super::units::Open;
use crate::contract::{Fold, Kernels, Op, Pass, Place, Sink};
use crate::model::{Dtype, Grid, Region, Shape, Tile, TileMut, voxels};
use std::collections::{BTreeMap, HashMap, btree_map::Entry};
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// Takes the computed roots of one tile, whose number is the first.
type TakesTiles = Box<dyn Fn(&StageRun, u64, &Region, &[Tile<'_>]) + Send + Sync>;
/// What a device does with roots of these types, for a tile of that shape.
type AsksKernels = Box<dyn Fn(&[Dtype], &Shape) -> Option<Kernels> + Send + Sync>;
/// Takes what a device made of one tile; whether that suffices.
type TakesResults = Box<dyn Fn(&StageRun, u64, &Region, &[&[u8]]) -> bool + Send + Sync>;

/// Who takes tiles where nothing is written group by group.
pub(super) struct Hand {
    pub(super) tiles: TakesTiles,
    pub(super) kernels: AsksKernels,
    pub(super) results: TakesResults,
}

/// What a group does with its tiles.
pub(super) enum Finish {
    /// Written as they are.
    Write,
    /// Reduced along an axis by this step, then written.
    Fold(Arc<dyn Op>),
    /// Handed on.
    Hand(Hand),
}

/// What has become of a tile when it reaches its group.
pub(super) enum Taken {
    /// Its roots.
    Roots(Vec<Arc<Vec<Block>>>),
    /// The state of a reduction of it alone.
    State(Vec<u8>),
    /// It was handed on already.
    Handed,
}

impl Finish {
    /// What of the output the tiles of a group make.
    pub(super) fn region(&self, group: &Region) -> Region {
        self.fold().map_or(*group, |fold| group.with_axis(fold.axis(), 0, 1))
    }

    fn fold(&self) -> Option<&dyn Fold> {
        match self {
            Self::Fold(op) => match op.pass() {
                Pass::Fold(fold) => Some(fold),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a device does with the roots of a tile instead of giving them back.
    pub(super) fn kernels(&self, dtypes: &[Dtype], shape: &Shape) -> Option<Kernels> {
        match self {
            Self::Write => None,
            Self::Fold(_) => self.fold()?.kernels(dtypes[0], shape),
            Self::Hand(hand) => (hand.kernels)(dtypes, shape),
        }
    }

    /// Takes what these kernels gave; `None` if that does not suffice.
    pub(super) fn results(
        &self,
        run: &StageRun,
        (number, tile): (u64, &Region),
        mut results: Vec<Vec<u8>>,
    ) -> Option<Taken> {
        match self {
            Self::Write => None,
            Self::Fold(_) => results.pop().map(Taken::State),
            Self::Hand(hand) => {
                let results: Vec<&[u8]> = results.iter().map(Vec::as_slice).collect();
                (hand.results)(run, number, tile, &results).then_some(Taken::Handed)
            }
        }
    }
}

/// Numbers the chunks of each shard in plan order; where there are no shards, all chunks of the image and its levels.
pub(super) struct Orders {
    /// Of the image and of its levels: chunks, and shards.
    grids: Vec<(Grid, Option<Shape>)>,
    next: HashMap<(usize, Shape), u64>,
}

impl Orders {
    pub(super) fn new(sink: &Arc<dyn Sink>) -> Self {
        let grid = |sink: &Arc<dyn Sink>| {
            let layout = sink.layout();
            (Grid::new(sink.meta().shape, layout.chunk), layout.shard)
        };
        let grids = std::iter::once(sink).chain(sink.levels()).map(grid).collect();
        Self { grids, next: HashMap::new() }
    }

    /// Places for the image's chunks in a region.
    pub(super) fn places(&mut self, region: &Region) -> Vec<Place> {
        let indices: Vec<Shape> = self.grids[0].0.covering(region).collect();
        indices.into_iter().map(|index| self.place(0, index)).collect()
    }

    /// The place of the next chunk: of the image, or of level `n - 1`.
    pub(super) fn place(&mut self, n: usize, index: Shape) -> Place {
        let (chunks, shard) = &self.grids[n];
        let of_shard = |shard: &Shape| (n, std::array::from_fn(|a| index[a] * chunks.chunk[a] / shard[a]));
        let next = self.next.entry(shard.as_ref().map_or((0, [0; 5]), of_shard)).or_insert(0);
        *next += 1;
        Place { index, order: *next - 1 }
    }
}

#[derive(Default)]
struct State {
    /// Tiles that have arrived.
    arrived: u64,
    /// The result, where it is put together from several tiles.
    assembly: Option<Block>,
    /// Reductions, by the start of their column.
    columns: BTreeMap<[i64; 5], Column>,
}

/// The reduction of one column of slabs.
struct Column {
    /// The column in output coordinates.
    region: Region,
    state: super::super::pool::Buffer,
    /// Where along the axis the next slab must start.
    next: i64,
    early: BTreeMap<i64, (Region, Slab)>,
}

/// A slab of a column.
enum Slab {
    Tile(Arc<Vec<Block>>),
    /// Its own state.
    State(Vec<u8>),
}

pub(super) struct Group {
    finish: Arc<Finish>,
    /// In coordinates of the output.
    region: Region,
    places: Vec<Place>,
    /// What it is part of, where that is noted.
    unit: Option<Arc<Open>>,
    siblings: u64,
    state: Mutex<State>,
    _held: OwnedSemaphorePermit,
}

impl Group {
    /// A group that makes a region of the output, written to these places.
    pub(super) fn new(
        finish: &Arc<Finish>,
        region: Region,
        (places, unit): (Vec<Place>, Option<Arc<Open>>),
        siblings: u64,
        held: OwnedSemaphorePermit,
    ) -> Self {
        Self { finish: finish.clone(), region, places, unit, siblings, state: Mutex::default(), _held: held }
    }

    /// Takes one computed tile; writes the group's chunks when it was the last.
    pub(super) async fn take(
        self: &Arc<Self>,
        run: &Arc<StageRun>,
        (number, tile): (u64, Region),
        taken: Taken,
    ) {
        let group = self.clone();
        let roots = match taken {
            Taken::Handed => return,
            Taken::State(state) => {
                let work = move |run: &StageRun| group.reduce(run, tile, Slab::State(state));
                if let Some(blocks) = run.on_cpu("reduce", tile, work).await.flatten() {
                    self.write(run, blocks).await;
                }
                return;
            }
            Taken::Roots(roots) => roots,
        };
        let done = match &*self.finish {
            Finish::Hand(_) => {
                let work = move |run: &StageRun| {
                    let Finish::Hand(hand) = &*group.finish else { return };
                    let reads = demand::demand(&run.stage, &tile).roots;
                    let parts = roots.iter().zip(&reads);
                    let tiles: Vec<Tile<'_>> = parts.map(|(r, (n, region))| r[*n].part(region)).collect();
                    (hand.tiles)(run, number, &tile, &tiles);
                };
                run.on_cpu("merge", tile, work).await;
                return;
            }
            Finish::Write if self.siblings == 1 => Some(roots.into_iter().next().expect("one root")),
            Finish::Write => {
                let work = move |run: &StageRun| group.assemble(run, &roots[0][0]);
                run.on_cpu("assemble", tile, work).await.flatten()
            }
            Finish::Fold(_) => {
                let slab = Slab::Tile(roots.into_iter().next().expect("one root"));
                let work = move |run: &StageRun| group.reduce(run, tile, slab);
                run.on_cpu("reduce", tile, work).await.flatten()
            }
        };
        if let Some(blocks) = done {
            self.write(run, blocks).await;
        }
    }

    /// Encodes and writes all chunks of the group, side by side.
    async fn write(self: &Arc<Self>, run: &Arc<StageRun>, blocks: Arc<Vec<Block>>) {
        let grid = Grid::new(run.sink.meta().shape, run.sink.layout().chunk);
        let mut tasks = tokio::task::JoinSet::new();
        for &place in &self.places {
            let (run, blocks) = (run.clone(), blocks.clone());
            tasks.spawn(async move {
                let region = grid.region(&place.index);
                let work = move |run: &StageRun| match run.sink.write(place, &blocks[0].part(&region)) {
                    Ok(bytes) => {
                        run.shared.meters.wrote(bytes);
                        true
                    }
                    Err(source) => {
                        run.fail(RunError::Write { region, source });
                        false
                    }
                };
                run.on_cpu("write", region, work).await.unwrap_or(false)
            });
        }
        if !run.levels.is_empty() && !self.region.is_empty() {
            let (run, group) = (run.clone(), self.clone());
            tasks.spawn(async move {
                let region = group.region;
                let work = move |run: &StageRun| {
                    let added = run.levels.add(run, 0, &region, &blocks[0].part(&region));
                    added.map_err(|error| run.fail(error)).is_ok()
                };
                run.on_cpu("write", region, work).await.unwrap_or(false)
            });
        } else {
            drop(blocks);
        }
        let mut whole = true;
        while let Some(done) = tasks.join_next().await {
            whole &= done.unwrap_or(false);
        }
        if let (true, Some(unit)) = (whole, &self.unit) {
            unit.group_done(run, self.region).await;
        }
    }

    /// Copies a tile to its place; the whole group after the last one.
    fn assemble(&self, run: &StageRun, tile: &Block) -> Option<Arc<Vec<Block>>> {
        let mut state = self.state.lock().expect("group lock");
        if state.assembly.is_none() {
            state.assembly = self.output(run);
        }
        let out = state.assembly.as_mut()?;
        let back = tile.region.translate(&self.region.start.map(|s| -s));
        out.tile_mut().part(&back).copy_from(&tile.tile());
        state.arrived += 1;
        if state.arrived < self.siblings { None } else { state.assembly.take().map(|b| Arc::new(vec![b])) }
    }

    fn output(&self, run: &StageRun) -> Option<Block> {
        let dtype = run.stage.output.dtype;
        match run.shared.pool.take(demand::bytes(&self.region, dtype.size())) {
            Ok(data) => Some(Block { region: self.region, dtype, held: Held::Own(data) }),
            Err(source) => {
                run.fail(RunError::Memory { region: self.region, source });
                None
            }
        }
    }

    /// Adds a slab to its column, in order along the axis; the group's result after the last one.
    fn reduce(&self, run: &StageRun, tile: Region, slab: Slab) -> Option<Arc<Vec<Block>>> {
        let fold = self.finish.fold().expect("only tiles of reductions come here");
        let axis = fold.axis().index();
        let region = tile.with_axis(fold.axis(), 0, 1);
        let mut state = self.state.lock().expect("group lock");
        let column = match state.columns.entry(region.start) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let bytes = voxels(&region.shape) * fold.state_size() as u64;
                let mut data = match run.shared.pool.take(bytes) {
                    Ok(data) => data,
                    Err(source) => {
                        run.fail(RunError::Memory { region, source });
                        return None;
                    }
                };
                fold.start(&mut data);
                free.insert(Column { region, state: data, next: 0, early: BTreeMap::new() })
            }
        };
        column.early.insert(tile.start[axis], (tile, slab));
        while let Some((region, next)) = column.early.remove(&column.next) {
            match next {
                Slab::Tile(blocks) => fold.add(&blocks[0].tile(), &mut column.state),
                Slab::State(state) => fold.join(&state, &mut column.state),
            }
            column.next = region.end(axis);
        }
        state.arrived += 1;
        if state.arrived < self.siblings {
            return None;
        }
        let mut out = self.output(run)?;
        let count = run.stage.domain.shape[axis];
        let mut tile: TileMut<'_> = out.tile_mut();
        for column in std::mem::take(&mut state.columns).into_values() {
            let back = column.region.translate(&self.region.start.map(|s| -s));
            fold.finish(count, &column.state, tile.part(&back));
        }
        Some(Arc::new(vec![out]))
    }
}
