//! Files below a directory.

use super::{ByteRange, ByteStore, ByteWriter, check_limit};
use crate::{Buffer, Durability, IoError, Work};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files that this process has begun.
static CREATED: AtomicU64 = AtomicU64::new(0);

/// Files below a directory, which is there while it holds something.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
    /// The run that writes: what is on its way lies in its directory, and is as safe as it says.
    work: Option<Arc<Work>>,
}

impl LocalStore {
    /// The files below `root`, which need not exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), work: None }
    }

    /// The files below `root` that a run writes.
    pub(crate) fn of_run(root: impl Into<PathBuf>, work: Arc<Work>) -> Self {
        Self { root: root.into(), work: Some(work) }
    }

    /// The file of a key.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }

    /// Starts a file that appears under its key when it is complete, and is written in any order.
    pub(crate) fn create(&self, key: &str) -> Result<Unfinished, IoError> {
        let path = self.path(key);
        let temporary = match &self.work {
            Some(work) => work.temporary(),
            None => {
                let mut name = path.clone().into_os_string();
                // Of this call alone, and never a file that was there: neither two runs nor two threads write into one.
                let number = CREATED.fetch_add(1, Ordering::Relaxed);
                name.push(format!(".{}.{number}.tmp", std::process::id()));
                PathBuf::from(name)
            }
        };
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
        let durability = self.work.as_ref().map_or(Durability::None, |work| work.durability());
        Ok(Unfinished { file, temporary, path, end: 0, durability, done: false })
    }

    /// Removes the directories above a path that are empty now, up to the root.
    fn tidy(&self, path: &Path) {
        for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.root)) {
            if std::fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// A file on its way. Dropped before [`finish`](Self::finish), it is removed.
pub(crate) struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    /// End of what was appended.
    end: u64,
    durability: Durability,
    done: bool,
}

impl Unfinished {
    /// The file of a run that has its own place: as safe as the run says.
    pub(crate) fn of(mut self, work: &Work) -> Self {
        self.durability = work.durability();
        self
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), IoError> {
        self.file.write_all_at(bytes, offset).map_err(IoError::io("write", &self.path))
    }

    pub(crate) fn finish(mut self) -> Result<(), IoError> {
        self.make_safe()?;
        self.in_place(|from, to| std::fs::rename(from, to)).map_err(IoError::io("create", &self.path))?;
        self.done = true;
        self.make_name_safe()
    }

    /// Gives the file its name, whose directory may be missing.
    fn in_place(&self, name: impl Fn(&Path, &Path) -> std::io::Result<()>) -> std::io::Result<()> {
        match name(&self.temporary, &self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(self.directory())?;
                name(&self.temporary, &self.path)
            }
            other => other,
        }
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn make_safe(&self) -> Result<(), IoError> {
        match self.durability {
            Durability::None => Ok(()),
            _ => self.file.sync_data().map_err(IoError::io("write", &self.path)),
        }
    }

    fn make_name_safe(&self) -> Result<(), IoError> {
        if self.durability != Durability::Full {
            return Ok(());
        }
        let dir = self.directory();
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(IoError::io("write", dir))
    }

    /// Gives the file its name, unless there is one of that name.
    fn finish_new(self) -> Result<bool, IoError> {
        self.make_safe()?;
        match self.in_place(|from, to| std::fs::hard_link(from, to)) {
            Ok(()) => self.make_name_safe().map(|()| true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links.
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                match OpenOptions::new().write(true).create_new(true).open(&self.path) {
                    Ok(_) => self.finish().map(|()| true),
                    Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
                    Err(e) => Err(IoError::io("create", &self.path)(e)),
                }
            }
            Err(e) => Err(IoError::io("create", &self.path)(e)),
        }
    }
}

impl ByteWriter for Unfinished {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.write_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), IoError> {
        self.finish()
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
        let (offset, len) = range.of(meta.len());
        check_limit(&path, len, limit)?;
        let got = read_at(&file, into.bytes(len as usize)?, offset).map_err(IoError::io("read", path))?;
        Ok(Some(got))
    }

    fn file(&self, key: &str) -> Result<Option<File>, IoError> {
        let path = self.path(key);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(IoError::io("read", path)(e)),
        }
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

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), IoError> {
        let file = self.create(key)?;
        file.write_at(bytes, 0)?;
        file.finish()
    }

    fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, IoError> {
        let file = self.create(key)?;
        file.write_at(bytes, 0)?;
        file.finish_new()
    }

    fn begin(&self, key: &str) -> Result<Box<dyn ByteWriter>, IoError> {
        Ok(Box::new(self.create(key)?))
    }

    fn delete(&self, key: &str) -> Result<(), IoError> {
        let path = self.path(key);
        match std::fs::remove_file(&path) {
            Ok(()) => self.tidy(&path),
            Err(e) if is_absent(&e) || path.is_dir() => {}
            Err(e) => return Err(IoError::io("remove", path)(e)),
        }
        Ok(())
    }

    fn delete_prefix(&self, prefix: &str) -> Result<(), IoError> {
        let path = self.path(prefix);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(e) => Err(e),
        };
        match removed {
            Ok(()) => self.tidy(&path),
            Err(e) if is_absent(&e) => {}
            Err(e) => return Err(IoError::io("remove", path)(e)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        store.put("a/b", b"x").unwrap();
        for key in ["a", "a/c", "a/b/c"] {
            assert!(store.get(key, 10).unwrap().is_none(), "{key}");
            assert_eq!(store.size(key).unwrap(), None, "{key}");
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::new(dir.path());
        let file = store.create("a").unwrap();
        file.write_at(b"half", 0).unwrap();
        drop(file);
        assert!(store.list("").unwrap().is_empty());
    }

    #[test]
    fn deleting_spares_what_lies_beside() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), "").unwrap();
        let store = LocalStore::new(dir.path().join("a"));
        store.put("b/c", b"x").unwrap();
        store.delete("b/c").unwrap();
        assert!(!dir.path().join("a").exists() && dir.path().join("mine").exists());
    }
}
