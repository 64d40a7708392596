//! `plan --save`, `work` and `finish`: one plan, done in parts by several processes.
//!
//! A saved plan holds the words of a `run` and what that run would be a run of; `work` and `finish` plan anew from the words,
//! and refuse to go on if anything has changed.

use super::{Done, Failure, Outcome, print, print_json, run};
use crate::args::{self, Cli, Command, Finish, Global, Plan, Run, Work};
use crate::{progress, report, text};
use clap::Parser;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use voxtile::{Error, Output, Pipeline, Report};
use voxtile_io::{Header, WholeFile};

/// What the file of a plan says of itself.
const FORMAT: &str = "voxtile plan 1";

/// Where a job array says which of its jobs this is: the variable, and the one that holds the first number, if that need not
/// be 0.
const INDICES: [(&str, Option<&str>); 3] = [
    ("SLURM_ARRAY_TASK_ID", Some("SLURM_ARRAY_TASK_MIN")),
    ("JOB_COMPLETION_INDEX", None),
    ("AWS_BATCH_JOB_ARRAY_INDEX", None),
];

/// Plans, and writes the plan to a file.
pub(super) fn save(args: &Plan, (output, file): (&Path, &Path), global: Global) -> Done {
    let recipe = args.recipe.recipe()?;
    // Processes may run elsewhere.
    let absolute = |path: &Path| {
        let failed = |source| Failure::File { action: "find", path: path.to_path_buf(), source };
        std::path::absolute(path).map_err(failed)
    };
    let (input, output) = (absolute(&args.input)?, absolute(output)?);
    let pipeline = run::pipeline(&input, recipe.clone(), &args.read, &args.write, &args.engine)?;
    let pipeline = pipeline.write_to(args.write.apply(Output::to(&output)))?;
    let memory = args.engine.limits.memory();
    let workers = args.engine.limits.workers();
    let plan = pipeline.memory(memory).workers(workers).part(0, 1).plan()?;
    let recipe = recipe.to_string();
    let mut words = vec!["run".to_owned(), input.display().to_string(), output.display().to_string(), recipe];
    words.extend(args.read.words());
    words.extend(args.write.words());
    words.extend(args.engine.words(memory, workers));
    let saved = json!({ "format": FORMAT, "words": words, "plan": plan.identity(), "rounds": plan.rounds() });
    let text = format!("{saved:#}\n");
    WholeFile::new(file, args.write.overwrite).write(text.as_bytes())?;
    if global.json {
        print_json(&saved)?;
    } else if !global.quiet {
        let rounds = match plan.rounds() {
            0 | 1 => String::new(),
            n => format!("; its parts may run in {n} rounds"),
        };
        print(&format!("{plan}\n"))?;
        report::say(&format!("{}: {}{rounds}", file.display(), output.display()));
    }
    Ok(Outcome::Done)
}

pub(super) fn work(args: &Work, global: Global) -> Done {
    let (part, parts) = match (args.part, args.parts) {
        (Some(part), _) => part,
        (None, Some(parts)) => (index(parts)?, parts),
        (None, None) => (0, 1),
    };
    let saved = Saved::read(&args.plan)?;
    let pipeline = saved.pipeline()?.part(part, parts).break_lock(args.break_lock);
    let report = saved.run(pipeline, global)?;
    let done = match (report.tiles, report.tiles_skipped) {
        (0, _) => "nothing was left of it".to_owned(),
        (_, 0) => text::counted(report.tiles, "tile"),
        (tiles, before) => {
            format!("{} ({} were done before)", text::counted(tiles, "tile"), text::count(before))
        }
    };
    said(&report, &format!("part {part}/{parts} of {}: {done}", saved.output.display()), global)
}

pub(super) fn finish(args: &Finish, global: Global) -> Done {
    let saved = Saved::read(&args.plan)?;
    let pipeline = saved.pipeline()?.resume(true).break_lock(args.break_lock);
    let report = saved.run(pipeline, global)?;
    let done = match report.tiles {
        0 => "complete".to_owned(),
        tiles => format!("complete; {} had been left", text::counted(tiles, "tile")),
    };
    said(&report, &format!("{}: {done}", saved.output.display()), global)
}

fn said(report: &Report, line: &str, global: Global) -> Done {
    if global.json {
        print_json(&json!({ "report": report }))?;
    } else if !global.quiet {
        report::say(line);
    }
    Ok(Outcome::Done)
}

/// Which part this job of a job array does.
fn index(parts: u32) -> Result<u32, Failure> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let found = INDICES.iter().find_map(|(name, first)| {
        let first = first.and_then(number).unwrap_or(0);
        Some((*name, number(name)?.checked_sub(first)?))
    });
    match found {
        Some((_, part)) if part < parts => Ok(part),
        Some((name, part)) => Err(Failure::PartIndex { name, part, parts }),
        None => Err(Failure::NoPart),
    }
}

/// A plan from a file.
struct Saved {
    run: Run,
    output: PathBuf,
    plan: Value,
}

impl Saved {
    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read_to_string(path);
        let text =
            bytes.map_err(|source| Failure::File { action: "read", path: path.to_path_buf(), source })?;
        let none = || Failure::NoPlan { path: path.to_path_buf() };
        let mut saved: Value = serde_json::from_str(&text).map_err(|_| none())?;
        if saved["format"] != FORMAT {
            return Err(none());
        }
        let words: Vec<String> = serde_json::from_value(saved["words"].take()).map_err(|_| none())?;
        let words = std::iter::once("voxtile".to_owned()).chain(words);
        let Ok(Cli { command: Command::Run(run), .. }) = Cli::try_parse_from(words) else {
            return Err(none());
        };
        Ok(Self { output: run.output.clone(), run, plan: saved["plan"].take() })
    }

    fn pipeline(&self) -> Result<Pipeline, Failure> {
        let args::Run { input, recipe, read, write, engine, .. } = &self.run;
        let pipeline = run::pipeline(input, recipe.recipe()?, read, write, engine)?;
        Ok(pipeline.write_to(write.apply(Output::to(&self.output)))?)
    }

    /// Runs what is still the plan that was saved.
    fn run(&self, pipeline: Pipeline, global: Global) -> Result<Report, Failure> {
        let bar = progress::bar(global);
        let shown = bar.clone();
        let pipeline = pipeline.cancel_with(progress::token()).progress(move |p| progress::show(&shown, p));
        let plan = pipeline.plan()?;
        let saved = Header { plan: self.plan.clone(), with: Value::Null };
        saved.check(plan.identity(), &self.output).map_err(Error::from)?;
        progress::listen();
        let report = plan.run();
        bar.finish_and_clear();
        Ok(report?)
    }
}
