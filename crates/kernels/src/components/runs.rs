//! Runs of foreground, and the sets that they form.

use crate::pointwise::Sample;
use crate::pointwise::for_rows;
use crate::vectorised;
use std::ops::Range;
use voxtile_sched::dispatch;
use voxtile_sched::model::{PerAxis, Tile};

/// Which voxels belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Same {
    /// All that are not zero.
    NonZero,
    /// All that are zero.
    Zero,
    /// Those of one value, zero excepted.
    Value,
    /// Those of one value above zero.
    Label,
}

/// Voxels of one row from `start` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The runs of a tile in raster order.
pub(crate) struct Runs {
    pub(crate) shape: PerAxis<usize>,
    pub(crate) runs: Vec<Run>,
    /// The bits of each run's samples; empty where runs may hold several.
    pub(crate) values: Vec<u64>,
    /// Where the runs of each row begin, and where the last ones end.
    starts: Vec<u32>,
}

vectorised! {
    /// One bit per voxel that is not zero, 64 to a word.
    fn bits<T: Sample>(row: &[T], words: &mut Vec<u64>) {
        words.clear();
        let mut bytes = [0u8; 64];
        for part in row.chunks(64) {
            if !part.iter().fold(false, |any, v| any | (*v != T::default())) {
                words.push(0);
                continue;
            }
            bytes[part.len()..].fill(0);
            for (byte, value) in bytes.iter_mut().zip(part) {
                *byte = u8::from(*value != T::default());
            }
            words.push(gather(&bytes));
        }
    }
}

/// Bytes of 0 or 1 as bits, the first one lowest.
#[inline(always)]
fn gather(bytes: &[u8; 64]) -> u64 {
    // The product moves bit 8 k to bit 56 + k.
    const MOVE: u64 = 0x0102_0408_1020_4080;
    let eight =
        |n: usize| u64::from_le_bytes(std::array::from_fn(|k| bytes[8 * n + k])).wrapping_mul(MOVE) >> 56;
    (0..8).fold(0, |word, n| word | eight(n) << (8 * n))
}

/// The other bits, up to `len`.
fn invert(words: &mut [u64], len: usize) {
    words.iter_mut().for_each(|word| *word = !*word);
    if let (Some(last), rest @ 1..) = (words.last_mut(), len % 64) {
        *last &= (1 << rest) - 1;
    }
}

impl Runs {
    pub(crate) fn of(tile: &Tile<'_>, same: Same) -> Self {
        let [nt, nc, nz, ny, _] = tile.shape();
        let mut out = Self {
            shape: tile.shape(),
            runs: Vec::new(),
            values: Vec::new(),
            starts: Vec::with_capacity(nt * nc * nz * ny + 1),
        };
        dispatch!(tile.dtype(), T => out.collect::<T>(tile, same));
        out
    }

    /// From bits: 32 voxels of a row to a word, the first one lowest, and every row begins with a word.
    pub(crate) fn of_bits(bits: &[u8], shape: PerAxis<usize>) -> Self {
        let [nt, nc, nz, ny, nx] = shape;
        let mut out = Self { shape, runs: Vec::new(), values: Vec::new(), starts: Vec::new() };
        let across = 4 * nx.div_ceil(32);
        let mut words: Vec<u64> = Vec::with_capacity(nx.div_ceil(64));
        for row in 0..nt * nc * nz * ny {
            out.starts.push(out.runs.len() as u32);
            words.clear();
            let word = |part: &[u8]| {
                let mut bytes = [0; 8];
                bytes[..part.len()].copy_from_slice(part);
                u64::from_le_bytes(bytes)
            };
            words.extend(bits[row * across..][..across].chunks(8).map(word));
            out.scan(&words, nx as u32);
        }
        out.starts.push(out.runs.len() as u32);
        out
    }

    fn collect<T: Sample>(&mut self, tile: &Tile<'_>, same: Same) {
        let view = tile.view::<T>();
        let mut words = Vec::new();
        for_rows(tile.shape(), |t, c, z, y| {
            self.starts.push(self.runs.len() as u32);
            let row = view.row(t, c, z, y);
            bits(row, &mut words);
            let first = self.runs.len();
            if same == Same::Zero {
                invert(&mut words, row.len());
            }
            self.scan(&words, row.len() as u32);
            match same {
                Same::NonZero | Same::Zero => {}
                Same::Value => self.split(first, row, |_| true),
                Same::Label => self.split(first, row, |value| value > T::default()),
            }
        });
        self.starts.push(self.runs.len() as u32);
    }

    /// Appends the runs of set bits.
    fn scan(&mut self, words: &[u64], len: u32) {
        let mut open = None;
        let mut carry = 0;
        for (n, &word) in words.iter().enumerate() {
            // A bit that differs from the one before it begins or ends a run.
            let mut changes = word ^ (word << 1 | carry);
            carry = word >> 63;
            while changes != 0 {
                let at = 64 * n as u32 + changes.trailing_zeros();
                changes &= changes - 1;
                open = match open {
                    None => Some(at),
                    Some(start) => {
                        self.runs.push(Run { start, end: at });
                        None
                    }
                };
            }
        }
        if let Some(start) = open {
            self.runs.push(Run { start, end: len });
        }
    }

    /// Cuts the runs from `first` on, all of `row`, where the value changes, and drops those of values that do not count.
    fn split<T: Sample>(&mut self, first: usize, row: &[T], counts: impl Fn(T) -> bool) {
        let whole: Vec<Run> = self.runs.drain(first..).collect();
        for run in whole {
            let mut start = run.start;
            for at in run.start..run.end {
                let value = row[at as usize].to_word();
                if at + 1 == run.end || row[at as usize + 1].to_word() != value {
                    if counts(row[at as usize]) {
                        self.runs.push(Run { start, end: at + 1 });
                        self.values.push(value);
                    }
                    start = at + 1;
                }
            }
        }
    }

    /// Where row number `row` lies in the tile: t, c, z, y.
    pub(crate) fn position(&self, row: usize) -> [usize; 4] {
        let [_, nc, nz, ny, _] = self.shape;
        [row / ny / nz / nc, row / ny / nz % nc, row / ny % nz, row % ny]
    }

    /// The runs of row number `row`.
    pub(crate) fn row(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// Rows that have runs, each with its number.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        (0..self.starts.len() - 1).map(|n| (n, self.row(n))).filter(|(_, runs)| !runs.is_empty())
    }

    /// The number of each run's component, from 0 in raster order of the first voxels, and how many there are.
    pub(crate) fn label(&self, connectivity: u8) -> (Vec<u32>, usize) {
        let mut parent: Vec<u32> = (0..self.runs.len() as u32).collect();
        let [.., nz, ny, _] = self.shape;
        let diagonal = |axes: u8| u32::from(axes < connectivity);
        for (row, here) in self.rows() {
            let (z, y) = (row / ny % nz, row % ny);
            let mut join = |above: usize, axes: u8| {
                self.join(&mut parent, self.row(above), here.clone(), diagonal(axes));
            };
            if y > 0 {
                join(row - 1, 1);
            }
            if z > 0 {
                join(row - ny, 1);
                if connectivity > 1 && y > 0 {
                    join(row - ny - 1, 2);
                }
                if connectivity > 1 && y + 1 < ny {
                    join(row - ny + 1, 2);
                }
            }
        }
        // A parent comes before its children, so it is numbered when they are met.
        let mut count = 0;
        for n in 0..parent.len() {
            parent[n] = if parent[n] as usize == n {
                count += 1;
                count - 1
            } else {
                parent[parent[n] as usize]
            };
        }
        (parent, count as usize)
    }

    /// Joins the runs of a row with those of an earlier one that they touch, `gap` voxels apart along x at most.
    fn join(&self, parent: &mut [u32], above: Range<usize>, here: Range<usize>, gap: u32) {
        let mut from = above.start;
        for n in here {
            let run = self.runs[n];
            while from < above.end && self.runs[from].end + gap <= run.start {
                from += 1;
            }
            let mut root = find(parent, n as u32);
            let mut at = from;
            while at < above.end && self.runs[at].start < run.end + gap {
                if self.values.is_empty() || self.values[at] == self.values[n] {
                    let other = find(parent, at as u32);
                    parent[root.max(other) as usize] = root.min(other);
                    root = root.min(other);
                }
                at += 1;
            }
        }
    }
}

/// The smallest run of the set of `n`; halves the path on the way.
#[inline]
fn find(parent: &mut [u32], mut n: u32) -> u32 {
    while parent[n as usize] != n {
        let above = parent[parent[n as usize] as usize];
        parent[n as usize] = above;
        n = above;
    }
    n
}
