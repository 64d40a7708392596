//! Pipelines: an image, what is done to it, and where the result goes.

mod array;
mod before;
mod copy;
mod kept;
mod name;
mod plan;
mod steps;
mod table;

#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use steps::Value;

use self::before::Before;
use self::table::{Measuring, NoImage, Subject};
use crate::damage::{Mended, OnDamage};
use crate::identity;
use crate::machine;
use crate::output::{Output, spread};
use crate::recipe::{Recipe, RecipeError};
use crate::watched::Watched;
use crate::{Cancel, Device, Error, Made, MadeOf, Progress, Report};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{
    Durability, Format, Info, Inventory, IoError, OpenOptions, Opened, TableOptions, Url, WorkOptions,
};
use voxtile_sched::contract::{Joins, Sink, Source};
use voxtile_sched::engine::{Graph, Hooks, Input, Options, Workshop};
use voxtile_sched::model::{Border, Dtype, Meta, voxels};

/// An image, the steps that are applied to it, and where the result goes.
///
/// Methods named after an operation append a step that works on the result of the one before; [`step`](Self::step)
/// takes steps in the words of the command line, [`op`](Self::op) an operation of your own. Nothing is read or
/// written before [`run`](Self::run). A step that is wrong is reported by [`plan`](Self::plan) and `run`.
///
/// ```no_run
/// use voxtile::Pipeline;
///
/// let report = Pipeline::open("in.zarr")?.gaussian(2.0).threshold(900.0).write("out.zarr")?.run()?;
/// println!("{:.2} input voxels decoded per voxel", report.read_amplification);
/// # Ok::<(), voxtile::Error>(())
/// ```
///
/// Arrays in memory work too, and give the same values:
///
/// ```
/// use ndarray::ArrayD;
/// use voxtile::Pipeline;
///
/// let image = ArrayD::from_shape_fn(vec![40, 50], |i| (i[0] * i[1]) as u16);
/// let mask: ArrayD<u8> = Pipeline::from_array(image)?.gaussian(2.0).threshold(900.0).collect()?;
/// assert_eq!(mask.shape(), [40, 50]);
/// # Ok::<(), voxtile::Error>(())
/// ```
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline {
    source: Arc<dyn Source>,
    info: Info,
    /// Where the image lies, if it has a path.
    input: Option<PathBuf>,
    /// As what it was opened.
    opened: OpenOptions,
    /// How the run goes about its output.
    work: WorkOptions,
    /// The steps, or what is wrong with the first bad one.
    recipe: Result<Recipe, RecipeError>,
    target: Target,
    dtype: Option<Dtype>,
    border: Option<Border>,
    memory: Option<u64>,
    workers: Option<usize>,
    tile: Vec<u64>,
    device: Device,
    on_damage: OnDamage,
    /// When the run is said to have begun.
    made_at: Option<u64>,
    gpu_memory: Option<u64>,
    hooks: Hooks,
    /// Where the objects of the result are listed, besides.
    table: Option<PathBuf>,
}

/// Where a result goes.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Target {
    Image(Output),
    Sink(Arc<dyn Sink>),
}

/// Whether an image lies on this disk.
fn is_here(path: &Path) -> bool {
    Url::of(path).is_ok_and(|url| url.is_none())
}

impl Pipeline {
    /// Opens a Zarr directory (array, group or OME-Zarr) or a TIFF file.
    ///
    /// # Errors
    /// [`Error::Io`]: nothing is there, it is no image, or it uses what voxtile does not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens one level of a pyramid, one array of a group, or an image whose axes the file does not name.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`IoError::NoSuch`](voxtile_io::IoError::NoSuch).
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let Opened { source, info } = voxtile_io::open(path, options)?;
        let (input, opened) = (Some(path.to_path_buf()), options.clone());
        Ok(Self { input, opened, info, ..Self::from_source(source) })
    }

    /// Reads any store: one of yours, or a part of something larger.
    pub fn from_source(source: Arc<dyn Source>) -> Self {
        let chunk5 = source.chunk();
        let chunk = source.meta().axes.pick(&chunk5);
        let info = Info { bare: true, chunk, chunk5, ..Info::default() };
        Self {
            source,
            info,
            input: None,
            opened: OpenOptions::default(),
            work: WorkOptions::default(),
            recipe: Ok(Recipe::default()),
            target: Target::Image(Output::nowhere()),
            dtype: None,
            border: None,
            memory: None,
            workers: None,
            tile: Vec::new(),
            device: Device::default(),
            on_damage: OnDamage::default(),
            made_at: None,
            gpu_memory: None,
            hooks: Hooks::default(),
            table: None,
        }
    }

    /// What is known of the image.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Shape, axes, sample type and physical size of the image.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.source.meta()
    }

    /// Replaces all steps by those of a recipe.
    pub fn recipe(self, recipe: Recipe) -> Self {
        Self { recipe: Ok(recipe), ..self }
    }

    /// Writes an image: TIFF if the path ends in `.tif` or `.tiff`, else Zarr; cut and encoded as the input. If the
    /// last step makes a table, a table: `.csv` or `.parquet`.
    ///
    /// # Errors
    /// [`Error::Extension`] for a format that is not written.
    pub fn write(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.write_to(Output::to(path))
    }

    /// Writes an image that is cut and encoded as [`Output`] says.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_to(self, output: Output) -> Result<Self, Error> {
        name::check_extension(&output.path)?;
        Ok(Self { target: Target::Image(output), ..self })
    }

    /// Writes into any store. Its shape and sample type must be the result's.
    pub fn write_sink(self, sink: Arc<dyn Sink>) -> Self {
        Self { target: Target::Sink(sink), ..self }
    }

    /// Also measures the result, a label image or mask that is written, into a table: `.csv` or `.parquet`. Intensities
    /// are those of the image that the recipe is applied to, if its shape is the result's.
    pub fn table(self, path: impl Into<PathBuf>) -> Self {
        Self { table: Some(path.into()), ..self }
    }

    /// Converts the result to a sample type, rounding once (half to even) and saturating.
    pub fn dtype(self, dtype: Dtype) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// What stands beyond the image's edge, for steps that do not say so themselves.
    pub fn border(self, border: Border) -> Self {
        Self { border: Some(border), ..self }
    }

    /// Most bytes that the process may hold; by default half of what it may use
    /// ([`machine::default_memory`]).
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Worker threads; by default as many as there are cores for this process.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// The compute tile in voxels: one number for all space axes, or one for each of the last axes; the planner
    /// chooses along the others, and along all of them by default. It never changes the result.
    pub fn tile(self, sizes: &[u64]) -> Self {
        Self { tile: sizes.to_vec(), ..self }
    }

    /// Where the steps are computed; by default on a GPU where one is found that has kernels for them. It never changes the
    /// result.
    pub fn device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// What happens when a chunk of the input cannot be decoded; by default the run ends. What was damaged is listed in
    /// the [`Report`].
    pub fn on_damage(self, on_damage: OnDamage) -> Self {
        Self { on_damage, ..self }
    }

    /// When the run is said to have begun, in seconds since 1970, in what an output records of itself; by default nothing
    /// is said, so that equal runs write equal files.
    pub fn made_at(self, seconds: u64) -> Self {
        Self { made_at: Some(seconds), ..self }
    }

    /// What an output records of itself: the recipe, and of what it was made. `None` where the image has no path.
    ///
    /// # Errors
    /// Those of the recipe, and [`Error::Io`] if the image is not to be seen any more.
    pub fn made(&self) -> Result<Option<Made>, Error> {
        let Some(path) = &self.input else { return Ok(None) };
        // Where a server would have to be asked, nothing is recorded of its objects.
        let files = match is_here(path) {
            true => identity::files(path, self.opened.array.as_deref(), &self.opened.remote)?,
            false => Inventory::default(),
        };
        self.made_of(&files)
    }

    fn made_of(&self, files: &Inventory) -> Result<Option<Made>, Error> {
        let Some(path) = &self.input else { return Ok(None) };
        let recipe = self.recipe.as_ref().map_err(Clone::clone)?;
        let Some(input) = MadeOf::new(path, &self.opened, files) else { return Ok(None) };
        let time = self.made_at.map(crate::made::time_in_words);
        Ok(Some(Made { time, ..Made::new(recipe.to_string(), input, self.border, self.on_damage) }))
    }

    /// The most memory to take of each GPU, in bytes; by default nine tenths of what is free. Tiles that do not fit are
    /// computed in parts.
    pub fn gpu_memory(self, bytes: u64) -> Self {
        Self { gpu_memory: Some(bytes), ..self }
    }

    /// Takes threads and memory from earlier pipelines and leaves them for later ones: for many small images, one after
    /// the other.
    pub fn workshop(mut self, workshop: &Workshop) -> Self {
        self.hooks.workshop = Some(workshop.clone());
        self
    }

    /// Is called now and then while the pipeline runs, from one of its threads.
    pub fn progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.hooks.progress = Some(Arc::new(callback));
        self
    }

    /// Writes a Chrome trace of every tile's reading, computing and writing.
    pub fn trace(mut self, file: impl Into<PathBuf>) -> Self {
        self.hooks.trace = Some(file.into());
        self
    }

    /// Goes on where an earlier run of the same pipeline into the same output was stopped; where there was none, starts
    /// afresh. An output that was made with this and is complete stays as it is.
    pub fn resume(mut self, yes: bool) -> Self {
        self.work.resume = yes;
        self
    }

    /// When something counts as done, for a later run that [resumes](Self::resume); by default when the system has it.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.work.durability = durability;
        self
    }

    /// Leaves a small hidden file beside a complete output, by which a run that [resumes](Self::resume) knows that nothing is
    /// left to do; those that resume leave it anyway.
    pub fn mark(mut self, yes: bool) -> Self {
        self.work.mark = yes;
        self
    }

    /// Does one part of the work, number `part` of `parts` from 0 on; other processes do the others, at the same time or later,
    /// on this machine or on others that see the same files. When all are done a run that [resumes](Self::resume) ends it.
    pub fn part(mut self, part: u32, parts: u32) -> Self {
        self.work.part = Some((part, parts.max(1)));
        self.work.resume = true;
        self
    }

    /// Takes over an output that a process of another machine holds, which cannot be asked whether it lives.
    pub fn break_lock(mut self, yes: bool) -> Self {
        self.work.break_lock = yes;
        self
    }

    /// Stops the run from another thread. What is done stays for a later run that [resumes](Self::resume).
    #[must_use]
    pub fn cancel_token(&self) -> Cancel {
        self.hooks.cancel.clone()
    }

    /// Stops the run when this token is pulled, instead of a token of its own.
    pub fn cancel_with(mut self, token: Cancel) -> Self {
        self.hooks.cancel = token;
        self
    }

    /// Plans the run: everything that can be refused is refused here, and no file is touched.
    ///
    /// ```
    /// # use ndarray::ArrayD;
    /// let image = ArrayD::from_elem(vec![64, 64, 64], 7u16);
    /// let plan = voxtile::Pipeline::from_array(image)?.gaussian(2.0).memory(256 << 20).plan()?;
    /// assert!(plan.summary().memory_bytes <= 256 << 20);
    /// # Ok::<(), voxtile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Recipe`] for a step that is wrong or does not fit the image, [`Error::Plan`] for a budget that is
    /// too small, [`Error::Io`] for an output that exists, cannot be made, or lies in the input, [`Error::Sizes`],
    /// [`Error::Device`] without the GPU that was asked for.
    pub fn plan(mut self) -> Result<Plan, Error> {
        let input = self.source.meta().clone();
        let mended = (self.on_damage != OnDamage::Stop)
            .then(|| Mended::new(self.source.clone(), self.info.fill.clone()));
        if let Some(mended) = &mended {
            self.source = mended.clone();
        }
        let on_damage = mended.map(|mended| (mended, self.on_damage));
        let mut graph = Graph::new(vec![input.clone()]);
        let records = matches!(&self.target, Target::Image(output) if output.is_placed());
        let made = if records { self.made() } else { Ok(None) };
        let mut recipe = self.recipe?.with_digests();
        let copies = recipe.is_empty();
        recipe.lower(&mut graph, Input::Source(0), self.border)?;
        if let Some(dtype) = self.dtype
            && graph.output_meta().dtype != dtype
        {
            recipe = recipe.then(&format!("cast {dtype}"))?;
            graph = Graph::new(vec![input.clone()]);
            recipe.lower(&mut graph, Input::Source(0), self.border)?;
        }
        let result = graph.output_meta().clone();
        let place = match &self.target {
            Target::Image(output) if output.is_placed() => Some(output),
            _ => None,
        };
        let kept = place.filter(|output| Before::keeps(&output.path));
        let before = kept.map(|output| Before::at(output, self.work)).transpose()?.unwrap_or_default();
        let tile = spread("--tile", &self.tile, result.axes)?;
        let image_bytes = voxels(&input.shape).saturating_mul(input.dtype.size() as u64);
        // What needs a GPU says why there is none.
        let device =
            if graph.needs_device() && self.device == Device::Auto { Device::Cuda } else { self.device };
        let options = Options {
            // Of a run that goes on, what the first one had: the work is cut by it.
            memory: self.memory.or(before.memory()).unwrap_or_else(machine::default_memory),
            workers: self.workers.or(before.workers()).unwrap_or_else(machine::default_workers),
            tile,
            joins: Joins { components: voxtile_merge::components },
            device: device.find(self.gpu_memory, image_bytes)?,
            always: device != Device::Auto,
        };
        let placed = kept.map(|output| (output.path.clone(), output.remote.clone()));
        let (path, opened) = (self.input.clone(), self.opened.clone());
        // Where all is read at once, a request more is only worth it if a later run may ask.
        let asked = self.work.resume || self.work.mark;
        let looks = |path: &Path, plan: &Plan| is_here(path) || asked || !plan.is_at_once();
        let watched = |plan: &Plan| {
            let watched = path.as_deref().filter(|path| looks(path, plan));
            watched.map(|path| Watched::new(path, &opened)).transpose()
        };
        let of_input = |watched: &Option<Watched>| {
            let files = watched.as_ref().map(|watched| watched.files.clone()).unwrap_or_default();
            identity::of_input(&files, &opened, &input)
        };
        let mut about = identity::About {
            input: serde_json::Value::Null,
            recipe: recipe.to_string(),
            border: self.border,
            table: self.table.clone(),
            on_damage: self.on_damage.name(),
        };
        let replaces = |output: &Output| output.overwrite || before.replaces;
        let remote = self.opened.remote.clone();
        let subject = self.input.clone().map(|path| Subject { path, remote });
        let as_table = place.and_then(|output| TableOptions::new(&output.path, replaces(output)));
        if graph.makes_table() {
            if let (Some(output), None) = (place, &as_table) {
                let step = recipe.last_words().to_owned();
                return Err(Error::MakesTable { step, output: output.path.clone() });
            }
            if let Some(table) = self.table {
                return Err(Error::TwoTables { step: recipe.last_words().to_owned(), table });
            }
            as_table.as_ref().map_or(Ok(()), TableOptions::check)?;
            let layout = NoImage::layout(self.source.chunk());
            let target = plan::Target::Table { place: as_table, image: subject };
            let mut plan = Plan::new(graph, self.source, (layout, Vec::new()), &options, target, self.hooks)?;
            (plan.on_damage, plan.watched) = (on_damage, watched(&plan)?);
            about.input = of_input(&plan.watched);
            let placed = placed.filter(|_| path.as_deref().is_none_or(|path| looks(path, &plan)));
            return plan.kept(placed, &about, &options, &before, self.work);
        }
        if let (Some(output), Some(_)) = (place, &as_table) {
            return Err(Error::MakesImage { output: output.path.clone() });
        }
        let measuring = match (&self.table, place) {
            (Some(path), Some(output)) => {
                let table = TableOptions::new(path, replaces(output))
                    .ok_or_else(|| Error::TableFormat { table: path.clone() })?;
                Measuring::check(&result, &table)?;
                Some(Measuring {
                    table,
                    labels: output.path.clone(),
                    intensity: Some(self.source.clone()).filter(|_| input.shape == result.shape),
                    image: subject,
                    remote: output.reached_by().clone(),
                    options: options.clone(),
                })
            }
            _ => None,
        };
        let mut copies_of = Vec::new();
        let (mut cut, target) = match self.target {
            Target::Image(output) => {
                let mut options = output.options(&self.info, &input, &result, copies)?;
                options.overwrite |= before.replaces;
                let shown = result.with_kind(output.kind(&result));
                let copied = output.pyramid.as_ref().is_some_and(|pyramid| pyramid.copied);
                if copied {
                    let changed = !copies || result.dtype != input.dtype;
                    let input = self.input.as_deref().filter(|_| !changed);
                    copies_of = copy::levels(input, (&self.info, &self.opened), &options)?;
                }
                let made = output.pyramid.as_ref().filter(|pyramid| !pyramid.copied);
                let levels = made.map(|pyramid| pyramid.levels(&options, &shown));
                let cut = (options.layout(&result)?, levels.transpose()?.unwrap_or_default());
                if output.is_placed() {
                    if let Some(input) = &self.input {
                        options.apart_from(input)?;
                        if let (Some(part), Some(_)) = (&self.opened.array, &output.labels) {
                            voxtile_io::check_apart(&input.join(part), &options.path)?;
                        }
                    }
                    if self.work.part.is_some() && copied {
                        let why = "the input's levels are copied by one process, not by parts".to_owned();
                        return Err(IoError::Option { option: "--pyramid=input", why }.into());
                    }
                    if self.work.part.is_some() && matches!(options.format, Format::Tiff | Format::Npy) {
                        return Err(Error::NoParts { output: options.path });
                    }
                    // Other parts may have begun it.
                    if self.work.part.is_none_or(|(_, parts)| parts == 1) {
                        options.check()?;
                    }
                    (cut, plan::Target::Image(options))
                } else {
                    (cut, plan::Target::Nowhere)
                }
            }
            Target::Sink(sink) => ((sink.layout().clone(), Vec::new()), plan::Target::Sink(sink)),
        };
        if self.on_damage == OnDamage::Skip {
            // A chunk of zeros in the place of one that is spoilt.
            cut.0.scratch += voxels(&cut.0.chunk).saturating_mul(result.dtype.size() as u64);
        }
        let mut plan = Plan::new(graph, self.source, cut, &options, target, self.hooks)?;
        (plan.measuring, plan.on_damage, plan.watched) = (measuring, on_damage, watched(&plan)?);
        about.input = of_input(&plan.watched);
        plan.made = made?.map(|made| Made { recipe: recipe.to_string(), ..made }.text());
        plan.copy(copies_of, &options)?;
        // What cannot be told from another input is nothing to go on from.
        let placed = placed.filter(|_| path.as_deref().is_none_or(|path| looks(path, &plan)));
        plan.kept(placed, &about, &options, &before, self.work)
    }

    /// Plans and runs, and returns when the output is complete.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan), [`Error::NoOutput`] without a place for the result, and [`Error::Run`] for
    /// what happens on the way: what is done by then is kept for a run that [resumes](Self::resume).
    pub fn run(self) -> Result<Report, Error> {
        self.plan()?.run()
    }

    /// As [`run`](Self::run), for async code on a tokio runtime: the work happens on threads of its own, the future
    /// only waits.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_async(self) -> Result<Report, Error> {
        self.plan()?.run_async().await
    }
}
