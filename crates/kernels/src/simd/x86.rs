//! Vectors of AVX2 and AVX-512.
//!
//! Every function is inlined into one of `fir` that has the instruction set enabled.

use super::{Block, Vector};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512F64(__m512d);
#[derive(Clone, Copy)]
pub(crate) struct Avx512F32(__m512);
#[derive(Clone, Copy)]
pub(crate) struct Avx2F64(__m256d);
#[derive(Clone, Copy)]
pub(crate) struct Avx2F32(__m256);

macro_rules! vector {
    ($name:ident, $sum:ty, $lanes:literal, splat $splat:ident, load $load:ident, store $put:ident, load_f32 $wide:expr, add $add:ident, sub $sub:ident, mul $mul:ident,
     add_product |$acc:ident, $w:ident, $v:ident| $product:expr, store_f32 |$to:ident, $reg:ident| $store:expr,
     shifted |$a:ident, $b:ident| $shifted_1:expr, $shifted_2:expr, squares $squares:ident of $round:expr, add_exact $fused:ident) => {
        impl Vector for $name {
            type Sum = $sum;
            const LANES: usize = $lanes;
            const FUSED: bool = true;

            #[inline(always)]
            unsafe fn splat(value: $sum) -> Self {
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $splat(value) })
            }
            #[inline(always)]
            unsafe fn load(from: *const $sum) -> Self {
                // SAFETY: the caller has the instruction set, and so many sums there.
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $sum) {
                // SAFETY: the caller has the instruction set, and room for so many sums there.
                unsafe { $put(to, self.0) }
            }
            #[inline(always)]
            unsafe fn load_f32(from: *const f32) -> Self {
                // SAFETY: the caller has the instruction set, and so many samples there.
                Self(unsafe { $wide(from) })
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $mul(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn add_product(self, weight: Self, value: Self) -> Self {
                let ($acc, $w, $v) = (self.0, weight.0, value.0);
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $product })
            }
            #[inline(always)]
            unsafe fn store_f32(self, $to: *mut f32) {
                let $reg = self.0;
                // SAFETY: the caller has the instruction set, and room for so many samples there.
                unsafe { $store }
            }
            #[inline(always)]
            unsafe fn shifted_1(self, next: Self) -> Self {
                let ($a, $b) = (self.0, next.0);
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $shifted_1 })
            }
            #[inline(always)]
            unsafe fn shifted_2(self, next: Self) -> Self {
                let ($a, $b) = (self.0, next.0);
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $shifted_2 })
            }
            #[inline(always)]
            unsafe fn add_exact(self, weight: Self, value: Self) -> Self {
                // SAFETY: the caller has the instruction set.
                Self(unsafe { $fused(weight.0, value.0, self.0) })
            }
            #[inline(always)]
            unsafe fn store_squares(z: Self, y: Self, x: Self, to: *mut f32) {
                // SAFETY: the caller has the instruction set, and room for so many samples there.
                unsafe { $squares($round(z.0), $round(y.0), $round(x.0), to) }
            }
        }
    };
}

vector!(Avx512F64, f64, 8, splat _mm512_set1_pd, load _mm512_loadu_pd, store _mm512_storeu_pd, load_f32 widen_8, add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd,
    add_product |acc, w, v| _mm512_add_pd(acc, _mm512_mul_pd(w, v)), store_f32 |to, r| _mm256_storeu_ps(to, _mm512_cvtpd_ps(r)),
    shifted |a, b| lanes_1_f64(a, b), lanes_2_f64(a, b), squares squares_8 of _mm512_cvtpd_ps, add_exact _mm512_fmadd_pd);
vector!(Avx512F32, f32, 16, splat _mm512_set1_ps, load _mm512_loadu_ps, store _mm512_storeu_ps, load_f32 _mm512_loadu_ps, add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps,
    add_product |acc, w, v| _mm512_fmadd_ps(w, v, acc), store_f32 |to, r| _mm512_storeu_ps(to, r),
    shifted |a, b| lanes_1_f32(a, b), lanes_2_f32(a, b), squares squares_16 of same, add_exact _mm512_fmadd_ps);
vector!(Avx2F64, f64, 4, splat _mm256_set1_pd, load _mm256_loadu_pd, store _mm256_storeu_pd, load_f32 widen_4, add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd,
    add_product |acc, w, v| _mm256_add_pd(acc, _mm256_mul_pd(w, v)), store_f32 |to, r| _mm_storeu_ps(to, _mm256_cvtpd_ps(r)),
    shifted |a, b| _mm256_shuffle_pd::<0b0101>(a, middle_pd(a, b)), middle_pd(a, b), squares squares_4 of _mm256_cvtpd_ps, add_exact _mm256_fmadd_pd);
vector!(Avx2F32, f32, 8, splat _mm256_set1_ps, load _mm256_loadu_ps, store _mm256_storeu_ps, load_f32 _mm256_loadu_ps, add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps,
    add_product |acc, w, v| _mm256_fmadd_ps(w, v, acc), store_f32 |to, r| _mm256_storeu_ps(to, r),
    shifted |a, b| within_ps::<4>(middle_ps(a, b), a), within_ps::<8>(middle_ps(a, b), a), squares squares_8 of same, add_exact _mm256_fmadd_ps);

/// Samples that need no rounding.
#[inline(always)]
fn same<T>(samples: T) -> T {
    samples
}

/// Lanes 1 to 8 of two registers of eight.
#[inline(always)]
unsafe fn lanes_1_f64(a: __m512d, b: __m512d) -> __m512d {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_castsi512_pd(_mm512_alignr_epi64::<1>(_mm512_castpd_si512(b), _mm512_castpd_si512(a))) }
}

/// Lanes 2 to 9 of two registers of eight.
#[inline(always)]
unsafe fn lanes_2_f64(a: __m512d, b: __m512d) -> __m512d {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_castsi512_pd(_mm512_alignr_epi64::<2>(_mm512_castpd_si512(b), _mm512_castpd_si512(a))) }
}

/// Lanes 1 to 16 of two registers of sixteen.
#[inline(always)]
unsafe fn lanes_1_f32(a: __m512, b: __m512) -> __m512 {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(_mm512_castps_si512(b), _mm512_castps_si512(a))) }
}

/// Lanes 2 to 17 of two registers of sixteen.
#[inline(always)]
unsafe fn lanes_2_f32(a: __m512, b: __m512) -> __m512 {
    // SAFETY: the caller has AVX-512.
    unsafe { _mm512_castsi512_ps(_mm512_alignr_epi32::<2>(_mm512_castps_si512(b), _mm512_castps_si512(a))) }
}

/// The second half of `a` and the first of `b`.
#[inline(always)]
unsafe fn middle_pd(a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_permute2f128_pd::<0x21>(a, b) }
}

/// The second half of `a` and the first of `b`.
#[inline(always)]
unsafe fn middle_ps(a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller has AVX2.
    unsafe { _mm256_permute2f128_ps::<0x21>(a, b) }
}

/// In each half, `low` from byte `BYTES` on, then `high`.
#[inline(always)]
unsafe fn within_ps<const BYTES: i32>(high: __m256, low: __m256) -> __m256 {
    // SAFETY: the caller has AVX2.
    unsafe {
        let (high, low) = (_mm256_castps_si256(high), _mm256_castps_si256(low));
        _mm256_castsi256_ps(_mm256_alignr_epi8::<BYTES>(high, low))
    }
}

macro_rules! squares {
    ($name:ident, $samples:ty, $mul:ident, $add:ident, $store:ident) => {
        /// Writes `z² + y² + x²`.
        #[inline(always)]
        unsafe fn $name(z: $samples, y: $samples, x: $samples, to: *mut f32) {
            // SAFETY: the caller has the instruction set, and room for so many samples.
            unsafe { $store(to, $add($add($mul(z, z), $mul(y, y)), $mul(x, x))) }
        }
    };
}
squares!(squares_4, __m128, _mm_mul_ps, _mm_add_ps, _mm_storeu_ps);
squares!(squares_8, __m256, _mm256_mul_ps, _mm256_add_ps, _mm256_storeu_ps);
squares!(squares_16, __m512, _mm512_mul_ps, _mm512_add_ps, _mm512_storeu_ps);

/// Eight samples as `f64`.
#[inline(always)]
unsafe fn widen_8(from: *const f32) -> __m512d {
    // SAFETY: the caller has AVX-512, and eight samples there.
    unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(from)) }
}

/// Four samples as `f64`.
#[inline(always)]
unsafe fn widen_4(from: *const f32) -> __m256d {
    // SAFETY: the caller has AVX2, and four samples there.
    unsafe { _mm256_cvtps_pd(_mm_loadu_ps(from)) }
}

/// The transpose of a 4 × 4 matrix.
#[inline(always)]
unsafe fn transpose_4(m: [__m128; 4]) -> [__m128; 4] {
    // SAFETY: the caller has AVX2.
    unsafe {
        let (a, b) = (_mm_unpacklo_ps(m[0], m[1]), _mm_unpackhi_ps(m[0], m[1]));
        let (c, d) = (_mm_unpacklo_ps(m[2], m[3]), _mm_unpackhi_ps(m[2], m[3]));
        [_mm_movelh_ps(a, c), _mm_movehl_ps(c, a), _mm_movelh_ps(b, d), _mm_movehl_ps(d, b)]
    }
}

/// The transposes of the two 4 × 4 matrices that lie side by side in the halves of the registers.
#[inline(always)]
unsafe fn transpose_4_twice(m: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the caller has AVX2.
    unsafe {
        let (a, b) = (_mm256_unpacklo_ps(m[0], m[1]), _mm256_unpackhi_ps(m[0], m[1]));
        let (c, d) = (_mm256_unpacklo_ps(m[2], m[3]), _mm256_unpackhi_ps(m[2], m[3]));
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
            _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
            _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
            _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
        ]
    }
}

/// The transposes of four 4 × 4 matrices side by side.
#[inline(always)]
unsafe fn transpose_4_four_times(m: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let (a, b) = (_mm512_unpacklo_ps(m[0], m[1]), _mm512_unpackhi_ps(m[0], m[1]));
        let (c, d) = (_mm512_unpacklo_ps(m[2], m[3]), _mm512_unpackhi_ps(m[2], m[3]));
        [
            _mm512_shuffle_ps::<0b01_00_01_00>(a, c),
            _mm512_shuffle_ps::<0b11_10_11_10>(a, c),
            _mm512_shuffle_ps::<0b01_00_01_00>(b, d),
            _mm512_shuffle_ps::<0b11_10_11_10>(b, d),
        ]
    }
}

/// The transpose of an 8 × 8 matrix.
#[inline(always)]
unsafe fn transpose_8(m: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: the caller has AVX2.
    unsafe {
        let a = transpose_4_twice([m[0], m[1], m[2], m[3]]);
        let b = transpose_4_twice([m[4], m[5], m[6], m[7]]);
        [
            _mm256_permute2f128_ps::<0x20>(a[0], b[0]),
            _mm256_permute2f128_ps::<0x20>(a[1], b[1]),
            _mm256_permute2f128_ps::<0x20>(a[2], b[2]),
            _mm256_permute2f128_ps::<0x20>(a[3], b[3]),
            _mm256_permute2f128_ps::<0x31>(a[0], b[0]),
            _mm256_permute2f128_ps::<0x31>(a[1], b[1]),
            _mm256_permute2f128_ps::<0x31>(a[2], b[2]),
            _mm256_permute2f128_ps::<0x31>(a[3], b[3]),
        ]
    }
}

/// Samples of eight registers of sums, transposed.
#[inline(always)]
unsafe fn rows_of_8(m: [Avx512F64; 8]) -> [__m256; 8] {
    // SAFETY: the caller has AVX-512.
    unsafe {
        let mut samples = [_mm256_setzero_ps(); 8];
        for i in 0..8 {
            samples[i] = _mm512_cvtpd_ps(m[i].0);
        }
        transpose_8(samples)
    }
}

impl Block<8> for Avx512F64 {
    #[inline(always)]
    unsafe fn scatter_f32(block: [Self; 8], to: *mut f32, stride: usize) {
        // SAFETY: the caller has AVX-512, and room for eight rows of eight samples.
        unsafe {
            let rows = rows_of_8(block);
            for i in 0..8 {
                _mm256_storeu_ps(to.add(i * stride), rows[i]);
            }
        }
    }
    #[inline(always)]
    unsafe fn scatter(block: [Self; 8], to: *mut f64, stride: usize) {
        // SAFETY: the caller has AVX-512, and room for eight rows of eight sums.
        unsafe {
            let rows = rows_of_8(block);
            for i in 0..8 {
                _mm512_storeu_pd(to.add(i * stride), _mm512_cvtps_pd(rows[i]));
            }
        }
    }
}

/// Samples of four registers of sums, transposed.
#[inline(always)]
unsafe fn rows_of_4(m: [Avx2F64; 4]) -> [__m128; 4] {
    // SAFETY: the caller has AVX2.
    unsafe {
        transpose_4([
            _mm256_cvtpd_ps(m[0].0),
            _mm256_cvtpd_ps(m[1].0),
            _mm256_cvtpd_ps(m[2].0),
            _mm256_cvtpd_ps(m[3].0),
        ])
    }
}

impl Block<4> for Avx2F64 {
    #[inline(always)]
    unsafe fn scatter_f32(block: [Self; 4], to: *mut f32, stride: usize) {
        // SAFETY: the caller has AVX2, and room for four rows of four samples.
        unsafe {
            let rows = rows_of_4(block);
            for i in 0..4 {
                _mm_storeu_ps(to.add(i * stride), rows[i]);
            }
        }
    }
    #[inline(always)]
    unsafe fn scatter(block: [Self; 4], to: *mut f64, stride: usize) {
        // SAFETY: the caller has AVX2, and room for four rows of four sums.
        unsafe {
            let rows = rows_of_4(block);
            for i in 0..4 {
                _mm256_storeu_pd(to.add(i * stride), _mm256_cvtps_pd(rows[i]));
            }
        }
    }
}

impl Block<8> for Avx512F32 {
    #[inline(always)]
    unsafe fn scatter_f32(block: [Self; 8], to: *mut f32, stride: usize) {
        // SAFETY: the caller has AVX-512, and room for sixteen rows of eight samples.
        unsafe {
            let m = block;
            let a = transpose_4_four_times([m[0].0, m[1].0, m[2].0, m[3].0]);
            let b = transpose_4_four_times([m[4].0, m[5].0, m[6].0, m[7].0]);
            let first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
            let second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
            for i in 0..4 {
                // Quarter q of `a[i]` begins row 4q + i, quarter q of `b[i]` ends it.
                let (a, b) = (_mm512_castps_pd(a[i]), _mm512_castps_pd(b[i]));
                let low = _mm512_castpd_ps(_mm512_permutex2var_pd(a, first, b));
                let high = _mm512_castpd_ps(_mm512_permutex2var_pd(a, second, b));
                _mm256_storeu_ps(to.add(i * stride), _mm512_castps512_ps256(low));
                _mm256_storeu_ps(to.add((4 + i) * stride), _mm512_extractf32x8_ps::<1>(low));
                _mm256_storeu_ps(to.add((8 + i) * stride), _mm512_castps512_ps256(high));
                _mm256_storeu_ps(to.add((12 + i) * stride), _mm512_extractf32x8_ps::<1>(high));
            }
        }
    }
    #[inline(always)]
    unsafe fn scatter(block: [Self; 8], to: *mut f32, stride: usize) {
        // SAFETY: the same function.
        unsafe { Self::scatter_f32(block, to, stride) }
    }
}

impl Block<4> for Avx2F32 {
    #[inline(always)]
    unsafe fn scatter_f32(block: [Self; 4], to: *mut f32, stride: usize) {
        // SAFETY: the caller has AVX2, and room for eight rows of four samples.
        unsafe {
            let rows = transpose_4_twice([block[0].0, block[1].0, block[2].0, block[3].0]);
            for i in 0..4 {
                _mm_storeu_ps(to.add(i * stride), _mm256_castps256_ps128(rows[i]));
                _mm_storeu_ps(to.add((4 + i) * stride), _mm256_extractf128_ps::<1>(rows[i]));
            }
        }
    }
    #[inline(always)]
    unsafe fn scatter(block: [Self; 4], to: *mut f32, stride: usize) {
        // SAFETY: the same function.
        unsafe { Self::scatter_f32(block, to, stride) }
    }
}
