//! `demo`: the main job on a real image that comes with the program.

use super::run::last_line;
use super::{Done, Failure, Outcome, print, print_json};
use crate::args::{Demo, Global};
use crate::progress::interrupt;
use crate::{picture, text};
use ndarray::ArrayD;
use serde_json::json;
use std::path::Path;
use voxtile::op::voxels;
use voxtile::{Output, Pipeline, Report};

/// Fluorescence microscopy of nuclei; origin and licence in `demo/README.md`.
const IMAGE: &[u8] = include_bytes!("../demo/nuclei.tif");
/// The main job: smooth the noise, then keep what is brighter than a value.
const MAIN: &str = "gaussian sigma=2 | threshold value=35";
/// Takes the background away: keeps what is smaller than 41 pixels.
const FLATTEN: &str = "tophat size=41";
/// Pixels of a second run of the main job, to show that tiles leave no trace.
const SMALL_TILE: u64 = 50;

pub(super) fn demo(args: &Demo, global: Global) -> Done {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
    let [input, mask, flat, look] =
        ["nuclei.tif", "mask.ome.zarr", "flat.ome.zarr", "look.png"].map(|name| dir.join(name));
    let output = |path: &Path| Output::to(path).overwrite(args.overwrite).chunk(&[128]);
    if !args.overwrite && input.exists() {
        return Err(voxtile::error::IoError::Exists { path: input }.into());
    }

    std::fs::write(&input, IMAGE).map_err(failed("write", &input))?;
    let run = |recipe: &str, path: &Path| -> Result<Report, Failure> {
        let pipeline = Pipeline::open(&input)?.step(recipe).cancel_with(interrupt());
        Ok(pipeline.write_to(output(path))?.run()?)
    };
    let main = run(MAIN, &mask)?;
    let flatten = run(FLATTEN, &flat)?;

    let image: ArrayD<u16> = Pipeline::open(&input)?.collect()?;
    let made: ArrayD<u8> = Pipeline::open(&mask)?.collect()?;
    let flattened: ArrayD<u16> = Pipeline::open(&flat)?.collect()?;
    let again: ArrayD<u8> = Pipeline::open(&input)?.step(MAIN).tile(&[SMALL_TILE]).collect()?;
    let same = made == again;
    picture::write(
        &look,
        &[picture::gray(&image), picture::outlined(&image, &made), picture::gray(&flattened)],
    )
    .map_err(failed("write", &look))?;

    if global.json {
        let steps = [("mask", MAIN, &mask, main), ("flat", FLATTEN, &flat, flatten)];
        let runs: Vec<_> = steps
            .map(|(name, recipe, path, report)| {
                json!({ "name": name, "recipe": recipe, "output": path.display().to_string(), "report": report })
            })
            .into();
        print_json(&json!({ "input": input.display().to_string(), "png": look.display().to_string(),
            "runs": runs, "small_tiles_equal": same }))?;
    } else if !global.quiet {
        print(&story(dir, &image, &made, &main, &flatten, same))?;
    }
    Ok(if same { Outcome::Done } else { Outcome::Damaged })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_path_buf();
    move |source| Failure::File { action, path, source }
}

/// What was done, in plain words.
fn story(
    dir: &Path,
    image: &ArrayD<u16>,
    mask: &ArrayD<u8>,
    main: &Report,
    flatten: &Report,
    same: bool,
) -> String {
    let pixels = image.len() as u64;
    let inside = mask.iter().filter(|&&m| m != 0).count() as f64 / pixels as f64;
    let sizes: Vec<u64> = image.shape().iter().map(|&n| n as u64).collect();
    let took = |report: &Report| last_line(report, voxels(&[1, 1, 1, sizes[0], sizes[1]]));
    let equal = if same { "exactly the same result" } else { "ANOTHER RESULT: please report this bug" };
    format!(
        "\
{dir}/nuclei.tif is a microscope image of cell nuclei, {size} pixels of 16 bit.

1. '{MAIN}' made {dir}/mask.ome.zarr
   The Gaussian smooths the noise, the threshold keeps what is brighter than 35: {percent:.0} % of the pixels.
   {main}

2. '{FLATTEN}' made {dir}/flat.ome.zarr
   The background is gone; what is narrower than 41 pixels stays.
   {flatten}

{dir}/look.png shows all three: the image, the outlines of the mask, the image without background.

Images are computed in tiles, so that they may be larger than memory. Tiles leave no seam: the first job, run again
in tiles of {SMALL_TILE} × {SMALL_TILE} pixels, gave {equal} ({pixels} pixels compared).

Try next:
  voxtile info {dir}/nuclei.tif --stats
  voxtile plan {dir}/nuclei.tif '{MAIN}'
  voxtile run {dir}/nuclei.tif {dir}/edges.tif 'gaussian sigma=1 | sobel'
  voxtile run {dir}/nuclei.tif {dir}/nuclei.csv '{MAIN} | label min-size=20 | measure intensity=input'
  voxtile verify {dir}/mask.ome.zarr
  voxtile ops
",
        dir = dir.display(),
        size = text::sizes(&sizes),
        percent = inside * 100.0,
        main = took(main),
        flatten = took(flatten),
        pixels = text::count(pixels),
    )
}
