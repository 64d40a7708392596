//! Reading an array chunk by chunk.

use super::ahead::{self, Ahead};
use super::blosc;
use super::chain::{self, Chain, Parts};
use super::fault::Fault;
use super::fill;
use super::metadata::{ArrayHead, Keys, Reader};
use super::shard::Sharding;
use super::slab::Slabs;
use super::step::Step;
use crate::scratch::{Buffer, Contexts, Work, with_work};
use crate::{ByteRange, ByteStore, Damage, Feature, IoError};
use std::collections::HashMap;
use std::sync::Arc;
use voxtile_sched::contract::{Fetch, Source, StoreError};
use voxtile_sched::model::{AxisSet, Grid, Meta, NDIM, Shape, TileMut};

/// A Zarr array.
pub(super) struct ZarrSource {
    meta: Meta,
    store: Arc<dyn ByteStore>,
    name: String,
    /// Path of the array in the store, with a slash at the end unless empty.
    prefix: String,
    keys: Keys,
    /// Chunks as they are stored.
    stored: Grid,
    /// Chunks as they are presented: the stored ones, or slabs of them.
    grid: Grid,
    slabs: Option<(Parts, Slabs)>,
    chain: Chain,
    sharding: Option<Sharding>,
    fill: Vec<u8>,
    /// Strides of a decoded chunk, in samples.
    strides: [usize; NDIM],
    /// Whether a decoded chunk is row-major.
    plain: bool,
    /// What is fetched before it is decoded.
    ahead: Ahead,
}

impl ZarrSource {
    /// `meta` has the array's own shape and sample type; `prefix` is its path in the store.
    pub(super) fn new(
        store: Arc<dyn ByteStore>,
        prefix: &str,
        name: String,
        head: &ArrayHead,
        meta: Meta,
    ) -> Result<Self, IoError> {
        let reader = Reader { store: &name };
        let sharded = head.codecs.iter().position(|c| c.name == "sharding_indexed");
        let (sharding, inner, codecs) = match sharded {
            None => (None, head.chunk.clone(), head.codecs.clone()),
            Some(0) if head.codecs.len() == 1 => {
                let (sharding, inner, codecs) = Sharding::new(&reader, head, &head.codecs[0])?;
                (Some(sharding), inner, codecs)
            }
            Some(_) => {
                let chain = chain::describe(&head.codecs);
                return Err(
                    reader.unsupported(Feature::Codec(format!("shards inside other codecs ({chain})")))
                );
            }
        };
        let chain = Chain::new(&reader, &codecs, &inner, (head.dtype, head.is_bool), &head.fill)?;
        let axes = meta.axes;
        let stored = Grid::new(meta.shape, axes.spread(&inner, 1));
        let strides = axes.spread(chain.strides(), 0).map(|s| s as usize);
        let plain = *chain.strides() == chain::strides(&inner);
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let source = Self {
            meta,
            store,
            name,
            prefix,
            keys: head.keys.clone(),
            grid: stored,
            stored,
            slabs: None,
            chain,
            sharding,
            fill: head.fill.clone(),
            strides,
            plain,
            ahead: Ahead::default(),
        };
        // Where bytes are long on their way, a chunk is fetched whole.
        Ok(if source.store.waits() { source } else { source.in_slabs() })
    }

    /// Presents chunks as slabs, where that can be done.
    fn in_slabs(mut self) -> Self {
        let Some(parts) = self.chain.parts(&self.axes().pick(&self.stored.chunk)) else {
            return self;
        };
        let block = match parts {
            Parts::Bytes => Some(1),
            Parts::Blocks => self.probe(),
        };
        let slabs = block.and_then(|b| Slabs::new(&self.stored.chunk, self.meta.dtype.size(), b));
        if let Some(slabs) = slabs {
            self.grid = Grid::new(self.meta.shape, slabs.shape(&self.stored.chunk));
            self.slabs = Some((parts, slabs));
        }
        self
    }

    /// Presents chunks as they are stored.
    pub(super) fn in_chunks(mut self) -> Self {
        self.grid = self.stored;
        self.slabs = None;
        self
    }

    /// Bytes in a block of blosc, by the header of one of a few chunks. Chunks with other blocks are read all the
    /// same, if slower.
    fn probe(&self) -> Option<u64> {
        let counts = self.stored.counts();
        let picks: [fn(u64) -> u64; 3] = [|_| 0, |n| n / 2, |n| n - 1];
        let looked_at = picks.iter().filter(|_| !counts.contains(&0)).map(|pick| counts.map(pick));
        let mut block = |index: Shape| {
            with_work(|Work { encoded, contexts, .. }| {
                let (key, _) = self.place(&index);
                let at = self.locate(&index, encoded, contexts).ok()??;
                let got = self.bring(&key, at, (0, blosc::HEADER), encoded).ok()??;
                blosc::block_bytes(encoded.filled(got)).map(|b| b as u64)
            })
        };
        looked_at.into_iter().find_map(&mut block)
    }

    /// Shape of a chunk as it is stored.
    pub(super) fn stored(&self) -> Shape {
        self.stored.chunk
    }

    /// Shape of the unit that lies in one object, along the array's axes, if that holds several chunks.
    pub(super) fn shard(&self) -> Option<Vec<u64>> {
        let chunk = self.axes().pick(&self.stored.chunk);
        let sharding = self.sharding.as_ref()?;
        Some(chunk.iter().zip(sharding.counts()).map(|(c, n)| c * n).collect())
    }

    fn axes(&self) -> AxisSet {
        self.meta.axes
    }

    /// Key of the object that holds a chunk, and the chunk's place in the shard.
    fn place(&self, index: &Shape) -> (String, Option<(u64, u64)>) {
        let index = self.axes().pick(index);
        let (object, within) = match &self.sharding {
            None => (index, None),
            Some(s) => {
                let object: Vec<u64> = index.iter().zip(s.counts()).map(|(i, n)| i / n).collect();
                let inner = index.iter().zip(s.counts()).fold(0, |at, (i, n)| at * n + i % n);
                let whole = self.axes().pick(&self.stored.counts());
                let shards = whole.iter().zip(s.counts()).map(|(w, n)| w.div_ceil(*n));
                let number = object.iter().zip(shards).fold(0u64, |at, (o, n)| at * n + o);
                (object, Some((number, inner)))
            }
        };
        (format!("{}{}", self.prefix, self.keys.key(&object)), within)
    }

    /// Where a stored chunk lies in its object, and how many bytes it has if that is known; `None` if it was never
    /// written, as far as can be told without reading it.
    fn locate(
        &self,
        index: &Shape,
        encoded: &mut Buffer,
        contexts: &mut Contexts,
    ) -> Result<Option<(u64, Option<u64>)>, Fault> {
        let (Some(sharding), (key, Some((shard, inner)))) = (&self.sharding, self.place(index)) else {
            return Ok(Some((0, None)));
        };
        let limit = self.chain.max_encoded();
        let found = sharding.locate(&*self.store, (&key, shard), inner, limit, (encoded, contexts))?;
        Ok(found.map(|(offset, len)| (offset, Some(len))))
    }

    /// Reads a part of a stored chunk, or what there is of it; `None` if there is no such object.
    fn bring(
        &self,
        key: &str,
        at: (u64, Option<u64>),
        (offset, len): (usize, usize),
        into: &mut Buffer,
    ) -> Result<Option<usize>, Fault> {
        let (offset, len) = (offset as u64, len as u64);
        let len = at.1.map_or(len, |end| len.min(end.saturating_sub(offset)));
        let range = ByteRange::Part { offset: at.0.saturating_add(offset), len };
        Ok(self.store.get_range(key, range, len, into)?)
    }

    /// Reads a whole stored chunk.
    fn fetch_whole(
        &self,
        index: &Shape,
        encoded: &mut Buffer,
        contexts: &mut Contexts,
    ) -> Result<Option<usize>, Fault> {
        let Some(at) = self.locate(index, encoded, contexts)? else {
            return Ok(None);
        };
        let (key, _) = self.place(index);
        if let Some(len) = at.1 {
            let got = self.bring(&key, at, (0, len as usize), encoded)?.unwrap_or(0) as u64;
            if got != len {
                return Err(Damage::Truncated { got: at.0 + got, want: at.0 + len }.into());
            }
            return Ok(Some(len as usize));
        }
        match self.store.get_range(&key, ByteRange::Whole, self.chain.max_encoded(), encoded) {
            Err(IoError::Io { source, .. }) if source.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(Fault::codec("file", source.to_string()))
            }
            other => Ok(other?),
        }
    }

    /// Decodes a stored chunk to `out`, of all of its bytes. `None`: it was never written.
    fn decode_whole(
        &self,
        index: &Shape,
        fetched: Option<&[u8]>,
        out: &mut [u8],
        (encoded, between, contexts): (&mut Buffer, &mut [Buffer; 2], &mut Contexts),
    ) -> Result<Option<u64>, Fault> {
        let encoded = match fetched {
            Some(bytes) => match bytes.split_last() {
                Some((_, bytes)) => bytes,
                None => return Ok(None),
            },
            None => match self.fetch_whole(index, encoded, contexts)? {
                None => return Ok(None),
                Some(got) => encoded.filled(got),
            },
        };
        self.chain.decode(encoded, out, between, contexts)?;
        Ok(Some(encoded.len() as u64))
    }

    /// Decodes bytes of a stored chunk from `first` on until `out` is full. `None`: the chunk was never written.
    fn decode_part(
        &self,
        (parts, index, first): (Parts, &Shape, usize),
        out: &mut [u8],
        (encoded, partial, contexts): (&mut Buffer, &mut Buffer, &mut Contexts),
    ) -> Result<Option<u64>, Fault> {
        let Some(at) = self.locate(index, encoded, contexts)? else {
            return Ok(None);
        };
        let (key, _) = self.place(index);
        let (mut read, mut absent) = (0, false);
        let mut bring = |offset: usize, len: usize, into: &mut Buffer| {
            let got = self.bring(&key, at, (offset, len), into)?;
            absent |= got.is_none();
            read += got.unwrap_or(0) as u64;
            Ok(got.unwrap_or(0))
        };
        let content = self.chain.bytes();
        let done = match parts {
            Parts::Blocks => {
                let part = first..first + out.len();
                blosc::decode_part(&mut bring, content, part, out, (encoded, partial), contexts)
            }
            Parts::Bytes => bring(first, out.len(), encoded).and_then(|got| {
                let whole = match at.1 {
                    None => self.store.size(&key)?.unwrap_or(0),
                    Some(len) => len,
                };
                if whole != content as u64 || got != out.len() {
                    return Err(Damage::Length { got: whole, want: content as u64 }.into());
                }
                out.copy_from_slice(encoded.filled(got));
                Ok(())
            }),
        };
        if absent {
            return Ok(None);
        }
        done.map(|()| Some(read))
    }

    /// Brings a stored chunk without holding up a worker: its bytes and one more, or none if it was never written.
    async fn fetch_ahead(&self, index: &Shape) -> Result<Vec<u8>, Fault> {
        let (key, within) = self.place(index);
        let limit = self.chain.max_encoded();
        let store = &*self.store;
        let brought = match (&self.sharding, within) {
            (Some(sharding), Some((shard, inner))) => {
                self.ahead.bring((store, sharding), (&key, shard), (index, inner), limit).await?
            }
            _ => match store.fetch(&key, vec![ByteRange::Whole], limit).await {
                Err(IoError::Io { source, .. }) if source.kind() == std::io::ErrorKind::FileTooLarge => {
                    return Err(Fault::codec("file", source.to_string()));
                }
                other => other?.and_then(|mut fetched| fetched.parts.pop()),
            },
        };
        Ok(brought.map_or(Vec::new(), |mut bytes| {
            bytes.push(0);
            bytes
        }))
    }

    /// An error with the place of a chunk as it is presented.
    fn fault(&self, index: &Shape, fault: Fault) -> StoreError {
        let stored = self.slabs.as_ref().map_or(*index, |(_, slabs)| slabs.place(index).0);
        let (key, within) = self.place(&stored);
        let chunk = within.map_or_else(|| key.clone(), |(_, inner)| format!("{key}[{inner}]"));
        fault.at(&self.name, chunk, self.grid.region(index)).into()
    }

    fn decode(
        &self,
        index: &Shape,
        fetched: Option<&[u8]>,
        out: &mut TileMut<'_>,
        work: &mut Work,
    ) -> Result<u64, Fault> {
        let Work { encoded, chunk, between, contexts } = work;
        let shape = out.shape();
        let own = shape.map(|n| n as u64);
        let bytes = out.bytes_mut().expect("a chunk is read into a tile without gaps");
        // What is not cut by the edge of the image goes straight to its place.
        let cut = match &self.slabs {
            Some((_, slabs)) if slabs.is_front(&own, &self.grid.chunk) => None,
            None if self.plain && own == self.grid.chunk => None,
            slabs => Some(slabs.map_or(self.chain.bytes(), |(_, s)| s.bytes())),
        };
        let place = match cut {
            None => &mut *bytes,
            Some(len) => chunk.bytes(len)?,
        };
        let read = match &self.slabs {
            Some((parts, slabs)) => {
                let (chunk, first) = slabs.place(index);
                let [partial, _] = between;
                self.decode_part((*parts, &chunk, first), place, (encoded, partial, contexts))?
            }
            None => self.decode_whole(index, fetched, place, (encoded, between, contexts))?,
        };
        let Some(read) = read else {
            fill::fill(bytes, &self.fill);
            return Ok(0);
        };
        if let Some(len) = cut {
            pick(chunk.filled(len), &self.strides, bytes, &shape, self.meta.dtype.size());
        }
        self.chain.swap(bytes);
        Ok(read)
    }
}

/// Copies a strided box into one without gaps.
fn pick(from: &[u8], strides: &[usize; NDIM], out: &mut [u8], shape: &[usize; NDIM], size: usize) {
    match size {
        1 => pick_samples::<1>(from, strides, out, shape),
        2 => pick_samples::<2>(from, strides, out, shape),
        4 => pick_samples::<4>(from, strides, out, shape),
        _ => pick_samples::<8>(from, strides, out, shape),
    }
}

fn pick_samples<const N: usize>(from: &[u8], strides: &[usize; NDIM], out: &mut [u8], shape: &[usize; NDIM]) {
    let from = from.as_chunks::<N>().0;
    let mut rows = out.as_chunks_mut::<N>().0.chunks_exact_mut(shape[4].max(1));
    for t in 0..shape[0] {
        for c in 0..shape[1] {
            for z in 0..shape[2] {
                for y in 0..shape[3] {
                    let at = t * strides[0] + c * strides[1] + z * strides[2] + y * strides[3];
                    let Some(row) = rows.next() else {
                        return;
                    };
                    if strides[4] == 1 {
                        row.copy_from_slice(&from[at..at + shape[4]]);
                    } else {
                        for (to, sample) in row.iter_mut().zip(from[at..].iter().step_by(strides[4].max(1))) {
                            *to = *sample;
                        }
                    }
                }
            }
        }
    }
}

impl Source for ZarrSource {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn chunk(&self) -> Shape {
        self.grid.chunk
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn scratch(&self) -> u64 {
        let mut index = self.sharding.as_ref().map_or(0, Sharding::scratch);
        if self.sharding.is_some() && self.store.waits() {
            index += ahead::ROOM;
        }
        let ragged = (0..NDIM).any(|a| !self.grid.image[a].is_multiple_of(self.grid.chunk[a]));
        if let Some((_, slabs)) = &self.slabs {
            let chunk = if ragged { slabs.bytes() as u64 } else { 0 };
            return slabs.scratch() + chunk + Step::Zstd.context_bytes() + index;
        }
        let chunk = if ragged || !self.plain { self.chain.bytes() as u64 } else { 0 };
        self.chain.max_encoded() + chunk + self.chain.scratch() + index
    }

    fn expect(&self, indices: &[Shape]) {
        if self.sharding.is_none() || !self.store.waits() {
            return;
        }
        let mut shards: HashMap<u64, Vec<(Shape, u64)>> = HashMap::new();
        for index in indices {
            if let (_, Some((shard, inner))) = self.place(index) {
                shards.entry(shard).or_default().push((*index, inner));
            }
        }
        shards.values().for_each(|chunks| self.ahead.expect(chunks));
    }

    fn fetched(&self) -> u64 {
        if self.store.waits() { self.chain.max_encoded() + 1 } else { 0 }
    }

    fn fetch(&self, index: &Shape) -> Fetch<'_> {
        if !self.store.waits() || self.grid.region(index).is_empty() {
            return Fetch::InWorker;
        }
        let index = *index;
        Fetch::Wait(Box::pin(async move {
            self.fetch_ahead(&index).await.map_err(|fault| self.fault(&index, fault))
        }))
    }

    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, mut out: TileMut<'_>) -> Result<u64, StoreError> {
        let region = self.grid.region(index);
        assert_eq!(out.shape().map(|n| n as u64), region.shape, "tile for chunk {index:?}");
        assert_eq!(out.dtype(), self.meta.dtype, "tile for chunk {index:?}");
        if region.is_empty() {
            return Ok(0);
        }
        with_work(|work| self.decode(index, fetched.as_deref(), &mut out, work))
            .map_err(|fault| self.fault(index, fault))
    }

    fn ns_per_voxel(&self) -> f64 {
        self.chain.ns_per_voxel(self.meta.dtype.size())
    }
}
