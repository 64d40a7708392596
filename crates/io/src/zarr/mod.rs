//! Zarr v2 and v3, with OME-Zarr metadata where there are any.

mod blosc;
mod chain;
mod describe;
mod encode;
mod fault;
mod fill;
mod foreign;
pub(crate) mod listing;
mod metadata;
pub(crate) mod node;
mod open;
mod shard;
mod sink;
mod slab;
mod source;
mod step;
pub(crate) mod survey;
#[cfg(test)]
mod tests;

pub(crate) use encode::zstd_context;
pub(crate) use open::{looks_like, open, open_in};
pub(crate) use sink::{ZarrSink, layout};
