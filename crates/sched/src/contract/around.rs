//! Stores that do something besides around another, which does the rest.

use super::store::{Layout, Place, Sink, StoreError};
use crate::model::{Meta, Tile, TileMut};
use std::sync::Arc;

/// A sink around another, and what it does in another way.
pub trait AroundSink: Send + Sync {
    /// The other one.
    fn inner(&self) -> &dyn Sink;

    /// As [`Sink::write`].
    ///
    /// # Errors
    /// The store's own error.
    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        self.inner().write(place, data)
    }

    /// As [`Sink::finish`].
    ///
    /// # Errors
    /// The store's own error.
    fn finish(&self) -> Result<(), StoreError> {
        self.inner().finish()
    }

    /// As [`Sink::abort`].
    fn abort(&self) {
        self.inner().abort();
    }

    /// As [`Sink::leave`].
    fn leave(&self) {
        self.inner().leave();
    }
}

impl<T: AroundSink> Sink for T {
    fn meta(&self) -> &Meta {
        self.inner().meta()
    }

    fn layout(&self) -> &Layout {
        self.inner().layout()
    }

    fn name(&self) -> String {
        self.inner().name()
    }

    fn write(&self, place: Place, data: &Tile<'_>) -> Result<u64, StoreError> {
        AroundSink::write(self, place, data)
    }

    fn levels(&self) -> &[Arc<dyn Sink>] {
        self.inner().levels()
    }

    fn finish(&self) -> Result<(), StoreError> {
        AroundSink::finish(self)
    }

    fn abort(&self) {
        AroundSink::abort(self);
    }

    fn holds(&self, place: Place) -> bool {
        self.inner().holds(place)
    }

    fn reread(&self, place: Place, out: TileMut<'_>) -> Result<u64, StoreError> {
        self.inner().reread(place, out)
    }

    fn leave(&self) {
        AroundSink::leave(self);
    }
}
