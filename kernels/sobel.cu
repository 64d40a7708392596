// Magnitude of the gradient from windows of three: sobel, scharr, prewitt.
//
// Along each axis an f64 sum over the window in row-major order, rounded to f32; then f32: squares added in the order
// z, y, x, the root, one division. With a single axis the signed sum.

struct Three {
    f64 weight[3];
};

// `axes`: bit 2 for z, bit 1 for y, bit 0 for x.
template <class T>
__device__ __forceinline__ void edges(const Tile<const T>& in, const Tile<f32>& out, u32 axes, const Three& smooth) {
    const bool has[3] = {(axes & 4) != 0, (axes & 2) != 0, (axes & 1) != 0};
    const u32 count = has[0] + has[1] + has[2];
    each(out, [&](const At& v) {
        const T* first = at(in, v);
        f32 squares = 0.0f;
        bool none = true;
        // Not unrolled: the windows of all axes together do not fit the registers.
#pragma unroll 1
        for (int axis = 0; axis < 3; ++axis) {
            if (!has[axis]) continue;
            f64 sum = 0.0;
#pragma unroll 1
            for (u32 z = 0; z < (has[0] ? 3 : 1); ++z)
#pragma unroll 1
                for (u32 y = 0; y < (has[1] ? 3 : 1); ++y)
#pragma unroll 1
                    for (u32 x = 0; x < (has[2] ? 3 : 1); ++x) {
                        const u32 place[3] = {z, y, x};
                        f64 weight = 1.0;
                        for (int a = 0; a < 3; ++a) {
                            const f64 along = a == axis ? (f64)place[a] - 1.0 : has[a] ? smooth.weight[place[a]] : 1.0;
                            weight = __dmul_rn(weight, along);
                        }
                        if (weight != 0.0) {
                            const f32 sample = (f32)first[z * in.stride[2] + y * in.stride[3] + x];
                            sum = __dadd_rn(sum, __dmul_rn(weight, (f64)sample));
                        }
                    }
            const f32 g = (f32)sum;
            if (count == 1) {
                *at(out, v) = g;
                return;
            }
            squares = none ? __fmul_rn(g, g) : __fadd_rn(squares, __fmul_rn(g, g));
            none = false;
        }
        *at(out, v) = __fdiv_rn(__fsqrt_rn(squares), __fsqrt_rn((f32)count));
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(edges_##T, const Tile<const T> in, const Tile<f32> out, const u32 axes, const Three smooth) {               \
        edges(in, out, axes, smooth);                                                                                  \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
