//! An operation: what it makes, how far it reads, and its arithmetic on one tile.

use super::device::Kernels;
use super::passes::{Fold, Global, Merge, Placed, Propagate, Tally};
use crate::model::{AxisSet, Border, Dtype, Halo, Meta, NDIM, PerAxis, Region, Shape, Tile, TileMut};

/// Why an operation refuses its inputs; found while planning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The operation does not take this sample type.
    #[error("does not take {dtype} images: {why}")]
    Dtype {
        /// What it was given.
        dtype: Dtype,
        /// What it takes instead.
        why: String,
    },
    /// Inputs of different shapes.
    #[error("needs inputs of one shape, got {first:?} and {second:?}")]
    Shapes {
        /// Shape of the first input.
        first: Vec<u64>,
        /// Shape of the one that differs.
        second: Vec<u64>,
    },
    /// The image lacks an axis that the operation works along.
    #[error("needs axis {axis}; the image has {axes}")]
    Axis {
        /// The missing axis.
        axis: crate::model::Axis,
        /// The axes that exist.
        axes: AxisSet,
    },
    /// An input is a table.
    #[error("needs an image, and `{step}` makes a table: it must come last")]
    Table {
        /// The step that makes it.
        step: String,
    },
    /// A parameter does not fit this image.
    #[error("{param}: {why}")]
    Param {
        /// Name of the parameter.
        param: &'static str,
        /// The numbers that disagree.
        why: String,
    },
}

/// How far an operation reads to produce a region of its output. Exact: neither too small nor too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footprint {
    /// The voxel itself.
    Point,
    /// A neighbourhood; voxels beyond the image are answered by the border rule.
    Halo(Halo),
    /// A grid of another size: output voxel `o` reads inputs from `floor(o · num / den) + offset` up to the next
    /// output voxel's, grown by `halo`. What lies beyond the image is left out; answered by the border rule, if there is a
    /// halo.
    Scale {
        /// Input voxels per `den` output voxels.
        num: PerAxis<u64>,
        /// Not 0.
        den: PerAxis<u64>,
        /// Input coordinate of the output's first voxel.
        offset: PerAxis<i64>,
        /// Reach beyond.
        halo: Halo,
    },
    /// The whole extent of these axes, and the voxel itself along the others.
    Along(AxisSet),
    /// Another place or another grid: the region that [`Op::reads`] names.
    Mapped {
        /// Whether the border rule answers voxels beyond the image; the region lies inside it otherwise.
        padded: bool,
    },
}

impl Footprint {
    /// A neighbourhood of the same radius on both sides.
    #[must_use]
    pub const fn radius(radius: PerAxis<u64>) -> Self {
        Self::Halo(Halo::symmetric(radius))
    }

    /// The input shifted: output voxel `o` reads input voxel `o + offset`.
    #[must_use]
    pub const fn shift(offset: PerAxis<i64>) -> Self {
        Self::Scale { num: [1; NDIM], den: [1; NDIM], offset, halo: Halo::NONE }
    }

    /// Blocks of `factor` input voxels per output voxel.
    #[must_use]
    pub const fn blocks(factor: PerAxis<u64>) -> Self {
        Self::Scale { num: factor, den: [1; NDIM], offset: [0; NDIM], halo: Halo::NONE }
    }

    /// Whether voxels beyond the image are answered by the border rule.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        match self {
            Self::Halo(halo) | Self::Scale { halo, .. } => !halo.is_none(),
            Self::Mapped { padded } => *padded,
            Self::Point | Self::Along(_) => false,
        }
    }

    /// The region of an input of shape `input` that the output region `out` reads. With a halo it may reach outside the
    /// image; otherwise it is clipped. Callers ask [`Op::reads`].
    fn reads(&self, out: &Region, input: &Shape) -> Region {
        match self {
            Self::Point => *out,
            Self::Halo(halo) => {
                if out.is_empty() {
                    *out
                } else {
                    out.grow(halo)
                }
            }
            Self::Scale { num, den, offset, halo } => {
                if out.is_empty() {
                    return Region::new([0; NDIM], [0; NDIM]);
                }
                let start: PerAxis<i64> = std::array::from_fn(|a| {
                    (out.start[a] * num[a] as i64).div_euclid(den[a] as i64) + offset[a]
                });
                let shape = std::array::from_fn(|a| {
                    let end = out.end(a) * num[a] as i64;
                    let end = -(-end).div_euclid(den[a] as i64) + offset[a];
                    (end - start[a]).max(0) as u64
                });
                let region = Region::new(start, shape);
                if halo.is_none() { region.clip(input) } else { region.grow(halo) }
            }
            Self::Along(axes) => {
                let mut r = *out;
                for a in axes.iter() {
                    r = r.with_axis(a, 0, input[a.index()]);
                }
                r
            }
            Self::Mapped { .. } => unreachable!("an operation that maps says itself what it reads"),
        }
    }
}

/// How an operation meets the whole image.
pub enum Pass<'a> {
    /// Tile by tile, through [`Op::cpu`] alone.
    Local,
    /// Tile by tile, each told where it lies.
    Placed(&'a dyn Placed),
    /// A reduction along one axis, fed slab by slab so that no tile spans the axis.
    Fold(&'a dyn Fold),
    /// Needs a statistic of its whole input first, then becomes a local operation.
    Global(&'a dyn Global),
    /// Tiles are worked alone, joined across their faces, then written.
    Merge(&'a dyn Merge),
    /// Tiles are revisited until no border changes.
    Propagate(&'a dyn Propagate),
    /// Tiles are counted into a table; no image follows.
    Tally(&'a dyn Tally),
}

/// What the scheduler may ask of an operation. It asks nothing else.
pub trait Op: Send + Sync {
    /// Lower-case name in the CLI, in plans and in logs: `gaussian`.
    fn name(&self) -> &'static str;

    /// Shape, axes and sample type produced, or why these inputs are refused. Called while planning; the only
    /// place where an operation may refuse.
    ///
    /// # Errors
    /// [`Refused`] with the numbers that disagree.
    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused>;

    /// How far it reads its input number `input`. Exact: the harness fails an operation whose halo is too small
    /// *or* too large.
    fn footprint(&self, input: usize) -> Footprint;

    /// The region of input `input`, an image of shape `image`, from which the output region `out` is made. It follows
    /// from the footprint, except where that is [`Footprint::Mapped`]. It may reach outside the image only where the
    /// footprint is padded; an empty region means that this input is not needed.
    fn reads(&self, input: usize, out: &Region, image: &Shape) -> Region {
        self.footprint(input).reads(out, image)
    }

    /// What stands in for voxels beyond the image edge. The scheduler pads; kernels have no edge code.
    /// Only asked of operations with a padded footprint.
    fn border(&self) -> Border {
        Border::Reflect
    }

    /// Bytes needed on top of the input and output tiles, for an output tile of this shape.
    fn scratch(&self, _output: &Shape) -> u64 {
        0
    }

    /// Estimated nanoseconds per output voxel on one core, for the cost model; with [`Footprint::Mapped`] per voxel of
    /// the output or of what is read, whichever are more.
    fn ns_per_voxel(&self) -> f64;

    /// How it meets the whole image.
    fn pass(&self) -> Pass<'_> {
        Pass::Local
    }

    /// Fills one output tile. `inputs[i]` is the region that [`footprint`](Self::footprint)`(i)` names for it,
    /// padded by the border rule where a halo leaves the image. `scratch` has the bytes asked for, aligned to 64,
    /// with any content. Cannot fail. Only called where [`pass`](Self::pass) is [`Pass::Local`].
    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, scratch: &mut [u8]);

    /// Whether there are only [`kernels`](Self::kernels), and [`cpu`](Self::cpu) is never to be called.
    fn needs_device(&self) -> bool {
        false
    }

    /// The same arithmetic as kernels of a device, for inputs and an output of these types and an output tile of that
    /// shape, which is not empty; `None` if there are none. Whether there are, and what they are called, does not depend
    /// on the shape. Only asked where [`pass`](Self::pass) is [`Pass::Local`], and while planning where it is
    /// [`Pass::Global`]: those that the local operation will have, with any arguments. The other passes have kernels of
    /// their own.
    fn kernels(&self, _inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        None
    }

    /// Why there are no kernels of any pass, or none for the arguments: a clause for people.
    fn no_kernels(&self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_what_exists_at_the_ragged_edge() {
        let out = Region::new([0, 0, 0, 2, 0], [1, 1, 1, 1, 3]);
        let read = Footprint::blocks([1, 1, 1, 2, 2]).reads(&out, &[1, 1, 1, 5, 6]);
        assert_eq!(read, Region::new([0, 0, 0, 4, 0], [1, 1, 1, 1, 6]));
    }

    #[test]
    fn blocks_with_a_halo_read_beyond_the_image() {
        let halo = Halo::symmetric([0, 0, 0, 0, 2]);
        let scale = Footprint::Scale { num: [1, 1, 1, 1, 3], den: [1; 5], offset: [0; 5], halo };
        let read = scale.reads(&Region::new([0; 5], [1, 1, 1, 1, 3]), &[1, 1, 1, 1, 7]);
        assert_eq!((read.start[4], read.shape[4]), (-2, 13));
    }

    #[test]
    fn enlarging_reads_the_voxels_in_between() {
        let scale = Footprint::Scale { num: [1; 5], den: [1, 1, 1, 1, 3], offset: [0; 5], halo: Halo::NONE };
        let read = scale.reads(&Region::new([0, 0, 0, 0, 4], [1, 1, 1, 1, 3]), &[1, 1, 1, 1, 9]);
        assert_eq!((read.start[4], read.shape[4]), (1, 2));
    }
}
