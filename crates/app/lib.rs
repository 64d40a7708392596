//! Process images larger than memory, tile by tile, with the same bits as the whole image at once.
//!
//! [`Pipeline`] is the way in: it opens an image (Zarr or TIFF, or an array in memory), appends steps, and runs them
//! within a memory budget. The result does not depend on tiles, workers or memory.
//!
//! ```no_run
//! use voxtile::Pipeline;
//!
//! Pipeline::open("in.zarr")?.gaussian(2.0).threshold(900.0).write("out.zarr")?.run()?;
//! # Ok::<(), voxtile::Error>(())
//! ```
//!
//! A [`Recipe`] is the same as text, as the command line takes it. [`op`] has what an operation of your own needs.

// A damaged chunk carries its region, for the message; errors are rare.
#![allow(clippy::result_large_err)]

mod damage;
mod device;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod images;
mod labels;
mod output;
mod pipeline;
mod pyramid;
mod recipe;
mod screen;
mod watched;

pub mod error;
pub mod machine;
pub mod made;
pub mod op;

pub use damage::OnDamage;
pub use device::{Device, Gpus};
pub use error::Error;
pub use images::Images;
pub use made::{Made, MadeOf, MadeOfFiles};
pub use output::Output;
pub use pipeline::{Pipeline, Plan, Value};
pub use pyramid::{Pyramid, Reduction};
pub use recipe::Recipe;
pub use screen::Screen;
pub use voxtile_io::{
    AxisOrder, Codec, Durability, Info, OmeVersion, OpenOptions, RawOptions, RawType, Remote, Traffic,
};
pub use voxtile_sched::contract::{Column, Table, Values};
pub use voxtile_sched::engine::{Cancel, DamagedChunk, DeviceTimes, Progress, Report, Summary, Workshop};
