//! Voxels that are the largest within a window around them, without the largest of every window.
//!
//! Most voxels have a greater direct neighbour, which a vectorised look at 3×3×3 finds; the few others are compared with
//! their whole window, the nearest rows first, past rows that hold nothing greater. A voxel as large as the largest of
//! the tile needs no look, so that plateaus of it cost nothing.

use crate::vectorised;
use voxtile_sched::model::{Element, View};

/// Voxels that are screened together.
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
    /// Sets a flag for every voxel of `row` that is greater than `above`, or any number, and not below a direct neighbour.
    fn screen<T: Element>(row: &[T], above: Option<T>, around: &[&[T]], flags: &mut [bool; TOGETHER]) {
        let (any, above) = above.map_or((true, T::LOWEST), |above| (false, above));
        let mut columns = [T::LOWEST; TOGETHER + 2];
        for other in around {
            for (most, &v) in columns.iter_mut().zip(*other) {
                *most = if v > *most { v } else { *most };
            }
        }
        let beside = columns[1..].iter().zip(&columns[2..]);
        for (((flag, &v), &left), (&here, &right)) in flags.iter_mut().zip(row).zip(&columns).zip(beside) {
            *flag = (any | (v > above)) & (v >= left) & (v >= here) & (v >= right);
        }
    }
}

impl<'a, T: Element> Maxima<'a, T> {
    /// Over a tile with a halo of `reach` voxels along z, y, x.
    pub(crate) fn new(image: View<'a, T>, reach: [usize; 3]) -> Self {
        let [nt, nc, nz, ny, _] = image.shape();
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
        Self { image, reach, rows, highest }
    }

    /// What the rows of a t and c hold, those of the halo too.
    pub(crate) fn plane(&self, t: usize, c: usize) -> &[Extremes<T>] {
        let [_, nc, nz, ny, _] = self.image.shape();
        &self.rows[(t * nc + c) * nz * ny..][..nz * ny]
    }

    /// Calls `found` for every voxel of a row, left to right, that is greater than `above` (or any, if there is no bound)
    /// and the largest of its window; the row and the places are counted without the halo. Where the window holds a voxel
    /// that is no number, none is the largest.
    pub(crate) fn of_row(&self, [t, c, z, y]: [usize; 4], above: Option<T>, mut found: impl FnMut(usize, T)) {
        let plane = self.plane(t, c);
        let ny = self.image.shape()[3];
        let [rz, ry, rx] = self.reach;
        let most = plane[(z + rz) * ny + y + ry].max;
        // Never so for what is no number: it is not among the largest.
        if above.is_some_and(|above| most <= above) {
            return;
        }
        let highest = self.highest[t * self.image.shape()[1] + c];
        let row = &self.image.row(t, c, z + rz, y + ry)[rx..];
        let row = &row[..row.len() - rx];
        for start in (0..row.len()).step_by(TOGETHER) {
            let part = &row[start..row.len().min(start + TOGETHER)];
            let mut flags = [false; TOGETHER];
            self.screen([t, c, z, y], start, part, above, &mut flags);
            for (x, &v) in part.iter().enumerate().filter(|(x, _)| flags[*x]) {
                if highest.is_some_and(|most| v >= most) || self.is_largest([t, c, z, y], start + x, v) {
                    found(start + x, v);
                }
            }
        }
    }

    /// Screens part of a row against its direct neighbours, as far as the window reaches them.
    fn screen(
        &self,
        [t, c, z, y]: [usize; 4],
        x: usize,
        part: &[T],
        above: Option<T>,
        flags: &mut [bool; TOGETHER],
    ) {
        let [rz, ry, rx] = self.reach;
        let mut around: [&[T]; 9] = [&[]; 9];
        let mut count = 0;
        for z in z + rz - rz.min(1)..=z + rz + rz.min(1) {
            for y in y + ry - ry.min(1)..=y + ry + ry.min(1) {
                // From the left neighbour on; without a reach along x, a row is one voxel, its own left neighbour.
                let row = &self.image.row(t, c, z, y)[x + rx - rx.min(1)..];
                around[count] = &row[..row.len().min(part.len() + 2 * rx.min(1))];
                count += 1;
            }
        }
        screen(part, above, &around[..count], flags);
    }

    /// Whether nothing in the window of a voxel is greater than it.
    fn is_largest(&self, [t, c, z, y]: [usize; 4], x: usize, value: T) -> bool {
        let plane = self.plane(t, c);
        let ny = self.image.shape()[3];
        let [rz, ry, rx] = self.reach;
        nearest_first(rz).all(|dz| {
            nearest_first(ry).all(|dy| {
                let known = &plane[(z + dz) * ny + y + dy];
                if !known.nan && known.max <= value {
                    return true;
                }
                let window = &self.image.row(t, c, z + dz, y + dy)[x..=x + 2 * rx];
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
        let maxima = Maxima::new(tile.view::<u8>(), [1, 2, 3]);
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
