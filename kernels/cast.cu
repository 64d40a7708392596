// Change of the sample type: saturates, rounds half to even, NaN becomes 0.

template <class T, class U> __device__ __forceinline__ void cast(const Tile<const T>& from, const Tile<U>& to) {
    typedef typename Wide<T>::type W;
    each(to, [&](const At& v) { *at(to, v) = Rounded<U>::of((W)*at(from, v)); });
}

#define PAIR(T, U)                                                                                                     \
    KERNEL(cast_##T##_##U, const Tile<const T> from, const Tile<U> to) { cast(from, to); }
PAIR(u8, u8) PAIR(u8, u16) PAIR(u8, f32)
PAIR(u16, u8) PAIR(u16, u16) PAIR(u16, f32)
PAIR(f32, u8) PAIR(f32, u16) PAIR(f32, f32)
#undef PAIR
