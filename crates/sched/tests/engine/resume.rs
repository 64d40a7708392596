//! A run that was stopped and goes on ends as one that was not, and does not do again what was done.

use crate::stores::{Image, JOINS, Memory, MemorySpill};
use crate::toys::{Along, Mix, Shrink, whole};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use voxtile_sched::contract::{Journal, Layout, Op, Place, Sink, Source, StoreError, Unit};
use voxtile_sched::engine::{Graph, Hooks, Input, Level, Options, Plan, Report, RunError};
use voxtile_sched::model::{Axis, Border, Halo, Meta, PerAxis, Shape, Tile, TileMut};

/// A journal in memory, of this part of so many.
#[derive(Default)]
struct Notes {
    known: Mutex<HashMap<Unit, Vec<u8>>>,
    part: Option<(u64, u64)>,
    /// Whether what was noted may be lost, and done again: what was appended behind a gap.
    again: bool,
}

impl Journal for Notes {
    fn noted(&self, unit: Unit) -> Option<Vec<u8>> {
        self.known.lock().unwrap().get(&unit).cloned()
    }
    fn done(&self, unit: Unit, note: &[u8]) -> Result<(), StoreError> {
        let before = self.known.lock().unwrap().insert(unit, note.to_vec());
        assert!(self.again || before.is_none(), "{unit:?} was done twice");
        Ok(())
    }
    fn has_progress(&self) -> bool {
        !self.known.lock().unwrap().is_empty()
    }
    fn owns(&self, unit: Unit, of: u64) -> bool {
        assert!(unit.number < of, "{unit:?} of {of}");
        self.part.is_none_or(|(part, parts)| unit.number * parts / of == part)
    }
}

/// What all sinks of an output share.
#[derive(Default)]
struct Disk {
    /// Writes that succeed before the disk is full.
    room: AtomicU64,
    /// Whether chunks are appended in order: what lies beyond a gap is lost between two runs.
    appends: bool,
    /// Orders that are written.
    orders: Mutex<BTreeMap<u64, (usize, Shape)>>,
}

/// A sink of a run that may be stopped.
struct Stopping {
    number: usize,
    memory: Arc<Memory>,
    disk: Arc<Disk>,
    levels: Vec<Arc<dyn Sink>>,
    ends: Arc<Mutex<Vec<&'static str>>>,
    /// What an earlier run wrote.
    held: HashMap<Shape, u64>,
}

impl Sink for Stopping {
    fn meta(&self) -> &Meta {
        Sink::meta(&*self.memory)
    }
    fn layout(&self) -> &Layout {
        self.memory.layout()
    }
    fn name(&self) -> String {
        "stopping".to_owned()
    }
    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        let room = |n: u64| n.checked_sub(1);
        self.disk.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).map_err(|_| "full")?;
        let before = self.disk.orders.lock().unwrap().insert(place.order, (self.number, place.index));
        if self.memory.layout().shard.is_none() {
            assert!(before.is_none_or(|b| b == (self.number, place.index)), "another order than before");
        }
        self.memory.write(place, data)
    }
    fn levels(&self) -> &[Arc<dyn Sink>] {
        &self.levels
    }
    fn finish(&self) -> Result<(), StoreError> {
        self.ends.lock().unwrap().push("finished");
        Ok(())
    }
    fn abort(&self) {
        self.ends.lock().unwrap().push("aborted");
    }
    fn holds(&self, place: Place) -> bool {
        self.held.get(&place.index) == Some(&place.order)
    }
    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        assert!(self.holds(place));
        self.memory.read(&place.index, None, out)
    }
    fn leave(&self) {
        self.ends.lock().unwrap().push("left");
    }
}

/// An output and its levels, which outlive runs.
struct Output {
    images: Vec<Arc<Memory>>,
    disk: Arc<Disk>,
    ends: Arc<Mutex<Vec<&'static str>>>,
}

impl Output {
    fn new(metas: &[Meta], chunk: Shape, shard: Option<Shape>, appends: bool) -> Self {
        let images = metas.iter().map(|meta| Memory::new(Image::new(meta.clone()), chunk, shard)).collect();
        Self { images, disk: Arc::new(Disk { appends, ..Disk::default() }), ends: Arc::default() }
    }

    /// The sink of one run, which can write so many chunks.
    fn sink(&self, room: u64) -> Arc<dyn Sink> {
        self.disk.room.store(room, Ordering::SeqCst);
        let mut orders = self.disk.orders.lock().unwrap();
        if self.disk.appends {
            let lost = (0..).find(|n| !orders.contains_key(n)).unwrap();
            orders.retain(|order, _| *order < lost);
        }
        let sharded = self.images[0].layout().shard.is_some();
        let one = |number: usize, levels: Vec<Arc<dyn Sink>>| -> Arc<dyn Sink> {
            let memory = self.images[number].clone();
            let written = memory.written.lock().unwrap().clone();
            let held = match sharded {
                true => written.iter().map(|place| (place.index, place.order)).collect(),
                false => orders.iter().filter(|(_, at)| at.0 == number).map(|(o, at)| (at.1, *o)).collect(),
            };
            let (disk, ends) = (self.disk.clone(), self.ends.clone());
            Arc::new(Stopping { number, memory, disk, levels, ends, held })
        };
        let levels = (1..self.images.len()).map(|n| one(n, Vec::new())).collect();
        one(0, levels)
    }
}

fn options(tile: PerAxis<Option<u64>>, workers: usize) -> Options {
    Options { memory: 1 << 30, workers, tile, joins: JOINS, device: None, always: true }
}

/// Runs with a disk that is full after so many chunks, until the output is complete: the reports and errors.
fn to_the_end(
    plan: &Plan,
    sources: &[Arc<dyn Source>],
    output: &Output,
    journal: &Arc<Notes>,
    rooms: &[u64],
) -> (u64, Report) {
    let hooks = Hooks { journal: Some(journal.clone()), ..Hooks::default() };
    let mut failed = 0;
    for room in rooms.iter().copied().chain([u64::MAX]) {
        match plan.run(sources, output.sink(room), &MemorySpill, &hooks) {
            Ok(report) => return (failed, report),
            Err(RunError::Write { .. }) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        let end = if journal.has_progress() { "left" } else { "aborted" };
        assert_eq!(output.ends.lock().unwrap().last(), Some(&end));
    }
    unreachable!("the last run has room")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn stopped_runs_end_as_one_that_was_not(
        shape in proptest::array::uniform3(1u64..30), channels in 1u64..3,
        halves in proptest::collection::vec(proptest::array::uniform3(1u64..3), 0..4),
        around in proptest::array::uniform3(0u64..3),
        chunk in proptest::array::uniform3(1u64..8), shard in proptest::option::of(1u64..3),
        tile in proptest::option::of(proptest::array::uniform3(1u64..14)),
        folded in any::<bool>(), workers in 1usize..4, seed in any::<u64>(), appends in any::<bool>(),
        rooms in proptest::collection::vec(0u64..80, 1..5),
    ) {
        let input = Image::noise([1, channels, shape[0], shape[1], shape[2]], "czyx", seed);
        let op: Arc<dyn Op> = match folded {
            true => Arc::new(Along(Axis::Z)),
            false => Arc::new(Mix { halo: Halo::symmetric([0, 0, 1, 0, 2]), border: Border::Mirror }),
        };
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(op.clone(), &[Input::Source(0)], "step").unwrap();
        let chunk = [1, 1, chunk[0], chunk[1], chunk[2]];
        let shard = shard.filter(|_| !appends).map(|n| [1, 1, n * chunk[2], 2 * chunk[3], n * chunk[4]]);
        let mut metas = vec![graph.output_meta().clone()];
        let mut levels = Vec::new();
        for half in &halves {
            let halo = Halo::symmetric([0, 0, around[0], around[1], around[2]]);
            let op: Arc<dyn Op> = Arc::new(Shrink([1, 1, half[0], half[1], half[2]], halo));
            let meta = op.output(&metas[metas.len() - 1..]).unwrap();
            metas.push(meta.clone());
            levels.push(Level { op, meta, layout: Layout { chunk, shard, scratch: 0, ns_per_voxel: 1.0 } });
        }
        let output = Output::new(&metas, chunk, shard, appends);
        let sources: Vec<Arc<dyn Source>> = vec![Memory::new(input.clone(), [1, 1, 4, 4, 4], None)];
        let tile = tile.map_or([None; 5], |t| [None, None, Some(t[0]), Some(t[1]), Some(t[2])]);
        let layout = output.images[0].layout().clone();
        let plan = Plan::with_levels(graph, &sources, &layout, &levels, &options(tile, workers)).unwrap();
        let journal = Arc::new(Notes { again: appends, ..Notes::default() });
        let (_, report) = to_the_end(&plan, &sources, &output, &journal, &rooms);
        let all: u64 = plan.summary().stages.iter().map(|s| s.tiles).sum();
        prop_assert_eq!(report.tiles + report.tiles_skipped, all);
        let mut want = whole(&op, &[&input]);
        prop_assert_eq!(&output.images[0].image().data, &want.data);
        for (level, image) in levels.iter().zip(&output.images[1..]) {
            want = whole(&level.op, &[&want]);
            prop_assert_eq!(&image.image().data, &want.data);
        }
    }
}

fn blurred(edge: u64) -> (Image, Plan, Vec<Arc<dyn Source>>) {
    let input = Image::noise([1, 1, edge, edge, edge], "zyx", 3);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    let mix = Mix { halo: Halo::symmetric([0, 0, 1, 1, 1]), border: Border::Reflect };
    graph.push(Arc::new(mix), &[Input::Source(0)], "step").unwrap();
    let sources: Vec<Arc<dyn Source>> = vec![Memory::new(input.clone(), [1, 1, 4, 4, 4], None)];
    let layout = Layout { chunk: [1, 1, 4, 4, 4], shard: None, scratch: 0, ns_per_voxel: 1.0 };
    let tile = [None, None, Some(4), Some(4), Some(4)];
    let plan = Plan::new(graph, &sources, &layout, &options(tile, 2)).unwrap();
    (input, plan, sources)
}

#[test]
fn what_is_done_is_not_done_again() {
    let (input, plan, sources) = blurred(40);
    let output = Output::new(&[input.meta], [1, 1, 4, 4, 4], None, false);
    let (failed, report) = to_the_end(&plan, &sources, &output, &Arc::default(), &[900]);
    assert_eq!((failed, report.tiles + report.tiles_skipped), (1, 1000));
    assert!(report.tiles <= 110, "{} tiles again", report.tiles);
    // Nor is what they read.
    assert!(report.chunks_decoded < 500, "{} chunks", report.chunks_decoded);
    assert_eq!(output.images[0].written.lock().unwrap().len(), 1000);
}

#[test]
fn parts_do_each_unit_once_and_the_last_run_ends_it() {
    let (input, plan, sources) = blurred(20);
    let output = Output::new(std::slice::from_ref(&input.meta), [1, 1, 4, 4, 4], None, false);
    let mut all = HashMap::new();
    for part in 0..3 {
        let notes = Arc::new(Notes { part: Some((part, 3)), ..Notes::default() });
        let hooks = Hooks { journal: Some(notes.clone()), ..Hooks::default() };
        let report = plan.run(&sources, output.sink(u64::MAX), &MemorySpill, &hooks).unwrap();
        assert!(report.partial && (40..=43).contains(&report.tiles), "{} tiles", report.tiles);
        all.extend(notes.known.lock().unwrap().drain());
    }
    assert_eq!(*output.ends.lock().unwrap(), ["left"; 3]);
    let notes = Arc::new(Notes { known: Mutex::new(all), ..Notes::default() });
    let hooks = Hooks { journal: Some(notes), ..Hooks::default() };
    let report = plan.run(&sources, output.sink(0), &MemorySpill, &hooks).unwrap();
    assert_eq!((report.tiles, report.tiles_skipped, report.partial), (0, 125, false));
    let op: Arc<dyn Op> = Arc::new(Mix { halo: Halo::symmetric([0, 0, 1, 1, 1]), border: Border::Reflect });
    assert_eq!(output.images[0].image().data, whole(&op, &[&input]).data);
}
