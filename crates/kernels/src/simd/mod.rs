//! Convolutions in vector registers.
//!
//! The only code of the convolutions that is `unsafe`: the functions of [`fir`] and [`gradient`] check the extents of
//! their buffers and then read and write through pointers, with the instruction set that [`crate::cpu::isa`] names.

mod fir;
mod gradient;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use fir::{Lanes, Rows, lanes_from_rows, rows_from_lanes, rows_from_rows};
pub(crate) use gradient::{Planes, Smooth, kept, magnitudes};

use bytemuck::Pod;

/// The type in which sums are accumulated: `f64` with separate products and additions, `f32` with fused ones.
pub(crate) trait Sum: Pod + Copy + 'static {
    /// Rows that are filtered side by side along x: 64 bytes of sums.
    const GROUP: usize;
    #[cfg(target_arch = "x86_64")]
    type Avx512: Block<8, Sum = Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx2: Block<4, Sum = Self>;
    type Portable: Block<2, Sum = Self>;

    /// The same value as a sample.
    fn from_f32(value: f32) -> Self;
}

impl Sum for f64 {
    const GROUP: usize = 8;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::Avx512F64;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::Avx2F64;
    type Portable = portable::Four<f64>;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
}

impl Sum for f32 {
    const GROUP: usize = 16;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::Avx512F32;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::Avx2F32;
    type Portable = portable::Four<f32>;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

/// Sums side by side in one register. `LANES` divides [`Sum::GROUP`].
///
/// # Safety
/// All functions need the instruction set of the type; those with a pointer, as many elements there as they name.
pub(crate) trait Vector: Copy {
    /// What is summed.
    type Sum: Sum;
    /// How many.
    const LANES: usize;
    /// Whether the instruction set adds products in one instruction.
    const FUSED: bool;
    /// The same number in all lanes.
    unsafe fn splat(value: Self::Sum) -> Self;
    /// `LANES` sums.
    unsafe fn load(from: *const Self::Sum) -> Self;
    /// Writes `LANES` sums.
    unsafe fn store(self, to: *mut Self::Sum);
    /// `LANES` samples.
    unsafe fn load_f32(from: *const f32) -> Self;
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self + weight · value`, rounded once or twice as [`Sum`] says.
    unsafe fn add_product(self, weight: Self, value: Self) -> Self;
    /// `LANES` samples, each rounded.
    unsafe fn store_f32(self, to: *mut f32);
    /// `LANES` lanes of the two, from the second on.
    unsafe fn shifted_1(self, next: Self) -> Self;
    /// `LANES` lanes of the two, from the third on.
    unsafe fn shifted_2(self, next: Self) -> Self;
    /// `self + weight · value`, rounded or not, where nothing needs rounding.
    unsafe fn add_exact(self, weight: Self, value: Self) -> Self;
    /// `LANES` samples `z² + y² + x²`, added in this order, everything rounded to samples.
    unsafe fn store_squares(z: Self, y: Self, x: Self, to: *mut f32);
}

/// `M` registers as a matrix with a row per lane. `M` divides `LANES`.
///
/// # Safety
/// As [`Vector`]; writes `LANES` rows of `M` elements each, `stride` elements apart.
pub(crate) trait Block<const M: usize>: Vector {
    /// Rows of samples, each rounded.
    unsafe fn scatter_f32(block: [Self; M], to: *mut f32, stride: usize);
    /// Rows of sums that have been rounded to samples.
    unsafe fn scatter(block: [Self; M], to: *mut Self::Sum, stride: usize);
}
