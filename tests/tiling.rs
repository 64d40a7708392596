//! The result does not depend on tiles, workers or memory, nor on where a chain is cut.

use crate::house::{TILES, collect, data, digest, from_memory, last, read};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use voxtile::error::{PlanError, RunError};
use voxtile::{Error, OpenOptions, Output, Pipeline, Pyramid, Recipe, Reduction};
use voxtile_kernels::ops::TABLE;
use voxtile_kernels::testing::{Fill, Float, Image, meta, steps};
use voxtile_sched::model::Dtype;

/// An image and a recipe with several stages' worth of neighbourhoods.
const JOBS: [(&str, &str); 6] = [
    ("lightsheet.zarr", "median size=3 | gaussian sigma=1.5,2,2.5 | tophat size=9 border=mirror"),
    ("tissue.tif", "gray | sobel"),
    (
        "tissue.tif",
        "tissue factor=5 as t | normalize-stain on=input | stain macenko beta=0.05 | channel 0 as h | mask on=h,t",
    ),
    (
        "lightsheet.zarr",
        "crop 2:14,8:40,10:50 | resample 0.7,1.3,1 | affine 0.9,0.1,-0.2,0,0.8,0.3,0.2,-0.3,1 | pad 5,9,40 border=constant cval=3",
    ),
    (
        "five.ome.zarr",
        "flip x | project z method=focus as q | transpose yxz on=input | transpose xzy | project z method=focus as p | stack z on=p,q | rotate90",
    ),
    ("five.ome.zarr", "gaussian sigma=1 as g | dilate size=4 on=g | threshold 90"),
];

fn open(image: &str, recipe: &str) -> Pipeline {
    Pipeline::open(data(image)).unwrap().recipe(Recipe::parse(recipe).unwrap())
}

/// Bytes of the smallest plan that works.
fn smallest(pipeline: Pipeline) -> u64 {
    match pipeline.memory(1).plan() {
        Err(Error::Plan(PlanError::Budget { smallest, .. })) => smallest,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("planned within one byte"),
    }
}

#[test]
fn ten_tiles_two_worker_counts_three_budgets_one_result() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.zarr");
    for (image, recipe) in JOBS {
        let whole = collect(|| open(image, recipe).workers(1)).0;
        let (want, rank) = (digest(&whole), whole.meta().axes.len());
        for tile in TILES {
            for workers in [1, 2] {
                let make = || open(image, recipe).tile(last(tile, rank)).workers(workers);
                let least = smallest(make());
                for memory in [least, least + (8 << 20), 1 << 30] {
                    let output = Output::to(&out).overwrite(true);
                    make().memory(memory).write_to(output).unwrap().run().unwrap();
                    let got = digest(&read(&out));
                    assert_eq!(got, want, "`{recipe}`: tile {tile:?}, {workers} workers, {memory} bytes");
                }
            }
        }
    }
}

#[test]
fn levels_do_not_depend_on_tiles_workers_or_memory() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.zarr");
    let level = |level| {
        let options = OpenOptions { level, ..OpenOptions::default() };
        digest(&collect(|| Pipeline::open_with(&out, &options).unwrap()).0)
    };
    for (image, recipe, reduction, count) in [
        ("lightsheet.zarr", "gaussian sigma=1", Reduction::Mean, 4),
        ("lightsheet.zarr", "gaussian sigma=1", Reduction::Gaussian, 4),
        ("tissue.tif", "median 3", Reduction::Gaussian, 5),
    ] {
        let mut want: Option<Vec<String>> = None;
        for tile in TILES {
            for workers in [1, 2] {
                let place = || {
                    let pyramid = Pyramid::new().reduction(reduction).factor(&[2]).until(8);
                    Output::to(&out).chunk(&[4, 16, 16]).shard(&[8, 32, 16]).overwrite(true).pyramid(pyramid)
                };
                let make = || {
                    let pipeline = open(image, recipe);
                    let rank = pipeline.meta().axes.len();
                    pipeline.tile(last(tile, rank)).workers(workers).write_to(place()).unwrap()
                };
                let least = smallest(make());
                for memory in [least, 1 << 30] {
                    make().memory(memory).run().unwrap();
                    let got: Vec<String> = (0..count).map(level).collect();
                    assert_eq!(
                        want.get_or_insert(got.clone()),
                        &got,
                        "`{recipe}`: {tile:?}, {workers}, {memory}"
                    );
                }
            }
        }
    }
}

/// All files below a folder, with their bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                let name = entry.strip_prefix(dir).unwrap().display().to_string();
                out.insert(name, std::fs::read(&entry).unwrap());
            }
        }
    }
    out
}

#[test]
fn the_same_plan_writes_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let out = dir.path().join(name);
        let pyramid = Pyramid::new().factor(&[1, 2, 2]).until(16);
        let output = Output::to(&out).chunk(&[5, 16, 16]).shard(&[10, 32, 48]).pyramid(pyramid);
        let pipeline = open("lightsheet.zarr", "gaussian sigma=1").tile(&[3, 20, 20]).workers(2);
        pipeline.write_to(output).unwrap().run().unwrap();
        files(&out)
    };
    let first = write("a.zarr");
    assert!(first.len() > 12, "{:?}", first.keys());
    for n in 0..5 {
        assert!(write(&format!("{n}.zarr")) == first, "run {n} wrote other bytes");
    }
    let write = |name: &str| {
        let out = dir.path().join(name);
        let output = Output::to(&out).chunk(&[16, 16]).pyramid(Pyramid::new().until(16));
        let pipeline = open("lightsheet.tif", "gaussian sigma=1").tile(&[3, 20, 20]).workers(2);
        pipeline.write_to(output).unwrap().run().unwrap();
        std::fs::read(out).unwrap()
    };
    let first = write("a.tif");
    for n in 0..5 {
        assert!(write(&format!("{n}.tif")) == first, "run {n} wrote other bytes");
    }
}

#[test]
fn a_chain_equals_its_steps_through_files() {
    let dir = tempfile::tempdir().unwrap();
    let chains = JOBS.iter().enumerate().filter(|(_, (_, recipe))| !recipe.contains(" on="));
    for (job, (image, recipe)) in chains {
        let whole = digest(&collect(|| open(image, recipe)).0);
        let mut at = data(image);
        for (n, step) in recipe.split('|').enumerate() {
            let next = dir.path().join(format!("{job}-{n}.zarr"));
            Pipeline::open(&at).unwrap().step(step).write(&next).unwrap().run().unwrap();
            at = next;
        }
        assert_eq!(digest(&read(&at)), whole, "`{recipe}`");
    }
}

/// A step of the table that reads one image, with its example's arguments where those fit small images.
pub(crate) fn step() -> impl Strategy<Value = String> {
    // Some need an axis that these images lack, or colours that noise has not.
    let suits = |name| !["frame", "normalize-stain"].contains(&name);
    let single: Vec<_> =
        TABLE.iter().filter(|s| s.inputs == 1 && !s.makes_table() && suits(s.name)).collect();
    (0..single.len(), 1u64..6, 0usize..5).prop_map(move |(n, size, border)| {
        let spec = single[n];
        let takes = |name: &str| spec.params.iter().any(|p| p.name == name);
        let text = match spec.name {
            "crop" => format!("crop {}:,1:", size.min(3)),
            "threshold" if size % 2 == 0 => spec.example.to_owned(),
            "threshold" => {
                let method = ["gaussian", "mean", "sauvola"][size as usize / 2];
                format!("threshold local method={method} size={}", size + 1)
            }
            "project" => {
                let method = ["max", "mean", "std", "median", "argmax", "focus"][size as usize];
                format!("project z method={method}")
            }
            // Each box has a histogram.
            "clahe" => format!("clahe size={}", 4 + size),
            "pad" => format!("pad before={size} after=0,{}", 3 * size),
            "affine" | "resample" if size % 2 == 0 => format!("{} method=nearest", spec.example),
            _ if takes("size") => format!("{} size={size}", spec.name),
            _ if takes("sigmas") => format!("{} sigmas=0.{size},1", spec.name),
            _ if takes("radius") => format!("{} radius={}", spec.name, 2 * size),
            _ if takes("sigma") => format!("{} sigma=0.{size}", spec.name),
            _ => spec.example.to_owned(),
        };
        if takes("border") {
            format!("{text} border={}", voxtile_sched::model::Border::NAMES[border])
        } else {
            text
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_global_rejects: 4000, ..ProptestConfig::default() })]
    #[test]
    fn a_random_chain_equals_its_steps_on_the_whole_image(
        sizes in (1u64..8, 1u64..24, 1u64..30), dtype in 0..Dtype::ALL.len(), fill in 0usize..3, seed in any::<u64>(),
        chain in proptest::collection::vec(step(), 1..5), tile in (1u64..9, 1u64..20, 1u64..20),
        chunk in (1u64..5, 1u64..12, 1u64..12), workers in 1usize..4,
    ) {
        let fill = [Fill::Noise, Fill::Extremes, Fill::Few][fill];
        let image = Image::filled(meta("czyx", &[3, sizes.0, sizes.1, sizes.2], Dtype::ALL[dtype]), fill, seed);
        let text = chain.join(" | ");
        let recipe = Recipe::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let make = || from_memory(&image, [1, 1, chunk.0, chunk.1, chunk.2]).recipe(recipe.clone()).workers(workers);
        // A chain may ask for what is not there, as an axis that an earlier step folded.
        let plan = make().plan();
        prop_assume!(plan.is_ok());
        let rank = plan.unwrap().result().axes.len();
        let (got, _) = collect(|| make().tile(last(&[tile.0, tile.1, tile.2], rank)));
        got.assert_same(&steps(&text, &image), Float::Exact, || format!("`{text}`"));
    }
}

/// Objects are not in the plan: where they do not fit the run says so; it never waits for memory that nobody gives back.
#[test]
fn merges_and_tables_end_within_the_smallest_budget() {
    const RECIPES: [&str; 5] = [
        "threshold 900 | label",
        "threshold 900 | label | keep \"area > 5\"",
        "threshold 900 | label | measure intensity=input",
        "max 3 as g | threshold 900 on=input | label | measure intensity=g",
        "gaussian 1 | markers min-distance=3",
    ];
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.zarr");
    for recipe in RECIPES {
        for tile in TILES {
            for workers in [1, 2] {
                let make = || open("lightsheet.tif", recipe).tile(last(tile, 3)).workers(workers);
                let table = recipe.contains("measure");
                let run = |memory| {
                    let place = if table { Output::nowhere() } else { Output::to(&out).overwrite(true) };
                    make().memory(memory).write_to(place).unwrap().run()
                };
                let Err(Error::Plan(PlanError::Budget { smallest, .. })) = run(1) else {
                    panic!("`{recipe}` was planned within one byte")
                };
                let run_in = run(smallest);
                assert!(
                    matches!(run_in, Ok(_) | Err(Error::Run(RunError::Objects { .. }))),
                    "`{recipe}`: tile {tile:?}, {workers} workers: {:?}",
                    run_in.err()
                );
            }
        }
    }
}
