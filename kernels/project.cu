// One axis reduced to a single value; a thread goes along the axis. What is written is the state that the CPU keeps
// (`ops/project.rs`, `along/*.rs`), in the same order, so that states of slabs can be joined; or, for the median and the plane
// in focus, the image.
//
// The largest or smallest value: NaN where there is one.

template <class T> __device__ __forceinline__ bool is_nan(T) { return false; }
template <> __device__ __forceinline__ bool is_nan<f32>(f32 v) { return v != v; }

template <class T>
__device__ __forceinline__ void project_extreme(const Tile<const T>& in, const Tile<T>& out, u32 axis, u32 smallest) {
    const i64 step = in.stride[axis];
    const u32 count = in.shape[axis];
    each(out, [&](const At& v) {
        const T* p = at(in, v);
        T best = *p;
        for (u32 k = 1; k < count; ++k) {
            const T next = p[k * step];
            if (is_nan(best)) break;
            if (is_nan(next) || (smallest ? next < best : next > best)) best = next;
        }
        *at(out, v) = best;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(project_extreme_##T, const Tile<const T> in, const Tile<T> out, const u32 axis, const u32 smallest) {       \
        project_extreme(in, out, axis, smallest);                                                                      \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

// Calls `take` with the samples along an axis, in order, and their numbers.
template <class T, class F> __device__ __forceinline__ void walk(const Tile<const T>& in, const At& v, u32 axis, F take) {
    const T* next = at(in, v);
    for (u32 k = 0; k < in.shape[axis]; ++k, next += in.stride[axis]) take(*next, k);
}

// Sums.
#define TYPE(T, U)                                                                                                     \
    KERNEL(project_sum_##T, const Tile<const T> in, const Tile<U> out, const u32 axis) {                               \
        each(out, [&](const At& v) {                                                                                   \
            U sum = 0;                                                                                                 \
            walk(in, v, axis, [&](T sample, u32) { sum = sum + (U)sample; });                                          \
            *at(out, v) = sum;                                                                                         \
        });                                                                                                            \
    }
TYPE(u8, u64) TYPE(u16, u64) TYPE(f32, f64)
#undef TYPE

#define TYPE(T)                                                                                                        \
    KERNEL(project_squares_##T, const Tile<const T> in, const Tile<u64> out, const u32 axis) {                         \
        each(out, [&](const At& v) {                                                                                   \
            const u32 times = out.shape[0] / 2;                                                                        \
            if (v.t >= times) return;                                                                                  \
            u64 sum = 0, squares = 0;                                                                                  \
            walk(in, v, axis, [&](T sample, u32) {                                                                     \
                sum += sample;                                                                                         \
                squares += (u32)sample * (u32)sample;                                                                  \
            });                                                                                                        \
            u64* to = at(out, v);                                                                                      \
            to[0] = sum;                                                                                               \
            to[times * out.stride[0]] = squares;                                                                       \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16)
#undef TYPE

// Means, sums of squared differences, and how many there are, behind each other as time points; of floats.
#define TYPE(T)                                                                                                        \
    KERNEL(project_welford_##T, const Tile<const T> in, const Tile<f64> out, const u32 axis) {                         \
        each(out, [&](const At& v) {                                                                                   \
            const u32 times = out.shape[0] / 3;                                                                        \
            if (v.t >= times) return;                                                                                  \
            f64 mean = 0.0, squares = 0.0;                                                                             \
            walk(in, v, axis, [&](T sample, u32 k) {                                                                   \
                const f64 value = sample, before = value - mean;                                                       \
                mean = mean + before * (1.0 / (f64)(k + 1));                                                           \
                squares = squares + before * (value - mean);                                                           \
            });                                                                                                        \
            f64* to = at(out, v);                                                                                      \
            const bool first = (v.t | v.c | v.z | v.y | v.x) == 0;                                                     \
            to[0] = mean;                                                                                              \
            to[times * out.stride[0]] = squares;                                                                       \
            to[2 * times * out.stride[0]] = first ? (f64)in.shape[axis] : 0.0;                                         \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE

// Positions of extremes, then how many voxels were seen (by the first line), then the extremes: a row of bytes.
#define TYPE(T)                                                                                                        \
    KERNEL(project_place_##T, const Tile<const T> in, const Tile<u8> out, const u32 axis, const u32 largest) {         \
        each(out, [&](const At& v) {                                                                                   \
            const u32 lines = out.shape[4] / (8 + sizeof(T));                                                          \
            if (v.x >= lines) return;                                                                                  \
            u32 rest = v.x, place[5];                                                                                  \
            _Pragma("unroll") for (int a = 4; a >= 0; --a) {                                                           \
                const u32 extent = (u32)a == axis ? 1 : in.shape[a];                                                   \
                place[a] = rest % extent;                                                                              \
                rest /= extent;                                                                                        \
            }                                                                                                          \
            T best = 0;                                                                                                \
            u32 position = 0;                                                                                          \
            walk(in, At{place[0], place[1], place[2], place[3], place[4]}, axis, [&](T sample, u32 k) {                \
                const bool beyond = largest ? sample > best : sample < best;                                           \
                if (k == 0 || beyond || (sample != sample && best == best)) best = sample, position = k;               \
            });                                                                                                        \
            u32* numbers = (u32*)out.data;                                                                             \
            numbers[v.x] = position;                                                                                   \
            numbers[lines + v.x] = v.x == 0 ? in.shape[axis] : 0;                                                      \
            ((T*)(numbers + 2 * lines))[v.x] = best;                                                                   \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

// The key of a rank along an axis, bit by bit.
template <class T> __device__ __forceinline__ u32 key_along(const Tile<const T>& in, const At& v, u32 axis, u32 rank) {
    u32 found = 0;
    for (u32 mask = 1u << (8 * sizeof(T) - 1); mask; mask >>= 1) {
        u32 below = 0;
        walk(in, v, axis, [&](T sample, u32) { below += Keys<T>::key(sample) < (found | mask); });
        if (below <= rank) found |= mask;
    }
    return found;
}

// Of an even number the mean of the two in the middle; NaN if there is one.
#define TYPE(T)                                                                                                        \
    KERNEL(project_median_##T, const Tile<const T> in, const Tile<f32> out, const u32 axis) {                          \
        each(out, [&](const At& v) {                                                                                   \
            const u32 count = in.shape[axis];                                                                          \
            bool missing = false;                                                                                      \
            walk(in, v, axis, [&](T sample, u32) { missing = missing || sample != sample; });                          \
            typedef Keys<T> K;                                                                                         \
            const T upper = K::sample((typename K::Key)key_along(in, v, axis, count / 2));                             \
            const T lower = count % 2 ? upper : K::sample((typename K::Key)key_along(in, v, axis, count / 2 - 1));     \
            const f32 middle = count % 2 ? (f32)upper : (f32)(((f64)lower + (f64)upper) / 2.0);                        \
            *at(out, v) = missing ? __uint_as_float(F32_NAN) : middle;                                                 \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

// The value in the plane that is sharpest around the pixel: the variance of the Laplacian over a box of `size` pixels.
#define TYPE(T)                                                                                                        \
    KERNEL(project_focus_##T, const Tile<const T> in, const Tile<T> out, const u32 axis, const u32 size) {             \
        each(out, [&](const At& v) {                                                                                   \
            const u32 centre = size / 2 + 1, rows = in.stride[3];                                                      \
            f64 best = -of_bits(F64_INFINITY);                                                                         \
            const T* plane = at(in, v);                                                                                \
            T value = plane[centre * rows + centre];                                                                   \
            for (u32 k = 0; k < in.shape[axis]; ++k, plane += in.stride[axis]) {                                       \
                f64 sum = 0.0, squares = 0.0;                                                                          \
                for (u32 x = 0; x < size; ++x) {                                                                       \
                    f64 column = 0.0, column_squares = 0.0;                                                            \
                    for (u32 y = 0; y < size; ++y) {                                                                   \
                        const T* pixel = plane + (y + 1) * rows + x + 1;                                               \
                        const f64 across = (f64) * (pixel - rows) + (f64)pixel[rows], along = (f64)pixel[-1] + (f64)pixel[1]; \
                        const f64 sharp = (across + along) - 4.0 * (f64)*pixel;                                        \
                        column = y == 0 ? sharp : column + sharp;                                                      \
                        column_squares = y == 0 ? sharp * sharp : column_squares + sharp * sharp;                      \
                    }                                                                                                  \
                    sum = x == 0 ? column : sum + column;                                                              \
                    squares = x == 0 ? column_squares : squares + column_squares;                                      \
                }                                                                                                      \
                const f64 sharpness = (f64)(size * size) * squares - sum * sum;                                        \
                if (sharpness > best) {                                                                                \
                    best = sharpness;                                                                                  \
                    value = plane[centre * rows + centre];                                                             \
                }                                                                                                      \
            }                                                                                                          \
            *at(out, v) = value;                                                                                       \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
