// Functions of one real number, computed in f64 and rounded once to f32, or in f32 where the CPU does so: gamma, ln, exp,
// sqrt, absorbance, normalize.

enum { GAMMA, LN, EXP, SQRT, ABSORBANCE, STRETCH };

template <class T> struct Real {
    __device__ __forceinline__ static f32 ln(T v) { return (f32)logarithm((f64)v); }
};
template <> struct Real<f32> {
    __device__ __forceinline__ static f32 ln(f32 v) { return logarithm_of_f32(v); }
};

// The least share of light that counts.
#define DARKEST 1e-6

__device__ __forceinline__ f64 share_of(f64 sample, f64 white) {
    const f64 share = sample / white;
    return share < DARKEST ? DARKEST : share;
}

// `a`, `b`, `c`: power and value that stays; full light; low end, range and whether to clip.
template <class T> __device__ __forceinline__ f32 real(u32 function, T v, f64 a, f64 b, f64 c) {
    switch (function) {
    case GAMMA: return (f32)(b * power((f64)v / b, a));
    case LN: return Real<T>::ln(v);
    case EXP: return (f32)exponential_for_f32((f64)v);
    case SQRT: return __fsqrt_rn((f32)v);
    case ABSORBANCE: return (f32)(0.0 - logarithm(share_of((f64)v, a)) * LOG10_E);
    default: {
        f32 value = ((f32)v - (f32)a) / (f32)b;
        if (c == 0.0) return value;
        value = value < 0.0f ? 0.0f : value;
        value = value > 1.0f ? 1.0f : value;
        return value + 0.0f;
    }
    }
}

#define TYPE(T)                                                                                                        \
    KERNEL(real_##T, const Tile<const T> from, const Tile<f32> to, const u32 function, const f64 a, const f64 b, const f64 c) { \
        each(to, [&](const At& v) { *at(to, v) = real(function, *at(from, v), a, b, c); });                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
