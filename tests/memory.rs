//! Memory and reading are planned, and the run keeps to the plan. Measured on the program itself, as its own process,
//! over an image larger than the budget.

use crate::house::voxtile;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use voxtile::{Output, Pipeline};
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{AxisSet, Dtype, Grid, Meta, Shape, TileMut};

const MIB: u64 = 1 << 20;

/// An image that is computed where it is read: blobs over noise, as a microscope makes them, of any size.
struct Made {
    meta: Meta,
    grid: Grid,
}

impl Made {
    fn new(shape: Shape, chunk: Shape) -> Self {
        let meta = Meta::new(shape, AxisSet::parse("zyx").unwrap(), Dtype::U16);
        Self { grid: Grid::new(shape, chunk), meta }
    }
}

impl Source for Made {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.grid.chunk
    }

    fn name(&self) -> String {
        "made".to_owned()
    }

    fn scratch(&self) -> u64 {
        0
    }

    fn read(&self, index: &Shape, _: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let region = self.grid.region(index);
        let [_, _, depth, height, _] = out.shape();
        let mut view = out.view::<u16>();
        for z in 0..depth {
            for y in 0..height {
                let (at_z, at_y) = (region.start[2] as u64 + z as u64, region.start[3] as u64 + y as u64);
                for (x, value) in view.row(0, 0, z, y).iter_mut().enumerate() {
                    let at_x = region.start[4] as u64 + x as u64;
                    let near = [at_z, at_y, at_x].iter().map(|p| (p % 40).abs_diff(20)).sum::<u64>();
                    let mut bits = at_z << 42 | at_y << 21 | at_x;
                    bits = (bits ^ bits >> 31).wrapping_mul(0x94d0_49bb_1331_11eb);
                    *value = 300 + (bits >> 58) as u16 + if near < 12 { 2000 } else { 0 };
                }
            }
        }
        Ok(0)
    }
}

/// 255 MiB of u16 voxels in compressed chunks.
fn large_image(dir: &Path) -> PathBuf {
    let path = dir.join("large.zarr");
    let source = Made::new([1, 1, 320, 640, 652], [1, 1, 64, 64, 64]);
    let output = Output::to(&path).chunk(&[64, 128, 128]).codec("blosc-lz4:1:shuffle".parse().unwrap());
    Pipeline::from_source(Arc::new(source)).memory(256 * MIB).write_to(output).unwrap().run().unwrap();
    path
}

/// What the program says of a run, as JSON.
#[track_caller]
fn run(args: &[&str]) -> Json {
    let done = voxtile(args).args(["--json", "--overwrite"]).output().unwrap();
    assert!(done.status.success(), "voxtile {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[track_caller]
fn number(json: &Json, pointer: &str) -> f64 {
    json.pointer(pointer).and_then(Json::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {json}"))
}

/// Whether this machine can measure a process's peak.
fn measures(report: &Json) -> bool {
    let there = number(report, "/report/peak_rss_bytes") > 0.0;
    if !there {
        crate::house::skipped("this system does not say how much memory a process held");
    }
    there
}

/// Measured ≤ planned ≤ allowed, and reading as planned.
#[track_caller]
fn keeps_to_its_plan(report: &Json, budget_mib: u64, what: &str) {
    let (planned, peak) = (number(report, "/plan/memory_bytes"), number(report, "/report/peak_rss_bytes"));
    let mib = |bytes: f64| format!("{:.1} MiB", bytes / MIB as f64);
    assert!(planned <= (budget_mib * MIB) as f64, "{what}: planned {} of {budget_mib} MiB", mib(planned));
    assert!(peak <= planned, "{what}: measured {}, planned {}", mib(peak), mib(planned));
    let stages = report.pointer("/plan/stages").and_then(Json::as_array).unwrap();
    let read: f64 = stages.iter().map(|s| number(s, "/voxels_decoded") * number(s, "/passes")).sum();
    assert_eq!(number(report, "/report/voxels_decoded"), read, "{what}: voxels decoded, and planned");
    if let [only] = &stages[..] {
        let (planned, measured) =
            (number(only, "/read_amplification"), number(report, "/report/read_amplification"));
        assert_eq!(measured, planned, "{what}: read amplification");
    }
}

#[test]
fn memory_and_reading_are_as_planned() {
    let dir = TempDir::new().unwrap();
    let image = large_image(dir.path());
    let (image, out) = (image.to_str().unwrap(), dir.path().join("out.zarr"));
    let out = out.to_str().unwrap();
    let jobs: [(&[&str], u64); 12] = [
        (&["run", image, out, "gaussian sigma=2"], 128),
        (&["run", image, out, "tophat size=15", "--workers", "1"], 96),
        (
            &["run", image, out, "median size=3 | gaussian sigma=3 | threshold 700", "--tile", "50,200,300"],
            160,
        ),
        (&["run", image, out, "project z method=mean"], 96),
        (&["run", image, out, "transpose xzy"], 128),
        (&["run", image, out, "gaussian 1 | affine 1,0,0,0,0.8,-0.6,0,0.6,0.8 offset=0,200,-120"], 160),
        (&["run", image, out, "resample 0.6 method=cubic | pad 70 border=mirror"], 128),
        (&["run", image, out, "crop 0:64,:,: as a | flip z on=input as b | concat z on=a,input,b"], 128),
        (&["run", image, out, "cumsum z | project z method=median"], 256),
        (&["convert", image, out, "--chunk", "32", "--shard", "64,128,128", "--codec", "zstd:1"], 128),
        (&["convert", image, out, "--chunk", "32", "--shard", "128", "--codec", "zstd:1", "--pyramid"], 96),
        (&["convert", image, out, "--chunk", "32", "--codec", "zstd:1", "--pyramid=gaussian"], 128),
    ];
    for (args, budget) in jobs {
        let memory = format!("{budget}MiB");
        let report = run(&[args, &["--memory", &memory]].concat());
        if measures(&report) {
            keeps_to_its_plan(&report, budget, &args[3..].join(" "));
        }
    }
}

#[test]
fn the_plan_is_the_one_that_runs() {
    let input = crate::house::data("lightsheet.zarr");
    let dir = TempDir::new().unwrap();
    let (input, out) = (input.to_str().unwrap(), dir.path().join("out.zarr"));
    let job = ["gaussian sigma=1 | sobel", "--tile", "7,30,30", "--memory", "64MiB", "--workers", "2"];
    let planned = voxtile(&["plan", input]).args(job).arg("--json").output().unwrap();
    let planned: Json = serde_json::from_slice(&planned.stdout).unwrap();
    let ran = run(&[&["run", input, out.to_str().unwrap()], &job[..]].concat());
    assert_eq!(planned["plan"], ran["plan"]);
}
