//! A store that fails as disks and networks do: late, in part, wrongly, or when the power goes. By seed, so that what
//! happened once happens again.

use super::{ByteRange, ByteStore, ByteWriter, Coming};
use crate::{Buffer, IoError};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong, and how often: shares of all operations, from 0 to 1. By default nothing does.
///
/// ```
/// use voxtile_io::{ByteStore, FaultStore, Faults, MemoryStore};
///
/// let faults = Faults { errors: 0.5, ..Faults::seeded(7) };
/// let store = FaultStore::new(MemoryStore::new("disk"), faults);
/// let failed = (0..100).filter(|n| store.put(&format!("c/{n}"), b"voxels").is_err()).count();
/// assert!((30..70).contains(&failed));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Chooses the operations that fail, and how.
    pub seed: u64,
    /// Operations that take longer, and by how much at most.
    pub delays: (f64, Duration),
    /// Operations that do nothing but fail.
    pub errors: f64,
    /// Reads that bring fewer bytes than there are.
    pub short_reads: f64,
    /// Reads that bring one bit wrong, without a word.
    pub bit_flips: f64,
    /// Writes that store only their first bytes, and fail.
    pub torn_writes: f64,
    /// Bytes beyond which writes fail, as on a disk that is full; objects that are replaced count no more.
    pub quota: Option<u64>,
    /// What keys must begin with for anything to go wrong; empty for all.
    pub only: String,
}

impl Faults {
    /// Nothing goes wrong, until something is asked for.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            delays: (0.0, Duration::ZERO),
            errors: 0.0,
            short_reads: 0.0,
            bit_flips: 0.0,
            torn_writes: 0.0,
            quota: None,
            only: String::new(),
        }
    }
}

/// How often what went wrong, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Operations that were late.
    pub delays: u64,
    /// Operations that failed.
    pub errors: u64,
    /// Reads that were short.
    pub short_reads: u64,
    /// Reads with a wrong bit.
    pub bit_flips: u64,
    /// Writes that were torn.
    pub torn_writes: u64,
    /// Writes that found the store full.
    pub full: u64,
    /// Objects that the last [`crash`](FaultStore::crash) has lost or torn.
    pub lost: u64,
}

/// Wraps a store, and makes it fail. Clones fail together.
///
/// What is written survives [`crash`](Self::crash) only if [`sync`](Self::sync) came in between.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn ByteStore>,
    shared: Arc<Mutex<State>>,
}

struct State {
    faults: Faults,
    random: u64,
    counts: FaultCounts,
    /// Bytes of each object that was written here.
    sizes: BTreeMap<String, u64>,
    /// What was there before, of objects that are not safe yet.
    before: BTreeMap<String, Option<Vec<u8>>>,
}

/// What is to happen to one operation.
#[derive(Default)]
struct Fate {
    delay: Duration,
    error: bool,
    short: Option<f64>,
    flip: Option<u64>,
    torn: Option<f64>,
}

impl State {
    /// The next number from 0 to 1 (SplitMix64).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn fate(&mut self, key: &str, writes: bool) -> Fate {
        let mut fate = Fate::default();
        if !key.starts_with(&self.faults.only) {
            return fate;
        }
        let Faults { delays: (late, by), errors, short_reads, bit_flips, torn_writes, .. } = self.faults;
        if self.random() < late {
            fate.delay = by.mul_f64(self.random());
            self.counts.delays += 1;
        }
        if self.random() < errors {
            fate.error = true;
            self.counts.errors += 1;
        } else if writes {
            if self.random() < torn_writes {
                fate.torn = Some(self.random());
                self.counts.torn_writes += 1;
            }
        } else if self.random() < short_reads {
            fate.short = Some(self.random());
            self.counts.short_reads += 1;
        } else if self.random() < bit_flips {
            fate.flip = Some((self.random() * (1u64 << 53) as f64) as u64);
            self.counts.bit_flips += 1;
        }
        fate
    }
}

impl Fate {
    /// Waits, and fails if that is what happens.
    fn begin(&self, action: &'static str, place: String) -> Result<(), IoError> {
        if self.delay > Duration::ZERO {
            std::thread::sleep(self.delay);
        }
        match self.error {
            true => Err(broken(action, place, ErrorKind::TimedOut, "the store does not answer")),
            false => Ok(()),
        }
    }

    /// Spoils what was read; says how much of it there is.
    fn spoil(&self, bytes: &mut [u8]) -> usize {
        if let (Some(flip), false) = (self.flip, bytes.is_empty()) {
            let bit = flip % (8 * bytes.len() as u64);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        self.short.map_or(bytes.len(), |share| (bytes.len() as f64 * share) as usize)
    }
}

fn broken(action: &'static str, place: String, kind: ErrorKind, words: &'static str) -> IoError {
    IoError::Io { action, path: place.into(), source: Error::new(kind, words) }
}

impl FaultStore {
    /// A store that fails as `faults` say.
    pub fn new(inner: impl ByteStore + 'static, faults: Faults) -> Self {
        Self::over(Arc::new(inner), faults)
    }

    /// As [`new`](Self::new), over a store that is shared.
    #[must_use]
    pub fn over(inner: Arc<dyn ByteStore>, faults: Faults) -> Self {
        let random = faults.seed;
        let (counts, sizes, before) = (FaultCounts::default(), BTreeMap::new(), BTreeMap::new());
        Self { inner, shared: Arc::new(Mutex::new(State { faults, random, counts, sizes, before })) }
    }

    /// Other faults from now on; the seed of these counts.
    pub fn set(&self, faults: Faults) {
        let mut state = self.state();
        state.random = faults.seed;
        state.faults = faults;
    }

    /// How often what went wrong.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.state().counts
    }

    /// Makes all that was written safe.
    pub fn sync(&self) {
        self.state().before.clear();
    }

    /// The power goes: each object that was written, replaced or removed since the last [`sync`](Self::sync) is there, is as
    /// it was before, or, if it was written, ends somewhere in between.
    ///
    /// # Errors
    /// Those of the store below.
    pub fn crash(&self) -> Result<(), IoError> {
        let mut state = self.state();
        state.counts.lost = 0;
        for (key, before) in std::mem::take(&mut state.before) {
            let lot = state.random();
            if lot < 1.0 / 3.0 {
                continue;
            }
            state.counts.lost += 1;
            let now = self.inner.get(&key, u64::MAX)?;
            match (now, before) {
                (Some(now), _) if lot < 2.0 / 3.0 => {
                    let len = (now.len() as f64 * state.random()) as usize;
                    self.inner.put(&key, &now[..len])?;
                }
                (_, Some(before)) => self.inner.put(&key, &before)?,
                (_, None) => self.inner.delete(&key)?,
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.inner.name())
    }

    fn fate(&self, key: &str, writes: bool) -> Fate {
        self.state().fate(key, writes)
    }

    /// Notes what is there before it changes.
    fn remember(&self, key: &str) -> Result<(), IoError> {
        if !self.state().before.contains_key(key) {
            let before = self.inner.get(key, u64::MAX)?;
            self.state().before.entry(key.to_owned()).or_insert(before);
        }
        Ok(())
    }

    /// Takes room for an object in the place of what is there.
    fn room(&self, key: &str, len: u64) -> Result<(), IoError> {
        let mut state = self.state();
        let others: u64 = state.sizes.iter().filter(|(other, _)| *other != key).map(|(_, size)| size).sum();
        if state.faults.quota.is_some_and(|quota| others + len > quota) {
            state.counts.full += 1;
            drop(state);
            return Err(broken("write", self.place(key), ErrorKind::StorageFull, "no space left"));
        }
        state.sizes.insert(key.to_owned(), len);
        Ok(())
    }

    /// Writes as fate has it.
    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        let fate = self.fate(key, true);
        fate.begin("write", self.place(key))?;
        self.remember(key)?;
        self.room(key, bytes.len() as u64)?;
        if let Some(share) = fate.torn {
            self.inner.put(key, &bytes[..(bytes.len() as f64 * share) as usize])?;
            return Err(broken(
                "write",
                self.place(key),
                ErrorKind::ConnectionAborted,
                "the store broke off",
            ));
        }
        self.inner.put(key, bytes)
    }

    fn forget(&self, gone: impl Fn(&str) -> bool) {
        self.state().sizes.retain(|key, _| !gone(key));
    }
}

impl ByteStore for FaultStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        let Fate { delay, error, .. } = self.fate(key, false);
        Fate { delay, error, ..Fate::default() }.begin("read", self.place(key))?;
        self.inner.size(key)
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let fate = self.fate(key, false);
        fate.begin("read", self.place(key))?;
        let Some(got) = self.inner.get_range(key, range, limit, into)? else { return Ok(None) };
        Ok(Some(fate.spoil(into.bytes(got)?)))
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn fetch<'a>(&'a self, key: &'a str, ranges: Vec<ByteRange>, limit: u64) -> Coming<'a> {
        let fate = self.fate(key, false);
        Box::pin(async move {
            fate.begin("read", self.place(key))?;
            let Some(mut fetched) = self.inner.fetch(key, ranges, limit).await? else { return Ok(None) };
            for part in &mut fetched.parts {
                let len = fate.spoil(part);
                part.truncate(len);
            }
            Ok(Some(fetched))
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        let Fate { delay, error, .. } = self.fate(prefix, false);
        Fate { delay, error, ..Fate::default() }.begin("read", self.place(prefix))?;
        self.inner.list(prefix)
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.write(key, bytes)
    }

    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, IoError> {
        if self.size(key)?.is_some() {
            return Ok(false);
        }
        self.remember(key)?;
        self.room(key, bytes.len() as u64)?;
        self.inner.put_new(key, bytes)
    }

    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        Ok(Box::new(Unfinished { store: self.clone(), key: key.to_owned(), bytes: Vec::new() }))
    }

    fn delete(&self, key: &str) -> Result<(), IoError> {
        self.fate(key, true).begin("remove", self.place(key))?;
        self.remember(key)?;
        self.forget(|other| other == key);
        self.inner.delete(key)
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), IoError> {
        self.fate(prefix, true).begin("remove", self.place(prefix))?;
        let below = |key: &str| {
            prefix.is_empty()
                || key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // What was written here and is not safe yet is remembered already; the rest was safe.
        self.forget(below);
        self.inner.delete_prefix(prefix)
    }
}

/// An object on its way: it is written when it is complete, as fate has it.
struct Unfinished {
    store: FaultStore,
    key: String,
    bytes: Vec<u8>,
}

impl ByteWriter for Unfinished {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let (store, key) = (&self.store, &self.key);
        store.fate(key, false).begin("write", store.place(key))?;
        let len = self.bytes.len() + bytes.len();
        store.room(key, len as u64)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), IoError> {
        self.store.write(&self.key, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    fn store(faults: Faults) -> FaultStore {
        FaultStore::new(MemoryStore::new("disk"), faults)
    }

    #[test]
    fn without_faults_it_is_the_store_below() {
        crate::contract::check_bytes(&store(Faults::seeded(1)));
    }

    #[test]
    fn a_seed_fails_in_the_same_way_again() {
        let run = |seed| {
            let faults = Faults { errors: 0.3, torn_writes: 0.3, ..Faults::seeded(seed) };
            let store = store(faults);
            let failed: Vec<bool> =
                (0..50).map(|n| store.put(&n.to_string(), b"0123456789").is_err()).collect();
            (failed, store.counts())
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5).0, run(6).0);
        assert!(run(5).1.torn_writes > 0 && run(5).1.errors > 0);
    }

    #[test]
    fn reads_are_short_or_wrong_and_what_is_stored_stays_right() {
        let below = MemoryStore::new("disk");
        below.put("c/0", &[7; 1000]).unwrap();
        let faults = Faults { short_reads: 0.5, bit_flips: 1.0, only: "c/".to_owned(), ..Faults::seeded(3) };
        let store = FaultStore::new(below.clone(), faults);
        let (mut short, mut wrong) = (0, 0);
        for _ in 0..100 {
            let got = store.get("c/0", 1000).unwrap().unwrap();
            if got.len() < 1000 {
                short += 1;
            } else {
                let bits: u32 = got.iter().map(|b| (b ^ 7).count_ones()).sum();
                assert_eq!(bits, 1);
                wrong += 1;
            }
        }
        assert!(short > 20 && wrong > 20, "{short} {wrong}");
        assert_eq!(below.get("c/0", 1000).unwrap().unwrap(), [7; 1000]);
    }

    #[test]
    fn a_torn_write_leaves_the_first_bytes_and_an_error() {
        let below = MemoryStore::new("disk");
        let store = FaultStore::new(below.clone(), Faults { torn_writes: 1.0, ..Faults::seeded(2) });
        let error = store.put("a", b"0123456789").unwrap_err();
        assert!(matches!(error, IoError::Io { action: "write", .. }), "{error}");
        let there = below.get("a", 10).unwrap().unwrap();
        assert!(there.len() < 10 && b"0123456789".starts_with(&there));
    }

    #[test]
    fn a_full_store_takes_no_more_until_something_goes() {
        let store = store(Faults { quota: Some(25), ..Faults::seeded(1) });
        store.put("a", &[0; 10]).unwrap();
        store.put("a", &[0; 12]).unwrap();
        store.put("b", &[0; 12]).unwrap();
        let error = store.put("c", &[0; 2]).unwrap_err();
        assert!(
            matches!(&error, IoError::Io { source, .. } if source.kind() == ErrorKind::StorageFull),
            "{error}"
        );
        store.delete("a").unwrap();
        store.put("c", &[0; 2]).unwrap();
    }

    #[test]
    fn what_was_not_synced_may_be_lost_and_what_was_is_not() {
        let below = MemoryStore::new("disk");
        let store = FaultStore::new(below.clone(), Faults::seeded(11));
        for n in 0..30 {
            store.put(&format!("safe/{n}"), &[1; 100]).unwrap();
        }
        store.sync();
        for n in 0..30 {
            store.put(&format!("new/{n}"), &[2; 100]).unwrap();
            store.put(&format!("safe/{n}"), &[3; 100]).unwrap();
        }
        store.crash().unwrap();
        let (mut gone, mut torn, mut there) = (0, 0, 0);
        for n in 0..30 {
            match below.get(&format!("new/{n}"), 100).unwrap() {
                None => gone += 1,
                Some(bytes) if bytes.len() < 100 => torn += 1,
                Some(bytes) => {
                    assert_eq!(bytes, [2; 100]);
                    there += 1;
                }
            }
            let safe = below.get(&format!("safe/{n}"), 100).unwrap().unwrap();
            assert!(safe == [1; 100] || safe == vec![3; safe.len()], "{n}");
        }
        assert!(gone > 0 && torn > 0 && there > 0, "{gone} {torn} {there}");
        assert_eq!(
            store.counts().lost as usize,
            60 - there
                - (0..30)
                    .filter(|n| { below.get(&format!("safe/{n}"), 100).unwrap().unwrap() == [3; 100] })
                    .count()
        );
        store.crash().unwrap();
        assert_eq!(store.counts().lost, 0, "what a crash has left is there");
    }
}
