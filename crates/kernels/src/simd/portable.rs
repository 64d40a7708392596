//! Vectors for every CPU: four lanes as an array, which compilers keep in registers.

use super::{Block, Sum, Vector};

/// Four sums.
#[derive(Clone, Copy)]
pub(crate) struct Four<T>([T; 4]);

/// The arithmetic of one lane.
pub(crate) trait Lane: Sum {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn add_product(self, weight: Self, value: Self) -> Self;
    fn round(self) -> f32;
}

impl Lane for f64 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn add_product(self, weight: Self, value: Self) -> Self {
        self + weight * value
    }
    #[inline(always)]
    fn round(self) -> f32 {
        self as f32
    }
}

impl Lane for f32 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn add_product(self, weight: Self, value: Self) -> Self {
        fused(weight, value, self)
    }
    #[inline(always)]
    fn round(self) -> f32 {
        self
    }
}

/// `a · b + c`, rounded once: `f32::mul_add`, which without an instruction for it is a slow function call.
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        fused_in_f64(a, b, c)
    }
}

/// The product is exact in `f64`. The sum is rounded to odd: where it is inexact, its last bit is set, so that the
/// second rounding, which is 29 bits coarser, sees on which side of a tie it lies (Boldo and Melquiond 2008).
#[inline(always)]
fn fused_in_f64(a: f32, b: f32, c: f32) -> f32 {
    let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let s = p + c;
    let t = s - p;
    let rest = (p - (s - t)) + (c - t);
    let bits = s.to_bits();
    // The sum was rounded away from zero where the rest has the other sign.
    let odd = if (rest < 0.0) != (s < 0.0) { bits.wrapping_sub(1) | 1 } else { bits | 1 };
    // Not inexact, or infinite: a comparison with NaN is false.
    let inexact = rest.abs() > 0.0;
    (if inexact { f64::from_bits(odd) } else { s }) as f32
}

impl<T: Lane> Vector for Four<T> {
    type Sum = T;
    const LANES: usize = 4;
    const FUSED: bool = false;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller has four sums there.
        Self(unsafe { from.cast::<[T; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller has room for four sums there.
        unsafe { to.cast::<[T; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const f32) -> Self {
        // SAFETY: the caller has four samples there.
        let [a, b, c, d] = unsafe { from.cast::<[f32; 4]>().read_unaligned() };
        Self([T::from_f32(a), T::from_f32(b), T::from_f32(c), T::from_f32(d)])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.add(e), b.add(f), c.add(g), d.add(h)])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.sub(e), b.sub(f), c.sub(g), d.sub(h)])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.mul(e), b.mul(f), c.mul(g), d.mul(h)])
    }
    #[inline(always)]
    unsafe fn add_product(self, weight: Self, value: Self) -> Self {
        let (s, w, v) = (self.0, weight.0, value.0);
        Self([
            s[0].add_product(w[0], v[0]),
            s[1].add_product(w[1], v[1]),
            s[2].add_product(w[2], v[2]),
            s[3].add_product(w[3], v[3]),
        ])
    }
    #[inline(always)]
    unsafe fn store_f32(self, to: *mut f32) {
        let [a, b, c, d] = self.0;
        // SAFETY: the caller has room for four samples there.
        unsafe { to.cast::<[f32; 4]>().write_unaligned([a.round(), b.round(), c.round(), d.round()]) }
    }
    #[inline(always)]
    unsafe fn shifted_1(self, next: Self) -> Self {
        Self([self.0[1], self.0[2], self.0[3], next.0[0]])
    }
    #[inline(always)]
    unsafe fn shifted_2(self, next: Self) -> Self {
        Self([self.0[2], self.0[3], next.0[0], next.0[1]])
    }
    #[inline(always)]
    unsafe fn add_exact(self, weight: Self, value: Self) -> Self {
        // SAFETY: every CPU can do this.
        unsafe { self.add(weight.mul(value)) }
    }
    #[inline(always)]
    unsafe fn store_squares(z: Self, y: Self, x: Self, to: *mut f32) {
        let mut out = [0.0; 4];
        for i in 0..4 {
            let (z, y, x) = (z.0[i].round(), y.0[i].round(), x.0[i].round());
            out[i] = z * z + y * y + x * x;
        }
        // SAFETY: the caller has room for four samples there.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(out) }
    }
}

impl<T: Lane> Block<2> for Four<T> {
    #[inline(always)]
    unsafe fn scatter_f32(block: [Self; 2], to: *mut f32, stride: usize) {
        let [a, b] = block;
        for lane in 0..4 {
            let pair = [a.0[lane].round(), b.0[lane].round()];
            // SAFETY: the caller has room for rows of two samples there.
            unsafe { to.add(lane * stride).cast::<[f32; 2]>().write_unaligned(pair) }
        }
    }
    #[inline(always)]
    unsafe fn scatter(block: [Self; 2], to: *mut T, stride: usize) {
        let [a, b] = block;
        for lane in 0..4 {
            let pair = [T::from_f32(a.0[lane].round()), T::from_f32(b.0[lane].round())];
            // SAFETY: the caller has room for rows of two sums there.
            unsafe { to.add(lane * stride).cast::<[T; 2]>().write_unaligned(pair) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_fused_product_is_that_of_the_hardware(a: u32, b: u32, c: u32, near in -30i32..30) {
            let (a, b, c) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
            // Half of the sums would otherwise be one of their terms.
            for c in [c, -a * b, -a * b * (1.0 + c.fract()), (a * b) * 2f32.powi(near)] {
                let (got, want) = (fused_in_f64(a, b, c), a.mul_add(b, c));
                prop_assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{a:e} {b:e} {c:e}: {got:e} {want:e}");
            }
        }
    }
}
