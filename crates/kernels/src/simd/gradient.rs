//! Magnitudes of gradients: each axis smoothed with three weights or differentiated, one after the other, in registers.
//!
//! Along z from three planes; along x from neighbouring registers; along y from the two rows before, which are kept.
//! The sums must be exact in the type that they are made in. They are made of whole weights, and only the root is divided
//! in the end by what these sum to: a power of two, so that gives the same bits while nothing is too large or too small.

use super::{Block, Sum, Vector};
use crate::cpu::{Isa, isa};

/// Weights of three neighbours, as whole numbers: `side`, `centre`, `side`, over their sum, a power of two.
#[derive(Clone, Copy)]
pub(crate) struct Smooth {
    /// The outer weight.
    pub(crate) side: f32,
    /// The middle one.
    pub(crate) centre: f32,
}

/// Those weights in registers. With `PLAIN` the outer one is 1.
#[derive(Clone, Copy)]
struct Weights<V, const PLAIN: bool> {
    side: V,
    centre: V,
}

/// What the magnitudes of one plane are made from.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    /// The plane before, itself, and the one after; the same three times where there is no axis z.
    pub(crate) samples: [&'a [f32]; 3],
    /// Whether there is an axis z.
    pub(crate) deep: bool,
    /// The smoothing.
    pub(crate) smooth: Smooth,
    /// Elements from row to row: at least 16 more than there are outputs along x, rounded up to a multiple of 16.
    pub(crate) stride: usize,
}

/// Rows of sums that are kept: two of each kind.
const KEPT: usize = 6;

/// Samples in the largest registers.
const FULL: usize = 16;

/// Elements to keep rows of `count` outputs in.
pub(crate) fn kept(count: usize) -> usize {
    KEPT * count.next_multiple_of(16)
}

impl<V: Vector, const PLAIN: bool> Weights<V, PLAIN> {
    /// # Safety
    /// The instruction set.
    #[inline(always)]
    unsafe fn new(smooth: Smooth) -> Self {
        // SAFETY: the caller has the instruction set.
        unsafe {
            Self {
                side: V::splat(V::Sum::from_f32(smooth.side)),
                centre: V::splat(V::Sum::from_f32(smooth.centre)),
            }
        }
    }

    /// The weighted sum of three neighbours.
    ///
    /// # Safety
    /// The instruction set.
    #[inline(always)]
    unsafe fn smooth(self, a: V, b: V, c: V) -> V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let sides = if PLAIN { a.add(c) } else { a.add(c).mul(self.side) };
            sides.add_exact(self.centre, b)
        }
    }

    /// Samples from column `at`, smoothed and differentiated along z.
    ///
    /// # Safety
    /// The instruction set; `LANES` samples there in each row.
    #[inline(always)]
    unsafe fn along_z(self, rows: [*const f32; 3], deep: bool, at: usize) -> (V, V) {
        // SAFETY: as the caller promises.
        unsafe {
            let b = V::load_f32(rows[1].add(at));
            if !deep {
                return (b, b);
            }
            let (a, c) = (V::load_f32(rows[0].add(at)), V::load_f32(rows[2].add(at)));
            (self.smooth(a, b, c), c.sub(a))
        }
    }
}

/// # Safety
/// The extents that [`magnitudes`] checks, and the instruction set.
#[inline(always)]
unsafe fn plane<V: Block<M>, const M: usize>(
    from: Planes<'_>,
    rows: usize,
    count: usize,
    kept: &mut [V::Sum],
    to: &mut [f32],
    stride: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        match (from.smooth.side == 1.0, from.deep) {
            (true, true) => weighted::<V, M, true, true>(from, rows, count, kept, to, stride),
            (true, false) => weighted::<V, M, true, false>(from, rows, count, kept, to, stride),
            (false, true) => weighted::<V, M, false, true>(from, rows, count, kept, to, stride),
            (false, false) => weighted::<V, M, false, false>(from, rows, count, kept, to, stride),
        }
    }
}

/// # Safety
/// The extents that [`magnitudes`] checks, and the instruction set.
#[inline(always)]
unsafe fn weighted<V: Block<M>, const M: usize, const PLAIN: bool, const DEEP: bool>(
    from: Planes<'_>,
    rows: usize,
    count: usize,
    kept: &mut [V::Sum],
    to: &mut [f32],
    stride: usize,
) {
    let [before, here, after] = from.samples.map(<[f32]>::as_ptr);
    let to = to.as_mut_ptr();
    let pitch = count.next_multiple_of(16);
    let kept = kept.as_mut_ptr();
    let sum = 2.0 * from.smooth.side + from.smooth.centre;
    let root = if DEEP { sum * sum * 3f32.sqrt() } else { sum * 2f32.sqrt() };
    // SAFETY: as the caller promises. Rows of samples can be read up to 16 beyond the rounded count, kept rows up to it;
    // what is made of samples beyond the count is not written.
    unsafe {
        let weights = Weights::<V, PLAIN>::new(from.smooth);
        for y in 0..rows + 2 {
            let row = y * from.stride;
            // The row two before is replaced by this one.
            let (old, last) = (y % 2 * pitch, (y + 1) % 2 * pitch);
            let rows = [before.add(row), here.add(row), after.add(row)];
            let mut rooted = 0;
            let mut now: (V, V) = weights.along_z(rows, DEEP, 0);
            for at in (0..count).step_by(V::LANES) {
                let next = weights.along_z(rows, DEEP, at + V::LANES);
                let (level_old, x_old, x_last) =
                    (kept.add(old + at), kept.add(2 * pitch + old + at), kept.add(2 * pitch + last + at));
                let (s1, s2) = (now.0.shifted_1(next.0), now.0.shifted_2(next.0));
                let level = weights.smooth(now.0, s1, s2);
                let x = s2.sub(now.0);
                let gy = level.sub(V::load(level_old));
                let gx = weights.smooth(V::load(x_old), V::load(x_last), x);
                level.store(level_old);
                x.store(x_old);
                let mut gz = V::splat(V::Sum::from_f32(0.0));
                if DEEP {
                    let (z_old, z_last) = (kept.add(4 * pitch + old + at), kept.add(4 * pitch + last + at));
                    let z = weights.smooth(now.1, now.1.shifted_1(next.1), now.1.shifted_2(next.1));
                    gz = weights.smooth(V::load(z_old), V::load(z_last), z);
                    z.store(z_old);
                }
                now = next;
                if y < 2 {
                    continue;
                }
                let to = to.add((y - 2) * stride);
                if at + V::LANES <= count {
                    V::store_squares(gz, gy, gx, to.add(at));
                } else {
                    let mut room = [0f32; FULL];
                    V::store_squares(gz, gy, gx, room.as_mut_ptr());
                    to.add(at).copy_from_nonoverlapping(room.as_ptr(), count - at);
                }
                // Later, when those squares are out of the store queue.
                if at >= rooted + 2 * FULL {
                    roots::<V>(&mut *to.add(rooted).cast::<[f32; FULL]>(), root);
                    rooted += FULL;
                }
            }
            if y >= 2 {
                let to = to.add((y - 2) * stride);
                roots::<V>(std::slice::from_raw_parts_mut(to.add(rooted), count - rooted), root);
            }
        }
    }
}

/// `√square / root`: of full registers, which take as long as one sample.
#[inline(always)]
fn roots<V: Vector>(squares: &mut [f32], root: f32) {
    if V::FUSED {
        let inverse = 1.0 / root;
        for square in squares {
            *square = quotient(square.sqrt(), root, inverse);
        }
    } else {
        for square in squares {
            *square = square.sqrt() / root;
        }
    }
}

/// `a / root` of what is neither infinite nor near the ends of the exponents, rounded as a division is, at half the cost:
/// the product with the inverse, and what that lacks (Markstein).
#[inline(always)]
fn quotient(a: f32, root: f32, inverse: f32) -> f32 {
    let near = a * inverse;
    let rest = (-near).mul_add(root, a);
    rest.mul_add(inverse, near)
}

/// Magnitudes of `rows` rows of `count` voxels, from two rows and two columns more of each plane. `kept` is scratch of
/// [`kept`] elements.
pub(crate) fn magnitudes<S: Sum>(
    from: Planes<'_>,
    rows: usize,
    count: usize,
    kept: &mut [S],
    to: &mut [f32],
    stride: usize,
) {
    /// # Safety
    /// As [`plane`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn avx512<S: Sum>(
        from: Planes<'_>,
        rows: usize,
        count: usize,
        kept: &mut [S],
        to: &mut [f32],
        stride: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe { plane::<S::Avx512, 8>(from, rows, count, kept, to, stride) }
    }
    /// # Safety
    /// As [`plane`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<S: Sum>(
        from: Planes<'_>,
        rows: usize,
        count: usize,
        kept: &mut [S],
        to: &mut [f32],
        stride: usize,
    ) {
        // SAFETY: as the caller promises.
        unsafe { plane::<S::Avx2, 4>(from, rows, count, kept, to, stride) }
    }
    if rows == 0 || count == 0 {
        return;
    }
    let pitch = count.next_multiple_of(16);
    assert!(from.stride >= pitch + 16, "slack behind rows");
    assert!(from.samples.iter().all(|p| p.len() >= (rows + 2) * from.stride), "planes of samples");
    assert!(kept.len() >= KEPT * pitch, "kept rows");
    assert!(to.len() >= (rows - 1) * stride + count, "rows of magnitudes");
    match isa() {
        // SAFETY: extents were checked, and `isa` names only what the CPU has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(from, rows, count, kept, to, stride) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(from, rows, count, kept, to, stride) },
        // SAFETY: extents were checked; every CPU can do this.
        _ => unsafe { plane::<S::Portable, 2>(from, rows, count, kept, to, stride) },
    }
}

#[cfg(test)]
mod tests {
    use super::quotient;

    /// Other roots differ by powers of two, and so do other numbers from these.
    #[test]
    fn quotients_are_those_of_a_division_for_every_number() {
        for root in [2f32.sqrt(), 3f32.sqrt()] {
            for bits in 1f32.to_bits()..2f32.to_bits() {
                let a = f32::from_bits(bits);
                assert_eq!(quotient(a, root, 1.0 / root), a / root, "{a} / {root}");
            }
        }
    }
}
