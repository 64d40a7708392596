//! Blocks as Gaussians see them: the mean of the voxels around the middle of each block, weighted by a Gaussian.
//!
//! `σ = √((f² − 1) / (8 ln 2))` voxels along an axis where blocks have `f`: an image whose points are as wide as a voxel, at
//! half of their height, becomes one whose points are as wide as the larger voxel. So do ngff-zarr's levels by ITK (its
//! `methods/_support.py` 0.50, after Cardoso et al., MICCAI 2015); those are cut elsewhere and interpolated. Ours end at 4 σ from the
//! middle, as scipy's. Sums in f64, along z, then y, then x, from the first voxel to the last; rounded once.

use crate::conv::centred_weights;
use crate::pointwise::{Sample, from_f64};
use crate::vectorised;
use voxtile_sched::contract::Footprint;
use voxtile_sched::model::{Halo, NDIM, PerAxis, Shape, Tile, TileMut};

/// Where Gaussians end, in σ.
const TRUNCATE: f64 = 4.0;

/// Weights along each axis.
#[derive(PartialEq)]
pub(crate) struct Smooth {
    factor: PerAxis<u64>,
    weights: PerAxis<Vec<f64>>,
}

/// The weights of a block and of as many voxels before it as after it.
pub(crate) fn weights(factor: u64) -> Vec<f64> {
    let f = factor as f64;
    let sigma = ((f * f - 1.0) / (8.0 * std::f64::consts::LN_2)).sqrt();
    let around = (TRUNCATE * sigma - (f - 1.0) / 2.0).max(0.0) as usize;
    if factor <= 1 { vec![1.0] } else { centred_weights(sigma, factor as usize + 2 * around) }
}

impl Smooth {
    /// Of blocks of so many voxels along each axis.
    pub(crate) fn new(factor: PerAxis<u64>) -> Self {
        Self { factor, weights: factor.map(weights) }
    }

    fn halo(&self) -> PerAxis<u64> {
        std::array::from_fn(|a| (self.weights[a].len() as u64 - self.factor[a]) / 2)
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let halo = Halo::symmetric(self.halo());
        Footprint::Scale { num: self.factor, den: [1; NDIM], offset: [0; NDIM], halo }
    }

    /// Bytes of a plane of the input, and of a row.
    pub(crate) fn scratch(&self, output: &Shape) -> u64 {
        let halo = self.halo();
        let [.., y, x]: PerAxis<u64> = std::array::from_fn(|a| output[a] * self.factor[a] + 2 * halo[a]);
        8 * (y + 1) * x
    }

    pub(crate) fn ns_per_voxel(&self) -> f64 {
        let [_, _, z, y, x] = std::array::from_fn(|a| self.weights[a].len() as u64);
        let [.., fy, fx] = self.factor;
        0.2 * (z * fy * fx + y * fx + x) as f64
    }

    /// Fills a tile from its blocks and what lies around them.
    pub(crate) fn apply<T: Sample, U: Sample>(
        &self,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (input, mut out) = (input.view::<T>(), output.view::<U>());
        let ([nt, nc, nz, ny, _], [.., height, width]) = (out.shape(), input.shape());
        let (plane, row) = bytemuck::cast_slice_mut::<u8, f64>(scratch).split_at_mut(height * width);
        let [_, _, along_z, along_y, along_x] = &self.weights;
        let [_, _, fz, fy, fx] = self.factor.map(|f| f as usize);
        for t in 0..nt {
            for c in 0..nc {
                for z in 0..nz {
                    for (y, sums) in plane.chunks_exact_mut(width.max(1)).enumerate() {
                        sums.fill(0.0);
                        for (k, &weight) in along_z.iter().enumerate() {
                            add(input.row(t, c, z * fz + k, y), weight, sums);
                        }
                    }
                    for y in 0..ny {
                        let sums = &mut row[..width];
                        sums.fill(0.0);
                        for (k, &weight) in along_y.iter().enumerate() {
                            add(&plane[(y * fy + k) * width..][..width], weight, sums);
                        }
                        shrink(sums, along_x, fx, out.row(t, c, z, y));
                    }
                }
            }
        }
    }
}

vectorised! {
    fn add<T: Sample>(row: &[T], weight: f64, sums: &mut [f64]) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += weight * value.to_f64();
        }
    }
}

vectorised! {
    /// The weighted sum of every `factor`-th stretch of a row.
    fn shrink<U: Sample>(row: &[f64], weights: &[f64], factor: usize, out: &mut [U]) {
        for (n, out) in out.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (value, weight) in row[n * factor..].iter().zip(weights) {
                sum += weight * value;
            }
            *out = from_f64(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_around_the_middle_of_a_block() {
        for factor in 2..9u64 {
            let all = weights(factor);
            let middle = (all.len() - 1) as f64 / 2.0;
            let variance = all.iter().zip(0..).map(|(w, x)| w * (f64::from(x) - middle).powi(2)).sum::<f64>();
            let want = (factor * factor - 1) as f64 / (8.0 * std::f64::consts::LN_2);
            assert!((variance / want - 1.0).abs() < 0.01, "{factor}: {variance} and {want}");
            assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            assert!(all.iter().zip(all.iter().rev()).all(|(a, b)| a == b));
        }
        assert_eq!(weights(1), [1.0]);
        assert_eq!(weights(2).len(), 6);
    }
}
