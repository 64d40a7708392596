//! Boxes of voxels and how far operations reach beyond them.

use super::{Axis, NDIM, PerAxis};
use std::fmt;

/// Size of an image or tile in voxels, `t, c, z, y, x`.
pub type Shape = PerAxis<u64>;

/// Number of voxels in a shape; saturates, so that absurd headers compare as too large instead of wrapping.
#[must_use]
pub fn voxels(shape: &Shape) -> u64 {
    shape.iter().fold(1u64, |n, &s| n.saturating_mul(s))
}

/// How far an operation reads beyond the voxels it writes, per axis and side. Sides may differ: a box of even
/// size reads one voxel more on the low side, as in scipy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Halo {
    /// Voxels before the first one.
    pub lo: PerAxis<u64>,
    /// Voxels after the last one.
    pub hi: PerAxis<u64>,
}

impl Halo {
    /// Reads nothing beyond.
    pub const NONE: Self = Self { lo: [0; NDIM], hi: [0; NDIM] };

    /// The same reach on both sides.
    #[must_use]
    pub const fn symmetric(radius: PerAxis<u64>) -> Self {
        Self { lo: radius, hi: radius }
    }

    /// Halos of chained operations add.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            lo: std::array::from_fn(|a| self.lo[a].saturating_add(other.lo[a])),
            hi: std::array::from_fn(|a| self.hi[a].saturating_add(other.hi[a])),
        }
    }

    /// Whether it is empty on every side.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// A box of voxels. It may reach outside the image: `start` can be negative.
///
/// ```text
/// |rrr|wwwwwwww|rrr|            read region = written region grown by the halo
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Region {
    /// First voxel, in image coordinates.
    pub start: PerAxis<i64>,
    /// Size in voxels.
    pub shape: Shape,
}

impl Region {
    /// A region by first voxel and size.
    #[must_use]
    pub const fn new(start: PerAxis<i64>, shape: Shape) -> Self {
        Self { start, shape }
    }

    /// The whole image of that shape.
    #[must_use]
    pub const fn whole(shape: Shape) -> Self {
        Self { start: [0; NDIM], shape }
    }

    /// One past the last voxel along `axis`.
    #[must_use]
    pub fn end(&self, axis: usize) -> i64 {
        self.start[axis].saturating_add_unsigned(self.shape[axis])
    }

    /// Whether it holds no voxel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Number of voxels; saturates.
    #[must_use]
    pub fn voxels(&self) -> u64 {
        voxels(&self.shape)
    }

    /// Grown by a halo on every side.
    #[must_use]
    pub fn grow(&self, halo: &Halo) -> Self {
        Self {
            start: std::array::from_fn(|a| self.start[a].saturating_sub_unsigned(halo.lo[a])),
            shape: std::array::from_fn(|a| {
                self.shape[a].saturating_add(halo.lo[a]).saturating_add(halo.hi[a])
            }),
        }
    }

    /// The common part; empty (at a valid place) if there is none.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let start: PerAxis<i64> = std::array::from_fn(|a| self.start[a].max(other.start[a]));
        let shape =
            std::array::from_fn(|a| (self.end(a).min(other.end(a))).saturating_sub(start[a]).max(0) as u64);
        Self { start, shape }
    }

    /// The part inside an image of that shape.
    #[must_use]
    pub fn clip(&self, image: &Shape) -> Self {
        self.intersect(&Self::whole(*image))
    }

    /// The smallest region that holds both; an empty one adds nothing.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let start: PerAxis<i64> = std::array::from_fn(|a| self.start[a].min(other.start[a]));
        let shape = std::array::from_fn(|a| (self.end(a).max(other.end(a)) - start[a]) as u64);
        Self { start, shape }
    }

    /// Whether every voxel of `other` is in this region.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.is_empty() || (0..NDIM).all(|a| self.start[a] <= other.start[a] && self.end(a) >= other.end(a))
    }

    /// Moved by an offset.
    #[must_use]
    pub fn translate(&self, offset: &PerAxis<i64>) -> Self {
        Self { start: std::array::from_fn(|a| self.start[a] + offset[a]), shape: self.shape }
    }

    /// The same region with one axis replaced.
    #[must_use]
    pub fn with_axis(mut self, axis: Axis, start: i64, len: u64) -> Self {
        self.start[axis.index()] = start;
        self.shape[axis.index()] = len;
        self
    }
}

impl fmt::Display for Region {
    /// `y 0–511, x 512–1023`: inclusive, axes of extent 1 at 0 left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for a in Axis::ALL {
            let (s, n) = (self.start[a.index()], self.shape[a.index()]);
            if s == 0 && n == 1 {
                continue;
            }
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            match n {
                0 => write!(f, "{a} none")?,
                1 => write!(f, "{a} {s}")?,
                _ => write!(f, "{a} {s}–{}", s + n as i64 - 1)?,
            }
        }
        if first { f.write_str("the only voxel") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region() -> impl Strategy<Value = Region> {
        (proptest::array::uniform5(-20i64..20), proptest::array::uniform5(0u64..15))
            .prop_map(|(s, n)| Region::new(s, n))
    }

    fn holds(r: &Region, p: &PerAxis<i64>) -> bool {
        (0..NDIM).all(|a| p[a] >= r.start[a] && p[a] < r.end(a))
    }

    proptest! {
        #[test]
        fn intersection_holds_exactly_the_common_voxels(a in region(), b in region(), p in proptest::array::uniform5(-25i64..40)) {
            prop_assert_eq!(holds(&a.intersect(&b), &p), holds(&a, &p) && holds(&b, &p));
        }

        #[test]
        fn hull_contains_both(a in region(), b in region()) {
            let h = a.hull(&b);
            prop_assert!(h.contains(&a) && h.contains(&b));
        }

        #[test]
        fn halo_of_two_steps_adds(r in region(), lo in proptest::array::uniform5(0u64..9), hi in proptest::array::uniform5(0u64..9)) {
            let (h, g) = (Halo { lo, hi }, Halo { lo: hi, hi: lo });
            prop_assert_eq!(r.grow(&h).grow(&g), r.grow(&h.plus(&g)));
        }
    }

    #[test]
    fn display_leaves_out_single_axes() {
        let r = Region::new([0, 0, 3, 0, 512], [1, 1, 1, 512, 512]);
        assert_eq!(r.to_string(), "z 3, y 0–511, x 512–1023");
    }
}
