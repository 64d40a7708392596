// Mean of the neighbours that are as bright as the voxel: f32, sums in f64, in raster order of the window.

#define DISTANCES 448

// Weights by distance from the voxel along z, y and x, each from 0 up.
struct Distances {
    f64 weight[DISTANCES];
};

// eˣ for x up to 0; 0 below -87 and for NaN. As `exp` in `ops/bilateral.rs`.
__device__ __forceinline__ f32 exponential_near(f32 x) {
    const f32 series[7] = {1.3888889e-3f, 8.333333e-3f, 4.1666666e-2f, 1.6666667e-1f, 0.5f, 1.0f, 1.0f};
    const f32 shift = 12582912.0f;
    const bool counts = x >= -87.0f;
    x = counts ? x : -87.0f;
    const f32 shifted = x * 1.44269504f + shift;
    const f32 k = shifted - shift;
    const f32 r = (x - k * 0.6933594f) - k * -2.1219444e-4f;
    f32 e = series[0];
#pragma unroll
    for (int n = 1; n < 7; ++n) e = e * r + series[n];
    const u32 power = (__float_as_uint(shifted) - __float_as_uint(shift) + 127u) << 23;
    return counts ? e * __uint_as_float(power) : 0.0f;
}

// `rz`, `ry`, `rx`: radius.
#define TYPE(T)                                                                                                        \
    KERNEL(bilateral_##T, const Tile<const T> in, const Tile<T> out, const u32 rz, const u32 ry, const u32 rx, const f64 scale, \
           const Distances distances) {                                                                                \
        each(out, [&](const At& v) {                                                                                   \
            const T* first = at(in, v);                                                                                \
            const T own = first[rz * in.stride[2] + ry * in.stride[3] + rx];                                           \
            f64 value = 0.0, weight = 0.0;                                                                             \
            for (u32 z = 0; z < 2 * rz + 1; ++z)                                                                       \
                for (u32 y = 0; y < 2 * ry + 1; ++y) {                                                                 \
                    const T* row = first + z * in.stride[2] + y * in.stride[3];                                        \
                    const u32 dz = z < rz ? rz - z : z - rz, dy = y < ry ? ry - y : y - ry;                            \
                    for (u32 x = 0; x < 2 * rx + 1; ++x) {                                                             \
                        const u32 dx = x < rx ? rx - x : x - rx;                                                       \
                        const T other = row[x], d = other - own;                                                       \
                        const T spatial = (T)distances.weight[(dz * (ry + 1) + dy) * (rx + 1) + dx];                   \
                        const T w = spatial * exponential_near(d * d * (T)scale);                                      \
                        value = value + (w > 0.0f ? (f64)w * (f64)other : 0.0);                                        \
                        weight = weight + (f64)w;                                                                      \
                    }                                                                                                  \
                }                                                                                                      \
            *at(out, v) = (T)(value / weight);                                                                         \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE
