// Light that stains take away: absorbance of each channel, stain, normalize-stain. As `crates/kernels/src/stains`, in f64.

// Full light of each channel.
#define TYPE(T)                                                                                                        \
    KERNEL(absorbance_##T, const Tile<const T> in, const Tile<f32> out, const u32 first, const Channels whites) {      \
        each(out, [&](const At& v) { *at(out, v) = real(ABSORBANCE, *at(in, v), whites.weight[first + v.c], 0.0, 0.0); }); \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

// Full light of red, green and blue, then three rows of weights; `recolour` has more behind them.
struct Stains {
    f64 white[3];
    f64 weight[9];
};

__device__ __forceinline__ f64 weighted(const f64* weight, const f64* v) {
    return (v[0] * weight[0] + v[1] * weight[1]) + v[2] * weight[2];
}

template <class T> __device__ __forceinline__ void shares_at(const Tile<const T>& in, const At& v, const f64* white, f64* share) {
    const T* red = in.data + v.t * in.stride[0] + v.z * in.stride[2] + v.y * in.stride[3] + v.x;
#pragma unroll
    for (int c = 0; c < 3; ++c) share[c] = share_of((f64)red[c * in.stride[1]], white[c]);
}

// `first`: the stain of the tile's first channel.
#define TYPE(T)                                                                                                        \
    KERNEL(unmix_##T, const Tile<const T> in, const Tile<f32> out, const u32 first, const Stains stains) {             \
        each(out, [&](const At& v) {                                                                                   \
            f64 share[3];                                                                                              \
            shares_at(in, v, stains.white, share);                                                                     \
            _Pragma("unroll") for (int c = 0; c < 3; ++c) share[c] = logarithm(share[c]);                              \
            f64 amount = weighted(stains.weight + 3 * (first + v.c), share);                                           \
            amount = amount < 0.0 ? 0.0 : amount;                                                                      \
            *at(out, v) = (f32)(amount + 0.0);                                                                         \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

enum { BY_LOGS, BY_OPPONENTS };

// Cones of colours, opponents of the cones' logarithms, and back: three rows each; then factors and shifts of opponents.
struct Spaces {
    Stains stains;
    f64 opponents[9], cones[9], colours[9], factor[3], shift[3];
};

// One of the colours, as a share of its light.
__device__ __forceinline__ f64 recoloured(const Spaces& s, u32 way, const f64* share, u32 colour) {
    f64 a[3], b[3];
    if (way == BY_LOGS) {
#pragma unroll
        for (int c = 0; c < 3; ++c) a[c] = logarithm(share[c]);
        return exponential(weighted(s.stains.weight + 3 * colour, a));
    }
    for (int c = 0; c < 3; ++c) a[c] = logarithm(weighted(s.stains.weight + 3 * c, share)) * LOG10_E;
    for (int c = 0; c < 3; ++c) b[c] = weighted(s.opponents + 3 * c, a) * s.factor[c] + s.shift[c];
    for (int c = 0; c < 3; ++c) a[c] = exponential(weighted(s.cones + 3 * c, b) * LN_10);
    return weighted(s.colours + 3 * colour, a);
}

// Channels after the three colours are copied; a tile without colours holds only those. `first`: the tile's first channel.
#define TYPE(T)                                                                                                        \
    WIDE_KERNEL(recolour_##T, const Tile<const T> in, const Tile<T> out, const u32 first, const u32 way, const Spaces spaces) { \
        each(out, [&](const At& v) {                                                                                   \
            const u32 channel = first + v.c;                                                                           \
            if (channel >= 3) {                                                                                        \
                *at(out, v) = *at(in, At{v.t, first < 3 ? channel : v.c, v.z, v.y, v.x});                              \
                return;                                                                                                \
            }                                                                                                          \
            f64 share[3];                                                                                              \
            shares_at(in, v, spaces.stains.white, share);                                                              \
            *at(out, v) = Rounded<T>::of(spaces.stains.white[channel] * recoloured(spaces, way, share, channel));      \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

enum { SATURATION, MEAN_ABSORBANCE };

// One number of three colours, for `tissue`.
#define TYPE(T)                                                                                                        \
    KERNEL(tissue_##T, const Tile<const T> in, const Tile<T> out, const u32 by, const f64 white_r, const f64 white_g, const f64 white_b) { \
        each(out, [&](const At& v) {                                                                                   \
            const T* first = in.data + v.t * in.stride[0] + v.z * in.stride[2] + v.y * in.stride[3] + v.x;             \
            const f64 r = first[0], g = first[in.stride[1]], b = first[2 * in.stride[1]];                              \
            if (by == SATURATION) {                                                                                    \
                f64 most = g > r ? g : r, least = g < r ? g : r;                                                       \
                most = b > most ? b : most;                                                                            \
                least = b < least ? b : least;                                                                         \
                *at(out, v) = most > 0.0 ? (T)((most - least) / most) : 0.0f;                                          \
                return;                                                                                                \
            }                                                                                                          \
            const f64 logs = (logarithm(share_of(r, white_r)) + logarithm(share_of(g, white_g))) + logarithm(share_of(b, white_b)); \
            *at(out, v) = (T)(logs * (-LOG10_E / 3.0));                                                                \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE
