//! [`apart`](super::apart) in registers of 32 bytes: AVX2, and GFNI where the processor has it.
#![allow(unsafe_code)]

use super::apart::GROUP;

#[cfg(test)]
thread_local! {
    /// Whether this thread does without, to test what other processors do.
    pub(super) static PLAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    /// Whether this thread does without GFNI.
    pub(super) static WITHOUT_GFNI: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Calls a function for AVX2, or gives what is done without it: nothing.
macro_rules! with_avx2 {
    ($call:expr, $none:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            #[cfg(test)]
            if PLAIN.get() {
                return $none;
            }
            // SAFETY: the processor has AVX2.
            return unsafe { $call };
        }
        $none
    }};
}

/// Byte `b` of samples of `N` bytes, a power of two, to `planes[b * stride..]`. Says how many samples it did, from the
/// first on.
pub(super) fn bytes_apart<const N: usize>(samples: &[u8], planes: &mut [u8], stride: usize) -> usize {
    with_avx2!(x86::bytes_apart::<N>(samples, planes, stride), 0)
}

/// Undoes [`bytes_apart`].
pub(super) fn bytes_together<const N: usize>(planes: &[u8], stride: usize, samples: &mut [u8]) -> usize {
    with_avx2!(x86::bytes_together::<N>(planes, stride, samples), 0)
}

/// Bit `k` of every byte to the 64 bytes at `rows[k * row..]`. Says whether it did.
pub(super) fn bits_apart(bytes: &[u8; GROUP], rows: &mut [u8], row: usize) -> bool {
    with_avx2!(x86::bits_apart(bytes, rows, row), false)
}

/// Undoes [`bits_apart`].
pub(super) fn bits_together(rows: &[u8], row: usize, bytes: &mut [u8; GROUP]) -> bool {
    with_avx2!(x86::bits_together(rows, row, bytes), false)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::GROUP;
    use std::arch::x86_64::*;

    const WIDTH: usize = 32;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(from: &[u8]) -> __m256i {
        let from: &[u8; WIDTH] = from[..WIDTH].try_into().expect("32 bytes");
        // SAFETY: reads 32 bytes, which are there.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(vector: __m256i, to: &mut [u8]) {
        let to: &mut [u8; WIDTH] = (&mut to[..WIDTH]).try_into().expect("32 bytes");
        // SAFETY: writes 32 bytes, which are there.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) }
    }

    /// 16 bytes of each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn halves(low: &[u8], high: &[u8]) -> __m256i {
        let [low, high]: [&[u8; 16]; 2] = [low, high].map(|h| h[..16].try_into().expect("16 bytes"));
        // SAFETY: each reads 16 bytes, which are there.
        let (low, high) =
            unsafe { (_mm_loadu_si128(low.as_ptr().cast()), _mm_loadu_si128(high.as_ptr().cast())) };
        _mm256_set_m128i(high, low)
    }

    /// The same 16 bytes in both lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn twice(bytes: [u8; 16]) -> __m256i {
        halves(&bytes, &bytes)
    }

    /// The bytes at even places of both, then those at odd ones.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn parted(a: __m256i, b: __m256i) -> [__m256i; 2] {
        let low = _mm256_set1_epi16(0x00FF);
        let even = _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
        let odd = _mm256_packus_epi16(_mm256_srli_epi16::<8>(a), _mm256_srli_epi16::<8>(b));
        [_mm256_permute4x64_epi64::<0b1101_1000>(even), _mm256_permute4x64_epi64::<0b1101_1000>(odd)]
    }

    /// Bytes of both in turn.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn joined(a: __m256i, b: __m256i) -> [__m256i; 2] {
        let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bytes_apart<const N: usize>(samples: &[u8], planes: &mut [u8], stride: usize) -> usize {
        let mut done = 0;
        for group in samples.chunks_exact(WIDTH * N) {
            let mut v: [__m256i; N] = std::array::from_fn(|i| load(&group[WIDTH * i..]));
            for _ in 0..N.ilog2() {
                let from = v;
                for i in 0..N / 2 {
                    [v[i], v[N / 2 + i]] = parted(from[2 * i], from[2 * i + 1]);
                }
            }
            for (b, v) in v.into_iter().enumerate() {
                store(v, &mut planes[b * stride + done..]);
            }
            done += WIDTH;
        }
        done
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bytes_together<const N: usize>(planes: &[u8], stride: usize, samples: &mut [u8]) -> usize {
        let mut done = 0;
        for group in samples.chunks_exact_mut(WIDTH * N) {
            let mut v: [__m256i; N] = std::array::from_fn(|b| load(&planes[b * stride + done..]));
            for _ in 0..N.ilog2() {
                let from = v;
                for i in 0..N / 2 {
                    [v[2 * i], v[2 * i + 1]] = joined(from[i], from[N / 2 + i]);
                }
            }
            for (v, out) in v.into_iter().zip(group.chunks_exact_mut(WIDTH)) {
                store(v, out);
            }
            done += WIDTH;
        }
        done
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bits_apart(bytes: &[u8; GROUP], rows: &mut [u8], row: usize) -> bool {
        if gfni() {
            // SAFETY: the processor has AVX2 and GFNI.
            unsafe { apart_by_gfni(bytes, rows, row) };
        } else {
            apart(bytes, rows, row);
        }
        true
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bits_together(rows: &[u8], row: usize, bytes: &mut [u8; GROUP]) -> bool {
        if gfni() {
            // SAFETY: the processor has AVX2 and GFNI.
            unsafe { together_by_gfni(rows, row, bytes) };
        } else {
            together(rows, row, bytes);
        }
        true
    }

    #[inline]
    fn gfni() -> bool {
        #[cfg(test)]
        if super::WITHOUT_GFNI.get() {
            return false;
        }
        is_x86_feature_detected!("gfni")
    }

    /// Compiles [`bits_apart`] for some features: `$bits` transposes the bits of every word, whose bytes are reversed
    /// before where `$reversed`.
    macro_rules! apart {
        ($name:ident, $features:literal, $reversed:literal, $bits:path) => {
            #[target_feature(enable = $features)]
            fn $name(bytes: &[u8; GROUP], rows: &mut [u8], row: usize) {
                let reverse = twice([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);
                let pair = twice([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]);
                for (n, bytes) in bytes.chunks_exact(8 * WIDTH).enumerate() {
                    // 16 samples in each lane, those of the second 128 further on. Then the same bits of all 16 are
                    // neighbours.
                    let v: [__m256i; 8] = std::array::from_fn(|i| {
                        let v = halves(&bytes[16 * i..], &bytes[128 + 16 * i..]);
                        let v = if $reversed { _mm256_shuffle_epi8(v, reverse) } else { v };
                        _mm256_shuffle_epi8($bits(v), pair)
                    });
                    let pairs: [[__m256i; 2]; 4] = std::array::from_fn(|i| {
                        let (a, b) = (v[2 * i], v[2 * i + 1]);
                        [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)]
                    });
                    for half in 0..2 {
                        let [a, b, c, d] = pairs.map(|p| p[half]);
                        let fours = [
                            [_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d)],
                            [_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d)],
                        ];
                        for (quarter, [a, b]) in fours.into_iter().enumerate() {
                            let k = 4 * half + 2 * quarter;
                            store(_mm256_unpacklo_epi64(a, b), &mut rows[k * row + n * WIDTH..]);
                            store(_mm256_unpackhi_epi64(a, b), &mut rows[(k + 1) * row + n * WIDTH..]);
                        }
                    }
                }
            }
        };
    }

    apart!(apart, "avx2", false, transposed);
    apart!(apart_by_gfni, "avx2,gfni", true, transposed_by_gfni);

    /// Compiles [`bits_together`] for some features: `$bits` is given eight rows, crossed so that each word holds a byte of
    /// all, the first one lowest, or highest where `$reversed`.
    macro_rules! together {
        ($name:ident, $features:literal, $reversed:literal, $bits:path) => {
            #[target_feature(enable = $features)]
            fn $name(rows: &[u8], row: usize, bytes: &mut [u8; GROUP]) {
                for (n, bytes) in bytes.chunks_exact_mut(8 * WIDTH).enumerate() {
                    let r: [__m256i; 8] = std::array::from_fn(|k| {
                        let k = if $reversed { 7 - k } else { k };
                        load(&rows[k * row + n * WIDTH..])
                    });
                    let pairs: [[__m256i; 2]; 4] = std::array::from_fn(|i| {
                        [
                            _mm256_unpacklo_epi8(r[2 * i], r[2 * i + 1]),
                            _mm256_unpackhi_epi8(r[2 * i], r[2 * i + 1]),
                        ]
                    });
                    for half in 0..2 {
                        let [a, b, c, d] = pairs.map(|p| p[half]);
                        let fours = [
                            [_mm256_unpacklo_epi16(a, b), _mm256_unpacklo_epi16(c, d)],
                            [_mm256_unpackhi_epi16(a, b), _mm256_unpackhi_epi16(c, d)],
                        ];
                        for (quarter, [a, b]) in fours.into_iter().enumerate() {
                            // Columns 8 half + 4 quarter and on of both lanes, two in each.
                            let first = $bits(_mm256_unpacklo_epi32(a, b));
                            let second = $bits(_mm256_unpackhi_epi32(a, b));
                            let at = 64 * half + 32 * quarter;
                            store(_mm256_permute2x128_si256::<0x20>(first, second), &mut bytes[at..]);
                            store(_mm256_permute2x128_si256::<0x31>(first, second), &mut bytes[128 + at..]);
                        }
                    }
                }
            }
        };
    }

    together!(together, "avx2", false, transposed);
    together!(together_by_gfni, "avx2,gfni", true, transposed_by_gfni);

    /// Bit `i` of byte `k` becomes bit `k` of byte `i`, in every word.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed(v: __m256i) -> __m256i {
        macro_rules! swap {
            ($v:expr, $distance:literal, $mask:literal) => {{
                let differ = _mm256_and_si256(
                    _mm256_xor_si256($v, _mm256_srli_epi64::<$distance>($v)),
                    _mm256_set1_epi64x($mask),
                );
                _mm256_xor_si256($v, _mm256_xor_si256(differ, _mm256_slli_epi64::<$distance>(differ)))
            }};
        }
        let v = swap!(v, 7, 0x00AA_00AA_00AA_00AA);
        let v = swap!(v, 14, 0x0000_CCCC_0000_CCCC);
        swap!(v, 28, 0x0000_0000_F0F0_F0F0)
    }

    /// As [`transposed`], of words whose bytes are reversed: the product of the matrix of bits with each unit vector.
    #[inline]
    #[target_feature(enable = "avx2,gfni")]
    fn transposed_by_gfni(v: __m256i) -> __m256i {
        _mm256_gf2p8affine_epi64_epi8::<0>(_mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64), v)
    }
}
