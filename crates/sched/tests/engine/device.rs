//! A device whose memory is a vector: it runs the toys' kernels voxel by voxel, and nothing else.

use crate::stores::{How, Image, JOINS, run, run_on};
use crate::toys::{Cut, Mix, Shrink, whole};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use voxtile_sched::contract::device::{
    Argument, Device, Job, Launch, Place, Program, Ran, Rates, Stopped, Sweep, Work,
};
use voxtile_sched::contract::{DeviceError, Layout, Source, StoreError};
use voxtile_sched::engine::{Graph, Input, Options, Plan, RunError, RunsOn};
use voxtile_sched::model::{Border, Grid, Halo, Meta, NDIM, PerAxis, Shape, TileMut, voxels};

/// The device, and the jobs that it ran.
#[derive(Debug)]
pub(crate) struct Bench {
    memory: u64,
    jobs: AtomicU64,
    copied: AtomicU64,
    /// Fails at the first job.
    broken: bool,
    /// Bytes that it really has.
    room: u64,
    /// Bytes per nanosecond of its memory.
    speed: f64,
}

impl Bench {
    pub(crate) fn new() -> Arc<Self> {
        let none = || AtomicU64::new(0);
        Arc::new(Self {
            memory: 1 << 30,
            jobs: none(),
            copied: none(),
            broken: false,
            room: 1 << 30,
            speed: 4000.0,
        })
    }
}

fn offset(place: &Place, p: PerAxis<i64>) -> usize {
    assert!((0..NDIM).all(|a| p[a] >= 0 && p[a] < place.shape[a] as i64), "{p:?} of {:?}", place.shape);
    place.at as usize + (0..NDIM).map(|a| p[a] as usize * place.strides[a] as usize).sum::<usize>() * 4
}

fn at(memory: &[u8], place: &Place, p: PerAxis<i64>) -> i32 {
    let from = offset(place, p);
    i32::from_ne_bytes(memory[from..from + 4].try_into().unwrap())
}

/// What a kernel makes of the voxel at `p` of what it writes; `None`: it stays as it is.
fn made(launch: &Launch, memory: &[u8], p: PerAxis<i64>) -> Option<i32> {
    let seen = |n: usize| move |q: PerAxis<usize>| at(memory, &launch.from[n], q.map(|v| v as i64));
    let here = p.map(|v| v as usize);
    match (&launch.kernel[..], &launch.arguments[..]) {
        ("copy", []) => Some(at(memory, &launch.from[0], p)),
        ("mix", [halo]) => Some(Mix::of(halo).sum(seen(0), here)),
        ("join", [halo]) => {
            let first = at(memory, &launch.from[0], p).wrapping_mul(31);
            Some(first.wrapping_add(Mix::of(halo).sum(seen(1), here)))
        }
        ("place_4", [Argument::I64s(n), Argument::U64(word), Argument::U32(rule), Argument::U32(one)]) => {
            let [to, from, first, end, image] = [0, 1, 2, 3, 4].map(|k| &n[5 * k..5 * k + 5]);
            let wanted: PerAxis<i64> = std::array::from_fn(|a| to[a] + p[a]);
            let inside = (0..NDIM).all(|a| wanted[a] >= 0 && wanted[a] < image[a]);
            let border = match rule {
                1 => Border::Reflect,
                2 => Border::Constant(0.0),
                3 => Border::Nearest,
                4 => Border::Mirror,
                _ if inside => Border::Nearest,
                _ => return None,
            };
            if *one == 1 && inside {
                return None;
            }
            let mapped: Vec<Option<i64>> =
                (0..NDIM).map(|a| border.map(wanted[a], image[a] as u64)).collect();
            let Some(mapped) = mapped.into_iter().collect::<Option<Vec<i64>>>() else {
                return Some(*word as i32);
            };
            let held = (0..NDIM).all(|a| mapped[a] >= first[a] && mapped[a] < end[a]);
            held.then(|| at(memory, &launch.from[0], std::array::from_fn(|a| mapped[a] - from[a])))
        }
        other => panic!("no kernel {other:?}"),
    }
}

impl Device for Bench {
    fn name(&self) -> &'static str {
        "bench"
    }
    fn has(&self, sweep: &Sweep) -> bool {
        ["mix", "join", "copy"].contains(&&sweep.kernel[..])
    }
    fn ready(&self, _: &Arc<Program>) -> Result<(), DeviceError> {
        Err("the bench compiles nothing".into())
    }
    fn memory(&self) -> u64 {
        self.memory
    }
    fn jobs(&self) -> usize {
        2
    }
    fn host_bytes(&self) -> u64 {
        1 << 20
    }
    fn rates(&self) -> Rates {
        Rates { upload: 50.0, download: 50.0, memory: self.speed, launch_ns: 1.0, pin: 1e6 }
    }
    fn run(&self, job: &Job, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<Ran, Stopped> {
        if self.broken {
            return Err(Stopped::Failed("the bench is broken".into()));
        }
        if job.bytes > self.room {
            return Err(Stopped::NoRoom(format!("{} bytes are too many", job.bytes).into()));
        }
        // What was there before is garbage.
        let mut memory = vec![0x5A; job.bytes as usize];
        self.jobs.fetch_add(1, Relaxed);
        self.copied.fetch_add(job.copied(), Relaxed);
        for (span, input) in job.uploads.iter().zip(inputs) {
            memory[span.at as usize..][..span.len as usize].copy_from_slice(input);
        }
        for work in &job.work {
            let launch = match work {
                Work::Fill(span, byte) => {
                    memory[span.at as usize..][..span.len as usize].fill(*byte);
                    continue;
                }
                Work::Launch(launch) => launch,
            };
            let to = &launch.to[0];
            for index in Grid::new(to.shape, [1; NDIM]).iter() {
                let p = index.map(|n| n as i64);
                if let Some(value) = made(launch, &memory, p) {
                    let to = offset(to, p);
                    memory[to..to + 4].copy_from_slice(&value.to_ne_bytes());
                }
            }
        }
        for (download, output) in job.downloads.iter().zip(outputs) {
            let span = download.span;
            output.copy_from_slice(&memory[span.at as usize..][..span.len as usize]);
        }
        Ok(Ran { written: job.downloads.iter().map(|d| d.span.len).collect(), ..Ran::default() })
    }
}

fn mix(reach: u64, border: Border) -> Arc<Mix> {
    Arc::new(Mix { halo: Halo::symmetric([0, 0, reach, 1, reach]), border })
}

/// Three steps, each padded by another rule.
fn chain(input: &Image) -> (Graph, Image) {
    let mut graph = Graph::new(vec![input.meta.clone()]);
    let mut last = (Input::Source(0), input.clone());
    for (reach, border) in [(1, Border::Mirror), (2, Border::Constant(3.0)), (1, Border::Reflect)] {
        let op = mix(reach, border);
        let made = graph.push(op.clone(), &[last.0], "mix").unwrap();
        last = (made, whole(&(op as Arc<_>), &[&last.1]));
    }
    (graph, last.1)
}

#[test]
fn a_chain_stays_on_the_device_from_its_first_to_its_last_step() {
    let input = Image::noise([1, 1, 9, 10, 11], "zyx", 4);
    let (graph, wanted) = chain(&input);
    let bench = Bench::new();
    let how = How { tile: [None, None, Some(4), Some(4), Some(8)], ..How::default() };
    let (got, report, summary) = run_on(graph, &[input], how, Some(bench.clone())).unwrap();
    assert_eq!(got.samples(), wanted.samples());
    assert_eq!(bench.jobs.load(Relaxed), report.tiles);
    let [stage] = &summary.stages[..] else { panic!("one stage") };
    assert!(matches!(&stage.runs_on, Some(RunsOn::Device { name, tiles: 2, .. }) if name == "bench"));
    // Per tile its input and its result, and nothing in between.
    assert!(bench.copied.load(Relaxed) <= report.tiles * (stage.bytes.input + stage.bytes.output));
}

#[test]
fn a_stage_with_a_step_that_has_no_kernel_is_computed_on_the_cpu() {
    let input = Image::noise([1, 1, 8, 8, 8], "zyx", 4);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    let mixed = graph.push(mix(1, Border::Nearest), &[Input::Source(0)], "mix").unwrap();
    graph.push(Arc::new(Shrink([1, 1, 2, 2, 2], Halo::NONE)), &[mixed], "shrink by two").unwrap();
    let bench = Bench::new();
    let (_, _, summary) = run_on(graph, &[input], How::default(), Some(bench.clone())).unwrap();
    assert_eq!(bench.jobs.load(Relaxed), 0);
    let Some(RunsOn::Cpu { because, .. }) = &summary.stages[0].runs_on else { panic!("{summary:?}") };
    assert_eq!(because, "`shrink by two` has no kernel from i32 to i32");
}

#[test]
fn what_does_not_fit_the_device_or_the_budget_is_computed_on_the_cpu() {
    let input = Image::noise([1, 1, 16, 16, 16], "zyx", 4);
    let because = |memory: u64, how: How| {
        let (graph, wanted) = chain(&input);
        let bench = Arc::new(Bench { memory, ..Arc::into_inner(Bench::new()).unwrap() });
        let (got, _, summary) = run_on(graph, std::slice::from_ref(&input), how, Some(bench)).unwrap();
        assert_eq!(got.samples(), wanted.samples());
        match summary.stages[0].runs_on.clone() {
            Some(RunsOn::Cpu { because, .. }) => because,
            other => panic!("{other:?}"),
        }
    };
    assert!(because(1000, How::default()).contains("of the device's memory"));
    let (graph, _) = chain(&input);
    let least = run(graph, std::slice::from_ref(&input), How::default()).unwrap().1.planned_bytes;
    assert!(because(1 << 30, How { memory: least, ..How::default() }).contains("and the budget leaves"));
}

#[test]
fn a_cut_and_what_follows_it_are_computed_there() {
    let input = Image::noise([1, 1, 8, 9, 10], "zyx", 4);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    let cut: Arc<Cut> = Arc::new(Cut([0, 0, 1, 2, 3]));
    let made = graph.push(cut.clone(), &[Input::Source(0)], "cut").unwrap();
    graph.push(mix(1, Border::Mirror), &[made], "mix").unwrap();
    let wanted = whole(&(mix(1, Border::Mirror) as Arc<_>), &[&whole(&(cut as Arc<_>), &[&input])]);
    let bench = Bench::new();
    let (got, ..) = run_on(graph, &[input], How::default(), Some(bench.clone())).unwrap();
    assert_eq!(got.samples(), wanted.samples());
    assert!(bench.jobs.load(Relaxed) > 0);
}

#[test]
fn a_device_that_fails_ends_the_run_with_its_own_words() {
    let input = Image::noise([1, 1, 8, 8, 8], "zyx", 4);
    let (graph, _) = chain(&input);
    let broken = Arc::new(Bench { broken: true, ..Arc::into_inner(Bench::new()).unwrap() });
    match run_on(graph, &[input], How::default(), Some(broken)).map(|_| ()) {
        Err(RunError::Device { source, .. }) => assert_eq!(source.to_string(), "the bench is broken"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tile_that_is_too_large_is_computed_in_parts_as_planned() {
    let input = Image::noise([1, 1, 16, 16, 16], "zyx", 4);
    let how = How { tile: [None, None, Some(16), Some(16), Some(16)], ..How::default() };
    let (graph, wanted) = chain(&input);
    let bench = Arc::new(Bench { memory: 40_000, room: 40_000, ..Arc::into_inner(Bench::new()).unwrap() });
    let (got, report, summary) = run_on(graph, &[input], how, Some(bench.clone())).unwrap();
    assert_eq!(got.samples(), wanted.samples());
    match &summary.stages[0].runs_on {
        Some(RunsOn::Device { parts, tile_bytes, bytes, .. }) => {
            assert!(*parts > 1 && *tile_bytes <= 40_000 && *bytes <= 40_000, "{summary}");
            // Parts at the edges of the image may have been small enough before.
            let jobs = bench.jobs.load(Relaxed);
            assert!(jobs > report.tiles && jobs <= report.tiles * parts, "{jobs}: {summary}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_that_others_have_taken_meanwhile_makes_parts_too() {
    let input = Image::noise([1, 1, 16, 16, 16], "zyx", 4);
    for how in [How::default(), How { tile: [None, None, Some(7), Some(16), Some(16)], ..How::default() }] {
        let (graph, wanted) = chain(&input);
        // The plan sees more than there is.
        let bench = Arc::new(Bench { room: 20_000, ..Arc::into_inner(Bench::new()).unwrap() });
        let (got, report, _) = run_on(graph, std::slice::from_ref(&input), how, Some(bench.clone())).unwrap();
        assert_eq!(got.samples(), wanted.samples());
        assert!(bench.jobs.load(Relaxed) > report.tiles);
    }
    let (graph, _) = chain(&input);
    let none = Arc::new(Bench { room: 100, ..Arc::into_inner(Bench::new()).unwrap() });
    match run_on(graph, &[input], How::default(), Some(none)).map(|_| ()) {
        Err(RunError::Device { source, .. }) => assert!(source.to_string().contains("too many"), "{source}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_device_is_taken_where_it_is_expected_to_be_faster() {
    let input = Image::noise([1, 1, 16, 16, 16], "zyx", 4);
    let placed = |speed: f64, always: bool| {
        let (graph, _) = chain(&input);
        let bench = Arc::new(Bench { speed, ..Arc::into_inner(Bench::new()).unwrap() });
        let how = How { always, ..How::default() };
        let (_, _, summary) = run_on(graph, std::slice::from_ref(&input), how, Some(bench)).unwrap();
        (summary.stages[0].runs_on.clone(), summary.stages[0].seconds)
    };
    let (Some(RunsOn::Device { cpu_seconds, .. }), seconds) = placed(4000.0, false) else { panic!("fast") };
    assert!(seconds < cpu_seconds, "{seconds} {cpu_seconds}");
    let (Some(RunsOn::Cpu { because, device_seconds }), seconds) = placed(1e-6, false) else {
        panic!("slow")
    };
    assert!(device_seconds > Some(seconds) && because.starts_with("bench would take"), "{because}");
    // Whoever asks for it gets it.
    let (Some(RunsOn::Device { cpu_seconds, .. }), seconds) = placed(1e-6, true) else { panic!("asked for") };
    assert!(seconds > cpu_seconds);
}

/// An image that nobody holds.
struct Vast(Meta);

impl Source for Vast {
    fn meta(&self) -> &Meta {
        &self.0
    }
    fn chunk(&self) -> Shape {
        [1, 1, 128, 128, 128]
    }
    fn name(&self) -> String {
        "vast".to_owned()
    }
    fn scratch(&self) -> u64 {
        0
    }
    fn read(&self, _: &Shape, _: Option<Vec<u8>>, _: TileMut<'_>) -> Result<u64, StoreError> {
        unreachable!("only planned")
    }
}

#[test]
fn a_volume_of_64_gib_fits_4_gib_of_the_device() {
    let meta = Image::noise([1, 1, 1, 1, 1], "zyx", 0).meta;
    let meta = Meta { shape: [1, 1, 2048, 2048, 4096], ..meta };
    assert_eq!(voxels(&meta.shape) * 4, 64 << 30);
    let mut graph = Graph::new(vec![meta.clone()]);
    let mut last = Input::Source(0);
    for _ in 0..3 {
        last = graph.push(mix(4, Border::Reflect), &[last], "mix").unwrap();
    }
    let sources: Vec<Arc<dyn Source>> = vec![Arc::new(Vast(meta))];
    let layout = Layout { chunk: [1, 1, 128, 128, 128], shard: None, scratch: 0, ns_per_voxel: 1.0 };
    let bench = Arc::new(Bench { memory: 4 << 30, ..Arc::into_inner(Bench::new()).unwrap() });
    let (memory, workers) = (16 << 30, 8);
    let options =
        Options { memory, workers, tile: [None; 5], joins: JOINS, device: Some(bench), always: true };
    let summary = Plan::new(graph, &sources, &layout, &options).unwrap().summary();
    for stage in &summary.stages {
        let Some(RunsOn::Device { bytes, .. }) = &stage.runs_on else { panic!("{summary}") };
        assert!(*bytes <= 4 << 30, "{summary}");
    }
    assert!(summary.memory_bytes <= 16 << 30);
}

#[test]
fn small_planes_go_to_the_device_together() {
    let input = Image::noise([64, 1, 1, 16, 16], "tyx", 4);
    let mut graph = Graph::new(vec![input.meta.clone()]);
    graph.push(mix(1, Border::Reflect), &[Input::Source(0)], "mix").unwrap();
    let bench = Bench::new();
    let how = How { read_chunk: [1, 1, 1, 16, 16], write_chunk: [1, 1, 1, 16, 16], ..How::default() };
    let (got, ..) = run_on(graph, std::slice::from_ref(&input), how, Some(bench.clone())).unwrap();
    assert_eq!(got.samples(), whole(&(mix(1, Border::Reflect) as Arc<_>), &[&input]).samples());
    assert!(bench.jobs.load(Relaxed) <= 8, "{} jobs", bench.jobs.load(Relaxed));
}
