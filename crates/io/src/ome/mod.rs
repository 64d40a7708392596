//! OME-Zarr metadata: pyramids, axes, units, channels, the rules they follow, and how channels are shown.

pub(crate) mod about;
mod colors;
mod read;
pub(crate) mod rules;
mod windows;
mod write;

pub(crate) use colors::Largest;
pub(crate) use read::{Multiscale, multiscale};
pub(crate) use windows::Windows;
pub(crate) use write::{Shown, attributes, can_describe};
