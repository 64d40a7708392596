// Weighted sum of the channels, in f64 and in their order, rounded once.

#define CHANNELS 16

struct Channels {
    f64 weight[CHANNELS];
};

template <class T>
__device__ __forceinline__ void gray(const Tile<const T>& in, const Tile<f32>& out, u32 count, const Channels& channels) {
    each(out, [&](const At& v) {
        const T* first = at(in, v);
        f64 sum = __dmul_rn(channels.weight[0], (f64)*first);
        for (u32 c = 1; c < count; ++c) sum = __dadd_rn(sum, __dmul_rn(channels.weight[c], (f64)first[c * in.stride[1]]));
        *at(out, v) = (f32)sum;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(gray_##T, const Tile<const T> in, const Tile<f32> out, const u32 count, const Channels channels) {          \
        gray(in, out, count, channels);                                                                                \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
