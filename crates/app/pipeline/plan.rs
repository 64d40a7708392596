//! A planned run.

use super::before::Before;
use super::copy::{Copied, Level as CopiedLevel};
use super::kept::Kept;
use super::table::{Measuring, NoImage, Subject, named};
use crate::damage::{Mended, OnDamage, Skipping};
use crate::identity::{self, About};
use crate::watched::{OfUnchanged, Watched};
use crate::{Error, Report, Summary};
use serde_json::json;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{Header, OutputOptions, Remote, SpillDir, TableOptions, Url, Work, WorkOptions};
use voxtile_sched::contract::{Journal as _, Layout, Sink, Source};
use voxtile_sched::engine::{self, Graph, Hooks, Level, Options, RunError};
use voxtile_sched::model::{Meta, Shape};

/// A planned run: what it will do, and what it will take. Displays as text for people.
#[must_use = "a plan does nothing until it is run"]
pub struct Plan {
    plan: engine::Plan,
    sources: Vec<Arc<dyn Source>>,
    layout: Layout,
    /// Smaller versions that are written with the result.
    levels: Vec<Meta>,
    target: Target,
    hooks: Hooks,
    /// Levels of the input that are copied before.
    copied: Vec<Copied>,
    /// What follows when the result is written.
    pub(super) measuring: Option<Measuring>,
    /// Damage that the run is to survive, and how.
    pub(super) on_damage: Option<(Arc<Mended>, OnDamage)>,
    /// The files of the input, as they were.
    pub(super) watched: Option<Watched>,
    /// What the output records of itself.
    pub(super) made: Option<String>,
    /// What is kept beside the output, so that a later run can go on.
    keeping: Option<Keeping>,
}

/// What a run keeps beside its output.
struct Keeping {
    output: PathBuf,
    remote: Remote,
    header: Header,
    options: WorkOptions,
    /// Whether an earlier run of the same plan did all there is to do.
    done: bool,
}

/// Where a run writes.
struct Stores {
    sink: Arc<dyn Sink>,
    spill: SpillDir,
    work: Option<Kept>,
}

/// Where the result goes.
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
pub(super) enum Target {
    Nowhere,
    Image(OutputOptions),
    Sink(Arc<dyn Sink>),
    /// A table of the image at a path, which may be asked for without a place.
    Table {
        place: Option<TableOptions>,
        image: Option<Subject>,
    },
}

impl Plan {
    pub(super) fn new(
        graph: Graph,
        source: Arc<dyn Source>,
        (layout, levels): (Layout, Vec<Level>),
        options: &Options,
        target: Target,
        hooks: Hooks,
    ) -> Result<Self, Error> {
        let sources = vec![source];
        let plan = engine::Plan::with_levels(graph, &sources, &layout, &levels, options)?;
        let levels = levels.into_iter().map(|level| level.meta).collect();
        Ok(Self {
            plan,
            sources,
            layout,
            levels,
            target,
            hooks,
            copied: Vec::new(),
            measuring: None,
            on_damage: None,
            watched: None,
            made: None,
            keeping: None,
        })
    }

    /// Stages, tiles, bytes and time, as data.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.plan.summary()
    }

    /// Whether all of the input is read at once.
    pub(super) fn is_at_once(&self) -> bool {
        self.plan.is_at_once()
    }

    /// Whether the result is a table.
    #[must_use]
    pub fn makes_table(&self) -> bool {
        self.plan.graph().makes_table()
    }

    /// Shape, axes, sample type and physical size of the result; of a table, of the image that it is about.
    #[must_use]
    pub fn result(&self) -> &Meta {
        self.plan.graph().output_meta()
    }

    /// The plan with what a later run has to know of it, if its output has a place. Refuses a plan that is not the one that is
    /// complete there.
    pub(super) fn kept(
        self,
        output: Option<(PathBuf, Remote)>,
        about: &About,
        options: &Options,
        before: &Before,
        work: WorkOptions,
    ) -> Result<Self, Error> {
        let Some((output, remote)) = output else { return Ok(self) };
        let (written, overwrite) = match &self.target {
            Target::Image(options) => (identity::of_output(options, &self.levels), options.overwrite),
            Target::Table { place, .. } => {
                (json!("table"), place.as_ref().is_some_and(TableOptions::overwrites))
            }
            Target::Nowhere | Target::Sink(_) => return Ok(self),
        };
        let mut plan = identity::of_plan(about, &written, &self.plan);
        if !self.copied.is_empty() {
            plan["copied"] = self.copied.iter().map(Copied::cut).collect();
        }
        if let Some(done) = &before.done {
            done.check(&plan, &output)?;
        }
        let with = json!({ "memory": options.memory, "workers": options.workers });
        let options = WorkOptions { overwrite, ..work };
        let done = before.done.is_some();
        let keeping = Keeping { output, remote, header: Header { plan, with }, options, done };
        Ok(Self { keeping: Some(keeping), ..self })
    }

    /// Runs the plan, and returns when the output is complete.
    ///
    /// # Errors
    /// [`Error::NoOutput`], [`Error::Io`] if the output cannot be made, [`Error::Run`] for what happens on the way.
    pub fn run(self) -> Result<Report, Error> {
        if let Some(report) = self.done_before() {
            return Ok(report);
        }
        let stores = self.stores()?;
        let Stores { sink, spill, work } = &stores;
        let hooks = self.hooks_with(work.as_ref());
        let result = match (work, self.copies(&stores, &hooks)) {
            (_, Err(error)) => Err(error),
            (Some(work), _) if work.is_finished() => Ok(self.plan.nothing_left()),
            (_, Ok(copied)) => {
                let report = self.plan.run(&self.sources, sink.clone(), spill, &hooks);
                report.map(|report| with(report, copied))
            }
        };
        self.conclude(result, stores.work)
    }

    /// As [`run`](Self::run), for async code on a tokio runtime: the work happens on threads of its own, the future
    /// only waits.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_async(self) -> Result<Report, Error> {
        if let Some(report) = self.done_before() {
            return Ok(report);
        }
        let stores = self.stores()?;
        let Stores { sink, spill, work } = &stores;
        let hooks = self.hooks_with(work.as_ref());
        let result = match (work, self.copies(&stores, &hooks)) {
            (_, Err(error)) => Err(error),
            (Some(work), _) if work.is_finished() => Ok(self.plan.nothing_left()),
            (_, Ok(copied)) => {
                let report = self.plan.run_async(&self.sources, sink.clone(), spill, &hooks).await;
                report.map(|report| with(report, copied))
            }
        };
        self.conclude(result, stores.work)
    }

    /// Also copies levels of the input.
    pub(super) fn copy(&mut self, levels: Vec<CopiedLevel>, options: &Options) -> Result<(), Error> {
        if !levels.is_empty() {
            self.copied = levels.into_iter().map(|level| level.planned(options)).collect::<Result<_, _>>()?;
            self.levels = self.copied.iter().map(|level| level.meta().clone()).collect();
        }
        Ok(())
    }

    /// Copies levels of the input; if one fails, what is left of the output is as for any run.
    fn copies(&self, stores: &Stores, hooks: &Hooks) -> Result<Vec<Report>, RunError> {
        let Stores { sink, spill, work } = stores;
        let levels = (0..).zip(self.copied.iter().zip(sink.levels()));
        let copied: Result<Vec<Report>, RunError> =
            levels.map(|(n, (level, to))| level.run(n, to.clone(), spill, hooks)).collect();
        if copied.is_err() {
            let left = work.as_ref().is_some_and(Kept::has_progress);
            if left { sink.leave() } else { sink.abort() }
        }
        copied
    }

    /// How many times the parts of the work have to run, one after the other, until nothing is left but to put an end to it.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.plan.rounds()
    }

    /// What a later run compares before it goes on; `Null` where the output has no place.
    #[must_use]
    pub fn identity(&self) -> &serde_json::Value {
        const NONE: &serde_json::Value = &serde_json::Value::Null;
        self.keeping.as_ref().map_or(NONE, |keeping| &keeping.header.plan)
    }

    /// What is reported where an earlier run did all there is to do.
    fn done_before(&self) -> Option<Report> {
        let keeping = self.keeping.as_ref().filter(|keeping| keeping.done)?;
        if Url::of(&keeping.output).is_ok_and(|url| url.is_none()) {
            Work::tidy(&keeping.output);
        }
        Some(self.plan.nothing_left())
    }

    fn hooks_with(&self, work: Option<&Kept>) -> Hooks {
        let journal = work.map(Kept::journal);
        Hooks { journal, ..self.hooks.clone() }
    }

    /// Ends a run: with what follows when the result is written, or with what is kept for a later one.
    fn conclude(self, result: Result<Report, RunError>, work: Option<Kept>) -> Result<Report, Error> {
        let report = match (result, &work) {
            (Ok(report), _) => report,
            (Err(error), work) => {
                // The first error counts.
                match work {
                    Some(work) if work.has_progress() && !error.is_final() => drop(work.leave()),
                    Some(work) => self.nothing_stays(work),
                    None => {}
                }
                return Err(self.explained(error));
            }
        };
        let Some(work) = work else { return self.follow(report, None) };
        if report.partial {
            work.leave()?;
            return Ok(report);
        }
        let mark = self.keeping.as_ref().filter(|k| k.options.resume || k.options.mark);
        let mark = mark.map(|keeping| keeping.header.clone());
        // A table is made of the notes: only when it is at its place they are needed no more.
        let report = if self.makes_table() {
            let report = if work.is_finished() { report } else { self.follow(report, work.here())? };
            work.finished()?;
            report
        } else {
            work.finished()?;
            self.follow(report, work.here())?
        };
        work.end(mark.as_ref())?;
        Ok(report)
    }

    /// Removes what an output took that does not come to be. Nothing can be done about what stays.
    fn nothing_stays(&self, work: &Kept) {
        let _ = work.end(None);
        if let Target::Image(options) = &self.target {
            options.abandon();
        }
    }

    /// What went wrong; or how the input was changed, where that may be why.
    fn explained(&self, error: RunError) -> Error {
        let input = self.watched.as_ref().filter(|_| matches!(error, RunError::Read { .. }));
        input.and_then(|input| input.check().err()).map_or_else(|| error.into(), Error::from)
    }

    /// Writes the table, or makes the one that follows.
    fn follow(mut self, mut report: Report, work: Option<&Arc<Work>>) -> Result<Report, Error> {
        if let Target::Table { place, image } = &self.target {
            let table = named(report.table.take().unwrap_or_default(), image.as_ref())?;
            if let Some(place) = place {
                place.write(&table, work)?;
            }
            report.table = Some(table);
        }
        if let Some(measuring) = self.measuring.take() {
            report.table = measuring.run(&self.hooks, work)?.table;
        }
        if let Some((mended, _)) = &self.on_damage {
            report.damaged = mended.damaged();
        }
        Ok(report)
    }

    /// Shape of the unit that is written at once.
    pub(super) fn chunk(&self) -> Shape {
        self.layout.chunk
    }

    /// Runs the plan into a sink that is cut as the plan says.
    pub(super) fn run_into(self, sink: Arc<dyn Sink>) -> Result<Report, Error> {
        Self { target: Target::Sink(sink), keeping: None, ..self }.run()
    }

    /// Makes the output, and the place for what is kept between stages: beside the output, where space was meant to
    /// be used.
    fn stores(&self) -> Result<Stores, Error> {
        let work = self.keeping.as_ref();
        let work =
            work.map(|k| Kept::open(&k.output, &k.remote, &k.header, k.options)).transpose()?.flatten();
        let here = work.as_ref().and_then(Kept::here);
        let spill = match here {
            Some(work) => SpillDir::kept(work.clone()),
            None => SpillDir::new(self.beside()),
        };
        let sink = match &self.target {
            Target::Nowhere => return Err(Error::NoOutput),
            Target::Image(_) if work.as_ref().is_some_and(Kept::is_finished) => {
                NoImage::sink(self.result(), &self.layout)
            }
            Target::Image(options) => {
                let meta = self.described();
                let made = match &work {
                    Some(Kept::Elsewhere(work)) => {
                        options.create_remote(&meta, &self.levels, work.has_progress())
                    }
                    _ => options.create_kept(&meta, &self.levels, here),
                };
                match made {
                    Ok(sink) => self.skipping(sink),
                    Err(error) => {
                        // Nothing was begun by this run; what an earlier one noted stays.
                        if let Some(work) = work.as_ref().filter(|work| !work.has_progress()) {
                            self.nothing_stays(work);
                        }
                        return Err(error.into());
                    }
                }
            }
            Target::Table { .. } => NoImage::sink(self.result(), &self.layout),
            Target::Sink(sink) => self.skipping(sink.clone()),
        };
        let sink = match &self.watched {
            Some(input) => Arc::new(OfUnchanged { sink, input: input.clone() }),
            None => sink,
        };
        Ok(Stores { sink, spill, work })
    }

    /// The result, with the record of how it was made.
    fn described(&self) -> Meta {
        Meta { made: self.made.clone(), ..self.result().clone() }
    }

    /// Where a run that keeps nothing puts what it needs between stages.
    fn beside(&self) -> PathBuf {
        match &self.target {
            Target::Image(options) if Url::of(&options.path).is_ok_and(|url| url.is_none()) => {
                // Nothing is put into the image that a label image belongs to.
                let beside = match &options.about.labels_of {
                    Some(_) => options.path.ancestors().nth(2).unwrap_or(&options.path),
                    None => &options.path,
                };
                parent(beside)
            }
            _ => std::env::temp_dir(),
        }
    }

    /// The sink, or one that leaves out what damage has spoilt.
    fn skipping(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        match &self.on_damage {
            Some((mended, OnDamage::Skip)) => {
                Arc::new(Skipping::new(sink, mended.clone(), self.plan.reach()))
            }
            _ => sink,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

/// The report of an image and of the levels that were copied before.
fn with(mut report: Report, copied: Vec<Report>) -> Report {
    for level in copied {
        report.bytes_read += level.bytes_read;
        report.bytes_written += level.bytes_written;
        report.seconds += level.seconds;
        report.tiles += level.tiles;
    }
    report
}

/// The directory of a path.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
