//! A file on its way that is written in any order. Where a journal is kept it stays for a later run.

use super::{Durability, Work};
use crate::IoError;
use crate::bytes::read_at;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file, under another name until it is complete.
pub(crate) struct Growing {
    file: Arc<File>,
    temporary: PathBuf,
    path: PathBuf,
    work: Option<Arc<Work>>,
    /// Whether an earlier run began it.
    there: bool,
    done: bool,
}

impl Growing {
    /// A file that will be at `path`. Without a journal it is removed when it is dropped before [`commit`](Self::commit).
    pub(crate) fn begin(path: &Path, work: Option<&Arc<Work>>) -> Result<Self, IoError> {
        let (temporary, there) = match work {
            Some(work) => {
                let temporary = work.path("image");
                let there = temporary.exists();
                (temporary, there)
            }
            None => {
                let mut name = OsString::from(path);
                // Of this process alone, and never a file that was there: two runs must not write into one.
                name.push(format!(".{}.tmp", std::process::id()));
                (PathBuf::from(name), false)
            }
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let options =
            if work.is_some() { options.create(true).truncate(false) } else { options.create_new(true) };
        let file = Arc::new(options.open(&temporary).map_err(IoError::io("create", &temporary))?);
        if let Some(work) = work {
            work.keep_safe(&file);
        }
        Ok(Self { file, temporary, path: path.to_path_buf(), work: work.cloned(), there, done: false })
    }

    /// Whether an earlier run began it.
    pub(crate) fn is_there(&self) -> bool {
        self.there
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), IoError> {
        self.file.write_all_at(bytes, offset).map_err(IoError::io("write", &self.path))
    }

    /// Reads what was written; how many bytes there are.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, IoError> {
        read_at(&self.file, into, offset).map_err(IoError::io("read", &self.temporary))
    }

    /// Makes the file that long; what is not written is zero.
    pub(crate) fn set_len(&self, len: u64) -> Result<(), IoError> {
        self.file.set_len(len).map_err(IoError::io("write", &self.path))
    }

    /// Gives the file its name.
    pub(crate) fn commit(mut self) -> Result<(), IoError> {
        if self.work.as_ref().is_some_and(|work| work.durability() != Durability::None) {
            self.file.sync_data().map_err(IoError::io("write", &self.path))?;
        }
        std::fs::rename(&self.temporary, &self.path).map_err(IoError::io("create", &self.path))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if !self.done && self.work.is_none() {
            // Nothing can be done about a temporary file that stays.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
