//! Levels of the input that are copied as they are.

use crate::Error;
use std::path::Path;
use std::sync::Arc;
use voxtile_io::{Format, Info, IoError, OpenOptions, OutputOptions, SpillDir};
use voxtile_sched::contract::{Layout, Sink, Source};
use voxtile_sched::engine::{Graph, Hooks, Options, Plan, Report};
use voxtile_sched::model::Meta;

/// A level of the input, and how its copy is cut.
pub(super) struct Copied {
    source: Arc<dyn Source>,
    layout: Layout,
}

impl Copied {
    pub(super) fn meta(&self) -> &Meta {
        self.source.meta()
    }

    /// Copies the level; the sink is complete then.
    pub(super) fn run(
        &self,
        sink: Arc<dyn Sink>,
        spill: &SpillDir,
        (options, hooks): (&Options, &Hooks),
    ) -> Result<Report, Error> {
        let sources = [self.source.clone()];
        let graph = Graph::new(vec![self.meta().clone()]);
        let options = Options { tile: [None; 5], ..options.clone() };
        let plan = Plan::new(graph, &sources, &self.layout, &options)?;
        // The run of the image has its trace and its progress.
        let hooks = Hooks { trace: None, progress: None, ..hooks.clone() };
        Ok(plan.run(&sources, sink, spill, &hooks)?)
    }
}

/// The levels below the one that is written. `input` is none where voxels are changed.
pub(super) fn levels(
    input: Option<&Path>,
    (info, opened): (&Info, &OpenOptions),
    output: &OutputOptions,
) -> Result<Vec<Copied>, Error> {
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
    let level = |level: usize| -> Result<Copied, Error> {
        let source = voxtile_io::open(input, &OpenOptions { level, ..opened.clone() })?.source;
        let layout = output.layout(source.meta())?;
        Ok(Copied { source, layout })
    };
    (opened.level + 1..info.levels.len()).map(level).collect()
}
