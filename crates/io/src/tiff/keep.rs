//! Copies tiles of JPEG into an OME-TIFF as they are: nothing is decoded, nothing is lost, and it is as fast as the disk.
//!
//! Level 0 and the levels that lie at whole tiles of the part that is kept; each page keeps its tables and says of its
//! colours what the input says.

use super::cut::{Compression, Cut};
use super::files::{Files, Parts};
use super::open::{Level, choose, gather, levels, meta};
use super::pages::{self, Page};
use super::series::{self, Series};
use super::source::Planes;
use super::{directory, omexml};
use crate::bytes::Unfinished;
use crate::{Codec, Damage, Format, IoError, LocalStore, OpenOptions, OutputOptions, jpeg};
use std::path::PathBuf;
use std::sync::Arc;
use voxtile_sched::model::{Axis, Dtype, Meta, Region, Shape};

/// Bytes that are written at once.
const BLOCK: usize = 4 << 20;

/// Where the tiles begin.
const START: u64 = 16;

/// A TIFF of JPEG tiles that becomes an OME-TIFF of the same tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct KeepJpeg {
    /// The file whose tiles are kept.
    pub input: PathBuf,
    /// Which image of it, and from which level on.
    pub open: OpenOptions,
    /// Where it goes.
    pub output: PathBuf,
    /// Whether an image at `output` may be replaced.
    pub overwrite: bool,
    /// The part that is kept, in voxels of the finest level that is; all of it by default.
    pub region: Option<Region>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The finest level.
    pub meta: Meta,
    /// How many levels there are, and those of the input that were left out, since they do not begin at a whole tile.
    pub levels: usize,
    /// Their sizes.
    pub left_out: Vec<Vec<u64>>,
    /// Tiles that were copied, and their bytes.
    pub tiles: u64,
    /// Bytes of the tiles.
    pub bytes: u64,
}

/// What is copied of each level, the sizes of the levels that are not, and the part of the finest one.
type Chosen = (Vec<Copied>, Vec<Vec<u64>>, Region);

/// One level that is copied.
struct Copied {
    planes: Planes,
    meta: Meta,
    photometric: u16,
    /// For each coding of the planes, pixels for one sample of chroma.
    subsampling: Vec<Option<[u16; 2]>>,
    /// Tiles before the first one along y and x, and how many are kept.
    first: [u64; 2],
    count: [u64; 2],
    /// Where its tiles lie now, page by page.
    offsets: Vec<u64>,
    lengths: Vec<u32>,
}

fn refused(why: String) -> IoError {
    IoError::Option { option: "--keep-jpeg", why }
}

impl KeepJpeg {
    /// Copies. `progress` is given the tiles that are done and all of them, and says whether to go on; `None` where it
    /// did not. What is unfinished is removed.
    ///
    /// # Errors
    /// Those of [`open`](crate::open); [`IoError::Option`] for an input whose tiles cannot be kept, or a region that cuts
    /// through them; [`IoError::Damaged`] for tiles that reach beyond the file.
    pub fn run(&self, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<Option<Kept>, IoError> {
        if Format::from_path(&self.output) != Format::Tiff {
            return Err(refused(format!("`{}` is no TIFF by its name", self.output.display())));
        }
        let output = OutputOptions {
            path: self.output.clone(),
            format: Format::Tiff,
            axis_order: None,
            chunk: None,
            shard: None,
            codec: Codec::None,
            overwrite: self.overwrite,
            bare: false,
            about: crate::About::default(),
            remote: self.open.remote.clone(),
        };
        output.apart_from(&self.input)?;
        let (mut parts, directories) = Parts::open(&self.input, &self.open.remote)?;
        let all = series::find(&mut parts, &directories)?;
        let store = self.input.display().to_string();
        let series = &all[choose(&all, &self.open, &store)?];
        let found = levels(&mut parts, series)?;
        if self.open.level >= found.len() {
            return Err(IoError::NoSuch {
                store,
                what: "level",
                asked: self.open.level.to_string(),
                found: (0..found.len()).map(|n| n.to_string()).collect(),
            });
        }
        let (copied, left_out, region) = self.levels(&mut parts, series, &found)?;
        output.check()?;
        let files = parts.into_files();
        let file = LocalStore::new(&self.output).create("")?;
        let mut job =
            Job { files, file, copied, region, buffer: Vec::new(), end: START, at: START, bytes: 0 };
        job.find_subsampling()?;
        if !job.copy(progress)? {
            return Ok(None);
        }
        let objective = series.details.iter().find(|d| d.0 == "objective");
        let objective = objective.and_then(|d| d.1.trim_end_matches('×').parse().ok());
        let kept = Kept {
            meta: job.copied[0].meta.clone(),
            levels: job.copied.len(),
            left_out,
            tiles: job.copied.iter().map(|l| l.offsets.len() as u64).sum(),
            bytes: job.bytes,
        };
        job.finish(objective)?;
        Ok(Some(kept))
    }

    /// What is copied of each level, the sizes of those that are not, and the part of the finest one.
    fn levels(&self, parts: &mut Parts, series: &Series, found: &[Level]) -> Result<Chosen, IoError> {
        let store = self.input.display().to_string();
        let (mut copied, mut left_out) = (Vec::new(), Vec::new());
        // Sizes of pixels are those of the finest level there is, which need not be the finest one that is kept.
        let (base, found) = (&found[0].page, &found[self.open.level..]);
        let top = meta(series, base, &found[0].page, &self.open, &store)?;
        let region = self.region.unwrap_or_else(|| Region::whole(top.shape));
        if region.is_empty() || !Region::whole(top.shape).contains(&region) {
            return Err(refused(format!("{region} does not lie in the image of {:?}", top.dims())));
        }
        for (n, level) in found.iter().enumerate() {
            let mut own = meta(series, base, &level.page, &self.open, &store)?;
            let cut = level.page.cut(parts.reader(&level.page))?;
            let planes = gather(parts, series, level, cut, &own)?;
            fits(level, &cut, &planes)?;
            let factors = [Axis::Y, Axis::X]
                .map(|a| (top.shape[a.index()] as f64 / own.shape[a.index()] as f64).round().max(1.0) as u64);
            let Some((first, part)) = part(&region, &top.shape, &own.shape, factors, &cut) else {
                if n == 0 {
                    return Err(between_tiles(&region, &cut));
                }
                left_out.push(own.dims());
                continue;
            };
            if cut.samples > 1 && (region.start[1], region.shape[1]) != (0, top.shape[1]) {
                return Err(refused("the colours of a pixel are in one tile: all of c are kept".to_owned()));
            }
            own.channels =
                own.channels.get(region.start[1] as usize..region.end(1) as usize).unwrap_or(&[]).to_vec();
            own.shape = part;
            let (w, h) = cut.segment;
            copied.push(Copied {
                count: [part[3].div_ceil(h), part[4].div_ceil(w)],
                first,
                photometric: level.page.photometric as u16,
                subsampling: Vec::new(),
                offsets: Vec::new(),
                lengths: Vec::new(),
                meta: own,
                planes,
            });
        }
        Ok((copied, left_out, region))
    }
}

/// Refuses a level whose tiles cannot be kept.
fn fits(level: &Level, cut: &Cut, planes: &Planes) -> Result<(), IoError> {
    let refuse = |what: &str| Err(refused(format!("{} {what}", level.path)));
    if let Some(other) = planes.codings.iter().find(|c| c.compression != Compression::Jpeg) {
        let name = super::cut::compression_name(other.compression.number());
        return refuse(&format!("is coded by {name}, not JPEG"));
    }
    if !cut.tiled {
        return refuse("is in strips, not tiles");
    }
    if cut.planar || cut.slices > 1 || cut.dtype != Dtype::U8 || !matches!(cut.samples, 1 | 3) {
        return refuse("has no tiles of gray or colour pixels of 8 bits");
    }
    if planes.order.contains(&None) {
        return refuse("lacks planes");
    }
    Ok(())
}

/// The part of a level that shows a region of the finest one, and the number of its first tile along y and x; `None` if
/// that does not begin at a whole tile.
fn part(
    region: &Region,
    top: &Shape,
    own: &Shape,
    factors: [u64; 2],
    cut: &Cut,
) -> Option<([u64; 2], Shape)> {
    let mut shape = region.shape;
    let mut first = [0; 2];
    for (i, (a, tile)) in [(3, cut.segment.1), (4, cut.segment.0)].into_iter().enumerate() {
        let (start, end, factor) = (region.start[a] as u64, region.end(a) as u64, factors[i]);
        // Sizes that were rounded differ by a pixel or two.
        let whole = top[a].abs_diff(own[a].saturating_mul(factor)) <= 2 * factor;
        if !start.is_multiple_of(factor * tile) || (start > 0 && !whole) {
            return None;
        }
        let start = start / factor;
        let end = if end == top[a] { own[a] } else { end.div_ceil(factor).min(own[a]) };
        first[i] = start / tile;
        shape[a] = end.checked_sub(start).filter(|&n| n > 0)?;
    }
    Some((first, shape))
}

fn between_tiles(region: &Region, cut: &Cut) -> IoError {
    let axes = [(Axis::Y, cut.segment.1), (Axis::X, cut.segment.0)];
    let off = axes.into_iter().find(|(a, tile)| !(region.start[a.index()] as u64).is_multiple_of(*tile));
    let (axis, tile) = off.unwrap_or(axes[0]);
    let start = region.start[axis.index()] as u64;
    let near = start / tile * tile;
    refused(format!(
        "{axis} begins at {start}, between tiles of {tile} pixels; they begin at {near} and {}",
        near + tile
    ))
}

/// The copying of one file.
struct Job {
    files: Files,
    file: Unfinished,
    copied: Vec<Copied>,
    region: Region,
    /// What is written next, and where.
    buffer: Vec<u8>,
    at: u64,
    /// End of what was appended.
    end: u64,
    bytes: u64,
}

/// One tile of the input: its level, its plane among the stored ones, and its number there.
#[derive(Clone, Copy)]
struct TilePlace {
    level: usize,
    plane: u32,
    number: u64,
}

impl Copied {
    /// The stored planes of the region, in the order t, c, z.
    fn kept(&self, region: &Region) -> Vec<u32> {
        let [_, nc, nz] = self.planes.counts;
        let samples = self.planes.cut.samples;
        let along = |a: usize| region.start[a] as u64..region.end(a) as u64;
        let channels = if samples > 1 { 0..1 } else { along(1) };
        let mut out = Vec::new();
        for t in along(0) {
            for c in channels.clone() {
                for z in along(2) {
                    out.extend(self.planes.order[((t * nc + c) * nz + z) as usize]);
                }
            }
        }
        out
    }

    /// The tiles of one plane that are kept.
    fn tiles(&self) -> impl Iterator<Item = u64> + use<> {
        let ([y, x], [rows, columns], across) = (self.first, self.count, self.planes.cut.counts().0);
        (0..rows).flat_map(move |r| (0..columns).map(move |c| (y + r) * across + x + c))
    }
}

impl Job {
    /// Where a tile lies in the input; `(0, 0)` for one that was never written.
    fn place(&self, tile: TilePlace) -> Result<(usize, u64, u64), IoError> {
        let planes = &self.copied[tile.level].planes;
        let at = (u64::from(tile.plane) * planes.cut.segments() + tile.number) as usize;
        let (offset, length) = (planes.offsets[at], planes.lengths[at]);
        let file = planes.stored[tile.plane as usize].file as usize;
        if offset == 0 || length == 0 {
            return Ok((file, 0, 0));
        }
        let len = self.files.len(file);
        if offset > len || length > len - offset || length > u64::from(u32::MAX) {
            let problem = Damage::Truncated { got: len.saturating_sub(offset), want: length };
            return Err(self.damaged(tile, problem));
        }
        Ok((file, offset, length))
    }

    fn damaged(&self, tile: TilePlace, problem: Damage) -> IoError {
        let Copied { planes, meta, .. } = &self.copied[tile.level];
        let page = planes.stored[tile.plane as usize].page;
        let (w, h) = planes.cut.segment;
        let across = planes.cut.counts().0;
        let start = [0, 0, 0, (tile.number / across * h) as i64, (tile.number % across * w) as i64];
        IoError::Damaged {
            store: self.files.path(0).display().to_string(),
            chunk: format!("tile {} of page {page}", tile.number),
            region: Region::new(start, [1, meta.shape[1], 1, h, w]),
            problem,
        }
    }

    /// Appends the bytes of a tile to the buffer.
    fn load(&mut self, tile: TilePlace) -> Result<(u64, u32), IoError> {
        let (file, offset, length) = self.place(tile)?;
        if length == 0 {
            return Ok((0, 0));
        }
        // Tiles start at even offsets.
        if self.end % 2 == 1 {
            self.buffer.push(0);
            self.end += 1;
        }
        let from = self.buffer.len();
        let bytes = length as usize;
        self.buffer.try_reserve(bytes).map_err(|_| IoError::Memory { bytes: length })?;
        self.buffer.resize(from + bytes, 0);
        self.files.get(file)?.read_exact_at(&mut self.buffer[from..], offset)?;
        let at = self.end;
        self.end += length;
        self.bytes += length;
        Ok((at, length as u32))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// What the streams say of their chroma, which the directories repeat.
    fn find_subsampling(&mut self) -> Result<(), IoError> {
        for level in 0..self.copied.len() {
            let found = &self.copied[level];
            let mut out = vec![None; found.planes.codings.len()];
            let coloured = found.photometric == pages::YCBCR;
            for plane in found.kept(&self.region).into_iter().filter(|_| coloured) {
                let coding = found.planes.stored[plane as usize].coding as usize;
                if out[coding].is_some() {
                    continue;
                }
                for number in found.tiles() {
                    let (file, offset, length) = self.place(TilePlace { level, plane, number })?;
                    if length == 0 {
                        continue;
                    }
                    let mut stream = vec![0; length as usize];
                    self.files.get(file)?.read_exact_at(&mut stream, offset)?;
                    out[coding] = jpeg::subsampling(&stream);
                    break;
                }
            }
            self.copied[level].subsampling = out;
        }
        Ok(())
    }

    /// Copies all tiles; false if it was told to stop.
    fn copy(&mut self, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<bool, IoError> {
        let planes: Vec<Vec<u32>> = self.copied.iter().map(|l| l.kept(&self.region)).collect();
        let each = |(l, planes): (&Copied, &Vec<u32>)| l.count[0] * l.count[1] * planes.len() as u64;
        let all = self.copied.iter().zip(&planes).map(each).sum();
        let mut done = 0;
        for (level, planes) in planes.into_iter().enumerate() {
            for plane in planes {
                for number in self.copied[level].tiles() {
                    let (offset, length) = self.load(TilePlace { level, plane, number })?;
                    self.copied[level].offsets.push(offset);
                    self.copied[level].lengths.push(length);
                    done += 1;
                    if self.buffer.len() >= BLOCK {
                        self.flush()?;
                        if !progress(done, all) {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        self.flush()?;
        Ok(progress(done, all))
    }

    /// Writes the directories, and gives the file its name.
    fn finish(mut self, objective: Option<f64>) -> Result<(), IoError> {
        let tiles: u64 = self.copied.iter().map(|l| l.offsets.len() as u64).sum();
        let tables: u64 = self.copied.iter().flat_map(|l| l.planes.stored.iter().map(move |p| (l, p))).fold(
            0,
            |sum, (l, p)| {
                sum + 1024 + l.planes.codings[p.coding as usize].tables.as_ref().map_or(0, |t| t.len() as u64)
            },
        );
        let top = &self.copied[0];
        let description =
            omexml::describe(&top.meta, top.planes.cut.samples, &[Axis::T, Axis::C, Axis::Z], objective);
        let most = self.end + 16 * tiles + tables + description.len() as u64 + (1 << 20);
        let big = most > u64::from(u32::MAX);
        let pages = top.kept(&self.region).len();
        self.end = self.end.next_multiple_of(8);
        self.at = self.end;
        let mut below: Vec<Vec<u64>> = vec![Vec::new(); pages];
        for level in 1..self.copied.len() {
            for (page, below) in below.iter_mut().enumerate() {
                below.push(self.directory(level, page, "", &[], big, true)?);
            }
        }
        let mut first = None;
        for (page, below) in below.iter().enumerate() {
            let text = if page == 0 { description.as_str() } else { "" };
            let at = self.directory(0, page, text, below, big, page + 1 == pages)?;
            first.get_or_insert(at);
        }
        self.flush()?;
        self.file.write_at(&directory::header(big, first.unwrap_or(0)), 0)?;
        self.file.finish()
    }

    /// Appends the directory of one page; says where it lies.
    fn directory(
        &mut self,
        level: usize,
        page: usize,
        text: &str,
        below: &[u64],
        big: bool,
        last: bool,
    ) -> Result<u64, IoError> {
        if self.buffer.len() > BLOCK {
            self.flush()?;
        }
        let at = self.at + self.buffer.len() as u64;
        let copied = &self.copied[level];
        let plane = copied.kept(&self.region)[page];
        let coding = copied.planes.stored[plane as usize].coding as usize;
        let each = (copied.count[0] * copied.count[1]) as usize;
        let range = page * each..(page + 1) * each;
        let cut = &copied.planes.cut;
        let tables: Option<Arc<[u8]>> = copied.planes.codings[coding].tables.clone();
        let described = Page {
            size: [copied.meta.shape[4] as u32, copied.meta.shape[3] as u32],
            tile: [cut.segment.0 as u32, cut.segment.1 as u32],
            dtype: cut.dtype,
            samples: cut.samples as usize,
            compression: pages::JPEG,
            photometric: copied.photometric,
            resolution: pages::resolution(&copied.meta),
            predictor: false,
            tables: tables.as_deref(),
            subsampling: copied.subsampling[coding],
            reduced: level > 0,
            text,
            below,
            offsets: &copied.offsets[range.clone()],
            lengths: &copied.lengths[range],
        };
        described.append(&mut self.buffer, big, at, last);
        Ok(at)
    }
}
