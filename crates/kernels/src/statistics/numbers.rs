//! All that one number says of voxels: how many, ends, mean, standard deviation, percentiles; in as many passes as that
//! takes. Every sum is exact, so nothing depends on which tile is added to which.

use super::counts::Counts;
use super::key::value;
use super::ranks::{self, Ranks};
use super::sums::Sums;
use super::{Extent, Histogram};
use crate::pointwise::{Sample, for_rows};
use voxtile_sched::contract::Statistic;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Tile};

/// What was found. Without voxels that count every number is NaN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// How many count: all of an integer type, of floats the finite ones.
    pub(crate) voxels: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    /// Of the population: divided by the number of voxels.
    pub(crate) std: f64,
    pub(crate) percentiles: Vec<f64>,
}

/// A statistic that is shown all voxels, then asked for the [`next`](Self::next) step, until there is none.
pub(crate) enum Numbers {
    /// Of 8 and 16 bits: counts of every value say all.
    Counted {
        counts: Counts,
        percents: Vec<f64>,
    },
    Wide(Box<Wide>),
}

/// Of wider types.
pub(crate) struct Wide {
    dtype: Dtype,
    ranks: Option<Ranks>,
    pass: Pass,
    known: Summary,
}

/// What is counted besides the ranks.
enum Pass {
    First { extent: Extent, sums: Sums },
    Second(Squares),
    Later,
}

/// After a pass.
pub(crate) enum Step {
    Again(Numbers),
    Found(Summary),
}

impl Numbers {
    pub(crate) fn new(dtype: Dtype, percents: Vec<f64>) -> Self {
        if dtype.size() <= 2 {
            return Self::Counted { counts: Counts::new(dtype), percents };
        }
        let nan = f64::NAN;
        let percentiles = vec![nan; percents.len()];
        let known = Summary { voxels: 0, min: nan, max: nan, mean: nan, std: nan, percentiles };
        let pass = Pass::First { extent: Extent::new(dtype), sums: Sums::new(dtype) };
        Self::Wide(Box::new(Wide { dtype, ranks: Some(Ranks::new(dtype, percents)), pass, known }))
    }

    /// Passes over images of that type.
    pub(crate) fn passes(dtype: Dtype) -> usize {
        Ranks::passes(dtype)
    }

    /// Bytes of one that looks for so many percentiles.
    pub(crate) fn bytes(dtype: Dtype, percents: usize) -> u64 {
        if dtype.size() <= 2 {
            Counts::bytes(dtype)
        } else {
            Ranks::bytes(percents.max(1)) + 2 * Sums::bytes()
        }
    }

    /// One of the same pass that has seen nothing yet.
    pub(crate) fn empty(&self) -> Self {
        let wide = match self {
            Self::Counted { counts, percents } => {
                return Self::Counted { counts: Counts::new(counts.dtype()), percents: percents.clone() };
            }
            Self::Wide(wide) => wide,
        };
        let pass = match &wide.pass {
            Pass::First { .. } => {
                Pass::First { extent: Extent::new(wide.dtype), sums: Sums::new(wide.dtype) }
            }
            Pass::Second(squares) => Pass::Second(Squares::new(squares.mean)),
            Pass::Later => Pass::Later,
        };
        let ranks = wide.ranks.as_ref().map(Ranks::another);
        Self::Wide(Box::new(Wide { dtype: wide.dtype, ranks, pass, known: wide.known.clone() }))
    }

    /// Takes a tile in, wherever it lies.
    pub(crate) fn take(&mut self, tile: &Tile<'_>) {
        let region = Region::whole(tile.shape().map(|n| n as u64));
        let wide = match self {
            Self::Counted { counts, .. } => return counts.observe(tile, &region),
            Self::Wide(wide) => wide,
        };
        match &mut wide.pass {
            Pass::First { extent, sums } => {
                extent.observe(tile, &region);
                sums.observe(tile, &region);
            }
            Pass::Second(squares) => squares.take(tile),
            Pass::Later => {}
        }
        if let Some(ranks) = &mut wide.ranks {
            ranks.take(tile);
        }
    }

    /// Takes in what another one of the same pass has seen.
    pub(crate) fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Counted { counts, .. }, Self::Counted { counts: other, .. }) => {
                counts.merge(Box::new(other));
            }
            (Self::Wide(own), Self::Wide(other)) => {
                match (&mut own.pass, other.pass) {
                    (Pass::First { extent, sums }, Pass::First { extent: e, sums: s }) => {
                        extent.merge(Box::new(e));
                        sums.merge(Box::new(s));
                    }
                    (Pass::Second(squares), Pass::Second(other)) => {
                        squares.overflow |= other.overflow;
                        squares.sums.merge(Box::new(other.sums));
                    }
                    _ => {}
                }
                if let (Some(own), Some(other)) = (&mut own.ranks, &other.ranks) {
                    own.add(other);
                }
            }
            _ => unreachable!("numbers of one image"),
        }
    }

    /// Given all voxels, another pass or what was found.
    pub(crate) fn next(self) -> Step {
        let mut wide = match self {
            Self::Counted { counts, percents } => {
                return Step::Found(counted(&counts.histogram(), &percents));
            }
            Self::Wide(wide) => wide,
        };
        match &wide.pass {
            Pass::First { extent, sums } => {
                let Some(mean) = sums.mean() else { return Step::Found(wide.known) };
                let [min, max] = extent.ends.map(|end| value(wide.dtype, end));
                wide.known = Summary { voxels: sums.count(), min, max, mean, ..wide.known };
            }
            Pass::Second(squares) => wide.known.std = squares.root_mean(),
            Pass::Later => {}
        }
        wide.ranks = match wide.ranks.map(Ranks::next) {
            Some(ranks::Step::Again(ranks)) => Some(ranks),
            Some(ranks::Step::Found(percentiles)) => {
                wide.known.percentiles = percentiles;
                None
            }
            None => None,
        };
        wide.pass = match wide.pass {
            Pass::First { .. } => Pass::Second(Squares::new(wide.known.mean)),
            _ => Pass::Later,
        };
        match (&wide.pass, &wide.ranks) {
            (Pass::Later, None) => Step::Found(wide.known),
            _ => Step::Again(Self::Wide(wide)),
        }
    }
}

/// What counts of every value say.
fn counted(image: &Histogram, percents: &[f64]) -> Summary {
    let voxels = image.total();
    if voxels == 0 {
        let nan = f64::NAN;
        return Summary {
            voxels,
            min: nan,
            max: nan,
            mean: nan,
            std: nan,
            percentiles: vec![nan; percents.len()],
        };
    }
    // About the lowest value, in whole numbers: n Σ k² − (Σ k)² is n² times the variance.
    let each = || image.counts.iter().enumerate().map(|(k, &n)| (k as i128, i128::from(n)));
    let (sum, squares): (i128, i128) = each().fold((0, 0), |(s, q), (k, n)| (s + k * n, q + k * k * n));
    let variance = (i128::from(voxels) * squares - sum * sum) as f64 / (voxels as f64 * voxels as f64);
    Summary {
        voxels,
        min: image.value(0),
        max: image.value(image.counts.len() - 1),
        mean: image.mean(),
        std: variance.sqrt(),
        percentiles: image.percentiles(percents),
    }
}

/// The sum of squared distances from the mean, each rounded once.
struct Squares {
    mean: f64,
    sums: Sums,
    /// Whether a square was beyond the type.
    overflow: bool,
    row: Vec<f64>,
}

impl Squares {
    fn new(mean: f64) -> Self {
        Self { mean, sums: Sums::new(Dtype::F64), overflow: false, row: Vec::new() }
    }

    fn take(&mut self, tile: &Tile<'_>) {
        dispatch!(tile.dtype(), T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| self.add::<T>(view.row(t, c, z, y)));
        });
    }

    fn add<T: Sample>(&mut self, row: &[T]) {
        self.row.clear();
        for v in row.iter().map(|v| v.to_f64()).filter(|v| v.is_finite()) {
            let square = (v - self.mean) * (v - self.mean);
            self.overflow |= square.is_infinite();
            self.row.push(square);
        }
        self.sums.add(&self.row);
    }

    fn root_mean(&self) -> f64 {
        if self.overflow { f64::INFINITY } else { self.sums.mean().unwrap_or(f64::NAN).sqrt() }
    }
}
