//! The three passes of a symmetric filter, in registers; or, with `ODD`, of an antisymmetric one, which takes the
//! differences of pairs, the later input minus the earlier.
//!
//! `M` neighbouring outputs are summed at once. While the tap moves from the outermost pair inwards, the inputs on
//! the left of the outputs and those on the right stay in two windows of `M` registers; each step loads one new value
//! into each, in place of the one that leaves, so two loads serve `M` products whatever the radius is.

use super::{Block, Sum, Vector};
use crate::cpu::{Isa, isa};

/// A matrix of inputs whose columns are filtered, and half of the weights, centre first.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T, S> {
    /// The first row starts here.
    pub(crate) data: &'a [T],
    /// Elements from one row to the next.
    pub(crate) stride: usize,
    /// Weights; one less is the radius.
    pub(crate) weights: &'a [S],
}

/// A matrix of [`Sum::GROUP`] columns, one for each of so many rows of an image that are filtered along x.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<'a, S> {
    /// `GROUP` sums for each position along x.
    pub(crate) data: &'a [S],
    /// Weights; one less is the radius.
    pub(crate) weights: &'a [S],
}

/// Inputs of a filter, by position along the filtered axis.
trait Read<V>: Copy {
    /// # Safety
    /// As [`Vector::load`].
    unsafe fn at(self, position: isize) -> V;
}

#[derive(Clone, Copy)]
struct Sums<S>(*const S, usize);
#[derive(Clone, Copy)]
struct Samples(*const f32, usize);

impl<V: Vector> Read<V> for Sums<V::Sum> {
    #[inline(always)]
    unsafe fn at(self, position: isize) -> V {
        // SAFETY: the caller asks for positions that exist.
        unsafe { V::load(self.0.offset(position * self.1 as isize)) }
    }
}

impl<V: Vector> Read<V> for Samples {
    #[inline(always)]
    unsafe fn at(self, position: isize) -> V {
        // SAFETY: the caller asks for positions that exist.
        unsafe { V::load_f32(self.0.offset(position * self.1 as isize)) }
    }
}

/// The outputs at positions `0 .. M` of `x`.
///
/// # Safety
/// `x` can be read from `-radius` to `M - 1 + radius`, and there are `radius + 1` weights.
#[inline(always)]
unsafe fn outputs<V: Vector, const M: usize, const ODD: bool>(
    x: impl Read<V>,
    weights: *const V::Sum,
    radius: usize,
) -> [V; M] {
    // SAFETY: positions as above; `k` counts down from the radius.
    unsafe {
        let centre = V::splat(*weights);
        let mut acc = [centre; M];
        let mut left = [centre; M];
        let mut right = [centre; M];
        for j in 0..M {
            acc[j] = centre.mul(x.at(j as isize));
        }
        if radius == 0 {
            return acc;
        }
        let mut k = radius;
        for j in 0..M {
            left[j] = x.at(j as isize - k as isize);
            right[j] = x.at((j + k) as isize);
        }
        // After `u` steps, input `j - k` is in `left[(j + u) % M]` and input `j + k` in `right[(j + M - u) % M]`.
        macro_rules! step {
            ($u:literal) => {
                if $u < M {
                    let weight = V::splat(*weights.add(k));
                    for j in 0..M {
                        let (left, right) = (left[(j + $u) % M], right[(j + M - $u % M) % M]);
                        let pair = if ODD { right.sub(left) } else { left.add(right) };
                        acc[j] = acc[j].add_product(weight, pair);
                    }
                    k -= 1;
                    if k == 0 {
                        return acc;
                    }
                    left[$u % M] = x.at((M - 1) as isize - k as isize);
                    right[(2 * M - 1 - $u % M) % M] = x.at(k as isize);
                }
            };
        }
        loop {
            step!(0);
            step!(1);
            step!(2);
            step!(3);
            step!(4);
            step!(5);
            step!(6);
            step!(7);
        }
    }
}

/// Filters `width` columns of sums, a multiple of `LANES`, into `count` rows of samples.
///
/// # Safety
/// The extents that [`rows_from_rows`] checks, and the instruction set.
#[inline(always)]
unsafe fn down<V: Block<M>, const M: usize, const ODD: bool>(
    from: Rows<'_, V::Sum, V::Sum>,
    width: usize,
    count: usize,
    to: &mut [f32],
    stride: usize,
) {
    let radius = from.weights.len() - 1;
    let (weights, to) = (from.weights.as_ptr(), to.as_mut_ptr());
    // SAFETY: as the caller promises.
    unsafe {
        for at in (0..width).step_by(V::LANES) {
            let centre = from.data.as_ptr().add(at + radius * from.stride);
            let mut row = 0;
            while row + M <= count {
                let block: [V; M] =
                    outputs::<V, _, ODD>(Sums(centre.add(row * from.stride), from.stride), weights, radius);
                for j in 0..M {
                    block[j].store_f32(to.add(at + (row + j) * stride));
                }
                row += M;
            }
            while row < count {
                let [one]: [V; 1] =
                    outputs::<V, _, ODD>(Sums(centre.add(row * from.stride), from.stride), weights, radius);
                one.store_f32(to.add(at + row * stride));
                row += 1;
            }
        }
    }
}

/// Filters `width` columns of samples, a multiple of `LANES`, into `GROUP` rows, which become columns of `to`.
///
/// # Safety
/// The extents that [`lanes_from_rows`] checks, and the instruction set.
#[inline(always)]
unsafe fn across<V: Block<M>, const M: usize, const ODD: bool>(
    from: Rows<'_, f32, V::Sum>,
    width: usize,
    to: &mut [V::Sum],
) {
    let group = V::Sum::GROUP;
    let radius = from.weights.len() - 1;
    let (weights, to) = (from.weights.as_ptr(), to.as_mut_ptr());
    // SAFETY: as the caller promises; `M` divides `LANES`, which divides `GROUP`.
    unsafe {
        for at in (0..width).step_by(V::LANES) {
            let centre = from.data.as_ptr().add(at + radius * from.stride);
            for row in (0..group).step_by(M) {
                let block: [V; M] = outputs::<V, _, ODD>(
                    Samples(centre.add(row * from.stride), from.stride),
                    weights,
                    radius,
                );
                V::scatter(block, to.add(at * group + row), group);
            }
        }
    }
}

/// Filters `GROUP` columns of sums into `count` rows, which become columns of the first `rows` rows of `to`.
///
/// # Safety
/// The extents that [`rows_from_lanes`] checks, and the instruction set.
#[inline(always)]
unsafe fn along<V: Block<M>, const M: usize, const ODD: bool>(
    from: Lanes<'_, V::Sum>,
    count: usize,
    rows: usize,
    to: &mut [f32],
    stride: usize,
) {
    /// Room for a block of the widest vector.
    const ROOM: usize = 16 * 8;
    let group = V::Sum::GROUP;
    let radius = from.weights.len() - 1;
    let (weights, to) = (from.weights.as_ptr(), to.as_mut_ptr());
    // SAFETY: as the caller promises; blocks that are not all inside go through `room`.
    unsafe {
        for first in (0..rows).step_by(V::LANES) {
            let centre = from.data.as_ptr().add(first + radius * group);
            let inside = (rows - first).min(V::LANES);
            let to = to.add(first * stride);
            for at in (0..count).step_by(M) {
                let block: [V; M] =
                    outputs::<V, _, ODD>(Sums(centre.add(at * group), group), weights, radius);
                let columns = (count - at).min(M);
                if inside == V::LANES && columns == M {
                    V::scatter_f32(block, to.add(at), stride);
                } else {
                    let mut room = [0f32; ROOM];
                    V::scatter_f32(block, room.as_mut_ptr(), M);
                    for row in 0..inside {
                        to.add(row * stride + at)
                            .copy_from_nonoverlapping(room.as_ptr().add(row * M), columns);
                    }
                }
            }
        }
    }
}

/// A function for every instruction set, and one that calls the best.
macro_rules! dispatched {
    ($(#[$m:meta])* fn $name:ident<$S:ident>($($a:ident: $t:ty),* $(,)?) $check:block => $body:ident) => {
        $(#[$m])*
        pub(crate) fn $name<$S: Sum, const ODD: bool>($($a: $t),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512<$S: Sum, const ODD: bool>($($a: $t),*) {
                // SAFETY: as the caller promises.
                unsafe { $body::<$S::Avx512, 8, ODD>($($a),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$S: Sum, const ODD: bool>($($a: $t),*) {
                // SAFETY: as the caller promises.
                unsafe { $body::<$S::Avx2, 4, ODD>($($a),*) }
            }
            $check
            match isa() {
                // SAFETY: extents were checked, and `isa` names only what the CPU has.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512::<$S, ODD>($($a),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2::<$S, ODD>($($a),*) },
                // SAFETY: extents were checked; every CPU can do this.
                _ => unsafe { $body::<$S::Portable, 2, ODD>($($a),*) },
            }
        }
    };
}

dispatched! {
    /// Filters along columns: `count` rows of `width` samples, a multiple of 16, from `count + 2 · radius` rows.
    fn rows_from_rows<S>(from: Rows<'_, S, S>, width: usize, count: usize, to: &mut [f32], stride: usize) {
        if width == 0 || count == 0 {
            return;
        }
        let rows = count + 2 * (from.weights.len() - 1);
        assert!(width.is_multiple_of(16) && from.data.len() >= (rows - 1) * from.stride + width, "rows to filter");
        assert!(to.len() >= (count - 1) * stride + width, "filtered rows");
    } => down
}

dispatched! {
    /// Filters along columns: `GROUP` rows of `width` samples, a multiple of 16, from `GROUP + 2 · radius` rows. They
    /// are rounded to samples and become columns of `to`.
    fn lanes_from_rows<S>(from: Rows<'_, f32, S>, width: usize, to: &mut [S]) {
        if width == 0 {
            return;
        }
        let rows = S::GROUP + 2 * (from.weights.len() - 1);
        assert!(width.is_multiple_of(16) && from.data.len() >= (rows - 1) * from.stride + width, "rows to filter");
        assert!(to.len() >= width * S::GROUP, "filtered lanes");
    } => across
}

dispatched! {
    /// Filters along columns, which become `rows` rows of `count` samples in `to`; `rows` is at most `GROUP`. Reads
    /// up to 7 positions more than `count + 2 · radius`.
    fn rows_from_lanes<S>(from: Lanes<'_, S>, count: usize, rows: usize, to: &mut [f32], stride: usize) {
        if count == 0 || rows == 0 {
            return;
        }
        let positions = count.next_multiple_of(8) + 2 * (from.weights.len() - 1);
        assert!(rows <= S::GROUP && from.data.len() >= positions * S::GROUP, "lanes to filter");
        assert!(to.len() >= (rows - 1) * stride + count, "filtered rows");
    } => along
}
