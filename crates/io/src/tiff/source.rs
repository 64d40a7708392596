//! Reads an image of a TIFF file chunk by chunk.

use super::cut::{Coding, Compression, Cut, Form, MAX_SEGMENT};
use super::decode::{Buffer, Decoder, Work, context_bytes};
use super::files::Files;
use super::split::split;
use crate::bytes::ByteFile;
use crate::{ByteRange, Damage, IoError};
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::contract::{Fetch, Source, StoreError};
use voxtile_sched::model::{Grid, Meta, Region, Shape, TileMut};

/// About how many decoded bytes of strips make one chunk.
const CHUNK_OF_STRIPS: u64 = 512 << 10;

/// Where the planes of an image lie and how they are stored.
pub(super) struct Planes {
    pub(super) cut: Cut,
    /// Planes along `t`, `c` (counting pages) and `z`.
    pub(super) counts: [u64; 3],
    /// Row-major `t, c, z`: which of the stored planes; `None` where there is none.
    pub(super) order: Vec<Option<u32>>,
    /// For every stored plane, its page and coding.
    pub(super) stored: Vec<Stored>,
    pub(super) codings: Vec<Coding>,
    /// `cut.segments()` entries for each stored plane.
    pub(super) offsets: Vec<u64>,
    pub(super) lengths: Vec<u64>,
}

/// A plane in the file.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) file: u32,
    pub(super) page: u32,
    pub(super) coding: u32,
}

impl Planes {
    /// Cuts uncompressed strips again, if those of every plane lie one behind the other, so that a chunk is one read
    /// of a sensible size, whatever the writer chose. What files of `len` bytes cannot hold is left as it is.
    pub(super) fn recut(&mut self, len: u64) {
        let plain = |c: &Coding| c.compression == Compression::None;
        if self.cut.tiled || !self.codings.iter().all(plain) {
            return;
        }
        let old = self.cut;
        let samples = if old.planar { old.samples } else { 1 } * old.slices;
        let (_, down) = old.counts();
        let mut starts = Vec::new();
        for part in self.offsets.chunks_exact(down as usize) {
            let joined = part.windows(2).all(|w| w[0].checked_add(old.segment_bytes()) == Some(w[1]));
            if !joined || part[0] == 0 {
                return;
            }
            starts.push(part[0]);
        }
        if self.lengths.contains(&0) {
            return;
        }
        let rows = (CHUNK_OF_STRIPS / old.row_bytes().max(1)).clamp(1, old.height);
        if old.height.div_ceil(rows).saturating_mul(starts.len() as u64) > len.max(1 << 20) {
            return;
        }
        self.cut.segment.1 = rows;
        let (_, down) = self.cut.counts();
        let step = self.cut.segment_bytes();
        self.offsets =
            starts.iter().flat_map(|&s| (0..down).map(move |i| s.saturating_add(i * step))).collect();
        // Each segment is as long as its rows; how long the file says its strips are does not matter.
        let last = old.row_bytes() * (old.height - (down - 1) * rows);
        let lengths = (0..down).map(|i| if i + 1 == down { last } else { step });
        self.lengths = (0..self.stored.len() as u64 * samples).flat_map(|_| lengths.clone()).collect();
    }

    /// Strips that make one chunk.
    fn strips_per_chunk(&self) -> u64 {
        if self.cut.tiled {
            return 1;
        }
        (CHUNK_OF_STRIPS / self.cut.segment_bytes().max(1)).clamp(1, self.cut.counts().1)
    }

    /// Longest segment that can be meant: longer ones are damaged.
    fn longest(&self, coding: &Coding) -> u64 {
        match coding.compression {
            Compression::None => self.cut.segment_bytes(),
            _ => 4 * self.cut.segment_bytes() + (1 << 20),
        }
    }
}

/// An image of a TIFF file.
pub(super) struct TiffSource {
    files: Files,
    meta: Meta,
    planes: Planes,
    strips: u64,
    scratch: u64,
    ns_per_voxel: f64,
    /// Whether bytes are long on their way.
    waits: bool,
    /// Buffers that nobody uses at the moment.
    idle: Mutex<Vec<Work>>,
}

impl TiffSource {
    pub(super) fn new(files: Files, meta: Meta, planes: Planes) -> Result<Self, IoError> {
        let cut = &planes.cut;
        if cut.segment_bytes() > MAX_SEGMENT {
            let unit = if cut.tiled { "tiles" } else { "strips" };
            return Err(IoError::Unsupported {
                store: files.path(0).display().to_string(),
                feature: crate::Feature::Other(format!("{unit} of {} MiB", cut.segment_bytes() >> 20)),
            });
        }
        let strips = planes.strips_per_chunk();
        let longest = |c: &Coding| {
            planes.lengths.iter().copied().filter(|&l| l <= planes.longest(c)).max().unwrap_or(0)
        };
        let converted = if cut.form() == Form::Native { 0 } else { cut.decoded_bytes() };
        let scratch = planes
            .codings
            .iter()
            .map(|c| longest(c) + context_bytes(c, cut))
            .max()
            .unwrap_or(0)
            .saturating_add(cut.segment_bytes())
            .saturating_add(converted);
        let size = cut.dtype.size() as f64;
        let cost = |c: &Coding| match c.compression {
            Compression::None => 0.2 * size,
            Compression::Lzw => 4.0 * size,
            Compression::Deflate => 2.3 * size,
            Compression::Zstd => 0.7 * size,
            Compression::PackBits => 0.6 * size,
            Compression::Jpeg => 1.0,
            Compression::Lzma => 20.0 * size,
            Compression::WebP => 6.0,
            Compression::Jpeg2000 => 40.0,
            Compression::Fax3 | Compression::Fax4 => 4.0,
        };
        let ns_per_voxel = planes.codings.iter().map(cost).fold(0.1, f64::max);
        let waits = files.get(0)?.waits().is_some();
        Ok(Self { files, meta, planes, strips, scratch, ns_per_voxel, waits, idle: Mutex::default() })
    }

    fn region(&self, index: &Shape) -> Region {
        Grid::new(self.meta.shape, self.chunk()).region(index)
    }

    /// The segments of a chunk of that shape; `None` where the file has no such plane.
    fn segments(&self, index: &Shape, shape: [usize; 5]) -> Option<Vec<Segment>> {
        let cut = &self.planes.cut;
        let [t, c, z, iy, ix] = *index;
        // Along z are pages, or the slices of one.
        let (page_z, slab) = if cut.slices > 1 { (0, z) } else { (z, 0) };
        let page_c = if cut.planar { c / cut.samples } else { c };
        let sample = if cut.planar { c % cut.samples } else { 0 };
        let [_, nc, nz] = self.planes.counts;
        let plane = self.planes.order[((t * nc + page_c) * nz + page_z) as usize]?;
        let (across, down) = cut.counts();
        let slabs = cut.slices.div_ceil(cut.thick);
        let segment = |strip: u64| {
            let row = iy * self.strips + strip;
            Segment {
                plane,
                number: ((sample * slabs + slab) * down + row) * across + ix,
                index: *index,
                slices: shape[2],
                rows: (cut.height - row * cut.segment.1).min(cut.segment.1) as usize,
                columns: shape[4],
                first_row: (strip * cut.segment.1) as usize,
                chunk_rows: shape[3],
            }
        };
        Some((0..self.strips).take_while(|strip| iy * self.strips + strip < down).map(segment).collect())
    }

    fn read_chunk(
        &self,
        index: &Shape,
        fetched: Option<&[u8]>,
        out: &mut TileMut<'_>,
        work: &mut Work,
    ) -> Result<u64, IoError> {
        let shape = out.shape();
        let bytes = out.bytes_mut().expect("the place of a chunk has no gaps");
        let Some(segments) = self.segments(index, shape) else {
            bytes.fill(0);
            return Ok(0);
        };
        let mut fetched = fetched;
        segments.iter().map(|segment| self.read_segment(segment, &mut fetched, bytes, work)).sum()
    }

    /// Where a segment lies and what is needed of it; `None` where it was never written.
    fn part(&self, segment: &Segment) -> Option<(u64, u64)> {
        let cut = &self.planes.cut;
        let at = (u64::from(segment.plane) * cut.segments() + segment.number) as usize;
        let (offset, length) = (self.planes.offsets[at], self.planes.lengths[at]);
        if length == 0 || offset == 0 {
            return None;
        }
        // What is needed of an uncompressed segment is known; of others, all.
        let stored = self.planes.stored[segment.plane as usize];
        Some(match self.planes.codings[stored.coding as usize].compression {
            Compression::None => (offset, length.min(segment.rows_in_all(cut) as u64 * cut.row_bytes())),
            _ => (offset, length),
        })
    }

    /// The parts of a file that a chunk is made of, if that file is long on its way and has them.
    fn parts(&self, index: &Shape) -> Option<(Arc<ByteFile>, Vec<ByteRange>)> {
        if !self.waits {
            return None;
        }
        let segments = self.segments(index, self.region(index).shape.map(|n| n as usize))?;
        let stored = self.planes.stored[segments.first()?.plane as usize];
        let (number, coding) = (stored.file as usize, &self.planes.codings[stored.coding as usize]);
        let (len, longest) = (self.files.len(number), self.planes.longest(coding));
        let parts: Vec<(u64, u64)> = segments.iter().filter_map(|segment| self.part(segment)).collect();
        // What is damaged is told when it is read.
        let fits = |&(offset, take): &(u64, u64)| offset <= len && take <= len - offset && take <= longest;
        if parts.is_empty() || !parts.iter().all(fits) {
            return None;
        }
        let file = self.files.get(number).ok()?;
        Some((file, parts.into_iter().map(|(offset, len)| ByteRange::Part { offset, len }).collect()))
    }

    /// Reads one segment into its rows of the chunk.
    fn read_segment(
        &self,
        segment: &Segment,
        fetched: &mut Option<&[u8]>,
        chunk: &mut [u8],
        work: &mut Work,
    ) -> Result<u64, IoError> {
        let cut = &self.planes.cut;
        let size = cut.dtype.size();
        let samples = cut.samples_in_segment() as usize;
        let stored = self.planes.stored[segment.plane as usize];
        let coding = &self.planes.codings[stored.coding as usize];
        let slice_bytes = segment.chunk_rows * segment.columns * size;
        let plane_bytes = segment.slices * slice_bytes;
        let start = segment.first_row * segment.columns * size;
        let part = segment.rows * segment.columns * size;
        let Some(place) = self.part(segment) else {
            for slice in chunk.chunks_exact_mut(slice_bytes) {
                slice[start..start + part].fill(0);
            }
            return Ok(0);
        };
        let native = cut.form() == Form::Native;
        let (row_bytes, width) = (cut.row_bytes() as usize, cut.segment.0 as usize);
        let whole_width = segment.columns == width;
        let whole_rows = coding.is_plain() || segment.rows as u64 == cut.segment.1;
        let Work { encoded, segment: buffer, converted, decoder } = work;

        if samples == 1 && cut.thick == 1 && whole_width && native && whole_rows {
            let target = &mut chunk[start..start + part];
            let read = self.load(segment, coding, (place, fetched), encoded, decoder, target)?;
            decoder.restore(coding, cut, target)?;
            return Ok(read);
        }
        let rows = segment.rows_in_all(cut);
        let held = if coding.is_plain() { rows * row_bytes } else { cut.segment_bytes() as usize };
        let target = buffer.bytes(held)?;
        let read = self.load(segment, coding, (place, fetched), encoded, decoder, target)?;
        if coding.compression.gives_planes() {
            for (plane, to) in target.chunks_exact(held / samples).zip(chunk.chunks_exact_mut(plane_bytes)) {
                let rows = plane.chunks_exact(width).zip(to[start..].chunks_exact_mut(segment.columns));
                for (from, to) in rows.take(segment.rows) {
                    to.copy_from_slice(&from[..segment.columns]);
                }
            }
            return Ok(read);
        }
        let stored = &mut target[..rows * row_bytes];
        let pixels: &[u8] = if native {
            decoder.restore(coding, cut, stored)?;
            stored
        } else {
            let converted = converted.bytes(rows * width * samples * size)?;
            decoder.convert(coding, cut, stored, converted)?;
            converted
        };
        let slice_of_segment = cut.segment.1 as usize * width * samples * size;
        for (z, pixels) in pixels.chunks(slice_of_segment).enumerate() {
            let start = start + z * slice_bytes;
            let pixels = &pixels[..segment.rows * width * samples * size];
            if whole_width && samples > 1 {
                split(cut.dtype, pixels, samples, &mut chunk[start..], plane_bytes);
                continue;
            }
            let used = segment.columns * samples * size;
            for (r, row) in pixels.chunks_exact(width * samples * size).enumerate() {
                let at = start + r * segment.columns * size;
                if samples == 1 {
                    chunk[at..at + used].copy_from_slice(&row[..used]);
                } else {
                    split(cut.dtype, &row[..used], samples, &mut chunk[at..], plane_bytes);
                }
            }
        }
        Ok(read)
    }

    /// Brings the rows of a segment into `target`, decompressed and otherwise as they are stored.
    fn load(
        &self,
        segment: &Segment,
        coding: &Coding,
        ((offset, take), fetched): ((u64, u64), &mut Option<&[u8]>),
        encoded: &mut Buffer,
        decoder: &mut Decoder,
        target: &mut [u8],
    ) -> Result<u64, IoError> {
        let cut = &self.planes.cut;
        let damaged = |problem| self.damaged(segment, problem);
        let rows = segment.rows_in_all(cut);
        if take > self.planes.longest(coding) {
            return Err(damaged(Damage::Length { got: take, want: cut.segment_bytes() }));
        }
        let number = self.planes.stored[segment.plane as usize].file as usize;
        let len = self.files.len(number);
        if offset > len || take > len - offset {
            return Err(damaged(Damage::Truncated { got: len.saturating_sub(offset), want: take }));
        }
        let mut fetch = |into: &mut [u8]| match fetched {
            Some(bytes) if bytes.len() >= into.len() => {
                let (part, rest) = bytes.split_at(into.len());
                into.copy_from_slice(part);
                // An uncompressed segment may be needed in part only.
                *bytes = rest;
                Ok(())
            }
            _ => self.files.get(number)?.read_exact_at(into, offset),
        };
        if coding.is_plain() {
            if take < target.len() as u64 {
                return Err(damaged(Damage::Length { got: take, want: target.len() as u64 }));
            }
            fetch(target)?;
        } else {
            let encoded = encoded.bytes(take as usize)?;
            fetch(encoded)?;
            decoder.decode(encoded, coding, cut, rows, target).map_err(damaged)?;
        }
        Ok(take)
    }

    fn damaged(&self, segment: &Segment, problem: Damage) -> IoError {
        let Stored { file, page, .. } = self.planes.stored[segment.plane as usize];
        let unit = if self.planes.cut.tiled { "tile" } else { "strip" };
        let mut page = if self.planes.stored.len() > 1 { format!(" of page {page}") } else { String::new() };
        if self.files.count() > 1 {
            let name = self.files.path(file as usize).file_name().unwrap_or_default();
            page.push_str(&format!(" of `{}`", name.display()));
        }
        let mut region = self.region(&segment.index);
        if !self.planes.cut.tiled {
            region.start[3] += segment.first_row as i64;
            region.shape[3] = segment.rows as u64;
        }
        IoError::Damaged {
            store: self.name(),
            chunk: format!("{unit} {}{page}", segment.number),
            region,
            problem,
        }
    }
}

/// One tile or strip that is being read, and its place in the chunk.
struct Segment {
    plane: u32,
    /// Within the plane.
    number: u64,
    /// The chunk.
    index: Shape,
    /// Slices of a volume inside the image.
    slices: usize,
    /// Rows and columns inside the image.
    rows: usize,
    columns: usize,
    /// Place of its first row in the chunk.
    first_row: usize,
    chunk_rows: usize,
}

impl Segment {
    /// Rows up to the last one that is needed: all of every slice but the last.
    fn rows_in_all(&self, cut: &Cut) -> usize {
        (self.slices - 1) * cut.segment.1 as usize + self.rows
    }
}

impl Source for TiffSource {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        let cut = &self.planes.cut;
        [1, cut.samples_in_segment(), cut.thick, self.strips * cut.segment.1, cut.segment.0]
    }

    fn name(&self) -> String {
        self.files.path(0).display().to_string()
    }

    fn scratch(&self) -> u64 {
        self.scratch
    }

    fn held(&self) -> u64 {
        let Planes { order, stored, offsets, lengths, .. } = &self.planes;
        let places = size_of_val(&**offsets) + size_of_val(&**lengths);
        (size_of_val(&**order) + size_of_val(&**stored) + places) as u64
    }

    fn fetched(&self) -> u64 {
        // Strips of a chunk, each at most as long as is sensible.
        let longest = self.planes.codings.iter().map(|c| self.planes.longest(c)).max().unwrap_or(0);
        let stored = self.planes.lengths.iter().copied().max().unwrap_or(0).min(longest);
        if self.waits { stored.saturating_mul(self.strips) } else { 0 }
    }

    fn fetch(&self, index: &Shape) -> Fetch<'_> {
        let Some((file, ranges)) = self.parts(index) else {
            return Fetch::InWorker;
        };
        let longest = ranges.iter().map(|r| r.of(u64::MAX).1).max().unwrap_or(0);
        Fetch::Wait(Box::pin(async move {
            let Some((store, key)) = file.waits() else { return Ok(Vec::new()) };
            Ok(store.fetch(key, ranges, longest).await?.unwrap_or_default().parts.concat())
        }))
    }

    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut work = idle().pop().unwrap_or_default();
        let result = self.read_chunk(index, fetched.as_deref(), &mut out, &mut work);
        idle().push(work);
        Ok(result?)
    }

    fn ns_per_voxel(&self) -> f64 {
        self.ns_per_voxel
    }
}
