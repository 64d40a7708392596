//! Counts and sums of floats in fine bins, for Li's iteration, which needs the mean below and above any level.
//!
//! Voxels are placed in 2^40 steps from the lowest to the highest: integers, whose sums do not depend on the tiling. A
//! pass has a counter and a sum for each of 2^16 bins; the iteration takes each bin as one voxel of its mean. Where it
//! comes to rest, another pass cuts that bin into 2^16, and it goes on from there. Of few different values the first pass
//! is enough.

use super::Extent;
use super::distinct::Distinct;
use super::key::value;
use crate::pointwise::{Sample, for_rows};
use std::any::Any;
use voxtile_sched::contract::Statistic;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Tile};

/// Bits of a place; of a bin; and of what is below a fine bin.
const PLACE: u32 = 40;
const BIN: u32 = 16;
const BINS: usize = 1 << BIN;
/// Passes at most, of an iteration that comes to rest in another bin each time.
const MOST: u32 = 8;

pub(super) struct Masses {
    dtype: Dtype,
    low: f64,
    high: f64,
    /// The bin that is cut, and what all bins hold; none in the first pass.
    cut: Option<(usize, Vec<Mass>)>,
    passes: u32,
    /// Where the iteration is, in places.
    level: f64,
    fresh: Vec<Mass>,
    /// Of the first pass.
    distinct: Distinct,
}

/// How many voxels, and the sum of their places above the bin's first.
#[derive(Clone, Copy, Default)]
struct Mass {
    count: u64,
    sum: u64,
}

/// How many voxels, and the sum of their places.
#[derive(Clone, Copy, Default)]
struct Total {
    count: u64,
    sum: u128,
}

impl Total {
    fn add(&mut self, mass: Mass, first: u64) {
        self.count += mass.count;
        self.sum += u128::from(mass.count) * u128::from(first) + u128::from(mass.sum);
    }

    fn mean(self) -> f64 {
        self.sum as f64 / self.count as f64
    }
}

/// After a pass.
pub(super) enum Step {
    Again(Masses),
    /// Li's threshold.
    Found(f64),
}

impl Masses {
    /// Of floats between two different ends.
    pub(super) fn new(extent: &Extent) -> Self {
        let [low, high] = extent.ends.map(|key| value(extent.dtype, key));
        let fresh = vec![Mass::default(); BINS];
        Self {
            dtype: extent.dtype,
            low,
            high,
            cut: None,
            passes: 1,
            level: f64::NAN,
            fresh,
            distinct: Distinct::new(),
        }
    }

    pub(super) const fn bytes() -> u64 {
        (2 * BINS * size_of::<Mass>()) as u64 + Distinct::bytes()
    }

    fn add<T: Sample>(&mut self, row: &[T]) {
        if self.cut.is_none() {
            self.distinct.add(row);
        }
        // Halves, whose difference no type is too small for.
        let low = self.low / 2.0;
        let scale = (1u64 << PLACE) as f64 / (self.high / 2.0 - low);
        let coarse = PLACE - BIN;
        for v in row.iter().map(|v| v.to_f64()).filter(|v| v.is_finite()) {
            let place = (((v / 2.0 - low) * scale) as u64).min((1 << PLACE) - 1);
            let bin = (place >> coarse) as usize;
            match &self.cut {
                None => self.fresh[bin].add(place & ((1 << coarse) - 1)),
                Some((cut, _)) if bin == *cut => {
                    let fine = coarse - BIN;
                    self.fresh[(place >> fine) as usize % BINS].add(place & ((1 << fine) - 1));
                }
                Some(_) => {}
            }
        }
    }

    /// All bins with their first place, in order; in place of the cut one, its own bins.
    fn each(&self, mut take: impl FnMut(Mass, u64)) {
        let coarse = PLACE - BIN;
        let Some((cut, all)) = &self.cut else {
            return self.fresh.iter().zip(0u64..).for_each(|(m, n)| take(*m, n << coarse));
        };
        for (bin, mass) in all.iter().enumerate() {
            let first = (bin as u64) << coarse;
            if bin == *cut {
                let fine = coarse - BIN;
                self.fresh.iter().zip(0u64..).for_each(|(m, n)| take(*m, first + (n << fine)));
            } else {
                take(*mass, first);
            }
        }
    }

    /// Iterates until the level stays.
    fn iterate(&mut self) {
        let mut bins: Vec<(f64, Total)> = Vec::new();
        let mut running = Total::default();
        self.each(|mass, first| {
            if mass.count > 0 {
                running.add(mass, first);
                bins.push((first as f64 + mass.sum as f64 / mass.count as f64, running));
            }
        });
        if self.level.is_nan() {
            self.level = running.mean();
        }
        // Each step of a level that rises, or falls, all the way.
        for _ in 0..bins.len() {
            let below = bins.partition_point(|(mean, _)| *mean <= self.level);
            let Some((_, back)) = below.checked_sub(1).map(|n| bins[n]) else { return };
            let fore = Total { count: running.count - back.count, sum: running.sum - back.sum };
            if back.sum == 0 || fore.count == 0 {
                return;
            }
            let next = (back.mean() - fore.mean()) / (back.mean().ln() - fore.mean().ln());
            if next == self.level {
                return;
            }
            self.level = next;
        }
    }

    pub(super) fn next(mut self) -> Step {
        if self.cut.is_none()
            && let Some(level) = self.distinct.li(self.dtype)
        {
            return Step::Found(level);
        }
        self.iterate();
        let bin = ((self.level as u64) >> (PLACE - BIN)) as usize;
        let known = self.cut.as_ref().is_some_and(|(cut, _)| *cut == bin);
        if known || self.passes == MOST {
            let place = (self.high / 2.0 - self.low / 2.0) / (1u64 << PLACE) as f64;
            return Step::Found((self.low / 2.0 + self.level * place) * 2.0);
        }
        let fresh = vec![Mass::default(); BINS];
        let fresh = std::mem::replace(&mut self.fresh, fresh);
        let all = self.cut.take().map_or(fresh, |(_, all)| all);
        self.cut = Some((bin.min(BINS - 1), all));
        self.passes += 1;
        Step::Again(self)
    }
}

impl Mass {
    #[inline(always)]
    fn add(&mut self, place: u64) {
        self.count += 1;
        self.sum += place;
    }
}

impl Statistic for Masses {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.dtype, T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| self.add::<T>(view.row(t, c, z, y)));
        });
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        for (own, other) in self.fresh.iter_mut().zip(&other.fresh) {
            own.count += other.count;
            own.sum += other.sum;
        }
        self.distinct.merge(&other.distinct);
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self {
            cut: self.cut.clone(),
            fresh: vec![Mass::default(); BINS],
            distinct: Distinct::new(),
            ..*self
        })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
