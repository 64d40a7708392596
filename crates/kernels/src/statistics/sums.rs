//! The mean, of an exact sum: so it does not depend on which tile is added to which.

use super::counting;
use crate::device::numbers;
use crate::pointwise::{Sample, for_rows};
use std::any::Any;
use voxtile_sched::contract::device::{Buffer, Slot};
use voxtile_sched::contract::{Kernels, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Shape, Tile};

/// Exponents of `f64`.
const EXPONENTS: usize = 2048;

/// Of f32 on a device: the first exponent that has a sum and how many have, and the bits that mantissas lack.
const FIRST: usize = 873;
const TOLD: usize = 278;
const SHORTER: u32 = 29;

/// The sum of the voxels, of floats of the finite ones: as integers, those of floats apart for each exponent.
pub(super) struct Sums {
    dtype: Dtype,
    count: u64,
    whole: i128,
    by_exponent: Vec<i128>,
}

impl Sums {
    pub(super) fn new(dtype: Dtype) -> Self {
        let exponents = if dtype.is_float() { EXPONENTS } else { 0 };
        Self { dtype, count: 0, whole: 0, by_exponent: vec![0; exponents] }
    }

    pub(super) const fn bytes() -> u64 {
        (EXPONENTS * 16) as u64
    }

    pub(super) fn add<T: Sample>(&mut self, row: &[T]) {
        if !T::DTYPE.is_float() {
            self.count += row.len() as u64;
            // Sums of so many samples of up to 32 bits fit.
            for part in row.chunks(1 << 30) {
                self.whole += match size_of::<T>() {
                    8 => part.iter().map(|v| v.to_i128()).sum::<i128>(),
                    _ => i128::from(part.iter().map(|v| v.to_word() as i64).sum::<i64>()),
                };
            }
            return;
        }
        let parts: &mut [i128; EXPONENTS] = (&mut *self.by_exponent).try_into().expect("made for floats");
        for v in row.iter().map(|v| v.to_f64()).filter(|v| v.is_finite()) {
            let (bits, exponent) = (v.to_bits(), (v.to_bits() >> 52) as usize % EXPONENTS);
            let mantissa = (bits & ((1 << 52) - 1)) | u64::from(exponent > 0) << 52;
            let signed = if v.is_sign_negative() { -(mantissa as i64) } else { mantissa as i64 };
            parts[exponent] += i128::from(signed);
            self.count += 1;
        }
    }

    /// Voxels that count.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The mean; `None` if no voxel counts.
    pub(super) fn mean(&self) -> Option<f64> {
        // Divided before they are scaled, and scaled in two steps, so that nothing is beyond the type.
        let part = |(exponent, &sum): (usize, &i128)| {
            let exponent = exponent.max(1) as i32 - 1075;
            sum as f64 / self.count as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
        };
        let floats: f64 = self.by_exponent.iter().enumerate().map(part).sum();
        (self.count > 0).then(|| self.whole as f64 / self.count as f64 + floats)
    }
}

impl Statistic for Sums {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.dtype, T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| self.add::<T>(view.row(t, c, z, y)));
        });
    }

    fn kernels(&self, tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        let sums = Buffer::row(Dtype::U64, TOLD as u64 + 1).zeroed();
        let sweep =
            counting(format!("mantissas_{tile}"), vec![Slot::Input(0)], vec![Slot::Result(0)], Vec::new());
        (tile == Dtype::F32).then(|| Kernels { results: vec![sums.into()], ..sweep.into() })
    }

    fn take(&mut self, results: &[&[u8]], _region: &Region) -> bool {
        let words: Vec<i64> = numbers(results[0]);
        let (sums, count) = (&words[..TOLD], words[TOLD]);
        for (part, sum) in self.by_exponent[FIRST..].iter_mut().zip(sums) {
            *part += i128::from(*sum) << SHORTER;
        }
        self.count += count as u64;
        true
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        self.count += other.count;
        self.whole += other.whole;
        for (own, other) in self.by_exponent.iter_mut().zip(&other.by_exponent) {
            *own += other;
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self::new(self.dtype))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
