//! What the others implement: operations, stores, and passes over a whole image.

mod components;
mod op;
mod passes;
mod store;

pub use components::{Components, Joining, Joins, Numbers};
pub use op::{Footprint, Op, Pass, Refused};
pub use passes::{Fold, Global, Merge, Merger, Part, Propagate, Resolution, Resolved, Statistic};
pub use store::{Fetch, Heap, Layout, Place, Sink, Source, Spill, SpillStore, StoreError};
