//! What can go wrong with a store. One enum for the crate, fields instead of sentences; the application chooses the
//! hint from the variant.

use std::path::PathBuf;
use voxtile_sched::model::Region;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// There is nothing at that path.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// There is something, but no image that we know.
    #[error("`{store}` is not an image that voxtile reads: {why}")]
    NotAnImage {
        /// The store.
        store: String,
        /// What was found instead.
        why: String,
    },
    /// Files that do not make one image.
    #[error("`{store}` is not one image: {why}")]
    Pieces {
        /// The pattern or folder.
        store: String,
        /// What is missing, doubled or different.
        why: String,
    },
    /// A valid file that needs something we cannot do (yet).
    #[error("`{store}` uses {feature}, which voxtile does not read")]
    Unsupported {
        /// The store.
        store: String,
        /// What it uses.
        feature: Feature,
    },
    /// Metadata that contradict themselves or are absurd.
    #[error("the header of `{store}` is damaged: {field} {problem}")]
    Header {
        /// The store.
        store: String,
        /// Which field: a JSON key, a TIFF tag.
        field: String,
        /// The numbers that disagree.
        problem: String,
    },
    /// A chunk that cannot be decoded.
    #[error("chunk `{chunk}` of `{store}` is damaged ({region}): {problem}")]
    Damaged {
        /// The store.
        store: String,
        /// Key of the chunk in the store, or number of the TIFF tile.
        chunk: String,
        /// The voxels that it holds.
        region: Region,
        /// What is wrong, with the numbers.
        problem: Damage,
    },
    /// The output exists.
    #[error("`{}` exists", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// Another process writes to the output.
    #[error("`{}` is being written by process {pid} on {host}", output.display())]
    Locked {
        /// The output.
        output: PathBuf,
        /// Where that process runs.
        host: String,
        /// Its number.
        pid: u32,
        /// Whether it may be no more: it runs on another machine.
        foreign: bool,
    },
    /// A run into the output was stopped.
    #[error("a run into `{}` was stopped and can go on", output.display())]
    Unfinished {
        /// The output.
        output: PathBuf,
    },
    /// The output is that of another plan.
    #[error("`{}` was begun with another plan", output.display())]
    Differs {
        /// The output.
        output: PathBuf,
        /// What differs.
        what: Vec<crate::Difference>,
    },
    /// The image was changed while it was read.
    #[error("`{}` was changed while it was read", image.display())]
    Changed {
        /// The image.
        image: PathBuf,
        /// The file that was changed last, or the image itself.
        file: PathBuf,
        /// What differs.
        what: Vec<crate::Difference>,
    },
    /// The store can be read only.
    #[error("`{store}` can be read, not written")]
    ReadOnly {
        /// The store.
        store: String,
    },
    /// Options that the format cannot satisfy.
    #[error("{option}: {why}")]
    Option {
        /// The option as the user writes it: `--codec`.
        option: &'static str,
        /// What does not fit.
        why: String,
    },
    /// The level, array or series asked for does not exist.
    #[error("`{store}` has no {what} `{asked}`")]
    NoSuch {
        /// The store.
        store: String,
        /// `level`, `array`.
        what: &'static str,
        /// What was asked for.
        asked: String,
        /// What exists.
        found: Vec<String>,
    },
    /// There are several things to open, and none was named.
    #[error("`{store}` holds {} of them; one {what} must be named", found.len())]
    Choose {
        /// The store.
        store: String,
        /// `array`, `series`.
        what: &'static str,
        /// What exists.
        found: Vec<String>,
    },
    /// The machine has not that much memory.
    #[error("cannot get {bytes} bytes of memory")]
    Memory {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A store on the network did not do what it was asked.
    #[error("cannot {action} `{url}`: {problem}")]
    Remote {
        /// `read`, `write`, `list`, `open`, `remove`.
        action: &'static str,
        /// The place, without anything secret.
        url: String,
        /// What stood in the way.
        problem: RemoteProblem,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Its word.
        source: std::io::Error,
    },
}

/// What is wrong with a damaged chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A checksum does not fit.
    #[error("stored {kind} {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// `crc32c`, `adler32`, `fletcher32`.
        kind: &'static str,
        /// In the file.
        stored: u32,
        /// From the bytes.
        computed: u32,
    },
    /// It decodes to another number of bytes.
    #[error("decodes to {got} bytes instead of {want}")]
    Length {
        /// Bytes that came out.
        got: u64,
        /// Bytes that the metadata promise.
        want: u64,
    },
    /// The file ends before the chunk does.
    #[error("the file holds {got} of its {want} bytes")]
    Truncated {
        /// Bytes that are there.
        got: u64,
        /// Bytes that should be.
        want: u64,
    },
    /// The codec gave up.
    #[error("{codec}: {message}")]
    Codec {
        /// Name of the codec.
        codec: &'static str,
        /// Its word.
        message: String,
    },
}

/// What stands between us and a store on the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteProblem {
    /// It wants other credentials, or some.
    #[error("access is denied ({status}{}{word})", if word.is_empty() { "" } else { " " })]
    Denied {
        /// Its number for that: 401 or 403.
        status: u16,
        /// Its word for that.
        word: String,
    },
    /// There are none in the environment, and this is no machine that has its own.
    #[error("there are no credentials")]
    NoCredentials,
    /// There is no such object, or no such bucket.
    #[error("there is nothing there")]
    Missing,
    /// It did not answer in time.
    #[error("no answer within {seconds} s, {tries} times")]
    TimedOut {
        /// How long we waited, each time.
        seconds: u64,
        /// How often.
        tries: u32,
    },
    /// There is no way to the server.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The server.
        host: String,
        /// The system's word.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// Connections break.
    #[error("the connection broke {tries} times: {why}")]
    Broken {
        /// The system's word.
        why: String,
        /// How often.
        tries: u32,
    },
    /// It answered something else.
    #[error("the server answered {status} {word}, {tries} times")]
    Status {
        /// The number of its answer.
        status: u16,
        /// Its word.
        word: String,
        /// How often it was asked.
        tries: u32,
    },
    /// It sends objects whole only.
    #[error("the server does not send parts of a file")]
    NoParts,
    /// It does not say what there is.
    #[error("a web server does not list its files")]
    NoLists,
    /// The URL itself.
    #[error("{why}")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// Anything else.
    #[error("{why}")]
    Other {
        /// In the words of whoever refused.
        why: String,
    },
}

/// What a file uses that we do not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Feature {
    /// A sample type.
    #[error("sample type {0}")]
    Dtype(String),
    /// A codec or compression.
    #[error("codec {0}")]
    Codec(String),
    /// A rank outside 1 to 5.
    #[error("{0} axes (1 to 5 are read)")]
    Rank(usize),
    /// An order of axes other than t, c, z, y, x.
    #[error("the axis order {0} (t, c, z, y, x is read)")]
    AxisOrder(String),
    /// A chunk grid that is not regular.
    #[error("chunk grid {0}")]
    ChunkGrid(String),
    /// A photometric interpretation of TIFF.
    #[error("photometric interpretation {0}")]
    Photometric(String),
    /// The format of another program, or a layout of files that only its makers read rightly.
    #[error("{0}")]
    Program(String),
    /// Anything else, by its name in the format's specification.
    #[error("{0}")]
    Other(String),
}

impl IoError {
    /// Wraps the operating system's word.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| {
            if action == "read" && source.kind() == std::io::ErrorKind::NotFound {
                Self::Missing { path }
            } else {
                Self::Io { action, path, source }
            }
        }
    }
}
