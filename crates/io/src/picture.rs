//! Pictures: PNG and JPEG. Such a file can only be decoded whole, so an image is one chunk, of limited size.
//!
//! Samples become `c`. PNG palettes become red, green and blue; 1, 2 and 4 bits of gray are spread over 0 to 255; a
//! transparent colour becomes a channel of alpha: all as libpng does it for other programs. JPEG's luma and chroma
//! become red, green and blue, as libjpeg-turbo has them. Sizes in dots per inch and orientation marks are ignored.

use crate::bytes::read_at;
use crate::jpeg::{Colors, Decoder, TABLE_BYTES, Wanted, size};
use crate::scratch::with_work;
use crate::tiff::{rgb_channels, split};
use crate::{Damage, Feature, Info, IoError, LevelInfo, OpenOptions, Opened, native};
use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{Source, StoreError};
use voxtile_sched::model::{AxisSet, Channel, Dtype, Meta, Region, Shape, TileMut};

/// Most bytes of voxels that a picture may have.
const MAX_BYTES: u64 = 1 << 30;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Png,
    Jpeg,
}

impl Kind {
    /// The format of a file that starts so.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Some(Self::Png),
            _ if head.starts_with(&[0xFF, 0xD8, 0xFF]) => Some(Self::Jpeg),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
        }
    }
}

/// A picture in a file.
struct Picture {
    path: PathBuf,
    kind: Kind,
    meta: Meta,
    encoded: u64,
}

/// What the header says.
struct Header {
    width: u64,
    height: u64,
    samples: u64,
    dtype: Dtype,
    details: Vec<(String, String)>,
}

/// Opens a picture.
///
/// # Errors
/// As [`crate::open`].
pub(crate) fn open(kind: Kind, path: &Path, options: &OpenOptions) -> Result<Opened, IoError> {
    let store = path.display().to_string();
    options.only_image(&store)?;
    let file = File::open(path).map_err(IoError::io("read", path))?;
    let encoded = file.metadata().map_err(IoError::io("read", path))?.len();
    let header = match kind {
        Kind::Png => png_header(file, path)?,
        Kind::Jpeg => jpeg_header(&file, path, encoded)?,
    };
    let shape = [1, header.samples, 1, header.height, header.width];
    let own = AxisSet::parse(if header.samples > 1 { "cyx" } else { "yx" }).unwrap_or_default();
    let axes = options.axes.unwrap_or(own);
    if !own.iter().all(|a| axes.contains(a)) {
        let why = format!("`{axes}` does not fit `{store}`, which has the axes {own}");
        return Err(IoError::Option { option: "--axes", why });
    }
    let mut meta = Meta::new(shape, axes, header.dtype);
    let bytes = meta.bytes();
    if bytes > MAX_BYTES || encoded > MAX_BYTES {
        let what = format!("a picture of {} MiB (up to {} MiB are read)", bytes >> 20, MAX_BYTES >> 20);
        return Err(IoError::Unsupported { store, feature: Feature::Other(what) });
    }
    let alpha = || Channel { name: Some("alpha".to_owned()), color: None };
    meta.channels = match header.samples {
        2 => vec![Channel { name: Some("gray".to_owned()), color: None }, alpha()],
        3 => rgb_channels().to_vec(),
        4 => [&rgb_channels()[..], &[alpha()]].concat(),
        _ => Vec::new(),
    };
    let info = Info {
        format: kind.name().to_owned(),
        path: store,
        levels: vec![LevelInfo { path: "0".to_owned(), shape: meta.dims(), scale: vec![1.0; axes.len()] }],
        chunk: meta.dims(),
        codec: kind.name().to_owned(),
        details: header.details,
        chunk5: shape,
        ..Info::default()
    };
    Ok(Opened { source: Arc::new(Picture { path: path.to_owned(), kind, meta, encoded }), info })
}

fn refused(path: &Path, kind: Kind, problem: &dyn Display) -> IoError {
    let (store, field) = (path.display().to_string(), kind.name().to_owned());
    IoError::Header { store, field, problem: problem.to_string() }
}

/// A decoder behind the header of a PNG.
fn png_reader(file: File) -> Result<png::Reader<BufReader<File>>, png::DecodingError> {
    let limits = png::Limits { bytes: 64 << 20 };
    let mut decoder = png::Decoder::new_with_limits(BufReader::with_capacity(1 << 16, file), limits);
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder.read_info()
}

fn png_header(file: File, path: &Path) -> Result<Header, IoError> {
    let reader = png_reader(file).map_err(|e| refused(path, Kind::Png, &e))?;
    let (color, depth) = reader.output_color_type();
    let info = reader.info();
    // The decoder takes what is there for whole colours.
    let palette = info.palette.as_ref().map_or(0, |palette| palette.len());
    if info.color_type == png::ColorType::Indexed && (palette == 0 || !palette.is_multiple_of(3)) {
        let problem = format!("has a palette of {palette} bytes, which are no colours");
        return Err(refused(path, Kind::Png, &problem));
    }
    let mut details = Vec::new();
    let mut tell = |key: &str, value: &str| details.push((key.to_owned(), value.to_owned()));
    match info.color_type {
        png::ColorType::Indexed => tell("palette", "indices were replaced by their colours"),
        _ if (info.bit_depth as u8) < 8 => tell("bits per sample", &(info.bit_depth as u8).to_string()),
        _ => {}
    }
    if info.interlaced {
        tell("order", "interlaced");
    }
    if info.animation_control.is_some() {
        tell("animation", "the picture that stands for it is read");
    }
    let dtype = if depth == png::BitDepth::Sixteen { Dtype::U16 } else { Dtype::U8 };
    let samples = color.samples() as u64;
    Ok(Header { width: info.width.into(), height: info.height.into(), samples, dtype, details })
}

fn jpeg_header(file: &File, path: &Path, len: u64) -> Result<Header, IoError> {
    // Headers of any length may stand before the size; thumbnails and profiles are seldom longer.
    let mut head = vec![0; len.min(16 << 20) as usize];
    read_at(file, &mut head, 0).map_err(IoError::io("read", path))?;
    let (width, height, samples) = size(&head).map_err(|fault| refused(path, Kind::Jpeg, &fault.0))?;
    if !matches!(samples, 1 | 3) {
        let colors = if samples == 4 { "CMYK".to_owned() } else { format!("{samples} components") };
        let feature = Feature::Other(format!("a JPEG of colours {colors}"));
        return Err(IoError::Unsupported { store: path.display().to_string(), feature });
    }
    let [width, height, samples] = [width, height, samples].map(|n| n as u64);
    Ok(Header { width, height, samples, dtype: Dtype::U8, details: Vec::new() })
}

impl Picture {
    fn damaged(&self, message: &dyn Display) -> IoError {
        let problem = Damage::Codec { codec: self.kind.name(), message: message.to_string() };
        let region = Region::new([0; 5], self.meta.shape);
        IoError::Damaged { store: self.name(), chunk: "0".to_owned(), region, problem }
    }

    /// Decodes a JPEG into planes.
    fn jpeg(&self, stream: &[u8], out: &mut [u8]) -> Result<(), IoError> {
        let [_, samples, _, height, width] = self.meta.shape.map(|n| n as usize);
        let wanted = Wanted { width, rows: (height, height), samples, colors: Colors::AsMarked };
        Decoder::default().decode(None, stream, &wanted, out).map_err(|fault| self.damaged(&fault.0))?;
        Ok(())
    }

    /// Decodes a PNG into pixels, in the machine's byte order.
    fn png(&self, file: File, pixels: &mut [u8]) -> Result<(), IoError> {
        let mut reader = png_reader(file).map_err(|e| self.damaged(&e))?;
        if reader.output_buffer_size() != Some(pixels.len()) {
            return Err(self.damaged(&"is of another size than when it was opened"));
        }
        reader.next_frame(pixels).map_err(|e| self.damaged(&e))?;
        if self.meta.dtype == Dtype::U16 && cfg!(target_endian = "little") {
            native::swap_bytes(2, pixels);
        }
        Ok(())
    }
}

impl Source for Picture {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.meta.shape
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn scratch(&self) -> u64 {
        let pixels = if self.meta.shape[1] > 1 { self.meta.bytes() } else { 0 };
        match self.kind {
            // A window of the stream, and two rows.
            Kind::Png => pixels + (1 << 20) + 4 * self.meta.shape[4] * 8,
            // Planes of whole blocks; of progressive ones all coefficients, twice as many bytes as samples.
            Kind::Jpeg => {
                let edges = 256 * (self.meta.shape[3] + self.meta.shape[4]);
                self.encoded + 3 * self.meta.bytes() + edges + TABLE_BYTES + (1 << 20)
            }
        }
    }

    fn read(&self, _: &Shape, _: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let out = out.bytes_mut().expect("the place of a chunk has no gaps");
        let samples = self.meta.shape[1] as usize;
        with_work(|work| {
            let file = File::open(&self.path).map_err(IoError::io("read", &self.path))?;
            if self.kind == Kind::Jpeg {
                let bytes = work.encoded.bytes(self.encoded as usize)?;
                let got = read_at(&file, bytes, 0).map_err(IoError::io("read", &self.path))?;
                return self.jpeg(&bytes[..got], out);
            }
            if samples == 1 {
                return self.png(file, out);
            }
            // Words, so that pixels of any type can lie there.
            let mut space = Vec::<u64>::new();
            let words = out.len().div_ceil(8);
            let bytes = out.len() as u64;
            space.try_reserve_exact(words).map_err(|_| IoError::Memory { bytes })?;
            space.resize(words, 0);
            let pixels = &mut bytemuck::cast_slice_mut(&mut space)[..out.len()];
            self.png(file, pixels)?;
            let plane = out.len() / samples;
            split(self.meta.dtype, pixels, samples, out, plane);
            Ok(())
        })?;
        Ok(self.encoded)
    }

    fn ns_per_voxel(&self) -> f64 {
        3.0 * self.meta.dtype.size() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn data(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/other").join(name)
    }

    #[test]
    fn pictures_are_what_other_programs_read() {
        let all: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(data("expected.json")).unwrap()).unwrap();
        let mut equal = 0;
        for (name, want) in all.as_object().unwrap().iter().filter(|(n, _)| !n.ends_with(".npy")) {
            let opened = crate::open(&data(name), &OpenOptions::default());
            if let Some(word) = want["refused"].as_str() {
                let error = opened.err().unwrap_or_else(|| panic!("{name} was opened")).to_string();
                assert!(error.contains(word), "{name}: {error}");
                continue;
            }
            let source = opened.unwrap_or_else(|e| panic!("{name}: {e}")).source;
            let raw = std::fs::read(data(&format!("{name}.raw"))).unwrap();
            let meta = source.meta();
            assert_eq!(meta.dtype.numpy_name(), want["dtype"], "{name}");
            assert_eq!(serde_json::json!(meta.dims()), want["shape"], "{name}");
            contract::check_source(&*source, &raw);
            equal += 1;
        }
        assert!(equal >= 25, "{equal} pictures");
    }

    #[test]
    fn changed_bytes_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = 5u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for name in ["rgb.png", "gray.jpg", "ycbcr_420.jpg", "restart.jpg", "progressive.jpg", "palette.png"]
        {
            for round in 0..60 {
                let mut bytes = std::fs::read(data(name)).unwrap();
                for _ in 0..=next(3) {
                    let at = if round % 2 == 0 { next(bytes.len()) } else { next(64) };
                    bytes[at] ^= 1 << next(8);
                }
                if round % 5 == 0 {
                    bytes.truncate(next(bytes.len()));
                }
                let path = dir.path().join(name);
                std::fs::write(&path, &bytes).unwrap();
                let Ok(opened) = crate::open(&path, &OpenOptions::default()) else { continue };
                let meta = opened.source.meta().clone();
                if meta.bytes() < 1 << 24 {
                    let mut out = vec![0u64; (meta.bytes() as usize).div_ceil(8)];
                    let out = &mut bytemuck::cast_slice_mut(&mut out)[..meta.bytes() as usize];
                    let tile = TileMut::new(meta.dtype, meta.shape.map(|n| n as usize), out);
                    let _ = opened.source.read(&[0; 5], None, tile);
                }
            }
        }
    }
}
