//! Images that are changed while they are read: what is made of them is of no one image, and is not completed.

use crate::identity::Files;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voxtile_io::{Difference, IoError, OpenOptions};
use voxtile_sched::contract::{Layout, Place, Sink, StoreError};
use voxtile_sched::model::{Meta, Tile, TileMut};

/// An image that is being read, as its files were before.
#[derive(Clone)]
pub(crate) struct Watched {
    image: PathBuf,
    part: Option<String>,
    pub(crate) files: Files,
}

impl Watched {
    pub(crate) fn new(image: &Path, options: &OpenOptions) -> Result<Self, IoError> {
        let (image, part) = (image.to_path_buf(), options.array.clone());
        Ok(Self { files: Files::of(&image, part.as_deref())?, image, part })
    }

    /// Refuses files that are not what they were.
    pub(crate) fn check(&self) -> Result<(), IoError> {
        let now = match Files::of(&self.image, self.part.as_deref()) {
            Ok(now) => now,
            Err(IoError::Missing { path }) => return Err(self.changed(path, Vec::new())),
            Err(error) => return Err(error),
        };
        let was = &self.files;
        if now.as_json() == was.as_json() {
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
        let file = if now.newest > was.newest { now.last.clone() } else { self.image.clone() };
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

impl Sink for OfUnchanged {
    fn meta(&self) -> &Meta {
        self.sink.meta()
    }

    fn layout(&self) -> &Layout {
        self.sink.layout()
    }

    fn name(&self) -> String {
        self.sink.name()
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        self.sink.write(place, data)
    }

    fn levels(&self) -> &[Arc<dyn Sink>] {
        self.sink.levels()
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.input.check()?;
        self.sink.finish()
    }

    fn abort(&self) {
        self.sink.abort();
    }

    fn holds(&self, place: Place) -> bool {
        self.sink.holds(place)
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        self.sink.reread(place, out)
    }

    fn leave(&self) {
        self.sink.leave();
    }
}
