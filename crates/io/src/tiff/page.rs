//! One directory as an image: its size, sample type, how it is cut and coded.

use super::cut::{Coding, Compression, Cut, Form, MAX_SEGMENT, Places, Predictor, compression_name};
use super::ifd::{Directory, Entry, Reader, tag};
use crate::{Feature, IoError};
use std::sync::Arc;
use voxtile_sched::model::Dtype;

/// What one directory says of its image. Nothing is refused here: a file may hold pages that nobody asks for.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Which of the image's files it is in.
    pub(super) file: usize,
    /// Position in the chain of directories of that file.
    pub(super) number: usize,
    /// Where its directory lies.
    pub(super) offset: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    /// Slices of a volume (ImageDepth), and of one of its tiles.
    pub(super) slices: u64,
    thick: u64,
    pub(super) samples: u64,
    /// Bits of one sample; 0 where the samples differ.
    pub(super) bits: u64,
    /// 1 unsigned, 2 signed, 3 float, 5 and 6 complex; 0 where the samples differ.
    format: u64,
    compression: u64,
    pub(super) predictor: u64,
    pub(super) photometric: u64,
    pub(super) planar: bool,
    reversed_bits: bool,
    /// Of group 3: bit 0 two dimensions, bit 1 uncompressed parts.
    fax_options: u64,
    /// Size of a tile, or 0 and rows per strip.
    pub(super) tile: Option<(u64, u64)>,
    rows_per_strip: u64,
    /// Whether it is a smaller copy or a mask of another page.
    pub(super) reduced: bool,
    /// NewSubfileType, with the bits that only makers of slides use.
    pub(super) subfile: u64,
    /// A layout of its own, that would be read wrongly.
    foreign: Option<&'static str>,
    /// Pixels per unit along `y` and `x`, and the unit: 2 inch, 3 centimetre.
    pub(super) resolution: ([Option<f64>; 2], u64),
    /// The colour map, if samples are indices into one.
    pub(super) colors: Option<Entry>,
    offsets: Option<Entry>,
    counts: Option<Entry>,
    tables: Option<Entry>,
    sub_ifds: Option<Entry>,
}

impl Page {
    /// Reads the tags of a directory.
    pub(super) fn new(reader: &mut Reader, dir: &Directory, number: usize) -> Result<Self, IoError> {
        let mut one = |tag: u16, default: u64| Ok::<_, IoError>(reader.integer(dir, tag)?.unwrap_or(default));
        let width = one(tag::IMAGE_WIDTH, 0)?;
        let height = one(tag::IMAGE_LENGTH, 0)?;
        let samples = one(tag::SAMPLES_PER_PIXEL, 1)?;
        if samples == 0 {
            return Err(reader.header("SamplesPerPixel", &format!("of page {number} is 0")));
        }
        let tile = match (one(tag::TILE_WIDTH, 0)?, one(tag::TILE_LENGTH, 0)?) {
            (0, _) | (_, 0) => None,
            size => Some(size),
        };
        let subfile = one(tag::NEW_SUBFILE_TYPE, 0)?;
        let unit = one(tag::RESOLUTION_UNIT, 2)?;
        let page = Self {
            file: 0,
            number,
            offset: dir.offset,
            width,
            height,
            slices: one(tag::IMAGE_DEPTH, 1)?.max(1),
            thick: if tile.is_some() { one(tag::TILE_DEPTH, 1)?.max(1) } else { 1 },
            samples,
            compression: one(tag::COMPRESSION, 1)?,
            predictor: one(tag::PREDICTOR, 1)?,
            photometric: one(tag::PHOTOMETRIC, 1)?,
            planar: samples > 1 && one(tag::PLANAR, 1)? == 2,
            reversed_bits: one(tag::FILL_ORDER, 1)? == 2,
            fax_options: one(tag::T4_OPTIONS, 0)?,
            rows_per_strip: one(tag::ROWS_PER_STRIP, u64::MAX)?,
            reduced: subfile & 0b101 != 0,
            subfile,
            foreign: dir.get(tag::NDPI).map(|_| "the NDPI layout of Hamamatsu"),
            resolution: ([None, None], unit),
            colors: dir.get(tag::COLOR_MAP).copied(),
            tile,
            bits: 0,
            format: 0,
            offsets: dir.get(tag::TILE_OFFSETS).or_else(|| dir.get(tag::STRIP_OFFSETS)).copied(),
            counts: dir.get(tag::TILE_BYTE_COUNTS).or_else(|| dir.get(tag::STRIP_BYTE_COUNTS)).copied(),
            tables: dir.get(tag::JPEG_TABLES).copied(),
            sub_ifds: dir.get(tag::SUB_IFDS).copied(),
        };
        let mut same = |tag: u16| match dir.get(tag) {
            None => Ok::<_, IoError>(1),
            Some(entry) => {
                let values = reader.integers(entry)?;
                let first = values.first().copied().unwrap_or(1);
                Ok(if values.iter().all(|&v| v == first) { first } else { 0 })
            }
        };
        let (bits, format) = (same(tag::BITS_PER_SAMPLE)?, same(tag::SAMPLE_FORMAT)?);
        let per_unit = [reader.fraction(dir, tag::Y_RESOLUTION)?, reader.fraction(dir, tag::X_RESOLUTION)?];
        Ok(Self { bits, format, resolution: (per_unit, unit), ..page })
    }

    /// Whether both hold images of one size and sample type, so that they can be planes of one image.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        let key =
            |p: &Self| (p.width, p.height, p.slices, p.samples, p.bits, p.format, p.planar, p.photometric);
        key(self) == key(other)
    }

    /// Whether it may be a smaller copy of `other`.
    pub(super) fn is_smaller_than(&self, other: &Self) -> bool {
        let kind = |p: &Self| (p.samples, p.bits, p.format);
        let within = (1..=other.width).contains(&self.width) && (1..=other.height).contains(&self.height);
        kind(self) == kind(other) && within && (self.width, self.height) != (other.width, other.height)
    }

    /// Directories of smaller copies of this page.
    pub(super) fn sub_directories(&self, reader: &mut Reader) -> Result<Vec<u64>, IoError> {
        self.sub_ifds.map_or(Ok(Vec::new()), |entry| reader.integers(&entry))
    }

    /// The directory of a smaller copy at `offset`.
    pub(super) fn sub_page(&self, reader: &mut Reader, offset: u64) -> Result<Self, IoError> {
        let directory = reader.directory(offset, self.number)?;
        Ok(Self { file: self.file, ..Self::new(reader, &directory, self.number)? })
    }

    /// Whether colours are stored, or made of what is stored, as red, green and blue.
    pub(super) fn is_rgb(&self) -> bool {
        let converted = self.photometric == 6 && self.compression == 7;
        self.samples >= 3 && (self.photometric == 2 || converted || self.compression == 33003)
    }

    /// The type that its samples become.
    pub(super) fn dtype(&self) -> Result<Dtype, Feature> {
        Ok(match (self.format, self.bits) {
            (1 | 4, 1..=8) => Dtype::U8,
            (1 | 4, 9..=16) => Dtype::U16,
            (1 | 4, 17..=32) => Dtype::U32,
            (1 | 4, 33..=64) => Dtype::U64,
            (2, 1..=8) => Dtype::I8,
            (2, 9..=16) => Dtype::I16,
            (2, 17..=32) => Dtype::I32,
            (2, 33..=64) => Dtype::I64,
            // There is no half precision among our types; f32 holds every value of it.
            (3, 16 | 24 | 32) => Dtype::F32,
            (3, 64) => Dtype::F64,
            (0, _) | (_, 0) => return Err(Feature::Dtype("that differs between samples".to_owned())),
            (1 | 4, n) => return Err(Feature::Dtype(format!("u{n}"))),
            (2, n) => return Err(Feature::Dtype(format!("i{n}"))),
            (3, n) => return Err(Feature::Dtype(format!("f{n}"))),
            (5, n) => return Err(Feature::Dtype(format!("complex integer of {n} bits"))),
            (6, n) => return Err(Feature::Dtype(format!("complex number of {n} bits"))),
            (f, n) => return Err(Feature::Dtype(format!("SampleFormat {f} of {n} bits"))),
        })
    }

    /// How the page is cut, or why it cannot be read.
    pub(super) fn cut(&self, reader: &Reader) -> Result<Cut, IoError> {
        let refuse = |feature| Err(reader.unsupported(feature));
        if let Some(layout) = self.foreign {
            return refuse(Feature::Program(layout.to_owned()));
        }
        if self.width == 0 || self.height == 0 {
            let problem = format!("× ImageLength is {} × {}", self.width, self.height);
            return Err(reader.header("ImageWidth", &problem));
        }
        let too_long = [self.width, self.height, self.slices, self.thick].iter().any(|&n| n > 1 << 31);
        if too_long || self.samples > 1 << 16 {
            return Err(reader.header(
                "ImageWidth",
                &format!(
                    "× ImageLength × ImageDepth × SamplesPerPixel is {} × {} × {} × {}, more than any image has",
                    self.width, self.height, self.slices, self.samples
                ),
            ));
        }
        let dtype = self.dtype().map_err(|feature| reader.unsupported(feature))?;
        let segment = self.tile.unwrap_or((self.width, self.rows_per_strip.clamp(1, self.height)));
        let cut = Cut {
            width: self.width,
            height: self.height,
            slices: self.slices,
            segment,
            thick: self.thick,
            tiled: self.tile.is_some(),
            samples: self.samples,
            planar: self.planar,
            bits: self.bits,
            dtype,
        };
        let decoded = [segment.0, segment.1, self.thick, cut.samples_in_segment(), dtype.size() as u64]
            .into_iter()
            .fold(1u64, u64::saturating_mul);
        // Uncompressed strips are cut again, so that only their rows must fit.
        let bound = if self.compression == 1 && self.tile.is_none() { decoded / segment.1 } else { decoded };
        if bound > MAX_SEGMENT {
            let unit = if cut.tiled { "tiles" } else { "strips" };
            return refuse(Feature::Other(format!(
                "{unit} of {} × {} pixels, {} MiB each (up to {} MiB are read)",
                segment.0,
                segment.1,
                bound >> 20,
                MAX_SEGMENT >> 20
            )));
        }
        Ok(cut)
    }

    /// How the page's segments are coded, or why they cannot be decoded.
    pub(super) fn coding(&self, reader: &mut Reader, cut: &Cut) -> Result<Coding, IoError> {
        let refuse = |feature| Err(reader.unsupported(feature));
        let compression = match self.compression {
            1 => Compression::None,
            3 => Compression::Fax3,
            4 => Compression::Fax4,
            5 => Compression::Lzw,
            7 => Compression::Jpeg,
            8 | 32946 => Compression::Deflate,
            32773 => Compression::PackBits,
            33003 | 33005 | 34712 => Compression::Jpeg2000,
            34925 => Compression::Lzma,
            50000 => Compression::Zstd,
            50001 => Compression::WebP,
            other => return refuse(Feature::Codec(compression_name(other))),
        };
        let predictor = match (self.predictor, cut.form()) {
            _ if compression.makes_samples() => Predictor::None,
            (1, _) => Predictor::None,
            (2, Form::Float24) => return refuse(Feature::Codec("horizontal predictor of f24".to_owned())),
            (2, _) => Predictor::Horizontal,
            (3, _) if cut.dtype.is_float() => Predictor::Float,
            (other, _) => {
                return refuse(Feature::Codec(format!("predictor {other} of {} samples", cut.dtype)));
            }
        };
        let samples = cut.samples_in_segment();
        let whole = cut.form() == Form::Native && cut.thick == 1;
        let fits = match compression {
            Compression::Jpeg => whole && cut.dtype == Dtype::U8 && matches!(samples, 1 | 3),
            Compression::WebP => whole && cut.dtype == Dtype::U8 && matches!(samples, 3 | 4),
            Compression::Jpeg2000 => whole && cut.dtype.size() <= 2,
            Compression::Fax3 | Compression::Fax4 => cut.bits == 1 && samples == 1 && cut.thick == 1,
            _ => true,
        };
        if !fits {
            let what = format!(
                "{} of {samples} samples of {} bits per pixel",
                compression_name(self.compression),
                cut.bits
            );
            return refuse(Feature::Codec(what));
        }
        if compression == Compression::Fax3 && self.fax_options & 0b11 != 0 {
            return refuse(Feature::Codec("CCITT group 3 fax of two dimensions".to_owned()));
        }
        let jpeg = compression == Compression::Jpeg;
        // Aperio's number says so, whatever the photometric interpretation says.
        let matrox = self.compression == 33003 && cut.samples == 3 && !cut.planar;
        if matrox && cut.dtype != Dtype::U8 {
            return refuse(Feature::Photometric(format!("YCbCr of {} bits", cut.bits)));
        }
        if self.photometric == 6 && cut.samples == 3 && (!jpeg || cut.planar) && !matrox {
            let what = if jpeg { "YCbCr in separate planes" } else { "YCbCr without JPEG" };
            return refuse(Feature::Photometric(what.to_owned()));
        }
        if matches!(self.photometric, 32844 | 32845) {
            return refuse(Feature::Photometric("LogL or LogLuv".to_owned()));
        }
        let tables = match self.tables {
            Some(entry) if jpeg => Some(Arc::from(reader.bytes(&entry)?)),
            _ => None,
        };
        Ok(Coding {
            compression,
            predictor,
            big_endian: if compression.makes_samples() {
                cfg!(target_endian = "big")
            } else {
                reader.big_endian
            },
            reversed_bits: self.reversed_bits && !compression.makes_samples(),
            ycbcr: matrox || (jpeg && self.photometric == 6 && cut.samples_in_segment() == 3),
            tables,
        })
    }

    /// Where the segments of the page lie; exactly as many as the cut has.
    pub(super) fn places(&self, reader: &mut Reader, cut: &Cut) -> Result<Places, IoError> {
        let (name, count_name) =
            if cut.tiled { ("TileOffsets", "TileByteCounts") } else { ("StripOffsets", "StripByteCounts") };
        let page = self.number;
        let wanted = cut.segments();
        let Some(entry) = self.offsets else {
            return Err(reader.header(name, &format!("is missing on page {page}")));
        };
        if entry.count < wanted {
            return Err(reader
                .header(name, &format!("of page {page} has {} entries for {wanted} segments", entry.count)));
        }
        let mut offsets = reader.integers(&entry)?;
        offsets.truncate(wanted as usize);
        let lengths = match self.counts {
            Some(entry) if entry.count >= wanted => {
                let mut lengths = reader.integers(&entry)?;
                lengths.truncate(wanted as usize);
                lengths
            }
            // Early writers left the lengths of uncompressed strips out.
            _ if self.compression == 1 => vec![cut.segment_bytes(); wanted as usize],
            entry => {
                return Err(reader.header(
                    count_name,
                    &format!(
                        "of page {page} has {} entries for {wanted} segments",
                        entry.map_or(0, |e| e.count)
                    ),
                ));
            }
        };
        Ok(Places { offsets, lengths })
    }
}

impl Page {
    /// Where the voxels of an uncompressed page that has no gaps start, and how many bytes they are.
    pub(super) fn contiguous(&self, reader: &mut Reader) -> Result<Option<(u64, u64)>, IoError> {
        if self.compression != 1 || self.tile.is_some() || self.planar || self.slices > 1 {
            return Ok(None);
        }
        let cut = self.cut(reader)?;
        let places = self.places(reader, &cut)?;
        Ok(places.without_gaps(&cut).map(|start| (start, cut.row_bytes() * cut.height)))
    }
}
