//! Tiles of a stage and the order in which they are visited.
//!
//! Tiles lie in groups: a group is a block of whole output chunks that is assembled and written at once. A tile never
//! crosses a group, so a tile of any size fits chunks of any size. Groups of one shard follow each other.

use crate::model::{Grid, NDIM, PerAxis, Region, Shape};
use std::fmt;

/// The order of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Plane by plane along z.
    Sweep,
    /// Columns of so many groups in y and x, each swept along z.
    Columns { y: u64, x: u64 },
    /// Blocks of two groups along each space axis, in blocks of two such blocks, and so on.
    Nested,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sweep => f.write_str("plane sweep"),
            Self::Columns { y, x } => write!(f, "columns of {y}×{x} chunks along z"),
            Self::Nested => f.write_str("nested blocks"),
        }
    }
}

/// How a stage's domain is cut.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tiling {
    /// Shape of the domain.
    pub(crate) image: Shape,
    /// Shape of a tile.
    pub(crate) tile: Shape,
    /// Shape of a group: a multiple of the output chunk (along a reduced axis: the whole axis).
    pub(crate) group: Shape,
    /// Shape of a shard, grown to hold a group; groups start anew in each.
    pub(crate) shard: Shape,
    pub(crate) order: Order,
}

/// One tile of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TileAt {
    pub(crate) region: Region,
    pub(crate) group: Region,
    /// Number of tiles in the group.
    pub(crate) siblings: u64,
}

impl Tiling {
    /// A tiling by `tile` over output chunks of `chunk`; `whole` marks axes that a group spans entirely.
    pub(crate) fn new(
        image: Shape,
        tile: Shape,
        chunk: &Shape,
        shard: Option<&Shape>,
        whole: Option<usize>,
        order: Order,
    ) -> Self {
        let tile: Shape = std::array::from_fn(|a| tile[a].clamp(1, image[a].max(1)));
        let up = |n: u64, step: u64| n.div_ceil(step.max(1)).saturating_mul(step.max(1));
        let group: Shape =
            std::array::from_fn(|a| if whole == Some(a) { image[a].max(1) } else { up(tile[a], chunk[a]) });
        let shard = std::array::from_fn(|a| match shard {
            Some(s) if whole != Some(a) => up(group[a], s[a]),
            _ => group[a],
        });
        Self { image, tile, group, shard, order }
    }

    /// How many tiles there are.
    pub(crate) fn len(&self) -> u64 {
        let cut = |n: u64, step: u64, parts: &dyn Fn(u64) -> u64| {
            n / step * parts(step) + if n.is_multiple_of(step) { 0 } else { parts(n % step) }
        };
        let per_axis: PerAxis<u64> = std::array::from_fn(|a| {
            let tiles = |n: u64| n.div_ceil(self.tile[a]);
            let groups = |n: u64| cut(n, self.group[a], &tiles);
            cut(self.image[a], self.shard[a], &groups)
        });
        crate::model::voxels(&per_axis)
    }

    /// All tiles in the order of the plan.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TileAt> + '_ {
        let shards = Grid::new(self.image, self.shard);
        visit(shards.counts(), self.order)
            .flat_map(move |s| {
                let outer = shards.region(&s);
                let groups = Grid::new(outer.shape, self.group);
                let in_shard = move |r: Region| r.translate(&outer.start);
                groups.iter().map(move |g| in_shard(groups.region(&g)))
            })
            .flat_map(move |group| {
                let tiles = Grid::new(group.shape, self.tile);
                let siblings = tiles.len();
                tiles.iter().map(move |i| TileAt {
                    region: tiles.region(&i).translate(&group.start),
                    group,
                    siblings,
                })
            })
    }
}

/// All indices below `counts` in an order.
fn visit(counts: Shape, order: Order) -> Box<dyn Iterator<Item = Shape>> {
    let unit = Grid::new(counts, [1; NDIM]);
    match order {
        Order::Sweep => Box::new(unit.iter()),
        Order::Nested => {
            let batches = Grid::new(counts, [1, 1, counts[2].max(1), counts[3].max(1), counts[4].max(1)]);
            Box::new(batches.iter().flat_map(move |b| Nested { open: vec![batches.region(&b)] }))
        }
        Order::Columns { y, x } => {
            let columns = Grid::new(counts, [1, 1, counts[2].max(1), y, x]);
            Box::new(columns.iter().flat_map(move |c| {
                let r = columns.region(&c);
                Grid::new(r.shape, [1; NDIM])
                    .iter()
                    .map(move |i| std::array::from_fn(|a| i[a] + r.start[a] as u64))
            }))
        }
    }
}

/// Visits the cells of a box: halves it at powers of two until one cell is left.
struct Nested {
    /// Boxes that are still to come, the next one last.
    open: Vec<Region>,
}

impl Iterator for Nested {
    type Item = Shape;

    fn next(&mut self) -> Option<Shape> {
        loop {
            let block = self.open.pop()?;
            let longest = block.shape.into_iter().max().unwrap_or(0);
            if longest <= 1 {
                return (block.voxels() == 1).then(|| block.start.map(|s| s as u64));
            }
            // All axes are cut at one length, so that blocks are cubes of a power of two, except at the far edges.
            let half = longest.next_power_of_two() / 2;
            let parts = Grid::new(block.shape, [half; NDIM]);
            let at = self.open.len();
            self.open.extend(parts.iter().map(|i| parts.region(&i).translate(&block.start)));
            self.open[at..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_cover_the_image_once_and_stay_in_their_group(
            image in proptest::array::uniform3(0u64..20), tile in proptest::array::uniform3(1u64..12),
            chunk in proptest::array::uniform3(1u64..7), width in 1u64..4, order in 0usize..3,
        ) {
            let five = |v: [u64; 3]| [1, 1, v[0], v[1], v[2]];
            let shard = five(chunk).map(|c| c * 2);
            let order = [Order::Sweep, Order::Columns { y: 3, x: width }, Order::Nested][order];
            let t = Tiling::new(five(image), five(tile), &five(chunk), Some(&shard), None, order);
            let mut seen = vec![0u8; (image[0] * image[1] * image[2]) as usize];
            let mut n = 0;
            for at in t.iter() {
                n += 1;
                prop_assert!(at.group.contains(&at.region));
                prop_assert!((0..5).all(|a| (at.group.start[a] as u64).is_multiple_of(five(chunk)[a])));
                for i in Grid::new(at.region.shape, [1; 5]).iter() {
                    let p: [u64; 5] = std::array::from_fn(|a| i[a] + at.region.start[a] as u64);
                    seen[((p[2] * image[1] + p[3]) * image[2] + p[4]) as usize] += 1;
                }
            }
            prop_assert!(seen.iter().all(|&s| s == 1));
            prop_assert_eq!(n, t.len());
        }
    }

    #[test]
    fn nested_blocks_follow_each_other() {
        let order: Vec<Shape> = visit([1, 2, 1, 2, 3], Order::Nested).collect();
        let flat: Vec<[u64; 3]> = order.iter().map(|i| [i[1], i[3], i[4]]).collect();
        let one = |c| [[c, 0, 0], [c, 0, 1], [c, 1, 0], [c, 1, 1], [c, 0, 2], [c, 1, 2]];
        assert_eq!(flat, [one(0), one(1)].concat());
    }
}
