//! What the tests of the whole program share: the committed images, results in memory, digests.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use voxtile::{Pipeline, Report};
use voxtile_io::{MemorySink, MemorySource};
use voxtile_kernels::testing::Image;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, NDIM, Shape};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A committed image.
pub(crate) fn data(name: &str) -> PathBuf {
    root().join("tests/data").join(name)
}

/// The program.
pub(crate) fn voxtile(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxtile"));
    // Equal runs write equal files.
    command.args(args).env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

/// Cuts results in memory in a way that fits no tile.
const CHUNK: Shape = [1, 1, 3, 11, 17];

/// Runs a pipeline into memory. `make` is called twice: the first plan says what the result will be.
#[track_caller]
pub(crate) fn collect(make: impl Fn() -> Pipeline) -> (Image, Report) {
    let plan = make().plan().unwrap_or_else(|error| panic!("{error}"));
    let meta = plan.result().clone();
    let sink = Arc::new(MemorySink::new(&meta, CHUNK).unwrap());
    let report = make().write_sink(sink.clone()).run().unwrap_or_else(|error| panic!("{error}"));
    let image = dispatch!(meta.dtype, T => Image::from_values(meta, &sink.take::<T>().unwrap()));
    (image, report)
}

/// A pipeline over an image in memory, cut into chunks of that shape.
pub(crate) fn from_memory(image: &Image, chunk: [u64; 5]) -> Pipeline {
    let meta = image.meta().clone();
    dispatch!(meta.dtype, T => {
        let source = MemorySource::with_meta(meta, image.values::<T>().to_vec(), chunk).unwrap();
        Pipeline::from_source(Arc::new(source))
    })
}

/// The sample types that operations are compared in with those of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    U8,
    U16,
    F32,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.dtype().name())
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::U8, Self::U16, Self::F32];

    /// The kind of that sample type, if it is one of them.
    pub(crate) fn of(dtype: Dtype) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.dtype() == dtype)
    }

    const fn dtype(self) -> Dtype {
        match self {
            Self::U8 => Dtype::U8,
            Self::U16 => Dtype::U16,
            Self::F32 => Dtype::F32,
        }
    }

    fn of_image(self, image: &Image) -> Image {
        dispatch!(image.meta().dtype, T => {
            let whole = |v: T| v.to_f64() as u16;
            match self {
                Self::U8 => image.map(|v: T| (whole(v) / 2) as u8),
                Self::U16 => image.map(|v: T| whole(v) * 3),
                Self::F32 => image.map(|v: T| f32::from(whole(v)) / 7.0),
            }
        })
    }

    /// A committed image of this kind. If it is stored otherwise: halves of its values as u8, threefold as u16, sevenths
    /// as f32, as `of_kind` of `tests/readers/oracles.py` has them.
    pub(crate) fn pipeline(self, name: &str) -> Pipeline {
        static MADE: Mutex<BTreeMap<(String, Kind), Image>> = Mutex::new(BTreeMap::new());
        let stored = Pipeline::open(data(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        if stored.meta().dtype == self.dtype() {
            return stored;
        }
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let image = made.entry((name.to_owned(), self)).or_insert_with(|| self.of_image(&read(&data(name))));
        from_memory(image, CHUNK)
    }
}

/// The voxels of a file.
#[track_caller]
pub(crate) fn read(path: &Path) -> Image {
    collect(|| Pipeline::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).0
}

/// sha256 of the voxels, row-major and little-endian, as `tests/data/make.py` writes it.
pub(crate) fn digest(image: &Image) -> String {
    let mut bytes = image.bytes().to_vec();
    if cfg!(target_endian = "big") {
        bytes.chunks_mut(image.meta().dtype.size()).for_each(<[u8]>::reverse);
    }
    Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compute tiles from flat and small to larger than any committed image, along `z, y, x`; few fit the chunks.
pub(crate) const TILES: [&[u64]; 10] = [
    &[1, 8, 64],
    &[1, 16, 16],
    &[6, 10, 15],
    &[7, 7, 7],
    &[4, 31, 9],
    &[20, 9, 13],
    &[8, 32, 32],
    &[13, 50, 90],
    &[3, 1000, 11],
    &[512, 512, 512],
];

/// The last sizes of a tile, for an image of `rank` axes.
pub(crate) fn last(tile: &[u64], rank: usize) -> &[u64] {
    &tile[tile.len().saturating_sub(rank.min(NDIM))..]
}

/// Says why a test is none here, also where its output is captured; CI counts these lines.
pub(crate) fn skipped(why: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
