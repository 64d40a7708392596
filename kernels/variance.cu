// Mean, and sum of the squared distances from it, of some neighbours along one axis: z, y or x. A box is a pass along each:
// variance, std, threshold local method=niblack,sauvola.
//
// All in f64. Windows of 1, 2, 4, … neighbours, those that the binary digits of the size name and the shortest first, are merged
// as trees, as `crates/kernels/src/conv/moments.rs` does by doubling. What is written has twice the channels of the image: the
// means, then the sums.

struct Moments {
    f64 mean, squares;
};

template <class T> struct Window1 {
    __device__ __forceinline__ static Moments of(const T* at, u32) { return Moments{(f64)(f32)*at, 0.0}; }
};
template <> struct Window1<f64> {
    __device__ __forceinline__ static Moments of(const f64* at, u32 squares) { return Moments{at[0], at[squares]}; }
};

__device__ __forceinline__ void merge(Moments& into, const Moments& far, f64 share, f64 gain) {
    const f64 d = far.mean - into.mean;
    into.mean = into.mean + d * share;
    into.squares = (into.squares + far.squares) + d * d * gain;
}

// `voxels`: of the windows that are merged.
template <class T>
__device__ __forceinline__ void moments(const Tile<const T>& in, const Tile<f64>& out, u32 axis, u32 size, f64 voxels) {
    const u64 step = in.stride[axis];
    const u32 channels = out.shape[1] / 2, squares = channels * in.stride[1];
    each(out, [&](const At& v) {
        if (v.c >= channels) return;
        const T* next = at(in, v);
        Moments part[32]; // windows of 1, 2, 4, … that wait for their other half
        Moments total = {0.0, 0.0};
        u32 done = 0;
        for (u32 width = 1; width <= size && width != 0; width <<= 1) {
            if (!(size & width)) continue;
            u32 level = 0;
            for (u32 k = 0; k < width; ++k, next += step) {
                Moments window = Window1<T>::of(next, squares);
                level = 0;
                for (u32 n = k; n & 1; n >>= 1) {
                    Moments near = part[level];
                    merge(near, window, 0.5, voxels * (f64)(1u << level) * 0.5);
                    window = near;
                    ++level;
                }
                part[level] = window;
            }
            if (done == 0) {
                total = part[level];
            } else {
                const f64 both = (f64)(done + width);
                merge(total, part[level], (f64)width / both, voxels * ((f64)done * (f64)width / both));
            }
            done += width;
        }
        f64* to = at(out, v);
        to[0] = total.mean;
        to[channels * out.stride[1]] = total.squares;
    });
}

// Infinite voxels have no variance.
__device__ __forceinline__ f64 variance(f64 squares, f64 count) {
    return squares < of_bits(F64_INFINITY) ? squares / count : of_bits(F64_NAN);
}

#define TYPE(T)                                                                                                        \
    KERNEL(moments_##T, const Tile<const T> in, const Tile<f64> out, const u32 axis, const u32 size, const f64 voxels) { \
        moments(in, out, axis, size, voxels);                                                                          \
    }
TYPE(u8) TYPE(u16) TYPE(f32) TYPE(f64)
#undef TYPE

#define TYPE(T)                                                                                                        \
    KERNEL(deviation_##T, const Tile<const T> in, const Tile<f32> out, const f64 count, const u32 root) {              \
        each(out, [&](const At& v) {                                                                                   \
            const f64 of = variance(at(in, v)[out.shape[1] * in.stride[1]], count);                                    \
            *at(out, v) = (f32)(root ? __dsqrt_rn(of) : of);                                                           \
        });                                                                                                            \
    }
TYPE(f64)
#undef TYPE

enum { NIBLACK, SAUVOLA };

// `z`, `y`, `x`: where the voxel lies in what the window reads.
#define TYPE(T)                                                                                                        \
    KERNEL(local_##T, const Tile<const T> image, const Tile<const f64> in, const Tile<u8> out, const f64 count, const u32 method, \
           const f64 k, const f64 r, const u32 z, const u32 y, const u32 x) {                                          \
        each(out, [&](const At& v) {                                                                                   \
            const f64 voxel = (f32)at(image, v)[z * image.stride[2] + y * image.stride[3] + x];                        \
            const f64* window = at(in, v);                                                                             \
            const f64 mean = window[0];                                                                                \
            const f64 deviation = __dsqrt_rn(variance(window[out.shape[1] * in.stride[1]], count));                    \
            const f64 level = method == NIBLACK ? mean - k * deviation : mean * (1.0 + k * (deviation / r - 1.0));     \
            *at(out, v) = voxel > level;                                                                               \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
