//! Minimum over any set of voxels, as runs along x.
//!
//! ```text
//! rows    of a plane: minima over runs of each length from every voxel on, each level from the one before
//! slices  of the set, those that are alike once: minimum of the runs at their places → a row of minima
//! planes  that a slice belongs to: minimum with what earlier planes gave → output, after the last
//! ```
//!
//! Cost: one load and comparison for each run of each slice, and one for each plane. To each run's minimum a number may
//! be added: a surface of whole heights, as a ball that rolls below an image.

use super::codec::{Codec, Encoded};
use super::extremum::{parts, pitch};
use super::set::Run;
use super::vector::{Kernel, Key, Two, Vector};
use super::volume::Volume;
use super::{GROUP_BYTES, carve, carved_bytes, panel};
use std::collections::BTreeMap;

/// What is done for a set, and where it lies in the scratch buffer.
pub(super) struct Runs {
    /// The box around the set and its centre, along `z, y, x`.
    size: [usize; 3],
    /// Lengths of runs, rising from 1 and at most four times the one before.
    levels: Vec<usize>,
    slices: Vec<Slice>,
    /// The first and the last plane that the set has voxels in.
    ends: [usize; 2],
    /// Most output rows of a block.
    block: usize,
    /// Most output voxels of a block along x.
    panel: usize,
    /// Keys between rows of minima of runs.
    pitch: usize,
}

/// What the set has in one plane or more.
struct Slice {
    planes: Vec<usize>,
    heights: Vec<Height>,
}

/// Runs to whose minimum the same number is added.
struct Height {
    rise: u64,
    /// Where the runs of the first window lie.
    runs: Vec<usize>,
}

impl Runs {
    /// Output bytes of a panel.
    const PANEL_BYTES: usize = 256;
    /// Output rows of a block: of small sets, and of large ones, whose rows above and below are read for each block.
    const BLOCK: [usize; 2] = [8, 32];
    /// Most lengths of runs that have a level each; of more, two runs of a power of two stand for one.
    const LEVELS: usize = 16;

    /// Runs and what is added to each, in a box of `size` whose centre is `lo` voxels from its start, for keys of
    /// `bytes` bytes.
    pub(super) fn new(size: [usize; 3], lo: [usize; 3], runs: &[(Run, u64)], bytes: usize) -> Self {
        let lengths = runs.iter().map(|(run, _)| run.len as usize);
        let levels = levels(lengths.collect());
        let block = size[1].clamp(Self::BLOCK[0], Self::BLOCK[1]);
        let panel = Self::PANEL_BYTES / bytes;
        let pitch = pitch(panel + size[2] - 1, bytes);
        let place = |origin: usize, at: i64| (origin as i64 + at) as usize;
        // Planes, and in each the runs by what is added to them.
        let mut planes: BTreeMap<usize, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
        for &(run, rise) in runs {
            let (y, x, len) = (place(lo[1], run.y), place(lo[2], run.x), run.len as usize);
            let level = levels.partition_point(|&level| level <= len) - 1;
            let row = (level * (block + size[1] - 1) + y) * pitch;
            let places = planes.entry(place(lo[0], run.z)).or_default().entry(rise).or_default();
            places.push(row + x);
            if levels[level] < len {
                places.push(row + x + len - levels[level]);
            }
        }
        let ends = [first(&planes), last(&planes)];
        let mut slices: BTreeMap<BTreeMap<u64, Vec<usize>>, Vec<usize>> = BTreeMap::new();
        for (z, heights) in planes {
            slices.entry(heights).or_default().push(z);
        }
        let height = |(rise, runs)| Height { rise, runs };
        let slice = |(heights, planes): (BTreeMap<_, _>, _)| Slice {
            planes,
            heights: heights.into_iter().map(height).collect(),
        };
        let slices = slices.into_iter().map(slice).collect();
        Self { size, levels, slices, ends, block, panel, pitch }
    }

    /// Rows of one level.
    fn rows(&self) -> usize {
        self.block + self.size[1] - 1
    }

    /// Keys of: minima of runs, of planes.
    fn elements(&self) -> [usize; 2] {
        [self.levels.len() * self.rows() * self.pitch, self.size[0] * self.block * self.panel]
    }

    /// Scratch for all windows.
    pub(super) fn bytes<K>(&self) -> usize {
        self.elements().iter().map(|&n| carved_bytes::<K>(n)).sum()
    }

    /// Comparisons of vectors for an output vector.
    pub(super) fn cost(&self) -> f64 {
        let slice = |s: &Slice| s.planes.len() + s.heights.iter().map(|h| 1 + h.runs.len()).sum::<usize>();
        let rows = self.rows() as f64 / self.block as f64;
        3.0 * rows * self.levels.len() as f64 + self.slices.iter().map(slice).sum::<usize>() as f64
    }
}

fn first<T>(planes: &BTreeMap<usize, T>) -> usize {
    planes.first_key_value().map_or(0, |(&z, _)| z)
}

fn last<T>(planes: &BTreeMap<usize, T>) -> usize {
    planes.last_key_value().map_or(0, |(&z, _)| z)
}

/// The levels that make runs of these lengths.
fn levels(mut lengths: Vec<usize>) -> Vec<usize> {
    lengths.push(1);
    lengths.sort_unstable();
    lengths.dedup();
    if lengths.len() > Runs::LEVELS {
        let longest = lengths[lengths.len() - 1];
        return (0..=longest.ilog2()).map(|n| 1 << n).collect();
    }
    let mut levels = vec![1];
    for &len in &lengths[1..] {
        while 4 * levels[levels.len() - 1] < len {
            levels.push(4 * levels[levels.len() - 1]);
        }
        levels.push(len);
    }
    levels.dedup();
    levels
}

/// All windows of one volume.
pub(super) struct Minima<'a, K, const FLOAT: bool> {
    pub(super) runs: &'a Runs,
    pub(super) volume: Volume<'a, K, FLOAT>,
}

impl<K: Key, const FLOAT: bool> Kernel<K> for Minima<'_, K, FLOAT> {
    #[inline(always)]
    fn run<V: Vector<Key = K>>(self, proof: V::Proof) {
        let panel = panel(self.volume.out[2], self.runs.panel, GROUP_BYTES / size_of::<K>());
        if panel < Two::<V>::COUNT {
            self.windows::<V>(proof, panel);
        } else if panel < Two::<Two<V>>::COUNT {
            self.windows::<Two<V>>(proof, panel);
        } else {
            self.windows::<Two<Two<V>>>(proof, panel);
        }
    }
}

impl<K: Key, const FLOAT: bool> Minima<'_, K, FLOAT> {
    #[inline(always)]
    fn windows<V: Vector<Key = K>>(self, proof: V::Proof, panel: usize) {
        let Self { runs, volume } = self;
        let Volume { out: [nz, ny, nx], samples, src, src_step, dst, dst_step, scratch } = volume;
        let [kz, ky, kx] = runs.size;
        let [levels, planes] = runs.elements();
        let (levels, rest) = carve::<K>(scratch, levels);
        let (planes, _) = carve::<K>(rest, planes);
        for top in (0..ny).step_by(runs.block) {
            let rows = runs.block.min(ny - top);
            for left in (0..nx).step_by(panel) {
                // The last panel overlaps the one before, as do the last vectors in each row.
                let left = left.min(nx - panel);
                for plane in 0..nz + kz - 1 {
                    // The output plane whose window has the slice's plane here.
                    let output = |at: usize| plane.checked_sub(at).filter(|&z| z < nz);
                    if !runs.slices.iter().any(|s| s.planes.iter().any(|&at| output(at).is_some())) {
                        continue;
                    }
                    for y in 0..rows + ky - 1 {
                        let row =
                            &src[plane * src_step[0] + (top + y) * src_step[1] + left..][..panel + kx - 1];
                        runs.level::<V>(proof, samples, row, &mut levels[y * runs.pitch..]);
                    }
                    // Row by row, so that the minima above and below it are in L1.
                    for y in 0..rows {
                        for slice in &runs.slices {
                            if !slice.planes.iter().any(|&at| output(at).is_some()) {
                                continue;
                            }
                            for x in (0..panel).step_by(V::COUNT) {
                                let x = x.min(panel - V::COUNT);
                                let least = slice.least::<V>(proof, &levels[y * runs.pitch + x..]);
                                for &at in &slice.planes {
                                    let Some(z) = output(at) else { continue };
                                    let kept = &mut planes[(z % kz * runs.block + y) * runs.panel + x..];
                                    let least = if at == runs.ends[0] {
                                        least
                                    } else {
                                        least.min(V::load(proof, kept))
                                    };
                                    if at == runs.ends[1] {
                                        let to = z * dst_step[0] + (top + y) * dst_step[1] + left + x;
                                        samples.decode(proof, least).store(&mut dst[to..]);
                                    } else {
                                        least.store(kept);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Runs {
    /// The minima of the runs of every level along one row of samples; `to` starts at its row of the first level.
    #[inline(always)]
    fn level<V: Vector>(
        &self,
        proof: V::Proof,
        codec: impl Codec<V::Key>,
        row: &[V::Key],
        to: &mut [V::Key],
    ) {
        let step = self.rows() * self.pitch;
        for x in (0..row.len()).step_by(V::COUNT) {
            let x = x.min(row.len() - V::COUNT);
            codec.encode(proof, V::load(proof, &row[x..])).store(&mut to[x..]);
        }
        for (n, pair) in self.levels.windows(2).enumerate() {
            let (from, to) = to[n * step..].split_at_mut(step);
            let (reach, len) = (pair[0], pair[1]);
            let out = &mut to[..row.len() + 1 - len];
            match len.div_ceil(reach) {
                2 => parts::<V, _>(proof, Encoded, from, [0, len - reach], out),
                3 => parts::<V, _>(proof, Encoded, from, [0, reach, len - reach], out),
                _ => parts::<V, _>(proof, Encoded, from, [0, reach, 2 * reach, len - reach], out),
            }
        }
    }
}

impl Slice {
    /// The least of its runs in the windows of one vector; `levels` starts at the first window.
    #[inline(always)]
    fn least<V: Vector>(&self, proof: V::Proof, levels: &[V::Key]) -> V {
        let mut least = V::splat(proof, V::Key::ONES);
        for Height { rise, runs } in &self.heights {
            let mut lowest = V::splat(proof, V::Key::ONES);
            for &run in runs {
                lowest = lowest.min(V::load(proof, &levels[run..]));
            }
            if *rise > 0 {
                // Up to the largest key, not beyond.
                lowest = lowest.min(V::splat(proof, V::Key::lowest_bits(!rise)));
                lowest = lowest.sub(V::splat(proof, V::Key::lowest_bits(rise.wrapping_neg())));
            }
            least = least.min(lowest);
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_at_most_four_times_the_one_before_and_none_is_longer_than_a_run() {
        assert_eq!(levels(vec![1]), [1]);
        assert_eq!(levels(vec![15, 1, 3, 15]), [1, 3, 12, 15]);
        assert_eq!(levels(vec![9]), [1, 4, 9]);
        assert_eq!(levels((1..=35).collect()), [1, 2, 4, 8, 16, 32]);
    }
}
