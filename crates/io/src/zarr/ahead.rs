//! Fetching chunks before a worker decodes them, from stores whose bytes are long on their way.
//!
//! Chunks of one shard that a tile needs together are brought together: the index once, with what lies beside it, then
//! runs of neighbouring chunks, each run by one request.

use super::fault::Fault;
use super::shard::{Index, Sharding};
use crate::bytes::coalesce;
use crate::{ByteRange, ByteStore, Damage};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::OnceCell;
use voxtile_sched::model::Shape;

/// Bytes between two chunks that are rather read than asked for apart.
const GAP: u64 = 1 << 20;
/// Longest run that is brought at once, if it has several chunks.
const LONGEST: u64 = 8 << 20;
/// Bytes that a run may bring beyond the chunks that were asked for, and what lies between them.
pub(super) const ROOM: u64 = LONGEST + 2 * GAP;

/// What is on its way.
#[derive(Default)]
pub(super) struct Ahead {
    /// Chunks that will be fetched, and with which others.
    expected: Mutex<HashMap<Shape, Arc<Batch>>>,
    /// What was brought with the indexes of shards, as long as somebody may want it.
    indexes: Mutex<HashMap<u64, Weak<OnceCell<Beside>>>>,
}

/// The index of a shard with what lies beside it: small shards are brought whole.
#[derive(Default)]
struct Beside {
    /// `None`: there is no such shard.
    index: Option<Arc<Index>>,
    start: u64,
    bytes: Vec<u8>,
}

impl Beside {
    fn part(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let from = offset.checked_sub(self.start)? as usize;
        self.bytes.get(from..from.checked_add(len as usize)?)
    }
}

/// Chunks of one shard that are fetched together.
struct Batch {
    /// Their places in the shard.
    inner: Vec<u64>,
    beside: OnceCell<Arc<OnceCell<Beside>>>,
    /// Runs of them, once the index is known.
    runs: OnceCell<Vec<Together>>,
}

/// A run of chunks.
struct Together {
    range: Range<u64>,
    inner: Vec<u64>,
    /// What was brought, until the last of the chunks has taken its part; and how many are left.
    brought: OnceCell<()>,
    bytes: Mutex<(Arc<Vec<u8>>, usize)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ahead {
    /// Chunks of one shard, each with its place in it, that are fetched next.
    pub(super) fn expect(&self, chunks: &[(Shape, u64)]) {
        let inner = chunks.iter().map(|(_, inner)| *inner).collect();
        let batch = Arc::new(Batch::new(inner));
        let mut expected = lock(&self.expected);
        expected.extend(chunks.iter().map(|(index, _)| (*index, batch.clone())));
    }

    /// The bytes of one chunk of a shard as they are stored; `None` if it was never written.
    pub(super) async fn bring(
        &self,
        (store, sharding): (&dyn ByteStore, &Sharding),
        (key, shard): (&str, u64),
        (index, inner): (&Shape, u64),
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let batch = lock(&self.expected).remove(index);
        let batch = batch.unwrap_or_else(|| Arc::new(Batch::new(vec![inner])));
        let beside = || self.index(store, sharding, key, shard);
        let beside = batch.beside.get_or_try_init(beside).await?.get();
        let Some((beside, index)) = beside.and_then(|b| Some((b, b.index.as_ref()?))) else {
            return Ok(None);
        };
        let runs = || async { batch.cut(beside, index, limit) };
        let runs = batch.runs.get_or_init(runs).await;
        let Some((offset, len)) = index.place(inner, limit)? else { return Ok(None) };
        if let Some(part) = beside.part(offset, len) {
            return Ok(Some(part.to_vec()));
        }
        let run = runs.iter().find(|run| run.inner.contains(&inner));
        let run = run.ok_or_else(|| Fault::codec("sharding_indexed", "the index has changed"))?;
        let bring = || async {
            let Range { start, end } = run.range;
            let range = ByteRange::Part { offset: start, len: end - start };
            let brought = store.fetch(key, vec![range], end - start).await?;
            let bytes = brought.and_then(|mut fetched| fetched.parts.pop()).unwrap_or_default();
            lock(&run.bytes).0 = Arc::new(bytes);
            Ok::<(), Fault>(())
        };
        run.brought.get_or_try_init(bring).await?;
        let bytes = {
            let mut held = lock(&run.bytes);
            held.1 = held.1.saturating_sub(1);
            if held.1 == 0 { std::mem::take(&mut held.0) } else { held.0.clone() }
        };
        let from = (offset - run.range.start) as usize;
        match bytes.get(from..from + len as usize) {
            Some(part) if part.len() == bytes.len() => {
                Ok(Some(Arc::try_unwrap(bytes).unwrap_or_else(|shared| (*shared).clone())))
            }
            Some(part) => Ok(Some(part.to_vec())),
            None => {
                let got = run.range.start + bytes.len() as u64;
                Err(Damage::Truncated { got: got.max(offset), want: offset + len }.into())
            }
        }
    }

    /// Brings the index of a shard, once for all that want it at the time.
    async fn index(
        &self,
        store: &dyn ByteStore,
        sharding: &Sharding,
        key: &str,
        shard: u64,
    ) -> Result<Arc<OnceCell<Beside>>, Fault> {
        let cell = {
            let mut indexes = lock(&self.indexes);
            indexes.retain(|_, cell| cell.strong_count() > 0);
            let known = indexes.get(&shard).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let cell = Arc::new(OnceCell::new());
                indexes.insert(shard, Arc::downgrade(&cell));
                cell
            })
        };
        let bring = || async {
            if let Some(index) = sharding.cached(shard) {
                return Ok(Beside { index, ..Beside::default() });
            }
            let (range, most) = sharding.index_range(GAP);
            let brought = store.fetch(key, vec![range], most).await?;
            let size = brought.as_ref().map_or(0, |fetched| fetched.size);
            let bytes = brought.and_then(|mut fetched| fetched.parts.pop());
            let index = sharding.keep(shard, bytes.as_deref())?;
            let bytes = bytes.unwrap_or_default();
            let start = match range {
                ByteRange::Last(_) => size.saturating_sub(bytes.len() as u64),
                _ => 0,
            };
            Ok::<Beside, Fault>(Beside { index, start, bytes })
        };
        cell.get_or_try_init(bring).await?;
        Ok(cell)
    }
}

impl Batch {
    fn new(inner: Vec<u64>) -> Self {
        Self { inner, beside: OnceCell::new(), runs: OnceCell::new() }
    }

    /// Joins what lies side by side, as far as the index makes sense.
    fn cut(&self, beside: &Beside, index: &Index, limit: u64) -> Vec<Together> {
        let mut places = Vec::new();
        let mut inner = Vec::new();
        for &number in &self.inner {
            if let Ok(Some(place)) = index.place(number, limit)
                && beside.part(place.0, place.1).is_none()
            {
                places.push(place);
                inner.push(number);
            }
        }
        let mut runs = Vec::new();
        for run in coalesce(&places, GAP) {
            let mut part: Option<Together> = None;
            for &i in &run.parts {
                let (offset, len) = places[i];
                let end = offset.saturating_add(len);
                match &mut part {
                    Some(p) if end.max(p.range.end) - p.range.start <= LONGEST => {
                        p.range.end = p.range.end.max(end);
                        p.inner.push(inner[i]);
                    }
                    _ => {
                        let fresh = Together {
                            range: offset..end,
                            inner: vec![inner[i]],
                            brought: OnceCell::new(),
                            bytes: Mutex::default(),
                        };
                        runs.extend(part.replace(fresh));
                    }
                }
            }
            runs.extend(part);
        }
        for run in &mut runs {
            run.bytes = Mutex::new((Arc::default(), run.inner.len()));
        }
        runs
    }
}
