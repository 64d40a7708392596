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
/// More images than a kernel takes: `device::IMAGES`.
pub(crate) const IMAGES: &str = "its kernel takes 4 images at most";
/// A formula that is too long, or of no image: `device::STEPS`, `device::NUMBERS`, `device::VALUES`.
pub(crate) const FORMULA: &str =
    "its kernel takes 1 to 4 images, and formulas of at most 64 operators, 24 numbers and 48 values";
/// Weights along an axis: `device::TAPS`, less the centre.
pub(crate) const WEIGHTS: &str = "its kernel has weights for 255 voxels to either side at most";
/// Weights of a window: `device::DISTANCES`.
pub(crate) const DISTANCES: &str = "its kernel has weights for 448 different distances at most";
/// A window that is no box: `device::ROWS`.
pub(crate) const WINDOW: &str = "its kernel takes windows of at most 896 rows, 255 voxels along each axis";
/// A block of many voxels: `device::MODE`.
pub(crate) const MODE: &str =
    "its kernel compares the voxels of a block with each other, and blocks of at most 4096";
/// Weights around blocks.
pub(crate) const AROUND: &str = "weights reach beyond the blocks that its kernels take";
/// Numbers for each channel: `device::CHANNELS`.
pub(crate) const CHANNELS: &str = "its kernel has numbers for 16 channels at most";
/// Peaks between voxels.
pub(crate) const REFINED: &str = "where a peak lies between voxels is found on the CPU";
/// Sums of floats along an axis.
pub(crate) const ORDER: &str = "sums of floats keep their order, which no parts of the axis have";
/// A median of floats along an axis.
pub(crate) const ZEROS: &str = "which of the zeros of both signs is the median of floats is the CPU's choice";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;

    #[test]
    fn the_limits_are_those_of_the_kernels() {
        let images = device::IMAGES;
        assert!(IMAGES.contains(&format!(" {images} images")));
        let (steps, numbers, values) = (device::STEPS, device::NUMBERS, device::VALUES);
        let formula = format!(
            "1 to {images} images, and formulas of at most {steps} operators, {numbers} numbers and {values} values"
        );
        assert!(FORMULA.contains(&formula));
        assert!(WEIGHTS.contains(&format!(" {} voxels", device::TAPS - 1)));
        assert!(DISTANCES.contains(&format!(" {} different", device::DISTANCES)));
        assert!(WINDOW.contains(&format!(" {} rows", device::ROWS)));
        assert!(MODE.ends_with(&format!(" {}", device::MODE)));
        assert!(CHANNELS.contains(&format!(" {} channels", device::CHANNELS)));
    }
}
