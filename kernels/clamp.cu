// Values kept within bounds of their own type. NaN stays NaN.

#define TYPE(T)                                                                                                        \
    KERNEL(clamp_##T, const Tile<const T> from, const Tile<T> to, const u64 least, const u64 most) {                   \
        const T lo = from_word<T>(least), hi = from_word<T>(most);                                                     \
        each(to, [&](const At& v) {                                                                                    \
            T value = *at(from, v);                                                                                    \
            value = value < lo ? lo : value;                                                                           \
            *at(to, v) = value > hi ? hi : value;                                                                      \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
