// Magnitude: by the bits of samples of N bytes. The lowest value of a signed type becomes the highest.

enum { UNSIGNED, SIGNED, FLOATING };

#define SIZE(N, T)                                                                                                     \
    KERNEL(abs_##N, const Tile<const T> from, const Tile<T> to, const u32 kind) {                                      \
        const T top = (T)((T)1 << (8 * N - 1));                                                                        \
        each(to, [&](const At& v) {                                                                                    \
            const T word = *at(from, v);                                                                               \
            const T magnitude = word == top ? (T)(top - 1) : word & top ? (T)((T)0 - word) : word;                     \
            *at(to, v) = kind == UNSIGNED ? word : kind == FLOATING ? (T)(word & (T)(top - 1)) : magnitude;            \
        });                                                                                                            \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
