//! Values of given ranks, exactly, in any type: 16 bits of their keys in each pass.
//!
//! The first pass counts the voxels by the highest digit of their keys; so it is known which digit each wanted rank
//! has. The next counts those voxels by their second digit that share the first one with a wanted rank, and so on.

use super::key::{ends, key, value};
use super::{add_counts, counting};
use crate::device::constants;
use crate::pointwise::{Sample, for_rows};
use std::any::Any;
use voxtile_sched::contract::device::{Argument, Buffer, Slot};
use voxtile_sched::contract::{Kernels, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Shape, Tile};

/// Bits of a digit.
const DIGIT: u32 = 16;
const DIGITS: usize = 1 << DIGIT;

/// Percentiles of the finite voxels on the way to be found: a statistic that is shown the whole image, then asked for the
/// [`next`](Self::next) step, and shown the image again until there is none.
pub struct Ranks {
    dtype: Dtype,
    percents: Vec<f64>,
    /// Bits below the digit that is counted.
    shift: u32,
    /// What stands before the digit, in rising order, and what has been found so far.
    prefixes: Vec<u64>,
    wanted: Vec<Wanted>,
    /// Of each prefix, [`DIGITS`].
    counts: Vec<u64>,
}

/// A rank among the voxels of a prefix.
#[derive(Clone, Copy)]
struct Wanted {
    prefix: u64,
    rank: u64,
    /// Of a pair of neighbouring ranks, how much of the second one.
    part: f64,
}

/// After a pass.
pub enum Step {
    /// Another pass, with this.
    Again(Ranks),
    /// The percentiles; none if no voxel counts.
    Found(Vec<f64>),
}

impl Ranks {
    /// Looks for percentiles, numbers from 0 to 100, in images of that type.
    #[must_use]
    pub fn new(dtype: Dtype, percents: Vec<f64>) -> Self {
        let shift = (8 * dtype.size() as u32).saturating_sub(DIGIT);
        Self { dtype, percents, shift, prefixes: vec![0], wanted: Vec::new(), counts: vec![0; DIGITS] }
    }

    /// Passes over images of that type.
    pub(crate) fn passes(dtype: Dtype) -> usize {
        dtype.size().div_ceil(2)
    }

    /// Bytes of the search for so many percentiles.
    pub(crate) fn bytes(count: usize) -> u64 {
        (2 * count * DIGITS * 8) as u64
    }

    /// Takes a tile in, wherever it lies.
    pub fn take(&mut self, tile: &Tile<'_>) {
        dispatch!(self.dtype, T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| self.count::<T>(view.row(t, c, z, y)));
        });
    }

    /// Takes in what another one of the same pass has counted.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
    }

    /// One of the same pass that has counted nothing yet.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            dtype: self.dtype,
            percents: self.percents.clone(),
            shift: self.shift,
            prefixes: self.prefixes.clone(),
            wanted: self.wanted.clone(),
            counts: vec![0; self.counts.len()],
        }
    }

    /// Takes a row in, of samples of that type.
    pub(crate) fn count<T: Sample>(&mut self, row: &[T]) {
        let [low, high] = ends::<T>();
        for &v in row.iter().filter(|v| **v >= low && **v <= high) {
            let key = key(v);
            let (digit, before) = ((key >> self.shift) as usize % DIGITS, (key >> self.shift) >> DIGIT);
            for (counts, prefix) in self.counts.chunks_exact_mut(DIGITS).zip(&self.prefixes) {
                if *prefix == before {
                    counts[digit] += 1;
                }
            }
        }
    }

    /// The ranks on both sides of each percentile, of so many voxels.
    fn ranks(&self, total: u64) -> Vec<Wanted> {
        let last = total - 1;
        let pair = |percent: &f64| {
            let at = last as f64 * (percent / 100.0);
            let lower = (at.floor() as u64).min(last);
            let part = at - lower as f64;
            [lower, (lower + 1).min(last)].map(|rank| Wanted { prefix: 0, rank, part })
        };
        self.percents.iter().flat_map(pair).collect()
    }

    /// Given a pass over the whole image, another one or the percentiles, in the order in which they were asked for.
    #[must_use]
    pub fn next(mut self) -> Step {
        if self.wanted.is_empty() {
            match self.counts.iter().sum() {
                0 => return Step::Found(Vec::new()),
                total => self.wanted = self.ranks(total),
            }
        }
        for wanted in &mut self.wanted {
            let group = self.prefixes.iter().position(|p| *p == wanted.prefix).expect("a prefix of its own");
            let counts = &self.counts[group * DIGITS..][..DIGITS];
            let digit = counts.iter().position(|&n| match wanted.rank.checked_sub(n) {
                Some(rest) => {
                    wanted.rank = rest;
                    false
                }
                None => true,
            });
            let digit = digit.expect("a rank lies below the count") as u64;
            wanted.prefix = (wanted.prefix << DIGIT) | digit;
        }
        if self.shift == 0 {
            return Step::Found(self.percentiles());
        }
        self.prefixes = self.wanted.iter().map(|w| w.prefix).collect();
        self.prefixes.sort_unstable();
        self.prefixes.dedup();
        self.shift -= DIGIT;
        self.counts = vec![0; self.prefixes.len() * DIGITS];
        Step::Again(self)
    }

    /// Between two values as numpy does by default; of `f32`, in `f32`.
    fn percentiles(&self) -> Vec<f64> {
        let between = |pair: &[Wanted]| {
            let [a, b] = [pair[0], pair[1]].map(|w| value(self.dtype, w.prefix));
            between(a, b, pair[0].part, self.dtype == Dtype::F32)
        };
        self.wanted.chunks_exact(2).map(between).collect()
    }
}

/// The number at `part` of the way from `a` to `b`, in the arithmetic of numpy's percentiles.
pub(super) fn between(a: f64, b: f64, part: f64, single: bool) -> f64 {
    let round = |x: f64| if single { f64::from(x as f32) } else { x };
    let way = |part: f64| round(round(b - a) * round(part));
    round(if part >= 0.5 { b - way(1.0 - part) } else { a + way(part) })
}

impl Statistic for Ranks {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        self.take(tile);
    }

    fn kernels(&self, tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        let counts = Buffer::row(Dtype::U32, self.counts.len() as u64).zeroed();
        let from = vec![Slot::Input(0), Slot::Constants(0)];
        let shift = vec![Argument::U32(self.shift)];
        let sweep = counting(format!("digits_{tile}"), from, vec![Slot::Result(0)], shift);
        let constants = vec![constants(&self.prefixes)];
        (tile == Dtype::F32).then(|| Kernels { constants, results: vec![counts.into()], ..sweep.into() })
    }

    fn take(&mut self, results: &[&[u8]], _region: &Region) -> bool {
        add_counts(results[0], &mut self.counts);
        true
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        self.add(&other.into_any().downcast::<Self>().expect("statistics of one operation"));
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(self.another())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
