// Sums of all voxels so far along one axis; a thread for each line of the output. What is read begins with the image.

#define TYPE(T, U)                                                                                                     \
    KERNEL(cumsum_##T, const Tile<const T> in, const Tile<U> out, const u32 axis) {                                    \
        each(out, [&](const At& v) {                                                                                   \
            if ((axis == 0 ? v.t : axis == 1 ? v.c : axis == 2 ? v.z : axis == 3 ? v.y : v.x) != 0) return;            \
            const u32 before = in.shape[axis] - out.shape[axis];                                                       \
            const T* next = at(in, v);                                                                                 \
            U* to = at(out, v);                                                                                        \
            U sum = 0;                                                                                                 \
            for (u32 k = 0; k < in.shape[axis]; ++k) {                                                                 \
                sum = sum + (U)*next;                                                                                  \
                if (k >= before) {                                                                                     \
                    *to = sum;                                                                                         \
                    to += out.stride[axis];                                                                            \
                }                                                                                                      \
                next += in.stride[axis];                                                                               \
            }                                                                                                          \
        });                                                                                                            \
    }
TYPE(u8, u64) TYPE(u16, u64) TYPE(f32, f64)
#undef TYPE
