//! OME-Zarr metadata: pyramids, axes, units, channels, and how these are shown.

mod read;
mod windows;
mod write;

pub(crate) use read::{Multiscale, multiscale};
pub(crate) use windows::Windows;
pub(crate) use write::{attributes, can_describe};
