//! Histograms of boxes that cover the space axes of an image, for contrast that depends on the surroundings.
//!
//! Voxels count by their level, of which there are [`LEVELS`] from the lowest to the highest of the image. Boxes stand
//! side by side from the first voxel on; what the last ones lack is answered by the image's mirror image. Time points and
//! channels have boxes of their own.

use super::Extent;
use super::key::value;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use std::any::Any;
use std::ops::Range;
use voxtile_sched::contract::Statistic;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, NDIM, PerAxis, Region, Shape, Tile};

/// Levels of brightness: scikit-image's number.
pub(crate) const LEVELS: u32 = 1 << 14;

/// Where boxes lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boxes {
    image: Shape,
    /// Voxels along each axis; 1 along t and c.
    pub(crate) size: PerAxis<u64>,
    /// How many along each axis.
    count: PerAxis<u64>,
}

impl Boxes {
    /// Boxes of at most that size, which is not 0, over an image.
    pub(crate) fn new(image: Shape, size: PerAxis<u64>) -> Self {
        let size: PerAxis<u64> = std::array::from_fn(|a| size[a].min(image[a].max(1)));
        Self { image, size, count: std::array::from_fn(|a| image[a].div_ceil(size[a])) }
    }

    /// How many boxes stand along each axis.
    pub(crate) fn count(&self) -> PerAxis<u64> {
        self.count
    }

    /// Boxes in all.
    pub(crate) fn len(&self) -> u64 {
        self.count.iter().product()
    }

    /// Voxels of a box.
    pub(crate) fn voxels(&self) -> u64 {
        self.size.iter().product()
    }

    /// The number of a box.
    pub(crate) fn index(&self, at: PerAxis<u64>) -> usize {
        at.iter().zip(self.count).fold(0, |n, (at, count)| n * count as usize + *at as usize)
    }

    /// The boxes whose middles lie around a position: the one before, the one after, and how far it is from the first to
    /// the second, in voxels. Along t and c, its own box.
    pub(crate) fn around(&self, axis: Axis, position: u64) -> (u64, u64, u64) {
        let a = axis.index();
        if !axis.is_space() {
            return (position, position, 0);
        }
        let shifted = position + self.size[a] / 2;
        let after = shifted / self.size[a];
        (after.saturating_sub(1), after.min(self.count[a] - 1), shifted % self.size[a])
    }

    /// The voxels along an axis that stand a second time for what its last box lacks.
    fn mirrored(&self, a: usize) -> Range<u64> {
        let (len, lacks) = (self.image[a], self.count[a] * self.size[a] - self.image[a]);
        len.saturating_sub(1 + lacks)..len.saturating_sub(1)
    }

    /// The boxes that a position along an axis counts in.
    fn of(&self, a: usize, position: u64) -> impl Iterator<Item = u64> {
        let again = self.mirrored(a).contains(&position).then(|| self.count[a] - 1);
        std::iter::once(position / self.size[a]).chain(again)
    }
}

/// Which bin a value counts in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Halved, so that their difference is finite.
    low: f64,
    span: f64,
    /// Levels of a bin.
    width: u32,
}

impl Scale {
    /// Bins between the ends of the image.
    pub(crate) fn new(extent: &Extent, bins: u32) -> Self {
        let ends = if extent.ends[0] > extent.ends[1] { [0; 2] } else { extent.ends };
        let [low, high] = ends.map(|end| value(extent.dtype, end) / 2.0);
        Self { low, span: high - low, width: 1 + LEVELS / bins }
    }

    /// The low end and the span, both halved, and what division by the width of a bin is a product with.
    pub(crate) fn numbers(self) -> (f64, f64, u64) {
        (self.low, self.span, (1u64 << 32) / u64::from(self.width) + 1)
    }

    /// The bins of a row; NaN counts as the lowest value.
    pub(crate) fn row<T: Sample>(self, from: &[T], to: &mut [u16]) {
        let inverse = (1u64 << 32) / u64::from(self.width) + 1;
        bins(from, to, self.low, self.span, inverse);
    }
}

vectorised! {
    fn bins<T: Sample>(from: &[T], to: &mut [u16], low: f64, span: f64, inverse: u64) {
        let last = f64::from(LEVELS - 1);
        for (to, from) in to.iter_mut().zip(from) {
            let level = ((from.to_f64() / 2.0 - low) / span * last).round_ties_even();
            let level = if level > 0.0 { if level < last { level } else { last } } else { 0.0 };
            // Division by a bin's width: levels have few enough bits for it to be exact.
            *to = ((u64::from(level as u32) * inverse) >> 32) as u16;
        }
    }
}

/// How many voxels of each box lie in each bin.
pub(crate) struct Contextual {
    boxes: Boxes,
    scale: Scale,
    bins: usize,
    counts: Vec<u64>,
    row: Vec<u16>,
}

impl Contextual {
    /// Nothing counted yet.
    pub(crate) fn new(boxes: Boxes, scale: Scale, bins: u32) -> Self {
        let bins = bins as usize;
        let counts = vec![0; boxes.len() as usize * bins];
        Self { boxes, scale, bins, counts, row: Vec::new() }
    }

    /// Where the bins lie.
    pub(crate) fn scale(&self) -> Scale {
        self.scale
    }

    /// The counts of each box.
    pub(crate) fn histograms(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.bins)
    }

    /// Counts a row of bins whose first voxel lies there, in a row of boxes.
    fn count(&mut self, row: &[u16], at: PerAxis<u64>, boxes: PerAxis<u64>) {
        let first = self.boxes.index(boxes);
        let mut add = |n: u64, part: &[u16]| {
            let counts = &mut self.counts[(first + n as usize) * self.bins..][..self.bins];
            part.iter().for_each(|&bin| counts[usize::from(bin)] += 1);
        };
        let x = Axis::X.index();
        let (start, end, size) = (at[x], at[x] + row.len() as u64, self.boxes.size[x]);
        let part = |from: u64, to: u64| &row[(from - start) as usize..(to - start) as usize];
        let mut from = start;
        while from < end {
            let own = from / size;
            let to = end.min((own + 1) * size);
            add(own, part(from, to));
            from = to;
        }
        let again = self.boxes.mirrored(x);
        let (from, to) = (again.start.max(start), again.end.min(end));
        if from < to {
            add(self.boxes.count[x] - 1, part(from, to));
        }
    }
}

impl Statistic for Contextual {
    fn observe(&mut self, tile: &Tile<'_>, region: &Region) {
        let mut row = std::mem::take(&mut self.row);
        row.resize(tile.shape()[NDIM - 1], 0);
        dispatch!(tile.dtype(), T => {
            let view = tile.view::<T>();
            for_rows(tile.shape(), |t, c, z, y| {
                self.scale.row::<T>(view.row(t, c, z, y), &mut row);
                let within = [t, c, z, y, 0];
                let at: PerAxis<u64> = std::array::from_fn(|a| region.start[a] as u64 + within[a] as u64);
                let boxes = self.boxes;
                for z in boxes.of(2, at[2]) {
                    for y in boxes.of(3, at[3]) {
                        self.count(&row, at, [at[0], at[1], z, y, 0]);
                    }
                }
            });
        });
        self.row = row;
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self::new(self.boxes, self.scale, self.bins as u32))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
