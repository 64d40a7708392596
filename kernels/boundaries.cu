// Mask of the voxels where objects end: integers of N bytes.

enum { THICK, INNER, OUTER };

// `axes`: bit 2 for z, bit 1 for y, bit 0 for x.
template <class T>
__device__ __forceinline__ void boundaries(const Tile<const T>& in, const Tile<u8>& out, u32 axes, u32 connectivity, u32 mode) {
    const u32 has[3] = {axes >> 2 & 1, axes >> 1 & 1, axes & 1};
    each(out, [&](const At& v) {
        const T* first = at(in, v);
        const T own = first[has[0] * in.stride[2] + has[1] * in.stride[3] + has[2]];
        bool differs = false, touches = false;
        for (u32 z = 0; z < 1 + 2 * has[0]; ++z)
            for (u32 y = 0; y < 1 + 2 * has[1]; ++y)
                for (u32 x = 0; x < 1 + 2 * has[2]; ++x) {
                    const u32 apart = (z != has[0]) + (y != has[1]) + (x != has[2]);
                    const T other = first[z * in.stride[2] + y * in.stride[3] + x];
                    differs = differs || (apart <= connectivity && other != own);
                    touches = touches || (other != own && other != 0);
                }
        const bool side = mode == THICK || (mode == INNER ? own != 0 : own == 0 || touches);
        *at(out, v) = differs && side;
    });
}

#define SIZE(N, T)                                                                                                     \
    KERNEL(boundaries_##N, const Tile<const T> in, const Tile<u8> out, const u32 axes, const u32 connectivity, const u32 mode) { \
        boundaries(in, out, axes, connectivity, mode);                                                                 \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
