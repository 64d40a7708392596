//! Where voxels come from and go to, chunk by chunk.

use crate::model::{Meta, Shape, Tile, TileMut};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An error of a store. The store's own enum travels inside; the application downcasts it to choose a hint.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// How a source wants a chunk's encoded bytes to be brought.
pub enum Fetch<'a> {
    /// [`Source::read`] does it on the worker: right for local files, where waiting is short.
    InWorker,
    /// Await this, then hand the bytes to [`Source::read`]: right for object stores.
    Wait(Pin<Box<dyn Future<Output = Result<Vec<u8>, StoreError>> + Send + 'a>>),
}

/// An image that can be read in chunks. Every source passes the suite in `voxtile_io::contract`.
pub trait Source: Send + Sync {
    /// Shape, axes, sample type, physical size.
    fn meta(&self) -> &Meta;

    /// Shape of the unit that is decoded at once; chunks at the far edges are ragged.
    fn chunk(&self) -> Shape;

    /// How it is named in messages.
    fn name(&self) -> String;

    /// Bytes that one [`read`](Self::read) needs on top of its output (encoded bytes, codec contexts).
    fn scratch(&self) -> u64;

    /// Bytes that the source holds as long as it lives, where they grow with the image: tables of where its chunks lie.
    fn held(&self) -> u64 {
        0
    }

    /// Tells which chunks are fetched next, each once, because a tile needs them together: a source may bring several
    /// of them at once.
    fn expect(&self, _indices: &[Shape]) {}

    /// Most bytes that what was [fetched](Self::fetch) of one chunk holds until it is read; 0 for sources that do not wait.
    fn fetched(&self) -> u64 {
        0
    }

    /// How the encoded bytes of a chunk are brought.
    fn fetch(&self, _index: &Shape) -> Fetch<'_> {
        Fetch::InWorker
    }

    /// Decodes chunk `index` into `out`: contiguous, of the shape of the chunk's part inside the image. `fetched`
    /// holds what [`fetch`](Self::fetch) returned, if it waited. Runs on a worker; any number at once.
    /// Returns the encoded bytes that were read.
    ///
    /// # Errors
    /// The store's own error, which names the chunk.
    fn read(&self, index: &Shape, fetched: Option<Vec<u8>>, out: TileMut<'_>) -> Result<u64, StoreError>;

    /// Estimated nanoseconds per voxel to decode on one core, for the cost model.
    fn ns_per_voxel(&self) -> f64 {
        0.7
    }
}

/// How a sink is cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Shape of the unit that is encoded at once.
    pub chunk: Shape,
    /// Shape of the unit that lies in one object, if that holds several chunks; a multiple of `chunk`.
    pub shard: Option<Shape>,
    /// Bytes that one [`Sink::write`] needs on top of its input.
    pub scratch: u64,
    /// Estimated nanoseconds per voxel to encode on one core, for the cost model.
    pub ns_per_voxel: f64,
}

/// Which chunk is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Chunk index.
    pub index: Shape,
    /// Position of the chunk among the chunks of its shard, counted from 0 in the order of the plan; where there are no
    /// shards, among the chunks of the image and all its levels. Sinks that append keep this order, so files do not depend on thread timing.
    pub order: u64,
}

/// An image that can be written in chunks. Each chunk is written exactly once. One that wraps another is an
/// [`AroundSink`](super::AroundSink).
pub trait Sink: Send + Sync {
    /// Shape, axes, sample type, physical size.
    fn meta(&self) -> &Meta;

    /// How it is cut.
    fn layout(&self) -> &Layout;

    /// How it is named in messages.
    fn name(&self) -> String;

    /// Encodes and stores one chunk; `data` is its part inside the image, perhaps strided. Runs on a worker; any
    /// number at once. Returns the encoded bytes written.
    ///
    /// # Errors
    /// The store's own error, which names the chunk.
    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError>;

    /// Smaller versions of the image that are written in the same pass, the largest first: each is made of the one
    /// before. They are completed and removed with this image, not by themselves.
    fn levels(&self) -> &[Arc<dyn Sink>] {
        &[]
    }

    /// Makes the output complete: called once, after the last chunk.
    ///
    /// # Errors
    /// The store's own error.
    fn finish(&self) -> Result<(), StoreError>;

    /// Removes what an unfinished run left. Called once, instead of [`finish`](Self::finish).
    fn abort(&self);

    /// Whether a chunk is here that an earlier run wrote and noted as done. Where chunks are appended in order, what lies
    /// beyond the first one that is missing is not.
    fn holds(&self, _place: Place) -> bool {
        false
    }

    /// Fills `out` with a chunk that the sink [holds](Self::holds).
    ///
    /// # Errors
    /// The store's own error.
    fn reread(&self, _place: Place, _out: TileMut<'_>) -> Result<u64, StoreError> {
        unreachable!("only asked of sinks that hold chunks")
    }

    /// Leaves what is there for a later run of the same plan. Called once, instead of [`finish`](Self::finish) and
    /// [`abort`](Self::abort).
    fn leave(&self) {
        self.abort();
    }
}

/// The two ends of one temporary store.
pub type SpillStore = (Arc<dyn Sink>, Arc<dyn Source>);

/// Bytes put aside during a stage, each piece read back from where it was kept.
pub trait Heap: Send + Sync {
    /// Keeps a piece; answers where.
    ///
    /// # Errors
    /// The store's own error.
    fn keep(&self, bytes: &[u8]) -> Result<u64, StoreError>;

    /// Fills `out` with what was kept at `at`.
    ///
    /// # Errors
    /// The store's own error.
    fn read(&self, at: u64, out: &mut [u8]) -> Result<(), StoreError>;
}

/// Makes stores for what a plan keeps between two stages, or within one.
pub trait Spill: Send + Sync {
    /// A new store of that shape and chunk, written through the first and read through the second; its space is
    /// freed when the last of both is dropped. Unlike an output, its chunks may be read before `finish` and written
    /// again: a read that starts after a write sees it.
    ///
    /// # Errors
    /// The store's own error.
    fn create(&self, meta: &Meta, chunk: Shape) -> Result<SpillStore, StoreError>;

    /// A new heap; its space is freed when it is dropped.
    ///
    /// # Errors
    /// The store's own error.
    fn heap(&self) -> Result<Arc<dyn Heap>, StoreError>;
}
