// The smallest or largest of some neighbours along one axis: z, y or x. A box is a pass along each: min, max, erode,
// dilate, open, close.
//
// Samples are compared as keys: integers as they are, floats as integers in their order, -0 below 0 and every NaN above
// all numbers.

template <class T> struct Keys {
    typedef T Key;
    __device__ __forceinline__ static T key(T v) { return v; }
    __device__ __forceinline__ static T sample(T k) { return k; }
};
template <> struct Keys<f32> {
    typedef u32 Key;
    // The key of -∞ is 0; NaN of either sign come after +∞.
    static const u32 FLOOR = 0x007fffffu;
    __device__ __forceinline__ static u32 key(f32 v) {
        const u32 bits = __float_as_uint(v);
        return (bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u)) - FLOOR;
    }
    __device__ __forceinline__ static f32 sample(u32 k) {
        const u32 ordered = k + FLOOR;
        return __uint_as_float(ordered ^ (ordered >> 31 ? 0x80000000u : 0xffffffffu));
    }
};

template <class T>
__device__ __forceinline__ void extreme(const Tile<const T>& in, const Tile<T>& out, u32 axis, u32 size, u32 largest) {
    typedef typename Keys<T>::Key Key;
    const u64 step = in.stride[axis];
    each(out, [&](const At& v) {
        const T* first = at(in, v);
        Key best = Keys<T>::key(*first);
        for (u32 k = 1; k < size; ++k) {
            const Key key = Keys<T>::key(first[k * step]);
            best = (largest ? key > best : key < best) ? key : best;
        }
        *at(out, v) = Keys<T>::sample(best);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(extreme_##T, const Tile<const T> in, const Tile<T> out, const u32 axis, const u32 size, const u32 largest) { \
        extreme(in, out, axis, size, largest);                                                                         \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
