//! What the user says about an output, and how that becomes a sink.

use crate::replaced::{Placed, Replacing, set_aside};
use crate::zarr::listing::Listing;
use crate::{
    About, AxisOrder, ByteStore, Codec, IoError, LocalStore, OmeVersion, Remote, Url, Work, npy, tiff, zarr,
};
use std::ffi::CString;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{AroundSink, Layout, Sink, StoreError};
use voxtile_sched::model::{Meta, Shape};

/// Format of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Zarr v3; with OME-Zarr 0.5 metadata unless the output is a bare array.
    ZarrV3,
    /// Zarr v2; with OME-Zarr 0.4 metadata unless the output is a bare array.
    ZarrV2,
    /// Tiled TIFF, BigTIFF where needed.
    Tiff,
    /// A `.npy` file of numpy.
    Npy,
}

impl Format {
    /// The format that a path's extension asks for: `.tif` and `.tiff` are TIFF, `.npy` is numpy's, all else is Zarr
    /// v3.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some(e) if e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff") => Self::Tiff,
            Some(e) if e.eq_ignore_ascii_case("npy") => Self::Npy,
            _ => Self::ZarrV3,
        }
    }
}

/// What the user says about an output.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputOptions {
    /// Where it goes.
    pub path: PathBuf,
    /// In which format.
    pub format: Format,
    /// Shape of the unit that is encoded at once; by default 512² in 2-D and 128³ in 3-D.
    pub chunk: Option<Shape>,
    /// Shape of the unit that lies in one object (Zarr v3 only), a multiple of `chunk`.
    pub shard: Option<Shape>,
    /// TIFF, `.npy`: in which order the file has the axes; by default t, c, z, y, x.
    pub axis_order: Option<AxisOrder>,
    /// How chunks are encoded.
    pub codec: Codec,
    /// Whether an image at `path` may be replaced.
    pub overwrite: bool,
    /// Zarr: a bare array at the root, instead of an OME-Zarr group with level `0`.
    pub bare: bool,
    /// What is written about it besides.
    pub about: About,
    /// How a place on the network is reached.
    pub remote: Remote,
}

impl OutputOptions {
    /// The version of OME-Zarr that describes it, if the format is Zarr.
    #[must_use]
    pub fn ome_version(&self) -> OmeVersion {
        let usual = if self.format == Format::ZarrV2 { OmeVersion::V04 } else { OmeVersion::V05 };
        self.about.ome.unwrap_or(usual)
    }

    /// How an image of that shape will be cut. Touches no file.
    ///
    /// # Errors
    /// [`IoError::Option`] for combinations that the format cannot satisfy.
    pub fn layout(&self, meta: &Meta) -> Result<Layout, IoError> {
        match self.format {
            Format::ZarrV3 | Format::ZarrV2 if self.axis_order.is_some() => {
                let why =
                    "a Zarr has its axes in the order t, c, z, y, x; TIFF and .npy take others".to_owned();
                Err(IoError::Option { option: "--axis-order", why })
            }
            Format::ZarrV3 | Format::ZarrV2 => zarr::layout(self, meta),
            Format::Tiff => tiff::layout(self, meta),
            Format::Npy => npy::layout(self, meta),
        }
    }

    /// Whether the format holds smaller versions of such an image. Touches no file.
    ///
    /// # Errors
    /// [`IoError::Option`].
    pub fn takes_levels(&self, meta: &Meta) -> Result<(), IoError> {
        let why = match self.format {
            Format::ZarrV2 | Format::ZarrV3 if meta.axes.space().len() >= 2 => return Ok(()),
            Format::ZarrV2 | Format::ZarrV3 => {
                format!("an image needs two space axes; this one has {}", meta.axes)
            }
            Format::Tiff => return Ok(()),
            Format::Npy => "a .npy file holds one array".to_owned(),
        };
        Err(IoError::Option { option: "--pyramid", why })
    }

    /// Whether the output can be made at its place: nothing is there, or something that may be replaced, and the
    /// directory takes new files. Touches no file; of a place on the network it asks what is there.
    ///
    /// # Errors
    /// [`IoError::Exists`], [`IoError::Missing`] for the directory, [`IoError::Io`], and [`IoError::Option`] for
    /// something at the place that is not ours to replace.
    pub fn check(&self) -> Result<(), IoError> {
        if let Some(url) = Url::of(&self.path)? {
            return self.check_remote(&url).map(|_| ());
        }
        let path = &self.path;
        match std::fs::symlink_metadata(path) {
            Ok(_) if !self.overwrite => return Err(IoError::Exists { path: path.clone() }),
            Ok(there) => self.replaceable(&there)?,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(IoError::io("create", path)(e)),
        }
        let mut parent = directory(path);
        // The group of label images is made where it is missing.
        if self.about.labels_of.is_some() && !parent.exists() {
            parent = directory(parent);
        }
        let there = std::fs::metadata(parent).map_err(IoError::io("read", parent))?;
        if !there.is_dir() {
            let source = std::io::Error::from(ErrorKind::NotADirectory);
            return Err(IoError::Io { action: "create", path: path.clone(), source });
        }
        writable(parent).map_err(IoError::io("create", path))
    }

    /// As [`check`](Self::check), of a place on the network; the store, and whether something is there.
    fn check_remote(&self, url: &Url) -> Result<(Arc<dyn ByteStore>, bool), IoError> {
        if !matches!(self.format, Format::ZarrV3 | Format::ZarrV2) {
            let why = format!("`{url}` is not on this disk; only Zarr is written elsewhere");
            return Err(IoError::Option { option: "OUTPUT", why });
        }
        if !url.scheme().writes() {
            return Err(IoError::ReadOnly { store: url.to_string() });
        }
        let store = self.remote.store(url)?;
        let there = store.list("")?;
        if !there.is_empty() && !self.overwrite {
            return Err(IoError::Exists { path: self.path.clone() });
        }
        if !there.is_empty() && !there.iter().any(|name| zarr::ROOT.contains(&name.as_str())) {
            let why = format!("`{url}` holds no Zarr metadata");
            return Err(IoError::Option { option: "--overwrite", why });
        }
        Ok((store, !there.is_empty()))
    }

    /// Refuses an output that is the input, lies in it, or contains it. A label image may lie in the image that it is made
    /// of.
    ///
    /// # Errors
    /// [`IoError::Option`].
    pub fn apart_from(&self, input: &Path) -> Result<(), IoError> {
        if self.about.labels_of.is_some() {
            let image = directory(directory(&self.path));
            if resolve(input) == resolve(image) {
                return Ok(());
            }
        }
        check_apart(input, &self.path)
    }

    /// Makes the output, ready for its chunks and for those of its smaller versions, the largest first. What it replaces
    /// comes back if it is not completed; on the network it is removed first.
    ///
    /// # Errors
    /// Those of [`layout`](Self::layout), [`takes_levels`](Self::takes_levels) and [`check`](Self::check), and
    /// [`IoError::Io`].
    pub fn create(&self, meta: &Meta, levels: &[Meta]) -> Result<Arc<dyn Sink>, IoError> {
        self.layout(meta)?;
        if !levels.is_empty() {
            self.takes_levels(meta)?;
        }
        if let Some(url) = Url::of(&self.path)? {
            let (store, there) = self.check_remote(&url)?;
            if there {
                // Objects have no second name to keep them under meanwhile.
                store.delete_prefix("")?;
            }
            return self.listed(|| self.create_in(store, meta, levels));
        }
        self.check()?;
        match self.format {
            Format::ZarrV3 | Format::ZarrV2 => self.listed(|| self.create_zarr(meta, levels)),
            // What is there stays until the new file is complete.
            Format::Tiff => Ok(Arc::new(tiff::TiffSink::create(self, meta, levels, None)?)),
            Format::Npy => Ok(Arc::new(npy::NpySink::create(self, meta, None)?)),
        }
    }

    /// As [`create`](Self::create), for a run that keeps what a later one needs to go on; or goes on with what an earlier one
    /// kept. What is at the place stays until the new image is complete.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_kept(
        &self,
        meta: &Meta,
        levels: &[Meta],
        work: Option<&Arc<Work>>,
    ) -> Result<Arc<dyn Sink>, IoError> {
        let Some(work) = work else { return self.create(meta, levels) };
        self.layout(meta)?;
        if !levels.is_empty() {
            self.takes_levels(meta)?;
        }
        if !work.is_resumed() {
            self.check()?;
        }
        match self.format {
            Format::ZarrV3 | Format::ZarrV2 => self.listed(|| self.create_zarr_kept(meta, levels, work)),
            Format::Tiff => Ok(Arc::new(tiff::TiffSink::create(self, meta, levels, Some(work))?)),
            Format::Npy => Ok(Arc::new(npy::NpySink::create(self, meta, Some(work))?)),
        }
    }

    /// As [`create_kept`](Self::create_kept), on the network. A run that goes on finds there what earlier ones wrote.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_remote(
        &self,
        meta: &Meta,
        levels: &[Meta],
        resumed: bool,
    ) -> Result<Arc<dyn Sink>, IoError> {
        let (Some(url), true) = (Url::of(&self.path)?, resumed) else { return self.create(meta, levels) };
        let store = self.remote.store(&url)?;
        self.listed(|| Ok(Arc::new(zarr::ZarrSink::create(self, store, meta, levels, true)?)))
    }

    fn create_zarr_kept(
        &self,
        meta: &Meta,
        levels: &[Meta],
        work: &Arc<Work>,
    ) -> Result<Arc<dyn Sink>, IoError> {
        let new = work.path("new");
        let begun = zarr::is_unfinished(&self.path);
        if begun && !work.is_resumed() {
            // Of a run that is not gone on with.
            std::fs::remove_dir_all(&self.path).map_err(IoError::io("remove", &self.path))?;
        }
        let aside = new.exists() || (self.path.exists() && !begun);
        let root = if aside { &new } else { &self.path };
        let store = Arc::new(LocalStore::of_run(root, work.clone()));
        let sink = zarr::ZarrSink::create(self, store, meta, levels, work.is_resumed())?;
        if !aside {
            return Ok(Arc::new(sink));
        }
        let (path, old) = (self.path.clone(), work.path("replaced"));
        Ok(Arc::new(Replacing { sink: Arc::new(sink), path, old, new: Some(new) }))
    }

    /// The group that lists the output, if it is a label image.
    fn listing(&self) -> Result<Option<Listing>, IoError> {
        let group = self.about.labels_of.as_ref().map(|_| directory(&self.path));
        group.map(|path| Listing::at(path, &self.remote, self.ome_version())).transpose()
    }

    /// Makes a Zarr; of a label image, in the group that lists it when it is complete.
    fn listed(
        &self,
        make: impl FnOnce() -> Result<Arc<dyn Sink>, IoError>,
    ) -> Result<Arc<dyn Sink>, IoError> {
        let Some(group) = self.listing()? else { return make() };
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        group.begin()?;
        match make() {
            Ok(sink) => Ok(Arc::new(Listed { sink, group, name })),
            Err(error) => {
                group.abandon();
                Err(error)
            }
        }
    }

    /// Takes away what was made around a label image that does not come to be, if it holds nothing else.
    pub fn abandon(&self) {
        if let Ok(Some(group)) = self.listing() {
            group.abandon();
        }
    }

    /// Makes a Zarr, and sets what is replaced aside until it is complete.
    fn create_zarr(&self, meta: &Meta, levels: &[Meta]) -> Result<Arc<dyn Sink>, IoError> {
        let aside = set_aside(&self.path)?;
        match (self.create_in(Arc::new(LocalStore::new(&self.path)), meta, levels), aside) {
            (Ok(sink), None) => Ok(sink),
            (Ok(sink), Some(old)) => {
                Ok(Arc::new(Replacing { sink, path: self.path.clone(), old, new: None }))
            }
            (Err(error), old) => {
                if let Some(old) = old {
                    let _ = std::fs::rename(old, &self.path);
                }
                Err(error)
            }
        }
    }

    /// Makes room at the place of a Zarr, for whoever writes its objects himself. What is there comes back if that is not
    /// [finished](Placed::finish); on the network it is removed first.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), and [`IoError::Io`].
    pub fn place(&self) -> Result<Placed, IoError> {
        if let Some(url) = Url::of(&self.path)? {
            let (store, there) = self.check_remote(&url)?;
            if there {
                store.delete_prefix("")?;
            }
            return Ok(Placed { store, path: self.path.clone(), old: None, done: false });
        }
        self.check()?;
        let old = set_aside(&self.path)?;
        let store = Arc::new(LocalStore::new(&self.path));
        Ok(Placed { store, path: self.path.clone(), old, done: false })
    }

    /// As [`create`](Self::create), in any store of bytes, which stands for [`path`](Self::path) and is empty. Zarr
    /// only.
    ///
    /// # Errors
    /// Those of [`layout`](Self::layout) and [`takes_levels`](Self::takes_levels), and [`IoError::Io`];
    /// [`IoError::Exists`] if an image was begun there meanwhile.
    pub fn create_in(
        &self,
        store: Arc<dyn ByteStore>,
        meta: &Meta,
        levels: &[Meta],
    ) -> Result<Arc<dyn Sink>, IoError> {
        if !matches!(self.format, Format::ZarrV3 | Format::ZarrV2) {
            let why = format!("`{}`: only Zarr consists of objects", store.name());
            return Err(IoError::Option { option: "OUTPUT", why });
        }
        self.layout(meta)?;
        if !levels.is_empty() {
            self.takes_levels(meta)?;
        }
        Ok(Arc::new(zarr::ZarrSink::create(self, store, meta, levels, false)?))
    }

    /// Whether what is there is an image of the same format.
    fn replaceable(&self, there: &Metadata) -> Result<(), IoError> {
        let path = &self.path;
        let why = match self.format {
            Format::Tiff | Format::Npy if there.is_file() => return Ok(()),
            Format::Tiff | Format::Npy => "is no file",
            _ if !there.is_dir() => "is no directory",
            _ if zarr::looks_like(path) || is_empty(path) => return Ok(()),
            _ => "is a directory without Zarr metadata",
        };
        Err(IoError::Option { option: "--overwrite", why: format!("`{}` {why}", path.display()) })
    }
}

/// A label image on its way, which its group lists when it is complete.
struct Listed {
    sink: Arc<dyn Sink>,
    group: Listing,
    name: String,
}

impl AroundSink for Listed {
    fn inner(&self) -> &dyn Sink {
        &*self.sink
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.sink.finish()?;
        Ok(self.group.add(&self.name)?)
    }

    fn abort(&self) {
        self.sink.abort();
        self.group.abandon();
    }
}

/// Whether an output was begun at a path that is not complete: no image, and nobody's but voxtile's.
#[must_use]
pub fn is_unfinished(path: &Path) -> bool {
    zarr::is_unfinished(path)
}

/// The directory that a path lies in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."))
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether the directory takes new files. Asks; does not try.
#[allow(unsafe_code)]
fn writable(dir: &Path) -> std::io::Result<()> {
    let name = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: reads a string that ends in NUL.
    match unsafe { libc::access(name.as_ptr(), libc::W_OK | libc::X_OK) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Refuses an output that is the input, lies in it, or contains it.
///
/// # Errors
/// [`IoError::Option`].
pub fn check_apart(input: &Path, output: &Path) -> Result<(), IoError> {
    let urls = (Url::of(input)?, Url::of(output)?);
    let (from, to) = match &urls {
        (None, None) => (resolve(input), resolve(output)),
        (Some(from), Some(to)) if to.overlaps(from).is_some() => {
            let why = format!("`{to}` {}", to.overlaps(from).unwrap_or_default());
            return Err(IoError::Option { option: "OUTPUT", why });
        }
        _ => return Ok(()),
    };
    let why = if from == to {
        "is the input"
    } else if to.starts_with(&from) {
        "lies inside the input"
    } else if from.starts_with(&to) {
        "contains the input"
    } else {
        return Ok(());
    };
    Err(IoError::Option { option: "OUTPUT", why: format!("`{}` {why}", output.display()) })
}

/// The path without links and `..`, also where its end does not exist yet.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => resolve(parent).join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::{AxisSet, Dtype};

    fn options(path: PathBuf) -> OutputOptions {
        OutputOptions {
            path,
            format: Format::ZarrV3,
            axis_order: None,
            chunk: None,
            shard: None,
            codec: Codec::None,
            overwrite: false,
            bare: true,
            about: About::default(),
            remote: Remote::new(),
        }
    }

    #[test]
    fn what_is_not_an_image_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut o = options(dir.path().join("thesis"));
        std::fs::create_dir(&o.path).unwrap();
        std::fs::write(o.path.join("chapter1"), "words").unwrap();
        assert!(matches!(o.check(), Err(IoError::Exists { .. })));
        o.overwrite = true;
        assert!(matches!(o.check(), Err(IoError::Option { option: "--overwrite", .. })));
        let meta = Meta::new([1; 5], AxisSet::SPACE, Dtype::U8);
        assert!(o.create(&meta, &[]).is_err());
        assert!(o.path.join("chapter1").exists());
    }

    #[test]
    fn a_place_that_cannot_be_had_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let gone = options(dir.path().join("no/such/place.zarr"));
        assert!(matches!(gone.check(), Err(IoError::Missing { path }) if path.ends_with("no/such")));
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(options(dir.path().join("file/x.zarr")).check(), Err(IoError::Io { .. })));
    }

    #[test]
    fn the_input_is_safe() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("in.zarr");
        std::fs::create_dir(&input).unwrap();
        std::os::unix::fs::symlink(&input, dir.path().join("link")).unwrap();
        let why = |path: PathBuf| options(path).apart_from(&input).unwrap_err().to_string();
        assert!(why(input.clone()).contains("is the input"));
        assert!(why(dir.path().join("link")).contains("is the input"));
        assert!(why(input.join("../in.zarr/new/deep")).contains("lies inside"));
        assert!(why(dir.path().to_owned()).contains("contains"));
        assert!(options(dir.path().join("in.zarr2")).apart_from(&input).is_ok());
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let meta = Meta::new([1, 1, 100, 100, 100], AxisSet::SPACE, Dtype::F64);
        let refused = |change: fn(&mut OutputOptions)| {
            let mut o = options("x.zarr".into());
            change(&mut o);
            match o.layout(&meta) {
                Err(IoError::Option { option, .. }) => option,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(|o| o.codec = Codec::Lzw), "--codec");
        assert_eq!(refused(|o| o.chunk = Some([1, 1, 0, 8, 8])), "--chunk");
        assert_eq!(
            refused(|o| (o.chunk, o.shard) = (Some([1, 1, 8, 8, 8]), Some([1, 1, 8, 8, 12]))),
            "--shard"
        );
        assert_eq!(refused(|o| (o.format, o.shard) = (Format::ZarrV2, Some([128; 5]))), "--shard");
        let mut o = options("x.zarr".into());
        (o.chunk, o.shard) = (Some([1, 1, 32, 32, 32]), Some([1, 1, 256, 64, 128]));
        assert_eq!(o.layout(&meta).unwrap().shard, Some([1, 1, 128, 64, 128]));
        let huge = Meta::new([1, 1, 4096, 4096, 4096], AxisSet::SPACE, Dtype::F64);
        o.chunk = Some([1, 1, 4096, 4096, 4096]);
        assert!(matches!(o.layout(&huge), Err(IoError::Option { option: "--chunk", .. })));
    }
}
