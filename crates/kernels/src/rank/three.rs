//! Minimum over three voxels along x and y, and along z if the window is a cube, in one sweep: of windows so short,
//! loads and stores cost more than comparisons.
//!
//! ```text
//! x  three overlapping loads
//! y  down a column of vectors, in registers
//! z  the two planes before, kept in L1 → output
//! ```

use super::codec::Codec;
use super::vector::Vector;
use super::{GROUP_BYTES, carve, carved_bytes};

/// Bytes of a block of outputs in a plane: its rows and those of two planes before stay in L1.
const BLOCK_BYTES: usize = 16 << 10;
/// Fewest and most rows of a block: few of long rows, which may lie at multiples of 4 KiB and share cache sets then.
const ROWS: [usize; 2] = [8, 32];
/// Two blocks, and a vector more in each row, at most: the last one lies over the one before.
const KEPT_BYTES: usize = 2 * (BLOCK_BYTES + ROWS[1] * GROUP_BYTES);

/// Whether windows along `z, y, x` are of that size.
pub(super) fn is_three(size: [usize; 3]) -> bool {
    matches!(size, [1 | 3, 3, 3])
}

/// Scratch for them.
pub(super) const fn bytes() -> usize {
    carved_bytes::<u8>(KEPT_BYTES)
}

/// All windows of a volume of `out` voxels along `z, y, x`; `deep`: of 3³ voxels, else of 3² in each plane. There are
/// `src_step` and `dst_step` keys between planes and rows.
#[inline(always)]
pub(super) fn windows<V: Vector>(
    proof: V::Proof,
    codec: impl Codec<V::Key>,
    out: [usize; 3],
    deep: bool,
    (src, src_step): (&[V::Key], [usize; 2]),
    (dst, dst_step): (&mut [V::Key], [usize; 2]),
    scratch: &mut [u8],
) {
    let [nz, ny, nx] = out;
    let (kept, _) = carve::<V::Key>(scratch, KEPT_BYTES / size_of::<V::Key>());
    let block = BLOCK_BYTES / size_of::<V::Key>();
    let most = (block / nx).clamp(ROWS[0], ROWS[1]);
    let panel = block / most;
    let before = if deep { 2 } else { 0 };
    for y in (0..ny).step_by(most) {
        let rows = most.min(ny - y);
        for left in (0..nx).step_by(panel) {
            for z in 0..nz + before {
                let columns = (left..nx.min(left + panel)).step_by(V::COUNT);
                for (x, kept) in columns.zip(kept.chunks_exact_mut(2 * most * V::COUNT)) {
                    // The last vector overlaps the one before.
                    let x = x.min(nx - V::COUNT);
                    let src = &src[z * src_step[0] + y * src_step[1] + x..];
                    let (a, b) = (across::<V>(proof, codec, src), across(proof, codec, &src[src_step[1]..]));
                    let (mut pair, mut last): (V, V) = (a.min(b), b);
                    for (i, kept) in kept.chunks_exact_mut(2 * V::COUNT).take(rows).enumerate() {
                        let here = across::<V>(proof, codec, &src[(i + 2) * src_step[1]..]);
                        let mut least = pair.min(here);
                        (pair, last) = (last.min(here), here);
                        if deep {
                            let (even, odd) = kept.split_at_mut(V::COUNT);
                            let (old, new) = if z % 2 == 0 { (even, odd) } else { (odd, even) };
                            let two = V::load(proof, old).min(V::load(proof, new));
                            least.store(old);
                            least = least.min(two);
                        }
                        if z >= before {
                            let to = (z - before) * dst_step[0] + (y + i) * dst_step[1] + x;
                            codec.decode(proof, least).store(&mut dst[to..]);
                        }
                    }
                }
            }
        }
    }
}

/// The windows of three along x from the start of `row` on.
#[inline(always)]
fn across<V: Vector>(proof: V::Proof, codec: impl Codec<V::Key>, row: &[V::Key]) -> V {
    let row = &row[..V::COUNT + 2];
    let (a, b, c) = (V::load(proof, row), V::load(proof, &row[1..]), V::load(proof, &row[2..]));
    codec.encode(proof, a).min(codec.encode(proof, b)).min(codec.encode(proof, c))
}

#[cfg(test)]
mod tests {
    use crate::ops::find;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, oracle};
    use crate::testing::{Fill, Float, Image, meta, step};
    use voxtile_sched::model::{Border, Dtype};

    /// Some rows more than a block has, and some columns more than a panel, of which the last vector overlaps.
    #[test]
    fn blocks_and_panels_join() {
        for (bytes, shape) in [(1, [2, 70, 530]), (1, [3, 5, 2100]), (4, [4, 35, 150])] {
            let dtype = if bytes == 1 { Dtype::U8 } else { Dtype::F32 };
            let image = Image::filled(meta("zyx", &shape, dtype), Fill::Noise, 3);
            let wanted = oracle(&image, [3; 3], Origin::Centre, Border::Reflect, Rank::Least);
            let got = step(find("min").expect("in the table"), "min 3", &image);
            got.assert_same(&wanted, Float::Exact, || format!("{shape:?}"));
        }
    }
}
