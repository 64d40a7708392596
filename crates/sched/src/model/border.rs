//! What stands in for voxels beyond the edge of the image.

use std::fmt;

/// The border rule of a step, with scipy.ndimage's names.
#[derive(Clone, Copy, Debug, Default)]
pub enum Border {
    /// `d c b a | a b c d | d c b a`: the edge voxel is repeated. The default.
    #[default]
    Reflect,
    /// `k k k k | a b c d | k k k k`: a fixed value, converted to the input's sample type.
    Constant(f64),
    /// `a a a a | a b c d | d d d d`.
    Nearest,
    /// `d c b | a b c d | c b a`: the edge voxel is not repeated.
    Mirror,
    /// `a b c d | a b c d | a b c d`: the image is periodic.
    Wrap,
}

/// Constants are equal if their bits are: a tile padded with NaN is the one that a step with that border reads.
impl PartialEq for Border {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => a.to_bits() == b.to_bits(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// A run of consecutive positions along one axis that the image answers in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First position, may lie outside the image.
    pub at: i64,
    /// Number of positions.
    pub len: u64,
    /// Image coordinate of the first position.
    pub from: i64,
}

impl Border {
    /// The names that `border=` accepts.
    pub const NAMES: [&'static str; 5] = ["reflect", "constant", "nearest", "mirror", "wrap"];

    /// The rule of that name; `cval` is used by `constant` only.
    #[must_use]
    pub fn from_name(name: &str, cval: f64) -> Option<Self> {
        Some(match name {
            "reflect" => Self::Reflect,
            "constant" => Self::Constant(cval),
            "nearest" => Self::Nearest,
            "mirror" => Self::Mirror,
            "wrap" => Self::Wrap,
            _ => return None,
        })
    }

    /// The name that [`from_name`](Self::from_name) reads.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Constant(_) => "constant",
            Self::Nearest => "nearest",
            Self::Mirror => "mirror",
            Self::Wrap => "wrap",
        }
    }

    /// The position in an axis of `len` voxels that stands in for `position`; `None` means the constant.
    /// `len` is not 0.
    #[must_use]
    pub fn map(&self, position: i64, len: u64) -> Option<i64> {
        let n = len as i64;
        if (0..n).contains(&position) {
            return Some(position);
        }
        match self {
            Self::Constant(_) => None,
            Self::Nearest => Some(position.clamp(0, n - 1)),
            Self::Wrap => Some(position.rem_euclid(n)),
            Self::Reflect => {
                let p = position.rem_euclid(2 * n);
                Some(if p < n { p } else { 2 * n - 1 - p })
            }
            Self::Mirror => {
                if n == 1 {
                    return Some(0);
                }
                let p = position.rem_euclid(2 * n - 2);
                Some(if p < n { p } else { 2 * n - 2 - p })
            }
        }
    }

    /// Smallest range `[lo, hi)` of an axis of `image` voxels that answers all positions `start .. start + len`;
    /// empty if none of them needs the image.
    #[must_use]
    pub fn needed(&self, start: i64, len: u64, image: u64) -> (i64, i64) {
        if len == 0 || image == 0 {
            return (0, 0);
        }
        let n = image as i64;
        let end = start + len as i64;
        let mut lo = start.clamp(0, n);
        let mut hi = end.clamp(0, n);
        if lo >= hi {
            (lo, hi) = (i64::MAX, i64::MIN);
        }
        let mut outside = |from: i64, to: i64| {
            // A run longer than one period meets every voxel.
            if to - from >= 2 * n && !matches!(self, Self::Constant(_) | Self::Nearest) {
                (lo, hi) = (0, n);
            } else if matches!(self, Self::Constant(_)) {
                // The image is not asked.
            } else {
                let ends = if matches!(self, Self::Nearest) { from..from + 1 } else { from..to };
                for p in ends {
                    if let Some(q) = self.map(p, image) {
                        lo = lo.min(q);
                        hi = hi.max(q + 1);
                    }
                }
            }
        };
        if start < 0 {
            outside(start, end.min(0));
        }
        if end > n {
            outside(start.max(n), end);
        }
        if lo >= hi { (0, 0) } else { (lo, hi) }
    }
}

impl fmt::Display for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(v) => write!(f, "constant {v}"),
            _ => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_is_equal_to_itself_also_where_it_is_no_number() {
        assert_eq!(Border::Constant(f64::NAN), Border::Constant(f64::NAN));
        assert_ne!(Border::Constant(1.0), Border::Constant(2.0));
        assert_ne!(Border::Constant(0.0), Border::Reflect);
    }

    #[test]
    fn rules_are_those_of_scipy() {
        let take = |b: Border| -> Vec<_> { (-4..8).map(|p| b.map(p, 4)).collect() };
        let some = |v: [i64; 12]| v.map(Some).to_vec();
        assert_eq!(take(Border::Reflect), some([3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]));
        assert_eq!(take(Border::Nearest), some([0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3]));
        assert_eq!(take(Border::Mirror), some([2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]));
        assert_eq!(take(Border::Wrap), some([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]));
        assert_eq!(take(Border::Constant(0.0))[3], None);
    }

    proptest! {
        #[test]
        fn needed_is_the_hull_of_the_mapped_positions(start in -30i64..30, len in 1u64..40, image in 1u64..9, which in 0usize..5) {
            let b = Border::from_name(Border::NAMES[which], 0.0).unwrap();
            let mapped: Vec<i64> = (start..start + len as i64).filter_map(|p| b.map(p, image)).collect();
            let want = match (mapped.iter().min(), mapped.iter().max()) {
                (Some(&lo), Some(&hi)) => (lo, hi + 1),
                _ => (0, 0),
            };
            prop_assert_eq!(b.needed(start, len, image), want);
        }
    }
}
