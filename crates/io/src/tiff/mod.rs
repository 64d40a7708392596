//! TIFF and BigTIFF: tiles and strips read by byte range and decoded here; tiled files written.
//!
//! `ifd` reads the directories, `page` what one of them says and `cut` how it lies there; `series` (with `imagej`,
//! `omexml`, `micromanager`, `stk` and `slides`) finds which pages of which `files` make an image; `source` reads it with
//! `decode`, the codecs (`lzw`, `jpeg`, `jpeg2000`, `packed`), `samples` and `split`; `look` makes
//! colours of what is stored otherwise. `sink` writes with `encode`,
//! `pages` and `directory`; `keep` copies tiles of JPEG as they are.

mod cut;
mod decode;
mod directory;
mod encode;
mod files;
mod ifd;
mod imagej;
mod jpeg;
mod jpeg2000;
mod keep;
mod look;
mod lzw;
mod micromanager;
mod omexml;
mod open;
mod packed;
mod page;
mod pages;
mod reread;
mod samples;
mod series;
mod sink;
mod slides;
mod source;
mod split;
mod stk;
#[cfg(test)]
mod tests;
pub(crate) mod units;

pub use keep::{KeepJpeg, Kept};
pub(crate) use open::open;
pub(crate) use sink::{TiffSink, layout};
pub(crate) use split::split;

use voxtile_sched::model::Channel;

/// What the samples of colour pixels are called; by this a sink knows them again.
pub(crate) fn rgb_channels() -> [Channel; 3] {
    [("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF")]
        .map(|(name, color)| Channel { name: Some(name.to_owned()), color: Some(color.to_owned()) })
}
