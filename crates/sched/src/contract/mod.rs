//! What the others implement: operations, stores, and passes over a whole image.

mod op;
mod passes;
mod store;

pub use op::{Footprint, Op, Pass, Refused};
pub use passes::{Fold, Global, Merge, Merger, Part, Placed, Propagate, Resolution, Resolved, Statistic};
pub use store::{Fetch, Layout, Place, Sink, Source, Spill, SpillStore, StoreError};
