//! Connected components of one tile: runs of foreground along x, joined where they touch; and objects of a label image,
//! which are runs of one value.

mod face;
mod kept;
#[cfg(test)]
pub(crate) mod oracle;
mod runs;
mod select;
mod values;

pub(crate) use kept::paint;
pub(crate) use runs::Same;
pub(crate) use select::{Marks, Selection, Writes};
pub(crate) use values::{ByValue, Choice, Key, Labelled};

use self::runs::{Run, Runs};
use crate::pointwise::Sample;
use std::ops::Range;
use voxtile_sched::contract::{Components, Part};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Region, Shape, Tile};

/// Which components are marked.
#[derive(Clone, Copy)]
pub(crate) enum Mark<'a> {
    /// None; marks do not matter.
    Nothing,
    /// Those that touch the edge of the image along these axes.
    Edge(AxisSet),
    /// Those with a voxel that is not 0 in this tile.
    Where(&'a Tile<'a>),
}

/// Bytes that labelling a tile takes besides the tile, at the worst: every other voxel a run of its own, in sets of
/// its own.
pub(crate) fn scratch(tile: &Shape) -> u64 {
    const PER_VOXEL: u64 = 24;
    voxtile_sched::model::voxels(tile).saturating_mul(PER_VOXEL)
}

/// The components of a tile: what its neighbours must know, and what painting it needs. `region` is the tile's place in
/// an image of shape `image`.
pub(crate) fn part(
    tile: &Tile<'_>,
    same: Same,
    connectivity: u8,
    mark: Mark<'_>,
    place: (&Region, &Shape),
) -> Part {
    part_of(&Runs::of(tile, same), same, connectivity, mark, place)
}

/// The same from the runs of a tile.
fn part_of(
    runs: &Runs,
    same: Same,
    connectivity: u8,
    mark: Mark<'_>,
    (region, image): (&Region, &Shape),
) -> Part {
    let (labels, count) = runs.label(connectivity);
    let mut components = Components {
        first: Vec::with_capacity(count),
        voxels: vec![0; count],
        marked: Vec::new(),
        value: Vec::new(),
        faces: face::faces(runs, &labels, region, image),
    };
    for (row, range) in runs.rows() {
        let at = runs.position(row);
        for n in range {
            let (run, label) = (runs.runs[n], labels[n] as usize);
            components.voxels[label] += u64::from(run.end - run.start);
            if label == components.first.len() {
                let at = [at[0], at[1], at[2], at[3], run.start as usize];
                let linear = (0..5).fold(0, |n, a| n * image[a] + (region.start[a] as u64 + at[a] as u64));
                components.first.push(linear);
                if same == Same::Value {
                    components.value.push(runs.values[n]);
                }
            }
        }
    }
    components.marked = match mark {
        Mark::Nothing => Vec::new(),
        Mark::Edge(axes) => at_edge(runs, &labels, count, axes, region, image),
        Mark::Where(tile) => dispatch!(tile.dtype(), T => with_any::<T>(runs, &labels, count, tile)),
    };
    let mut kept = Vec::new();
    kept::encode(runs, &labels, &mut kept);
    Part { kept, faces: Box::new(components) }
}

/// Calls `see` with each row's position and its runs.
fn each_row(runs: &Runs, mut see: impl FnMut([usize; 4], Range<usize>)) {
    for (row, range) in runs.rows() {
        see(runs.position(row), range);
    }
}

fn at_edge(
    runs: &Runs,
    labels: &[u32],
    count: usize,
    axes: AxisSet,
    region: &Region,
    image: &Shape,
) -> Vec<bool> {
    let mut marked = vec![false; count];
    let ends = |axis: Axis, from: usize, to: usize| {
        let a = axis.index();
        let first = region.start[a] + from as i64;
        let last = region.start[a] + to as i64;
        axes.contains(axis) && (first == 0 || last + 1 == image[a] as i64)
    };
    each_row(runs, |[_, _, z, y], range| {
        let all = ends(Axis::Z, z, z) || ends(Axis::Y, y, y);
        for n in range {
            let Run { start, end } = runs.runs[n];
            marked[labels[n] as usize] |= all || ends(Axis::X, start as usize, end as usize - 1);
        }
    });
    marked
}

fn with_any<T: Sample>(runs: &Runs, labels: &[u32], count: usize, tile: &Tile<'_>) -> Vec<bool> {
    let mut marked = vec![false; count];
    let view = tile.view::<T>();
    each_row(runs, |[t, c, z, y], range| {
        let row = view.row(t, c, z, y);
        for n in range {
            let Run { start, end } = runs.runs[n];
            let any = row[start as usize..end as usize].iter().any(|v| *v != T::default());
            marked[labels[n] as usize] |= any;
        }
    });
    marked
}
