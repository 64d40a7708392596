//! Where a tile meets its neighbours.

use super::runs::Runs;
use voxtile_sched::model::{Region, Shape};

/// The component plus 1 of every voxel of the six faces that have a neighbour: see `Components::faces`.
pub(super) fn faces(runs: &Runs, labels: &[u32], region: &Region, image: &Shape) -> [[Vec<u32>; 2]; 3] {
    let [nt, nc, nz, ny, nx] = runs.shape;
    let inner = |a: usize| [region.start[a] > 0, region.end(a) < image[a] as i64];
    let room =
        |sides: [bool; 2], len: usize| sides.map(|inside| vec![0; if inside { len * nt * nc } else { 0 }]);
    let mut faces = [room(inner(2), ny * nx), room(inner(3), nz * nx), room(inner(4), nz * ny)];
    for (row, range) in runs.rows() {
        let (batch, z, y) = (row / ny / nz, row / ny % nz, row % ny);
        let last = range.end - 1;
        let ends =
            [(range.start, runs.runs[range.start].start == 0), (last, runs.runs[last].end as usize == nx)];
        for (side, (n, touches)) in ends.into_iter().enumerate() {
            if touches && !faces[2][side].is_empty() {
                faces[2][side][row] = labels[n] + 1;
            }
        }
        let on = [(0, z == 0, nz - 1 == z, batch * ny + y), (1, y == 0, ny - 1 == y, batch * nz + z)];
        for (axis, low, high, line) in on {
            for (side, there) in [low, high].into_iter().enumerate() {
                let face = &mut faces[axis][side];
                if there && !face.is_empty() {
                    for n in range.clone() {
                        let run = runs.runs[n];
                        face[line * nx..][run.start as usize..run.end as usize].fill(labels[n] + 1);
                    }
                }
            }
        }
    }
    faces
}
