// Linear change of the values, in f64: to + (x - from) · slope, rounded once.

template <class T, class U>
__device__ __forceinline__ void rescale(const Tile<const T>& in, const Tile<U>& out, f64 from, f64 slope, f64 to) {
    each(out, [&](const At& v) {
        const f64 x = __dadd_rn((f64)*at(in, v), -from);
        *at(out, v) = Rounded<U>::of(__dadd_rn(__dmul_rn(x, slope), to));
    });
}

#define PAIR(T, U)                                                                                                     \
    KERNEL(rescale_##T##_##U, const Tile<const T> in, const Tile<U> out, const f64 from, const f64 slope, const f64 to) { \
        rescale(in, out, from, slope, to);                                                                             \
    }
PAIR(u8, u8) PAIR(u8, u16) PAIR(u8, f32)
PAIR(u16, u8) PAIR(u16, u16) PAIR(u16, f32)
PAIR(f32, u8) PAIR(f32, u16) PAIR(f32, f32)
#undef PAIR
