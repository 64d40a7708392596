// Copies what a buffer holds of an image into another buffer of it, and answers voxels beyond the image by a border rule.
// Between the steps of a chain: each step's result is padded anew. Also the plain copy.

struct Positions {
    i64 to[5];    // where the buffers begin in the image
    i64 from[5];
    i64 first[5]; // the voxels that `from` holds
    i64 end[5];
    i64 image[5]; // its size
};

enum { NOTHING, REFLECT, CONSTANT, NEAREST, MIRROR };

// The position that stands in for `p`; -1 for none.
__device__ __forceinline__ i64 mapped(i64 p, i64 n, u32 rule) {
    if (p >= 0 && p < n) return p;
    switch (rule) {
    case REFLECT: {
        const i64 q = ((p % (2 * n)) + 2 * n) % (2 * n);
        return q < n ? q : 2 * n - 1 - q;
    }
    case NEAREST: return p < 0 ? 0 : n - 1;
    case MIRROR: {
        if (n == 1) return 0;
        const i64 m = 2 * n - 2, q = ((p % m) + m) % m;
        return q < n ? q : m - q;
    }
    default: return -1;
    }
}

// `one`: both buffers are the same, and voxels in the image stay as they are.
template <class T>
__device__ __forceinline__ void place(const Tile<const T>& from, const Tile<T>& to, const Positions& p, u64 constant, u32 rule, u32 one) {
    each(to, [&](const At& v) {
        const u32 in[5] = {v.t, v.c, v.z, v.y, v.x};
        u32 offset = 0;
        bool outside = false, beyond = false, held = true;
        for (int a = 0; a < 5; ++a) {
            const i64 wanted = p.to[a] + in[a];
            outside = outside || wanted < 0 || wanted >= p.image[a];
            const i64 q = mapped(wanted, p.image[a], rule);
            beyond = beyond || q < 0;
            held = held && q >= p.first[a] && q < p.end[a];
            offset += (u32)(q - p.from[a]) * from.stride[a];
        }
        if (one && !outside) return;
        if (beyond) {
            if (rule == CONSTANT) *at(to, v) = (T)constant;
        } else if (held) {
            *at(to, v) = from.data[offset];
        }
    });
}

template <class T> __device__ __forceinline__ void copy(const Tile<const T>& from, const Tile<T>& to) {
    each(to, [&](const At& v) { *at(to, v) = *at(from, v); });
}

#define SIZE(N, T)                                                                                                     \
    KERNEL(place_##N, const Tile<const T> from, const Tile<T> to, const Positions p, const u64 constant, const u32 rule, const u32 one) { \
        place(from, to, p, constant, rule, one);                                                                       \
    }                                                                                                                  \
    KERNEL(copy_##N, const Tile<const T> from, const Tile<T> to) { copy(from, to); }

SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
