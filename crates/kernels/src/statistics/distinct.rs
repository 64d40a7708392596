//! Floats of few different values, counted one by one: numbers that were integers once. scikit-image's iteration for Li's
//! threshold stops earlier on them, by half the smallest distance of two values.

use super::key::{key, value};
use crate::pointwise::Sample;
use std::collections::HashMap;
use voxtile_sched::model::Dtype;

/// Different values at most.
const MOST: usize = 1 << 16;

/// How often each value occurs, as long as they are few.
#[derive(Clone)]
pub(super) struct Distinct {
    counts: Option<HashMap<u64, u64>>,
}

impl Distinct {
    pub(super) fn new() -> Self {
        Self { counts: Some(HashMap::new()) }
    }

    pub(super) const fn bytes() -> u64 {
        // Keys and counts, in a table that is at least half full when it grows.
        4 * (MOST * size_of::<[u64; 2]>()) as u64
    }

    /// Counts the finite voxels of a row.
    pub(super) fn add<T: Sample>(&mut self, row: &[T]) {
        let Some(counts) = &mut self.counts else { return };
        for run in row.chunk_by(|a, b| a == b).filter(|run| run[0].to_f64().is_finite()) {
            *counts.entry(key(run[0])).or_default() += run.len() as u64;
        }
        self.limit();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.counts, &other.counts) {
            (Some(counts), Some(more)) => more.iter().for_each(|(k, n)| *counts.entry(*k).or_default() += n),
            _ => self.counts = None,
        }
        self.limit();
    }

    fn limit(&mut self) {
        self.counts.take_if(|counts| counts.len() > MOST);
    }

    /// Li's threshold in the arithmetic of the type, if the values are few.
    pub(super) fn li(&self, dtype: Dtype) -> Option<f64> {
        let rounded = |v: f64| if dtype == Dtype::F32 { f64::from(v as f32) } else { v };
        let mut values: Vec<(u64, u64)> = self.counts.as_ref()?.iter().map(|(k, n)| (*k, *n)).collect();
        values.sort_unstable();
        let low = value(dtype, values.first()?.0);
        // Zeros of both signs are at no distance, and one value.
        let mut values: Vec<(f64, f64)> =
            values.into_iter().map(|(k, n)| (rounded(value(dtype, k) - low), n as f64)).collect();
        values.dedup_by(|b, a| {
            a.0 == b.0 && {
                a.1 += b.1;
                true
            }
        });
        let mean = |part: &[(f64, f64)]| {
            let (sum, count) = part.iter().fold((0.0, 0.0), |(s, c), (v, n)| (s + v * n, c + n));
            rounded(sum / count)
        };
        let nearest = values.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(f64::INFINITY, f64::min);
        let (mut next, mut now) = (mean(&values), f64::NEG_INFINITY);
        while (next - now).abs() > nearest / 2.0 {
            now = next;
            let (below, above) = values.split_at(values.partition_point(|(v, _)| *v <= now));
            let (back, fore) = (mean(below), mean(above));
            if back == 0.0 {
                break;
            }
            next = rounded((back - fore) / rounded(rounded(back.ln()) - rounded(fore.ln())));
        }
        Some(rounded(next + low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `skimage.filters.threshold_li` says of them.
    #[test]
    fn few_values_stop_early() {
        let mut found = Distinct::new();
        found.add(&[-1000.5f32, 0.0, 1000.5, f32::NAN, -0.0]);
        assert!((found.li(Dtype::F32).unwrap() - 213.759_16).abs() < 1e-3);
        let mut more = Distinct::new();
        more.add(&(0..70_000).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(more.li(Dtype::F32), None);
        found.merge(&more);
        assert_eq!(found.li(Dtype::F32), None);
    }
}
