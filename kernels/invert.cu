// Photographic negative; of a mask, 0 becomes 1 and all else 0.

template <class T> __device__ __forceinline__ T negative(T v) { return (T)~v; }
template <> __device__ __forceinline__ f32 negative<f32>(f32 v) { return __fadd_rn(1.0f, -v); }

#define TYPE(T)                                                                                                        \
    KERNEL(invert_##T, const Tile<const T> from, const Tile<T> to, const u32 mask) {                                   \
        each(to, [&](const At& v) {                                                                                    \
            const T value = *at(from, v);                                                                              \
            *at(to, v) = mask ? (T)(value == (T)0 ? 1 : 0) : negative(value);                                          \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
