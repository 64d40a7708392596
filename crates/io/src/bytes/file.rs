//! One object that is read in parts: a file on this disk, or an object of a store, with some reading ahead.

use super::{ByteRange, ByteStore, read_at};
use crate::{Buffer, IoError, Remote, RemoteProblem, Url};
use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are brought at once where fewer are asked for. Directories of a TIFF lie in many small places.
const BLOCK: u64 = 256 << 10;
/// Blocks that are kept.
const KEPT: usize = 8;

/// A file, or an object that is read like one.
pub(crate) struct ByteFile {
    path: PathBuf,
    len: u64,
    place: Place,
}

enum Place {
    File(File),
    Object { store: Arc<dyn ByteStore>, key: String, blocks: Mutex<VecDeque<Block>> },
}

/// What was brought ahead: where it starts, and its bytes.
type Block = (u64, Arc<[u8]>);

impl ByteFile {
    /// Opens a file, or the object of a URL.
    pub(crate) fn open(path: &Path, remote: &Remote) -> Result<Self, IoError> {
        let Some(url) = Url::of(path)? else {
            let file = File::open(path).map_err(IoError::io("read", path))?;
            let len = file.metadata().map_err(IoError::io("read", path))?.len();
            return Ok(Self { path: path.to_owned(), len, place: Place::File(file) });
        };
        let missing =
            || IoError::Remote { action: "read", url: url.to_string(), problem: RemoteProblem::Missing };
        Self::of(remote.store(&url)?, "", path)?.ok_or_else(missing)
    }

    /// An object of a store, called `path` in messages; `None` if there is none of that key.
    pub(crate) fn of(store: Arc<dyn ByteStore>, key: &str, path: &Path) -> Result<Option<Self>, IoError> {
        let path = path.to_owned();
        if let Some(file) = store.file(key)? {
            let len = file.metadata().map_err(IoError::io("read", &path))?.len();
            return Ok(Some(Self { path, len, place: Place::File(file) }));
        }
        let Some(len) = store.size(key)? else { return Ok(None) };
        let place = Place::Object { store, key: key.to_owned(), blocks: Mutex::default() };
        Ok(Some(Self { path, len, place }))
    }

    /// Bytes that there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The object, if its bytes are long on their way.
    pub(crate) fn waits(&self) -> Option<(&dyn ByteStore, &str)> {
        match &self.place {
            Place::Object { store, key, .. } if store.waits() => Some((&**store, key)),
            _ => None,
        }
    }

    /// Reads at an offset until the buffer is full or the file ends.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, IoError> {
        match &self.place {
            Place::File(file) => read_at(file, into, offset).map_err(IoError::io("read", &self.path)),
            Place::Object { store, key, blocks } => {
                let len = (into.len() as u64).min(self.len.saturating_sub(offset)) as usize;
                self.read_object((&**store, key), blocks, &mut into[..len], offset)
            }
        }
    }

    /// Fills the buffer from an offset on.
    pub(crate) fn read_exact_at(&self, into: &mut [u8], offset: u64) -> Result<(), IoError> {
        let want = into.len();
        if self.read_at(into, offset)? == want {
            return Ok(());
        }
        let source = std::io::Error::from(ErrorKind::UnexpectedEof);
        Err(IoError::Io { action: "read", path: self.path.clone(), source })
    }

    fn read_object(
        &self,
        (store, key): (&dyn ByteStore, &str),
        blocks: &Mutex<VecDeque<Block>>,
        into: &mut [u8],
        offset: u64,
    ) -> Result<usize, IoError> {
        if into.is_empty() {
            return Ok(0);
        }
        let len = into.len() as u64;
        let blocks = || blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = |(start, bytes): &Block| *start <= offset && offset + len <= start + bytes.len() as u64;
        let found = blocks().iter().find(|block| inside(block)).cloned();
        if let Some((start, bytes)) = found {
            into.copy_from_slice(&bytes[(offset - start) as usize..][..into.len()]);
            return Ok(into.len());
        }
        // What is asked for may lie near the end: then what comes before it is wanted next, perhaps.
        let wanted = len.max(BLOCK);
        let start = offset.min(self.len.saturating_sub(wanted));
        let range = ByteRange::Part { offset: start, len: wanted.min(self.len - start) };
        let mut buffer = Buffer::default();
        let got = store.get_range(key, range, wanted, &mut buffer)?.unwrap_or(0);
        let bytes = buffer.filled(got);
        let part = bytes.get((offset - start) as usize..).unwrap_or_default();
        let n = part.len().min(into.len());
        into[..n].copy_from_slice(&part[..n]);
        if len < BLOCK {
            let mut blocks = blocks();
            blocks.truncate(KEPT - 1);
            blocks.push_front((start, bytes.into()));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn parts_are_those_of_the_object() {
        let store = MemoryStore::new("memory");
        let content: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 + (i >> 9)) as u8).collect();
        store.put("a", &content).unwrap();
        let file = ByteFile::of(Arc::new(store.clone()), "a", Path::new("memory/a")).unwrap().unwrap();
        assert_eq!(file.len(), 1_000_000);
        for (offset, len) in
            [(0, 16), (10, 5), (999_990, 10), (999_990, 100), (300_000, 400_000), (0, 1_000_000)]
        {
            let mut into = vec![0; len];
            let got = file.read_at(&mut into, offset as u64).unwrap();
            assert_eq!(into[..got], content[offset..(offset + len).min(content.len())], "{offset}, {len}");
        }
        assert_eq!(file.read_at(&mut [0; 4], 2_000_000).unwrap(), 0);
        assert!(file.read_exact_at(&mut [0; 4], 999_998).is_err());
        assert!(ByteFile::of(Arc::new(store), "b", Path::new("memory/b")).unwrap().is_none());
    }

    #[test]
    fn small_reads_near_each_other_are_one_request() {
        let store = MemoryStore::new("memory");
        store.put("a", &[1; 1_000_000]).unwrap();
        let file = ByteFile::of(Arc::new(store.clone()), "a", Path::new("a")).unwrap().unwrap();
        file.read_exact_at(&mut [0; 8], 500_000).unwrap();
        file.read_exact_at(&mut [0; 8], 999_000).unwrap();
        store.delete("a").unwrap();
        for offset in [500_000, 600_000, 760_000, 990_000, 999_992] {
            file.read_exact_at(&mut [0; 8], offset).unwrap();
        }
        assert!(file.read_exact_at(&mut [0; 8], 100).is_err());
    }
}
