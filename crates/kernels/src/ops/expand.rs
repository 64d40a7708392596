//! Labels grown into the background around them.
//!
//! Label image of an integer type → the same image, where each 0 has the value of the nearest voxel that is not 0, if that
//! lies within `distance`; nothing that is not 0 changes. Distances are exact and Euclidean, between the middles of voxels, in
//! voxels or, given as `2um`, in space. With one distance per axis (`1,3,3`) they are measured in these. Of voxels equally
//! near, the one with the smallest x wins, then the smallest y, then the smallest z. Equal to
//! `skimage.segmentation.expand_labels(labels, distance)`, ties included, and with `spacing=` for physical distances, except for
//! ties and limits that rounding decides. Halo: the distance, or the image if that is smaller. Cost: one read and one
//! write; per voxel 0.5 ns times the
//! sum over the axes of 2 r + 1. Scratch: 16 bytes per voxel of a plane with its halo.

use crate::device::why;
use crate::objects::whole_numbers;
use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Element, Halo, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// `expand distance=3`.
pub(super) static SPEC: Spec = Spec {
    name: "expand",
    about: "labels grown into the background around them",
    params: &[Param {
        name: "distance",
        value: Value::Length,
        default: Some("1"),
        about: "how far from an object",
    }],
    inputs: 1,
    example: "threshold 900 | label | expand distance=3",
    build: Build::One(|args| Ok(Arc::new(Expand::new(args)?))),
};

struct Expand {
    /// Along z, y, x.
    reach: [usize; 3],
    /// What the square of a step along z, y, x counts.
    weight: [f64; 3],
    /// The largest sum that lies within the distance.
    limit: f64,
}

impl Expand {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        const MOST: f64 = 1e6;
        let [_, _, distance @ ..]: PerAxis<f64> = args.lengths_px("distance")?;
        let longest = distance.into_iter().fold(0.0, f64::max);
        if longest > MOST {
            let text = args.text("distance").unwrap_or_default();
            return Err(args.wrong("distance", text, "a length of a million voxels or less"));
        }
        let weight = distance.map(|d| if d > 0.0 { (longest / d) * (longest / d) } else { 1.0 });
        // Beyond the image there is no object.
        let [_, _, shape @ ..] = args.input().shape;
        let reach = std::array::from_fn(|a| (distance[a] as usize).min(shape[a].saturating_sub(1) as usize));
        Ok(Self { reach, weight, limit: longest * longest })
    }

    fn halo(&self) -> Halo {
        let [z, y, x] = self.reach.map(|n| n as u64);
        Halo::symmetric([0, 0, z, y, x])
    }
}

impl Op for Expand {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        whole_numbers(&inputs[0])?;
        let kind = if inputs[0].kind == Kind::Mask { Kind::Mask } else { Kind::Labels };
        Ok(inputs[0].with_kind(kind))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.halo())
    }

    fn border(&self) -> Border {
        // No object outside the image.
        Border::Constant(0.0)
    }

    /// Sums and labels of the rows of a plane with its halo, and of two more.
    fn scratch(&self, output: &Shape) -> u64 {
        let [_, ry, rx] = self.reach.map(|n| n as u64);
        let rows = (output[3] + 2 * ry).saturating_add(2);
        rows.saturating_mul(output[4] + 2 * rx).saturating_mul(2 * size_of::<f64>() as u64)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.5 * self.reach.iter().map(|r| 2 * r + 1).sum::<usize>() as f64
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::NEAREST)
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        dispatch!(output.dtype(), T => self.fill::<T>(&inputs[0], &mut output, scratch));
    }
}

impl Expand {
    /// What a step along an axis counts, the first one `reach` before the voxel.
    fn square(&self, axis: usize, step: usize) -> f64 {
        let away = step as f64 - self.reach[axis] as f64;
        away * away * self.weight[axis]
    }

    /// Per plane the nearest label straight along z, then per row that of the plane along y, then of the row along x.
    fn fill<T: Element>(&self, input: &Tile<'_>, output: &mut TileMut<'_>, scratch: &mut [u8]) {
        let (from, mut to) = (input.view::<T>(), output.view::<T>());
        let [nt, nc, nz, ny, nx] = to.shape();
        let [rz, ry, rx] = self.reach;
        let (rows, wide) = (ny + 2 * ry, nx + 2 * rx);
        let voxels = (rows + 2) * wide;
        let (sums, labels) = scratch.split_at_mut(voxels * size_of::<f64>());
        let (sums, line) = bytemuck::cast_slice_mut::<u8, f64>(sums).split_at_mut(rows * wide);
        let (line, best) = line.split_at_mut(wide);
        let (labels, labels_line) = bytemuck::cast_slice_mut::<u8, T>(labels).split_at_mut(rows * wide);
        let (labels_line, best) = (&mut labels_line[..wide], &mut best[..nx]);
        for (t, c, z) in (0..nt * nc * nz).map(|n| (n / nz / nc, n / nz % nc, n % nz)) {
            sums.fill(f64::INFINITY);
            for y in 0..rows {
                let row = y * wide..(y + 1) * wide;
                for step in 0..=2 * rz {
                    let labels = &mut labels[row.clone()];
                    straight(
                        from.row(t, c, z + step, y),
                        self.square(0, step),
                        &mut sums[row.clone()],
                        labels,
                    );
                }
            }
            for y in 0..ny {
                line.fill(f64::INFINITY);
                for step in 0..=2 * ry {
                    let row = (y + step) * wide..(y + step + 1) * wide;
                    let square = self.square(1, step);
                    nearer(&sums[row.clone()], &labels[row], square, line, labels_line);
                }
                best.fill(f64::INFINITY);
                let out = to.row(t, c, z, y);
                for step in 0..=2 * rx {
                    let (sums, labels) = (&line[step..step + nx], &labels_line[step..step + nx]);
                    nearer(sums, labels, self.square(2, step), best, out);
                }
                within(best, self.limit, out);
            }
        }
    }
}

vectorised! {
    /// Takes the labels of a row that are nearer than those known.
    fn straight<T: Element>(row: &[T], square: f64, sums: &mut [f64], labels: &mut [T]) {
        for ((v, sum), label) in row.iter().zip(sums).zip(labels) {
            let closer = (*v != T::default()) & (square < *sum);
            *sum = if closer { square } else { *sum };
            *label = if closer { *v } else { *label };
        }
    }
}

vectorised! {
    /// Takes the labels that are nearer by way of another row than those known.
    fn nearer<T: Element>(from: &[f64], others: &[T], square: f64, sums: &mut [f64], labels: &mut [T]) {
        for (((other, v), sum), label) in from.iter().zip(others).zip(sums).zip(labels) {
            let total = *other + square;
            let closer = total < *sum;
            *sum = if closer { total } else { *sum };
            *label = if closer { *v } else { *label };
        }
    }
}

vectorised! {
    /// Sets what is too far from any label to 0.
    fn within<T: Element>(sums: &[f64], limit: f64, labels: &mut [T]) {
        for (label, sum) in labels.iter_mut().zip(sums) {
            *label = if *sum <= limit { *label } else { T::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::{Image, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Element, Kind, PerAxis};

    const LABELS: [Dtype; 4] = [Dtype::U8, Dtype::U16, Dtype::I32, Dtype::U64];

    /// Looks at every voxel within reach, columns of small x first, then rows of small y; only a smaller sum wins.
    fn oracle(image: &Image, distance: [f64; 3]) -> Image {
        let (shape, axes) = (image.meta().shape, image.meta().axes);
        let longest = distance.into_iter().fold(0.0, f64::max);
        let reach = |axis: Axis| {
            let distance = distance[axis.index() - 2];
            if axes.contains(axis) { distance as i64 } else { 0 }
        };
        let square = |axis: Axis, away: i64| {
            let distance = distance[axis.index() - 2];
            if away == 0 { 0.0 } else { (away * away) as f64 * (longest / distance) * (longest / distance) }
        };
        dispatch!(image.meta().dtype, T => Image::from_fn(image.meta().with_kind(Kind::Labels), |at: PerAxis<u64>| {
            let mut nearest = (f64::INFINITY, <T as Element>::from_f64(0.0));
            for x in -reach(Axis::X)..=reach(Axis::X) {
                for y in -reach(Axis::Y)..=reach(Axis::Y) {
                    for z in -reach(Axis::Z)..=reach(Axis::Z) {
                        let near = [0, 0, z, y, x];
                        let near: PerAxis<i64> = std::array::from_fn(|a| at[a] as i64 + near[a]);
                        if !(0..5).all(|a| (0..shape[a] as i64).contains(&near[a])) {
                            continue;
                        }
                        let label: T = image.at(near.map(|n| n as u64));
                        let sum = square(Axis::Z, z) + square(Axis::Y, y) + square(Axis::X, x);
                        if label != T::default() && sum <= longest * longest && sum < nearest.0 {
                            nearest = (sum, label);
                        }
                    }
                }
            }
            nearest.1
        }))
    }

    conforms!(one_voxel: &SPEC, "expand", |image| oracle(image, [1.0; 3]), dtypes(&LABELS));
    conforms!(round: &SPEC, "expand 2.9", |image| oracle(image, [2.9; 3]), dtypes(&LABELS));
    conforms!(
        longer_along_x: &SPEC, "expand distance=1,2,4", |image| oracle(image, [1.0, 2.0, 4.0]),
        dtypes(&[Dtype::U16]), only(|meta| meta.axes.contains(Axis::Z)),
    );

    #[test]
    fn of_equally_near_labels_the_first_along_x_then_y_wins() {
        // The example of scikit-image.
        let labels = Image::of::<u8>("yx", &[3, 4], &[0, 1, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0]);
        let got = steps("expand 1", &labels);
        assert_eq!(got.values::<u8>(), [2, 1, 1, 0, 2, 2, 0, 0, 2, 3, 3, 0]);
    }
}
