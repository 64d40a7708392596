//! Images that are changed while they are read: what is made of them is of no one image, and is not completed.

use crate::identity;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{Difference, Inventory, IoError, OpenOptions, Remote};
use voxtile_sched::contract::{AroundSink, Sink, StoreError};

/// An image that is being read, as its files or objects were before.
#[derive(Clone)]
pub(crate) struct Watched {
    image: PathBuf,
    part: Option<String>,
    remote: Remote,
    pub(crate) files: Inventory,
}

impl Watched {
    pub(crate) fn new(image: &Path, options: &OpenOptions) -> Result<Self, IoError> {
        let (image, part, remote) = (image.to_path_buf(), options.array.clone(), options.remote.clone());
        Ok(Self { files: identity::files(&image, part.as_deref(), &remote)?, image, part, remote })
    }

    /// Refuses files that are not what they were.
    pub(crate) fn check(&self) -> Result<(), IoError> {
        let now = match identity::files(&self.image, self.part.as_deref(), &self.remote) {
            Ok(now) => now,
            Err(IoError::Missing { path }) => return Err(self.changed(path, Vec::new())),
            Err(error) => return Err(error),
        };
        let was = &self.files;
        if (now.count, now.bytes, now.newest, now.sum) == (was.count, was.bytes, was.newest, was.sum) {
            return Ok(());
        }
        let numbers = [("files", was.count, now.count), ("bytes", was.bytes, now.bytes)];
        let differ = numbers.iter().filter(|(_, was, is)| was != is);
        let what = differ.map(|&(what, was, is)| Difference {
            what: what.to_owned(),
            was: was.to_string(),
            is: is.to_string(),
        });
        // Of what is gone, only where it was is known.
        let file = if now.newest > was.newest { PathBuf::from(&now.last) } else { self.image.clone() };
        Err(self.changed(file, what.collect()))
    }

    fn changed(&self, file: PathBuf, what: Vec<Difference>) -> IoError {
        IoError::Changed { image: self.image.clone(), file, what }
    }
}

/// A sink that is completed only where the input is still what it was.
pub(crate) struct OfUnchanged {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) input: Watched,
}

impl AroundSink for OfUnchanged {
    fn inner(&self) -> &dyn Sink {
        &*self.sink
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.input.check()?;
        self.sink.finish()
    }
}
