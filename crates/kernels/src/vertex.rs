//! How far the vertex of a parabola lies from a voxel.

use voxtile_sched::contract::{Footprint, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Dtype, Element, Halo, Meta, NDIM, Tile, TileMut};

/// Along an axis, through each voxel and its two neighbours; f64, in voxels, at most half of one. 0 where the three lie on a
/// line, and at the edge of the image, which has one neighbour.
pub(crate) struct Vertex {
    pub(crate) axis: Axis,
}

/// `(a − c) / 2 (a − 2 b + c)`: of neighbours that are not higher, from −½ to ½.
#[inline(always)]
fn vertex(a: f64, b: f64, c: f64) -> f64 {
    let shift = (a - c) / (2.0 * ((a - b) + (c - b)));
    if shift.is_nan() { 0.0 } else { shift.clamp(-0.5, 0.5) }
}

impl Op for Vertex {
    fn name(&self) -> &'static str {
        "vertex"
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F64))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        let mut radius = [0; NDIM];
        radius[self.axis.index()] = 1;
        Footprint::Halo(Halo::symmetric(radius))
    }

    /// Neighbours that are equal leave the vertex where it is.
    fn border(&self) -> Border {
        Border::Mirror
    }

    fn ns_per_voxel(&self) -> f64 {
        1.0
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let mut out = output.view::<f64>();
        let [nt, nc, nz, ny, nx] = out.shape();
        let step = |axis: Axis| usize::from(axis == self.axis);
        let (z1, y1, x1) = (step(Axis::Z), step(Axis::Y), step(Axis::X));
        dispatch!(inputs[0].dtype(), T => {
            let image = inputs[0].view::<T>();
            for n in 0..nt * nc * nz * ny {
                let (t, c, z, y) = (n / ny / nz / nc, n / ny / nz % nc, n / ny % nz, n % ny);
                let row = |k: usize| &image.row(t, c, z + k * z1, y + k * y1)[k * x1..k * x1 + nx];
                let sides = row(0).iter().zip(row(1)).zip(row(2));
                for (out, ((a, b), c)) in out.row(t, c, z, y).iter_mut().zip(sides) {
                    *out = vertex(a.to_f64(), b.to_f64(), c.to_f64());
                }
            }
        });
    }
}
