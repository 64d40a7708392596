// Blocks of voxels as single values. The last block along an axis is what is left of the image.

// Sums that hold a block exactly; of floats in their order.
template <class T> struct Total {
    typedef u64 type;
};
template <> struct Total<f32> {
    typedef f64 type;
};

// Calls `begin` for the first voxel of each column of a block, `join` for the others, and `end` after each column.
template <class T, class B, class J, class E>
__device__ __forceinline__ u32 columns(const Tile<const T>& in, const At& v, u32 fz, u32 fy, u32 fx, B begin, J join, E end) {
    const At start{v.t, v.c, v.z * fz, v.y * fy, v.x * fx};
    const u32 nz = min(fz, in.shape[2] - start.z), ny = min(fy, in.shape[3] - start.y), nx = min(fx, in.shape[4] - start.x);
    const T* first = at(in, start);
    for (u32 x = 0; x < nx; ++x) {
        for (u32 n = 0; n < nz * ny; ++n) {
            const T sample = first[n / ny * in.stride[2] + n % ny * in.stride[3] + x];
            if (n == 0) begin(sample);
            else join(sample);
        }
        end(x);
    }
    return nz * ny * nx;
}

template <class T, class U>
__device__ __forceinline__ void pool_mean(const Tile<const T>& in, const Tile<U>& out, u32 fz, u32 fy, u32 fx) {
    typedef typename Total<T>::type Sum;
    each(out, [&](const At& v) {
        Sum column = 0, total = 0;
        const u32 count = columns(
            in, v, fz, fy, fx, [&](T sample) { column = (Sum)sample; }, [&](T sample) { column = column + (Sum)sample; },
            [&](u32 x) { total = x == 0 ? column : total + column; });
        *at(out, v) = Rounded<U>::of((f64)total / (f64)count);
    });
}

// Of equal values the first; NaN passes.
template <class T> __device__ __forceinline__ T farther(T first, T second, u32 largest) {
    return (largest ? second > first : second < first) || second != second ? second : first;
}

template <class T>
__device__ __forceinline__ void pool_extreme(const Tile<const T>& in, const Tile<T>& out, u32 fz, u32 fy, u32 fx, u32 largest) {
    each(out, [&](const At& v) {
        T column = 0, held = 0;
        columns(
            in, v, fz, fy, fx, [&](T sample) { column = sample; }, [&](T sample) { column = farther(column, sample, largest); },
            [&](u32 x) { held = x == 0 ? column : farther(held, column, largest); });
        *at(out, v) = held;
    });
}

// The sample of a number that sorts as it does.
template <class T> __device__ __forceinline__ T mode_sample(u32 k) { return (T)k; }
template <> __device__ __forceinline__ f32 mode_sample<f32>(u32 k) { return __uint_as_float(k >> 31 ? k & 0x7fffffffu : ~k); }

// The most frequent, of several the smallest: all are compared with all.
template <class T>
__device__ __forceinline__ void pool_mode(const Tile<const T>& in, const Tile<T>& out, u32 fz, u32 fy, u32 fx) {
    each(out, [&](const At& v) {
        u32 best = 0, most = 0;
        auto look = [&](T sample) {
            const u32 key = order(sample);
            u32 count = 0;
            auto same = [&](T other) { count += order(other) == key; };
            columns(in, v, fz, fy, fx, same, same, [](u32) {});
            if (count > most || (count == most && key < best)) most = count, best = key;
        };
        columns(in, v, fz, fy, fx, look, look, [](u32) {});
        *at(out, v) = mode_sample<T>(best);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(pool_##T, const Tile<const T> in, const Tile<T> out, const u32 z, const u32 y, const u32 x) { pool_mean(in, out, z, y, x); } \
    KERNEL(pool_extreme_##T, const Tile<const T> in, const Tile<T> out, const u32 z, const u32 y, const u32 x, const u32 largest) { \
        pool_extreme(in, out, z, y, x, largest);                                                                       \
    }                                                                                                                  \
    KERNEL(pool_f32_##T, const Tile<const T> in, const Tile<f32> out, const u32 z, const u32 y, const u32 x) { pool_mean(in, out, z, y, x); }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

#define TYPE(T)                                                                                                        \
    KERNEL(pool_mode_##T, const Tile<const T> in, const Tile<T> out, const u32 z, const u32 y, const u32 x) { pool_mode(in, out, z, y, x); }
TYPE(u8) TYPE(u16) TYPE(u32) TYPE(f32)
#undef TYPE

#define SIZE(N, T)                                                                                                     \
    KERNEL(pool_stride_##N, const Tile<const T> in, const Tile<T> out, const u32 z, const u32 y, const u32 x) {        \
        each(out, [&](const At& v) { *at(out, v) = *at(in, At{v.t, v.c, v.z * z, v.y * y, v.x * x}); });               \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
