//! Byte ranges of named objects: the one way in which bytes come and go, wherever they lie.
//!
//! ```text
//! ByteStore   LocalStore    files below a directory
//!             MemoryStore   objects in memory
//!             FaultStore    any of these, made to fail by seed
//!             ZipStore      entries of a zip, read only
//!             RemoteStore   objects below a URL, in `remote`
//! ```
//!
//! An object is whole or absent: [`put`](ByteStore::put) and [`begin`](ByteStore::begin) show nothing until all of it
//! is there. Every store passes [`crate::contract::check_bytes`].

mod fault;
mod file;
mod inventory;
mod local;
mod memory;
mod zip;

pub use fault::{FaultCounts, FaultStore, Faults};
pub(crate) use file::ByteFile;
pub use inventory::{Inventory, Wanted};
pub use local::LocalStore;
pub(crate) use local::{Unfinished, read_at};
pub use memory::MemoryStore;
pub(crate) use zip::{MAGIC as ZIP_MAGIC, ZipStore};

use crate::{Buffer, IoError};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

/// Part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// All of it.
    Whole,
    /// This many bytes from this offset on.
    Part {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The last bytes.
    Last(u64),
}

impl ByteRange {
    /// Offset and number of the bytes that an object of `size` bytes has of it.
    #[must_use]
    pub fn of(self, size: u64) -> (u64, u64) {
        match self {
            Self::Whole => (0, size),
            Self::Part { offset, len } => (offset.min(size), len.min(size.saturating_sub(offset))),
            Self::Last(len) => (size.saturating_sub(len), len.min(size)),
        }
    }
}

/// Parts of an object that were [fetched](ByteStore::fetch).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of the whole object.
    pub size: u64,
    /// The parts, in the order asked for.
    pub parts: Vec<Vec<u8>>,
}

/// Parts of an object that are on their way; `None` if there is none of that key.
pub type Coming<'a> = Pin<Box<dyn Future<Output = Result<Option<Fetched>, IoError>> + Send + 'a>>;

/// Named objects of bytes. Keys have no leading slash: `0/c/1/2`.
///
/// A store that wraps another one forwards what it does not change; what has a default is made of the rest.
pub trait ByteStore: Send + Sync {
    /// How the store is named in messages.
    fn name(&self) -> String;

    /// Size of an object; `None` if there is none of that key.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn size(&self, key: &str) -> Result<Option<u64>, IoError>;

    /// Reads part of an object to the front of `into` and says how many bytes there are; a part that reaches beyond
    /// the end is cut. `None` if there is no object of that key. Refuses to read more than `limit` bytes.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::Memory`].
    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError>;

    /// A whole object of at most `limit` bytes; `None` if there is none of that key.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::Memory`].
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, IoError> {
        let mut buffer = Buffer::default();
        let got = self.get_range(key, ByteRange::Whole, limit, &mut buffer)?;
        Ok(got.map(|n| buffer.into_vec(n)))
    }

    /// Several parts of one object, `(offset, length)`, in the order given. Parts that lie at most `gap` bytes apart
    /// are read at once. `None` if there is no object of that key; parts beyond the end are short.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::Memory`].
    fn get_ranges(&self, key: &str, parts: &[(u64, u64)], gap: u64) -> Result<Option<Vec<Vec<u8>>>, IoError> {
        let mut out = vec![Vec::new(); parts.len()];
        let mut buffer = Buffer::default();
        for run in coalesce(parts, gap) {
            let range = ByteRange::Part { offset: run.offset, len: run.len };
            let Some(got) = self.get_range(key, range, run.len, &mut buffer)? else {
                return Ok(None);
            };
            for &i in &run.parts {
                let from = ((parts[i].0 - run.offset) as usize).min(got);
                let to = from.saturating_add(parts[i].1 as usize).min(got);
                out[i] = buffer.filled(got)[from..to].to_vec();
            }
        }
        Ok(Some(out))
    }

    /// Whether bytes are long on their way, so that whoever wants some should [`fetch`](Self::fetch) them ahead
    /// instead of holding up a worker.
    fn waits(&self) -> bool {
        false
    }

    /// As [`get_range`](Self::get_range), for several parts at once, each of at most `limit` bytes, and without holding
    /// up the thread if the store [`waits`](Self::waits).
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::Memory`].
    fn fetch<'a>(&'a self, key: &'a str, ranges: Vec<ByteRange>, limit: u64) -> Coming<'a> {
        let all = || {
            let Some(size) = self.size(key)? else { return Ok(None) };
            let one = |range| {
                let mut buffer = Buffer::default();
                let got = self.get_range(key, range, limit, &mut buffer)?;
                Ok(got.map(|n| buffer.into_vec(n)))
            };
            let parts: Option<Vec<Vec<u8>>> = ranges.into_iter().map(one).collect::<Result<_, IoError>>()?;
            Ok(parts.map(|parts| Fetched { size, parts }))
        };
        Box::pin(std::future::ready(all()))
    }

    /// A file that holds the object and nothing else, where reading it is faster than [`get_range`](Self::get_range).
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn file(&self, _key: &str) -> Result<Option<std::fs::File>, IoError> {
        Ok(None)
    }

    /// Names directly below a prefix (`""` is the root), sorted: of objects and of further prefixes alike. Empty where
    /// there is nothing.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError>;

    /// What its objects are whose keys are `wanted`, all together, as can be told without reading them. Web servers have no
    /// lists: there, the object that names the store, or the first of its metadata.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn inventory(&self, wanted: &Wanted) -> Result<Inventory, IoError> {
        let mut found = Inventory::default();
        let mut places = vec![String::new()];
        while let Some(place) = places.pop() {
            for name in self.list(&place)? {
                let key = if place.is_empty() { name } else { format!("{place}/{name}") };
                match self.size(&key)? {
                    Some(size) if wanted(&key) => found.add(&key, size, 0, ""),
                    Some(_) => {}
                    None => places.push(key),
                }
            }
        }
        Ok(found)
    }

    /// Writes an object, in the place of what was there; whole or not at all.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::ReadOnly`].
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError>;

    /// Writes an object unless there is one of that key, and says whether it did. Of several at once, one does.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::ReadOnly`].
    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, IoError>;

    /// Starts an object that is written piece by piece.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::ReadOnly`].
    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError>;

    /// Removes an object, if there is one of that key.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::ReadOnly`].
    fn delete(&self, key: &str) -> Result<(), IoError>;

    /// Removes the object of that key and all that lie below it; with `""` all of the store.
    ///
    /// # Errors
    /// [`IoError::Io`], [`IoError::ReadOnly`].
    fn delete_prefix(&self, prefix: &str) -> Result<(), IoError>;
}

/// An object on its way. It appears with [`commit`](Self::commit), in the place of what was there; dropped before, it
/// leaves nothing.
pub trait ByteWriter: Send {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes the object appear, whole.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn commit(self: Box<Self>) -> Result<(), IoError>;
}

/// Refuses a part that is longer than expected.
pub(crate) fn check_limit(place: impl Into<std::path::PathBuf>, len: u64, limit: u64) -> Result<(), IoError> {
    if len <= limit {
        return Ok(());
    }
    let source = std::io::Error::new(
        std::io::ErrorKind::FileTooLarge,
        format!("it has {len} bytes where at most {limit} are expected"),
    );
    Err(IoError::Io { action: "read", path: place.into(), source })
}

/// Names directly below a prefix, sorted.
pub(crate) fn listed<V>(objects: &BTreeMap<String, V>, prefix: &str) -> Vec<String> {
    let start = below(prefix);
    let keys = objects.range(start.clone()..).map_while(|(key, _)| key.strip_prefix(&start));
    let names: BTreeSet<&str> = keys.map(|key| key.split_once('/').map_or(key, |(name, _)| name)).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// What lies below a prefix starts so.
pub(crate) fn below(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
}

/// Parts that are read at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    /// Which of the parts.
    pub(crate) parts: Vec<usize>,
}

/// Joins parts `(offset, length)` that lie at most `gap` bytes apart.
pub(crate) fn coalesce(parts: &[(u64, u64)], gap: u64) -> Vec<Run> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&i| parts[i]);
    let mut runs: Vec<Run> = Vec::new();
    for i in order {
        let (offset, len) = parts[i];
        match runs.last_mut() {
            Some(run) if offset <= run.offset.saturating_add(run.len).saturating_add(gap) => {
                run.len = run.len.max(offset.saturating_add(len) - run.offset);
                run.parts.push(i);
            }
            _ => runs.push(Run { offset, len, parts: vec![i] }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[test]
    fn neighbouring_parts_are_read_at_once() {
        let parts = [(100, 10), (0, 10), (12, 5), (105, 20)];
        let runs = coalesce(&parts, 2);
        assert_eq!(
            runs,
            [Run { offset: 0, len: 17, parts: vec![1, 2] }, Run { offset: 100, len: 25, parts: vec![0, 3] }]
        );
    }

    #[test]
    fn files_keep_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        contract::check_bytes(&LocalStore::new(dir.path().join("not/there/yet")));
        assert!(!dir.path().join("not/there/yet").exists(), "an empty store leaves no directory");
    }

    #[test]
    fn memory_keeps_the_contract() {
        contract::check_bytes(&MemoryStore::new("memory"));
    }
}
