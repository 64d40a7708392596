// Voxels of one image or another, as a mask decides: where, mask. Samples of N bytes.
//
// `truth_N`: 1 where a sample is not 0; of floats, whose sign does not count.

#define SIZE(N, T)                                                                                                     \
    KERNEL(truth_##N, const Tile<const T> from, const Tile<u8> to, const u32 floating) {                               \
        each(to, [&](const At& v) {                                                                                    \
            const T word = *at(from, v);                                                                               \
            *at(to, v) = (floating ? (T)(word << 1) : word) != 0;                                                      \
        });                                                                                                            \
    }                                                                                                                  \
    KERNEL(choose_##N, const Tile<const T> a, const Tile<const T> b, const Tile<const u8> which, const Tile<T> to) {   \
        each(to, [&](const At& v) { *at(to, v) = *at(which, v) ? *at(a, v) : *at(b, v); });                            \
    }                                                                                                                  \
    KERNEL(keep_##N, const Tile<const T> a, const Tile<const u8> which, const Tile<T> to, const u64 outside) {         \
        each(to, [&](const At& v) { *at(to, v) = *at(which, v) ? *at(a, v) : (T)outside; });                           \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
