//! Smaller versions of the output, written in the same pass: when which chunk of which level is complete, and what waits
//! until then.
//!
//! A group of the output becomes a piece of the first level, which waits until all pieces of its chunk are there; a
//! complete chunk is written and becomes a piece of the next level. Groups complete about in the order of the plan, so
//! it is known beforehand from which group to which one a chunk waits, and how much waits at most.

use super::demand;
use super::pool::rounded;
use super::tiles::Tiling;
use crate::contract::{Fold, Footprint, Layout, Op, Pass};
use crate::model::{Axis, Grid, Halo, Meta, NDIM, Region, Shape, voxels};
use std::sync::Arc;

/// A smaller version of the output, made block by block of the version before it.
#[derive(Clone)]
pub struct Level {
    /// Makes one voxel of every block.
    pub op: Arc<dyn Op>,
    /// What it makes.
    pub meta: Meta,
    /// How the level is cut.
    pub layout: Layout,
}

/// Why a version cannot be made in the same pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// The operation reads more than one block for a voxel.
    #[error("`{op}` reads beyond its blocks")]
    Op {
        /// Its name.
        op: &'static str,
    },
    /// Blocks would lie across chunks.
    #[error("chunks of {chunk} along {axis} are no multiple of the factor {factor}")]
    Chunk {
        /// Along which axis.
        axis: Axis,
        /// The chunk of the version before.
        chunk: u64,
        /// Voxels per block.
        factor: u64,
    },
}

impl Level {
    /// Voxels per block along each axis.
    fn factor(&self) -> Option<Shape> {
        match (self.op.footprint(0), self.op.pass()) {
            (Footprint::Point, Pass::Local) => Some([1; NDIM]),
            (Footprint::Scale { num, den, offset, halo }, Pass::Local) => {
                let plain = den == [1; NDIM] && offset == [0; NDIM] && halo == Halo::NONE;
                Some(num).filter(|num| plain && !num.contains(&0))
            }
            _ => None,
        }
    }

    pub(crate) fn grid(&self) -> Grid {
        Grid::new(self.meta.shape, self.layout.chunk)
    }

    /// The voxels of the version before that become a region, and perhaps some beyond the image.
    pub(crate) fn enlarged(&self, region: &Region) -> Region {
        let factor = self.factor().expect("checked while planning");
        let start = std::array::from_fn(|a| region.start[a] * factor[a] as i64);
        Region::new(start, std::array::from_fn(|a| region.shape[a] * factor[a]))
    }

    /// The voxels that a region of the version before becomes.
    pub(crate) fn reduced(&self, region: &Region) -> Region {
        let factor = self.factor().expect("checked while planning");
        let start = std::array::from_fn(|a| region.start[a].div_euclid(factor[a] as i64));
        let end = |a: usize| (region.end(a) as u64).div_ceil(factor[a]);
        Region::new(start, std::array::from_fn(|a| end(a) - start[a] as u64)).clip(&self.meta.shape)
    }
}

/// Refuses levels whose blocks are not whole in every chunk of the version before.
pub(crate) fn check(levels: &[Level], image: &Shape, chunk: &Shape) -> Result<(), LevelError> {
    let (mut image, mut chunk) = (*image, *chunk);
    for level in levels {
        let factor = level.factor().ok_or_else(|| LevelError::Op { op: level.op.name() })?;
        for a in 0..NDIM {
            if chunk[a] < image[a] && !chunk[a].is_multiple_of(factor[a]) {
                let axis = Axis::ALL[a];
                return Err(LevelError::Chunk { axis, chunk: chunk[a], factor: factor[a] });
            }
        }
        (image, chunk) = (level.meta.shape, level.layout.chunk);
    }
    Ok(())
}

/// Nanoseconds of one core that the levels take.
pub(crate) fn work_ns(levels: &[Level]) -> f64 {
    let one = |l: &Level| (l.op.ns_per_voxel() + l.layout.ns_per_voxel) * voxels(&l.meta.shape) as f64;
    levels.iter().map(one).sum()
}

/// When the chunks of all levels wait, if the groups of a tiling complete one after the other.
pub(crate) struct Timeline {
    /// Per level and chunk: numbers of the groups with its first and with its last piece.
    spans: Vec<Vec<(u32, u32)>>,
    /// Bytes of one chunk, per level and chunk.
    bytes: Vec<Vec<u64>>,
    groups: usize,
    /// What one group needs on its way through the levels.
    passing: u64,
}

impl Timeline {
    pub(crate) fn new(levels: &[Level], tiling: &Tiling, fold: Option<&dyn Fold>) -> Self {
        let mut groups = 0u32;
        let mut spans: Vec<Vec<(u32, u32)>> = Vec::with_capacity(levels.len());
        if let Some(first) = levels.first() {
            let grid = first.grid();
            let mut of_chunks = vec![(u32::MAX, 0); grid.len() as usize];
            let mut before = None;
            for at in tiling.iter().filter(|at| before.replace(at.group) != Some(at.group)) {
                let written = fold.map_or(at.group, |f| at.group.with_axis(f.axis(), 0, 1));
                for index in grid.covering(&first.reduced(&written)) {
                    let (from, to): &mut (u32, u32) = &mut of_chunks[grid.linear(&index) as usize];
                    (*from, *to) = ((*from).min(groups), groups);
                }
                groups += 1;
            }
            spans.push(of_chunks);
        }
        for pair in levels.windows(2) {
            let (above, level) = (pair[0].grid(), &pair[1]);
            let grid = level.grid();
            let mut of_chunks = vec![(u32::MAX, 0); grid.len() as usize];
            let complete = spans.last().expect("one per level before");
            for (index, &(_, last)) in above.iter().zip(complete) {
                for to in grid.covering(&level.reduced(&above.region(&index))) {
                    let span = &mut of_chunks[grid.linear(&to) as usize];
                    *span = (span.0.min(last), span.1.max(last));
                }
            }
            spans.push(of_chunks);
        }
        let chunk = |l: &Level, i: &Shape| rounded(demand::bytes(&l.grid().region(i), l.meta.dtype.size()));
        let bytes = levels.iter().map(|l| l.grid().iter().map(|i| chunk(l, &i)).collect()).collect();
        Self { spans, bytes, groups: groups as usize, passing: passing(levels, tiling, fold) }
    }

    /// Bytes that wait at most while so many groups are on their way.
    pub(crate) fn bytes(&self, inflight: usize) -> u64 {
        // The group that is behind may be the oldest of those on their way, and the one ahead the newest.
        let ahead = inflight.saturating_sub(1);
        let mut change = vec![0i64; self.groups + 1];
        for (spans, bytes) in self.spans.iter().zip(&self.bytes) {
            for (&(first, last), &bytes) in spans.iter().zip(bytes).filter(|((first, last), _)| first < last)
            {
                change[(first as usize).saturating_sub(ahead)] += bytes as i64;
                change[last as usize + 1] -= bytes as i64;
            }
        }
        let mut now = 0;
        let most = change.iter().map(|c| {
            now += c;
            now
        });
        most.max().unwrap_or(0) as u64 + inflight as u64 * self.passing
    }

    /// Which group completes which chunks, in the order of the plan.
    pub(crate) fn completions(&self) -> Vec<Completion> {
        let of_level = |(level, spans): (usize, &Vec<(u32, u32)>)| {
            let one = move |(number, &(_, group)): (usize, &(u32, u32))| Completion { group, level, number };
            spans.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let mut all: Vec<Completion> = self.spans.iter().enumerate().flat_map(of_level).collect();
        all.sort_unstable();
        all
    }
}

/// A chunk of a level, and the group whose piece completes it if groups complete one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Completion {
    pub(crate) group: u32,
    pub(crate) level: usize,
    pub(crate) number: usize,
}

/// Bytes of what one group needs on its way: a piece, and the chunks that it completes.
fn passing(levels: &[Level], tiling: &Tiling, fold: Option<&dyn Fold>) -> u64 {
    let Some(first) = levels.first() else { return 0 };
    let bytes = |l: &Level, region: &Region| rounded(demand::bytes(region, l.meta.dtype.size()));
    let working = |l: &Level, region: &Region| {
        let piece = l.reduced(region);
        bytes(l, &piece) + rounded(l.op.scratch(&piece.shape))
    };
    let group = Region::whole(std::array::from_fn(|a| tiling.group[a].min(tiling.image[a])));
    let group = fold.map_or(group, |f| group.with_axis(f.axis(), 0, 1));
    let piece = first.reduced(&group);
    // Chunks that the piece of one group may touch.
    let chunk = first.layout.chunk;
    let touched: u64 = (0..NDIM)
        .map(|a| {
            let n = piece.shape[a].div_ceil(chunk[a]);
            let aligned =
                piece.shape[a].is_multiple_of(chunk[a]) || chunk[a].is_multiple_of(piece.shape[a].max(1));
            let most = first.meta.shape[a].div_ceil(chunk[a]);
            if aligned { n } else { (n + 1).min(most) }
        })
        .product();
    let whole = |l: &Level| Region::whole(std::array::from_fn(|a| l.layout.chunk[a].min(l.meta.shape[a])));
    let later = levels.windows(2).map(|pair| working(&pair[1], &whole(&pair[0]))).max().unwrap_or(0);
    let complete = levels.iter().map(|l| bytes(l, &whole(l))).max().unwrap_or(0);
    working(first, &group).max(later) + touched * complete
}
