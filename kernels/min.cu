// The smallest or largest of some neighbours along one axis: z, y or x. A box is a pass along each: min, max, erode,
// dilate, open, close.

template <class K> __device__ __forceinline__ K farthest(K a, K b, u32 largest) { return (largest ? b > a : b < a) ? b : a; }

// Of windows that are not short, along z and y (and along x if they are long): a thread makes as many voxels as the window has,
// one after the other. A window is the end of one block of samples and the beginning of the next (van Herk, Gil and Werman):
// what the ends of the first hold is kept in the output until the beginnings of the second are known.
#define LONG 64

template <class T>
__device__ __forceinline__ void extreme(const Tile<const T>& in, const Tile<T>& out, u32 axis, u32 size, u32 largest) {
    typedef typename Keys<T>::Key Key;
    typedef Keys<T> K;
    const u64 step = in.stride[axis], out_step = out.stride[axis];
    if (size < 4 || (axis == 4 && size < LONG)) {
        each(out, [&](const At& v) {
            const T* first = at(in, v);
            Key best = K::key(*first);
            for (u32 k = 1; k < size; ++k) best = farthest(best, (Key)K::key(first[k * step]), largest);
            *at(out, v) = K::sample(best);
        });
        return;
    }
    Tile<T> blocks = out;
    const u32 extent = out.shape[axis];
    blocks.shape[axis] = (extent + size - 1) / size;
    each(blocks, [&](const At& v) {
        const u32 begin = (axis == 2 ? v.z : axis == 3 ? v.y : v.x) * size;
        const u32 more = begin - begin / size; // `v` is at the block's number along the axis
        const u32 count = size < extent - begin ? size : extent - begin;
        const T* first = at(in, v) + more * step;
        T* to = at(out, v) + more * out_step;
        Key best = K::key(first[(size - 1) * step]);
        for (u32 k = size - 1; k > 0; --k) {
            if (k < count) to[k * out_step] = K::sample(best);
            best = farthest(best, (Key)K::key(first[(k - 1) * step]), largest);
        }
        to[0] = K::sample(best);
        if (count < 2) return;
        best = K::key(first[size * step]);
        for (u32 k = 1; k < count; ++k) {
            if (k > 1) best = farthest(best, (Key)K::key(first[(size + k - 1) * step]), largest);
            to[k * out_step] = K::sample(farthest((Key)K::key(to[k * out_step]), best, largest));
        }
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(extreme_##T, const Tile<const T> in, const Tile<T> out, const u32 axis, const u32 size, const u32 largest) { \
        extreme(in, out, axis, size, largest);                                                                         \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
