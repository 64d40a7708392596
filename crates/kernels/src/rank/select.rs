//! Values of any rank in any window: each bit of the value, from the highest down, by counting.
//!
//! Of `n` keys the one of rank `r` is the largest `m` such that at least `n − r` keys are `m` or more. Lanes
//! are output voxels, so a count is one comparison and one addition for each key of the window, and all voxels of a
//! vector are found in the same number of steps, whatever they hold. Bits above those in which the keys of a vector's
//! windows differ are taken over from their minimum. Cost: keys of the window × bits, over the lanes.

use super::codec::{Codec, Either};
use super::extremum::pitch;
use super::vector::{Kernel, Key, Vector};
use super::{carve, carved_bytes, panel};
use std::ops::Range;

/// All windows of one volume.
pub(super) struct Select<'a, K> {
    pub(super) layout: Layout,
    /// The window's rows in its box, and the columns in each.
    pub(super) rows: &'a [(usize, Range<usize>)],
    /// How many keys come before the wanted one.
    pub(super) rank: usize,
    pub(super) codec: Either<K>,
    pub(super) src: &'a [K],
    /// Keys between planes and rows.
    pub(super) src_step: [usize; 2],
    pub(super) dst: &'a mut [K],
    /// Keys between planes and rows.
    pub(super) dst_step: [usize; 2],
    pub(super) scratch: &'a mut [u8],
}

/// Blocking of one volume.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Output voxels along `z, y, x`.
    out: [usize; 3],
    /// Window along `z, y, x`.
    size: [usize; 3],
    /// Output voxels of a block along x.
    panel: usize,
    /// Keys between the rows of a window.
    pitch: usize,
}

impl Layout {
    /// Bytes of the rows that a panel reads: they should stay in L1.
    const ROWS_BYTES: usize = 28 << 10;
    /// The largest vector.
    const VECTOR_BYTES: usize = 64;

    /// For output voxels and a window along `z, y, x`, and samples of that many bytes.
    pub(super) fn new(out: [usize; 3], size: [usize; 3], bytes: usize) -> Self {
        let lanes = Self::VECTOR_BYTES / bytes;
        let room = (Self::ROWS_BYTES / bytes / (size[0] * size[1])).saturating_sub(size[2]);
        let most = room.next_multiple_of(lanes).max(2 * lanes).min(out[2]);
        Self { out, size, panel: panel(out[2], most, lanes), pitch: pitch(most + size[2] - 1, bytes) }
    }

    pub(super) fn bytes<K>(&self) -> usize {
        carved_bytes::<K>(self.size[0] * self.size[1] * self.pitch)
    }
}

impl<K: Key> Kernel<K> for Select<'_, K> {
    #[inline(always)]
    fn run<V: Vector<Key = K>>(self, proof: V::Proof) {
        let Self { layout, rows: runs, rank, codec, src, src_step, dst, dst_step, scratch } = self;
        let [nz, ny, nx] = layout.out;
        let [kz, ky, kx] = layout.size;
        let count = runs.iter().map(|(_, columns)| columns.len()).sum();
        let (rows, _) = carve::<K>(scratch, kz * ky * layout.pitch);
        let width = layout.panel + kx - 1;
        for z in 0..nz {
            for y in 0..ny {
                for from in (0..nx).step_by(layout.panel) {
                    // The last panel overlaps the one before, as do the last vectors in each row.
                    let from = from.min(nx - layout.panel);
                    for (i, row) in rows.chunks_exact_mut(layout.pitch).enumerate() {
                        let (dz, dy) = (i / ky, i % ky);
                        let src = &src[(z + dz) * src_step[0] + (y + dy) * src_step[1] + from..][..width];
                        for x in (0..width).step_by(V::COUNT) {
                            let x = x.min(width - V::COUNT);
                            codec.encode(proof, V::load(proof, &src[x..])).store(&mut row[x..]);
                        }
                    }
                    let dst = &mut dst[z * dst_step[0] + y * dst_step[1] + from..][..layout.panel];
                    for x in (0..layout.panel).step_by(V::COUNT) {
                        let x = x.min(layout.panel - V::COUNT);
                        let window = Window { rows, runs, pitch: layout.pitch, count, rank, x };
                        codec.decode(proof, window.ranked::<V>(proof)).store(&mut dst[x..]);
                    }
                }
            }
        }
    }
}

/// The windows of one vector of output voxels.
#[derive(Clone, Copy)]
struct Window<'a, K> {
    rows: &'a [K],
    runs: &'a [(usize, Range<usize>)],
    pitch: usize,
    /// Keys of a window.
    count: usize,
    /// How many come before the wanted one.
    rank: usize,
    /// First column of the first window.
    x: usize,
}

impl<'a, K: Key> Window<'a, K> {
    /// The windows' keys in columns of a row, one vector for each of them.
    #[inline(always)]
    fn steps(self, row: usize, columns: Range<usize>, lanes: usize) -> impl Iterator<Item = &'a [K]> {
        let row = &self.rows[row * self.pitch..][..self.pitch];
        row[self.x + columns.start..][..columns.len() + lanes - 1].windows(lanes)
    }

    #[inline(always)]
    fn ranked<V: Vector<Key = K>>(self, proof: V::Proof) -> V {
        let [least, differing] = self.range::<V>(proof);
        let bits = u64::BITS - differing.widest().leading_zeros();
        let known = u64::MAX.checked_shl(bits).unwrap_or(0);
        let mut found = least.and(V::splat(proof, K::lowest_bits(known)));
        for bit in (0..bits).rev() {
            let tried = found.or(V::splat(proof, K::lowest_bits(1 << bit)));
            let reached = if self.count <= K::MOST {
                self.reached(proof, tried)
            } else {
                self.reached_wide(proof, tried)
            };
            let none = V::splat(proof, K::ZERO);
            found = found.or(none.sub(reached).and(tried));
        }
        found
    }

    /// The smallest key of each window, and the bits in which the smallest and the largest differ.
    #[inline(always)]
    fn range<V: Vector<Key = K>>(self, proof: V::Proof) -> [V; 2] {
        let (mut least, mut most) = (V::splat(proof, K::ONES), V::splat(proof, K::ZERO));
        for (row, columns) in self.runs {
            for keys in self.steps(*row, columns.clone(), V::COUNT) {
                let key = V::load(proof, keys);
                least = least.min(key);
                most = most.max(key);
            }
        }
        [least, least.xor(most)]
    }

    /// 1 where the wanted key is `tried` or more, else 0. A lane can hold the number of keys.
    #[inline(always)]
    fn reached<V: Vector<Key = K>>(self, proof: V::Proof, tried: V) -> V {
        let none = V::splat(proof, K::ZERO);
        let mut count = none;
        for (row, columns) in self.runs {
            for keys in self.steps(*row, columns.clone(), V::COUNT) {
                count = count.count(V::load(proof, keys), tried);
            }
        }
        none.count(count, V::splat(proof, K::lowest_bits((self.count - self.rank) as u64)))
    }

    /// As [`reached`](Self::reached); counts are split over two lanes.
    #[inline(always)]
    fn reached_wide<V: Vector<Key = K>>(self, proof: V::Proof, tried: V) -> V {
        let none = V::splat(proof, K::ZERO);
        let one = V::splat(proof, K::lowest_bits(1));
        let (mut low, mut high) = (none, none);
        for (row, columns) in self.runs {
            for from in columns.clone().step_by(K::MOST) {
                let mut count = none;
                for keys in self.steps(*row, from..columns.end.min(from + K::MOST), V::COUNT) {
                    count = count.count(V::load(proof, keys), tried);
                }
                low = low.sub(none.sub(count));
                // Smaller than what was added: it has wrapped.
                high = high.sub(none.count(low, count).sub(one));
            }
        }
        let wanted = self.count - self.rank;
        let [wanted_low, wanted_high, above] =
            [wanted % (K::MOST + 1), wanted / (K::MOST + 1), wanted / (K::MOST + 1) + 1];
        let wanted_low = V::splat(proof, K::lowest_bits(wanted_low as u64));
        let wanted_high = V::splat(proof, K::lowest_bits(wanted_high as u64));
        let above = V::splat(proof, K::lowest_bits(above as u64));
        none.count(high, above).or(none.count(high, wanted_high).and(none.count(low, wanted_low)))
    }
}
