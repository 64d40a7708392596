//! The directories of a TIFF or BigTIFF file, read with every count and offset checked against the file first.
//!
//! What is read is bounded by the size of the file: a header cannot make this module allocate more than about twice
//! as many bytes as the file has.

use crate::bytes::ByteFile;
use crate::{Feature, IoError, Remote};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most directories that a file may have.
const MAX_DIRECTORIES: usize = 1 << 21;

/// The tags that are kept; all others are skipped while reading.
pub(super) mod tag {
    pub(in crate::tiff) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(in crate::tiff) const IMAGE_WIDTH: u16 = 256;
    pub(in crate::tiff) const IMAGE_LENGTH: u16 = 257;
    pub(in crate::tiff) const BITS_PER_SAMPLE: u16 = 258;
    pub(in crate::tiff) const COMPRESSION: u16 = 259;
    pub(in crate::tiff) const PHOTOMETRIC: u16 = 262;
    pub(in crate::tiff) const FILL_ORDER: u16 = 266;
    pub(in crate::tiff) const IMAGE_DESCRIPTION: u16 = 270;
    pub(in crate::tiff) const MAKE: u16 = 271;
    pub(in crate::tiff) const STRIP_OFFSETS: u16 = 273;
    pub(in crate::tiff) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(in crate::tiff) const ROWS_PER_STRIP: u16 = 278;
    pub(in crate::tiff) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(in crate::tiff) const T4_OPTIONS: u16 = 292;
    pub(in crate::tiff) const X_RESOLUTION: u16 = 282;
    pub(in crate::tiff) const Y_RESOLUTION: u16 = 283;
    pub(in crate::tiff) const PLANAR: u16 = 284;
    pub(in crate::tiff) const RESOLUTION_UNIT: u16 = 296;
    pub(in crate::tiff) const SOFTWARE: u16 = 305;
    pub(in crate::tiff) const PREDICTOR: u16 = 317;
    pub(in crate::tiff) const COLOR_MAP: u16 = 320;
    pub(in crate::tiff) const TILE_WIDTH: u16 = 322;
    pub(in crate::tiff) const TILE_LENGTH: u16 = 323;
    pub(in crate::tiff) const TILE_OFFSETS: u16 = 324;
    pub(in crate::tiff) const TILE_BYTE_COUNTS: u16 = 325;
    pub(in crate::tiff) const SUB_IFDS: u16 = 330;
    pub(in crate::tiff) const EXTRA_SAMPLES: u16 = 338;
    pub(in crate::tiff) const SAMPLE_FORMAT: u16 = 339;
    pub(in crate::tiff) const YCBCR_SUBSAMPLING: u16 = 530;
    pub(in crate::tiff) const XMP: u16 = 700;
    pub(in crate::tiff) const JPEG_TABLES: u16 = 347;
    pub(in crate::tiff) const IMAGE_DEPTH: u16 = 32997;
    pub(in crate::tiff) const TILE_DEPTH: u16 = 32998;
    pub(in crate::tiff) const STK_NUMBERS: u16 = 33628;
    pub(in crate::tiff) const STK_PLANES: u16 = 33629;
    pub(in crate::tiff) const MICRO_MANAGER: u16 = 51123;
    pub(in crate::tiff) const NDPI: u16 = 65420;

    /// Tags that are read, with their names, in rising order.
    pub(in crate::tiff) const NAMES: [(u16, &str); 36] = [
        (NEW_SUBFILE_TYPE, "NewSubfileType"),
        (IMAGE_WIDTH, "ImageWidth"),
        (IMAGE_LENGTH, "ImageLength"),
        (BITS_PER_SAMPLE, "BitsPerSample"),
        (COMPRESSION, "Compression"),
        (PHOTOMETRIC, "PhotometricInterpretation"),
        (FILL_ORDER, "FillOrder"),
        (IMAGE_DESCRIPTION, "ImageDescription"),
        (MAKE, "Make"),
        (STRIP_OFFSETS, "StripOffsets"),
        (SAMPLES_PER_PIXEL, "SamplesPerPixel"),
        (ROWS_PER_STRIP, "RowsPerStrip"),
        (STRIP_BYTE_COUNTS, "StripByteCounts"),
        (X_RESOLUTION, "XResolution"),
        (Y_RESOLUTION, "YResolution"),
        (PLANAR, "PlanarConfiguration"),
        (T4_OPTIONS, "T4Options"),
        (RESOLUTION_UNIT, "ResolutionUnit"),
        (SOFTWARE, "Software"),
        (PREDICTOR, "Predictor"),
        (COLOR_MAP, "ColorMap"),
        (TILE_WIDTH, "TileWidth"),
        (TILE_LENGTH, "TileLength"),
        (TILE_OFFSETS, "TileOffsets"),
        (TILE_BYTE_COUNTS, "TileByteCounts"),
        (SUB_IFDS, "SubIFDs"),
        (EXTRA_SAMPLES, "ExtraSamples"),
        (SAMPLE_FORMAT, "SampleFormat"),
        (JPEG_TABLES, "JPEGTables"),
        (XMP, "XMP"),
        (IMAGE_DEPTH, "ImageDepth"),
        (TILE_DEPTH, "TileDepth"),
        (STK_NUMBERS, "UIC1"),
        (STK_PLANES, "UIC2"),
        (MICRO_MANAGER, "MicroManagerMetadata"),
        (NDPI, "NDPI version"),
    ];

    pub(in crate::tiff) fn name(tag: u16) -> String {
        NAMES.iter().find(|(t, _)| *t == tag).map_or_else(|| format!("tag {tag}"), |(_, n)| (*n).to_owned())
    }
}

/// One tag of a directory; its values still lie in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) tag: u16,
    kind: u16,
    pub(super) count: u64,
    /// The values, or the offset where they lie, as in the file.
    field: [u8; 8],
}

/// One directory: its known tags and where the next one lies (0: nowhere).
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    pub(super) next: u64,
    /// Where it lies.
    pub(super) offset: u64,
}

impl Directory {
    pub(super) fn get(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|e| e.tag == tag)
    }
}

/// Room for so many values; a header is no reason to end the process.
pub(super) fn room<T>(count: u64) -> Result<Vec<T>, IoError> {
    let refused = || IoError::Memory { bytes: count.saturating_mul(size_of::<T>() as u64) };
    let mut out = Vec::new();
    out.try_reserve_exact(usize::try_from(count).map_err(|_| refused())?).map_err(|_| refused())?;
    Ok(out)
}

/// Reads directories and tag values of one file.
pub(super) struct Reader {
    /// After [`close`](Self::close) how to open it, for each read.
    file: Result<Arc<ByteFile>, Remote>,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) big_endian: bool,
    pub(super) big: bool,
    /// Bytes of headers that may still be read.
    allowance: u64,
}

impl Reader {
    /// Checks the file's first bytes. Returns the reader and the offset of the first directory.
    pub(super) fn new(file: Arc<ByteFile>, path: &Path) -> Result<(Self, u64), IoError> {
        let len = file.len();
        let path = path.to_owned();
        let allowance = 2 * len + (1 << 20);
        let mut reader = Self { file: Ok(file), path, len, big_endian: false, big: false, allowance };
        let mut head = [0; 16];
        let got = len.min(16) as usize;
        reader.read(0, &mut head[..got])?;
        reader.big_endian = match &head[..2] {
            b"II" => false,
            b"MM" => true,
            _ => return Err(reader.not_tiff("it does not start with II or MM")),
        };
        let first = match reader.u16(&head[2..]) {
            42 if got >= 8 => u64::from(reader.u32(&head[4..])),
            43 if got >= 16 && reader.u16(&head[4..]) == 8 => {
                reader.big = true;
                reader.u64(&head[8..])
            }
            42 | 43 => return Err(reader.header("header", "is cut short")),
            other => return Err(reader.not_tiff(&format!("its version is {other}, not 42 or 43"))),
        };
        Ok((reader, first))
    }

    /// The chain of directories that starts at `first`.
    pub(super) fn chain(&mut self, first: u64) -> Result<Vec<Directory>, IoError> {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        let mut at = first;
        while at != 0 {
            let number = out.len();
            if !seen.insert(at) {
                return Err(self.header(&format!("IFD {number}"), &format!("is at {at}, as one before it")));
            }
            if number == MAX_DIRECTORIES {
                return Err(
                    self.header("chain of IFDs", &format!("is longer than {MAX_DIRECTORIES} directories"))
                );
            }
            let directory = self.directory(at, number)?;
            at = directory.next;
            out.push(directory);
        }
        if out.is_empty() {
            return Err(self.header("header", "names no first directory"));
        }
        Ok(out)
    }

    /// The directory at `offset`; `number` is for messages.
    pub(super) fn directory(&mut self, offset: u64, number: usize) -> Result<Directory, IoError> {
        let field = format!("IFD {number}");
        let (count_size, entry_size, next_size) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let available = self.len.saturating_sub(offset);
        if available < count_size + entry_size {
            return Err(self.header(&field, &format!("starts at {offset}, the file has {} bytes", self.len)));
        }
        let mut block = vec![0; available.min(1024) as usize];
        self.read(offset, &mut block)?;
        let count = if self.big { self.u64(&block) } else { u64::from(self.u16(&block)) };
        if count > 65_535 || count * entry_size + count_size > available {
            return Err(self.header(
                &field,
                &format!(
                    "at {offset} has {count} entries; {available} bytes follow, and at most 65535 are read"
                ),
            ));
        }
        // Where the last directory ends the file, its link to the next one may be missing.
        let wanted = (count_size + count * entry_size + next_size).min(available);
        self.spend(wanted, &field)?;
        if wanted > block.len() as u64 {
            block.resize(wanted as usize, 0);
            self.read(offset, &mut block)?;
        }
        block.truncate(wanted as usize);
        let body = &block[count_size as usize..];
        let mut entries = Vec::new();
        for raw in body.chunks_exact(entry_size as usize).take(count as usize) {
            let tag = self.u16(raw);
            if !tag::NAMES.iter().any(|(t, _)| *t == tag) {
                continue;
            }
            let mut field = [0; 8];
            let count = if self.big {
                field.copy_from_slice(&raw[12..20]);
                self.u64(&raw[4..])
            } else {
                field[..4].copy_from_slice(&raw[8..12]);
                u64::from(self.u32(&raw[4..]))
            };
            entries.push(Entry { tag, kind: self.u16(&raw[2..]), count, field });
        }
        let next = body.get((count * entry_size) as usize..).unwrap_or_default();
        let next = match (self.big, next.len()) {
            (true, 8) => self.u64(next),
            (false, 4) => u64::from(self.u32(next)),
            _ => 0,
        };
        Ok(Directory { entries, next, offset })
    }

    /// The bytes of a tag's values, in the file's byte order.
    pub(super) fn bytes(&mut self, entry: &Entry) -> Result<Vec<u8>, IoError> {
        let name = tag::name(entry.tag);
        let size = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            other => return Err(self.header(&name, &format!("has the unknown type {other}"))),
        };
        let inline = if self.big { 8 } else { 4 };
        let bytes = entry.count.saturating_mul(size);
        if bytes <= inline {
            return Ok(entry.field[..bytes as usize].to_vec());
        }
        let offset = self.place(entry);
        self.part(offset, bytes, &name)
    }

    /// Where the values of a tag lie that has too many of them for its directory.
    pub(super) fn place(&self, entry: &Entry) -> u64 {
        if self.big { self.u64(&entry.field) } else { u64::from(self.u32(&entry.field)) }
    }

    /// Bytes of the file that belong to a tag or another field of a header.
    pub(super) fn part(&mut self, offset: u64, bytes: u64, field: &str) -> Result<Vec<u8>, IoError> {
        if offset > self.len || bytes > self.len - offset {
            let problem = format!("has {bytes} bytes of values at {offset}, the file has {}", self.len);
            return Err(self.header(field, &problem));
        }
        self.spend(bytes, field)?;
        let mut out = room(bytes)?;
        out.resize(bytes as usize, 0);
        self.read(offset, &mut out)?;
        Ok(out)
    }

    /// A tag's values as whole numbers.
    pub(super) fn integers(&mut self, entry: &Entry) -> Result<Vec<u64>, IoError> {
        let bytes = self.bytes(entry)?;
        let mut out = room(entry.count)?;
        match entry.kind {
            1 | 7 => out.extend(bytes.iter().map(|&b| u64::from(b))),
            3 => out.extend(bytes.chunks_exact(2).map(|b| u64::from(self.u16(b)))),
            4 | 13 => out.extend(bytes.chunks_exact(4).map(|b| u64::from(self.u32(b)))),
            16 | 18 => out.extend(bytes.chunks_exact(8).map(|b| self.u64(b))),
            other => {
                return Err(self
                    .header(&tag::name(entry.tag), &format!("has the type {other}, not a whole number's")));
            }
        }
        Ok(out)
    }

    /// A tag's only or first value as a whole number; `None` where the tag is missing.
    pub(super) fn integer(&mut self, directory: &Directory, tag: u16) -> Result<Option<u64>, IoError> {
        match directory.get(tag) {
            None => Ok(None),
            Some(entry) => Ok(self.integers(entry)?.first().copied()),
        }
    }

    /// A tag of one fraction.
    pub(super) fn fraction(&mut self, directory: &Directory, tag: u16) -> Result<Option<f64>, IoError> {
        let Some(entry) = directory.get(tag) else { return Ok(None) };
        if entry.kind != 5 || entry.count != 1 {
            return Ok(None);
        }
        let bytes = self.bytes(entry)?;
        let (n, d) = (f64::from(self.u32(&bytes)), f64::from(self.u32(&bytes[4..])));
        Ok((n > 0.0 && d > 0.0).then(|| n / d))
    }

    /// A tag's text, up to its first NUL; bytes that are no UTF-8 are taken as Latin-1.
    pub(super) fn text(&mut self, directory: &Directory, tag: u16) -> Result<Option<String>, IoError> {
        let Some(entry) = directory.get(tag) else { return Ok(None) };
        let mut bytes = self.bytes(entry)?;
        if let Some(end) = bytes.iter().position(|&b| b == 0) {
            bytes.truncate(end);
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => e.as_bytes().iter().map(|&b| char::from(b)).collect(),
        }))
    }

    /// An error about a header field of this file.
    pub(super) fn header(&self, field: &str, problem: &str) -> IoError {
        IoError::Header {
            store: self.path.display().to_string(),
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// A refusal of something that this file uses.
    pub(super) fn unsupported(&self, feature: Feature) -> IoError {
        IoError::Unsupported { store: self.path.display().to_string(), feature }
    }

    fn not_tiff(&self, why: &str) -> IoError {
        IoError::NotAnImage { store: self.path.display().to_string(), why: why.to_owned() }
    }

    fn spend(&mut self, bytes: u64, field: &str) -> Result<(), IoError> {
        match self.allowance.checked_sub(bytes) {
            Some(rest) => {
                self.allowance = rest;
                Ok(())
            }
            None => Err(self.header(field, "repeats values of other directories over and over")),
        }
    }

    /// The file, unless it was closed.
    pub(super) fn handle(&self) -> Option<Arc<ByteFile>> {
        self.file.as_ref().ok().cloned()
    }

    /// Gives the handle back.
    pub(super) fn close(&mut self, remote: &Remote) {
        self.file = Err(remote.clone());
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), IoError> {
        match &self.file {
            Ok(file) => file.read_exact_at(into, offset),
            Err(remote) => ByteFile::open(&self.path, remote)?.read_exact_at(into, offset),
        }
    }

    fn u16(&self, b: &[u8]) -> u16 {
        let b = [b[0], b[1]];
        if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) }
    }

    pub(super) fn u32(&self, b: &[u8]) -> u32 {
        let b = [b[0], b[1], b[2], b[3]];
        if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
    }

    fn u64(&self, b: &[u8]) -> u64 {
        let b = [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]];
        if self.big_endian { u64::from_be_bytes(b) } else { u64::from_le_bytes(b) }
    }
}
