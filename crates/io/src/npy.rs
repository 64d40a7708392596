//! `.npy` files of numpy: a header of one line, then the voxels.
//!
//! The header is a Python dictionary with the keys `descr`, `fortran_order` and `shape`. Written files are version
//! 1.0, in C order, of axes in any order, and the machine's byte order, with the voxels from byte 128 on.

use crate::bytes::ByteFile;
use crate::flat::{self, Layout as Flat};
use crate::order;
use crate::scratch::with_work;
use crate::work::{Growing, Work};
use crate::{Codec, Feature, IoError, OpenOptions, Opened, OutputOptions, RawOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use voxtile_sched::contract::{Layout, Place, Sink, StoreError};
use voxtile_sched::model::{Axis, Grid, Meta, NDIM, PerAxis, Shape, Tile, voxels};

/// What every such file starts with.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is read.
const MAX_HEADER: u64 = 1 << 20;

/// Bytes before the first voxel of what is written.
const HEADER: usize = 128;

/// Edge of a chunk where the user names none.
const EDGE: u64 = 512;

/// Opens the array of a `.npy` file.
///
/// # Errors
/// As [`crate::open`].
pub(crate) fn open(file: ByteFile, path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let header = |problem: &str| IoError::Header {
        store: path.display().to_string(),
        field: "header".to_owned(),
        problem: problem.to_owned(),
    };
    let mut head = [0; 12];
    let got = file.read_at(&mut head, 0)?;
    if got < 12 {
        return Err(header("is cut short"));
    }
    let (start, len) = match head[6] {
        1 => (10, u64::from(u16::from_le_bytes([head[8], head[9]]))),
        2 | 3 => (12, u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]]))),
        other => {
            let feature = Feature::Other(format!("version {other} of the npy format"));
            return Err(IoError::Unsupported { store: path.display().to_string(), feature });
        }
    };
    if len > MAX_HEADER {
        return Err(header(&format!("has {len} bytes, at most {MAX_HEADER} are read")));
    }
    let mut text = vec![0; len as usize];
    let got = file.read_at(&mut text, start)?;
    if (got as u64) < len {
        return Err(header("is cut short"));
    }
    let text = String::from_utf8_lossy(&text);
    let fields = Fields::parse(&text).ok_or_else(|| header(&format!("is {:?}", text.trim())))?;
    let Some(descr) = fields.descr else {
        let feature = Feature::Dtype("of several fields".to_owned());
        return Err(IoError::Unsupported { store: path.display().to_string(), feature });
    };
    let dtype = descr.parse().map_err(|_| IoError::Unsupported {
        store: path.display().to_string(),
        feature: Feature::Dtype(descr.clone()),
    })?;
    let raw = RawOptions { shape: fields.shape, dtype, offset: start + len };
    flat::open(file, path, Flat { raw, fortran: fields.fortran, format: "NumPy array" }, options)
}

/// What the header says.
struct Fields {
    /// `None` where samples are records.
    descr: Option<String>,
    fortran: bool,
    shape: Vec<u64>,
}

impl Fields {
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let at = ["'", "\""].iter().find_map(|q| {
                let quoted = format!("{q}{key}{q}");
                text.find(&quoted).map(|i| i + quoted.len())
            })?;
            text[at..].trim_start().strip_prefix(':').map(str::trim_start)
        };
        let descr = value("descr")?;
        let descr = match descr.chars().next()? {
            quote @ ('\'' | '"') => Some(descr[1..].split(quote).next()?.to_owned()),
            '[' => None,
            _ => return None,
        };
        let fortran = match value("fortran_order")? {
            v if v.starts_with("True") => true,
            v if v.starts_with("False") => false,
            _ => return None,
        };
        let sizes = value("shape")?.strip_prefix('(')?.split(')').next()?;
        let numbers = sizes.split(',').map(str::trim).filter(|s| !s.is_empty());
        let shape = numbers.map(|s| s.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?;
        Some(Self { descr, fortran, shape })
    }
}

/// How an image will be cut.
///
/// # Errors
/// [`IoError::Option`] for what such a file cannot hold.
pub(crate) fn layout(options: &OutputOptions, meta: &Meta) -> Result<Layout, IoError> {
    let bad = |option, why: &str| Err(IoError::Option { option, why: why.to_owned() });
    if options.codec != Codec::None {
        return bad("--codec", "a .npy file has no codec; Zarr and TIFF have");
    }
    if options.shard.is_some() {
        return bad("--shard", "a .npy file has no shards");
    }
    let order = order::axes(options.axis_order.as_ref(), meta)?;
    let mut chunk = options.chunk.unwrap_or_else(|| match options.axis_order {
        None => [1, 1, 1, EDGE, EDGE],
        Some(_) => run(&order, &meta.shape),
    });
    for a in 0..NDIM {
        if chunk[a] == 0 {
            return bad("--chunk", &format!("0 along {}", Axis::ALL[a]));
        }
        chunk[a] = chunk[a].min(meta.shape[a].max(1));
    }
    if meta
        .shape
        .iter()
        .try_fold(meta.dtype.size() as u64, |n, &s| n.checked_mul(s))
        .is_none_or(|n| n > 1 << 62)
    {
        return bad("OUTPUT", &format!("{:?} is too large for one file", meta.dims()));
    }
    let size = meta.dtype.size();
    Ok(Layout { chunk, shard: None, scratch: voxels(&chunk) * size as u64, ns_per_voxel: 0.3 * size as f64 })
}

/// A chunk of voxels that follow each other in the file.
fn run(order: &[Axis], shape: &Shape) -> Shape {
    let (mut chunk, mut room) = ([1; NDIM], EDGE * EDGE);
    for axis in order.iter().rev() {
        let a = axis.index();
        chunk[a] = shape[a].clamp(1, room.max(1));
        room /= chunk[a];
    }
    chunk
}

/// A `.npy` file on its way.
pub(crate) struct NpySink {
    meta: Meta,
    layout: Layout,
    /// The axes as the file has them.
    order: Vec<Axis>,
    path: PathBuf,
    grid: Grid,
    /// `None` once it is complete or given up.
    file: RwLock<Option<Growing>>,
    /// Whether an earlier run began it: what that one noted is here.
    there: bool,
}

impl NpySink {
    /// Starts the file, or goes on with it: header and length.
    ///
    /// # Errors
    /// Those of [`layout`], and [`IoError::Io`].
    pub(crate) fn create(
        options: &OutputOptions,
        meta: &Meta,
        work: Option<&Arc<Work>>,
    ) -> Result<Self, IoError> {
        let layout = layout(options, meta)?;
        let path = options.path.clone();
        let file = Growing::begin(&path, work)?;
        let there = file.is_there();
        file.set_len(HEADER as u64 + meta.bytes())?;
        let order = order::axes(options.axis_order.as_ref(), meta)?;
        file.write_at(&header(meta, &order), 0)?;
        let grid = Grid::new(meta.shape, layout.chunk);
        Ok(Self { meta: meta.clone(), layout, order, path, grid, file: RwLock::new(Some(file)), there })
    }

    fn write_chunk(&self, place: Place, data: &Tile<'_>) -> Result<u64, IoError> {
        let guard = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = guard.as_ref() else { return Ok(0) };
        let region = self.grid.region(&place.index);
        if region.is_empty() {
            return Ok(0);
        }
        let size = self.meta.dtype.size();
        let (inside, outside) =
            (order::strides(&self.order, &region.shape), order::strides(&self.order, &self.meta.shape));
        let dot = |at: &Shape, strides: &PerAxis<u64>| (0..NDIM).map(|a| at[a] * strides[a]).sum::<u64>();
        let start = dot(&region.start.map(|s| s as u64), &outside);
        // Axes of which the chunk has all follow each other, and one more does.
        let (mut run, mut outer) = (size, region.shape);
        for a in self.order.iter().rev().map(|axis| axis.index()) {
            (run, outer[a]) = (run * region.shape[a] as usize, 1);
            if region.shape[a] < self.meta.shape[a] {
                break;
            }
        }
        with_work(|work| {
            let turned = work.chunk.bytes(region.voxels() as usize * size)?;
            turn(data, &inside, turned);
            for at in Grid::new(outer, [1; NDIM]).iter() {
                let from = dot(&at, &inside) as usize * size;
                let to = HEADER as u64 + (start + dot(&at, &outside)) * size as u64;
                file.write_at(&turned[from..from + run], to)?;
            }
            Ok(region.voxels() * size as u64)
        })
    }
}

/// Copies the voxels of a tile to where these strides say.
fn turn(tile: &Tile<'_>, strides: &PerAxis<u64>, out: &mut [u8]) {
    let size = tile.dtype().size();
    let [nt, nc, nz, ny, nx] = tile.shape();
    let [st, sc, sz, sy, sx] = strides.map(|s| s as usize * size);
    for (t, c) in (0..nt).flat_map(|t| (0..nc).map(move |c| (t, c))) {
        for (z, y) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
            let (row, start) = (tile.row_bytes(t, c, z, y), t * st + c * sc + z * sz + y * sy);
            if sx == size {
                out[start..start + nx * size].copy_from_slice(row);
                continue;
            }
            for (x, voxel) in row.chunks_exact(size).enumerate() {
                out[start + x * sx..][..size].copy_from_slice(voxel);
            }
        }
    }
}

/// The first bytes of a file with that image.
fn header(meta: &Meta, axes: &[Axis]) -> [u8; HEADER] {
    let order = match (meta.dtype.size(), cfg!(target_endian = "big")) {
        (1, _) => '|',
        (_, true) => '>',
        (_, false) => '<',
    };
    let dims: Vec<String> = axes.iter().map(|axis| meta.shape[axis.index()].to_string()).collect();
    let comma = if dims.len() == 1 { "," } else { "" };
    let text = format!(
        "{{'descr': '{order}{}{}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        &meta.dtype.name()[..1],
        meta.dtype.size(),
        dims.join(", ")
    );
    let mut out = [b' '; HEADER];
    out[..6].copy_from_slice(MAGIC);
    out[6..8].copy_from_slice(&[1, 0]);
    out[8..10].copy_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    // Five sizes of 20 digits each do not come with 2^62 bytes; what does is shorter than the header.
    let len = text.len().min(HEADER - 11);
    out[10..10 + len].copy_from_slice(&text.as_bytes()[..len]);
    out[HEADER - 1] = b'\n';
    out
}

impl Sink for NpySink {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        Ok(self.write_chunk(place, data)?)
    }

    fn finish(&self) -> Result<(), StoreError> {
        let mut guard = self.file.write().unwrap_or_else(PoisonError::into_inner);
        match guard.take() {
            Some(file) => Ok(file.commit()?),
            None => Ok(()),
        }
    }

    fn abort(&self) {
        self.file.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn holds(&self, _: Place) -> bool {
        self.there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, contract};
    use std::sync::{Arc, Mutex};
    use voxtile_sched::contract::Source;
    use voxtile_sched::model::{AxisSet, Dtype, Shape};

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/other").join(name)
    }

    struct Files {
        dir: tempfile::TempDir,
        /// Such a file names no axes.
        axes: Mutex<Option<AxisSet>>,
    }

    impl contract::Store for Files {
        fn create(&self, meta: &Meta, chunk: Shape) -> Result<Arc<dyn Sink>, StoreError> {
            let path = self.dir.path().join("image.npy");
            let _ = std::fs::remove_file(&path);
            *self.axes.lock().unwrap() = Some(meta.axes);
            let options = OutputOptions {
                path,
                format: Format::Npy,
                axis_order: None,
                chunk: Some(chunk),
                shard: None,
                codec: Codec::None,
                overwrite: true,
                bare: false,
                about: crate::About::default(),
                remote: crate::Remote::new(),
            };
            Ok(options.create(meta, &[])?)
        }

        fn reopen(&self) -> Result<Arc<dyn Source>, StoreError> {
            let axes = *self.axes.lock().unwrap();
            let options = OpenOptions { axes, ..OpenOptions::default() };
            Ok(crate::open(&self.dir.path().join("image.npy"), &options)?.source)
        }

        fn is_gone(&self) -> bool {
            std::fs::read_dir(self.dir.path()).unwrap().next().is_none()
        }

        fn stored(&self) -> Vec<u8> {
            std::fs::read(self.dir.path().join("image.npy")).unwrap()
        }
    }

    #[test]
    fn npy_passes_the_suite_of_stores() {
        contract::check(&Files { dir: tempfile::tempdir().unwrap(), axes: Mutex::default() });
    }

    #[test]
    fn headers_are_read_in_all_spellings() {
        let fields =
            |text: &str| Fields::parse(text).map(|f| (f.descr.unwrap_or_default(), f.fortran, f.shape));
        let got = fields("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 4), }   \n");
        assert_eq!(got, Some(("<u2".to_owned(), false, vec![3, 4])));
        let got = fields("{\"shape\": (7L,), \"fortran_order\":True,\"descr\":\"|u1\"}");
        assert_eq!(got, Some(("|u1".to_owned(), true, vec![7])));
        assert_eq!(
            fields("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': ()}"),
            Some(Default::default())
        );
        for bad in [
            "",
            "{}",
            "{'descr': '<u2', 'fortran_order': 1, 'shape': (3,)}",
            "{'descr': '<u2', 'fortran_order': False, 'shape': (-3,)}",
        ] {
            assert!(fields(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_numpy_wrote_is_read() {
        let all: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(data("expected.json")).unwrap()).unwrap();
        let mut seen = 0;
        for (name, want) in all.as_object().unwrap().iter().filter(|(n, _)| n.ends_with(".npy")) {
            let opened = crate::open(&data(name), &OpenOptions::default());
            if let Some(word) = want["refused"].as_str() {
                let error = opened.err().unwrap_or_else(|| panic!("{name} was opened")).to_string();
                assert!(error.contains(word), "{name}: {error}");
                continue;
            }
            let source = opened.unwrap_or_else(|e| panic!("{name}: {e}")).source;
            let raw = std::fs::read(data(&format!("{name}.raw"))).unwrap();
            assert_eq!(source.meta().dtype.numpy_name(), want["dtype"], "{name}");
            contract::check_source(&*source, &raw);
            seen += 1;
        }
        assert!(seen >= 5, "{seen} files");
    }

    #[test]
    fn numpy_knows_the_header() {
        let meta = Meta::new([1, 1, 1, 1, 37], AxisSet::parse("x").unwrap(), Dtype::F32);
        let head = header(&meta, &meta.axes.iter().collect::<Vec<_>>());
        let text = std::str::from_utf8(&head[10..]).unwrap();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (37,), }  "), "{text}");
        assert!(head.starts_with(b"\x93NUMPY\x01\x00\x76\x00") && head.ends_with(b" \n"));
    }
}
