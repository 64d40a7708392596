//! Values of any rank in large windows of 8 and 16 bits: how often each value occurs, kept up to date from one voxel to
//! the next (T. Huang, "A fast two-dimensional median filtering algorithm", 1979).
//!
//! A window that moves by one voxel along x loses the first key of each of its runs and gains one behind each. The
//! wanted value moves a little with it: from where it was, over the values in between, or over whole bins of them.
//! Cost: two counts changed for each run, whatever its length.

use super::vector::Key;
use super::{carve, carved_bytes};
use std::ops::Range;

/// All windows of one volume.
pub(super) struct Sliding<'a, K> {
    /// Output voxels along `z, y, x`.
    pub(super) out: [usize; 3],
    /// Rows of a plane of the window's box.
    pub(super) height: usize,
    /// The window's rows in its box, and the columns in each.
    pub(super) rows: &'a [(usize, Range<usize>)],
    /// How many keys come before the wanted one.
    pub(super) rank: usize,
    /// Makes keys of samples, and samples of keys.
    pub(super) flip: K,
    pub(super) src: &'a [K],
    /// Keys between planes and rows.
    pub(super) src_step: [usize; 2],
    pub(super) dst: &'a mut [K],
    /// Keys between planes and rows.
    pub(super) dst_step: [usize; 2],
    pub(super) scratch: &'a mut [u8],
}

/// Bits of a value within its bin.
const fn bin_bits<K>() -> usize {
    4 * size_of::<K>()
}

/// Values, and bins of them.
const fn counts<K>() -> [usize; 2] {
    [1 << (8 * size_of::<K>()), 1 << (8 * size_of::<K>() - bin_bits::<K>())]
}

/// Scratch for a window of that many runs.
pub(super) fn bytes<K>(runs: usize) -> usize {
    let [values, bins] = counts::<K>();
    carved_bytes::<u32>(values) + carved_bytes::<u32>(bins) + carved_bytes::<[usize; 2]>(runs)
}

impl<K: Key> Sliding<'_, K> {
    pub(super) fn run(self) {
        let [values, bins] = counts::<K>();
        let (values, rest) = carve::<u32>(self.scratch, values);
        let (bins, rest) = carve::<u32>(rest, bins);
        let (runs, _) = carve::<[usize; 2]>(rest, self.rows.len());
        for (run, (row, columns)) in runs.iter_mut().zip(self.rows) {
            let start =
                row / self.height * self.src_step[0] + row % self.height * self.src_step[1] + columns.start;
            *run = [start, start + columns.len()];
        }
        values.fill(0);
        bins.fill(0);
        let mut counts = Counts { values, bins, shift: bin_bits::<K>(), at: 0, before: 0 };
        let number = |key: K| (key.number() ^ self.flip.number()) as usize;
        let [nz, ny, nx] = self.out;
        for z in 0..nz {
            for y in 0..ny {
                let src = &self.src[z * self.src_step[0] + y * self.src_step[1]..];
                let dst = &mut self.dst[z * self.dst_step[0] + y * self.dst_step[1]..][..nx];
                for &[start, end] in &*runs {
                    src[start..end].iter().for_each(|&key| counts.add(number(key)));
                }
                for (x, out) in dst.iter_mut().enumerate() {
                    let found = counts.find(self.rank) as u64;
                    *out = K::lowest_bits(found ^ self.flip.number());
                    if x + 1 < nx {
                        for &[start, end] in &*runs {
                            counts.replace(number(src[start + x]), number(src[end + x]));
                        }
                    }
                }
                for &[start, end] in &*runs {
                    let last = &src[start + nx - 1..end + nx - 1];
                    last.iter().for_each(|&key| counts.remove(number(key)));
                }
            }
        }
    }
}

/// How often each value occurs in a window.
struct Counts<'a> {
    values: &'a mut [u32],
    bins: &'a mut [u32],
    /// Bits of a value within its bin.
    shift: usize,
    /// A value, near the wanted one.
    at: usize,
    /// How many keys are below it.
    before: usize,
}

impl Counts<'_> {
    #[inline(always)]
    fn add(&mut self, value: usize) {
        self.values[value] += 1;
        self.bins[value >> self.shift] += 1;
        self.before += usize::from(value < self.at);
    }

    #[inline(always)]
    fn remove(&mut self, value: usize) {
        self.values[value] -= 1;
        self.bins[value >> self.shift] -= 1;
        self.before -= usize::from(value < self.at);
    }

    #[inline(always)]
    fn replace(&mut self, old: usize, new: usize) {
        self.values[old] -= 1;
        self.values[new] += 1;
        let (left, entered) = (old >> self.shift, new >> self.shift);
        // Most often they are the same, and the next change would have to wait for this one.
        if left != entered {
            self.bins[left] -= 1;
            self.bins[entered] += 1;
        }
        self.before = self.before + usize::from(new < self.at) - usize::from(old < self.at);
    }

    /// The value that `rank` others come before.
    #[inline(always)]
    fn find(&mut self, rank: usize) -> usize {
        let within = (1 << self.shift) - 1;
        while self.before > rank {
            if self.at & within == 0 {
                let bin = self.bins[(self.at >> self.shift) - 1] as usize;
                if self.before - bin > rank {
                    self.before -= bin;
                    self.at -= within + 1;
                    continue;
                }
            }
            self.at -= 1;
            self.before -= self.values[self.at] as usize;
        }
        loop {
            if self.at & within == 0 {
                let bin = self.bins[self.at >> self.shift] as usize;
                if self.before + bin <= rank {
                    self.before += bin;
                    self.at += within + 1;
                    continue;
                }
            }
            let here = self.values[self.at] as usize;
            if self.before + here > rank {
                return self.at;
            }
            self.before += here;
            self.at += 1;
        }
    }
}
