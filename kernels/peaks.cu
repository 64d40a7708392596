// Voxels that are the largest within a window around them, for peaks and markers: their places in the tile without its halo and
// their keys, in any order; and the ends of each t and c, with the halo, and whether there is a voxel that is no number. As
// `crates/kernels/src/maxima.rs`.

// A row of the tile with its halo after the other. `count`, `high`, `missing` begin as 0, `low` as all ones. If there are more
// than `places` holds, only their number is right. `z`, `y`, `x`: the halo; `any`: whether all are above the bound.
template <class T>
__device__ __forceinline__ void peaks(const Tile<const T>& in, const Tile<u32>& count, const Tile<u32>& places, const Tile<u32>& keys,
                                      const Tile<u32>& low, const Tile<u32>& high, const Tile<u32>& missing, u32 z, u32 y, u32 x, T bound,
                                      u32 any) {
    const u32 nz = in.shape[2] - 2 * z, ny = in.shape[3] - 2 * y, nx = in.shape[4] - 2 * x;
    const u32 rows = in.shape[0] * in.shape[1] * in.shape[2] * in.shape[3];
    u32 least = ~0u, most = 0, none = 0, plane = 0;
    auto flush = [&](u32 next) {
        if (least <= most) {
            atomicMin(low.data + plane, least);
            atomicMax(high.data + plane, most);
        }
        if (none) atomicOr(missing.data + plane, 1u);
        least = ~0u, most = 0, none = 0, plane = next;
    };
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        const u32 j = row % in.shape[3], k = row / in.shape[3] % in.shape[2], tc = row / in.shape[3] / in.shape[2];
        if (tc != plane) flush(tc);
        const T* line = at(in, At{tc / in.shape[1], tc % in.shape[1], k, j, 0});
        const bool inner = k >= z && k < z + nz && j >= y && j < y + ny;
        for (u32 i = threadIdx.x; i < in.shape[4]; i += blockDim.x) {
            const T v = line[i];
            if (v != v) {
                none = 1;
                continue;
            }
            const u32 key = order(v);
            least = key < least ? key : least;
            most = key > most ? key : most;
            if (!inner || i < x || i >= x + nx || !(any || v > bound)) continue;
            bool largest = true;
            const T* first = line + i - x - y * in.stride[3] - z * in.stride[2];
            for (u32 n = 0; largest && n < (2 * z + 1) * (2 * y + 1); ++n) {
                const T* other = first + n / (2 * y + 1) * in.stride[2] + n % (2 * y + 1) * in.stride[3];
                for (u32 m = 0; m < 2 * x + 1; ++m) largest = largest && other[m] <= v;
            }
            if (!largest) continue;
            const u32 number = atomicAdd(count.data, 1u);
            if (number < places.shape[4]) {
                places.data[number] = ((tc * nz + k - z) * ny + j - y) * nx + i - x;
                keys.data[number] = key;
            }
        }
    }
    flush(0);
}

#define TYPE(T)                                                                                                        \
    KERNEL_OF(256, 4, peaks_##T, const Tile<const T> in, const Tile<u32> count, const Tile<u32> places, const Tile<u32> keys, \
              const Tile<u32> low, const Tile<u32> high, const Tile<u32> missing, const u32 z, const u32 y, const u32 x, \
              const u64 bound, const u32 any) {                                                                        \
        peaks(in, count, places, keys, low, high, missing, z, y, x, from_word<T>(bound), any);                         \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
