//! The command line, as clap reads it. Help, completions and errors all come from here.

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};
use std::path::PathBuf;
use std::str::FromStr;
use voxtile::{Device, OmeVersion, OnDamage, Reduction};
use voxtile_io::{AxisOrder, BadCodec, CODEC_FORMS, Codec, Durability, RawType};
use voxtile_sched::model::{Axis, AxisSet, Border, Dtype};

const EXAMPLES: &str = "\
Examples:
  voxtile demo                                        see it work, without a file of your own
  voxtile info scan.ome.zarr
  voxtile run scan.ome.zarr blurred.zarr 'gaussian sigma=2'
  voxtile run slide.tif edges.zarr 'gray | sobel'
  voxtile plan scan.ome.zarr 'tophat size=15' --memory 1GiB
  voxtile preview scan.ome.zarr look.png --project max
  voxtile convert stack.tif stack.ome.zarr --chunk 64 --shard 256 --codec zstd:3";

const RECIPE_HELP: &str = "\
A recipe is a list of steps with `|` between them; each works on the result of the one before:

  'gaussian sigma=2 | threshold value=900'
  'gaussian sigma=4 as g | tophat size=15 on=g'

`key=value` sets a parameter, the first one may stand without its name (`gaussian 2`), `as NAME` names a result,
`on=NAME` reads it, `input` is the image. `voxtile ops` lists the operations, `voxtile ops NAME` explains one.";

const PARTS_HELP: &str = "\
Parts of one plan, as processes that see the same files:

  voxtile plan scan.zarr 'gaussian sigma=2' --output blurred.zarr --save plan.json
  voxtile work plan.json --part 0/4     # and 1/4, 2/4, 3/4, at the same time, here or elsewhere
  voxtile finish plan.json              # when they have ended

A part that died is run again, and goes on where it was. Where `plan --save` says that there are more rounds, the parts may
run again before the end; what they have not done, `finish` does. docs/cluster has scripts for Slurm, Kubernetes and AWS Batch.";

/// Process images larger than memory, tile by tile, with the same bits as the whole image at once.
#[derive(Debug, Parser)]
#[command(name = "voxtile", version, max_term_width = 100, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Global {
    /// Print one JSON object to stdout instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print the plan too, and log what happens; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Process an image
    #[command(after_help = RECIPE_HELP, override_usage = "voxtile run [OPTIONS] <INPUT> <OUTPUT> <RECIPE>")]
    Run(Run),
    /// Copy an image into other chunks, another codec or another format
    Convert(Convert),
    /// Show what a run would do, without doing it; or save it, to be done in parts by several processes
    #[command(after_help = RECIPE_HELP, override_usage = "voxtile plan [OPTIONS] <INPUT> <RECIPE>")]
    Plan(Plan),
    /// Do one part of a saved plan
    #[command(after_help = PARTS_HELP)]
    Work(Work),
    /// Complete the output of a saved plan when its parts are done; what a part has not done is done now
    #[command(after_help = PARTS_HELP)]
    Finish(Finish),
    /// Show what an image is
    Info(Info),
    /// Decode every chunk of an image and check its metadata, levels and labels; or compare it with a second one
    Verify(Verify),
    /// Draw a plane or a projection of an image as a PNG
    Preview(Preview),
    /// List the operations, or explain one
    Ops(Ops),
    /// Measure the CPU against the GPU over sizes of images, in memory: from which size the GPU pays
    Bench(Bench),
    /// Run the main job on a small real image that comes with the program
    Demo(Demo),
    /// Print the completions of a shell: `source <(voxtile completions bash)`
    Completions(Completions),
}

impl Command {
    /// How the command reads, if it does.
    pub(crate) fn read(&self) -> Option<&ReadArgs> {
        match self {
            Self::Run(args) => Some(&args.read),
            Self::Convert(args) => Some(&args.read),
            Self::Plan(args) => Some(&args.read),
            Self::Info(args) => Some(&args.read),
            Self::Verify(args) => Some(&args.read),
            Self::Preview(args) => Some(&args.read),
            Self::Work(_)
            | Self::Finish(_)
            | Self::Bench(_)
            | Self::Ops(_)
            | Self::Demo(_)
            | Self::Completions(_) => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Image to read: Zarr, TIFF, .npy, PNG or JPEG; numbered files of one image, as 'z{z}.tif'; or many images: a quoted
    /// pattern, a folder, a .txt that lists them. Zarr, TIFF and .npy also from s3://, gs://, az://, http(s)://
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// Image to make: TIFF if it ends in .tif or .tiff, NumPy if in .npy, else Zarr, also to s3://, gs://, az://;
    /// `labels:IMAGE/NAME` is the label image NAME of the OME-Zarr IMAGE; of a recipe that ends in a table, .csv or .parquet;
    /// of many images, `{name}` in it stands for the name of each
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Also measure the objects of the result, a label image, into a .csv or .parquet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) table: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// Image to read: Zarr, TIFF, .npy, PNG or JPEG; numbered files of one image, as 'z{z}.tif'; or many images: a quoted
    /// pattern, a folder, a .txt that lists them. Zarr, TIFF and .npy also from s3://, gs://, az://, http(s)://
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// Image to make: TIFF if it ends in .tif or .tiff, NumPy if in .npy, else Zarr, also to s3://, gs://, az://; of many
    /// images, `{name}` in it stands for the name of each
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    /// Copy a whole Zarr hierarchy: every array, group and attribute. Chunks are copied byte for byte where nothing but
    /// the version of Zarr changes
    #[arg(long, conflicts_with_all = ["level", "array", "axes", "raw_shape", "dtype", "pyramid", "tile", "border", "trace",
        "crop", "range", "keep_jpeg", "stack"])]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Changing")]
pub(crate) struct ChangeArgs {
    /// Part to keep: half-open ranges in voxels over the last axes, as 10:20,:,0:512
    #[arg(long, value_name = "RANGES")]
    pub(crate) crop: Option<String>,
    /// Values that become the ends of `--dtype` (0 and 1 of floats), the others between and beyond in proportion, rounded
    /// once and saturating
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_range, requires = "dtype", allow_hyphen_values = true)]
    pub(crate) range: Option<(f64, f64)>,
    /// Copy the tiles of a JPEG slide and of its levels into an OME-TIFF as they are, without decoding them; `--crop`
    /// begins at whole tiles
    #[arg(long, conflicts_with_all = ["range", "chunk", "shard", "codec", "dtype", "zarr_format", "pyramid", "raw_shape",
        "stack", "rgb", "border", "tile", "trace"])]
    pub(crate) keep_jpeg: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Image to read: Zarr, TIFF, .npy, PNG or JPEG; or many, as for `run`
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Save the plan to a file, for `work` and `finish`
    #[arg(long, value_name = "FILE", requires = "output", value_hint = ValueHint::FilePath)]
    pub(crate) save: Option<PathBuf>,
    /// Image or table that a saved plan makes, as for `run`
    #[arg(long, value_name = "OUTPUT", requires = "save", value_hint = ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Work {
    /// Plan that `plan --save` wrote
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Which part, counted from 0, of how many: 2/8
    #[arg(long, value_name = "I/N", conflicts_with = "parts", required_unless_present = "parts", value_parser = parse_part)]
    pub(crate) part: Option<(u32, u32)>,
    /// How many parts; which one is said by SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or AWS_BATCH_JOB_ARRAY_INDEX, from 0
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) parts: Option<u32>,
    /// Take over a part that a process on another machine holds
    #[arg(long)]
    pub(crate) break_lock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Finish {
    /// Plan that `plan --save` wrote
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Take over what processes on another machine hold
    #[arg(long)]
    pub(crate) break_lock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// Image to look at; or many, as for `run`
    #[arg(value_hint = ValueHint::AnyPath, required_unless_present = "devices")]
    pub(crate) input: Option<PathBuf>,
    /// Show instead what there is to compute on, or why there is no GPU
    #[arg(long, conflicts_with = "input")]
    pub(crate) devices: bool,
    /// Also read every voxel: ends, mean, standard deviation and percentiles, of each channel
    #[arg(long)]
    pub(crate) stats: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Image to check
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) a: PathBuf,
    /// Image that must have the same shape, sample type and voxels
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) b: Option<PathBuf>,
    /// Instead make that many random regions again, by the recipe and of the input that the output records, and compare
    #[arg(long, value_name = "N", conflicts_with_all = ["b", "strict"], value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// Chooses the regions of `--sample`
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sample")]
    pub(crate) seed: u64,
    /// Run the code of the user's own that the output records (`kernel file=`), if its SHA-256 is this
    #[arg(long, value_name = "HASH", requires = "sample")]
    pub(crate) allow_kernel: Vec<String>,
    /// Count as findings also what OME-Zarr advises, and chunks that are not stored
    #[arg(long, conflicts_with = "b")]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Preview {
    /// Image to look at; or many, as for `run`
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// Picture to make, a .png; of many images, `{name}` in it and in `--labels` stands for the name of each
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Slice across z, counted from 0 in voxels of the finest level, or of `--level` [default: the middle]
    #[arg(long, value_name = "N", group = "cut")]
    pub(crate) z: Option<u64>,
    /// Slice across y: x to the right, z downwards
    #[arg(long, value_name = "N", group = "cut")]
    pub(crate) y: Option<u64>,
    /// Slice across x: y to the right, z downwards
    #[arg(long, value_name = "N", group = "cut")]
    pub(crate) x: Option<u64>,
    /// Project instead: max, mean, min, std, median, … (`voxtile ops project`)
    #[arg(long, value_name = "METHOD", group = "cut")]
    pub(crate) project: Option<String>,
    /// Axis of the projection, or of the slice in the middle [default: z]
    #[arg(long, value_name = "AXIS", value_parser = parse_space_axis, conflicts_with_all = ["z", "y", "x"])]
    pub(crate) along: Option<Axis>,
    /// Time point, from 0 [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) t: Option<u64>,
    /// Channels, from 0, as 0,2 [default: the first six]
    #[arg(long, value_name = "LIST")]
    pub(crate) channel: Option<Numbers>,
    /// Percentiles of what is drawn that become black and bright, for each channel [default: 1,99.8; none for colours of
    /// 8 bits]
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_percents)]
    pub(crate) contrast: Option<(f64, f64)>,
    /// Values that become black and bright, instead of percentiles
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_range, conflicts_with = "contrast", allow_hyphen_values = true)]
    pub(crate) range: Option<(f64, f64)>,
    /// Label image to draw over it, each object in its colour
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) labels: Option<PathBuf>,
    /// Pixels of the picture's longer side, at most
    #[arg(long, value_name = "PIXELS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) size: u32,
    /// Draw no scale bar
    #[arg(long)]
    pub(crate) no_scale_bar: bool,
    /// Replace a picture that exists at OUTPUT
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Ops {
    /// Operation to explain
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Directory to make
    #[arg(default_value = "voxtile-demo", value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
    /// Replace the directory's images if they exist
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[group(id = "recipe_source", required = true, multiple = false)]
pub(crate) struct RecipeArgs {
    /// Steps, as in 'gaussian sigma=2 | threshold value=900'
    #[arg(value_name = "RECIPE")]
    pub(crate) text: Option<String>,
    /// Read the steps from a TOML file
    #[arg(long = "recipe", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct ReadArgs {
    /// Resolution level of a pyramid, 0 is the finest [default: 0; of `preview` the coarsest that fills the picture]
    #[arg(long, value_name = "N")]
    pub(crate) level: Option<usize>,
    /// Array inside a Zarr group, number of an image of a TIFF, or what it shows of a slide: macro, label, thumbnail
    #[arg(long, value_name = "PATH")]
    pub(crate) array: Option<String>,
    /// Axes to use instead of those that the file names: letters of tczyx
    #[arg(long, value_name = "AXES", value_parser = parse_axes)]
    pub(crate) axes: Option<AxisSet>,
    /// Colours for looking: palettes and inks of a TIFF as red, green and blue, grays with 0 for black, no alpha
    #[arg(long)]
    pub(crate) rgb: bool,
    /// Take the files that a pattern or folder names for one image, in the order of their names, along this axis: t, c or z
    #[arg(long, value_name = "AXIS", value_parser = parse_stack_axis, conflicts_with_all = ["raw_shape", "level"])]
    pub(crate) stack: Option<Axis>,
    /// Take INPUT for bare voxels of that size, slowest axis first, as 100,512,512
    #[arg(long, value_name = "SIZES", requires = "raw_dtype")]
    pub(crate) raw_shape: Option<Sizes>,
    /// Sample type of bare voxels: u8, u16, f32, …, f16, bool, or with a byte order as >u2, <f4
    #[arg(long, value_name = "TYPE", requires = "raw_shape")]
    pub(crate) raw_dtype: Option<RawType>,
    /// Bytes before the first of the bare voxels
    #[arg(long, value_name = "BYTES", default_value_t = 0, requires = "raw_shape")]
    pub(crate) raw_offset: u64,
    /// Server of s3://, gs:// and az:// places, to read and to write, as http://127.0.0.1:9000 [default: that of Amazon,
    /// Google, Microsoft]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_server)]
    pub(crate) endpoint: Option<String>,
    /// Reach them without credentials, as public data allow [default: with those of the environment]
    #[arg(long)]
    pub(crate) anonymous: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Writing")]
pub(crate) struct WriteArgs {
    /// Output chunk; one number for all space axes, or z,y,x [default: the input's, else 512² in 2-D, 128³ in 3-D]
    #[arg(long, value_name = "SIZES")]
    pub(crate) chunk: Option<Sizes>,
    /// Order of a TIFF's planes or a .npy file's axes, the outermost first: letters of tczyx, as zyxc [default: tczyx]
    #[arg(long, value_name = "AXES")]
    pub(crate) axis_order: Option<AxisOrder>,
    /// Output shard: that many voxels of several chunks in one file (Zarr v3), or `none` [default: the input's]
    #[arg(long, value_name = "SIZES")]
    pub(crate) shard: Option<Shard>,
    /// Output codec [default: the input's, else blosc-zstd:3:bitshuffle for Zarr, deflate for TIFF]
    #[arg(long, value_name = "CODEC", value_parser = parse_codec, long_help = codec_help())]
    pub(crate) codec: Option<Codec>,
    /// Convert the result to this sample type, rounding once and saturating: u8, u16, f32, …
    #[arg(long, value_name = "TYPE", value_parser = parse_dtype)]
    pub(crate) dtype: Option<Dtype>,
    /// Version of the Zarr format of the output
    #[arg(long, value_name = "VERSION", value_parser = ["2", "3"])]
    pub(crate) zarr_format: Option<String>,
    /// Version of OME-Zarr that describes the output: 0.4 (in Zarr v2), 0.5, 0.6 [default: 0.5; 0.4 with --zarr-format 2]
    #[arg(long, value_name = "VERSION", value_parser = parse_ome)]
    pub(crate) ome: Option<OmeVersion>,
    /// Write smaller versions too, the levels of an OME-Zarr, each made of the one before by mean, gaussian, max, mode
    /// or stride [default: mean; mode for labels and masks]; or `input`, copies of the input's levels
    #[arg(long, value_name = "METHOD", num_args = 0..=1, require_equals = true)]
    pub(crate) pyramid: Option<Option<Levels>>,
    /// Voxels per block from level to level; one number for all space axes, or z,y,x [default: 2, toward voxels of equal
    /// edges]
    #[arg(long, value_name = "SIZES", requires = "pyramid")]
    pub(crate) pyramid_factor: Option<Sizes>,
    /// Make levels until no space axis is longer than this
    #[arg(long, value_name = "VOXELS", default_value_t = 256, requires = "pyramid", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pyramid_until: u64,
    /// Replace an image that exists at OUTPUT
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Go on where an earlier run of the same command was stopped; where there was none, start afresh
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// When what is written counts as done, should the machine stop: none: when the system has it; data: when the data is on
    /// disk; full: the names of files too
    #[arg(long, value_name = "LEVEL", default_value = "none")]
    pub(crate) durability: Durability,
    /// Take over an OUTPUT that a process on another machine holds
    #[arg(long)]
    pub(crate) break_lock: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Most memory the process may take, as 512MiB [default: half of what the machine or cgroup has]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) memory: Option<u64>,
    /// Worker threads [default: the cores this process may use]
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub(crate) workers: Option<usize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Where to compute: auto, cpu, cuda, cuda:0,1 (several GPUs share the tiles); never changes the result
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Most memory to take of each GPU, as 4GiB [default: nine tenths of what is free]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) gpu_memory: Option<u64>,
    /// Compute tile; one number for all space axes, or z,y,x; never changes the result [default: by cost]
    #[arg(long, value_name = "SIZES")]
    pub(crate) tile: Option<Sizes>,
    /// What to do about a chunk of INPUT that cannot be decoded: stop; fill: its voxels count as the fill value; skip: as
    /// fill, and output chunks made of them hold 0. Damaged chunks are listed, and the exit code is 1
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_damage: OnDamage,
    /// What stands beyond the image's edge, for steps without border=: reflect, constant, nearest, mirror, wrap
    #[arg(long, value_name = "MODE", value_parser = parse_border)]
    pub(crate) border: Option<Border>,
    /// Write a trace for chrome://tracing that shows reading, computing and writing of every tile
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Operation or recipe, as 'gaussian 2 | threshold otsu' [default: some of each kind]
    pub(crate) recipe: Option<String>,
    /// Edges of the cubes of u16 noise that are measured
    #[arg(long, value_name = "VOXELS", value_delimiter = ',', default_values_t = [64, 128, 256, 512])]
    pub(crate) sizes: Vec<usize>,
    /// Runs of each, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: u32,
    /// Where to compute beside the CPU: auto (the first GPU, if there is one), cpu (nowhere), cuda, cuda:0,1
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Write the figures as a table of comma-separated values
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) csv: Option<PathBuf>,
    /// Draw the curves as an SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// How smaller versions are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Levels {
    By(Reduction),
    OfInput,
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "input" => Ok(Self::OfInput),
            other => other.parse().map(Self::By).map_err(|why: String| format!("{why}; `input` copies them")),
        }
    }
}

/// Sizes in voxels: one for all space axes, or one for each of the last axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(pub(crate) Vec<u64>);

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = |t: &str| t.trim().parse::<u64>().ok().filter(|&n| n > 0);
        let sizes: Option<Vec<u64>> = text.split(',').map(size).collect();
        sizes
            .filter(|s| s.len() <= 5)
            .map(Self)
            .ok_or_else(|| "sizes are whole numbers of 1 or more, at most 5, as 64 or 64,256,256".to_owned())
    }
}

/// Whole numbers from 0, each at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) Vec<u64>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u64>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
        let once = |list: &Vec<u64>| (1..list.len()).all(|n| !list[..n].contains(&list[n]));
        numbers
            .filter(once)
            .map(Self)
            .ok_or_else(|| "whole numbers from 0, each once, as 0 or 0,2".to_owned())
    }
}

/// A shard's sizes, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard(pub(crate) Vec<u64>);

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self(Vec::new())) } else { text.parse().map(|s: Sizes| Self(s.0)) }
    }
}

fn codec_help() -> String {
    format!(
        "Output codec: {CODEC_FORMS}\n\n[default: the input's, else blosc-zstd:3:bitshuffle for Zarr, deflate for TIFF]"
    )
}

/// A server's address.
fn parse_server(text: &str) -> Result<String, String> {
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err("a server is named as http://127.0.0.1:9000".to_owned()),
    }
}

fn parse_part(text: &str) -> Result<(u32, u32), String> {
    let part = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    part.filter(|(i, n)| i < n).ok_or_else(|| "a part and how many there are, from 0/4 to 3/4".to_owned())
}

fn parse_axes(text: &str) -> Result<AxisSet, String> {
    AxisSet::parse(text)
        .filter(|set| !set.is_empty())
        .ok_or_else(|| "axes are letters of tczyx in this order, as cyx".to_owned())
}

fn parse_space_axis(text: &str) -> Result<Axis, String> {
    Axis::from_name(text).filter(|axis| axis.is_space()).ok_or_else(|| "one of z, y, x".to_owned())
}

fn parse_stack_axis(text: &str) -> Result<Axis, String> {
    Axis::from_name(text)
        .filter(|a| !matches!(a, Axis::Y | Axis::X))
        .ok_or_else(|| "one of t, c, z".to_owned())
}

/// Two finite numbers, the second one greater.
fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let number = |t: &str| t.trim().parse().ok().filter(|v: &f64| v.is_finite());
    let pair = text.split_once(',').and_then(|(low, high)| Some((number(low)?, number(high)?)));
    pair.filter(|(low, high)| low < high).ok_or_else(|| "two rising numbers, as 100,4000".to_owned())
}

fn parse_percents(text: &str) -> Result<(f64, f64), String> {
    let pair = parse_range(text).ok().filter(|(low, high)| *low >= 0.0 && *high <= 100.0);
    pair.ok_or_else(|| "two rising numbers from 0 to 100, as 1,99.8".to_owned())
}

fn parse_codec(text: &str) -> Result<Codec, String> {
    text.parse().map_err(|e: BadCodec| e.why)
}

fn parse_dtype(text: &str) -> Result<Dtype, String> {
    Dtype::from_name(text)
        .ok_or_else(|| format!("sample types are {}", Dtype::ALL.map(Dtype::name).join(", ")))
}

fn parse_ome(text: &str) -> Result<OmeVersion, String> {
    OmeVersion::ALL.into_iter().find(|v| v.name() == text).ok_or_else(|| {
        format!("versions of OME-Zarr are {}", OmeVersion::ALL.map(OmeVersion::name).join(", "))
    })
}

fn parse_border(text: &str) -> Result<Border, String> {
    Border::from_name(text, 0.0).ok_or_else(|| format!("border rules are {}", Border::NAMES.join(", ")))
}

fn parse_workers(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "a whole number of 1 or more".to_owned())
}

/// Reads `512MiB`, `1.5G`, `2GB`, `800000000`. A bare letter is a power of 1024, as in `ulimit` and containers.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || "a number of bytes, as 512MiB, 1.5GiB or 2GB".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let factor: f64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1_048_576.0,
        "g" | "gib" => 1_073_741_824.0,
        "t" | "tib" => 1_099_511_627_776.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return Err(wrong()),
    };
    let bytes = value * factor;
    if bytes.is_finite() && bytes >= 1.0 { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_take_units() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5g"), Ok(3 << 29));
        assert_eq!(parse_bytes("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_bytes("800"), Ok(800));
        for bad in ["", "GiB", "-1", "1.5 apples", "nan", "inf", "0"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_positive() {
        assert_eq!("64, 256,256".parse(), Ok(Sizes(vec![64, 256, 256])));
        assert_eq!("none".parse(), Ok(Shard(Vec::new())));
        for bad in ["", "0", "64,", "-3", "a", "1,2,3,4,5,6"] {
            assert!(bad.parse::<Sizes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_recipe_is_given_once() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["voxtile"], args].concat());
        assert!(parse(&["run", "a", "b", "invert"]).is_ok());
        assert!(parse(&["run", "a", "b", "--recipe", "r.toml"]).is_ok());
        assert!(parse(&["run", "a", "b"]).is_err());
        assert!(parse(&["run", "a", "b", "invert", "--recipe", "r.toml"]).is_err());
    }
}
