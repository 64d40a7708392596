// Second differences along the axes of space, each computed in f64 and rounded to f32, then added in f32: z, y, x.

template <class T> __device__ __forceinline__ f32 second(const T* centre, i64 step) {
    const f64 left = (f32)centre[-step], middle = (f32)*centre, right = (f32)centre[step];
    return (f32)__dadd_rn(__dmul_rn(middle, -2.0), __dadd_rn(left, right));
}

// `axes`: bit 2 for z, bit 1 for y, bit 0 for x.
template <class T> __device__ __forceinline__ void laplace(const Tile<const T>& in, const Tile<f32>& out, u32 axes) {
    const u32 z = axes >> 2 & 1, y = axes >> 1 & 1, x = axes & 1;
    each(out, [&](const At& v) {
        const T* centre = at(in, v) + z * in.stride[2] + y * in.stride[3] + x;
        f32 sum = 0.0f;
        if (z) sum = second(centre, in.stride[2]);
        if (y) sum = z ? __fadd_rn(sum, second(centre, in.stride[3])) : second(centre, in.stride[3]);
        if (x) sum = z || y ? __fadd_rn(sum, second(centre, 1)) : second(centre, 1);
        *at(out, v) = sum;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(laplace_##T, const Tile<const T> in, const Tile<f32> out, const u32 axes) { laplace(in, out, axes); }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
