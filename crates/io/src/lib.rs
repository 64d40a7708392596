//! Chunk I/O of voxtile: Zarr, TIFF, NumPy files, pictures and raw voxels, read and written chunk by chunk.
//!
//! [`open`] gives a [`Source`](voxtile_sched::contract::Source), [`OutputOptions::create`] a
//! [`Sink`](voxtile_sched::contract::Sink). The crate moves and codes voxels; it computes nothing.

// A damaged chunk carries its region, for the message; errors are rare.
#![allow(clippy::result_large_err)]

mod bytes;
mod codec;
pub mod contract;
mod error;
mod flat;
mod foreign;
#[doc(hidden)]
pub mod fuzzing;
mod info;
mod jpeg;
mod location;
mod memory;
mod native;
mod npy;
mod ome;
mod order;
mod output;
mod picture;
mod planes;
pub mod plate;
mod remote;
mod replaced;
mod scratch;
mod spill;
pub mod survey;
mod table;
mod tiff;
mod whole;
mod work;
mod zarr;

pub use bytes::{
    ByteRange, ByteStore, ByteWriter, Coming, FaultCounts, FaultStore, Faults, Fetched, Inventory,
    LocalStore, MemoryStore, Wanted,
};
pub use codec::{BadCodec, CODEC_FORMS, Chroma, Codec, Shuffle};
pub use error::{Damage, Feature, IoError, RemoteProblem};
pub use flat::{BadRawType, RawOptions, RawType};
pub use info::{AssociatedImage, Info, LevelInfo, OpenOptions, Opened, open, open_in, store_at};
pub use location::{Scheme, Url};
pub use memory::{MemoryError, MemorySink, MemorySource};
pub use ome::about::About;
pub use ome::rules::OmeVersion;
pub use order::AxisOrder;
pub use output::{Format, OutputOptions, check_apart, is_unfinished};
pub use planes::names_planes;
pub use remote::{Remote, Traffic};
pub use replaced::Placed;
pub use scratch::Buffer;
pub use spill::SpillDir;
pub use table::{TableFormat, TableOptions};
pub use tiff::{KeepJpeg, Kept};
pub use whole::WholeFile;
pub use work::{Difference, Durability, Header, RemoteWork, Standing, Work, WorkOptions};
#[doc(hidden)]
pub use zarr::beside;
pub use zarr::{Copied, Hierarchy, Way};
