//! Voxels that lie one behind the other in a file without codec: raw files, and the body of `.npy` files.

use crate::bytes::ByteFile;
use crate::scratch::with_work;
use crate::{Damage, Info, IoError, LevelInfo, OpenOptions, Opened, native};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{Axis, AxisSet, Dtype, Grid, Meta, NDIM, PerAxis, Shape, TileMut, voxels};

/// About how many bytes are read at once.
const CHUNK: u64 = 1 << 20;

/// How samples lie in a file that does not say so itself, or says it in one word.
///
/// Text form: a type of voxtile or numpy (`u16`, `float32`, in the machine's byte order) or one with a byte order
/// (`<u2`, `>f4`); also half precision (`f16`, `>f2`), which becomes `f32`, and truth values (`bool`), which become `u8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawType {
    /// The type that they become.
    pub dtype: Dtype,
    /// Whether they are stored in half precision.
    pub half: bool,
    /// Whether the byte with the highest bits comes first.
    pub big_endian: bool,
}

/// A sample type that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no type of samples that is read: u8, i8, u16, … f64, f16, bool, or with a byte order as <u2, >f4"
)]
pub struct BadRawType(pub String);

impl FromStr for RawType {
    type Err = BadRawType;

    fn from_str(text: &str) -> Result<Self, BadRawType> {
        let native = cfg!(target_endian = "big");
        let (big_endian, name) = match text.as_bytes().first() {
            Some(b'<') => (false, &text[1..]),
            Some(b'>') => (true, &text[1..]),
            Some(b'|' | b'=') => (native, &text[1..]),
            _ => (native, text),
        };
        let made = |dtype| Ok(Self { dtype, half: false, big_endian });
        // numpy counts bytes where a byte order stands before, voxtile counts bits.
        if name.len() < text.len() {
            for dtype in Dtype::ALL {
                let kind = &dtype.name()[..1];
                if name == format!("{kind}{}", dtype.size()) {
                    return made(dtype);
                }
            }
        } else if let Some(dtype) = Dtype::from_name(name) {
            return made(dtype);
        }
        match name {
            "f16" | "float16" | "f2" => Ok(Self { dtype: Dtype::F32, half: true, big_endian }),
            "bool" | "b1" => made(Dtype::U8),
            _ => Err(BadRawType(text.to_owned())),
        }
    }
}

impl fmt::Display for RawType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.half { "float16" } else { self.dtype.numpy_name() };
        let order = if self.big_endian { "big-endian" } else { "little-endian" };
        if self.size() == 1 { f.write_str(name) } else { write!(f, "{name}, {order}") }
    }
}

impl RawType {
    /// Bytes of a sample in the file.
    #[must_use]
    pub const fn size(self) -> usize {
        if self.half { 2 } else { self.dtype.size() }
    }
}

/// What a file of voxels without a header is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOptions {
    /// Size, slowest axis first; the axes are the last ones of `t, c, z, y, x` unless others are named.
    pub shape: Vec<u64>,
    /// How samples lie there.
    pub dtype: RawType,
    /// Bytes before the first voxel.
    pub offset: u64,
}

/// What is known of voxels in a file.
pub(crate) struct Layout {
    pub(crate) raw: RawOptions,
    /// Whether the first axis is the fastest one.
    pub(crate) fortran: bool,
    /// Name of the format.
    pub(crate) format: &'static str,
}

/// Voxels in a file.
struct Flat {
    file: ByteFile,
    path: PathBuf,
    meta: Meta,
    dtype: RawType,
    offset: u64,
    /// Distance of neighbours in the file, in samples.
    strides: PerAxis<u64>,
    /// Whether neighbours along `x` are neighbours in the file, and so on.
    row_major: bool,
    chunk: Shape,
}

/// Opens a file of voxels without a header.
///
/// # Errors
/// As [`crate::open`].
pub(crate) fn open_raw(path: &Path, raw: &RawOptions, options: &OpenOptions) -> Result<Opened, IoError> {
    let file = ByteFile::open(path, &options.remote)?;
    open(file, path, Layout { raw: raw.clone(), fortran: false, format: "raw" }, options)
}

/// Opens the voxels of a file whose layout is known.
pub(crate) fn open(
    file: ByteFile,
    path: &Path,
    layout: Layout,
    options: &OpenOptions,
) -> Result<Opened, IoError> {
    let Layout { raw, fortran, format } = layout;
    let store = path.display().to_string();
    options.only_image(&store)?;
    let rank = raw.shape.len();
    let axes = options.axes.or_else(|| AxisSet::of_rank(rank)).filter(|a| a.len() == rank);
    let Some(axes) = axes else {
        return Err(match options.axes {
            Some(asked) => IoError::Option {
                option: "--axes",
                why: format!("`{asked}` does not fit `{store}`, which has {rank} axes"),
            },
            None => IoError::Unsupported { store, feature: crate::Feature::Rank(rank) },
        });
    };
    let shape = axes.spread(&raw.shape, 1);
    let size = raw.dtype.size() as u64;
    let len = file.len();
    let wanted =
        raw.shape.iter().try_fold(size, |n, &s| n.checked_mul(s)).and_then(|n| n.checked_add(raw.offset));
    if wanted.is_none_or(|n| n > len) {
        let dims: Vec<String> = raw.shape.iter().map(u64::to_string).collect();
        return Err(IoError::Header {
            store,
            field: "shape".to_owned(),
            problem: format!(
                "{} of {} needs {} bytes from byte {} on, the file has {len}",
                dims.join(" × "),
                raw.dtype,
                wanted.map_or("too many".to_owned(), |n| (n - raw.offset).to_string()),
                raw.offset
            ),
        });
    }
    let left = len - wanted.unwrap_or(len);
    // Axes from the fastest one in the file to the slowest.
    let mut order: Vec<Axis> = axes.iter().collect();
    if !fortran {
        order.reverse();
    }
    let (mut chunk, mut strides) = ([1; NDIM], [0; NDIM]);
    let (mut bytes, mut stride, mut open) = (size, 1, true);
    for axis in order {
        let n = shape[axis.index()];
        strides[axis.index()] = stride;
        stride *= n;
        if open {
            let part = (CHUNK / bytes).clamp(1, n.max(1));
            chunk[axis.index()] = part;
            bytes *= part;
            open = part == n;
        }
    }
    let meta = Meta::new(shape, axes, raw.dtype.dtype);
    let mut details = vec![("stored as".to_owned(), raw.dtype.to_string())];
    if fortran {
        details.push(("order".to_owned(), "the first axis is the fastest (Fortran order)".to_owned()));
    }
    if raw.offset > 0 {
        details.push(("offset".to_owned(), format!("{} bytes", raw.offset)));
    }
    if left > 0 {
        details.push(("unread".to_owned(), format!("{left} bytes behind the last voxel")));
    }
    let info = Info {
        format: format.to_owned(),
        path: store,
        levels: vec![LevelInfo { path: "0".to_owned(), shape: meta.dims(), scale: vec![1.0; rank] }],
        chunk: axes.pick(&chunk),
        codec: "none".to_owned(),
        details,
        chunk5: chunk,
        ..Info::default()
    };
    let row_major = !fortran || rank <= 1;
    let source = Flat {
        file,
        path: path.to_owned(),
        meta,
        dtype: raw.dtype,
        offset: raw.offset,
        strides,
        row_major,
        chunk,
    };
    Ok(Opened { source: Arc::new(source), info })
}

impl Flat {
    /// Whether samples need nothing but their byte order, and lie in the order of `out`.
    fn direct(&self) -> bool {
        self.row_major && !self.dtype.half
    }

    fn swaps(&self) -> bool {
        self.dtype.big_endian != cfg!(target_endian = "big")
    }

    fn read_chunk(&self, index: &Shape, out: &mut TileMut<'_>) -> Result<u64, IoError> {
        let region = Grid::new(self.meta.shape, self.chunk).region(index);
        let first: u64 = (0..NDIM).map(|a| region.start[a] as u64 * self.strides[a]).sum();
        let size = self.dtype.size();
        let len = region.voxels() * size as u64;
        let at = self.offset + first * size as u64;
        let fill = |into: &mut [u8]| {
            let got = self.file.read_at(into, at)? as u64;
            if got == len {
                return Ok(());
            }
            let problem = Damage::Truncated { got, want: len };
            Err(IoError::Damaged { store: self.name(), chunk: format!("{index:?}"), region, problem })
        };
        let shape = out.shape();
        let bytes = out.bytes_mut().expect("the place of a chunk has no gaps");
        if self.direct() {
            fill(bytes)?;
            if self.swaps() {
                native::swap_bytes(size, bytes);
            }
            return Ok(len);
        }
        with_work(|work| {
            let stored = work.encoded.bytes(len as usize)?;
            fill(stored)?;
            if self.swaps() {
                native::swap_bytes(size, stored);
            }
            let stored = if self.row_major {
                stored
            } else {
                let sorted = work.chunk.bytes(len as usize)?;
                // In the chunk the strides of the file hold as well, but for the axes that it cuts.
                let mut strides = self.strides.map(|s| s as usize);
                let mut stride = 1;
                for axis in self.meta.axes.iter() {
                    strides[axis.index()] = stride;
                    stride *= shape[axis.index()];
                }
                match size {
                    1 => transpose::<1>(stored, sorted, shape, strides),
                    2 => transpose::<2>(stored, sorted, shape, strides),
                    4 => transpose::<4>(stored, sorted, shape, strides),
                    _ => transpose::<8>(stored, sorted, shape, strides),
                }
                sorted
            };
            if self.dtype.half {
                native::widen_half(stored, bytes);
            } else {
                bytes.copy_from_slice(stored);
            }
            Ok(len)
        })
    }
}

/// Brings samples at `strides` into the order of `shape`.
fn transpose<const N: usize>(from: &[u8], out: &mut [u8], shape: PerAxis<usize>, strides: PerAxis<usize>) {
    let (from, out) = (from.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
    let [_, c, z, y, x] = shape;
    if x == 0 {
        return;
    }
    for (row, out) in out.chunks_exact_mut(x).enumerate() {
        let at = [row / (c * z * y), row / (z * y) % c, row / y % z, row % y];
        let start: usize = at.iter().zip(strides).map(|(i, s)| i * s).sum();
        for (i, out) in out.iter_mut().enumerate() {
            *out = from[start + i * strides[4]];
        }
    }
}

impl Source for Flat {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.chunk
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn scratch(&self) -> u64 {
        if self.direct() { 0 } else { 2 * voxels(&self.chunk) * self.dtype.size() as u64 }
    }

    fn read(&self, index: &Shape, _: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        Ok(self.read_chunk(index, &mut out)?)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.2 * self.dtype.size() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_both_names() {
        let kind = |text: &str| text.parse::<RawType>().unwrap();
        assert_eq!(kind(">u2"), RawType { dtype: Dtype::U16, half: false, big_endian: true });
        assert_eq!(kind("<f8").dtype, Dtype::F64);
        assert_eq!(kind("i8").dtype, Dtype::I8);
        assert_eq!(kind("<i8").dtype, Dtype::I64);
        assert_eq!(kind("float32").dtype, Dtype::F32);
        assert_eq!(kind("|b1").dtype, Dtype::U8);
        assert_eq!((kind(">f2").half, kind("f16").size()), (true, 2));
        for bad in ["", "<", "u3", "<u16", "c8", "<c8", "|S4", "µ2"] {
            assert!(bad.parse::<RawType>().is_err(), "{bad}");
        }
    }

    fn raw(shape: &[u64], dtype: &str, offset: u64) -> OpenOptions {
        let raw = RawOptions { shape: shape.to_vec(), dtype: dtype.parse().unwrap(), offset };
        OpenOptions { raw: Some(raw), ..OpenOptions::default() }
    }

    #[test]
    fn raw_voxels_are_what_is_said_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("voxels.bin");
        let values: Vec<u16> = (0..3 * 700 * 801u32).map(|i| (i * 7) as u16).collect();
        let mut bytes = vec![9; 13];
        bytes.extend(values.iter().flat_map(|v| v.to_be_bytes()));
        std::fs::write(&path, &bytes).unwrap();
        let opened = crate::open(&path, &raw(&[3, 700, 801], ">u2", 13)).unwrap();
        assert_eq!(opened.source.meta().axes.to_string(), "zyx");
        crate::contract::check_source(&*opened.source, bytemuck::cast_slice(&values));

        let short = crate::open(&path, &raw(&[4, 700, 801], "u16", 13));
        assert!(matches!(short, Err(IoError::Header { .. })));
        let absurd = crate::open(&path, &raw(&[u64::MAX, u64::MAX], "u16", 13));
        assert!(matches!(absurd, Err(IoError::Header { .. })));
        let axes = OpenOptions { axes: AxisSet::parse("cyx"), ..raw(&[3, 700, 801], ">u2", 13) };
        assert_eq!(crate::open(&path, &axes).unwrap().source.meta().shape, [1, 3, 1, 700, 801]);
        let many = crate::open(&path, &raw(&[1; 6], "u8", 0));
        assert!(matches!(many, Err(IoError::Unsupported { feature: crate::Feature::Rank(6), .. })));
    }

    #[test]
    fn a_file_that_was_cut_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("voxels.bin");
        std::fs::write(&path, [1; 100]).unwrap();
        let source = crate::open(&path, &raw(&[10, 10], "u8", 0)).unwrap().source;
        std::fs::write(&path, [1; 99]).unwrap();
        let mut out = [0; 100];
        let error = source.read(&[0; 5], None, TileMut::new(Dtype::U8, [1, 1, 1, 10, 10], &mut out));
        assert!(error.unwrap_err().to_string().contains("99 of its 100"));
    }
}
