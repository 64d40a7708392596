//! What each subcommand does.

mod bench;
mod demo;
mod devices;
mod info;
mod keep;
mod many;
mod ops;
mod parts;
mod preview;
mod recursive;
mod run;
mod sample;
mod scan;
mod verify;

use crate::args::{Cli, Command, EngineArgs, Levels, LimitArgs, ReadArgs, RecipeArgs, WriteArgs};
use clap::CommandFactory;
use std::io::{ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use voxtile::op::{Axis, AxisSet, Dtype};
use voxtile::{
    Codec, Error, Images, OpenOptions, Output, Pipeline, Pyramid, RawOptions, Recipe, Remote, machine,
};
use voxtile_io::{About, Format, OutputOptions};

/// Bytes that a recipe file may have.
const MOST_RECIPE: u64 = 256 << 10;

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// `verify` found damage or a difference, or some of many images failed.
    Damaged,
}

/// Why a command was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Library(#[from] Error),
    #[error("cannot read the recipe `{}`: {source}", path.display())]
    RecipeFile { path: PathBuf, source: std::io::Error },
    #[error("cannot {action} `{}`: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("one chunk needs {needed} bytes and `--memory` allows {allowed}")]
    Chunk { needed: u64, allowed: u64 },
    #[error("{images} images, and `{}` can hold the result of one", output.display())]
    ManyImages { images: usize, output: PathBuf },
    #[error("interrupted after {finished} of {images} images")]
    ManyInterrupted { finished: usize, images: usize, kept: bool },
    #[error("`{}` and `{}` would both be written to `{}`", a.display(), b.display(), output.display())]
    SameName { a: PathBuf, b: PathBuf, output: PathBuf },
    #[error("`{}`: a picture is a .png", output.display())]
    NotPng { output: PathBuf },
    #[error("`{}` has no voxels", input.display())]
    NoVoxels { input: PathBuf },
    #[error("`{option}`: the image ({axes}) has no axis {axis}")]
    NoAxis { option: &'static str, axis: Axis, axes: AxisSet },
    #[error("`{option} {at}` lies outside the image: {axis} has {len}")]
    Position { option: &'static str, at: u64, axis: Axis, len: u64 },
    #[error("`{}` has {dtype} voxels, which number no objects", path.display())]
    LabelType { path: PathBuf, dtype: Dtype },
    #[error("`{}` has {labels:?} voxels, which do not lie on the image's {image:?}", path.display())]
    LabelShape { path: PathBuf, labels: Vec<u64>, image: Vec<u64> },
    #[error("`{}` does not say how it was made", path.display())]
    NoRecord { path: PathBuf },
    #[error("`{}` was made of damaged chunks, and cannot be made again", path.display())]
    MadeOfDamage { path: PathBuf },
    #[error("`{}` was made of `{}`, which has changed since", path.display(), input.display())]
    InputChanged { path: PathBuf, input: PathBuf },
    #[error("`{}` holds {is:?} voxels, and its recipe makes {makes:?}", path.display())]
    OtherResult { path: PathBuf, is: Vec<u64>, makes: Vec<u64> },
    #[error("`{}` was made by code in `{file}`, which its record asks to run", path.display())]
    KernelNotAllowed { path: PathBuf, file: String, digest: Option<String> },
    #[error("`{}` is no plan that `voxtile plan --save` wrote", path.display())]
    NoPlan { path: PathBuf },
    #[error("no job array says which part this is")]
    NoPart,
    #[error("{name} says that this is part {part}, and there are {parts}, counted from 0")]
    PartIndex { name: &'static str, part: u32, parts: u32 },
    #[error("interrupted")]
    Interrupted,
    #[error("cannot write to stdout: {0}")]
    Stdout(std::io::Error),
    /// Whoever read our stdout went away: nothing to say, and nobody to say it to.
    #[error("stdout was closed")]
    Closed,
}

impl From<voxtile::error::IoError> for Failure {
    fn from(error: voxtile::error::IoError) -> Self {
        Self::Library(error.into())
    }
}

pub(crate) type Done = Result<Outcome, Failure>;

/// How the places on the network are reached that the command line names; one count of what that took.
static REMOTE: OnceLock<Remote> = OnceLock::new();

pub(crate) fn remote() -> Remote {
    REMOTE.get_or_init(Remote::new).clone()
}

pub(crate) fn dispatch(cli: &Cli) -> Done {
    if let Some(read) = cli.command.read() {
        let mut remote = Remote::new().anonymous(read.anonymous);
        if let Some(endpoint) = &read.endpoint {
            remote = remote.endpoint(endpoint);
        }
        REMOTE.get_or_init(|| remote);
    }
    match &cli.command {
        Command::Run(args) => run::run(args, cli.global),
        Command::Convert(args) => run::convert(args, cli.global),
        Command::Plan(args) => match args.output.as_deref().zip(args.save.as_deref()) {
            Some(places) => parts::save(args, places, cli.global),
            None => run::plan(args, cli.global),
        },
        Command::Work(args) => parts::work(args, cli.global),
        Command::Finish(args) => parts::finish(args, cli.global),
        Command::Info(args) => info::info(args, cli.global),
        Command::Verify(args) => verify::verify(args, cli.global),
        Command::Preview(args) => preview::preview(args, cli.global),
        Command::Ops(args) => ops::ops(args, cli.global),
        Command::Bench(args) => bench::bench(args, cli.global),
        Command::Demo(args) => demo::demo(args, cli.global),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "voxtile", &mut script);
            print(&String::from_utf8_lossy(&script))?;
            Ok(Outcome::Done)
        }
    }
}

/// Writes to stdout; a reader that went away is no error of ours.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(e) => Err(Failure::Stdout(e)),
    }
}

/// Writes one JSON object to stdout.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

impl ReadArgs {
    pub(crate) fn options(&self) -> OpenOptions {
        let raw = self.raw_shape.as_ref().zip(self.raw_dtype).map(|(shape, dtype)| RawOptions {
            shape: shape.0.clone(),
            dtype,
            offset: self.raw_offset,
        });
        let (level, array, remote) = (self.level.unwrap_or(0), self.array.clone(), remote());
        OpenOptions { level, array, axes: self.axes, raw, stack: self.stack, rgb: self.rgb, remote }
    }

    /// One image or many; what is stacked is one.
    pub(crate) fn images(&self, input: &Path) -> Result<Images, Failure> {
        match self.stack {
            Some(_) => Ok(Images::One(input.to_path_buf())),
            None => Ok(Images::of(input, &remote())?),
        }
    }
}

/// An option and its value, where there is one.
fn option(words: &mut Vec<String>, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        words.push(format!("--{name}={value}"));
    }
}

/// A list, as options take it.
fn list(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

impl ReadArgs {
    /// The words that say this again.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        option(&mut words, "level", self.level);
        option(&mut words, "array", self.array.as_ref());
        option(&mut words, "axes", self.axes);
        option(&mut words, "raw-shape", self.raw_shape.as_ref().map(|sizes| list(&sizes.0)));
        option(&mut words, "raw-dtype", self.raw_dtype);
        option(&mut words, "raw-offset", self.raw_shape.as_ref().map(|_| self.raw_offset));
        option(&mut words, "stack", self.stack);
        if self.rgb {
            words.push("--rgb".to_owned());
        }
        words
    }
}

impl WriteArgs {
    /// The words that say this again.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        option(&mut words, "chunk", self.chunk.as_ref().map(|sizes| list(&sizes.0)));
        let shard =
            |sizes: &crate::args::Shard| if sizes.0.is_empty() { "none".to_owned() } else { list(&sizes.0) };
        option(&mut words, "shard", self.shard.as_ref().map(shard));
        option(&mut words, "codec", self.codec);
        option(&mut words, "axis-order", self.axis_order.as_ref());
        option(&mut words, "dtype", self.dtype);
        option(&mut words, "zarr-format", self.zarr_format.as_ref());
        option(&mut words, "ome", self.ome);
        match self.pyramid {
            Some(None) => words.push("--pyramid".to_owned()),
            Some(Some(Levels::By(reduction))) => option(&mut words, "pyramid", Some(reduction)),
            Some(Some(Levels::OfInput)) => words.push("--pyramid=input".to_owned()),
            None => {}
        }
        option(&mut words, "pyramid-factor", self.pyramid_factor.as_ref().map(|sizes| list(&sizes.0)));
        option(&mut words, "pyramid-until", self.pyramid.map(|_| self.pyramid_until));
        if self.overwrite {
            words.push("--overwrite".to_owned());
        }
        option(&mut words, "durability", Some(self.durability));
        words
    }
}

impl EngineArgs {
    /// The words that say this again, with the limits that a plan was made for.
    fn words(&self, memory: u64, workers: usize) -> Vec<String> {
        let mut words = vec![format!("--memory={memory}"), format!("--workers={workers}")];
        option(&mut words, "device", Some(self.device));
        option(&mut words, "on-damage", Some(self.on_damage.name()));
        option(&mut words, "gpu-memory", self.gpu_memory);
        option(&mut words, "tile", self.tile.as_ref().map(|sizes| list(&sizes.0)));
        option(&mut words, "border", self.border.map(|border| border.name()));
        words
    }
}

impl LimitArgs {
    pub(crate) fn memory(&self) -> u64 {
        self.memory.unwrap_or_else(machine::default_memory)
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(machine::default_workers)
    }
}

impl RecipeArgs {
    fn recipe(&self) -> Result<Recipe, Failure> {
        if let Some(path) = &self.file {
            let failed = |source| Failure::RecipeFile { path: path.clone(), source };
            let mut bytes = Vec::new();
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(MOST_RECIPE + 1).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 > MOST_RECIPE {
                let words = format!("it has more than {} KiB, which no recipe has", MOST_RECIPE >> 10);
                return Err(failed(std::io::Error::new(ErrorKind::FileTooLarge, words)));
            }
            let toml = String::from_utf8(bytes)
                .map_err(|_| failed(std::io::Error::new(ErrorKind::InvalidData, "it is no UTF-8 text")))?;
            return Ok(Recipe::from_toml(&toml, &path.display().to_string()).map_err(Error::from)?);
        }
        // clap asks for one of the two.
        Ok(Recipe::parse(self.text.as_deref().unwrap_or_default()).map_err(Error::from)?)
    }
}

impl WriteArgs {
    fn apply(&self, output: Output) -> Output {
        let mut output = output.overwrite(self.overwrite).remote(remote());
        if let Some(format) = &self.zarr_format {
            output = output.zarr_v2(format == "2");
        }
        if let Some(version) = self.ome {
            output = output.ome(version);
        }
        if let Some(chunk) = &self.chunk {
            output = output.chunk(&chunk.0);
        }
        if let Some(shard) = &self.shard {
            output = output.shard(&shard.0);
        }
        if let Some(codec) = self.codec {
            output = output.codec(codec);
        }
        if let Some(order) = &self.axis_order {
            output = output.axis_order(order.clone());
        }
        if let Some(levels) = self.pyramid {
            let mut pyramid = match levels {
                None => Pyramid::new(),
                Some(Levels::By(reduction)) => Pyramid::new().reduction(reduction),
                Some(Levels::OfInput) => Pyramid::of_input(),
            };
            pyramid = pyramid.until(self.pyramid_until);
            if let Some(factor) = &self.pyramid_factor {
                pyramid = pyramid.factor(&factor.0);
            }
            output = output.pyramid(pyramid);
        }
        output
    }
}

/// A Zarr whose objects are written one by one: a hierarchy, a plate.
fn whole(path: &Path, format: Format, write: &WriteArgs) -> OutputOptions {
    OutputOptions {
        path: path.to_path_buf(),
        format,
        axis_order: None,
        chunk: None,
        shard: None,
        codec: Codec::None,
        overwrite: write.overwrite,
        bare: true,
        remote: remote(),
        about: About::default(),
    }
}

/// The time in seconds since 1970, or what stands for it where builds are to be equal.
fn now() -> u64 {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    said.unwrap_or_else(|| since.map_or(0, |since| since.as_secs()))
}

impl WriteArgs {
    fn keep(&self, pipeline: Pipeline) -> Pipeline {
        pipeline.resume(self.resume).durability(self.durability).break_lock(self.break_lock)
    }
}

impl EngineArgs {
    fn apply(&self, pipeline: Pipeline) -> Pipeline {
        let mut pipeline = pipeline.device(self.device).on_damage(self.on_damage).made_at(now());
        // What is not said is left to the pipeline: one that goes on has what the run before had.
        if let Some(memory) = self.limits.memory {
            pipeline = pipeline.memory(memory);
        }
        if let Some(workers) = self.limits.workers {
            pipeline = pipeline.workers(workers);
        }
        if let Some(bytes) = self.gpu_memory {
            pipeline = pipeline.gpu_memory(bytes);
        }
        if let Some(tile) = &self.tile {
            pipeline = pipeline.tile(&tile.0);
        }
        if let Some(border) = self.border {
            pipeline = pipeline.border(border);
        }
        if let Some(trace) = &self.trace {
            pipeline = pipeline.trace(trace);
        }
        pipeline
    }
}
