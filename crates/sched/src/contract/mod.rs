//! What the others implement: operations, stores, and passes over a whole image.

mod around;
mod components;
pub mod device;
mod journal;
mod op;
mod passes;
mod store;
mod table;

pub use around::AroundSink;
pub use components::{Components, Joining, Joins, Numbers};
pub use device::{Device, DeviceError, Kernels, Stopped};
pub use journal::{Journal, Unit};
pub use op::{Footprint, Op, Pass, Refused};
pub use passes::{
    Fold, Global, Merge, Merger, Part, Placed, Propagate, Resolution, Resolved, Statistic, Tabled, Tabulator,
    Tally,
};
pub use store::{Fetch, Heap, Layout, Place, Sink, Source, Spill, SpillStore, StoreError};
pub use table::{Column, Table, Values};
