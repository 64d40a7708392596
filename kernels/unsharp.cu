// The image plus what a blur takes away, each operation rounded to f32.

#define TYPE(T)                                                                                                        \
    KERNEL(sharpen_##T, const Tile<const T> image, const Tile<const f32> blurred, const Tile<f32> to, const f64 amount) { \
        each(to, [&](const At& v) {                                                                                    \
            const f32 value = (f32)*at(image, v);                                                                      \
            const f32 less = __fadd_rn(value, -*at(blurred, v));                                                       \
            *at(to, v) = __fadd_rn(value, __fmul_rn(less, (f32)amount));                                               \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
