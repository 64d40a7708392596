// Chambolle's iteration, in f32: `descend` makes the image less the divergence of a field, `ascend` one component of the field
// from that. All tiles are of one size, with what the iterations read around the result; what lies at their ends is not used by
// later ones, so places beyond are those at the end.

template <class T> __device__ __forceinline__ T uphill(const Tile<const T>& image, const At& v, u32 axis, u32 place) {
    const T own = *at(image, v);
    const T after = place + 1 < image.shape[axis] ? *(at(image, v) + image.stride[axis]) : own;
    const T g = after - own;
    return g != g ? 0.0f : g;
}

// `axes`: bit 2 for z, bit 1 for y, bit 0 for x, which the image has.
#define TYPE(T)                                                                                                        \
    KERNEL(descend_##T, const Tile<const T> image, const Tile<const T> pz, const Tile<const T> py, const Tile<const T> px, \
           const Tile<T> to, const u32 axes) {                                                                         \
        each(to, [&](const At& v) {                                                                                    \
            const bool z = axes & 4, y = axes & 2, x = axes & 1;                                                       \
            const T a = z ? *at(pz, v) : 0.0f, b = y ? *at(py, v) : 0.0f, c = x ? *at(px, v) : 0.0f;                   \
            const T i = z ? v.z > 0 ? *(at(pz, v) - pz.stride[2]) : a : 0.0f;                                          \
            const T j = y ? v.y > 0 ? *(at(py, v) - py.stride[3]) : b : 0.0f;                                          \
            const T k = x ? v.x > 0 ? *(at(px, v) - 1) : c : 0.0f;                                                     \
            const T d = -(a + b + c) + i + j + k;                                                                      \
            *at(to, v) = *at(image, v) + d;                                                                            \
        });                                                                                                            \
    }                                                                                                                  \
    KERNEL(ascend_##T, const Tile<const T> image, const Tile<const T> before, const Tile<T> to, const u32 axes, const u32 axis, \
           const u32 first, const f64 step, const f64 scale) {                                                         \
        each(to, [&](const At& v) {                                                                                    \
            const T gz = axes & 4 ? uphill(image, v, 2, v.z) : 0.0f;                                                   \
            const T gy = axes & 2 ? uphill(image, v, 3, v.y) : 0.0f;                                                   \
            const T gx = axes & 1 ? uphill(image, v, 4, v.x) : 0.0f;                                                   \
            const T norm = __fsqrt_rn(gz * gz + gy * gy + gx * gx) * (T)scale + 1.0f;                                  \
            const T own = first ? 0.0f : *at(before, v);                                                               \
            *at(to, v) = (own - (T)step * (axis == 2 ? gz : axis == 3 ? gy : gx)) / norm;                              \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE
