// Voxels moved without change: flip, rotate90, transpose, reslice; and images one after the other: concat, stack.
// Samples of N bytes.

// Four bits for each axis of the output, from t on: the axis of the input that it walks, and 8 if backwards.
template <class T> __device__ __forceinline__ void turn(const Tile<const T>& from, const Tile<T>& to, u32 axes) {
    each(to, [&](const At& v) {
        const u32 place[5] = {v.t, v.c, v.z, v.y, v.x};
        u32 offset = 0;
#pragma unroll
        for (int a = 0; a < 5; ++a) {
            const u32 walk = axes >> (4 * a) & 15, axis = walk & 7;
            u32 stride = 0;
#pragma unroll
            for (u32 b = 0; b < 5; ++b) stride = b == axis ? from.stride[b] : stride;
            offset += (walk & 8 ? to.shape[a] - 1 - place[a] : place[a]) * stride;
        }
        *at(to, v) = from.data[offset];
    });
}

// Up to four images along an axis; those that the tile does not show are empty.
template <class T>
__device__ __forceinline__ void beside(const Tile<const T>& a, const Tile<const T>& b, const Tile<const T>& c, const Tile<const T>& d,
                                       const Tile<T>& to, u32 axis, u32 count) {
    const Tile<const T>* images[4] = {&a, &b, &c, &d};
    each(to, [&](const At& v) {
        u32 place[5] = {v.t, v.c, v.z, v.y, v.x};
#pragma unroll
        for (u32 n = 0; n < 4; ++n) {
            if (n >= count) break;
            const Tile<const T>& image = *images[n];
            u32 extent = 0, position = 0, voxels = 1;
#pragma unroll
            for (u32 k = 0; k < 5; ++k) {
                voxels *= image.shape[k] != 0;
                extent = k == axis ? image.shape[k] : extent;
                position = k == axis ? place[k] : position;
            }
            if (!voxels) continue;
            if (position < extent) {
                *at(to, v) = *at(image, At{place[0], place[1], place[2], place[3], place[4]});
                break;
            }
#pragma unroll
            for (u32 k = 0; k < 5; ++k) place[k] -= k == axis ? extent : 0;
        }
    });
}

// `part_N`: what begins `z`, `y`, `x` voxels further on.
#define SIZE(N, T)                                                                                                     \
    KERNEL(part_##N, const Tile<const T> from, const Tile<T> to, const u32 z, const u32 y, const u32 x) {              \
        each(to, [&](const At& v) { *at(to, v) = *at(from, At{v.t, v.c, v.z + z, v.y + y, v.x + x}); });               \
    }                                                                                                                  \
    KERNEL(turn_##N, const Tile<const T> from, const Tile<T> to, const u32 axes) { turn(from, to, axes); }             \
    KERNEL(beside_##N, const Tile<const T> a, const Tile<const T> b, const Tile<const T> c, const Tile<const T> d,     \
           const Tile<T> to, const u32 axis, const u32 count) {                                                        \
        beside(a, b, c, d, to, axis, count);                                                                           \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
