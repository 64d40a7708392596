//! What operations share that look at one voxel at a time: the walk over rows, exact casts, exact numbers.

use crate::vectorised;
use std::ops::Range;
use voxtile_sched::contract::Refused;
use voxtile_sched::model::{Dtype, Element, Meta, PerAxis, Tile, TileMut};

/// A function of one voxel. `at` must be `#[inline(always)]`: it is compiled into every vector version of the loop.
pub(crate) trait Point<T, U>: Copy {
    /// The output voxel.
    fn at(self, value: T) -> U;
}

vectorised! {
    /// A function of every voxel of a row.
    pub(crate) fn line<T: Element, U: Element, F: Point<T, U>>(f: F, from: &[T], to: &mut [U]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = f.at(from);
        }
    }
}

/// Fills a tile with a function of the voxels of another of the same shape, in one pass without scratch.
pub(crate) fn map<T: Element, U: Element>(f: impl Point<T, U>, input: &Tile<'_>, mut output: TileMut<'_>) {
    assert_eq!(input.shape(), output.shape(), "tiles of one shape");
    let (from, mut to) = (input.view::<T>(), output.view::<U>());
    if from.is_contiguous() && to.is_contiguous() {
        return line(f, from.raw(), to.raw());
    }
    for_rows(from.shape(), |t, c, z, y| line(f, from.row(t, c, z, y), to.row(t, c, z, y)));
}

/// Calls `work` for every row of a tile of that shape, in raster order.
#[inline]
pub(crate) fn for_rows(shape: [usize; 5], mut work: impl FnMut(usize, usize, usize, usize)) {
    each_row(shape, &mut work);
}

/// One loop for all, as a call for each row costs little and a copy of the loop for each `work` much time of building.
fn each_row(shape: [usize; 5], work: &mut dyn FnMut(usize, usize, usize, usize)) {
    let [nt, nc, nz, ny, _] = shape;
    for t in 0..nt {
        for c in 0..nc {
            for z in 0..nz {
                for y in 0..ny {
                    work(t, c, z, y);
                }
            }
        }
    }
}

/// Refuses images of different shapes.
pub(crate) fn same_shape(inputs: &[Meta]) -> Result<(), Refused> {
    match inputs.iter().find(|i| i.shape != inputs[0].shape) {
        None => Ok(()),
        Some(other) => Err(Refused::Shapes { first: inputs[0].dims(), second: other.dims() }),
    }
}

/// Refuses images of different sample types.
pub(crate) fn same_dtype(inputs: &[Meta]) -> Result<(), Refused> {
    match inputs.iter().find(|i| i.dtype != inputs[0].dtype) {
        None => Ok(()),
        Some(other) => {
            let why = format!("both images must be of one sample type, and the first is {}", inputs[0].dtype);
            Err(Refused::Dtype { dtype: other.dtype, why })
        }
    }
}

/// How tiles of one shape are walked together, part of a row by part of a row.
pub(crate) struct Parts {
    shape: PerAxis<usize>,
}

/// Neighbours along x, at most as many as were asked for.
pub(crate) struct Part {
    at: PerAxis<usize>,
    len: usize,
}

impl Parts {
    /// Rows are the tiles' own, or one of all voxels where there are no gaps between them.
    pub(crate) fn of(inputs: &[Tile<'_>], output: &TileMut<'_>) -> Self {
        assert!(inputs.iter().all(|i| i.shape() == output.shape()), "tiles of one shape");
        let gapless = output.is_contiguous() && inputs.iter().all(Tile::is_contiguous);
        Self { shape: if gapless { [1, 1, 1, 1, output.len()] } else { output.shape() } }
    }

    /// Calls `work` for every part of at most `most` voxels.
    #[inline]
    pub(crate) fn each(&self, most: usize, mut work: impl FnMut(Part)) {
        for_rows(self.shape, |t, c, z, y| {
            for x in (0..self.shape[4]).step_by(most) {
                work(Part { at: [t, c, z, y, x], len: most.min(self.shape[4] - x) });
            }
        });
    }
}

impl Part {
    /// Number of voxels.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where it lies in a tile with those strides.
    pub(crate) fn range(&self, strides: PerAxis<usize>) -> Range<usize> {
        let start = self.at.iter().zip(strides).map(|(at, stride)| at * stride).sum();
        start..start + self.len
    }
}

/// A sample type with its bits at hand, so that conversions between any two are exact and vectorise.
pub(crate) trait Sample: Element {
    /// The bits, integers extended by their sign.
    fn to_word(self) -> u64;
    /// The low bits of a word.
    fn from_word(word: u64) -> Self;
    /// The value of an integer; 0 for floats.
    fn to_i128(self) -> i128;
}

macro_rules! sample {
    ($($t:ident)*) => { $(impl Sample for $t {
        #[inline(always)]
        fn to_word(self) -> u64 { self as u64 }
        #[inline(always)]
        fn from_word(word: u64) -> Self { word as $t }
        #[inline(always)]
        fn to_i128(self) -> i128 { i128::from(self) }
    })* };
}
sample!(u8 i8 u16 i16 u32 i32 u64 i64);

impl Sample for f32 {
    #[inline(always)]
    fn to_word(self) -> u64 {
        u64::from(self.to_bits())
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self::from_bits(word as u32)
    }
    #[inline(always)]
    fn to_i128(self) -> i128 {
        0
    }
}

impl Sample for f64 {
    #[inline(always)]
    fn to_word(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self::from_bits(word)
    }
    #[inline(always)]
    fn to_i128(self) -> i128 {
        0
    }
}

/// The cast of SEMANTICS: saturates, rounds half to even, NaN becomes 0; between integers exact, between floats
/// rounded once.
#[inline(always)]
pub(crate) fn cast<T: Sample, U: Sample>(value: T) -> U {
    if T::DTYPE == U::DTYPE {
        U::from_word(value.to_word())
    } else if !T::DTYPE.is_float() && !U::DTYPE.is_float() {
        // Bounds that both types hold, as values of the first.
        let lo = T::from_word(T::LOWEST.to_i128().max(U::LOWEST.to_i128()) as u64);
        let hi = T::from_word(T::HIGHEST.to_i128().min(U::HIGHEST.to_i128()) as u64);
        let value = if value < lo { lo } else { value };
        let value = if value > hi { hi } else { value };
        U::from_word(value.to_word())
    } else {
        match U::DTYPE {
            Dtype::F32 => U::from_word(u64::from(value.to_f32().to_bits())),
            Dtype::F64 => U::from_word(value.to_f64().to_bits()),
            Dtype::U8 | Dtype::I8 | Dtype::U16 | Dtype::I16 if T::DTYPE == Dtype::F32 => {
                small_from_f32(value.to_f32())
            }
            _ => from_f64(value.to_f64()),
        }
    }
}

/// Rounds half to even and saturates; NaN becomes 0. The same values as [`Element::from_f64`], but without a library
/// call for the rounding where the CPU has no instruction for it.
#[inline(always)]
pub(crate) fn from_f64<U: Sample>(value: f64) -> U {
    /// Adding 1.5 · 2^52 leaves the rounded value in the low bits of the sum.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    match U::DTYPE {
        Dtype::F32 | Dtype::F64 | Dtype::U64 | Dtype::I64 => U::from_f64(value),
        _ => {
            let value = if value.is_nan() { 0.0 } else { value };
            let value = if value < U::LOWEST.to_f64() { U::LOWEST.to_f64() } else { value };
            let value = if value > U::HIGHEST.to_f64() { U::HIGHEST.to_f64() } else { value };
            U::from_word((value + SHIFT).to_bits())
        }
    }
}

/// [`from_f64`] for types of 8 and 16 bits, with twice the lanes.
#[inline(always)]
fn small_from_f32<U: Sample>(value: f32) -> U {
    /// Adding 1.5 · 2^23 leaves the rounded value in the low bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    let value = if value.is_nan() { 0.0 } else { value };
    let value = if value < U::LOWEST.to_f32() { U::LOWEST.to_f32() } else { value };
    let value = if value > U::HIGHEST.to_f32() { U::HIGHEST.to_f32() } else { value };
    U::from_word(u64::from((value + SHIFT).to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use voxtile_sched::dispatch;

    proptest! {
        #[test]
        fn rounding_without_instruction_is_that_of_the_standard_library(bits: u64, small in -70_000f64..70_000.0, halves in -600i32..600) {
            let values = [f64::from_bits(bits), small, f64::from(halves) / 2.0, f64::from(f32::from_bits(bits as u32))];
            for value in values {
                for to in Dtype::ALL {
                    dispatch!(to, U => {
                        let (got, want) = (from_f64::<U>(value), U::from_f64(value));
                        prop_assert!(got == want || value.is_nan(), "{value:?} to {to}: {got:?} instead of {want:?}");
                        let (got, want) = (cast::<f32, U>(value as f32), U::from_f64(f64::from(value as f32)));
                        prop_assert!(got == want || value.is_nan(), "{value:?} as f32 to {to}: {got:?} instead of {want:?}");
                    });
                }
            }
        }
    }

    #[test]
    fn integers_saturate_exactly() {
        assert_eq!(cast::<u64, i64>(u64::MAX), i64::MAX);
        assert_eq!(cast::<i64, u64>(-1), 0);
        assert_eq!(cast::<u64, u32>(1 << 40), u32::MAX);
        assert_eq!(cast::<i64, i64>(i64::MIN + 1), i64::MIN + 1);
        assert_eq!(cast::<i8, u64>(-1), 0);
        assert_eq!(cast::<i16, i8>(-129), -128);
        assert_eq!(cast::<u8, i8>(200), 127);
        assert_eq!(cast::<i32, u32>(i32::MAX), i32::MAX as u32);
    }
}
