//! What crosses tile borders in voxtile.
//!
//! Tiles are worked alone; whatever touches a tile's face is joined here, when all tiles have been seen. The crate
//! knows neither pixels nor files.

mod components;
mod union_find;

pub use components::components;
pub use union_find::{Member, Sets};
