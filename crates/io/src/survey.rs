//! What is in a Zarr, and what is wrong with its structure: metadata, the rules of OME-Zarr, levels, labels, plates.

pub use crate::ome::rules::{Breach, Rule};
pub use crate::zarr::survey::{Finding, StructureFault, Survey, Surveyed, labels, survey};
