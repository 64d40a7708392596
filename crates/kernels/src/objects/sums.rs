//! Sums that do not depend on the order of what is added: whole numbers of 256 bits.
//!
//! Integers are added as they are, floats as multiples of 2⁻⁸⁰. An f32 of magnitude 2⁻⁵⁶ or more is such a multiple,
//! smaller ones lose their last bits; ±2⁴⁶ is the end: beyond it, and of NaN, there is no sum.

use crate::pack::packed_fields;
use crate::pointwise::Sample;
use ethnum::I256;
use voxtile_sched::model::Dtype;

/// What floats are multiplied by.
const SCALE: f64 = (1u128 << 80) as f64;
/// The first magnitude without a sum.
const END: f64 = (1u64 << 46) as f64;

/// The values of one image in one object.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    sum: I256,
    squares: I256,
    /// Sums of value times position along z, y, x.
    weighted: [I256; 3],
    min: f64,
    max: f64,
    /// A value had no place in the sums.
    beyond: bool,
    nan: bool,
}

packed_fields!(Intensity { sum, squares, weighted, min, max, beyond, nan });

impl Intensity {
    pub(crate) fn new() -> Self {
        let zero = I256::ZERO;
        Self {
            sum: zero,
            squares: zero,
            weighted: [zero; 3],
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            beyond: false,
            nan: false,
        }
    }

    /// Adds a run of voxels along x; `at` is the place of the first one.
    pub(crate) fn add<T: Sample>(&mut self, run: &[T], at: [i64; 3]) {
        let (mut sum, mut along) = (I256::ZERO, I256::ZERO);
        for (n, &value) in run.iter().enumerate() {
            let Some(whole) = self.whole(value) else { continue };
            let whole = I256::from(whole);
            sum += whole;
            self.squares += whole * whole;
            along += whole * I256::from(n as i64);
            let value = value.to_f64();
            self.min = if value < self.min { value } else { self.min };
            self.max = if value > self.max { value } else { self.max };
        }
        self.sum += sum;
        for (weighted, at) in self.weighted.iter_mut().zip(at) {
            *weighted += sum * I256::from(at);
        }
        self.weighted[2] += along;
    }

    /// The value as a whole number.
    #[inline(always)]
    fn whole<T: Sample>(&mut self, value: T) -> Option<i128> {
        if !matches!(T::DTYPE, Dtype::F32 | Dtype::F64) {
            return Some(value.to_i128());
        }
        let value = value.to_f64();
        if value.abs() < END {
            return Some((value * SCALE).round_ties_even() as i128);
        }
        self.nan |= value.is_nan();
        self.beyond = true;
        None
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
        self.weighted.iter_mut().zip(other.weighted).for_each(|(w, o)| *w += o);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.beyond |= other.beyond;
        self.nan |= other.nan;
    }

    /// What is asked of the values of an object of `voxels` voxels in an image of that type.
    pub(crate) fn finish(&self, voxels: u64, dtype: Dtype) -> Summary {
        if self.beyond {
            let edge = |found: f64| if self.nan { f64::NAN } else { found };
            let none = f64::NAN;
            let (min, max) = (edge(self.min), edge(self.max));
            return Summary { mean: none, std: none, sum: none, min, max, centroid: [none; 3] };
        }
        let float = matches!(dtype, Dtype::F32 | Dtype::F64);
        let scale = if float { SCALE } else { 1.0 };
        let (n, sum) = (voxels as f64, self.sum.as_f64());
        let variance = match spread(voxels, self.sum, self.squares) {
            Some(exact) => exact.as_f64() / n / n,
            None => (self.squares.as_f64() / n - (sum / n) * (sum / n)).max(0.0),
        };
        Summary {
            mean: sum / n / scale,
            std: variance.sqrt() / scale,
            sum: sum / scale,
            min: self.min,
            max: self.max,
            centroid: self.weighted.map(|w| w.as_f64() / sum),
        }
    }
}

/// `n Σ v² - (Σ v)²`, if it fits.
fn spread(n: u64, sum: I256, squares: I256) -> Option<I256> {
    squares.checked_mul(I256::from(n))?.checked_sub(sum.checked_mul(sum)?)
}

/// The values of one image in one object, as columns show them.
pub(crate) struct Summary {
    pub(crate) mean: f64,
    /// Over all voxels, not one less.
    pub(crate) std: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Along z, y, x; NaN where the values cancel out.
    pub(crate) centroid: [f64; 3],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_floats_does_not_matter() {
        let values: Vec<f32> = (0..1000).map(|n| ((n * 7919) % 1000) as f32 * 1.37e-3 - 0.2).collect();
        let mut forward = Intensity::new();
        forward.add(&values, [0, 0, 0]);
        let mut parts = Intensity::new();
        for (n, value) in values.iter().enumerate().rev() {
            let mut one = Intensity::new();
            one.add(&[*value], [0, 0, n as i64]);
            parts.merge(&one);
        }
        let (a, b) = (forward.finish(1000, Dtype::F32), parts.finish(1000, Dtype::F32));
        assert_eq!((a.sum, a.std, a.centroid), (b.sum, b.std, b.centroid));
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 1000.0;
        assert!((a.mean - mean).abs() < 1e-15, "{} {mean}", a.mean);
    }

    #[test]
    fn one_value_does_not_spread() {
        for value in [1e-12f32, 0.1, 3e9, -7.0] {
            let mut one = Intensity::new();
            one.add(&[value; 5], [0; 3]);
            assert_eq!(one.finish(5, Dtype::F32).std, 0.0, "{value}");
        }
    }

    #[test]
    fn what_has_no_sum_has_ends() {
        let mut wide = Intensity::new();
        wide.add(&[1.0f32, 1e30, 2.0], [0; 3]);
        let found = wide.finish(3, Dtype::F32);
        assert!(found.mean.is_nan() && found.max == 2.0);
    }
}
