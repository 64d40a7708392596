//! Objects in memory.

use super::{ByteRange, ByteStore, ByteWriter, check_limit};
use crate::{Buffer, IoError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Objects = Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>;

/// Objects in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    name: String,
    objects: Objects,
}

impl MemoryStore {
    /// An empty store of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), objects: Objects::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        lock(&self.objects)
    }

    fn object(&self, key: &str) -> Option<Arc<[u8]>> {
        self.objects().get(key).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is below a prefix starts so.
fn below(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("{}/", prefix.trim_end_matches('/')) }
}

impl ByteStore for MemoryStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        Ok(self.object(key).map(|bytes| bytes.len() as u64))
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let Some(bytes) = self.object(key) else { return Ok(None) };
        let (offset, len) = range.of(bytes.len() as u64);
        check_limit(format!("{}/{key}", self.name), len, limit)?;
        into.bytes(len as usize)?.copy_from_slice(&bytes[offset as usize..][..len as usize]);
        Ok(Some(len as usize))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        let start = below(prefix);
        let objects = self.objects();
        let keys = objects.range(start.clone()..).map_while(|(key, _)| key.strip_prefix(&start));
        let names: BTreeSet<&str> =
            keys.map(|key| key.split_once('/').map_or(key, |(name, _)| name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.objects().insert(key.to_owned(), bytes.into());
        Ok(())
    }

    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, IoError> {
        let mut objects = self.objects();
        let new = !objects.contains_key(key);
        if new {
            objects.insert(key.to_owned(), bytes.into());
        }
        Ok(new)
    }

    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        Ok(Box::new(Unfinished { objects: self.objects.clone(), key: key.to_owned(), bytes: Vec::new() }))
    }

    fn delete(&self, key: &str) -> Result<(), IoError> {
        self.objects().remove(key);
        Ok(())
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), IoError> {
        let start = below(prefix);
        self.objects().retain(|key, _| key != prefix && !key.starts_with(&start));
        Ok(())
    }
}

/// An object on its way.
struct Unfinished {
    objects: Objects,
    key: String,
    bytes: Vec<u8>,
}

impl ByteWriter for Unfinished {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), IoError> {
        let Self { objects, key, bytes } = *self;
        lock(&objects).insert(key, bytes.into());
        Ok(())
    }
}
