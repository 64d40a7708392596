//! Levels of the input that are copied as they are.

use crate::Error;
use std::path::Path;
use std::sync::Arc;
use voxtile_io::{Format, Info, IoError, OpenOptions, OutputOptions, SpillDir};
use voxtile_sched::contract::{Journal, Layout, Sink, Source, StoreError, Unit};
use voxtile_sched::engine::{Graph, Hooks, Options, Plan, Report, RunError};
use voxtile_sched::model::Meta;

/// A level of the input, and how its copy is cut.
pub(super) struct Level {
    source: Arc<dyn Source>,
    layout: Layout,
}

/// A planned copy of a level.
pub(super) struct Copied {
    source: Arc<dyn Source>,
    plan: Plan,
}

impl Level {
    pub(super) fn planned(self, options: &Options) -> Result<Copied, Error> {
        let Self { source, layout } = self;
        let graph = Graph::new(vec![source.meta().clone()]);
        let options = Options { tile: [None; 5], ..options.clone() };
        let plan = Plan::new(graph, std::slice::from_ref(&source), &layout, &options)?;
        Ok(Copied { source, plan })
    }
}

impl Copied {
    pub(super) fn meta(&self) -> &Meta {
        self.source.meta()
    }

    /// How the work is cut into units.
    pub(super) fn cut(&self) -> Vec<String> {
        self.plan.cut()
    }

    /// Copies the level, the one of that number; the sink is complete then.
    pub(super) fn run(
        &self,
        number: u32,
        sink: Arc<dyn Sink>,
        spill: &SpillDir,
        hooks: &Hooks,
    ) -> Result<Report, RunError> {
        let of_level = |journal| Arc::new(OfLevel { journal, number }) as Arc<dyn Journal>;
        let journal = hooks.journal.clone().map(of_level);
        // The run of the image has its trace and its progress.
        let hooks = Hooks { trace: None, progress: None, journal, ..hooks.clone() };
        self.plan.run(std::slice::from_ref(&self.source), sink, spill, &hooks)
    }
}

/// The journal of the image, in which the units of a level have stages of their own.
struct OfLevel {
    journal: Arc<dyn Journal>,
    number: u32,
}

impl OfLevel {
    fn of(&self, unit: Unit) -> Unit {
        /// No plan has so many stages.
        const FIRST: u32 = 1 << 24;
        Unit { stage: FIRST + (self.number << 8) + unit.stage, ..unit }
    }
}

impl Journal for OfLevel {
    fn noted(&self, unit: Unit) -> Option<Vec<u8>> {
        self.journal.noted(self.of(unit))
    }

    fn done(&self, unit: Unit, note: &[u8]) -> Result<(), StoreError> {
        self.journal.done(self.of(unit), note)
    }

    fn has_progress(&self) -> bool {
        self.journal.has_progress()
    }
}

/// The levels below the one that is written. `input` is none where voxels are changed.
pub(super) fn levels(
    input: Option<&Path>,
    (info, opened): (&Info, &OpenOptions),
    output: &OutputOptions,
) -> Result<Vec<Level>, Error> {
    let refuse = |why: &str| Err(IoError::Option { option: "--pyramid=input", why: why.to_owned() }.into());
    let Some(input) = input else {
        return refuse("the input's levels are not those of another image");
    };
    if !matches!(output.format, Format::ZarrV2 | Format::ZarrV3) {
        return refuse("levels are copied from Zarr to Zarr");
    }
    if info.ome.is_none() || info.levels.len() <= opened.level + 1 {
        return refuse("the input has no smaller levels");
    }
    let level = |level: usize| -> Result<Level, Error> {
        let source = voxtile_io::open(input, &OpenOptions { level, ..opened.clone() })?.source;
        let layout = output.layout(source.meta())?;
        Ok(Level { source, layout })
    };
    (opened.level + 1..info.levels.len()).map(level).collect()
}
