//! `run`, `convert` and `plan`.

use super::{Done, Failure, Outcome, keep, many, print, print_json};
use crate::args::{Convert, EngineArgs, Global, Plan, ReadArgs, Run, WriteArgs};
use crate::{progress, report, text};
use serde_json::json;
use std::path::Path;
use voxtile::op::voxels;
use voxtile::{DamagedChunk, Error, Images, Output, Pipeline, Recipe, Report, Screen, Traffic};
use voxtile_io::Url;
use voxtile_io::plate::Plate;
use voxtile_sched::dispatch;
use voxtile_sched::model::Element as _;

pub(super) fn run(args: &Run, global: Global) -> Done {
    let recipe = args.recipe.recipe()?;
    if let (Images::Many(images), plate) = images(&args.input, &args.read)? {
        let (output, table) = (args.output.as_path(), args.table.as_deref());
        let (read, write, engine) = (&args.read, &args.write, &args.engine);
        return many::run(&images, &many::Job { recipe, output, table, read, write, engine, global, plate });
    }
    let mut pipeline = pipeline(&args.input, recipe, &args.read, &args.write, &args.engine)?;
    if let Some(table) = &args.table {
        pipeline = pipeline.table(table);
    }
    process(pipeline, &args.input, &args.output, &args.write, global)
}

pub(super) fn convert(args: &Convert, global: Global) -> Done {
    if args.recursive {
        return super::recursive::convert(args, global);
    }
    if args.change.keep_jpeg {
        return keep::keep(args, global);
    }
    let recipe = changes(args)?;
    if let (Images::Many(images), plate) = images(&args.input, &args.read)? {
        let (output, table) = (args.output.as_path(), None);
        let (read, write, engine) = (&args.read, &args.write, &args.engine);
        return many::run(&images, &many::Job { recipe, output, table, read, write, engine, global, plate });
    }
    let pipeline = pipeline(&args.input, recipe, &args.read, &args.write, &args.engine)?;
    process(pipeline, &args.input, &args.output, &args.write, global)
}

/// The steps that the options of `convert` stand for.
fn changes(args: &Convert) -> Result<Recipe, Failure> {
    let mut steps = Vec::new();
    steps.extend(args.change.crop.as_ref().map(|ranges| format!("crop ranges={ranges}")));
    if let (Some((low, high)), Some(dtype)) = (args.change.range, args.write.dtype) {
        let ends = dispatch!(dtype, T => (T::LOWEST.to_f64(), T::HIGHEST.to_f64()));
        let (least, most) = if dtype.is_float() { (0.0, 1.0) } else { ends };
        steps.push(format!("rescale in={low},{high} out={least},{most} dtype={dtype}"));
        if dtype.is_float() {
            steps.push("clamp min=0 max=1".to_owned());
        }
    }
    if steps.is_empty() {
        return Ok(Recipe::default());
    }
    Ok(Recipe::parse(&steps.join(" | ")).map_err(Error::from)?)
}

pub(super) fn plan(args: &Plan, global: Global) -> Done {
    let recipe = args.recipe.recipe()?;
    let one = |input: &Path| -> Result<voxtile::Plan, Failure> {
        let pipeline = pipeline(input, recipe.clone(), &args.read, &args.write, &args.engine)?;
        Ok(pipeline.write_to(args.write.apply(Output::nowhere()))?.plan()?)
    };
    let images = match args.read.images(&args.input)? {
        Images::One(input) => {
            let plan = one(&input)?;
            match global.json {
                true => print_json(&json!({ "plan": plan.summary() }))?,
                false => print(&format!("{plan}\n"))?,
            }
            return Ok(Outcome::Done);
        }
        Images::Many(images) => images,
    };
    many::each(&images, global, |image| {
        let plan = one(image)?;
        Ok((json!({ "plan": plan.summary() }), format!("{plan}\n")))
    })
}

/// What an input names, and the plate that it is.
fn images(input: &Path, read: &ReadArgs) -> Result<(Images, Option<Plate>), Failure> {
    Ok(match Screen::of(input, &super::remote())? {
        Some(Screen { plate, images }) => (Images::Many(images), Some(plate)),
        // Asked once is enough.
        None if Url::of(input)?.is_some() => (Images::One(input.to_path_buf()), None),
        None => (read.images(input)?, None),
    })
}

/// The pipeline of the command line, without its output.
pub(super) fn pipeline(
    input: &Path,
    recipe: Recipe,
    read: &ReadArgs,
    write: &WriteArgs,
    engine: &EngineArgs,
) -> Result<Pipeline, Failure> {
    let pipeline = Pipeline::open_with(input, &read.options())?.recipe(recipe);
    let pipeline = write.keep(engine.apply(pipeline));
    Ok(match write.dtype {
        Some(dtype) => pipeline.dtype(dtype),
        None => pipeline,
    })
}

/// Runs a pipeline, shows how far it is, and says what was done.
fn process(pipeline: Pipeline, input: &Path, output: &Path, write: &WriteArgs, global: Global) -> Done {
    let bar = progress::bar(global);
    let shown = bar.clone();
    let in_voxels = voxels(&pipeline.meta().shape);
    let plan = pipeline
        .write_to(write.apply(Output::to(output)))?
        .cancel_with(progress::token())
        .progress(move |p| progress::show(&shown, p))
        .plan()?;
    let summary = plan.summary();
    if global.verbose > 0 {
        report::say(&format!("{plan}"));
    }
    let result = plan.result().clone();
    let makes_table = plan.makes_table();
    progress::listen();
    let report = plan.run();
    bar.finish_and_clear();
    let report = report?;
    if global.json {
        print_json(&json!({ "plan": summary, "report": report, "remote": traffic() }))?;
    } else if !global.quiet {
        let sizes = text::sizes(&result.dims());
        let (from, to) = (input.display(), output.display());
        let rows = report.table.as_ref().map(|table| text::counted(table.rows() as u64, "row"));
        let what = match &rows {
            Some(rows) if makes_table => rows.clone(),
            Some(rows) => format!("{sizes} {}, a table of {rows}", result.dtype),
            None => format!("{sizes} {}", result.dtype),
        };
        report::say(&format!("{from} → {to}: {what}, {}", last_line(&report, in_voxels)));
    }
    if report.damaged.is_empty() {
        return Ok(Outcome::Done);
    }
    if !global.json {
        report::say(&damage(&report.damaged, input));
    }
    Ok(Outcome::Damaged)
}

/// The chunks that a run went on without.
pub(super) fn damage(chunks: &[DamagedChunk], input: &Path) -> String {
    let count = text::counted(chunks.len() as u64, "chunk");
    let verb = if chunks.len() == 1 { "was" } else { "were" };
    let mut out = format!("{count} of {} {verb} damaged:", input.display());
    for DamagedChunk { chunk, region, problem } in chunks {
        out += &format!("\n  `{chunk}`, voxels {region}: {problem}");
    }
    out
}

/// What went over the network, if something did.
pub(super) fn traffic() -> Option<Traffic> {
    Some(super::remote().traffic()).filter(|traffic| traffic.requests > 0)
}

/// The same, for the end of a line.
pub(super) fn traffic_line() -> String {
    let Some(Traffic { requests, retries, bytes_read, bytes_written }) = traffic() else {
        return String::new();
    };
    let (received, sent) = (text::bytes(bytes_read), text::bytes(bytes_written));
    let repeated = if retries > 0 { format!(" ({} repeated)", text::count(retries)) } else { String::new() };
    format!(", {}{repeated}: {received} received, {sent} sent", text::counted(requests, "request"))
}

fn tiles(report: &Report) -> String {
    let tiles = text::counted(report.tiles, "tile");
    match report.tiles_skipped {
        0 => tiles,
        done => format!("{tiles} ({} were done before)", text::count(done)),
    }
}

/// What a run took, in one line.
pub(super) fn last_line(report: &Report, in_voxels: u64) -> String {
    if report.tiles == 0 && report.tiles_skipped > 0 {
        return "nothing was left to do".to_owned();
    }
    let speed = in_voxels as f64 / report.seconds.max(1e-9) / 1e6;
    let mut line = format!(
        "{} in {} ({speed:.0} Mvoxel/s), read {}, wrote {}, every voxel decoded {:.2}×",
        tiles(report),
        text::seconds(report.seconds),
        text::bytes(report.bytes_read),
        text::bytes(report.bytes_written),
        report.read_amplification,
    );
    if report.peak_rss_bytes > 0 {
        let (peak, planned) = (text::bytes(report.peak_rss_bytes), text::bytes(report.planned_bytes));
        line += &format!(", memory {peak} of {planned} planned");
        if report.object_bytes >= 1 << 20 {
            line += &format!(" and {} of objects", text::bytes(report.object_bytes));
        }
    }
    line += &traffic_line();
    line
}
