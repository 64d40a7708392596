//! What is made in the place of something else: this stays, or comes back, until the new image is complete.

use crate::{ByteStore, IoError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_sched::contract::{AroundSink, Sink, StoreError};

/// Moves the image that is replaced out of the way, until the new one is complete.
pub(crate) fn set_aside(path: &Path) -> Result<Option<PathBuf>, IoError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".replaced-{}", std::process::id()));
    let old = path.with_file_name(name);
    match std::fs::rename(path, &old) {
        Ok(()) => Ok(Some(old)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(IoError::io("replace", path)(e)),
    }
}

/// A place where a Zarr is being made. Dropped before it is [finished](Self::finish), it holds again what it held; on the
/// network, nothing.
pub struct Placed {
    pub(crate) store: Arc<dyn ByteStore>,
    pub(crate) path: PathBuf,
    /// Where what was there is meanwhile.
    pub(crate) old: Option<PathBuf>,
    pub(crate) done: bool,
}

impl Placed {
    /// Where its objects go.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ByteStore> {
        &self.store
    }

    /// What was replaced goes.
    ///
    /// # Errors
    /// [`IoError::Io`].
    pub fn finish(mut self) -> Result<(), IoError> {
        self.done = true;
        match &self.old {
            Some(old) => std::fs::remove_dir_all(old).map_err(IoError::io("remove", old)),
            None => Ok(()),
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if !self.done {
            // Nothing can be done about what stays.
            let _ = self.store.delete_prefix("");
            if let Some(old) = &self.old {
                let _ = std::fs::rename(old, &self.path);
            }
        }
    }
}

/// A Zarr in the place of an older one, which comes back if this one is not completed, or stays until it is.
pub(crate) struct Replacing {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) path: PathBuf,
    /// Where the older one is, or will be for a moment.
    pub(crate) old: PathBuf,
    /// Where this one is until it is complete, if not at its place.
    pub(crate) new: Option<PathBuf>,
}

impl AroundSink for Replacing {
    fn inner(&self) -> &dyn Sink {
        &*self.sink
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.sink.finish()?;
        if let Some(new) = &self.new {
            match std::fs::rename(&self.path, &self.old) {
                Ok(()) => {}
                // A run that was killed between the two names.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(IoError::io("replace", &self.path)(e).into()),
            }
            std::fs::rename(new, &self.path).map_err(IoError::io("replace", &self.path))?;
            if !self.old.exists() {
                return Ok(());
            }
        }
        std::fs::remove_dir_all(&self.old).map_err(|e| IoError::io("remove", &self.old)(e).into())
    }

    fn abort(&self) {
        self.sink.abort();
        if self.new.is_none() {
            let _ = std::fs::rename(&self.old, &self.path);
        }
    }

    fn leave(&self) {
        if self.new.is_some() { self.sink.leave() } else { AroundSink::abort(self) }
    }
}
