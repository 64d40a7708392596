//! Elementary functions of `f64` that compile to vector code and give the same bits with every instruction set.
//!
//! The standard library's call the C library, voxel by voxel, and its results differ between systems. These are made
//! of products, sums and selections alone, each rounded. Error: 1 ULP for `exp` and `ln`, a few for the one that is made for
//! f32, `|y · ln x|` ULP for `pow`; far below what rounding to `f32` does. [`ln_of_f32`] is the exception.
//!
//! Those for f32 fuse products with sums: one rounding, the same on every CPU, by a library call where a CPU has no
//! instruction for it (x86-64 without FMA).

/// ln 2 in two parts, the first so short that its products with exponents are exact.
const LN2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// Coefficients of R in [`ln`], the highest power first.
const R: [f64; 7] = [
    1.479_819_860_511_658_6e-1,
    1.531_383_769_920_937_3e-1,
    1.818_357_216_161_805e-1,
    2.222_219_843_214_978_4e-1,
    2.857_142_874_366_239e-1,
    3.999_999_999_940_942e-1,
    6.666_666_666_666_735e-1,
];

/// √½ and 1 as bits.
const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
const ONE: u64 = 1023 << 52;

/// Adding 1.5 · 2^52 leaves the rounded value in the low bits of the sum.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// `eˣ`.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    /// 1 / n!, of the largest n first. The first one left out would add 4e-18.
    const SERIES: [f64; 14] = [
        1.605_904_383_682_161_5e-10,
        2.087_675_698_786_81e-9,
        2.505_210_838_544_172e-8,
        2.755_731_922_398_589e-7,
        2.755_731_922_398_589e-6,
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
        1.0,
        1.0,
    ];
    // Beyond these bounds the result is 0 or infinite. In this order NaN passes.
    let x = if x < -750.0 { -750.0 } else { x };
    let x = if x > 711.0 { 711.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let r = (x - k * LN2[0]) - k * LN2[1];
    let mut e = SERIES[0];
    for term in &SERIES[1..] {
        e = e * r + term;
    }
    // Two factors, since 2^k may be beyond the range where the result is not.
    let exponent = shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(2 * 1023);
    let half = exponent >> 1;
    let power = |biased: u64| f64::from_bits(biased << 52);
    e * power(half) * power(exponent.wrapping_sub(half))
}

/// `eˣ` as far as `f32` goes: a relative error below 1e-14, 0 and infinity where rounding to `f32` makes it so. A third of
/// the cost of [`exp`]: the eighth part of the exponent needs half the series.
#[inline(always)]
pub(crate) fn exp_for_f32(x: f64) -> f64 {
    /// 1 / (n! 8ⁿ), of the largest n first. The first one left out would add 3e-16.
    const SERIES: [f64; 8] = [
        1.984_126_984_126_984e-4 / 2_097_152.0,
        1.388_888_888_888_889e-3 / 262_144.0,
        8.333_333_333_333_333e-3 / 32_768.0,
        4.166_666_666_666_666_4e-2 / 4096.0,
        1.666_666_666_666_666_6e-1 / 512.0,
        0.5 / 64.0,
        0.125,
        1.0,
    ];
    // Beyond these bounds the rounded result is 0 or infinite. In this order NaN passes.
    let x = if x < -110.0 { -110.0 } else { x };
    let x = if x > 90.0 { 90.0 } else { x };
    let shifted = x.mul_add(std::f64::consts::LOG2_E, SHIFT);
    let k = shifted - SHIFT;
    let r = k.mul_add(-std::f64::consts::LN_2, x);
    let mut e = SERIES[0];
    for term in &SERIES[1..] {
        e = e.mul_add(r, *term);
    }
    let square = e * e;
    let fourth = square * square;
    fourth * fourth * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// Natural logarithm; -∞ of 0, NaN of what is below. The method and the coefficients are fdlibm's (Ng, `e_log.c`):
/// with `s = f / (2 + f)`, `ln(1 + f) = f - s · (f - R(s²))`.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    // Denormal numbers are made normal.
    let tiny = x < f64::MIN_POSITIVE;
    let scaled = if tiny { x * f64::from_bits((1023 + 54) << 52) } else { x };
    // x = m · 2^k with m from √½ to √2.
    let bits = scaled.to_bits().wrapping_add(ONE - ROOT_HALF);
    // The biased exponent as f64, through the low bits of 2^52.
    let biased = f64::from_bits((bits >> 52) | (1075 << 52)) - f64::from_bits(1075 << 52);
    let k = biased - if tiny { 1023.0 + 54.0 } else { 1023.0 };
    let m = f64::from_bits((bits & ((1 << 52) - 1)) + ROOT_HALF);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let mut r = R[0];
    for coefficient in &R[1..] {
        r = r * z + coefficient;
    }
    let half_square = 0.5 * f * f;
    let small = (s * (half_square + r * z) + k * LN2[1] - half_square) + f;
    let ln = k * LN2[0] + small;
    let ln = if x < f64::INFINITY { ln } else { x };
    let ln = if x > 0.0 { ln } else { f64::NAN };
    if x == 0.0 { f64::NEG_INFINITY } else { ln }
}

/// [`ln`] of an `f32`, in `f32`: within 0.63 ULP, so that about one in a hundred near 1, and one in a thousand elsewhere, is
/// not the nearest. A quarter of the cost.
#[inline(always)]
pub(crate) fn ln_of_f32(x: f32) -> f32 {
    /// `(ln(1 + f) - f + f² / 2) / f³`, the highest power first, fitted between √½ and √2.
    const SERIES: [f32; 9] = [
        0.069_716_12,
        -0.114_797_34,
        0.116_854_2,
        -0.124_256_87,
        0.142_490_58,
        -0.166_678_02,
        0.200_007_16,
        -0.249_999_97,
        0.333_333_3,
    ];
    /// ln 2 in two parts, the first so short that its products with exponents are exact.
    const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const ROOT_HALF: u32 = 0x3f35_04f3;
    const INTEGERS: f32 = 8_388_608.0;
    // Denormal numbers are made normal.
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * INTEGERS } else { x };
    // x = m · 2^k with m from √½ to √2, f = m - 1.
    let bits = scaled.to_bits().wrapping_add(1f32.to_bits() - ROOT_HALF);
    let biased = f32::from_bits((bits >> 23) | INTEGERS.to_bits()) - INTEGERS;
    let k = biased - if tiny { 127.0 + 23.0 } else { 127.0 };
    let f = f32::from_bits((bits & 0x7f_ffff) + ROOT_HALF) - 1.0;
    // k ln 2 + f - f² / 2, and what rounding takes from it.
    let half = -0.5 * f;
    let high = k * LN2[0];
    let sum = high + f;
    let lost = f - (sum - high);
    let main = half.mul_add(f, sum);
    let lost = lost + half.mul_add(f, sum - main);
    let mut r = SERIES[0];
    for coefficient in &SERIES[1..] {
        r = r.mul_add(f, *coefficient);
    }
    let rest = (f * f * f).mul_add(r, lost);
    let ln = main + k.mul_add(LN2[1], rest);
    let ln = if x < f32::INFINITY { ln } else { x };
    let ln = if x > 0.0 { ln } else { f32::NAN };
    if x == 0.0 { f32::NEG_INFINITY } else { ln }
}

/// `xʸ` with the special cases of C's `pow`, which are numpy's: `x⁰ = 1ʸ = 1`, also of NaN; NaN for a negative `x` and
/// a `y` that is not whole.
#[inline(always)]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    Power::new(y).of(x)
}

/// [`pow`] of many numbers with the same `y`.
#[derive(Clone, Copy)]
pub(crate) struct Power {
    y: f64,
    /// `y` is a whole number, and an odd one.
    whole: bool,
    odd: bool,
}

impl Power {
    #[inline(always)]
    pub(crate) fn new(y: f64) -> Self {
        let whole = y.floor() == y;
        Self { y, whole, odd: whole && (0.5 * y).floor() != 0.5 * y }
    }

    /// `y`.
    pub(crate) fn exponent(self) -> f64 {
        self.y
    }

    /// `xʸ`.
    #[inline(always)]
    pub(crate) fn of(self, x: f64) -> f64 {
        let magnitude = x.abs();
        let power = exp(self.y * ln(magnitude));
        let power = if magnitude == 1.0 { 1.0 } else { power };
        let signed = if self.odd && x.is_sign_negative() { -power } else { power };
        let signed = if x < 0.0 && magnitude < f64::INFINITY && !self.whole { f64::NAN } else { signed };
        let signed = if x.is_nan() || self.y.is_nan() { f64::NAN } else { signed };
        if x == 1.0 || self.y == 0.0 { 1.0 } else { signed }
    }
}

/// `xⁿ` by repeated squaring: exact where the products are.
#[inline(always)]
pub(crate) fn powi(x: f64, n: u32) -> f64 {
    let (mut n, mut square, mut power) = (n, x, 1.0);
    while n > 0 {
        if n & 1 == 1 {
            power *= square;
        }
        square *= square;
        n >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Representable numbers apart; `u64::MAX` if only one is NaN or the signs differ.
    fn apart(a: f64, b: f64) -> u64 {
        match (a.is_nan(), b.is_nan()) {
            (true, true) => 0,
            (false, false) if a.is_sign_negative() == b.is_sign_negative() => {
                a.to_bits().abs_diff(b.to_bits())
            }
            _ => u64::MAX,
        }
    }

    const SPECIAL: [f64; 26] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        1.5,
        -1.5,
        1e300,
        -1e300,
        1e-300,
        -1e-300,
        5e-324,
        710.0,
        -745.2,
        -740.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        4_503_599_627_370_497.0,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn they_are_those_of_the_library(bits: u64, x in -720f64..720.0, near in 0.5f64..2.0, y in -30f64..30.0, n in 0u32..40) {
            let any = f64::from_bits(bits);
            prop_assert!(apart(exp(x), x.exp()) <= 1, "exp {x}");
            prop_assert!(apart(exp(any), any.exp()) <= 1, "exp {any:e}");
            let (got, want) = (exp_for_f32(x), x.exp());
            if (-104.0..89.0).contains(&x) {
                prop_assert!((got / want - 1.0).abs() < 1e-14, "exp {x}: {got} instead of {want}");
            }
            prop_assert!((got as f32 - want as f32).abs() <= 1e-7 * want as f32 || got as f32 == want as f32, "exp {x}");
            for v in [near as f32, x as f32, f32::from_bits(bits as u32)] {
                let (got, want) = (ln_of_f32(v), f64::from(v).ln());
                let ulp = f64::from((want as f32).abs().next_up() - (want as f32).abs());
                let close = (f64::from(got) - want).abs() <= 0.63 * ulp || f64::from(got) == want;
                prop_assert!(close || got.is_nan() && want.is_nan(), "ln {v:e}: {got:e} instead of {want:e}");
            }
            for v in [any, near, x] {
                prop_assert!(apart(ln(v), v.ln()) <= 1, "ln {v:e}");
            }
            let (got, want) = (pow(near, y), near.powf(y));
            prop_assert!((got / want - 1.0).abs() < 1e-14, "{near} to the {y}");
            let (got, want) = (pow(x, f64::from(n)), x.powi(n as i32));
            prop_assert!((got / want - 1.0).abs() < 1e-13, "{x} to the {n}");
            prop_assert!((powi(x, n) / want - 1.0).abs() < 1e-13, "{x} to the {n}");
        }
    }

    #[test]
    fn special_values_are_those_of_the_library() {
        for x in SPECIAL {
            assert!(apart(exp(x), x.exp()) <= 1, "exp {x:e}: {:e}", exp(x));
            assert!(apart(ln(x), x.ln()) <= 1, "ln {x:e}: {:e}", ln(x));
            let (single, want) = (exp_for_f32(x) as f32, x.exp() as f32);
            assert!(single == want || single.is_nan() && want.is_nan(), "exp {x:e}: {single:e}");
            let (single, want) = (ln_of_f32(x as f32), f64::from(x as f32).ln() as f32);
            assert!(single == want || single.is_nan() && want.is_nan(), "ln {x:e}: {single:e}");
            for y in SPECIAL {
                let (got, want) = (pow(x, y), x.powf(y));
                let near = (got - want).abs() <= 1e-12 * want.abs()
                    && got.is_sign_negative() == want.is_sign_negative();
                assert!(near || apart(got, want) <= 1, "{x:e} to the {y:e}: {got:e} instead of {want:e}");
            }
        }
        assert_eq!((powi(3.0, 3), powi(-2.0, 5), powi(f64::NAN, 0)), (27.0, -32.0, 1.0));
    }
}
