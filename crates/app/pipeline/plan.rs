//! A planned run.

use super::copy::Copied;
use super::table::{Measuring, NoImage, named};
use crate::damage::{Mended, OnDamage, Skipping};
use crate::{Error, Report, Summary};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{OutputOptions, SpillDir, TableOptions};
use voxtile_sched::contract::{Layout, Sink, Source};
use voxtile_sched::engine::{self, Graph, Hooks, Level, Options};
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
    /// Levels of the input that are copied before, and with what means.
    copied: Option<(Vec<Copied>, Options)>,
    /// What follows when the result is written.
    pub(super) measuring: Option<Measuring>,
    /// Damage that the run is to survive, and how.
    pub(super) on_damage: Option<(Arc<Mended>, OnDamage)>,
    /// What the output records of itself.
    pub(super) made: Option<String>,
}

/// Where the result goes.
pub(super) enum Target {
    Nowhere,
    Image(OutputOptions),
    Sink(Arc<dyn Sink>),
    /// A table of the image at a path, which may be asked for without a place.
    Table {
        place: Option<TableOptions>,
        image: Option<PathBuf>,
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
            copied: None,
            measuring: None,
            on_damage: None,
            made: None,
        })
    }

    /// Stages, tiles, bytes and time, as data.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.plan.summary()
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

    /// Runs the plan, and returns when the output is complete.
    ///
    /// # Errors
    /// [`Error::NoOutput`], [`Error::Io`] if the output cannot be made, [`Error::Run`] for what happens on the way.
    pub fn run(self) -> Result<Report, Error> {
        let (sink, spill) = self.stores()?;
        let copied = self.copies(&sink, &spill)?;
        let report = self.plan.run(&self.sources, sink, &spill, &self.hooks)?;
        self.conclude(with(report, copied))
    }

    /// As [`run`](Self::run), for async code on a tokio runtime: the work happens on threads of its own, the future
    /// only waits.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_async(self) -> Result<Report, Error> {
        let (sink, spill) = self.stores()?;
        let copied = self.copies(&sink, &spill)?;
        let report = self.plan.run_async(&self.sources, sink, &spill, &self.hooks).await?;
        self.conclude(with(report, copied))
    }

    /// Also copies levels of the input.
    pub(super) fn copy(&mut self, levels: Vec<Copied>, options: Options) {
        if !levels.is_empty() {
            self.levels = levels.iter().map(|level| level.meta().clone()).collect();
            self.copied = Some((levels, options));
        }
    }

    /// Copies levels of the input; if one fails, nothing is left of the output.
    fn copies(&self, sink: &Arc<dyn Sink>, spill: &SpillDir) -> Result<Vec<Report>, Error> {
        let Some((levels, options)) = &self.copied else { return Ok(Vec::new()) };
        let copy =
            |(level, to): (&Copied, &Arc<dyn Sink>)| level.run(to.clone(), spill, (options, &self.hooks));
        let copied: Result<Vec<Report>, Error> = levels.iter().zip(sink.levels()).map(copy).collect();
        if copied.is_err() {
            sink.abort();
        }
        copied
    }

    /// Writes the table, or makes the one that follows.
    fn conclude(mut self, mut report: Report) -> Result<Report, Error> {
        if let Target::Table { place, image } = &self.target {
            let table = named(report.table.take().unwrap_or_default(), image.as_deref());
            if let Some(place) = place {
                place.write(&table)?;
            }
            report.table = Some(table);
        }
        if let Some(measuring) = self.measuring.take() {
            report.table = measuring.run(&self.hooks)?.table;
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
        Self { target: Target::Sink(sink), ..self }.run()
    }

    /// Makes the output, and the place for what is kept between stages: beside the output, where space was meant to
    /// be used.
    fn stores(&self) -> Result<(Arc<dyn Sink>, SpillDir), Error> {
        match &self.target {
            Target::Nowhere => Err(Error::NoOutput),
            Target::Image(options) => {
                // Nothing is put into the image that a label image belongs to.
                let beside = match &options.about.labels_of {
                    Some(_) => options.path.ancestors().nth(2).unwrap_or(&options.path),
                    None => &options.path,
                };
                let spill = SpillDir::new(parent(beside));
                let meta = Meta { made: self.made.clone(), ..self.result().clone() };
                let sink = options.create(&meta, &self.levels)?;
                Ok((self.skipping(sink), spill))
            }
            Target::Table { place, .. } => {
                let dir = place.as_ref().map_or_else(std::env::temp_dir, |p| parent(p.path()));
                Ok((NoImage::sink(self.result(), &self.layout), SpillDir::new(dir)))
            }
            Target::Sink(sink) => Ok((self.skipping(sink.clone()), SpillDir::new(std::env::temp_dir()))),
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
