//! The inverse cosine transform, to the bit as libjpeg's `islow` (Loeffler, Ligtenberg and Moschytz 1989, 12
//! multiplications, constants of 13 bits, columns before rows), and the clamp to 0…255.
//!
//! Each output is a sum of integer products with no rounding inside, so the sums are formed as products of pairs here.
//! What is rounded, and where, is as there: after the columns to 2 bits below the point, after the rows to whole numbers.
//! Coefficients that no image has overflow 16 bits as they do in libjpeg-turbo's vector code.

/// Constants of 13 bits, as libjpeg rounds them.
const F0_298: i32 = 2446;
const F0_390: i32 = 3196;
const F0_541: i32 = 4433;
const F0_765: i32 = 6270;
const F0_899: i32 = 7373;
const F1_175: i32 = 9633;
const F1_501: i32 = 12299;
const F1_847: i32 = 15137;
const F1_961: i32 = 16069;
const F2_053: i32 = 16819;
const F2_562: i32 = 20995;
const F3_072: i32 = 25172;

/// For coefficients 2 and 6, their weights in the even part of outputs 0 and 1 (with the opposite sign, of 3 and 2).
const EVEN: [[i32; 2]; 2] = [[F0_541 + F0_765, F0_541], [F0_541, F0_541 - F1_847]];
/// For the sums of coefficients 3 and 7, and of 1 and 5, their weights in two parts of the odd one.
const SHARED: [[i32; 2]; 2] = [[F1_175 - F1_961, F1_175], [F1_175, F1_175 - F0_390]];
/// For coefficients 1 and 7, their weights in the odd parts of outputs 0 and 3 (with the opposite sign, of 7 and 4).
const OUTER: [[i32; 2]; 2] = [[F1_501 - F0_899, -F0_899], [-F0_899, F0_298 - F0_899]];
/// For coefficients 3 and 5, their weights in the odd parts of outputs 1 and 2 (with the opposite sign, of 6 and 5).
const INNER: [[i32; 2]; 2] = [[F3_072 - F2_562, -F2_562], [-F2_562, F2_053 - F2_562]];

/// How a block becomes samples; `last` is the place of the last coefficient that is not zero.
pub(super) trait Transform {
    /// Writes eight rows of eight samples, `stride` apart; `out` reaches to the end of the last.
    fn inverse(block: &[i16; 64], quant: &[i16; 64], last: usize, out: &mut [u8], stride: usize);
}

/// A block of one value.
#[inline(always)]
fn flat(mean: i16, out: &mut [u8], stride: usize) {
    let value = ((i32::from(mean.wrapping_mul(4)) + 16) >> 5).clamp(-128, 127) as i8 as u8 ^ 0x80;
    for row in out.chunks_mut(stride) {
        row[..8].fill(value);
    }
}

/// In any instruction set.
pub(super) struct Portable;

impl Transform for Portable {
    #[inline(always)]
    fn inverse(block: &[i16; 64], quant: &[i16; 64], last: usize, out: &mut [u8], stride: usize) {
        if last == 0 {
            return flat(block[0].wrapping_mul(quant[0]), out, stride);
        }
        let mut between = [[0i16; 8]; 8];
        for x in 0..8 {
            let column = std::array::from_fn(|y| block[y * 8 + x].wrapping_mul(quant[y * 8 + x]));
            for (y, value) in line::<11>(column).into_iter().enumerate() {
                between[y][x] = value;
            }
        }
        for (row, out) in between.into_iter().zip(out.chunks_mut(stride)) {
            for (out, value) in out.iter_mut().zip(line::<18>(row)) {
                *out = value.clamp(-128, 127) as i8 as u8 ^ 0x80;
            }
        }
    }
}

/// Eight coefficients to eight outputs, divided by a power of two.
#[inline(always)]
fn line<const SHIFT: u32>(c: [i16; 8]) -> [i16; 8] {
    let weigh =
        |a: i16, b: i16, w: [i32; 2]| i32::from(a).wrapping_mul(w[0]).wrapping_add(i32::from(b) * w[1]);
    let sum = i32::from(c[0].wrapping_add(c[4])) << 13;
    let difference = i32::from(c[0].wrapping_sub(c[4])) << 13;
    let [e0, e1] = EVEN.map(|w| weigh(c[2], c[6], w));
    let even = [sum + e0, difference + e1, difference - e1, sum - e0];
    let [z0, z1] = SHARED.map(|w| weigh(c[3].wrapping_add(c[7]), c[1].wrapping_add(c[5]), w));
    let [o0, o3] = OUTER.map(|w| weigh(c[1], c[7], w));
    let [o1, o2] = INNER.map(|w| weigh(c[3], c[5], w));
    let odd = [o0.wrapping_add(z1), o1.wrapping_add(z0), o2.wrapping_add(z1), o3.wrapping_add(z0)];
    let scaled = |v: i32| (v.wrapping_add(1 << (SHIFT - 1)) >> SHIFT).clamp(-32768, 32767) as i16;
    std::array::from_fn(|i| {
        scaled(if i < 4 { even[i].wrapping_add(odd[i]) } else { even[7 - i].wrapping_sub(odd[7 - i]) })
    })
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{EVEN, INNER, OUTER, SHARED, Transform, flat};
    use std::arch::x86_64::*;

    /// With 256-bit registers. To be used only where AVX2 was found.
    pub(in crate::jpeg) struct Avx2;

    impl Transform for Avx2 {
        #[inline(always)]
        fn inverse(block: &[i16; 64], quant: &[i16; 64], last: usize, out: &mut [u8], stride: usize) {
            if last == 0 {
                return flat(block[0].wrapping_mul(quant[0]), out, stride);
            }
            // SAFETY: this type is used where AVX2 was found.
            let rows =
                unsafe { if last < 10 { both::<true>(block, quant) } else { both::<false>(block, quant) } };
            for (row, out) in rows.iter().zip(out.chunks_mut(stride)) {
                out[..8].copy_from_slice(row);
            }
        }
    }

    /// With `SMALL`, only the first ten coefficients are not zero: they lie within four columns and rows.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn both<const SMALL: bool>(block: &[i16; 64], quant: &[i16; 64]) -> [[u8; 8]; 8] {
        let rows: [[i16; 8]; 8] = bytemuck::cast(*block);
        let quant: [[i16; 8]; 8] = bytemuck::cast(*quant);
        let mut lines = [_mm_setzero_si128(); 8];
        for y in 0..if SMALL { 4 } else { 8 } {
            lines[y] = _mm_mullo_epi16(bytemuck::cast(rows[y]), bytemuck::cast(quant[y]));
        }
        let lines = transposed(lines_of::<SMALL, 11>(lines));
        let c = lines_of::<SMALL, 18>(lines);
        // Columns of bytes, then rows.
        let p = [(0, 2), (1, 3), (4, 6), (5, 7)].map(|(a, b)| _mm_packs_epi16(c[a], c[b]));
        let (q01, q23) = (_mm_unpacklo_epi8(p[0], p[1]), _mm_unpackhi_epi8(p[0], p[1]));
        let (q45, q67) = (_mm_unpacklo_epi8(p[2], p[3]), _mm_unpackhi_epi8(p[2], p[3]));
        let (left, right) = (_mm_unpacklo_epi16(q01, q23), _mm_unpacklo_epi16(q45, q67));
        let (left_low, right_low) = (_mm_unpackhi_epi16(q01, q23), _mm_unpackhi_epi16(q45, q67));
        let rows = [
            _mm_unpacklo_epi32(left, right),
            _mm_unpackhi_epi32(left, right),
            _mm_unpacklo_epi32(left_low, right_low),
            _mm_unpackhi_epi32(left_low, right_low),
        ];
        bytemuck::cast(rows.map(|r| _mm_xor_si128(r, _mm_set1_epi8(-128))))
    }

    /// `super::line` for eight lines side by side.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lines_of<const SMALL: bool, const SHIFT: i32>(c: [__m128i; 8]) -> [__m128i; 8] {
        let pair =
            |a: __m128i, b: __m128i| _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b));
        let weigh = |pair: __m256i, a: i32, b: i32| {
            _mm256_madd_epi16(pair, _mm256_set1_epi32((b << 16) | (a & 0xFFFF)))
        };
        // Half of what the shift takes, for rounding.
        let half = _mm256_set1_epi32(1 << (SHIFT - 1));
        let whole = |c: __m128i| _mm256_add_epi32(_mm256_slli_epi32::<13>(_mm256_cvtepi16_epi32(c)), half);
        let sum = whole(_mm_add_epi16(c[0], c[4]));
        let difference = if SMALL { sum } else { whole(_mm_sub_epi16(c[0], c[4])) };
        let c26 = pair(c[2], c[6]);
        let [e0, e1] = EVEN.map(|w| weigh(c26, w[0], w[1]));
        let even = [
            _mm256_add_epi32(sum, e0),
            _mm256_add_epi32(difference, e1),
            _mm256_sub_epi32(difference, e1),
            _mm256_sub_epi32(sum, e0),
        ];
        let shared = pair(_mm_add_epi16(c[3], c[7]), _mm_add_epi16(c[1], c[5]));
        let [z0, z1] = SHARED.map(|w| weigh(shared, w[0], w[1]));
        let (c17, c35) = (pair(c[1], c[7]), pair(c[3], c[5]));
        let [o0, o3] = OUTER.map(|w| weigh(c17, w[0], w[1]));
        let [o1, o2] = INNER.map(|w| weigh(c35, w[0], w[1]));
        let odd = [
            _mm256_add_epi32(o0, z1),
            _mm256_add_epi32(o1, z0),
            _mm256_add_epi32(o2, z1),
            _mm256_add_epi32(o3, z0),
        ];
        let mut out = [_mm_setzero_si128(); 8];
        for i in 0..4 {
            let (e, o) = (even[i], odd[i]);
            let up = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(e, o));
            let down = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(e, o));
            // Low halves of both, then high halves.
            let packed = _mm256_packs_epi32(up, down);
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            out[i] = _mm256_castsi256_si128(packed);
            out[7 - i] = _mm256_extracti128_si256::<1>(packed);
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed(r: [__m128i; 8]) -> [__m128i; 8] {
        let lo16 = |i: usize, k: usize| _mm_unpacklo_epi16(r[i], r[k]);
        let hi16 = |i: usize, k: usize| _mm_unpackhi_epi16(r[i], r[k]);
        let a =
            [lo16(0, 1), lo16(2, 3), lo16(4, 5), lo16(6, 7), hi16(0, 1), hi16(2, 3), hi16(4, 5), hi16(6, 7)];
        let mut out = [_mm_setzero_si128(); 8];
        for half in 0..2 {
            let a = &a[4 * half..4 * half + 4];
            let (top, low) = (_mm_unpacklo_epi32(a[0], a[1]), _mm_unpackhi_epi32(a[0], a[1]));
            let (top2, low2) = (_mm_unpacklo_epi32(a[2], a[3]), _mm_unpackhi_epi32(a[2], a[3]));
            out[4 * half] = _mm_unpacklo_epi64(top, top2);
            out[4 * half + 1] = _mm_unpackhi_epi64(top, top2);
            out[4 * half + 2] = _mm_unpacklo_epi64(low, low2);
            out[4 * half + 3] = _mm_unpackhi_epi64(low, low2);
        }
        out
    }
}
