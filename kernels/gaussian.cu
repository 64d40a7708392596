// A filter with symmetric weights along one axis: z, y or x; or, if `odd`, with antisymmetric ones, which takes the later
// sample of a pair less the earlier. Any separable filter is a pass along each axis.
//
// Sums are f64: the centre first, then the pairs from the outside in; each product is rounded, then added; the sum is
// rounded to f32. That is scipy's order. With precision=fast sums are f32, with fused products and additions.

#define TAPS 256

// One half of the weights, centre first.
struct Half {
    f64 weight[TAPS];
};

// What sums are made of: f64, each product rounded; or f32, fused.
struct Exact {
    typedef f64 Sum;
    __device__ __forceinline__ static f64 product(f64 weight, f64 v) { return __dmul_rn(weight, v); }
    __device__ __forceinline__ static f64 added(f64 sum, f64 weight, f64 pair) { return __dadd_rn(sum, __dmul_rn(weight, pair)); }
};
struct Fast {
    typedef f32 Sum;
    __device__ __forceinline__ static f32 product(f32 weight, f32 v) { return __fmul_rn(weight, v); }
    __device__ __forceinline__ static f32 added(f32 sum, f32 weight, f32 pair) { return __fmaf_rn(weight, pair, sum); }
};

// One voxel.
template <class P, class T>
__device__ __forceinline__ f32 filtered(const T* centre, i64 step, u32 radius, u32 odd, const Half& half) {
    typedef typename P::Sum S;
    S sum = P::product((S)half.weight[0], (S)(f32)*centre);
    for (u32 k = radius; k > 0; --k) {
        const S left = (S)(f32)centre[-(k * step)], right = (S)(f32)centre[k * step];
        sum = P::added(sum, (S)half.weight[k], right + (odd ? -left : left));
    }
    return (f32)sum;
}

// Neighbours along z or y that a thread makes together.
#define TOGETHER 4

// While the pair moves from the outermost inwards, the samples on the left of the voxels and those on the right stay in
// registers; each step loads one new one for each side.
template <class P, class T>
__device__ __forceinline__ void filtered_together(const T* centre, i64 step, u32 radius, u32 odd, const Half& half, f32* to, i64 to_step) {
    typedef typename P::Sum S;
    S sum[TOGETHER], left[TOGETHER], right[TOGETHER];
#pragma unroll
    for (int j = 0; j < TOGETHER; ++j) {
        sum[j] = P::product((S)half.weight[0], (S)(f32)centre[j * step]);
        left[j] = (S)(f32)centre[(j - (i64)radius) * step];
        right[j] = (S)(f32)centre[(j + (i64)radius) * step];
    }
    for (i64 k = radius; k > 0;) {
        // After `u` steps, sample `j - k` is in `left[(j + u) % TOGETHER]`, and `j + k` in `right[(j - u) % TOGETHER]`.
#pragma unroll
        for (int u = 0; u < TOGETHER; ++u) {
            if (k > 0) {
                const S weight = (S)half.weight[k];
#pragma unroll
                for (int j = 0; j < TOGETHER; ++j) {
                    const S l = left[(j + u) % TOGETHER], r = right[(j + TOGETHER - u) % TOGETHER];
                    sum[j] = P::added(sum[j], weight, r + (odd ? -l : l));
                }
                --k;
                if (k > 0) {
                    left[u] = (S)(f32)centre[(TOGETHER - 1 - k) * step];
                    right[TOGETHER - 1 - u] = (S)(f32)centre[k * step];
                }
            }
        }
    }
#pragma unroll
    for (int j = 0; j < TOGETHER; ++j) to[j * to_step] = (f32)sum[j];
}

template <class P, class T>
__device__ __forceinline__ void convolve(const Tile<const T>& in, const Tile<f32>& out, u32 axis, u32 radius, u32 odd, const Half& half) {
    const i64 step = in.stride[axis];
    if (axis == 4) {
        each(out, [&](const At& v) { *at(out, v) = filtered<P>(at(in, v) + radius * step, step, radius, odd, half); });
        return;
    }
    Tile<f32> blocks = out;
    const u32 extent = out.shape[axis];
    blocks.shape[axis] = (extent + TOGETHER - 1) / TOGETHER;
    each(blocks, [&](const At& v) {
        const u32 number = axis == 2 ? v.z : v.y;
        const i64 more = number * (TOGETHER - 1); // `v` is at the block's number along the axis
        const T* centre = at(in, v) + (more + radius) * step;
        const i64 to_step = out.stride[axis];
        f32* to = at(out, v) + more * to_step;
        if ((number + 1) * TOGETHER <= extent) {
            filtered_together<P>(centre, step, radius, odd, half, to, to_step);
            return;
        }
        for (u32 j = 0; number * TOGETHER + j < extent; ++j) to[j * to_step] = filtered<P>(centre + j * step, step, radius, odd, half);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(convolve_##T, const Tile<const T> in, const Tile<f32> out, const u32 axis, const u32 radius, const u32 odd, const Half half) { \
        convolve<Exact>(in, out, axis, radius, odd, half);                                                             \
    }                                                                                                                  \
    KERNEL(convolve_fast_##T, const Tile<const T> in, const Tile<f32> out, const u32 axis, const u32 radius, const u32 odd, \
           const Half half) {                                                                                          \
        convolve<Fast>(in, out, axis, radius, odd, half);                                                              \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
