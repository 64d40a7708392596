//! Counts in rising order, whatever they count: single values, or bins.

/// How often values occur. Empty for an image without voxels that count.
pub(crate) struct Histogram {
    /// Neither the first nor the last is 0.
    pub(crate) counts: Vec<u64>,
    values: Values,
}

/// What the counts are of.
enum Values {
    /// Each of one whole number, from this one up.
    Whole(i128),
    /// Each of a bin. `single`: whoever computes with the centres does it in `f32`.
    Bins { centres: Vec<f64>, single: bool },
}

impl Histogram {
    /// Counts of `first` and the whole numbers after it.
    pub(crate) fn from_value(first: i128, counts: Vec<u64>) -> Self {
        Self { counts, values: Values::Whole(first) }
    }

    /// Counts between edges, of which there is one more.
    pub(crate) fn from_edges(edges: &[f64], single: bool, counts: Vec<u64>) -> Self {
        let centres = edges.windows(2).map(|e| round(single, e[0] + e[1]) / 2.0).collect();
        Self { counts, values: Values::Bins { centres, single } }
    }

    /// What the counter of that number counts: a value, or the centre of a bin.
    pub(crate) fn value(&self, n: usize) -> f64 {
        match &self.values {
            Values::Whole(first) => (first + n as i128) as f64,
            Values::Bins { centres, .. } => centres[n],
        }
    }

    /// The number of the counter of a value, if each counts one value.
    pub(crate) fn first(&self) -> Option<i128> {
        match self.values {
            Values::Whole(first) => Some(first),
            Values::Bins { .. } => None,
        }
    }

    /// A result of arithmetic with [`value`](Self::value), as scikit-image rounds it.
    pub(crate) fn round(&self, x: f64) -> f64 {
        round(matches!(self.values, Values::Bins { single: true, .. }), x)
    }

    /// The distance of one value to the next.
    pub(crate) fn step(&self) -> f64 {
        self.round(self.value(1) - self.value(0))
    }

    /// Voxels in all.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The mean above the first value; the sum is exact. The counts are of whole numbers.
    pub(crate) fn mean_above_first(&self) -> f64 {
        let sum = |(n, &count): (usize, &u64)| n as u128 * u128::from(count);
        self.counts.iter().enumerate().map(sum).sum::<u128>() as f64 / self.total() as f64
    }

    /// The mean; the sum is exact. The counts are of whole numbers.
    pub(crate) fn mean(&self) -> f64 {
        let first = self.first().unwrap_or(0);
        let sum = |(n, &count): (usize, &u64)| (first + n as i128) * i128::from(count);
        self.counts.iter().enumerate().map(sum).sum::<i128>() as f64 / self.total() as f64
    }

    /// Percentiles, as numpy has them by default. The counts are of single values, and not empty.
    pub(crate) fn percentiles(&self, percents: &[f64]) -> Vec<f64> {
        let last = self.total() - 1;
        let percentile = |percent: &f64| {
            let at = last as f64 * (percent / 100.0);
            let lower = (at.floor() as u64).min(last);
            let [a, b] = [lower, (lower + 1).min(last)].map(|rank| self.ranked(rank));
            super::ranks::between(a, b, at - lower as f64, false)
        };
        percents.iter().map(percentile).collect()
    }

    /// The value of that rank, counted from 0.
    pub(crate) fn ranked(&self, rank: u64) -> f64 {
        let mut below = 0;
        let index = self.counts.iter().position(|&n| {
            below += n;
            rank < below
        });
        self.value(index.expect("a rank lies below the count"))
    }
}

/// To `f32` and back, or not.
fn round(single: bool, x: f64) -> f64 {
    if single { f64::from(x as f32) } else { x }
}
