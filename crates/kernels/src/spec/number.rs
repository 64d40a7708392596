//! Numbers as parameters give them.

use std::fmt;

/// A number from text: whole numbers are kept exactly, beyond what `f64` holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(i128),
    /// Any other, also infinite, never NaN.
    Real(f64),
}

impl Number {
    /// Reads `900`, `-1.5`, `1e3`, `inf`; `None` for anything else and for NaN.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(whole) => Some(Self::Whole(whole)),
            Err(_) => text.parse().ok().filter(|v: &f64| !v.is_nan()).map(Self::Real),
        }
    }

    /// The largest whole number that is not above it; saturates.
    #[must_use]
    pub fn floor(self) -> i128 {
        match self {
            Self::Whole(v) => v,
            Self::Real(v) => v.floor() as i128,
        }
    }

    /// The smallest whole number that is not below it; saturates.
    #[must_use]
    pub fn ceil(self) -> i128 {
        match self {
            Self::Whole(v) => v,
            Self::Real(v) => v.ceil() as i128,
        }
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Whole(v) => v as f64,
            Self::Real(v) => v,
        }
    }

    /// The largest `f64` that is not above it.
    #[must_use]
    pub fn floor_f64(self) -> f64 {
        match self {
            Self::Whole(v) if (v as f64) as i128 > v => (v as f64).next_down(),
            _ => self.to_f64(),
        }
    }

    /// The largest `f32` that is not above it.
    #[must_use]
    pub fn floor_f32(self) -> f32 {
        // Rounding down twice is rounding down once.
        let value = self.floor_f64();
        let nearest = value as f32;
        if f64::from(nearest) > value { nearest.next_down() } else { nearest }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(v) => v.fmt(f),
            Self::Real(v) => v.fmt(f),
        }
    }
}
