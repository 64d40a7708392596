// Values between voxels at places that a matrix gives: affine, deskew. As `crates/kernels/src/affine.rs`, in f64.

// The place along axis `a` of output voxel `o` is `offset[a] + Σ matrix[a][b] · o[b]`; `last`: of the image.
struct Map {
    f64 matrix[9], offset[3], last[3];
};

// Along z, y and x: the first output voxel, the first voxel that the input holds, and whether places lie between voxels.
struct Where {
    i64 to[3], from[3], between[3];
};

// Finds the voxel before the place of an output voxel, how far it is beyond that, and the way to the next voxel along each
// axis. False outside the image.
template <class T>
__device__ __forceinline__ bool placed(const Tile<const T>& in, const Map& map, const Where& where, const At& v, f64 half, u32& offset,
                                       f64* rest, u32* more) {
    const f64 z = (f64)(where.to[0] + v.z), y = (f64)(where.to[1] + v.y), x = (f64)(where.to[2] + v.x);
    bool inside = true;
    offset = v.t * in.stride[0] + v.c * in.stride[1];
#pragma unroll
    for (int a = 0; a < 3; ++a) {
        const f64 base = (map.offset[a] + z * map.matrix[3 * a]) + y * map.matrix[3 * a + 1];
        const f64 place = base + x * map.matrix[3 * a + 2];
        inside = inside && fabs(base) < of_bits(F64_INFINITY) && place >= 0.0 && place <= map.last[a];
        const f64 first = floor(place + half);
        rest[a] = place - first;
        more[a] = where.between[a] && first < map.last[a] ? in.stride[2 + a] : 0;
        offset += inside ? (u32)((i64)first - where.from[a]) * in.stride[2 + a] : 0;
    }
    return inside;
}

template <class T>
__device__ __forceinline__ void affine(const Tile<const T>& in, const Tile<f32>& out, f64 outside, const Map& map, const Where& where) {
    each(out, [&](const At& v) {
        f64 rest[3];
        u32 more[3], offset;
        if (!placed(in, map, where, v, 0.0, offset, rest, more)) {
            *at(out, v) = (f32)outside;
            return;
        }
        f64 plane[2];
#pragma unroll
        for (u32 z = 0; z < 2; ++z) {
            const T* first = in.data + offset + z * more[0];
            const f64 a = (f64)first[0], b = (f64)first[more[2]], c = (f64)first[more[1]], d = (f64)first[more[1] + more[2]];
            const f64 near = a * (1.0 - rest[2]) + b * rest[2], far = c * (1.0 - rest[2]) + d * rest[2];
            plane[z] = near * (1.0 - rest[1]) + far * rest[1];
        }
        *at(out, v) = (f32)(where.between[0] ? plane[0] * (1.0 - rest[0]) + plane[1] * rest[0] : plane[0]);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(affine_##T, const Tile<const T> in, const Tile<f32> out, const f64 outside, const Map map, const Where where) { \
        affine(in, out, outside, map, where);                                                                          \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

#define SIZE(N, T)                                                                                                     \
    KERNEL(affine_nearest_##N, const Tile<const T> in, const Tile<T> out, const u64 outside, const Map map, const Where where) { \
        each(out, [&](const At& v) {                                                                                   \
            f64 rest[3];                                                                                               \
            u32 more[3], offset;                                                                                       \
            const bool inside = placed(in, map, where, v, 0.5, offset, rest, more);                                    \
            *at(out, v) = inside ? in.data[offset] : (T)outside;                                                       \
        });                                                                                                            \
    }
SIZE(1, u8)
SIZE(2, u16)
SIZE(4, u32)
SIZE(8, u64)
#undef SIZE
