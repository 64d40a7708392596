//! Errors, hints and exit codes.
//!
//! A message is: what happened, where, the numbers that disagree; then a hint with a command that helps, chosen from
//! the error's variant.

mod places;
mod recipes;

use self::places::{elsewhere, os_hint, remote_hint};
use self::recipes::recipe;
use crate::args::{Cli, Command, LimitArgs};
use crate::commands::{Done, Failure, Outcome, remote};
use crate::text;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use voxtile::error::{DeviceError, Feature, IoError, PlanError, RunError};
use voxtile::{Error, Output};
use voxtile_io::{CODEC_FORMS, Difference, Format, RemoteWork, Url, Work};

/// A line to stderr. Nobody may be listening; that is no failure.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Sends the library's log to stderr.
pub(crate) fn log(verbose: u8) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
}

/// Ends the process: says what went wrong, and answers with the exit code.
pub(crate) fn exit(outcome: Done, cli: &Cli) -> ExitCode {
    let failure = match outcome {
        Ok(Outcome::Done) | Err(Failure::Closed) => return ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => return ExitCode::from(1),
        Err(failure) => failure,
    };
    let interrupted = match &failure {
        Failure::Interrupted | Failure::ManyInterrupted { .. } => true,
        Failure::Library(error) => error.is_cancelled(),
        _ => false,
    };
    let code = if interrupted { 130 } else { 2 };
    let (message, hint) = explain(&failure, cli);
    if cli.global.json {
        let object = serde_json::json!({ "error": message, "hint": hint, "exit": code });
        // Nobody is left to tell if stdout is closed.
        let _ = crate::commands::print_json(&object);
        return ExitCode::from(code);
    }
    let mut out = if interrupted { message } else { format!("error: {message}") };
    if let Some(hint) = hint {
        out += &format!("\n\nhint: {hint}");
    }
    // Nobody is left to tell if stderr is closed.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), (out + "\n").as_bytes());
    ExitCode::from(code)
}

/// Ends the process where the command line itself is wrong, or asks for help: as clap words it, or as JSON.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let as_json = std::env::args_os().skip(1).take_while(|a| a != "--").any(|a| a == "--json");
    if error.use_stderr() && as_json {
        let text = error.render().to_string();
        let (message, hint) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let hint = Some(hint.trim()).filter(|h| !h.is_empty());
        let object = serde_json::json!({ "error": message, "hint": hint, "exit": 2 });
        let _ = crate::commands::print_json(&object);
    } else {
        // Nobody is left to tell if the stream is closed.
        let _ = error.print();
    }
    ExitCode::from(error.exit_code() as u8)
}

/// What went wrong with one of many images, without hints.
pub(crate) fn cause(error: &Error) -> String {
    library(error, &Words::default()).0
}

/// The words of the command line that hints repeat.
#[derive(Default)]
struct Words<'a> {
    input: Option<&'a Path>,
    output: Option<&'a Path>,
    /// Threads that were asked for.
    workers: Option<usize>,
    /// Whether the same command goes on with what was done.
    again: bool,
}

impl<'a> Words<'a> {
    fn of(cli: &'a Cli) -> Self {
        match &cli.command {
            Command::Run(a) => Self::new(&a.input, Some(&a.output), &a.engine.limits),
            Command::Convert(a) => Self::new(&a.input, Some(&a.output), &a.engine.limits),
            Command::Plan(a) => Self::new(&a.input, a.output.as_deref(), &a.engine.limits),
            Command::Work(_) | Command::Finish(_) => Self { again: true, ..Self::default() },
            Command::Info(a) => {
                Self { input: a.input.as_deref(), workers: a.limits.workers, ..Self::default() }
            }
            Command::Verify(a) => Self::new(&a.a, None, &a.limits),
            Command::Preview(a) => Self::new(&a.input, Some(&a.output), &a.limits),
            Command::Demo(a) => Self { output: Some(&a.dir), ..Self::default() },
            Command::Bench(a) => Self { workers: a.limits.workers, ..Self::default() },
            Command::Ops(_) | Command::Completions(_) => Self::default(),
        }
    }

    fn new(input: &'a Path, output: Option<&'a Path>, limits: &LimitArgs) -> Self {
        Self { input: Some(input), output, workers: limits.workers, again: false }
    }

    /// What became of the output: what is done of it stays, where a later run can go on with it.
    fn kept(&self) -> String {
        match self.output {
            Some(output) if can_go_on(output) => {
                format!("; what is done of `{}` is kept", output.display())
            }
            Some(output) if Output::to(output).path().exists() => {
                format!("; `{}` is as it was", output.display())
            }
            Some(output) => format!("; nothing was left at `{}`", output.display()),
            None if self.again => "; what is done is kept".to_owned(),
            None => String::new(),
        }
    }

    /// The command that goes on with what is kept.
    fn go_on(&self) -> Option<String> {
        if self.again {
            return Some("the same command goes on".to_owned());
        }
        self.output.filter(|output| can_go_on(output)).map(|_| format!("`{}` goes on", resume_command()))
    }

    fn input(&self) -> String {
        self.input.map_or_else(|| "INPUT".to_owned(), shell_word)
    }
}

/// Whether what is done of an output, as it was named, is kept.
fn can_go_on(output: &Path) -> bool {
    let output = Output::to(output);
    if Url::of(output.path()).is_ok_and(|url| url.is_some()) {
        return RemoteWork::can_go_on(output.path(), &remote());
    }
    Work::can_go_on(output.path())
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// This command, asked to go on with what an earlier run did.
fn resume_command() -> String {
    let said: Vec<String> = std::env::args().skip(1).collect();
    let kept = said.iter().filter(|arg| !["--overwrite", "--break-lock", "--resume"].contains(&arg.as_str()));
    let words: Vec<String> = kept.map(|arg| shell_word(Path::new(arg))).collect();
    format!("voxtile {} --resume", words.join(" "))
}

type Explained = (String, Option<String>);

fn explain(failure: &Failure, cli: &Cli) -> Explained {
    let words = Words::of(cli);
    match failure {
        Failure::Library(error) => library(error, &words),
        Failure::RecipeFile { path, source } if source.kind() == ErrorKind::NotFound => {
            (failure.to_string(), Some(elsewhere(path)))
        }
        Failure::RecipeFile { path, source } | Failure::File { path, source, .. } => {
            (failure.to_string(), os_hint(path, source.kind(), &words))
        }
        Failure::Chunk { needed, allowed } => (
            format!(
                "one chunk needs {} and `--memory` allows {}",
                text::bytes(*needed),
                text::bytes(*allowed)
            ),
            Some(format!("`--memory {}MiB` is enough", needed.div_ceil(1 << 20))),
        ),
        Failure::ManyImages { output, .. } => {
            let (stem, end) = (output.with_extension(""), output.extension().unwrap_or("zarr".as_ref()));
            let each = stem.join("{name}").with_extension(end);
            (failure.to_string(), Some(format!("`{}` makes one for each", shell_word(&each))))
        }
        Failure::ManyInterrupted { kept, .. } => {
            let go_on = kept.then(|| format!("`{}` goes on", resume_command()));
            let kept = if *kept { "; what is finished stays" } else { "; nothing was left" };
            (format!("{failure}{kept}"), go_on)
        }
        Failure::SameName { .. } => {
            (failure.to_string(), Some("run them one after the other, with other outputs".to_owned()))
        }
        Failure::NotPng { output } => {
            (failure.to_string(), Some(format!("`{}` makes one", with(output, "png"))))
        }
        Failure::NoVoxels { .. }
        | Failure::NoAxis { .. }
        | Failure::Position { .. }
        | Failure::LabelShape { .. } => {
            (failure.to_string(), Some(format!("`voxtile info {}` shows its axes and sizes", words.input())))
        }
        Failure::LabelType { .. } => (
            failure.to_string(),
            Some("make numbers of objects first, as with a recipe that ends in `label`".to_owned()),
        ),
        Failure::NoRecord { .. } => (
            failure.to_string(),
            Some(
                "images that `voxtile run` and `voxtile convert` write do, but not .npy files and tables"
                    .to_owned(),
            ),
        ),
        Failure::MadeOfDamage { .. } => {
            (failure.to_string(), Some("`--on-damage stop` makes outputs that can be".to_owned()))
        }
        Failure::InputChanged { .. } | Failure::OtherResult { .. } => {
            (failure.to_string(), Some(format!("`voxtile info {}` shows how it was made", words.input())))
        }
        Failure::KernelNotAllowed { digest, .. } => {
            let hint = match digest {
                Some(digest) => format!("read the file first; `--allow-kernel {digest}` runs it"),
                None => "there is no such file".to_owned(),
            };
            (failure.to_string(), Some(hint))
        }
        Failure::NoPlan { .. } => (
            failure.to_string(),
            Some("`voxtile plan INPUT RECIPE --output OUTPUT --save plan.json` writes one".to_owned()),
        ),
        Failure::NoPart | Failure::PartIndex { .. } => {
            (failure.to_string(), Some("`--part 0/4` names one, counted from 0".to_owned()))
        }
        Failure::Interrupted | Failure::Stdout(_) | Failure::Closed => (failure.to_string(), None),
    }
}

fn library(error: &Error, words: &Words<'_>) -> Explained {
    if let Some(io) = error.store() {
        let (message, hint) = store(io, words);
        // Where a run has failed, what helps against its cause comes first, then how to go on.
        let changed = matches!(io, IoError::Changed { .. });
        let go_on = words.go_on().filter(|_| matches!(error, Error::Run(_)) && !changed);
        let hint = match (hint, go_on) {
            (Some(hint), Some(go_on)) => Some(format!("{hint}; then {go_on}")),
            (hint, go_on) => hint.or(go_on),
        };
        return (message, hint);
    }
    match error {
        Error::Recipe(error) => (error.to_string(), recipe(error)),
        Error::Plan(error) => plan(error, words),
        Error::Run(error) => run(error, words),
        Error::Extension { output, .. } => (
            error.to_string(),
            Some(format!("`{}` makes a Zarr, `{}` a TIFF", with(output, "zarr"), with(output, "tif"))),
        ),
        Error::MakesTable { output, .. } => (
            error.to_string(),
            Some(format!("`{}` or `{}` can hold it", with(output, "csv"), with(output, "parquet"))),
        ),
        Error::MakesImage { .. } => (
            error.to_string(),
            Some("end the recipe with `measure`, or name an image and `--table` besides".to_owned()),
        ),
        Error::TwoTables { step, .. } => {
            (error.to_string(), Some(format!("leave out `--table`, or `{step}`")))
        }
        Error::NoImages { .. } => (
            error.to_string(),
            Some(
                "an input is an image, a folder of them, a quoted pattern as 'plate/*.tif', or a .txt with a path on each line"
                    .to_owned(),
            ),
        ),
        Error::NoLabels => (
            error.to_string(),
            Some("end the recipe with `label`, as in `threshold otsu | label`".to_owned()),
        ),
        Error::NoLabelImage { .. } => (
            error.to_string(),
            Some("end the recipe with `label`, as in `threshold otsu | label`; or leave `labels:` out".to_owned()),
        ),
        Error::LabelsBeside { path, .. } => (
            error.to_string(),
            Some(format!("labels lie on the voxels of level 0: `voxtile info {}` shows its axes and sizes", shell_word(path))),
        ),
        Error::NoParts { output } => (
            error.to_string(),
            Some(format!(
                "`{}` takes parts; `voxtile convert` makes one file of it",
                with(output, "zarr")
            )),
        ),
        Error::Device(_) => (
            format!("`--device cuda`: {error}"),
            Some("`--device cpu` needs no GPU and gives the same bits; `voxtile info --devices` shows what there is".to_owned()),
        ),
        Error::Sizes { axes, .. } => {
            (error.to_string(), Some(format!("give one number for all space axes, or up to {}", axes.len())))
        }
        _ => (error.to_string(), None),
    }
}

fn with(path: &Path, extension: &str) -> String {
    shell_word(&path.with_extension(extension))
}

fn store(error: &IoError, words: &Words<'_>) -> Explained {
    let input = words.input();
    match error {
        IoError::Damaged { store, chunk, region, problem } => (
            // `tile 8` of a TIFF says itself what it is; a key of a Zarr does not.
            match chunk.contains(' ') {
                true => format!("{chunk} of `{store}` is damaged\n  voxels {region}: {problem}"),
                false => format!("chunk `{chunk}` of `{store}` is damaged\n  voxels {region}: {problem}"),
            },
            Some(format!(
                "`voxtile verify {input}` lists every damaged chunk; `--on-damage fill` goes on with the fill value"
            )),
        ),
        IoError::Missing { path } => {
            let parent_of_output = words.output.and_then(Path::parent).is_some_and(|dir| dir == path);
            let hint = if parent_of_output {
                format!("make the directory first: `mkdir -p {}`", shell_word(path))
            } else {
                elsewhere(path)
            };
            (error.to_string(), Some(hint))
        }
        IoError::NotAnImage { .. } => (
            error.to_string(),
            Some("voxtile reads Zarr directories (v2, v3, OME-Zarr) and TIFF files".to_owned()),
        ),
        IoError::Pieces { .. } => (
            error.to_string(),
            Some(
                "'z{z}_c{c}.tif' numbers the files of one image: all of one size and type, each number once, none left out; \
                 `*` and `?` stand for what does not matter"
                    .to_owned(),
            ),
        ),
        IoError::Unsupported { feature, .. } => (error.to_string(), unsupported(feature)),
        IoError::Header { .. } => (
            error.to_string(),
            Some("copy the file again from where it came from: its header cannot be right".to_owned()),
        ),
        IoError::Exists { .. } => (error.to_string(), Some("`--overwrite` replaces it".to_owned())),
        IoError::Locked { foreign, .. } => (
            error.to_string(),
            Some(match foreign {
                false => "wait for it, or end it: what it has done is kept for `--resume`".to_owned(),
                true => "if that process is no more, `--break-lock` takes the output over".to_owned(),
            }),
        ),
        IoError::Unfinished { .. } => {
            (error.to_string(), Some(format!("`{}` goes on, `--overwrite` starts afresh", resume_command())))
        }
        IoError::Differs { what, .. } => {
            let mut message = error.to_string();
            for Difference { what, was, is } in what {
                let _ = write!(message, "\n  {what}: was {was}, is {is}");
            }
            (message, Some(differs(what)))
        }
        IoError::Changed { image, file, what } => {
            let mut message = error.to_string();
            if file != image {
                let _ = write!(message, ": `{}`", file.display());
            }
            for Difference { what, was, is } in what {
                let _ = write!(message, "\n  {what}: was {was}, is {is}");
            }
            (message, Some("start again with `--overwrite` when it is as it shall be".to_owned()))
        }
        IoError::Option { option: "OUTPUT", why } => (
            format!("the output {why}"),
            Some("choose another place for the output, beside the input".to_owned()),
        ),
        IoError::Option { option, .. } => (error.to_string(), option_hint(option, words)),
        IoError::NoSuch { what, found, .. } => {
            let list = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
            (error.to_string(), Some(format!("there is: {list} (`--{what}` chooses)")))
        }
        IoError::Remote { url, problem, .. } => (error.to_string(), remote_hint(url, problem)),
        IoError::ReadOnly { .. } => {
            (error.to_string(), Some("write to a directory, or to an s3://, gs:// or az:// place".to_owned()))
        }
        IoError::Io { path, source, .. } => (error.to_string(), os_hint(path, source.kind(), words)),
        _ => (error.to_string(), None),
    }
}

/// What helps where an output was begun with another plan.
fn differs(what: &[Difference]) -> String {
    let cut = what.iter().all(|difference| difference.what == "work");
    match cut {
        true => "the work is cut by `--memory`, `--workers` and `--tile`: give those of the first run; or `--overwrite` starts afresh".to_owned(),
        false => "give the words and the input of the first run; or `--overwrite` starts afresh".to_owned(),
    }
}

fn unsupported(feature: &Feature) -> Option<String> {
    Some(match feature {
        Feature::Codec(_) => {
            "write the image again with a codec that every reader has, such as zstd, gzip or blosc for Zarr, or \
             deflate for TIFF"
                .to_owned()
        }
        Feature::AxisOrder(_) | Feature::Rank(_) => "`--axes` names the axes, as in `--axes tyx`".to_owned(),
        Feature::Dtype(_) => {
            format!("the sample types are {}", voxtile::op::Dtype::ALL.map(voxtile::op::Dtype::name).join(", "))
        }
        Feature::Program(_) => {
            "bioformats2raw makes an OME-Zarr of it, QuPath and Bio-Formats an OME-TIFF: voxtile reads both".to_owned()
        }
        _ => return None,
    })
}

fn option_hint(option: &str, words: &Words<'_>) -> Option<String> {
    let tiff = words.output.filter(|p| matches!(Format::from_path(p), Format::Tiff | Format::Npy));
    if let (Some(output), "--shard" | "--zarr-format" | "--ome") = (tiff, option) {
        return Some(format!("`{}` makes a Zarr", with(output, "zarr")));
    }
    match option {
        "--overwrite" => {
            Some("`--overwrite` replaces images only: choose another place for the output".to_owned())
        }
        "--axes" => {
            Some("give one letter of tczyx for each axis of the array, as in `--axes zyx`".to_owned())
        }
        "--pyramid=input" => Some("`--pyramid` makes levels anew".to_owned()),
        "--ome" => Some(
            "leave `--ome` or `--zarr-format` out: 0.4 is written in Zarr v2, 0.5 and 0.6 in v3".to_owned(),
        ),
        "labels" => {
            Some("`labels:image.zarr/cells` is the label image `cells` of the OME-Zarr image.zarr".to_owned())
        }
        "--codec" => Some(format!("the codecs are {CODEC_FORMS}")),
        "--keep-jpeg" => Some(
            "without `--keep-jpeg` tiles are decoded, and written as `--codec` says: deflate and zstd lose nothing, \
             jpeg:95:444 little"
                .to_owned(),
        ),
        "--shard" => {
            Some("a shard is a whole number of chunks along every axis: `--chunk 64 --shard 256`".to_owned())
        }
        _ => None,
    }
}

fn plan(error: &PlanError, words: &Words<'_>) -> Explained {
    match error {
        PlanError::Budget { step, smallest, allowed, tile, input, output } => {
            let (needs, allows) = (text::bytes(*smallest), text::bytes(*allowed));
            let mut message = format!("this plan needs {needs} and `--memory` allows {allows}");
            let sizes = text::sizes(tile);
            let (read, made) = (text::bytes(*input), text::bytes(*output));
            let step = if step.is_empty() { "copy".to_owned() } else { step.clone() };
            let _ =
                write!(message, "\n  largest step: {step}: a tile of {sizes} reads {read} and makes {made}");
            let memory = format!("`--memory {}MiB` is the smallest that works", smallest.div_ceil(1 << 20));
            // More threads than cores need memory and save no time.
            let cores = voxtile::machine::default_workers();
            let hint = match words.workers.filter(|workers| *workers > cores) {
                Some(_) => format!("`--workers {cores}` are as many as there are cores, and need less; else {memory}"),
                None => memory,
            };
            (message, Some(hint))
        }
        PlanError::TooLarge { .. } => (
            error.to_string(),
            Some(
                "`--chunk` and `--tile` of at least 256 make fewer, or `voxtile convert` the input to larger chunks; more \
                 `--memory` holds a longer list"
                    .to_owned(),
            ),
        ),
        PlanError::Graph(error) => (error.to_string(), None),
        PlanError::NeedsDevice { .. } => (
            error.to_string(),
            Some("`--device cuda` takes the first GPU; `voxtile info --devices` shows what there is".to_owned()),
        ),
        PlanError::Device { source, .. } => {
            let hint = match source.downcast_ref() {
                Some(DeviceError::Source { .. }) => "docs/own-kernels.md shows what a function is given and gives",
                Some(DeviceError::NoCompiler { .. }) => {
                    "install NVRTC, as by `pip install nvidia-cuda-nvrtc-cu12`, and say where it is with NVRTC_LIB=…/libnvrtc.so.12"
                }
                _ => "`voxtile info --devices` shows what there is",
            };
            (error.to_string(), Some(hint.to_owned()))
        }
        PlanError::Level(_) => (format!("--pyramid: {error}"), None),
    }
}

fn run(error: &RunError, words: &Words<'_>) -> Explained {
    let kept = || words.kept();
    match error {
        RunError::Cancelled { done, total } => (
            format!(
                "interrupted after {} of {}{}",
                text::count(*done),
                text::counted(*total, "tile"),
                kept()
            ),
            words.go_on(),
        ),
        RunError::Objects { step, bytes, planned, allowed } => (
            format!(
                "`{step}` found so many objects that they take {} beside the {} that are planned; `--memory` allows {}{}",
                text::bytes(*bytes),
                text::bytes(*planned),
                text::bytes(*allowed),
                kept()
            ),
            Some(
                "smooth or threshold first, so that noise makes no objects; or give more with `--memory`"
                    .to_owned(),
            ),
        ),
        RunError::Memory { .. } => (
            error.to_string(),
            Some("give less with `--memory`, or end other programs: the machine had no more".to_owned()),
        ),
        RunError::Device { source, .. } => {
            let hint = match source.downcast_ref() {
                Some(DeviceError::OutOfMemory { .. }) => {
                    "a smaller `--tile` needs less; `--device cpu` needs no GPU"
                }
                _ => "`--device cpu` needs no GPU and gives the same bits; please report a kernel that fails",
            };
            let go_on = words.go_on().map_or_else(String::new, |go_on| format!("{go_on}; "));
            (format!("{error}{}", kept()), Some(format!("{go_on}{hint}")))
        }
        RunError::Journal { source } => (format!("{error}: {source}{}", kept()), words.go_on()),
        RunError::Panicked { .. } => (
            format!("{error}\n  this is a bug in voxtile"),
            Some("please report it, with the command line and the output of `voxtile info`".to_owned()),
        ),
        RunError::Read { source, .. }
        | RunError::Write { source, .. }
        | RunError::Finish { source }
        | RunError::Spill { source } => (format!("{error}: {source}"), None),
        RunError::Trace { path, source } => {
            (error.to_string(), os_hint(path, source.kind(), &Words::default()))
        }
        _ => (error.to_string(), None),
    }
}
