// One image minus another; integers stop at 0. The last step of tophat, blackhat and dog.

template <class T> __device__ __forceinline__ T minus(T a, T b) { return a > b ? (T)(a - b) : (T)0; }
template <> __device__ __forceinline__ f32 minus<f32>(f32 a, f32 b) { return __fadd_rn(a, -b); }

#define TYPE(T)                                                                                                        \
    KERNEL(subtract_##T, const Tile<const T> a, const Tile<const T> b, const Tile<T> to) {                             \
        each(to, [&](const At& v) { *at(to, v) = minus(*at(a, v), *at(b, v)); });                                      \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
