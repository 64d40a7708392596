// A filter with symmetric weights along one axis: z, y or x; or, if `odd`, with antisymmetric ones, which takes the later
// sample of a pair less the earlier. Any separable filter is a pass along each axis.
//
// Sums are f64: the centre first, then the pairs from the outside in; each product is rounded, then added; the sum is
// rounded to f32. That is scipy's order.

#define TAPS 256

// One half of the weights, centre first.
struct Half {
    f64 weight[TAPS];
};

template <class T>
__device__ __forceinline__ void convolve(const Tile<const T>& in, const Tile<f32>& out, u32 axis, u32 radius, u32 odd, const Half& half) {
    const i64 step = in.stride[axis];
    each(out, [&](const At& v) {
        const T* centre = at(in, v) + radius * step;
        f64 sum = __dmul_rn(half.weight[0], (f64)(f32)*centre);
        for (u32 k = radius; k > 0; --k) {
            const f64 left = (f32)centre[-(k * step)], right = (f32)centre[k * step];
            sum = __dadd_rn(sum, __dmul_rn(half.weight[k], __dadd_rn(right, odd ? -left : left)));
        }
        *at(out, v) = (f32)sum;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(convolve_##T, const Tile<const T> in, const Tile<f32> out, const u32 axis, const u32 radius, const u32 odd, const Half half) { \
        convolve(in, out, axis, radius, odd, half);                                                                    \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
