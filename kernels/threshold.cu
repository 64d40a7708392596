// Mask of the voxels at or above a bound, or above it; or of none.

enum { AT_LEAST, ABOVE, NEVER };

#define TYPE(T)                                                                                                        \
    KERNEL(threshold_##T, const Tile<const T> from, const Tile<u8> to, const u64 word, const u32 rule) {               \
        const T bound = from_word<T>(word);                                                                            \
        each(to, [&](const At& v) {                                                                                    \
            const T value = *at(from, v);                                                                              \
            *at(to, v) = rule == NEVER ? 0 : rule == ABOVE ? value > bound : value >= bound;                           \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
