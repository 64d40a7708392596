//! Writes a tiled TIFF, BigTIFF where four gigabytes might not do.
//!
//! Tiles are appended in the order of the plan, so that the bytes do not depend on which worker was faster;
//! uncompressed ones have their place beforehand. The directories follow at the end, then the rename.

use super::encode::{self, Encoding, Work};
use super::pages::{self, Page};
use super::{directory, omexml, reread, rgb_channels};
use crate::order;
use crate::work::{Growing, Work as Keeper};
use crate::{Codec, IoError, OutputOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use voxtile_sched::contract::{Layout, Place, Sink, StoreError};
use voxtile_sched::model::{Axis, Dtype, Grid, Kind, Meta, NDIM, Shape, Tile, TileMut, voxels};

/// Edge of a tile where the user names none.
const EDGE: u64 = 512;

/// Most bytes of one tile.
const MAX_TILE: u64 = 1 << 30;

/// How an image will be cut.
///
/// # Errors
/// [`IoError::Option`] for what a TIFF cannot hold.
pub(crate) fn layout(options: &OutputOptions, meta: &Meta) -> Result<Layout, IoError> {
    let bad = |option: &'static str, why: String| Err(IoError::Option { option, why });
    let codec = options.codec;
    if encode::number(codec).is_none() {
        return bad("--codec", format!("{codec} is for Zarr; TIFF takes none, lzw, deflate, zstd, jpeg"));
    }
    if let Codec::Jpeg { .. } = codec {
        if meta.dtype != Dtype::U8 {
            let why = format!("JPEG holds samples of 8 bits, not {}", meta.dtype);
            return bad("--codec", why);
        }
        if meta.kind != Kind::Image {
            return bad("--codec", "JPEG changes values, which labels and masks must keep".to_owned());
        }
    }
    if options.shard.is_some() {
        return bad("--shard", "TIFF has no shards".to_owned());
    }
    planes(options, meta)?;
    if matches!(meta.dtype, Dtype::I64 | Dtype::U64) {
        let other = if meta.dtype == Dtype::I64 { "i32" } else { "u32" };
        let why = format!("OME-TIFF has no {} samples; `cast dtype={other}` or a Zarr output", meta.dtype);
        return bad("--dtype", why);
    }
    if voxels(&meta.shape) == 0 {
        return bad("OUTPUT", format!("a TIFF cannot hold an empty image ({:?})", meta.dims()));
    }
    if meta.shape.iter().any(|&n| n > 1 << 31)
        || voxels(&[meta.shape[0], meta.shape[1], meta.shape[2], 1, 1]) > 1 << 21
    {
        return bad("OUTPUT", format!("{:?} is too large for a TIFF; Zarr takes it", meta.dims()));
    }
    let asked = options.chunk.unwrap_or([1, 1, 1, EDGE, EDGE]);
    for axis in [Axis::T, Axis::C, Axis::Z] {
        if asked[axis.index()] != 1 && !(axis == Axis::C && is_rgb(meta)) {
            let why = format!(
                "{} along {axis}; a TIFF tile lies in one plane: name y and x only, `--chunk {EDGE},{EDGE}`",
                asked[axis.index()]
            );
            return bad("--chunk", why);
        }
    }
    let mut chunk = asked;
    chunk[1] = if is_rgb(meta) { 3 } else { 1 };
    for a in [3, 4] {
        if asked[a] == 0 || !asked[a].is_multiple_of(16) {
            let near = asked[a].max(1).next_multiple_of(16);
            let why = format!(
                "{} along {}; edges of TIFF tiles are multiples of 16, as {near}",
                asked[a],
                Axis::ALL[a]
            );
            return bad("--chunk", why);
        }
        chunk[a] = asked[a].min(meta.shape[a].next_multiple_of(16));
    }
    let size = meta.dtype.size();
    let bytes = voxels(&chunk).saturating_mul(size as u64);
    if bytes > MAX_TILE {
        return bad(
            "--chunk",
            format!("tiles of {} MiB; at most {} MiB are written", bytes >> 20, MAX_TILE >> 20),
        );
    }
    if matches!(codec, Codec::Jpeg { .. }) && chunk[3].max(chunk[4]) > u64::from(u16::MAX) {
        return bad("--chunk", format!("tiles of JPEG are at most {} pixels wide and high", u16::MAX));
    }
    // A tile that is encoded before its turn waits in memory.
    let encoded = encode::bound(codec, bytes as usize) as u64;
    let waiting = match codec {
        Codec::None => 0,
        // The bound is of noise that no image is.
        Codec::Jpeg { .. } => 2 * bytes,
        _ => 2 * encoded,
    };
    Ok(Layout {
        chunk,
        shard: None,
        scratch: bytes + waiting + encode::context_bytes(codec, bytes as usize),
        ns_per_voxel: encode::ns_per_voxel(codec, size),
    })
}

/// The axes of pages, from the outermost to the innermost.
fn planes(options: &OutputOptions, meta: &Meta) -> Result<Vec<Axis>, IoError> {
    if options.axis_order.is_none() {
        return Ok(vec![Axis::T, Axis::C, Axis::Z]);
    }
    let mut order = order::axes(options.axis_order.as_ref(), meta)?;
    // Colours lie within a page, wherever they are named.
    order.retain(|axis| *axis != Axis::C || !is_rgb(meta));
    let rows = order.iter().position(|axis| matches!(axis, Axis::Y | Axis::X)).unwrap_or(order.len());
    let pages = order.split_off(rows);
    if pages.is_sorted() && pages.iter().all(|axis| matches!(axis, Axis::Y | Axis::X)) {
        return Ok(order);
    }
    let why = "pages of a TIFF are y by x: these come last, as in zcyx".to_owned();
    Err(IoError::Option { option: "--axis-order", why })
}

/// Whether the image is stored as colour pixels: three channels that say so, of a type that viewers take for colour.
fn is_rgb(meta: &Meta) -> bool {
    meta.shape[1] == 3 && matches!(meta.dtype, Dtype::U8 | Dtype::U16) && meta.channels == rgb_channels()
}

/// A TIFF on its way.
pub(crate) struct TiffSink {
    file: Arc<Writer>,
    levels: Vec<Arc<dyn Sink>>,
}

/// A level of its image: a directory below that of each page.
struct Level {
    file: Arc<Writer>,
    number: usize,
}

/// The file of an image and its levels.
struct Writer {
    path: PathBuf,
    big: bool,
    /// The axes of pages, from the outermost to the innermost.
    planes: Vec<Axis>,
    /// The image, then its levels.
    images: Vec<Image>,
    /// `None` once it is complete or given up.
    file: RwLock<Option<Growing>>,
    /// Where is noted which tiles lie where.
    work: Option<Arc<Keeper>>,
    /// Whether tiles have their place beforehand.
    fixed: bool,
    state: Mutex<State>,
    /// Buffers that nobody uses at the moment.
    idle: Mutex<Vec<Work>>,
}

/// One image of the file.
struct Image {
    meta: Meta,
    layout: Layout,
    encoding: Encoding,
    grid: Grid,
}

impl Image {
    fn new(options: &OutputOptions, meta: &Meta) -> Result<Self, IoError> {
        let layout = layout(options, meta)?;
        let encoding = Encoding {
            codec: options.codec,
            dtype: meta.dtype,
            width: layout.chunk[4] as usize,
            height: layout.chunk[3] as usize,
            samples: layout.chunk[1] as usize,
            predictor: encode::takes_predictor(options.codec)
                && !meta.dtype.is_float()
                && meta.kind == Kind::Image,
        };
        Ok(Self { meta: meta.clone(), grid: Grid::new(meta.shape, layout.chunk), layout, encoding })
    }

    /// Most bytes in the file: tiles, two numbers for each, and a directory for each page.
    fn most_bytes(&self) -> u64 {
        let longest = encode::bound(self.encoding.codec, self.encoding.tile_bytes()) as u64 + 1;
        let tiles = self.grid.len().saturating_mul(longest + 16);
        tiles.saturating_add(self.pages().saturating_mul(512))
    }

    fn pages(&self) -> u64 {
        let [t, c, z, ..] = self.grid.counts();
        t * c * z
    }
}

/// Where tiles lie.
struct State {
    /// End of what was appended.
    end: u64,
    /// The place that is appended next.
    next: u64,
    /// Tiles that were encoded before their turn, and which they are.
    early: BTreeMap<u64, (TileId, Vec<u8>)>,
    /// Where the tiles of each image lie.
    places: Vec<Places>,
    /// Places that an earlier run appended.
    held: u64,
}

/// Number of the image, and of the tile in it: pages in the order `t, c, z`, tiles row by row.
type TileId = (usize, usize);

/// Where tiles lie, page by page; 0 for those that have not come.
struct Places {
    offsets: Vec<u64>,
    lengths: Vec<u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TiffSink {
    /// Makes the file under a temporary name, or goes on with it.
    ///
    /// # Errors
    /// Those of [`layout`], and [`IoError::Io`].
    pub(crate) fn create(
        options: &OutputOptions,
        meta: &Meta,
        levels: &[Meta],
        work: Option<&Arc<Keeper>>,
    ) -> Result<Self, IoError> {
        let images: Vec<Image> = std::iter::once(meta)
            .chain(levels)
            .map(|meta| Image::new(options, meta))
            .collect::<Result<_, _>>()?;
        let most = images.iter().map(Image::most_bytes).fold(1 << 20, u64::saturating_add);
        let places = |image: &Image| {
            let tiles = image.grid.len() as usize;
            Places { offsets: vec![0; tiles], lengths: vec![0; tiles] }
        };
        let places = images.iter().map(places).collect();
        let file = Growing::begin(&options.path, work)?;
        let fixed = options.codec == Codec::None && images.len() == 1;
        let mut state = State { end: 16, next: 0, early: BTreeMap::new(), places, held: 0 };
        // Levels are made of voxels, which JPEG does not give back: such an image is begun anew.
        let exact = !matches!(options.codec, Codec::Jpeg { .. }) || levels.is_empty();
        if let Some(work) = work.filter(|_| file.is_there() && exact) {
            state.restore(work, fixed);
            file.set_len(state.end)?;
        }
        let file = Arc::new(Writer {
            path: options.path.clone(),
            big: most > u64::from(u32::MAX),
            planes: planes(options, meta)?,
            images,
            file: RwLock::new(Some(file)),
            work: work.cloned(),
            fixed,
            state: Mutex::new(state),
            idle: Mutex::default(),
        });
        let level = |number| Arc::new(Level { file: file.clone(), number }) as Arc<dyn Sink>;
        let levels = (1..=levels.len()).map(level).collect();
        Ok(Self { file, levels })
    }
}

impl Writer {
    fn write(&self, image: usize, place: Place, data: &Tile<'_>) -> Result<u64, IoError> {
        let mut work = lock(&self.idle).pop().unwrap_or_default();
        let result = self.write_tile(image, place, data, &mut work);
        lock(&self.idle).push(work);
        result
    }

    fn write_tile(
        &self,
        image: usize,
        place: Place,
        data: &Tile<'_>,
        work: &mut Work,
    ) -> Result<u64, IoError> {
        let Image { encoding, grid, .. } = &self.images[image];
        let tile = (image, grid.linear(&place.index) as usize);
        if !self.fixed && place.order < lock(&self.state).held {
            // Its group was not complete; it was.
            return Ok(0);
        }
        let bytes = encoding.encode(data, work)?;
        let length = bytes.len() as u64;
        if self.fixed {
            let at = 16 + place.order * length;
            lock(&self.state).settle(tile, at, length);
            self.put(bytes, at)?;
            self.note(tile, place.order, at, length)?;
            return Ok(length);
        }
        let mut ready = Vec::new();
        let mut state = lock(&self.state);
        if place.order != state.next {
            state.early.insert(place.order, (tile, bytes.to_vec()));
            return Ok(length);
        }
        let at = state.append(tile, length);
        loop {
            let next = state.next;
            let Some((tile, bytes)) = state.early.remove(&next) else { break };
            ready.push((next, tile, state.append(tile, bytes.len() as u64), bytes));
        }
        drop(state);
        self.put(bytes, at)?;
        self.note(tile, place.order, at, length)?;
        for (order, tile, at, bytes) in ready {
            self.put(&bytes, at)?;
            self.note(tile, order, at, bytes.len() as u64)?;
        }
        Ok(length)
    }

    /// Notes where a tile lies that has been written.
    fn note(&self, (image, number): TileId, order: u64, at: u64, length: u64) -> Result<(), IoError> {
        let Some(work) = &self.work else { return Ok(()) };
        let note: Vec<u8> = [order, at, length].into_iter().flat_map(u64::to_le_bytes).collect();
        work.note_piece(image as u32, number as u64, &note)
    }

    /// Whether an earlier run wrote a tile.
    fn holds(&self, image: usize, place: Place) -> bool {
        let state = lock(&self.state);
        let number = self.images[image].grid.linear(&place.index) as usize;
        state.places[image].offsets[number] > 0 && (self.fixed || place.order < state.held)
    }

    /// Reads a tile that was written.
    fn reread(&self, image: usize, place: Place, out: TileMut<'_>) -> Result<u64, IoError> {
        let Image { encoding, grid, .. } = &self.images[image];
        let number = grid.linear(&place.index) as usize;
        let (at, length) = {
            let places = &lock(&self.state).places[image];
            (places.offsets[number], places.lengths[number] as usize)
        };
        let mut encoded = crate::Buffer::default();
        let bytes = encoded.bytes(length)?;
        let got = match &*self.file.read().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.read_at(bytes, at)?,
            None => 0,
        };
        let decoded = if got < length {
            Err(crate::Damage::Truncated { got: got as u64, want: length as u64 })
        } else {
            reread::decode(encoding, bytes, out)?
        };
        let damaged = |problem| IoError::Damaged {
            store: self.path.display().to_string(),
            chunk: format!("tile {number}"),
            region: grid.region(&place.index),
            problem,
        };
        decoded.map_err(damaged)?;
        Ok(length as u64)
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<(), IoError> {
        match &*self.file.read().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write_at(bytes, at),
            None => Ok(()),
        }
    }

    /// Numbers of the pages, as they follow each other in the file.
    fn pages(&self) -> Vec<usize> {
        let [t, c, z, ..] = self.images[0].grid.counts();
        let counts = [t, c, z, 1, 1];
        let places = order::strides(&self.planes, &counts);
        let place = |at: &Shape| (0..3).map(|a| at[a] * places[a]).sum::<u64>();
        let mut pages: Vec<(u64, usize)> =
            Grid::new(counts, [1; NDIM]).iter().map(|at| place(&at)).zip(0..).collect();
        pages.sort_unstable();
        pages.into_iter().map(|(_, page)| page).collect()
    }

    fn complete(&self) -> Result<(), IoError> {
        let mut state = lock(&self.state);
        for (_, (tile, bytes)) in std::mem::take(&mut state.early) {
            let at = state.append(tile, bytes.len() as u64);
            self.put(&bytes, at)?;
        }
        let pages = self.pages();
        let mut block = Block { file: self, start: state.end.next_multiple_of(8), bytes: Vec::new() };
        // The directories of levels first: that of a page names them.
        let mut below: Vec<Vec<u64>> = vec![Vec::new(); pages.len()];
        for (image, places) in self.images.iter().zip(&state.places).skip(1) {
            for (page, below) in below.iter_mut().enumerate() {
                let tags = PageTags { text: "", below: &[], reduced: true, last: true };
                below.push(block.directory(image, places, page, &tags)?);
            }
        }
        let samples = self.images[0].encoding.samples as u64;
        let description = omexml::describe(&self.images[0].meta, samples, &self.planes, None);
        let mut first = None;
        for (n, &page) in pages.iter().enumerate() {
            let text = if n == 0 { description.as_str() } else { "" };
            let tags = PageTags { text, below: &below[page], reduced: false, last: n + 1 == pages.len() };
            let at = block.directory(&self.images[0], &state.places[0], page, &tags)?;
            first.get_or_insert(at);
        }
        block.flush()?;
        self.put(&directory::header(self.big, first.unwrap_or(0)), 0)?;
        match self.file.write().unwrap_or_else(PoisonError::into_inner).take() {
            Some(file) => file.commit(),
            None => Ok(()),
        }
    }
}

/// Directories that are written together.
struct Block<'a> {
    file: &'a Writer,
    /// Where in the file the block begins.
    start: u64,
    bytes: Vec<u8>,
}

/// What a directory says besides its image.
struct PageTags<'a> {
    text: &'a str,
    /// Where the directories of its levels lie.
    below: &'a [u64],
    reduced: bool,
    /// Whether no page follows.
    last: bool,
}

impl Block<'_> {
    /// Appends the directory of one page; says where it lies.
    fn directory(
        &mut self,
        image: &Image,
        places: &Places,
        page: usize,
        tags: &PageTags<'_>,
    ) -> Result<u64, IoError> {
        if self.bytes.len() > 1 << 20 {
            self.flush()?;
        }
        let at = self.start + self.bytes.len() as u64;
        let counts = image.grid.counts();
        let per_page = (counts[3] * counts[4]) as usize;
        let range = page * per_page..(page + 1) * per_page;
        let page = image.page(tags, &places.offsets[range.clone()], &places.lengths[range]);
        page.append(&mut self.bytes, self.file.big, at, tags.last);
        Ok(at)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.file.put(&self.bytes, self.start)?;
        self.start += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

impl Image {
    /// What the directory of one page says.
    fn page<'a>(&self, tags: &PageTags<'a>, offsets: &'a [u64], lengths: &'a [u32]) -> Page<'a> {
        let Encoding { codec, dtype, width, height, samples, predictor } = self.encoding;
        let chroma = encode::chroma(codec).filter(|_| samples == 3);
        Page {
            size: [self.meta.shape[4] as u32, self.meta.shape[3] as u32],
            tile: [width as u32, height as u32],
            dtype,
            samples,
            compression: encode::number(codec).unwrap_or(1),
            photometric: match (samples, chroma) {
                (3, Some(_)) => pages::YCBCR,
                (3, None) => pages::RGB,
                _ => pages::BLACK_IS_ZERO,
            },
            resolution: pages::resolution(&self.meta),
            predictor,
            tables: None,
            subsampling: chroma.map(|n| [n; 2]),
            reduced: tags.reduced,
            text: tags.text,
            below: tags.below,
            offsets,
            lengths,
        }
    }
}

impl State {
    /// Gives an encoded tile the next place in the file; tiles start at even offsets.
    fn append(&mut self, tile: TileId, length: u64) -> u64 {
        let at = self.end.next_multiple_of(2);
        self.settle(tile, at, length);
        self.next += 1;
        at
    }

    /// Takes the tiles that an earlier run wrote: where they are appended, up to the first one that is missing.
    fn restore(&mut self, work: &Keeper, fixed: bool) {
        let mut tiles = Vec::new();
        for (image, places) in self.places.iter().enumerate() {
            for (number, note) in work.pieces(image as u32) {
                let words: Option<[[u8; 8]; 3]> =
                    bytemuck::try_cast_slice(note).ok().and_then(|n| n.try_into().ok());
                let Some([order, at, length]) = words.map(|words| words.map(u64::from_le_bytes)) else {
                    continue;
                };
                if (number as usize) < places.offsets.len() {
                    tiles.push((order, (image, number as usize), at, length));
                }
            }
        }
        tiles.sort_unstable();
        for (order, tile, at, length) in tiles {
            if fixed || order == self.next {
                self.settle(tile, at, length);
                self.next = order + 1;
            }
        }
        self.held = self.next;
    }

    fn settle(&mut self, (image, number): TileId, at: u64, length: u64) {
        let places = &mut self.places[image];
        places.offsets[number] = at;
        places.lengths[number] = length as u32;
        self.end = self.end.max(at + length);
    }
}

impl Sink for Level {
    fn meta(&self) -> &Meta {
        &self.file.images[self.number].meta
    }

    fn layout(&self) -> &Layout {
        &self.file.images[self.number].layout
    }

    fn name(&self) -> String {
        format!("{}, level {}", self.file.path.display(), self.number)
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        Ok(self.file.write(self.number, place, data)?)
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn abort(&self) {}

    fn holds(&self, place: Place) -> bool {
        self.file.holds(self.number, place)
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        Ok(self.file.reread(self.number, place, out)?)
    }
}

impl Sink for TiffSink {
    fn meta(&self) -> &Meta {
        &self.file.images[0].meta
    }

    fn layout(&self) -> &Layout {
        &self.file.images[0].layout
    }

    fn name(&self) -> String {
        self.file.path.display().to_string()
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        Ok(self.file.write(0, place, data)?)
    }

    fn levels(&self) -> &[Arc<dyn Sink>] {
        &self.levels
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(self.file.complete()?)
    }

    fn abort(&self) {
        *self.file.file.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn holds(&self, place: Place) -> bool {
        self.file.holds(0, place)
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        Ok(self.file.reread(0, place, out)?)
    }
}
