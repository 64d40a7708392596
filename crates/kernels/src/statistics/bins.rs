//! Counts between two ends: of each value of a wide integer type, or of the bins that numpy cuts floats into.

use super::key::{key, value, whole};
use super::{Extent, Histogram, add_counts, counting};
use crate::device::constants;
use crate::pointwise::{Sample, for_rows};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Buffer, Slot};
use voxtile_sched::contract::{Kernels, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Shape, Tile};

/// Values of an integer type that are counted one by one.
pub(super) const MOST_VALUES: u64 = 1 << 20;
/// Bins of floats: scikit-image's number.
pub(super) const BINS: usize = 256;

/// One counter per value from the first key up, or one per bin.
pub(super) struct Bins {
    dtype: Dtype,
    first: u64,
    /// Of bins; one more than counters.
    edges: Arc<[f64]>,
    counts: Vec<u64>,
}

impl Bins {
    /// Whether values between those ends are counted in bins, and not one by one.
    pub(super) fn cut(extent: &Extent) -> bool {
        extent.dtype.is_float() || extent.ends[1] - extent.ends[0] >= MOST_VALUES
    }

    /// Of all values between the ends, or of [`BINS`]. The ends differ.
    pub(super) fn new(extent: &Extent) -> Self {
        let [first, last] = extent.ends;
        let cut = Self::cut(extent);
        let count = if cut { BINS } else { (last - first) as usize + 1 };
        let edges = match cut {
            true => edges(value(extent.dtype, first), value(extent.dtype, last), extent.dtype == Dtype::F32),
            false => Vec::new(),
        };
        Self { dtype: extent.dtype, first, edges: edges.into(), counts: vec![0; count] }
    }

    pub(super) fn histogram(self) -> Histogram {
        match self.edges.is_empty() {
            true => Histogram::from_value(whole(self.dtype, self.first), self.counts),
            false => Histogram::from_edges(&self.edges, self.dtype == Dtype::F32, self.counts),
        }
    }

    /// Bins in a unit.
    fn scale(&self) -> f64 {
        BINS as f64 / (self.edges[BINS] / 2.0 - self.edges[0] / 2.0) / 2.0
    }

    fn count_values<T: Sample>(&mut self, row: &[T]) {
        for &v in row {
            self.counts[(key(v) - self.first) as usize] += 1;
        }
    }

    /// A bin is found by division, then corrected by the edges, as numpy does; so the edges alone decide.
    fn count_bins<T: Sample>(&mut self, row: &[T]) {
        let edges: &[f64; BINS + 1] = (&*self.edges).try_into().expect("made with that many");
        let counts: &mut [u64; BINS] = (&mut *self.counts).try_into().expect("made with that many");
        let (low, high, scale) =
            (edges[0], edges[BINS], BINS as f64 / (edges[BINS] / 2.0 - edges[0] / 2.0) / 2.0);
        for &v in row {
            let v = v.to_f64();
            if v >= low && v <= high {
                let mut n = (((v - low) * scale) as usize).min(BINS - 1);
                while n > 0 && v < edges[n] {
                    n -= 1;
                }
                while n < BINS - 1 && v >= edges[n + 1] {
                    n += 1;
                }
                counts[n] += 1;
            }
        }
    }
}

/// The ends of the bins between two different values, in the arithmetic of `numpy.linspace`.
fn edges(low: f64, high: f64, single: bool) -> Vec<f64> {
    let round = |x: f64| if single { f64::from(x as f32) } else { x };
    let step = round(round(high - low) / BINS as f64);
    let edge = |n: usize| match n {
        BINS => high,
        // The difference of the ends is beyond the type.
        _ if step.is_infinite() => round(low + (high / BINS as f64 - low / BINS as f64) * n as f64),
        // Where the step is nothing, numpy divides last.
        _ if step == 0.0 => round(round(n as f64 / BINS as f64 * round(high - low)) + low),
        _ => round(round(n as f64 * step) + low),
    };
    (0..=BINS).map(edge).collect()
}

impl Statistic for Bins {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.dtype, T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| match self.edges.is_empty() {
                true => self.count_values::<T>(view.row(t, c, z, y)),
                false => self.count_bins::<T>(view.row(t, c, z, y)),
            });
        });
    }

    fn kernels(&self, tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        if tile != Dtype::F32 || self.edges.is_empty() {
            return None;
        }
        let counts = Buffer::row(Dtype::U32, BINS as u64).zeroed();
        let from = vec![Slot::Input(0), Slot::Constants(0)];
        let scale = vec![Argument::F64(self.scale())];
        let sweep = counting("bins_f32".to_owned(), from, vec![Slot::Result(0)], scale);
        Some(Kernels {
            constants: vec![constants(&self.edges)],
            results: vec![counts.into()],
            ..sweep.into()
        })
    }

    fn take(&mut self, results: &[&[u8]], _region: &Region) -> bool {
        add_counts(results[0], &mut self.counts);
        true
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        let counts = vec![0; self.counts.len()];
        Box::new(Self { dtype: self.dtype, first: self.first, edges: self.edges.clone(), counts })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
