//! Why operations have no kernels: the clauses that a plan shows. `ops/mod.rs` has a test that lists who says which.

/// A recursive filter.
pub(crate) const RECURSIVE: &str = "each voxel of a line follows from the one before it";
/// Objects by the values of their voxels.
pub(crate) const VALUES: &str = "objects are found by their values, in hash tables";
/// Components whose neighbours must be of one value.
pub(crate) const JOINED: &str = "components of several values are joined from the voxels";
/// A table that sums up objects or channels.
pub(crate) const TABLE: &str = "exact sums of more than 64 bits are kept for each object and channel";
/// The nearest of all objects around.
pub(crate) const NEAREST: &str = "the nearest object is found line by line, with a list for each";
/// Where objects end, for their measurements.
pub(crate) const OUTLINE: &str = "outlines are of objects that are measured on the CPU";
/// A median of floats along an axis.
pub(crate) const ZEROS: &str = "which of the zeros of both signs is the median of floats is the CPU's choice";
