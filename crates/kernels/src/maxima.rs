//! Voxels that are the largest within a window around them, without the largest of every window.
//!
//! Most voxels have a greater neighbour along x, which a vectorised look at the row finds; the others are compared with
//! their whole window, the nearest rows first, past rows that hold nothing greater. A voxel as large as the largest of
//! the tile needs no look, so that plateaus of it cost nothing.

use crate::vectorised;
use voxtile_sched::model::{Element, View};

/// Marks that are looked through together.
const TOGETHER: usize = 64;

/// What a row holds.
#[derive(Clone, Copy)]
pub(crate) struct Extremes<T> {
    /// The smallest number; the type's highest value if there is none.
    pub(crate) min: T,
    /// The largest number; the type's lowest value if there is none.
    pub(crate) max: T,
    /// Whether a voxel is no number.
    pub(crate) nan: bool,
}

/// A tile whose voxels are compared with those around them.
pub(crate) struct Maxima<'a, T> {
    image: View<'a, T>,
    /// How far the window reaches along z, y, x, both ways: the tile's halo.
    reach: [usize; 3],
    /// Of all rows of the tile, those of the halo too, in raster order.
    rows: Vec<Extremes<T>>,
    /// The largest voxel of each t and c, where all are numbers.
    highest: Vec<Option<T>>,
    /// Of the row that is looked at.
    marks: Vec<u8>,
}

vectorised! {
    fn survey<T: Element>(row: &[T], found: &mut Extremes<T>) {
        let (mut min, mut max, mut nan) = (T::HIGHEST, T::LOWEST, false);
        for &v in row {
            min = if v < min { v } else { min };
            max = if v > max { v } else { max };
            nan |= v.partial_cmp(&v).is_none();
        }
        *found = Extremes { min, max, nan };
    }
}

vectorised! {
    /// Marks every voxel that is greater than `above`, or any number, and not below those beside it. The row has `beside`
    /// more voxels at either end than `marks`.
    fn mark<T: Element>(row: &[T], beside: usize, above: Option<T>, marks: &mut [u8]) {
        let (any, above) = above.map_or((true, T::LOWEST), |above| (false, above));
        let all = row.iter().zip(&row[beside..]).zip(&row[2 * beside..]);
        for (mark, ((&left, &v), &right)) in marks.iter_mut().zip(all) {
            *mark = u8::from((any | (v > above)) & (v >= left) & (v >= right));
        }
    }
}

impl<'a, T: Element> Maxima<'a, T> {
    /// Over a tile with a halo of `reach` voxels along z, y, x.
    pub(crate) fn new(image: View<'a, T>, reach: [usize; 3]) -> Self {
        let [nt, nc, nz, ny, nx] = image.shape();
        let nothing = Extremes { min: T::HIGHEST, max: T::LOWEST, nan: false };
        let mut rows = vec![nothing; nt * nc * nz * ny];
        for (n, found) in rows.iter_mut().enumerate() {
            survey(image.row(n / ny / nz / nc, n / ny / nz % nc, n / ny % nz, n % ny), found);
        }
        let highest = rows.chunks(nz * ny).map(|plane| {
            let most = plane.iter().fold(T::LOWEST, |most, row| if row.max > most { row.max } else { most });
            plane.iter().all(|row| !row.nan).then_some(most)
        });
        let highest = highest.collect();
        Self { image, reach, rows, highest, marks: vec![0; nx - 2 * reach[2]] }
    }

    /// What the rows of a t and c hold, those of the halo too.
    pub(crate) fn plane(&self, t: usize, c: usize) -> &[Extremes<T>] {
        let [_, nc, nz, ny, _] = self.image.shape();
        &self.rows[(t * nc + c) * nz * ny..][..nz * ny]
    }

    /// Calls `found` for every voxel of a row, left to right, that is greater than `above` (or any, if there is no bound)
    /// and the largest of its window; the row and the places are counted without the halo. Where the window holds a voxel
    /// that is no number, none is the largest.
    pub(crate) fn of_row(
        &mut self,
        [t, c, z, y]: [usize; 4],
        above: Option<T>,
        mut found: impl FnMut(usize, T),
    ) {
        let ny = self.image.shape()[3];
        let [rz, ry, rx] = self.reach;
        let most = self.plane(t, c)[(z + rz) * ny + y + ry].max;
        // Never so for what is no number: it is not among the largest.
        if above.is_some_and(|above| most <= above) {
            return;
        }
        let highest = self.highest[t * self.image.shape()[1] + c];
        let row = self.image.row(t, c, z + rz, y + ry);
        let beside = rx.min(1);
        mark(&row[rx - beside..], beside, above, &mut self.marks);
        for (start, marks) in (0..).step_by(TOGETHER).zip(self.marks.chunks(TOGETHER)) {
            if marks.iter().fold(0, |any, mark| any | mark) == 0 {
                continue;
            }
            for x in (start..).zip(marks).filter(|(_, mark)| **mark != 0).map(|(x, _)| x) {
                let value = row[x + rx];
                if highest.is_some_and(|most| value >= most) || self.is_largest([t, c, z, y], x, value) {
                    found(x, value);
                }
            }
        }
    }

    /// Whether nothing in the window of a voxel is greater than it.
    fn is_largest(&self, at: [usize; 4], x: usize, value: T) -> bool {
        let direct = self.reach.map(|n| n.min(1));
        self.is_largest_within(direct, at, x, value) && self.is_largest_within(self.reach, at, x, value)
    }

    fn is_largest_within(&self, within: [usize; 3], [t, c, z, y]: [usize; 4], x: usize, value: T) -> bool {
        let plane = self.plane(t, c);
        let ny = self.image.shape()[3];
        let [z, y, x] = [z + self.reach[0], y + self.reach[1], x + self.reach[2]];
        let [wz, wy, wx] = within;
        nearest_first(wz).all(|dz| {
            nearest_first(wy).all(|dy| {
                let [z, y] = [z + dz - wz, y + dy - wy];
                let known = &plane[z * ny + y];
                if !known.nan && known.max <= value {
                    return true;
                }
                let window = &self.image.row(t, c, z, y)[x - wx..=x + wx];
                window.iter().fold(true, |all, other| all & (*other <= value))
            })
        })
    }
}

/// 0 to twice the reach, from the middle outwards.
fn nearest_first(reach: usize) -> impl Iterator<Item = usize> {
    (0..=2 * reach).map(move |n| if n % 2 == 0 { reach + n / 2 } else { reach - n.div_ceil(2) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::{Dtype, Tile};

    #[test]
    fn the_middle_comes_first() {
        assert_eq!(nearest_first(2).collect::<Vec<_>>(), [2, 1, 3, 0, 4]);
        assert_eq!(nearest_first(0).collect::<Vec<_>>(), [0]);
    }

    /// Every maximum of a tile of 3 × 9 × 150 with a reach of 1, 2, 3, against the largest of each window.
    #[test]
    fn maxima_are_the_largest_of_their_windows() {
        let shape = [1, 1, 3, 9, 150];
        let mut state = 7u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 / 16
        };
        let voxels: Vec<u8> = (0..3 * 9 * 150).map(|_| random()).collect();
        let tile = Tile::new(Dtype::U8, shape, &voxels);
        let mut maxima = Maxima::new(tile.view::<u8>(), [1, 2, 3]);
        let largest = |y: usize, x: usize| {
            let rows = (0..3).flat_map(|z| (y..=y + 4).map(move |y| (z * 9 + y) * 150));
            rows.flat_map(|row| &voxels[row + x..=row + x + 6]).max().copied()
        };
        for above in [None, Some(3), Some(12)] {
            for y in 0..5 {
                let mut found = Vec::new();
                maxima.of_row([0, 0, 0, y], above, |x, v| found.push((x, v)));
                let value = |x: usize| voxels[(9 + y + 2) * 150 + x + 3];
                let wanted = (0..144).map(|x| (x, value(x)));
                let wanted = wanted
                    .filter(|(x, v)| largest(y, *x) == Some(*v) && above.is_none_or(|above| *v > above));
                assert_eq!(found, wanted.collect::<Vec<_>>());
            }
        }
    }
}
