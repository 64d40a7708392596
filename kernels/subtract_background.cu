// The background that a ball rolling below an image touches: the least of the samples in a box around the voxel, each
// raised by what the ball is lower there. `heights`: along z, y and x of the box; infinite outside the ball.

template <class T> struct Raised {
    typedef u32 type;
    __device__ __forceinline__ static u32 of(T v, f64 height) {
        const u32 most = Most<T>::value;
        const u32 sum = height < (f64)most ? (u32)v + (u32)height : most;
        return sum < most ? sum : most;
    }
    __device__ __forceinline__ static u32 most() { return Most<T>::value; }
};
template <> struct Raised<f32> {
    typedef f32 type;
    __device__ __forceinline__ static f32 of(f32 v, f64 height) { return __fadd_rn(v, (f32)height); }
    __device__ __forceinline__ static f32 most() { return __uint_as_float(F32_INFINITY); }
};

#define TYPE(T)                                                                                                        \
    KERNEL(rolled_##T, const Tile<const T> in, const Tile<const f64> heights, const Tile<T> out, const u32 nz, const u32 ny, \
           const u32 nx) {                                                                                             \
        each(out, [&](const At& v) {                                                                                   \
            const T* first = at(in, v);                                                                                \
            auto least = Raised<T>::most();                                                                            \
            for (u32 row = 0; row < nz * ny; ++row)                                                                    \
                for (u32 x = 0; x < nx; ++x) {                                                                         \
                    const T sample = first[row / ny * in.stride[2] + row % ny * in.stride[3] + x];                     \
                    const auto value = Raised<T>::of(sample, heights.data[row * nx + x]);                              \
                    least = value < least ? value : least;                                                             \
                }                                                                                                      \
            *at(out, v) = (T)least;                                                                                    \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
