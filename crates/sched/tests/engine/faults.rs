//! What a run does when something goes wrong, and what a plan refuses.

use crate::stores::{How, Image, JOINS, Memory, MemorySpill, run};
use crate::toys::Mix;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use voxtile_sched::contract::{Fetch, Footprint, Layout, Op, Place, Refused, Sink, Source, StoreError};
use voxtile_sched::engine::{Cancel, Graph, Hooks, Input, Options, Plan, PlanError, RunError};
use voxtile_sched::model::{Border, Halo, Meta, Shape, Tile, TileMut};

fn mix(radius: u64) -> Arc<Mix> {
    Arc::new(Mix { halo: Halo::symmetric([0, 0, radius, radius, radius]), border: Border::Reflect })
}

fn options(memory: u64) -> Options {
    Options { memory, workers: 2, tile: [None; 5], joins: JOINS, device: None, always: true }
}

/// A sink that counts, and fails at its third chunk if told to.
struct Watched {
    meta: Meta,
    layout: Layout,
    fail: bool,
    written: AtomicU64,
    finished: AtomicBool,
    aborted: AtomicBool,
}

impl Watched {
    fn new(meta: Meta, fail: bool) -> Arc<Self> {
        Arc::new(Self {
            meta,
            layout: Layout { chunk: [1, 1, 4, 4, 4], shard: None, scratch: 0, ns_per_voxel: 1.0 },
            fail,
            written: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
        })
    }

    fn ends(&self) -> (bool, bool) {
        (self.finished.load(Ordering::SeqCst), self.aborted.load(Ordering::SeqCst))
    }
}

impl Sink for Watched {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn name(&self) -> String {
        "watched".to_owned()
    }
    fn write(&self, _: Place, _: &Tile<'_>) -> Result<u64, StoreError> {
        assert_eq!(self.ends(), (false, false), "a write after the end");
        if self.written.fetch_add(1, Ordering::SeqCst) == 2 && self.fail {
            return Err("the disk is full".into());
        }
        Ok(1)
    }
    fn finish(&self) -> Result<(), StoreError> {
        self.finished.store(true, Ordering::SeqCst);
        Ok(())
    }
    fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
    }
}

fn try_run(op: Arc<dyn Op>, fail: bool, hooks: &Hooks) -> (Result<(), RunError>, Arc<Watched>) {
    let input = Image::noise([1, 1, 12, 12, 12], "zyx", 1);
    let source: Arc<dyn Source> = Memory::new(input.clone(), [1, 1, 4, 4, 4], None);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    graph.push(op, &[Input::Source(0)], "step").unwrap();
    let sink = Watched::new(graph.output_meta().clone(), fail);
    let plan = Plan::new(graph, std::slice::from_ref(&source), sink.layout(), &options(1 << 30)).unwrap();
    let result = plan.run(&[source], sink.clone(), &MemorySpill, hooks).map(|_| ());
    (result, sink)
}

#[test]
fn a_good_run_finishes_once_and_does_not_abort() {
    let (result, sink) = try_run(mix(1), false, &Hooks::default());
    result.unwrap();
    assert_eq!(sink.ends(), (true, false));
}

#[test]
fn a_failed_write_aborts_and_names_the_place() {
    let (result, sink) = try_run(mix(1), true, &Hooks::default());
    let error = result.unwrap_err();
    assert!(
        matches!(&error, RunError::Write { source, .. } if source.to_string() == "the disk is full"),
        "{error}"
    );
    assert_eq!(sink.ends(), (false, true));
}

#[test]
fn a_cancelled_run_says_how_far_it_came() {
    let cancel = Cancel::new();
    cancel.cancel();
    let hooks = Hooks { cancel, ..Hooks::default() };
    let (result, sink) = try_run(mix(1), false, &hooks);
    assert!(matches!(result, Err(RunError::Cancelled { done: 0, total: 1.. })), "{result:?}");
    assert_eq!(sink.ends(), (false, true));
}

/// An operation that takes longer than anybody waits.
struct Slow(Cancel);

impl Op for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        self.0.cancel();
        std::thread::sleep(std::time::Duration::from_secs(600));
    }
}

#[test]
fn a_cancelled_run_does_not_wait_for_a_long_tile() {
    let hooks = Hooks::default();
    let started = std::time::Instant::now();
    let (result, sink) = try_run(Arc::new(Slow(hooks.cancel.clone())), false, &hooks);
    assert!(matches!(result, Err(RunError::Cancelled { done: 0, .. })), "{result:?}");
    assert!(started.elapsed().as_secs() < 60);
    assert_eq!(sink.ends(), (false, true));
}

/// An operation with a bug.
struct Broken;

impl Op for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Point
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        panic!("a bug");
    }
}

#[test]
fn a_panic_in_a_kernel_ends_the_run_cleanly() {
    let (result, sink) = try_run(Arc::new(Broken), false, &Hooks::default());
    assert!(matches!(&result, Err(RunError::Panicked { message, .. }) if message == "a bug"), "{result:?}");
    assert_eq!(sink.ends(), (false, true));
}

#[test]
fn a_budget_too_small_says_the_smallest_that_works() {
    let input = Image::noise([1, 1, 64, 64, 64], "zyx", 1);
    let source: Arc<dyn Source> = Memory::new(input.clone(), [1, 1, 64, 64, 64], None);
    let make = |memory| {
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(mix(9), &[Input::Source(0)], "mix").unwrap();
        let layout = Layout { chunk: [1, 1, 32, 32, 32], shard: None, scratch: 0, ns_per_voxel: 1.0 };
        Plan::new(graph, std::slice::from_ref(&source), &layout, &options(memory))
    };
    let Err(PlanError::Budget { step, smallest, allowed, .. }) = make(1 << 20) else { panic!("no refusal") };
    assert_eq!((step.as_str(), allowed), ("mix", 1 << 20));
    let plan = make(smallest).expect("the smallest budget that it named");
    assert!(plan.memory_bytes() <= smallest);
    assert!(make(smallest - (1 << 20)).is_err());
}

#[test]
fn the_smallest_budget_runs_to_its_end() {
    let input = Image::noise([1, 1, 40, 48, 56], "zyx", 1);
    for (chunk, tile) in [(16, None), (32, Some(16)), (32, Some(7)), (8, Some(24))] {
        let read_chunk = [1, 1, 16, 16, 16];
        let make = || {
            let mut graph = Graph::new(vec![input.meta.clone()]);
            let first = graph.push(mix(2), &[Input::Source(0)], "mix").unwrap();
            graph.push(mix(1), &[first], "mix").unwrap();
            graph
        };
        let write_chunk = [1, 1, chunk, chunk, chunk];
        let tile = [None, None, tile, tile, tile];
        let layout = Layout { chunk: write_chunk, shard: None, scratch: 0, ns_per_voxel: 1.0 };
        let source: Arc<dyn Source> = Memory::new(input.clone(), read_chunk, None);
        let refused = Plan::new(
            make(),
            &[source],
            &layout,
            &Options { memory: 1, workers: 2, tile, joins: JOINS, device: None, always: true },
        );
        let Err(PlanError::Budget { smallest, .. }) = refused else { panic!("no refusal") };
        let how = How { read_chunk, write_chunk, tile, memory: smallest, ..How::default() };
        let tight = run(make(), std::slice::from_ref(&input), how).unwrap().0;
        let roomy = run(make(), std::slice::from_ref(&input), How::default()).unwrap().0;
        assert_eq!(tight, roomy);
    }
}

#[test]
fn a_smaller_budget_gives_the_same_image() {
    let input = Image::noise([1, 1, 20, 24, 28], "zyx", 1);
    let images: Vec<Image> = [1u64 << 30, 27 << 20, 25 << 20]
        .into_iter()
        .map(|memory| {
            let mut graph = Graph::new(vec![input.meta.clone()]);
            let first = graph.push(mix(2), &[Input::Source(0)], "mix").unwrap();
            graph.push(mix(1), &[first], "mix").unwrap();
            run(graph, std::slice::from_ref(&input), How { memory, ..How::default() }).unwrap().0
        })
        .collect();
    assert!(images.windows(2).all(|w| w[0] == w[1]));
}

/// A source whose chunks have to be waited for, as from an object store.
struct Remote(Arc<Memory>);

impl Source for Remote {
    fn meta(&self) -> &Meta {
        Source::meta(&*self.0)
    }
    fn chunk(&self) -> Shape {
        self.0.chunk()
    }
    fn name(&self) -> String {
        "remote".to_owned()
    }
    fn scratch(&self) -> u64 {
        0
    }
    fn fetch(&self, index: &Shape) -> Fetch<'_> {
        let far = index.iter().sum::<u64>() as u8;
        Fetch::Wait(Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(u64::from(far % 3))).await;
            Ok(vec![far])
        }))
    }
    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, out: TileMut<'_>) -> Result<u64, StoreError> {
        assert_eq!(fetched, Some(vec![index.iter().sum::<u64>() as u8]), "what was fetched for this chunk");
        self.0.read(index, None, out)
    }
}

#[test]
fn chunks_that_must_be_waited_for_arrive() {
    let input = Image::noise([1, 1, 12, 12, 12], "zyx", 1);
    let memory = Memory::new(input.clone(), [1, 1, 4, 4, 4], None);
    let want = crate::toys::whole(&(mix(1) as Arc<dyn Op>), &[&input]);
    let source: Arc<dyn Source> = Arc::new(Remote(memory));
    let mut graph = Graph::new(vec![input.meta.clone()]);
    graph.push(mix(1), &[Input::Source(0)], "mix").unwrap();
    let sink = Memory::new(Image::new(input.meta.clone()), [1, 1, 4, 4, 4], None);
    let plan = Plan::new(graph, std::slice::from_ref(&source), sink.layout(), &options(1 << 30)).unwrap();
    plan.run(&[source], sink.clone(), &MemorySpill, &Hooks::default()).unwrap();
    assert_eq!(sink.image().samples(), want.samples());
}

/// An image that nobody can hold.
struct Endless(Meta);

impl Source for Endless {
    fn meta(&self) -> &Meta {
        &self.0
    }
    fn chunk(&self) -> Shape {
        [1, 1, 1, 8, 8]
    }
    fn name(&self) -> String {
        "endless".to_owned()
    }
    fn scratch(&self) -> u64 {
        0
    }
    fn read(&self, _: &Shape, _: Option<Vec<u8>>, _: TileMut<'_>) -> Result<u64, StoreError> {
        unreachable!("planning reads nothing")
    }
}

#[test]
fn a_plan_that_is_too_large_to_hold_is_refused_with_its_numbers() {
    let plan = |edge: u64, memory: u64| {
        let mut meta = Image::noise([1, 1, 1, 2, 2], "yx", 1).meta;
        meta.shape = [1, 1, 1, edge, edge];
        let mut graph = Graph::new(vec![meta.clone()]);
        graph.push(mix(1), &[Input::Source(0)], "mix").unwrap();
        let layout = Layout { chunk: [1, 1, 1, 8, 8], shard: None, scratch: 0, ns_per_voxel: 1.0 };
        let tile = [None, None, None, Some(8), Some(8)];
        let source: Arc<dyn Source> = Arc::new(Endless(meta));
        Plan::new(
            graph,
            &[source],
            &layout,
            &Options { memory, workers: 2, tile, joins: JOINS, device: None, always: true },
        )
    };
    assert!(plan(800, 1 << 30).is_ok());
    let Err(PlanError::TooLarge { tiles, reads, most }) = plan(1_000_000, 1 << 30).map(|_| ()) else {
        panic!("a plan of 15 625 million tiles")
    };
    assert_eq!(tiles, 125_000 * 125_000);
    assert!(reads > most && reads <= 9 * tiles, "{reads} reads");
    // The list itself counts: 9 reads of each of 62 500 chunks take 18 MiB beside the 24 of the process.
    let fits = plan(2000, 64 << 20).unwrap();
    assert!(fits.memory_bytes() <= 64 << 20, "{} bytes", fits.memory_bytes());
    let Err(PlanError::TooLarge { reads, most, .. }) = plan(2000, 40 << 20).map(|_| ()) else {
        panic!("a list that is longer than the memory")
    };
    assert!(most < reads && reads == 9 * 62_500, "{most} of {reads}");
}

/// An operation that asks for far more than there is, for tiles of more than so many voxels, once it is told to.
struct Greedy {
    most: AtomicU64,
    small: AtomicU64,
}

impl Op for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }
    fn footprint(&self, _: usize) -> Footprint {
        Footprint::radius([0, 0, 1, 1, 1])
    }
    fn scratch(&self, output: &Shape) -> u64 {
        if output.iter().product::<u64>() > self.most.load(Ordering::SeqCst) { 1 << 50 } else { 0 }
    }
    fn ns_per_voxel(&self) -> f64 {
        1.0
    }
    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _: &mut [u8]) {
        self.small.fetch_add(1, Ordering::SeqCst);
        let mix = Mix { halo: Halo::symmetric([0, 0, 1, 1, 1]), border: Border::Reflect };
        let mut scratch = vec![0; output.shape()[4] * 4];
        mix.cpu(inputs, output, &mut scratch);
    }
}

#[test]
fn a_tile_without_memory_is_computed_in_parts_with_the_same_bits() {
    let input = Image::noise([1, 1, 12, 12, 12], "zyx", 3);
    let source: Arc<dyn Source> = Memory::new(input.clone(), [1, 1, 4, 4, 4], None);
    let result = |greedy: Arc<Greedy>, most: u64| {
        let mut graph = Graph::new(vec![input.meta.clone()]);
        graph.push(greedy.clone(), &[Input::Source(0)], "greedy").unwrap();
        let sink = Memory::new(Image::new(graph.output_meta().clone()), [1, 1, 6, 12, 12], None);
        let how = Options { tile: [None, None, Some(6), Some(12), Some(12)], ..options(1 << 30) };
        let plan = Plan::new(graph, std::slice::from_ref(&source), sink.layout(), &how).unwrap();
        // What is planned is one thing, what the machine has by then another.
        greedy.most.store(most, Ordering::SeqCst);
        let done = plan.run(std::slice::from_ref(&source), sink.clone(), &MemorySpill, &Hooks::default());
        done.map(|_| sink.image().data)
    };
    let greedy = || Arc::new(Greedy { most: AtomicU64::new(u64::MAX), small: AtomicU64::new(0) });
    let want = result(greedy(), u64::MAX).unwrap();
    let parts = greedy();
    assert!(result(parts.clone(), 100).unwrap() == want);
    assert!(parts.small.load(Ordering::SeqCst) >= 16, "{:?}", parts.small);
    // Where not even a part finds memory, the run ends with the place.
    let error = result(greedy(), 0).unwrap_err();
    assert!(matches!(error, RunError::Memory { .. }), "{error}");
}
