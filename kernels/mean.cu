// Mean of some neighbours along one axis: z, y or x. A box is a pass along each.
//
// Sums are f64. Blocks of 1, 2, 4, … neighbours, those that the binary digits of the size name and the shortest first, are
// summed as trees, and their sums are added: the CPU makes them by doubling, in the same order.

template <class T> __device__ __forceinline__ void mean(const Tile<const T>& in, const Tile<f32>& out, u32 axis, u32 size) {
    const u64 step = in.stride[axis];
    each(out, [&](const At& v) {
        const T* next = at(in, v);
        f64 part[32]; // sums of 1, 2, 4, … neighbours that wait for their other half
        f64 total = -0.0; // adds nothing, not even a sign
        for (u32 width = 1; width <= size && width != 0; width <<= 1) {
            if (!(size & width)) continue;
            u32 level = 0;
            for (u32 k = 0; k < width; ++k, next += step) {
                f64 sum = (f32)*next;
                level = 0;
                for (u32 n = k; n & 1; n >>= 1) sum = __dadd_rn(part[level++], sum);
                part[level] = sum;
            }
            total = __dadd_rn(total, part[level]);
        }
        *at(out, v) = (f32)__ddiv_rn(total, (f64)size);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(mean_##T, const Tile<const T> in, const Tile<f32> out, const u32 axis, const u32 size) { mean(in, out, axis, size); }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
