//! What is known of an opened image besides its voxels, and how one is opened.

use crate::bytes::{ByteFile, ZIP_MAGIC, ZipStore};
use crate::{
    ByteStore, Codec, Feature, IoError, LocalStore, OmeVersion, RawOptions, Remote, RemoteProblem, Url, flat,
    foreign, npy, picture, planes, tiff, zarr,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;
use voxtile_sched::contract::Source;
use voxtile_sched::model::{Axis, AxisSet, Shape};

/// Which part of a file is opened, and how its axes are understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Resolution level of a pyramid, 0 the finest.
    pub level: usize,
    /// Path of an array inside a Zarr group; series or page number of a TIFF.
    pub array: Option<String>,
    /// Axes to use instead of those that the file names.
    pub axes: Option<AxisSet>,
    /// That the file has no header, and what its voxels are.
    pub raw: Option<RawOptions>,
    /// How images on the network are reached.
    pub remote: Remote,
    /// That the path is a pattern or a folder whose files, in the order of their names, are one image along this axis.
    pub stack: Option<Axis>,
    /// That a TIFF's palettes, inks and inverted grays become colours for looking.
    pub rgb: bool,
}

impl OpenOptions {
    /// Refuses a level or an array other than the only one that a file `store` of a single image has.
    pub(crate) fn only_image(&self, store: &str) -> Result<(), IoError> {
        self.only_level(store)?;
        let array = self.array.clone().filter(|a| a != "0");
        array.map_or(Ok(()), |asked| Err(no_such(store, "image", asked)))
    }

    /// Refuses a level other than the only one that `store` has.
    pub(crate) fn only_level(&self, store: &str) -> Result<(), IoError> {
        if self.level > 0 { Err(no_such(store, "level", self.level.to_string())) } else { Ok(()) }
    }
}

fn no_such(store: &str, what: &'static str, asked: String) -> IoError {
    IoError::NoSuch { store: store.to_owned(), what, asked, found: vec!["0".to_owned()] }
}

/// An image that was opened for reading.
pub struct Opened {
    /// Its voxels.
    pub source: Arc<dyn Source>,
    /// What `voxtile info` says about it.
    pub info: Info,
}

/// What is known of an image besides its voxels. Lists are in the order of the image's own axes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Info {
    /// `Zarr v3 array`, `OME-Zarr 0.4`, `BigTIFF`, `OME-TIFF`, …
    pub format: String,
    /// Whether it is a bare Zarr array, without OME metadata.
    pub bare: bool,
    /// Path as given.
    pub path: String,
    /// Resolution levels, finest first; one entry where there is no pyramid.
    pub levels: Vec<LevelInfo>,
    /// Arrays of the group that were not opened.
    pub arrays: Vec<String>,
    /// Pictures of a slide as a whole, as `macro` and `label`, that are opened by their names.
    pub associated: Vec<AssociatedImage>,
    /// Shape of the unit that is decoded at once.
    pub chunk: Vec<u64>,
    /// Shape of the unit that lies in one object, if that holds several chunks.
    pub shard: Option<Vec<u64>>,
    /// Codecs, as text for humans.
    pub codec: String,
    /// Anything else worth showing, name and value.
    pub details: Vec<(String, String)>,
    /// Version of OME-Zarr, if that describes it and its rules are known.
    #[serde(skip)]
    pub ome: Option<OmeVersion>,
    /// Version of the Zarr format.
    #[serde(skip)]
    pub zarr_format: Option<u8>,
    /// Attributes of an OME-Zarr's group.
    #[serde(skip)]
    pub attributes: Map<String, Value>,
    /// The codec, if an output can have the same.
    #[serde(skip)]
    pub output_codec: Option<Codec>,
    /// One sample of what was never written, in the byte order of the machine; empty where that is 0.
    #[serde(skip)]
    pub fill: Vec<u8>,
    /// `chunk` along `t, c, z, y, x`.
    #[serde(skip)]
    pub chunk5: Shape,
}

/// A picture of a slide as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssociatedImage {
    /// What it shows: `macro`, `label`, `thumbnail`, `overview`, `map` or `barcode`.
    pub name: String,
    /// Size in voxels.
    pub shape: Vec<u64>,
    /// Its sample type.
    pub dtype: String,
}

/// One resolution level.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LevelInfo {
    /// Path inside the file, or number of the page.
    pub path: String,
    /// Size in voxels.
    pub shape: Vec<u64>,
    /// Voxel size per axis, in the unit of the axis; 1 where the file names none.
    pub scale: Vec<f64>,
}

/// Opens an image by its content: a Zarr directory (array, group, OME-Zarr) or a zip of one, a TIFF, `.npy`, PNG or JPEG
/// file; on this disk or at a [`Url`]; or by what [`OpenOptions::raw`] says of it. A path with `{z}`, `{c}` or `{t}` in it, as
/// `slices/scan_z{z}.tif`, stands for all files whose names fit; together they are one image. So do the files of
/// [`OpenOptions::stack`].
///
/// # Errors
/// [`IoError::Missing`], [`IoError::NotAnImage`], [`IoError::Pieces`], [`IoError::Unsupported`], [`IoError::Header`], [`IoError::NoSuch`],
/// [`IoError::Option`] and [`IoError::Io`].
pub fn open(path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    if let Some(url) = Url::of(path)? {
        return open_url(&url, path, options);
    }
    if let Some(axis) = options.stack {
        return planes::stack(path, axis, options);
    }
    if planes::names_planes(path) {
        return planes::open(path, options);
    }
    let kind = std::fs::metadata(path).map_err(IoError::io("read", path))?;
    if kind.is_dir() {
        return zarr::open(path, options);
    }
    if let Some(raw) = &options.raw {
        return flat::open_raw(path, raw, options);
    }
    open_file(ByteFile::open(path, &options.remote)?, path, options)
}

/// Opens the image of one file, by its first bytes.
fn open_file(file: ByteFile, path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let mut head = [0; foreign::HEAD];
    let got = file.read_at(&mut head, 0)?;
    if head[..got].starts_with(npy::MAGIC) {
        return npy::open(file, path, options);
    }
    if head[..got].starts_with(ZIP_MAGIC) {
        return zarr::open_in(Arc::new(ZipStore::open(file, path.to_owned())?), options);
    }
    foreign::check(path, &head[..got])?;
    match picture::Kind::of(&head[..got]) {
        Some(_) if file.waits().is_some() => {
            let feature = Feature::Other("a picture that is not on this disk".to_owned());
            Err(IoError::Unsupported { store: path.display().to_string(), feature })
        }
        Some(kind) => picture::open(kind, path, options),
        None => tiff::open(file, path, options),
    }
}

/// Ends of names that are no directory's.
const FILES: [&str; 14] =
    ["tif", "tiff", "btf", "tf8", "svs", "qptiff", "scn", "stk", "lsm", "npy", "png", "jpg", "zip", "ozx"];

/// Whether a URL names a file by its end.
fn is_file(url: &Url) -> bool {
    let end = url.path().rsplit_once('.').map_or(String::new(), |(_, end)| end.to_ascii_lowercase());
    FILES.contains(&end.as_str())
}

/// Opens what lies on the network: nothing there says whether it is a directory, so it is tried.
fn open_url(url: &Url, path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let store = options.remote.store(url)?;
    if !is_file(url) && options.raw.is_none() {
        let missing = || {
            let problem = RemoteProblem::Missing;
            IoError::Remote { action: "read", url: url.to_string(), problem }
        };
        return zarr::find(store, options)?.ok_or_else(missing);
    }
    match &options.raw {
        Some(raw) => flat::open_raw(path, raw, options),
        None => open_file(ByteFile::open(path, &options.remote)?, path, options),
    }
}

/// Opens a Zarr in any store of bytes.
///
/// # Errors
/// As [`open`].
pub fn open_in(store: Arc<dyn ByteStore>, options: &OpenOptions) -> Result<Opened, IoError> {
    zarr::open_in(store, options)
}

/// The objects below a path: a directory, which need not exist, or a place on the network.
///
/// # Errors
/// Those of [`Remote::store`].
pub fn store_at(path: &Path, remote: &Remote) -> Result<Arc<dyn ByteStore>, IoError> {
    match Url::of(path)? {
        Some(url) => remote.store(&url),
        None => Ok(Arc::new(LocalStore::new(path))),
    }
}

/// The store of what may be a Zarr: a directory with its metadata, a zip, or a place on the network that has no name of a file.
///
/// # Errors
/// Those of [`Remote::store`], and of a zip that cannot be read.
pub(crate) fn zarr_at(path: &Path, remote: &Remote) -> Result<Option<Arc<dyn ByteStore>>, IoError> {
    let may_be = match Url::of(path)? {
        _ if is_zip(path) => true,
        Some(url) => !is_file(&url),
        None => zarr::looks_like(path),
    };
    may_be.then(|| read_store(path, remote)).transpose()
}

/// Whether a path names a zip by its end.
pub(crate) fn is_zip(path: &Path) -> bool {
    let end = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["zip", "ozx"].iter().any(|zip| zip.eq_ignore_ascii_case(end))
}

/// As [`store_at`], and the entries of a zip.
pub(crate) fn read_store(path: &Path, remote: &Remote) -> Result<Arc<dyn ByteStore>, IoError> {
    if Url::of(path)?.is_none() {
        let kind = std::fs::metadata(path).map_err(IoError::io("read", path))?;
        if kind.is_dir() {
            return store_at(path, remote);
        }
    } else if !is_zip(path) {
        return store_at(path, remote);
    }
    Ok(Arc::new(ZipStore::open(ByteFile::open(path, remote)?, path.to_owned())?))
}
