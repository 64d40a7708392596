//! Tables: as the result of a recipe, and beside a label image.

use crate::{Error, Report};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{IoError, OpenOptions, Remote, SpillDir, TableOptions, Work};
use voxtile_kernels::ops;
use voxtile_kernels::spec::{Args, From};
use voxtile_sched::contract::{Layout, Place, Sink, Source, StoreError, Table, Values};
use voxtile_sched::engine::{Graph, Hooks, Input, Options, Plan};
use voxtile_sched::model::{Dtype, Kind, Meta, Shape, Tile};

/// Where a run that makes a table would write voxels.
pub(super) struct NoImage {
    meta: Meta,
    layout: Layout,
}

impl NoImage {
    pub(super) fn sink(meta: &Meta, layout: &Layout) -> Arc<dyn Sink> {
        Arc::new(Self { meta: meta.clone(), layout: layout.clone() })
    }

    /// How a plan without voxels to write is cut: as the image that it reads.
    pub(super) fn layout(chunk: Shape) -> Layout {
        Layout { chunk, shard: None, scratch: 0, ns_per_voxel: 0.0 }
    }
}

impl Sink for NoImage {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn name(&self) -> String {
        "a table".to_owned()
    }

    fn write(&self, _: Place, _: &Tile<'_>) -> Result<u64, StoreError> {
        Err("a table has no voxels".into())
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn abort(&self) {}
}

/// The image that a table is about, if it has a place.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) path: PathBuf,
    pub(super) remote: Remote,
}

/// A table with the name of its image in front, and where on a plate it lies.
pub(super) fn named(table: Table, image: Option<&Subject>) -> Result<Table, IoError> {
    let field =
        image.map(|image| voxtile_io::plate::field_of(&image.path, &image.remote)).transpose()?.flatten();
    let image = image.map(|image| image.path.as_path());
    // Of a field of a plate, the plate.
    let file = if field.is_some() { image.and_then(|path| path.ancestors().nth(3)) } else { image };
    let name = file.and_then(Path::file_name).map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let mut out = Table::default();
    out.push("image", Values::Text(vec![name; table.rows()]));
    if let Some((well, field)) = field {
        out.push("well", Values::Text(vec![well; table.rows()]));
        out.push("field", Values::Text(vec![field; table.rows()]));
    }
    out.columns.extend(table.columns);
    Ok(out)
}

/// The measuring of a result, when it has been written.
pub(super) struct Measuring {
    pub(super) table: TableOptions,
    /// The label image.
    pub(super) labels: PathBuf,
    /// The image that the recipe was applied to, if its shape is still that of the labels.
    pub(super) intensity: Option<Arc<dyn Source>>,
    pub(super) image: Option<Subject>,
    /// How the label image is reached.
    pub(super) remote: Remote,
    pub(super) options: Options,
}

impl Measuring {
    /// Whether a result can be measured.
    pub(super) fn check(result: &Meta, table: &TableOptions) -> Result<(), Error> {
        if result.kind == Kind::Image || matches!(result.dtype, Dtype::F32 | Dtype::F64) {
            return Err(Error::NoLabels);
        }
        Ok(table.check()?)
    }

    pub(super) fn run(self, hooks: &Hooks, work: Option<&Arc<Work>>) -> Result<Report, Error> {
        let options = OpenOptions { remote: self.remote, ..OpenOptions::default() };
        let labels = voxtile_io::open(&self.labels, &options)?.source;
        let sources: Vec<Arc<dyn Source>> = std::iter::once(labels).chain(self.intensity).collect();
        let metas: Vec<Meta> = sources.iter().map(|s| s.meta().clone()).collect();
        let spec = ops::find("measure").expect("an operation of the table");
        let given =
            if sources.len() > 1 { BTreeMap::from([("intensity", "input")]) } else { BTreeMap::new() };
        let stages = spec.stages(&Args::new(spec, given, &metas, None));
        let mut graph = Graph::new(metas.clone());
        let mut made = Vec::new();
        for stage in stages.expect("arguments of ours") {
            let from = |from: &From| match *from {
                From::Input(n) => Input::Source(n),
                From::Stage(n) => made[n],
            };
            let read: Vec<Input> = stage.inputs.iter().map(from).collect();
            let pushed = graph.push(stage.op, &read, spec.name);
            made.push(pushed.map_err(voxtile_sched::engine::PlanError::Graph)?);
        }
        let layout = NoImage::layout(sources[0].chunk());
        let plan = Plan::new(graph, &sources, &layout, &self.options)?;
        let spill = SpillDir::new(std::env::temp_dir());
        // The run of the image has its trace already.
        let hooks = Hooks { trace: None, ..hooks.clone() };
        let mut report = plan.run(&sources, NoImage::sink(&metas[0], &layout), &spill, &hooks)?;
        let table = named(report.table.take().unwrap_or_default(), self.image.as_ref())?;
        self.table.write(&table, work)?;
        Ok(Report { table: Some(table), ..report })
    }
}
