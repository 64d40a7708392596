// What the last stage of several filters makes of their results, in f32: gradient, log, sato; threshold local.

enum { MAGNITUDE, SUM, LARGER };

// Images that there are not add nothing, not even a sign.
#define TYPE(T)                                                                                                        \
    KERNEL(join_##T, const Tile<const T> a, const Tile<const T> b, const Tile<const T> c, const Tile<T> to, const u32 function, \
           const u32 count) {                                                                                          \
        each(to, [&](const At& v) {                                                                                    \
            const T x = *at(a, v), y = count > 1 ? *at(b, v) : (T)-0.0f, z = count > 2 ? *at(c, v) : (T)-0.0f;         \
            const T squares = __fadd_rn(__fadd_rn(__fmul_rn(x, x), __fmul_rn(y, y)), __fmul_rn(z, z));                 \
            *at(to, v) = function == MAGNITUDE ? __fsqrt_rn(squares)                                                   \
                       : function == SUM       ? __fadd_rn(__fadd_rn(x, y), z)                                         \
                       : y > x || y != y       ? y : x;                                                                \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE

#define TYPE(T)                                                                                                        \
    KERNEL(above_##T, const Tile<const T> image, const Tile<const f32> level, const Tile<u8> to, const f64 offset) {   \
        each(to, [&](const At& v) { *at(to, v) = (f32)*at(image, v) > __fadd_rn(*at(level, v), -(f32)offset); });      \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
