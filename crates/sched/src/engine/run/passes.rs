//! Stages that see the whole image: statistics, merges, propagation.

use super::super::demand;
use super::super::pad;
use super::super::pool::Buffer;
use super::super::tile_run::{Block, Held};
use super::dispatch::StageRun;
use super::group::{Finish, Hand};
use super::units::Notes;
use super::{GraphError, RunError};
use crate::contract::{
    Heap, Joins, Op, Part, Pass, Place, Propagate, Refused, Resolved, Sink, Source, Statistic, StoreError,
    Table, Tabled, Tally,
};
use crate::model::{Axis, Dtype, Grid, Halo, Region, Shape, Tile, TileMut};
use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// Feeds a whole input to a global step until it has another to be fed, or becomes a local one. `known` is what the input
/// before left.
pub(super) async fn observe(
    run: &Arc<StageRun>,
    op: &Arc<dyn Op>,
    label: &str,
    known: Option<Resolved>,
) -> Result<Resolved, RunError> {
    let Pass::Global(global) = op.pass() else { unreachable!("planned as a global step") };
    let refused = |refused| RunError::Refused(GraphError { step: label.to_owned(), refused });
    let mut empty = match known {
        None => global.start(),
        Some(Resolved::Again(next) | Resolved::Next(next)) => next,
        Some(local) => return Ok(local),
    };
    loop {
        // One statistic per worker at a time; which tile meets which does not matter, as the contract says.
        let workers = run.shared.cpu.current_num_threads();
        let idle: Vec<Box<dyn Statistic>> = (0..workers).map(|_| empty.empty()).collect();
        let idle = Arc::new(Mutex::new(idle));
        let (of_tiles, of_results, asked) = (idle.clone(), idle.clone(), Mutex::new(empty.empty()));
        let hand = Hand {
            tiles: Box::new(move |_, _, region, tiles| {
                with_one(&of_tiles, |s| s.observe(&tiles[0], region));
            }),
            kernels: Box::new(move |dtypes, shape| {
                asked.lock().expect("statistics lock").kernels(dtypes[0], shape)
            }),
            results: Box::new(move |_, _, region, results| {
                with_one(&of_results, |s| s.take(results, region))
            }),
        };
        // No tile of it is noted: which tiles are in which statistic is not known.
        run.clone().dispatch(Finish::Hand(hand), None).await?;
        let all = std::mem::take(&mut *idle.lock().expect("statistics lock"));
        for other in all {
            empty.merge(other);
        }
        match global.resolve(empty).map_err(refused)? {
            Resolved::Again(next) => empty = next,
            done => return Ok(done),
        }
    }
}

/// Lets one of the idle statistics work.
fn with_one<R>(idle: &Mutex<Vec<Box<dyn Statistic>>>, work: impl FnOnce(&mut dyn Statistic) -> R) -> R {
    let mut statistic = idle.lock().expect("statistics lock").pop().expect("one per worker");
    let out = work(&mut *statistic);
    idle.lock().expect("statistics lock").push(statistic);
    out
}

/// A step that keeps something of every tile, and its limit.
#[derive(Clone)]
pub(super) struct Keeps {
    /// In the user's words.
    pub(super) step: String,
    /// Bytes of the plan, which do not hold what is kept.
    pub(super) planned: u64,
    pub(super) allowed: u64,
}

impl Keeps {
    /// Ends the run when more is held than allowed.
    fn check(&self, run: &StageRun, bytes: u64) {
        run.shared.meters.objects(bytes);
        if self.planned.saturating_add(bytes) > self.allowed {
            let Self { step, planned, allowed } = self.clone();
            run.fail(RunError::Objects { step, bytes, planned, allowed });
        }
    }

    fn refused(&self, refused: Refused) -> RunError {
        RunError::Refused(GraphError { step: self.step.clone(), refused })
    }
}

/// Works tiles alone, joins them, then paints and writes them. What a tile leaves for painting waits in `heap`, and with it
/// what its neighbours must know, where a journal is kept.
pub(super) async fn merge(
    run: &Arc<StageRun>,
    op: &Arc<dyn Op>,
    keeps: &Keeps,
    heap: Arc<dyn Heap>,
    joins: &Joins,
) -> Result<(), RunError> {
    let Pass::Merge(merge) = op.pass() else { unreachable!("planned as a merging step") };
    let image = run.stage.domain.shape;
    let mut merger = merge.merger(&image, joins);
    let mut known: HashMap<[i64; 5], Kept> = HashMap::new();
    let notes = Notes::new(run, 0);
    for (n, region) in done_before(run, &notes) {
        let [own, faces] = n.map_err(spilled)?;
        let faces = faces.get(&*heap).map_err(spilled)?;
        merger.absorb(&region, merge.unpack(&faces).ok_or_else(|| spilled("a piece is damaged".into()))?);
        known.insert(region.start, own);
        keeps.check(run, merger.bytes());
    }
    let merger = Arc::new(Mutex::new(Some(merger)));
    let kept = Arc::new(Mutex::new(known));
    let (to_merger, to_kept, to_heap, by) = (merger.clone(), kept.clone(), heap.clone(), op.clone());
    let limit = keeps.clone();
    let take = move |run: &StageRun, n: u64, region: &Region, part: Part| {
        let Pass::Merge(merge) = by.pass() else { return };
        let faces = notes.as_ref().and_then(|notes| Some((notes, merge.pack(&*part.faces)?)));
        let own = match Kept::put(&*to_heap, &part.kept) {
            Ok(own) => own,
            Err(source) => return run.fail(spilled(source)),
        };
        to_kept.lock().expect("merge lock").insert(region.start, own);
        if let Some((notes, faces)) = faces {
            match Kept::put(&*to_heap, &faces) {
                Ok(faces) => notes.done(run, n, &Kept::note([own, faces])),
                Err(source) => return run.fail(spilled(source)),
            }
        }
        if let Some(merger) = to_merger.lock().expect("merge lock").as_mut() {
            merger.absorb(region, part.faces);
            limit.check(run, merger.bytes());
        }
    };
    let (take, of_tiles, of_results, asked) = (Arc::new(take), op.clone(), op.clone(), op.clone());
    let takes = take.clone();
    let hand = Hand {
        tiles: Box::new(move |run, n, region, tiles| {
            if let Pass::Merge(merge) = of_tiles.pass() {
                take(run, n, region, merge.local(tiles, region, &image));
            }
        }),
        kernels: Box::new(move |dtypes, shape| match asked.pass() {
            Pass::Merge(merge) => merge.kernels(dtypes, shape),
            _ => None,
        }),
        results: Box::new(move |run, n, region, results| {
            let Pass::Merge(merge) = of_results.pass() else { return false };
            merge.part(results, region, &image).map(|part| takes(run, n, region, part)).is_some()
        }),
    };
    run.clone().dispatch(Finish::Hand(hand), Some(0)).await?;
    if run.shared.meters.is_partial() {
        return Ok(());
    }
    let merger = merger.lock().expect("merge lock").take().expect("taken once");
    // On a worker: numbering many components takes its time.
    let whole = Region::whole(image);
    let Some(finished) = run.on_cpu("merge", whole, move |_| merger.finish()).await else {
        return run.outcome();
    };
    let resolution = finished.map_err(|refused| keeps.refused(refused))?;
    let op = op.clone();
    let paint = move |_: &StageRun, region: &Region, output: TileMut<'_>| {
        let Pass::Merge(merge) = op.pass() else { return Ok(()) };
        let own = kept.lock().expect("merge lock")[&region.start];
        let bytes = own.get(&*heap).map_err(spilled)?;
        merge.paint(&bytes, region, &resolution, output);
        Ok(())
    };
    run.clone().paint(Box::new(paint), 1).await
}

fn spilled(source: StoreError) -> RunError {
    RunError::Spill { source }
}

/// Counts tiles into a table. What a tile tells is put into `heap`, where a journal is kept. There is no table when tiles are
/// left to other runs.
pub(super) async fn tally(
    run: &Arc<StageRun>,
    op: &Arc<dyn Op>,
    keeps: &Keeps,
    heap: Option<Arc<dyn Heap>>,
) -> Result<Option<Table>, RunError> {
    let mut later = None;
    for pass in 0.. {
        match tally_pass(run, op, later, keeps, (pass, heap.clone())).await? {
            None => return Ok(None),
            Some(Tabled::Again(next)) => later = Some(next),
            Some(Tabled::Done(table)) => return Ok(Some(table)),
        }
    }
    unreachable!("a table comes first")
}

/// One pass of a table: the operation's own, or a later one.
async fn tally_pass(
    run: &Arc<StageRun>,
    op: &Arc<dyn Op>,
    later: Option<Arc<dyn Tally>>,
    keeps: &Keeps,
    (pass, heap): (u32, Option<Arc<dyn Heap>>),
) -> Result<Option<Tabled>, RunError> {
    let by = op.clone();
    let notes = Notes::new(run, pass).zip(heap);
    let with = move |work: &mut dyn FnMut(&dyn Tally)| match (&later, by.pass()) {
        (Some(later), _) => work(&**later),
        (None, Pass::Tally(first)) => work(first),
        _ => unreachable!("planned as a table"),
    };
    let with = Arc::new(with);
    let mut table = None;
    with(&mut |tally| table = Some(tally.tabulator(&run.stage.domain)));
    if let (Some((notes, heap)), Some(table)) = (&notes, &mut table) {
        for (n, _) in done_before(run, &Some(notes.clone())) {
            let [part] = n.map_err(spilled)?;
            let bytes = part.get(&**heap).map_err(spilled)?;
            let mut part = None;
            with(&mut |tally| part = tally.unpack(&bytes));
            table.absorb(part.ok_or_else(|| spilled("a piece is damaged".into()))?);
        }
    }
    let table = Arc::new(Mutex::new(table));
    let (to_table, limit) = (table.clone(), keeps.clone());
    let packs = with.clone();
    let take = Arc::new(move |run: &StageRun, n: u64, part: Option<Box<dyn Any + Send>>| {
        let known = part.is_some();
        let mut packed = None;
        if let (Some((notes, heap)), Some(part)) = (&notes, &part) {
            packs(&mut |tally| packed = tally.pack(&**part).map(|bytes| (notes, heap, bytes)));
        }
        if let Some((notes, heap, bytes)) = packed {
            match Kept::put(&**heap, &bytes) {
                Ok(kept) => notes.done(run, n, &Kept::note([kept])),
                Err(source) => run.fail(spilled(source)),
            }
        }
        if let (Some(table), Some(part)) = (to_table.lock().expect("table lock").as_mut(), part) {
            table.absorb(part);
            limit.check(run, table.bytes());
        }
        known
    });
    let (takes, of_results, asked) = (take.clone(), with.clone(), with.clone());
    let hand = Hand {
        tiles: Box::new(move |run, n, region, tiles| {
            let mut part = None;
            with(&mut |tally| part = Some(tally.local(tiles, region)));
            take(run, n, part);
        }),
        kernels: Box::new(move |dtypes, shape| {
            let mut kernels = None;
            asked(&mut |tally| kernels = tally.kernels(dtypes, shape));
            kernels
        }),
        results: Box::new(move |run, n, region, results| {
            let mut part = None;
            of_results(&mut |tally| part = tally.part(results, region));
            takes(run, n, part)
        }),
    };
    run.clone().dispatch(Finish::Hand(hand), Some(pass)).await?;
    if run.shared.meters.is_partial() {
        return Ok(None);
    }
    let table = table.lock().expect("table lock").take().expect("taken once");
    let whole = Region::whole(run.stage.domain.shape);
    let Some(table) = run.on_cpu("table", whole, move |_| table.finish()).await else {
        return Err(run.outcome().expect_err("a worker that gave nothing has failed"));
    };
    table.map(Some).map_err(|refused| keeps.refused(refused))
}

/// Where a piece lies in the heap.
#[derive(Clone, Copy)]
struct Kept {
    at: u64,
    len: u64,
}

impl Kept {
    fn put(heap: &dyn Heap, bytes: &[u8]) -> Result<Self, StoreError> {
        Ok(Self { at: heap.keep(bytes)?, len: bytes.len() as u64 })
    }

    fn get(self, heap: &dyn Heap) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.len as usize).map_err(|_| format!("a piece of {} bytes", self.len))?;
        bytes.resize(self.len as usize, 0);
        heap.read(self.at, &mut bytes)?;
        Ok(bytes)
    }

    /// As the journal keeps it.
    fn note<const N: usize>(pieces: [Self; N]) -> Vec<u8> {
        pieces.iter().flat_map(|kept| [kept.at, kept.len]).flat_map(u64::to_le_bytes).collect()
    }

    fn of_note<const N: usize>(note: &[u8]) -> Result<[Self; N], StoreError> {
        if note.len() != 16 * N {
            return Err(format!("a note of {} bytes instead of {}", note.len(), 16 * N).into());
        }
        let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|b| note[8 * i + b]));
        Ok(std::array::from_fn(|n| Self { at: word(2 * n), len: word(2 * n + 1) }))
    }
}

/// The tiles that are noted, and where their pieces lie.
fn done_before<const N: usize>(
    run: &StageRun,
    notes: &Option<Notes>,
) -> impl Iterator<Item = (Result<[Kept; N], StoreError>, Region)> {
    let noted = |n: usize| notes.as_ref()?.of(n as u64);
    let found = run.tiles.iter().enumerate().filter_map(move |(n, at)| Some((noted(n)?, at.region)));
    found.map(|(note, region)| (Kept::of_note(&note), region))
}

/// Revisits tiles until none changes. `state` holds the values between visits; a tile is read with one voxel around it
/// on each space axis. One tile at a time: neighbours share their faces.
pub(super) async fn propagate(
    run: &Arc<StageRun>,
    op: &Arc<dyn Op>,
    state: (Arc<dyn Sink>, Arc<dyn Source>),
    tile: Shape,
) -> Result<(), RunError> {
    let op = op.clone();
    let whole = Region::whole(run.stage.domain.shape);
    let work = move |run: &StageRun| {
        let Pass::Propagate(step) = op.pass() else { return Ok(()) };
        Visits { run, step, state, grid: Grid::new(whole.shape, tile) }.all()
    };
    if let Some(Err(error)) = run.on_cpu("propagate", whole, work).await {
        run.fail(error);
    }
    run.outcome()
}

struct Visits<'a> {
    run: &'a StageRun,
    step: &'a dyn Propagate,
    state: (Arc<dyn Sink>, Arc<dyn Source>),
    grid: Grid,
}

impl Visits<'_> {
    fn all(&self) -> Result<(), RunError> {
        let mut dirty: BTreeSet<u64> = BTreeSet::new();
        for index in self.grid.iter() {
            let core = self.grid.region(&index);
            let inputs = self.inputs(&core)?;
            let mut data = self.take(&core, self.run.stage.output.dtype)?;
            let mut state =
                TileMut::new(self.run.stage.output.dtype, core.shape.map(|n| n as usize), &mut data);
            self.step.start(&tiles(&inputs), state.reborrow());
            self.keep(&index, &core, &state.as_tile())?;
            dirty.insert(self.grid.linear(&index));
            self.run.shared.meters.tile();
        }
        while let Some(number) = dirty.pop_first() {
            if self.run.shared.hooks.cancel.is_cancelled() {
                return Ok(());
            }
            let index = self.grid.index(number);
            let core = self.grid.region(&index);
            if self.visit(&index, &core)? {
                let around = self.around(&core);
                dirty.extend(
                    self.grid.covering(&around).map(|i| self.grid.linear(&i)).filter(|&n| n != number),
                );
            }
        }
        self.write()
    }

    /// One visit; whether the tile changed.
    fn visit(&self, index: &Shape, core: &Region) -> Result<bool, RunError> {
        let around = self.around(core);
        let inputs = self.inputs(&around)?;
        let mut state = self.read(&self.state.1, &around)?;
        let inner = core.translate(&around.start.map(|s| -s));
        let changed = self.step.relax(&tiles(&inputs), state.tile_mut(), &inner);
        if changed {
            self.keep(index, core, &state.part(core))?;
        }
        Ok(changed)
    }

    fn around(&self, core: &Region) -> Region {
        let domain = &self.run.stage.domain;
        let one = std::array::from_fn(|a| u64::from(domain.axes.space().contains(Axis::ALL[a])));
        core.grow(&Halo::symmetric(one)).clip(&domain.shape)
    }

    fn inputs(&self, region: &Region) -> Result<Vec<Block>, RunError> {
        self.run.feeds.iter().map(|feed| self.read(feed, region)).collect()
    }

    fn take(&self, region: &Region, dtype: Dtype) -> Result<Buffer, RunError> {
        let taken = self.run.shared.pool.take(demand::bytes(region, dtype.size()));
        taken.map_err(|source| RunError::Memory { region: *region, source })
    }

    /// Reads a region of a store, chunk by chunk.
    fn read(&self, from: &Arc<dyn Source>, region: &Region) -> Result<Block, RunError> {
        let dtype = from.meta().dtype;
        let mut out = Block { region: *region, dtype, held: Held::Own(self.take(region, dtype)?) };
        let grid = Grid::new(from.meta().shape, from.chunk());
        for index in grid.covering(region) {
            let place = grid.region(&index);
            let mut data = self.take(&place, dtype)?;
            let shape = place.shape.map(|n| n as usize);
            let bytes = from
                .read(&index, None, TileMut::new(dtype, shape, &mut data))
                .map_err(|source| RunError::Read { region: place, source })?;
            self.run.shared.meters.decoded(place.voxels(), bytes);
            pad::copy_common(&mut out.tile_mut(), region, &Tile::new(dtype, shape, &data), &place);
        }
        Ok(out)
    }

    fn keep(&self, index: &Shape, core: &Region, tile: &Tile<'_>) -> Result<(), RunError> {
        let place = Place { index: *index, order: self.grid.linear(index) };
        self.state.0.write(place, tile).map_err(|source| RunError::Write { region: *core, source })?;
        Ok(())
    }

    /// Copies the state at rest to the output.
    fn write(&self) -> Result<(), RunError> {
        let sink = &self.run.sink;
        let grid = Grid::new(sink.meta().shape, sink.layout().chunk);
        let mut orders = super::group::Orders::new(sink);
        for place in orders.places(&Region::whole(sink.meta().shape)) {
            let region = grid.region(&place.index);
            let block = self.read(&self.state.1, &region)?;
            let written = sink.write(place, &block.tile());
            let bytes = written.map_err(|source| RunError::Write { region, source })?;
            self.run.shared.meters.wrote(bytes);
        }
        let mut groups: Vec<Region> = self.run.tiles.iter().map(|at| at.group).collect();
        groups.dedup();
        for (n, group) in groups.iter().enumerate().filter(|_| !self.run.levels.is_empty()) {
            self.run.levels.number(n as u32, &mut orders);
            let block = self.read(&self.state.1, group)?;
            self.run.levels.add(self.run, 0, group, &block.tile())?;
        }
        Ok(())
    }
}

fn tiles(blocks: &[Block]) -> Vec<Tile<'_>> {
    blocks.iter().map(Block::tile).collect()
}
