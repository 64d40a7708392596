// Values between voxels on a grid parallel to the image's: resample. As `crates/kernels/src/sampling.rs`, in f64.

enum { NEAREST_VOXEL, LINEAR, CUBIC };

// Along z, y and x: the first output voxel, the first voxel that the input holds, and voxels that it was grown by.
struct Grids {
    i64 to[3], from[3], lead[3];
};

// Input voxels per output voxel; 1 where the axis stays as it is.
struct GridSteps {
    f64 step[3];
};

// The first of the voxels that output voxel `o` takes, in the input; their number is returned.
__device__ __forceinline__ u32 taken(const Grids& grids, const GridSteps& steps, u32 method, int a, u32 o, u32& first, f64* weight) {
    const i64 at = grids.to[a] + o;
    const f64 step = steps.step[a];
    weight[0] = 1.0;
    if (step == 1.0) {
        first = (u32)(at - grids.from[a]);
        return 1;
    }
    const f64 position = ((f64)at + 0.5) * step - 0.5, below = floor(position), x = position - below;
    if (method == NEAREST_VOXEL) {
        first = (u32)(grids.lead[a] + (i64)floor(position + 0.5) - grids.from[a]);
        return 1;
    }
    const i64 whole = grids.lead[a] + (i64)below;
    if (method == LINEAR) {
        weight[0] = 1.0 - x, weight[1] = x;
        first = (u32)(whole - grids.from[a]);
        return 2;
    }
    const f64 z = 1.0 - x;
    weight[0] = z * z * z / 6.0;
    weight[1] = (x * x * (x - 2.0) * 3.0 + 4.0) / 6.0;
    weight[2] = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
    weight[3] = 1.0 - weight[0] - weight[1] - weight[2];
    first = (u32)(whole - 1 - grids.from[a]);
    return 4;
}

// Sums along z, then y, then x, each in the order of the voxels.
template <class T>
__device__ __forceinline__ void resample(const Tile<const T>& in, const Tile<f32>& out, u32 method, const Grids& grids, const GridSteps& steps) {
    each(out, [&](const At& v) {
        f64 wz[4], wy[4], wx[4];
        u32 z, y, x;
        const u32 nz = taken(grids, steps, method, 0, v.z, z, wz);
        const u32 ny = taken(grids, steps, method, 1, v.y, y, wy);
        const u32 nx = taken(grids, steps, method, 2, v.x, x, wx);
        const T* first = at(in, At{v.t, v.c, z, y, x});
        f64 along_x = 0.0;
        for (u32 i = 0; i < nx; ++i) {
            f64 along_y = 0.0;
            for (u32 j = 0; j < ny; ++j) {
                f64 along_z = 0.0;
                for (u32 k = 0; k < nz; ++k) {
                    const f64 term = (f64)first[k * in.stride[2] + j * in.stride[3] + i] * wz[k];
                    along_z = k == 0 ? term : along_z + term;
                }
                along_y = j == 0 ? along_z * wy[j] : along_y + along_z * wy[j];
            }
            along_x = i == 0 ? along_y * wx[i] : along_x + along_y * wx[i];
        }
        *at(out, v) = (f32)along_x;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(resample_##T, const Tile<const T> in, const Tile<f32> out, const u32 method, const Grids grids, const GridSteps steps) { \
        resample(in, out, method, grids, steps);                                                                       \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

#define SIZE(N, T)                                                                                                     \
    KERNEL(nearest_##N, const Tile<const T> in, const Tile<T> out, const Grids grids, const GridSteps steps) {         \
        each(out, [&](const At& v) {                                                                                   \
            f64 weight[4];                                                                                             \
            u32 z, y, x;                                                                                               \
            taken(grids, steps, NEAREST_VOXEL, 0, v.z, z, weight);                                                     \
            taken(grids, steps, NEAREST_VOXEL, 1, v.y, y, weight);                                                     \
            taken(grids, steps, NEAREST_VOXEL, 2, v.x, x, weight);                                                     \
            *at(out, v) = *at(in, At{v.t, v.c, z, y, x});                                                              \
        });                                                                                                            \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
