//! Byte ranges of named objects, in the shape of an object store; local files now.

use crate::{Buffer, IoError};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

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

/// Named objects of bytes. Keys have no leading slash: `0/c/1/2`.
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

    /// Writes an object, whole or not at all.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError>;

    /// Names directly below a prefix (`""` is the root), sorted: of objects and of further prefixes alike.
    ///
    /// # Errors
    /// [`IoError::Io`].
    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError>;
}

/// Parts that are read at once.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    offset: u64,
    len: u64,
    parts: Vec<usize>,
}

fn coalesce(parts: &[(u64, u64)], gap: u64) -> Vec<Run> {
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

/// Files below a directory.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// The files below `root`, which need not exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The file of a key.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }

    /// Starts a file that appears under its key when it is complete.
    pub(crate) fn begin(&self, key: &str) -> Result<Unfinished, IoError> {
        let path = self.path(key);
        let mut temporary = path.clone().into_os_string();
        // Of this process alone, and never a file that was there: two runs must not write into one.
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let make = || OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = match make() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let parent = temporary.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(parent).map_err(IoError::io("create", parent))?;
                make()
            }
            other => other,
        };
        let file = file.map_err(IoError::io("create", &temporary))?;
        Ok(Unfinished { file, temporary, path, done: false })
    }
}

/// A file on its way. Dropped before [`commit`](Self::commit), it is removed.
pub(crate) struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    done: bool,
}

impl Unfinished {
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), IoError> {
        self.file.write_all_at(bytes, offset).map_err(IoError::io("write", &self.path))
    }

    /// Makes the file that long; what is not written is zero.
    pub(crate) fn set_len(&self, len: u64) -> Result<(), IoError> {
        self.file.set_len(len).map_err(IoError::io("write", &self.path))
    }

    pub(crate) fn commit(mut self) -> Result<(), IoError> {
        std::fs::rename(&self.temporary, &self.path).map_err(IoError::io("create", &self.path))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            // Nothing can be done about a temporary file that stays.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Whether the error says that there is no such file: a directory in its place counts, and so does a file in the
/// place of one of its directories.
fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// Reads at an offset until the buffer is full or the file ends.
pub(crate) fn read_at(file: &File, mut into: &mut [u8], mut offset: u64) -> std::io::Result<usize> {
    let whole = into.len();
    while !into.is_empty() {
        match file.read_at(into, offset) {
            Ok(0) => break,
            Ok(n) => {
                into = &mut into[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(whole - into.len())
}

impl ByteStore for LocalStore {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn size(&self, key: &str) -> Result<Option<u64>, IoError> {
        let path = self.path(key);
        match std::fs::metadata(&path) {
            Ok(m) => Ok(m.is_file().then_some(m.len())),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(IoError::io("read", path)(e)),
        }
    }

    fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        limit: u64,
        into: &mut Buffer,
    ) -> Result<Option<usize>, IoError> {
        let path = self.path(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(IoError::io("read", path)(e)),
        };
        let meta = file.metadata().map_err(IoError::io("read", &path))?;
        if !meta.is_file() {
            return Ok(None);
        }
        let size = meta.len();
        let (offset, len) = match range {
            ByteRange::Whole => (0, size),
            ByteRange::Part { offset, len } => (offset.min(size), len.min(size.saturating_sub(offset))),
            ByteRange::Last(len) => (size.saturating_sub(len), len.min(size)),
        };
        if len > limit {
            let source = std::io::Error::new(
                ErrorKind::FileTooLarge,
                format!("it has {len} bytes where at most {limit} are expected"),
            );
            return Err(IoError::Io { action: "read", path, source });
        }
        let got = read_at(&file, into.bytes(len as usize)?, offset).map_err(IoError::io("read", path))?;
        Ok(Some(got))
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        let file = self.begin(key)?;
        file.write_at(bytes, 0)?;
        file.commit()
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, IoError> {
        let path = self.path(prefix);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            Err(e) => return Err(IoError::io("read", path)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(IoError::io("read", &path))?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn parts_come_back_in_the_order_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        let bytes: Vec<u8> = (0..100).collect();
        store.put("a/b/c", &bytes).unwrap();
        assert_eq!(store.get("a/b/c", 100).unwrap().unwrap(), bytes);
        let parts = store.get_ranges("a/b/c", &[(90, 20), (0, 3), (4, 2)], 1).unwrap().unwrap();
        assert_eq!(parts, [bytes[90..].to_vec(), bytes[..3].to_vec(), bytes[4..6].to_vec()]);
        let mut buffer = Buffer::default();
        assert_eq!(store.get_range("a/b/c", ByteRange::Last(4), 4, &mut buffer).unwrap(), Some(4));
        assert_eq!(buffer.filled(4), &bytes[96..]);
        assert_eq!(store.list("a").unwrap(), ["b"]);
        assert_eq!(store.size("a/b/c").unwrap(), Some(100));
    }

    #[test]
    fn what_is_no_file_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        store.put("a/b", b"x").unwrap();
        for key in ["a", "a/c", "a/b/c"] {
            assert!(store.get(key, 10).unwrap().is_none(), "{key}");
            assert_eq!(store.size(key).unwrap(), None, "{key}");
        }
        assert!(store.list("z").unwrap().is_empty());
    }

    #[test]
    fn a_file_larger_than_expected_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        store.put("a", &[0; 11]).unwrap();
        assert!(matches!(store.get("a", 10), Err(IoError::Io { .. })));
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        let file = store.begin("a").unwrap();
        file.write_at(b"half", 0).unwrap();
        drop(file);
        assert!(store.list("").unwrap().is_empty());
    }
}
