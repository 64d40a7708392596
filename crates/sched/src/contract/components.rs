//! What tiles tell of their connected components, and what the join tells them: the words between operations that find
//! components in a tile and whoever joins the tiles. The application brings the two together.

use super::Merger;
use crate::model::{PerAxis, Region, Shape};
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Which voxels are neighbours, and which components stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// Along how many space axes neighbours may differ, 1 to 3.
    pub connectivity: u8,
    /// How many voxels a component that stays has.
    pub voxels: RangeInclusive<u64>,
    /// Whether a component that stays is marked; `None` where marks do not matter.
    pub marked: Option<bool>,
    /// Whether components are counted in 64 bits, for more than 2³² − 1 of them; their [`Numbers`] are `u64` then.
    pub wide: bool,
}

/// The components of one tile, numbered from 0 in raster order of their first voxels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components {
    /// Row-major number of each component's first voxel in the whole image.
    pub first: Vec<u64>,
    /// How many voxels of each component lie in the tile.
    pub voxels: Vec<u64>,
    /// Whether the part of a component in this tile is marked; a component is when any of its parts is. Empty where
    /// marks do not matter.
    pub marked: Vec<bool>,
    /// The sample of each component, as bits; empty where all touching voxels join.
    pub value: Vec<u64>,
    /// The tile's faces towards neighbours, for z, y and x, at the low and at the high end: the number of the component
    /// plus 1, or 0 where there is none. Row-major over t, c and the other two space axes. Empty at the image's edge.
    pub faces: [[Vec<u32>; 2]; 3],
}

/// The final number of each component of each tile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers<N = u32> {
    /// Where the numbers of a tile begin, by the tile's first voxel.
    pub tiles: HashMap<PerAxis<i64>, usize>,
    /// Numbers, 0 where the component does not stay.
    pub numbers: Vec<N>,
    /// How many components stay.
    pub count: N,
}

impl<N> Numbers<N> {
    /// The numbers of the components of a tile and of those that follow.
    #[must_use]
    pub fn of(&self, region: &Region) -> &[N] {
        self.tiles.get(&region.start).map_or(&[], |&start| &self.numbers[start..])
    }
}

/// Who joins what tiles leave open: the application binds it.
#[derive(Clone, Copy, Debug)]
pub struct Joins {
    /// Joins [`Components`] over an image of this shape, into [`Numbers`] of `u32`, or of `u64` where they are wide.
    pub components: fn(&Joining, &Shape) -> Box<dyn Merger>,
}
