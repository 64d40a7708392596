//! Zarr v2 and v3, with OME-Zarr metadata where there are any.

mod ahead;
mod blosc;
mod chain;
mod convert;
mod describe;
mod encode;
mod fault;
mod fill;
mod foreign;
mod hierarchy;
pub(crate) mod listing;
mod metadata;
pub(crate) mod node;
mod open;
mod reread;
mod shard;
mod sink;
mod slab;
mod source;
mod step;
pub(crate) mod survey;
#[cfg(test)]
mod tests;

pub(crate) use blosc::Zstd;
pub use blosc::beside;
pub(crate) use encode::zstd_context;
pub use hierarchy::{Copied, Hierarchy, Way};
pub(crate) use open::{ROOT, find, is_unfinished, looks_like, open, open_in};
pub(crate) use sink::{ZarrSink, layout};
