// Elementary functions: the arithmetic of `crates/kernels/src/math.rs`, operation by operation, for the same bits.
// Everything is compiled with -fmad=false, so a product that is added is rounded first; fused ones are written so.

__device__ __forceinline__ u64 bits_of(f64 v) { return (u64)__double_as_longlong(v); }
__device__ __forceinline__ f64 of_bits(u64 bits) { return __longlong_as_double((i64)bits); }

// Adding 1.5 · 2^52 leaves the rounded value in the low bits of the sum.
#define SHIFT 6755399441055744.0
#define LOG2_E 1.4426950408889634
#define LOG10_E 0.4342944819032518
#define LN_10 2.302585092994046
#define LN_2 0.6931471805599453
// ln 2 in two parts, the first so short that its products with exponents are exact.
#define LN2_HIGH 0.6931471803691238
#define LN2_LOW 1.9082149292705877e-10
#define F64_INFINITY 0x7ff0000000000000ull
#define F64_NAN 0x7ff8000000000000ull
#define F32_INFINITY 0x7f800000u
#define F32_NAN 0x7fc00000u

__device__ __forceinline__ f64 exponential(f64 x) {
    const f64 series[14] = {1.6059043836821615e-10, 2.08767569878681e-9,   2.505210838544172e-8, 2.755731922398589e-7,
                            2.755731922398589e-6,   2.48015873015873e-5,   1.984126984126984e-4, 1.388888888888889e-3,
                            8.333333333333333e-3,   4.1666666666666664e-2, 1.6666666666666666e-1, 0.5,
                            1.0,                    1.0};
    x = x < -750.0 ? -750.0 : x;
    x = x > 711.0 ? 711.0 : x;
    const f64 shifted = x * LOG2_E + SHIFT;
    const f64 k = shifted - SHIFT;
    const f64 r = (x - k * LN2_HIGH) - k * LN2_LOW;
    f64 e = series[0];
#pragma unroll
    for (int n = 1; n < 14; ++n) e = e * r + series[n];
    const u64 exponent = bits_of(shifted) - bits_of(SHIFT) + 2 * 1023;
    const u64 half = exponent >> 1;
    return e * of_bits(half << 52) * of_bits((exponent - half) << 52);
}

// As far as f32 goes.
__device__ __forceinline__ f64 exponential_for_f32(f64 x) {
    const f64 series[8] = {1.984126984126984e-4 / 2097152.0, 1.388888888888889e-3 / 262144.0, 8.333333333333333e-3 / 32768.0,
                           4.1666666666666664e-2 / 4096.0,   1.6666666666666666e-1 / 512.0,   0.5 / 64.0,
                           0.125,                            1.0};
    x = x < -110.0 ? -110.0 : x;
    x = x > 90.0 ? 90.0 : x;
    const f64 shifted = __fma_rn(x, LOG2_E, SHIFT);
    const f64 k = shifted - SHIFT;
    const f64 r = __fma_rn(k, -LN_2, x);
    f64 e = series[0];
#pragma unroll
    for (int n = 1; n < 8; ++n) e = __fma_rn(e, r, series[n]);
    const f64 square = e * e, fourth = square * square;
    return fourth * fourth * of_bits((bits_of(shifted) + 1023) << 52);
}

__device__ __forceinline__ f64 logarithm(f64 x) {
    const f64 coefficients[7] = {1.4798198605116586e-1, 1.5313837699209373e-1, 1.818357216161805e-1, 2.2222198432149784e-1,
                                 2.857142874366239e-1,  3.999999999940942e-1,  6.666666666666735e-1};
    const u64 root_half = 0x3fe6a09e667f3bcdull, one = 1023ull << 52;
    const bool tiny = x < 2.2250738585072014e-308;
    const f64 scaled = tiny ? x * of_bits((1023ull + 54) << 52) : x;
    const u64 bits = bits_of(scaled) + (one - root_half);
    const f64 biased = of_bits((bits >> 52) | (1075ull << 52)) - of_bits(1075ull << 52);
    const f64 k = biased - (tiny ? 1023.0 + 54.0 : 1023.0);
    const f64 m = of_bits((bits & ((1ull << 52) - 1)) + root_half);
    const f64 f = m - 1.0;
    const f64 s = f / (2.0 + f);
    const f64 z = s * s;
    f64 r = coefficients[0];
#pragma unroll
    for (int n = 1; n < 7; ++n) r = r * z + coefficients[n];
    const f64 half_square = 0.5 * f * f;
    const f64 small = (s * (half_square + r * z) + k * LN2_LOW - half_square) + f;
    f64 ln = k * LN2_HIGH + small;
    ln = x < of_bits(F64_INFINITY) ? ln : x;
    ln = x > 0.0 ? ln : of_bits(F64_NAN);
    return x == 0.0 ? -of_bits(F64_INFINITY) : ln;
}

__device__ __forceinline__ f32 logarithm_of_f32(f32 x) {
    const f32 series[9] = {0.06971612f,  -0.11479734f, 0.1168542f, -0.12425687f, 0.14249058f,
                           -0.16667802f, 0.20000716f,  -0.24999997f, 0.3333333f};
    const u32 root_half = 0x3f3504f3u, one = 0x3f800000u;
    const f32 integers = 8388608.0f, high_part = 355.0f / 512.0f, low_part = -2.1219444e-4f;
    const bool tiny = x < 1.17549435e-38f;
    const f32 scaled = tiny ? x * integers : x;
    const u32 bits = __float_as_uint(scaled) + (one - root_half);
    const f32 biased = __uint_as_float((bits >> 23) | __float_as_uint(integers)) - integers;
    const f32 k = biased - (tiny ? 127.0f + 23.0f : 127.0f);
    const f32 f = __uint_as_float((bits & 0x7fffffu) + root_half) - 1.0f;
    const f32 half = -0.5f * f;
    const f32 high = k * high_part;
    const f32 sum = high + f;
    f32 lost = f - (sum - high);
    const f32 main = __fmaf_rn(half, f, sum);
    lost = lost + __fmaf_rn(half, f, sum - main);
    f32 r = series[0];
#pragma unroll
    for (int n = 1; n < 9; ++n) r = __fmaf_rn(r, f, series[n]);
    const f32 rest = __fmaf_rn(f * f * f, r, lost);
    f32 ln = main + __fmaf_rn(k, low_part, rest);
    ln = x < __uint_as_float(F32_INFINITY) ? ln : x;
    ln = x > 0.0f ? ln : __uint_as_float(F32_NAN);
    return x == 0.0f ? -__uint_as_float(F32_INFINITY) : ln;
}

__device__ __forceinline__ f64 power(f64 x, f64 y) {
    const bool whole = floor(y) == y, odd = whole && floor(0.5 * y) != 0.5 * y;
    const f64 magnitude = fabs(x);
    f64 p = exponential(y * logarithm(magnitude));
    p = magnitude == 1.0 ? 1.0 : p;
    p = odd && bits_of(x) >> 63 ? -p : p;
    p = x < 0.0 && magnitude < of_bits(F64_INFINITY) && !whole ? of_bits(F64_NAN) : p;
    p = x != x || y != y ? of_bits(F64_NAN) : p;
    return x == 1.0 || y == 0.0 ? 1.0 : p;
}

// By repeated squaring.
__device__ __forceinline__ f64 whole_power(f64 x, u32 n) {
    f64 square = x, p = 1.0;
    for (; n > 0; n >>= 1) {
        if (n & 1) p = p * square;
        square = square * square;
    }
    return p;
}
