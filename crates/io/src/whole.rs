//! Small files that are written at once: tables, pictures.

use crate::bytes::LocalStore;
use crate::{IoError, Url, Work};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is written whole or not at all.
#[derive(Clone, Debug)]
pub struct WholeFile {
    path: PathBuf,
    overwrite: bool,
}

impl WholeFile {
    /// A file at `path`; `overwrite` replaces one that exists, otherwise it is refused.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, overwrite: bool) -> Self {
        Self { path: path.into(), overwrite }
    }

    /// Where it goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file that exists is replaced.
    pub(crate) fn overwrites(&self) -> bool {
        self.overwrite
    }

    /// Refuses what could not be written, before anything is computed.
    ///
    /// # Errors
    /// The file exists, or its directory does not.
    pub fn check(&self) -> Result<(), IoError> {
        if let Some(url) = Url::of(&self.path)? {
            let why = format!("`{url}` is not on this disk; only Zarr is written elsewhere");
            return Err(IoError::Option { option: "OUTPUT", why });
        }
        if self.path.is_dir() || (self.path.exists() && !self.overwrite) {
            return Err(IoError::Exists { path: self.path.clone() });
        }
        let (dir, _) = self.place();
        if !dir.is_dir() {
            return Err(IoError::Missing { path: dir });
        }
        Ok(())
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of [`check`](Self::check) and of the system.
    pub fn write(&self, bytes: &[u8]) -> Result<(), IoError> {
        self.write_of(bytes, None)
    }

    /// As [`write`](Self::write), for a run: as safe as it says, and on its way in its directory, if that is beside.
    pub(crate) fn write_of(&self, bytes: &[u8], work: Option<&Arc<Work>>) -> Result<(), IoError> {
        self.check()?;
        let (dir, name) = self.place();
        let file = match work {
            Some(work) if work.output() == self.path => {
                LocalStore::of_run(dir, work.clone()).create(&name)?
            }
            // Another place may be on another disk.
            Some(work) => LocalStore::new(dir).create(&name)?.of(work),
            None => LocalStore::new(dir).create(&name)?,
        };
        file.write_at(bytes, 0)?;
        file.finish()
    }

    fn place(&self) -> (PathBuf, String) {
        let dir = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let name = self.path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        (dir.unwrap_or(Path::new(".")).to_path_buf(), name)
    }
}
