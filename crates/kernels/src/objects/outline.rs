//! The boundary of objects: their voxels with a face neighbour that is not of the object. What lies outside the image is
//! of no object. In the plane, the pixels of the boundary and their neighbours in it tell how long its line is, as in
//! K. Benkrid, D. Crookes, "Design and FPGA implementation of a perimeter estimator", and `skimage.measure.perimeter`.
//!
//! Tables see voxels without their neighbours, so the boundary comes before them as an image of its own.

use super::differ;
use crate::device::why;
use crate::pointwise::{Sample, for_rows};
use voxtile_sched::contract::{Footprint, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Border, Dtype, Halo, Kind, Meta, Shape, Tile, TileMut, View};

/// What a voxel is: not at the boundary.
pub(super) const INNER: u8 = 0;
/// At the boundary; in the plane, of a line that goes nowhere. The next ones are of a line that goes straight on,
/// diagonally, or half and half.
pub(super) const BOUNDARY: u8 = 1;

/// Labels → an image of what each voxel is at the boundary of its object.
pub(crate) struct Outline {
    /// The space axes of the image.
    pub(crate) space: AxisSet,
}

impl Outline {
    /// Voxels around the tile whose place at the boundary matters: in the plane that of neighbours.
    fn margin(&self) -> usize {
        usize::from(self.space.len() == 2)
    }

    fn halo(&self) -> Halo {
        let reach = 1 + self.margin() as u64;
        Halo::symmetric(Axis::ALL.map(|axis| if self.space.contains(axis) { reach } else { 0 }))
    }

    /// Of each space axis, what it has around the tile of flags.
    fn margins(&self) -> [usize; 3] {
        [Axis::Z, Axis::Y, Axis::X].map(|axis| if self.space.contains(axis) { self.margin() } else { 0 })
    }
}

impl Op for Outline {
    fn name(&self) -> &'static str {
        "outline"
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        super::whole_numbers(&inputs[0])?;
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.halo())
    }

    fn border(&self) -> Border {
        Border::Constant(0.0)
    }

    /// A flag for each voxel at one t and c.
    fn scratch(&self, output: &Shape) -> u64 {
        (0..3).fold(1u64, |bytes, a| bytes.saturating_mul(output[a + 2] + 2 * self.margins()[a] as u64))
    }

    fn ns_per_voxel(&self) -> f64 {
        0.5
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::OUTLINE)
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let margin = self.margins();
        let [nt, nc, inner @ ..] = output.shape();
        let shape: [usize; 3] = std::array::from_fn(|a| inner[a] + 2 * margin[a]);
        let mut out = output.view::<u8>();
        let axes: Vec<usize> = self.space.iter().map(|axis| axis.index() - 2).collect();
        dispatch!(inputs[0].dtype(), T => {
            let around = inputs[0].view::<T>();
            for (t, c) in (0..nt * nc).map(|n| (n / nc, n % nc)) {
                let mut flags = Flags { axes: &axes, margin, shape, flags: scratch };
                flags.see(&around, t, c);
                for_rows([1, 1, inner[0], inner[1], 0], |_, _, z, y| {
                    flags.classify(&around, [t, c, z, y], out.row(t, c, z, y));
                });
            }
        });
    }
}

/// Which voxels at one t and c lie at the boundary of their objects, with a margin around the tile.
struct Flags<'a> {
    /// Which of z, y, x exist.
    axes: &'a [usize],
    margin: [usize; 3],
    shape: [usize; 3],
    flags: &'a mut [u8],
}

impl Flags<'_> {
    /// Looks at the labels, which have one voxel more around them along axes that exist.
    fn see<T: Sample>(&mut self, around: &View<'_, T>, t: usize, c: usize) {
        let [nz, ny, nx] = self.shape;
        let one: [usize; 3] = std::array::from_fn(|a| usize::from(self.axes.contains(&a)));
        self.flags.fill(INNER);
        for z in 0..nz {
            for y in 0..ny {
                let row = |at: [usize; 3]| &around.row(t, c, z + at[0], y + at[1])[at[2]..][..nx];
                let to = &mut self.flags[(z * ny + y) * nx..][..nx];
                for &axis in self.axes {
                    for side in [0, 2] {
                        let mut near = one;
                        near[axis] = side;
                        differ(row(one), row(near), to);
                    }
                }
            }
        }
    }

    fn place(&self, [z, y, x]: [usize; 3]) -> usize {
        (z * self.shape[1] + y) * self.shape[2] + x
    }

    /// Writes a row of the tile.
    fn classify<T: Sample>(&self, around: &View<'_, T>, [t, c, z, y]: [usize; 4], out: &mut [u8]) {
        let start = self.place([z + self.margin[0], y + self.margin[1], self.margin[2]]);
        out.copy_from_slice(&self.flags[start..][..out.len()]);
        let &[first, second] = self.axes else { return };
        let label = |at: [usize; 3]| {
            let at: [usize; 3] = std::array::from_fn(|a| at[a] + self.margin[a]);
            around.row(t, c, at[0], at[1])[at[2]]
        };
        for (x, out) in out.iter_mut().enumerate().filter(|(_, out)| **out == BOUNDARY) {
            let here: [usize; 3] = std::array::from_fn(|a| [z, y, x][a] + self.margin[a]);
            let value = label(here);
            if value == T::default() {
                continue;
            }
            let mut sum = 1;
            for n in (0..9).filter(|n| *n != 4) {
                let mut near = here;
                near[first] = near[first] + n / 3 - 1;
                near[second] = near[second] + n % 3 - 1;
                if self.flags[self.place(near)] != INNER && label(near) == value {
                    sum += if n % 2 == 0 { 10 } else { 2 };
                }
            }
            *out = match sum {
                5 | 7 | 15 | 17 | 25 | 27 => BOUNDARY + 1,
                21 | 33 => BOUNDARY + 2,
                13 | 23 => BOUNDARY + 3,
                _ => BOUNDARY,
            };
        }
    }
}
