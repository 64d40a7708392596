//! Zarr v2 and v3, with OME-Zarr metadata where there are any.

mod blosc;
mod chain;
mod describe;
mod encode;
mod fault;
mod fill;
mod foreign;
mod metadata;
mod open;
mod reread;
mod shard;
mod sink;
mod slab;
mod source;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use encode::zstd_context;
pub(crate) use open::{is_unfinished, looks_like, open, open_in};
pub(crate) use sink::{ZarrSink, layout};
