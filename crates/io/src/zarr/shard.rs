//! Shards: many chunks in one object, with an index of where each lies.

use super::chain::Chain;
use super::fault::Fault;
use super::metadata::{ArrayHead, CodecSpec, MAX_INNER_CHUNKS, Reader};
use crate::scratch::{Buffer, Contexts};
use crate::{ByteRange, ByteStore, Damage, Feature, IoError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use voxtile_sched::model::Dtype;

/// How a shard is cut, from the `sharding_indexed` codec.
pub(super) struct Sharding {
    /// Inner chunks along each axis of the array.
    counts: Vec<u64>,
    index: Chain,
    index_len: u64,
    at_start: bool,
    cache: Mutex<Cache>,
}

/// Where the inner chunks of one shard lie: offset and length; both all ones where there is none.
pub(super) struct Index(Vec<[u64; 2]>);

impl Index {
    /// Where the bytes of an inner chunk lie, and how many they are; `None` if it was never written.
    pub(super) fn place(&self, inner: u64, limit: u64) -> Result<Option<(u64, u64)>, Fault> {
        let [offset, len] = self.0[inner as usize];
        if [offset, len] == [u64::MAX; 2] {
            return Ok(None);
        }
        if len > limit || offset > i64::MAX as u64 {
            return Err(Fault::codec(
                "sharding_indexed",
                format!("the index names {len} bytes at {offset}; a chunk has at most {limit}"),
            ));
        }
        Ok(Some((offset, len)))
    }
}

#[derive(Default)]
struct Cache {
    /// `None`: there is no such shard.
    entries: HashMap<u64, (u64, Option<Arc<Index>>)>,
    clock: u64,
}

impl Sharding {
    /// Reads the configuration: the inner chunk's shape and codecs, and how the index is found.
    pub(super) fn new(
        reader: &Reader<'_>,
        head: &ArrayHead,
        spec: &CodecSpec,
    ) -> Result<(Self, Vec<u64>, Vec<CodecSpec>), IoError> {
        let inner =
            reader.chunk("sharding_indexed.chunk_shape", spec.config.get("chunk_shape"), head.shape.len())?;
        if head.chunk.iter().zip(&inner).any(|(s, i)| s % i != 0) {
            let problem = format!("{inner:?} does not divide the shard's {:?}", head.chunk);
            return Err(reader.header("sharding_indexed.chunk_shape", problem));
        }
        let counts: Vec<u64> = head.chunk.iter().zip(&inner).map(|(s, i)| s / i).collect();
        let chunks = counts.iter().fold(1u64, |n, &c| n.saturating_mul(c));
        if chunks > MAX_INNER_CHUNKS {
            let problem = format!("gives {chunks} chunks in a shard; up to {MAX_INNER_CHUNKS} are read");
            return Err(reader.header("sharding_indexed.chunk_shape", problem));
        }
        let at_start = match spec.text("index_location") {
            None | Some("end") => false,
            Some("start") => true,
            Some(other) => {
                return Err(reader.header("index_location", format!("is `{other}` instead of start or end")));
            }
        };
        let index_codecs = reader.codecs("index_codecs", spec.config.get("index_codecs"))?;
        let mut shape = counts.clone();
        shape.push(2);
        let index = Chain::new(reader, &index_codecs, &shape, (Dtype::U64, false), &[0xff; 8])?;
        let plain = *index.strides() == super::chain::strides(&shape);
        let index_len = index.fixed_len().filter(|_| plain).ok_or_else(|| {
            reader.unsupported(Feature::Codec(format!("index {}", super::chain::describe(&index_codecs))))
        })?;
        let codecs = reader.codecs("sharding_indexed.codecs", spec.config.get("codecs"))?;
        let cache = Mutex::default();
        Ok((Self { counts, index, index_len, at_start, cache }, inner, codecs))
    }

    /// Inner chunks along each axis of a shard.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Indexes that are kept.
    fn kept(&self) -> usize {
        ((1 << 20) / self.index.bytes().max(1)).clamp(4, 256)
    }

    /// Bytes that the indexes take, those kept and one that is being read.
    pub(super) fn scratch(&self) -> u64 {
        (self.kept() * self.index.bytes()) as u64 + 2 * self.index_len
    }

    /// Where the bytes of one inner chunk lie in their object, and how many they are; `None` if it was never written.
    pub(super) fn locate(
        &self,
        store: &dyn ByteStore,
        (key, shard): (&str, u64),
        inner: u64,
        limit: u64,
        (buffer, contexts): (&mut Buffer, &mut Contexts),
    ) -> Result<Option<(u64, u64)>, Fault> {
        let Some(index) = self.index(store, key, shard, buffer, contexts)? else {
            return Ok(None);
        };
        index.place(inner, limit)
    }

    fn index(
        &self,
        store: &dyn ByteStore,
        key: &str,
        shard: u64,
        buffer: &mut Buffer,
        contexts: &mut Contexts,
    ) -> Result<Option<Arc<Index>>, Fault> {
        if let Some(known) = self.cached(shard) {
            return Ok(known);
        }
        let index = self.read_index(store, key, buffer, contexts)?.map(Arc::new);
        self.cache(shard, index.clone());
        Ok(index)
    }

    /// The index of a shard, if it is known; inside `None` if there is no such shard.
    pub(super) fn cached(&self, shard: u64) -> Option<Option<Arc<Index>>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let now = cache.clock;
        let (used, index) = cache.entries.get_mut(&shard)?;
        *used = now;
        Some(index.clone())
    }

    fn cache(&self, shard: u64, index: Option<Arc<Index>>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.entries.len() >= self.kept() {
            let oldest = cache.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(&shard, _)| shard);
            oldest.map(|shard| cache.entries.remove(&shard));
        }
        let now = cache.clock;
        cache.entries.insert(shard, (now, index));
    }

    /// Where the index of a shard lies, and its bytes; with what lies beside it, `more` bytes in all.
    pub(super) fn index_range(&self, more: u64) -> (ByteRange, u64) {
        let len = self.index_len.max(more);
        (if self.at_start { ByteRange::Part { offset: 0, len } } else { ByteRange::Last(len) }, len)
    }

    /// Keeps an index that was fetched, with what lies beside it; `None` if there is no such shard.
    pub(super) fn keep(&self, shard: u64, bytes: Option<&[u8]>) -> Result<Option<Arc<Index>>, Fault> {
        let decode = |bytes: &[u8]| {
            let len = bytes.len().min(self.index_len as usize);
            let own = if self.at_start { &bytes[..len] } else { &bytes[bytes.len() - len..] };
            self.decode_index(own, &mut Contexts::default())
        };
        let index = bytes.map(decode).transpose()?.map(Arc::new);
        self.cache(shard, index.clone());
        Ok(index)
    }

    fn read_index(
        &self,
        store: &dyn ByteStore,
        key: &str,
        buffer: &mut Buffer,
        contexts: &mut Contexts,
    ) -> Result<Option<Index>, Fault> {
        let (range, len) = self.index_range(0);
        let Some(got) = store.get_range(key, range, len, buffer)? else {
            return Ok(None);
        };
        self.decode_index(buffer.filled(got), contexts).map(Some)
    }

    fn decode_index(&self, encoded: &[u8], contexts: &mut Contexts) -> Result<Index, Fault> {
        if encoded.len() as u64 != self.index_len {
            return Err(Damage::Truncated { got: encoded.len() as u64, want: self.index_len }.into());
        }
        let count = self.index.bytes() / 16;
        let mut entries: Vec<[u64; 2]> = Vec::new();
        entries.try_reserve_exact(count).map_err(|_| IoError::Memory { bytes: 16 * count as u64 })?;
        entries.resize(count, [0; 2]);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut entries);
        self.index.decode(encoded, bytes, &mut Default::default(), contexts)?;
        self.index.swap(bytes);
        Ok(Index(entries))
    }
}
