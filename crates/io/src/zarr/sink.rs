//! Writing an array chunk by chunk.
//!
//! A chunk appears whole. A shard is streamed: its chunks are appended in the order of the plan, so that the bytes do
//! not depend on which worker was faster; the index follows, then it appears. Until the end the root says that the
//! output is not complete.

use super::describe::{self, Document};
use super::encode;
use super::metadata::MAX_INNER_CHUNKS;
use super::reread;
use super::source::ZarrSource;
use crate::ome::{Largest, Windows};
use crate::scratch::{Work, with_work};
use crate::tiff::rgb_channels;
use crate::{
    About, ByteStore, ByteWriter, Codec, Format, IoError, OmeVersion, OutputOptions, Url, Wanted, ome,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use voxtile_sched::contract::{Layout, Place, Sink, Source as _, StoreError};
use voxtile_sched::model::{Axis, Dtype, Grid, Kind, Meta, NDIM, Region, Shape, Tile, TileMut, voxels};

/// A Zarr on its way: a bare array, or a group with the levels of an image.
pub(crate) struct ZarrSink {
    /// The image, then its smaller versions.
    arrays: Vec<Arc<Array>>,
    levels: Vec<Arc<dyn Sink>>,
    codec: Codec,
    format: Format,
    about: (OmeVersion, About),
    store: Arc<dyn ByteStore>,
}

/// One array of it.
struct Array {
    meta: Meta,
    layout: Layout,
    codec: Codec,
    format: Format,
    store: Arc<dyn ByteStore>,
    /// Its path in the group; empty for a bare one.
    prefix: String,
    grid: Grid,
    /// Grid of shards, and chunks per shard along each axis.
    shards: Option<(Grid, Shape)>,
    /// How its channels are shown, of the coarsest of several levels.
    windows: Option<Windows>,
    /// The largest number of an object, of the finest level of a label image.
    largest: Option<Largest>,
    open: Mutex<HashMap<Shape, Arc<Mutex<Shard>>>>,
    /// Whether an earlier run began it.
    resumed: bool,
    /// Of a store that is long in answering, what was there when this run began.
    there: Option<Arc<There>>,
    /// Chunks that this run wrote, where the windows want to see those of others too.
    seen: Mutex<HashSet<u64>>,
    /// Reads what is written, once that is asked for.
    reader: OnceLock<ZarrSource>,
}

/// The keys of objects, as hashes: one list takes the place of a question for each.
struct There {
    keys: HashSet<u64>,
    hasher: RandomState,
}

impl There {
    fn of(store: &Arc<dyn ByteStore>) -> Result<Self, IoError> {
        let (found, hasher) = (Arc::new(Mutex::new(HashSet::new())), RandomState::new());
        let (keys, hash) = (found.clone(), hasher.clone());
        let wanted: Wanted = Arc::new(move |key| lock(&keys).insert(hash.hash_one(key)));
        store.inventory(&wanted)?;
        let keys = std::mem::take(&mut *lock(&found));
        Ok(Self { keys, hasher })
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(&self.hasher.hash_one(key))
    }
}

/// A shard on its way.
struct Shard {
    /// `None` once it is complete.
    file: Option<Box<dyn ByteWriter>>,
    /// End of what was appended.
    end: u64,
    /// The place that is appended next.
    next: u64,
    /// Chunks that were encoded before their turn: number in the shard, and bytes.
    early: BTreeMap<u64, (usize, Vec<u8>)>,
    index: Vec<[u64; 2]>,
    /// Chunks that are still to come.
    left: u64,
}

/// How an image will be cut.
pub(crate) fn layout(options: &OutputOptions, meta: &Meta) -> Result<Layout, IoError> {
    let bad = |option: &'static str, why: String| Err(IoError::Option { option, why });
    let codec = options.codec;
    if matches!(codec, Codec::Lzw | Codec::Deflate { .. } | Codec::Jpeg { .. }) {
        return bad(
            "--codec",
            format!("{codec} is for TIFF; Zarr takes none, zstd, gzip, blosc-lz4, blosc-zstd"),
        );
    }
    let default = if meta.axes.contains(Axis::Z) { [1, 1, 128, 128, 128] } else { [1, 1, 1, 512, 512] };
    let mut chunk = options.chunk.unwrap_or(default);
    if chunk.contains(&0) {
        return bad("--chunk", "an extent of 0".to_owned());
    }
    for a in 0..NDIM {
        chunk[a] = chunk[a].min(meta.shape[a].max(1));
    }
    let size = meta.dtype.size() as u64;
    let bytes = voxels(&chunk).saturating_mul(size);
    if bytes > super::blosc::MAX_CONTENT {
        let max = super::blosc::MAX_CONTENT;
        return bad("--chunk", format!("chunks of {bytes} bytes; readers take at most {max}"));
    }
    let shard = match options.shard {
        None => None,
        Some(_) if options.format == Format::ZarrV2 => {
            return bad("--shard", "Zarr v2 has no shards".to_owned());
        }
        Some(mut shard) => {
            for a in 0..NDIM {
                // As for chunks: no larger than the image, here in whole chunks.
                let cover = meta.shape[a].max(1).next_multiple_of(chunk[a]);
                if shard[a] >= meta.shape[a] {
                    shard[a] = cover;
                }
                if shard[a] == 0 || shard[a] % chunk[a] != 0 {
                    let axis = Axis::ALL[a];
                    return bad(
                        "--shard",
                        format!("{} along {axis} is no multiple of the chunk's {}", shard[a], chunk[a]),
                    );
                }
            }
            let inner = voxels(&std::array::from_fn(|a| shard[a] / chunk[a]));
            if inner > MAX_INNER_CHUNKS {
                return bad(
                    "--shard",
                    format!("{inner} chunks in a shard; at most {MAX_INNER_CHUNKS} are written"),
                );
            }
            Some(shard)
        }
    };
    let encoded = encode::bound(codec, bytes as usize) as u64;
    // A shard may hold back one encoded chunk that came before its turn.
    let early = if shard.is_some() { encoded } else { 0 };
    // What is sent is copied, and shards are sent in parts.
    let sent = match (Url::of(&options.path)?, shard) {
        (None, _) => 0,
        (Some(_), None) => encoded,
        (Some(_), Some(_)) => crate::remote::PARTS,
    };
    Ok(Layout {
        chunk,
        shard,
        scratch: bytes + encoded + early + sent + encode::context_bytes(codec, bytes as usize),
        ns_per_voxel: encode::ns_per_voxel(codec, size as usize),
    })
}

impl ZarrSink {
    /// Marks the store as an output that is not complete. What was there is gone by now, or is what an earlier run wrote.
    pub(crate) fn create(
        options: &OutputOptions,
        store: Arc<dyn ByteStore>,
        meta: &Meta,
        levels: &[Meta],
        resumed: bool,
    ) -> Result<Self, IoError> {
        let bare = levels.is_empty() && (options.bare || !ome::can_describe(meta));
        // Colours of 8 bits are shown as they are.
        let as_is = meta.dtype == Dtype::U8 && meta.channels == rgb_channels();
        let there = (resumed && store.waits()).then(|| There::of(&store)).transpose()?.map(Arc::new);
        let array = |(n, meta): (usize, &Meta)| -> Result<Arc<Array>, IoError> {
            let prefix = if bare { String::new() } else { n.to_string() };
            let mut array = Array::new(options, meta, store.clone(), prefix)?;
            (array.resumed, array.there) = (resumed, there.clone());
            if n == 0 && !bare && (meta.kind == Kind::Labels || options.about.labels_of.is_some()) {
                array.largest = Some(Largest::default());
            }
            let named = meta.channels.iter().any(|c| c.name.is_some() || c.color.is_some());
            if n == levels.len() && !bare && !as_is && (n > 0 || named) {
                array.windows = Windows::new(meta);
            }
            Ok(Arc::new(array))
        };
        let arrays =
            std::iter::once(meta).chain(levels).enumerate().map(array).collect::<Result<Vec<_>, _>>()?;
        let levels = arrays[1..].iter().map(|a| a.clone() as Arc<dyn Sink>).collect();
        let (codec, format) = (options.codec, options.format);
        let about = (options.ome_version(), options.about.clone());
        let sink = Self { arrays, levels, codec, format, about, store };
        for (n, (key, content)) in describe::unfinished(sink.format).into_iter().enumerate() {
            let bytes = text(&content);
            // Of two runs that write to one place, the second is refused.
            let done = if n == 0 && !resumed {
                sink.store.put_new(&key, &bytes)
            } else {
                sink.store.put(&key, &bytes).map(|()| true)
            };
            match done {
                Ok(true) => {}
                Ok(false) => return Err(IoError::Exists { path: sink.store.name().into() }),
                Err(e) => {
                    sink.remove();
                    return Err(e);
                }
            }
        }
        Ok(sink)
    }

    fn put(&self, (key, content): Document) -> Result<(), IoError> {
        self.store.put(&key, &text(&content))
    }

    /// Removes what this sink made, and nothing else. Nothing can be done about what stays.
    fn remove(&self) {
        for array in &self.arrays {
            array.remove();
        }
        for key in ["zarr.json", ".zgroup", ".zattrs", ".zarray"] {
            let _ = self.store.delete(key);
        }
    }
}

/// A document as it is stored.
fn text(content: &serde_json::Value) -> Vec<u8> {
    format!("{content:#}\n").into_bytes()
}

impl Array {
    fn new(
        options: &OutputOptions,
        meta: &Meta,
        store: Arc<dyn ByteStore>,
        prefix: String,
    ) -> Result<Self, IoError> {
        let layout = layout(options, meta)?;
        let grid = Grid::new(meta.shape, layout.chunk);
        let shards =
            layout.shard.map(|s| (Grid::new(meta.shape, s), std::array::from_fn(|a| s[a] / layout.chunk[a])));
        let (codec, format) = (options.codec, options.format);
        Ok(Self {
            meta: meta.clone(),
            layout,
            codec,
            format,
            store,
            prefix,
            grid,
            shards,
            windows: None,
            largest: None,
            open: Mutex::default(),
            resumed: false,
            there: None,
            seen: Mutex::default(),
            reader: OnceLock::new(),
        })
    }

    /// Key of an object by its index.
    fn key(&self, index: &Shape) -> String {
        use std::fmt::Write as _;
        let mut key = self.prefix.clone();
        let mut part = |p: &dyn std::fmt::Display| {
            if !key.is_empty() {
                key.push('/');
            }
            // Writing to a string cannot fail.
            let _ = write!(key, "{p}");
        };
        if self.format != Format::ZarrV2 {
            part(&'c');
        }
        for i in self.meta.axes.pick(index) {
            part(&i);
        }
        key
    }

    fn encode(&self, place: Place, data: &Tile<'_>, work: &mut Work) -> Result<u64, IoError> {
        let Work { encoded, chunk, contexts, .. } = work;
        let size = self.meta.dtype.size();
        let full = self.layout.chunk.map(|c| c as usize);
        let plain = match data.bytes() {
            Some(bytes) if data.shape() == full => bytes,
            _ => {
                let space = chunk.bytes(full.iter().product::<usize>() * size)?;
                gather(data, &full, space);
                space
            }
        };
        let bytes = if self.codec == Codec::None {
            plain
        } else {
            let len = encode::encode(self.codec, size, plain, encoded, contexts)?;
            encoded.filled(len)
        };
        match &self.shards {
            None => self.store.put(&self.key(&place.index), bytes)?,
            Some((shards, counts)) => self.append(shards, counts, place, bytes)?,
        }
        Ok(bytes.len() as u64)
    }

    fn append(&self, shards: &Grid, counts: &Shape, place: Place, bytes: &[u8]) -> Result<(), IoError> {
        let index: Shape = std::array::from_fn(|a| place.index[a] / counts[a]);
        let within = (0..NDIM).fold(0, |n, a| n * counts[a] + place.index[a] % counts[a]) as usize;
        let shard = {
            let mut open = lock(&self.open);
            match open.get(&index) {
                Some(shard) => shard.clone(),
                None => {
                    let shard = Arc::new(Mutex::new(self.begin(shards, counts, &index)?));
                    open.insert(index, shard.clone());
                    shard
                }
            }
        };
        let mut state = lock(&shard);
        if place.order == state.next {
            state.append(within, bytes)?;
            state.drain(false)?;
        } else {
            state.early.insert(place.order, (within, bytes.to_vec()));
        }
        state.left = state.left.saturating_sub(1);
        if state.left == 0 {
            state.finish()?;
            drop(state);
            lock(&self.open).remove(&index);
        }
        Ok(())
    }

    fn begin(&self, shards: &Grid, counts: &Shape, index: &Shape) -> Result<Shard, IoError> {
        let region = shards.region(index);
        let left = voxels(&std::array::from_fn(|a| region.shape[a].div_ceil(self.layout.chunk[a])));
        Ok(Shard {
            file: Some(self.store.begin(&self.key(index))?),
            end: 0,
            next: 0,
            early: BTreeMap::new(),
            index: vec![[u64::MAX; 2]; voxels(counts) as usize],
            left,
        })
    }

    /// Completes the shards that lack chunks.
    fn complete(&self) -> Result<(), IoError> {
        let open = std::mem::take(&mut *lock(&self.open));
        open.into_values().try_for_each(|shard| lock(&shard).finish())
    }

    /// Reads a chunk that was written.
    fn read_back(&self, index: &Shape, out: TileMut<'_>) -> Result<u64, StoreError> {
        let reader = match self.reader.get() {
            Some(reader) => reader,
            None => {
                let (cut, coded) = ((&self.meta, &self.layout), (self.format, self.codec));
                let made = reread::reader(&self.store, &self.prefix, cut, coded)?;
                self.reader.get_or_init(|| made)
            }
        };
        reader.read(index, None, out)
    }

    /// Shows the windows the chunks that earlier runs wrote.
    fn look_back(&self) -> Result<(), StoreError> {
        if !self.resumed || (self.windows.is_none() && self.largest.is_none()) {
            return Ok(());
        }
        let mut buffer = crate::Buffer::default();
        for index in self.grid.iter() {
            let region = self.grid.region(&index);
            if lock(&self.seen).contains(&self.grid.linear(&index)) || region.is_empty() {
                continue;
            }
            let shape = region.shape.map(|n| n as usize);
            let bytes = buffer.bytes(region.voxels() as usize * self.meta.dtype.size())?;
            self.read_back(&index, TileMut::new(self.meta.dtype, shape, bytes))?;
            let tile = Tile::new(self.meta.dtype, shape, bytes);
            self.look(&region, &tile);
        }
        Ok(())
    }

    /// Shows a chunk to whatever gathers what the metadata say of all of them.
    fn look(&self, region: &Region, data: &Tile<'_>) {
        if let Some(windows) = &self.windows {
            windows.look(region, data);
        }
        if let Some(largest) = &self.largest {
            largest.look(data);
        }
    }

    fn remove(&self) {
        lock(&self.open).clear();
        let remove = |prefix: &str| {
            let _ = self.store.delete_prefix(prefix);
        };
        if !self.prefix.is_empty() {
            remove(&self.prefix);
        } else if self.format == Format::ZarrV2 {
            let first = self.meta.axes.pick(&self.grid.counts()).first().copied().unwrap_or(0);
            (0..first).for_each(|i| remove(&i.to_string()));
        } else {
            remove("c");
        }
    }
}

impl Shard {
    fn append(&mut self, within: usize, bytes: &[u8]) -> Result<(), IoError> {
        if let Some(file) = &mut self.file {
            file.append(bytes)?;
        }
        self.index[within] = [self.end, bytes.len() as u64];
        self.end += bytes.len() as u64;
        self.next += 1;
        Ok(())
    }

    /// Appends the early chunks whose turn has come; with `all`, also those behind a gap.
    fn drain(&mut self, all: bool) -> Result<(), IoError> {
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() != self.next && !all {
                break;
            }
            self.next = *entry.key();
            let (within, bytes) = entry.remove();
            self.append(within, &bytes)?;
        }
        Ok(())
    }

    /// Writes the index and gives the shard its name.
    fn finish(&mut self) -> Result<(), IoError> {
        self.drain(true)?;
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let mut index: Vec<u8> = self.index.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
        index.extend(crc32c::crc32c(&index).to_le_bytes());
        file.append(&index)?;
        file.commit()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies a tile, which may have gaps, to the near corner of a full chunk; the rest is 0.
fn gather(data: &Tile<'_>, full: &[usize; NDIM], out: &mut [u8]) {
    let size = data.dtype().size();
    let [nt, nc, nz, ny, nx] = data.shape();
    let row = full[4] * size;
    if data.shape() != *full {
        out.fill(0);
    }
    for t in 0..nt {
        for c in 0..nc {
            for z in 0..nz {
                for y in 0..ny {
                    let at = (((t * full[1] + c) * full[2] + z) * full[3] + y) * row;
                    out[at..at + nx * size].copy_from_slice(data.row_bytes(t, c, z, y));
                }
            }
        }
    }
}

impl Sink for Array {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn name(&self) -> String {
        match (self.store.name(), self.prefix.as_str()) {
            (store, "") => store,
            (store, prefix) => format!("{store}/{prefix}"),
        }
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        let shape = self.grid.region(&place.index).shape;
        assert_eq!(data.shape().map(|n| n as u64), shape, "tile for chunk {:?}", place.index);
        assert_eq!(data.dtype(), self.meta.dtype, "tile for chunk {:?}", place.index);
        if data.is_empty() {
            return Ok(0);
        }
        self.look(&self.grid.region(&place.index), data);
        if self.resumed && (self.windows.is_some() || self.largest.is_some()) {
            lock(&self.seen).insert(self.grid.linear(&place.index));
        }
        Ok(with_work(|work| self.encode(place, data, work))?)
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(self.complete()?)
    }

    fn abort(&self) {
        self.remove();
    }

    fn holds(&self, place: Place) -> bool {
        let object = match &self.shards {
            Some((_, counts)) => std::array::from_fn(|a| place.index[a] / counts[a]),
            None => place.index,
        };
        let empty = self.grid.region(&place.index).is_empty();
        let key = self.key(&object);
        self.resumed
            && (empty
                || match &self.there {
                    Some(there) => there.has(&key),
                    None => matches!(self.store.size(&key), Ok(Some(_))),
                })
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        self.read_back(&place.index, out)
    }

    fn leave(&self) {
        lock(&self.open).clear();
    }
}

impl Sink for ZarrSink {
    fn meta(&self) -> &Meta {
        self.arrays[0].meta()
    }

    fn layout(&self) -> &Layout {
        self.arrays[0].layout()
    }

    fn name(&self) -> String {
        self.store.name()
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        self.arrays[0].write(place, data)
    }

    fn levels(&self) -> &[Arc<dyn Sink>] {
        &self.levels
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.arrays.iter().try_for_each(|array| array.complete())?;
        let described: Vec<describe::Array<'_>> = self
            .arrays
            .iter()
            .map(|a| describe::Array { path: &a.prefix, meta: &a.meta, layout: &a.layout })
            .collect();
        self.arrays.iter().try_for_each(|array| array.look_back())?;
        let windows = self.arrays.last().and_then(|coarsest| coarsest.windows.as_ref()?.found());
        let shown = ome::Shown {
            windows: windows.as_deref(),
            colors: self.arrays[0].largest.as_ref().and_then(Largest::colors),
        };
        let about = (self.about.0, &self.about.1);
        for document in describe::finished(self.format, &described, &shown, self.codec, about) {
            self.put(document)?;
        }
        if self.format == Format::ZarrV2 && self.arrays[0].prefix.is_empty() {
            self.store.delete(".zgroup")?;
        }
        Ok(())
    }

    fn abort(&self) {
        self.remove();
    }

    fn holds(&self, place: Place) -> bool {
        self.arrays[0].holds(place)
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        Sink::reread(&*self.arrays[0], place, out)
    }

    fn leave(&self) {
        self.arrays.iter().for_each(|array| array.leave());
    }
}
