// Numbers that follow from the histogram of a whole image: equalize, match-histogram, clahe.

// The bits of a sample.
template <class T> __device__ __forceinline__ u64 word_of(T v) { return v; }
template <> __device__ __forceinline__ u64 word_of<f32>(f32 v) { return __float_as_uint(v); }

// A number for every integer from `first` on; those beyond the last have the last one's.
#define TYPE(T)                                                                                                        \
    KERNEL(lookup_##T, const Tile<const T> in, const Tile<const f32> table, const Tile<f32> out, const u64 first) {    \
        each(out, [&](const At& v) {                                                                                   \
            const u64 place = word_of(*at(in, v)) - first, last = table.shape[4] - 1;                                      \
            *at(out, v) = table.data[place < last ? place : last];                                                     \
        });                                                                                                            \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE

// On straight lines between points: rows of values, shares, and how steep it is after each.
#define TYPE(T)                                                                                                        \
    KERNEL(points_##T, const Tile<const T> in, const Tile<const f64> table, const Tile<T> out, const f64 per_unit) {   \
        each(out, [&](const At& v) {                                                                                   \
            const u32 count = table.shape[4] / 3, last = count - 1;                                                    \
            const f64 *values = table.data, *shares = values + count, *slopes = shares + count;                        \
            const T sample = *at(in, v);                                                                               \
            const f64 x = sample;                                                                                      \
            if (sample != sample) {                                                                                    \
                *at(out, v) = sample;                                                                                  \
            } else if (x <= values[0]) {                                                                               \
                *at(out, v) = (T)shares[0];                                                                            \
            } else if (x >= values[last]) {                                                                            \
                *at(out, v) = (T)shares[last];                                                                         \
            } else {                                                                                                   \
                u32 n = (u32)((x - values[0]) * per_unit);                                                             \
                n = n < last - 1 ? n : last - 1;                                                                       \
                while (x < values[n]) --n;                                                                             \
                while (x >= values[n + 1]) ++n;                                                                        \
                *at(out, v) = (T)(slopes[n] * (x - values[n]) + shares[n]);                                            \
            }                                                                                                          \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE

// The boxes of clahe along each axis: how many, their size, and the first voxel of the tile.
struct ContextBoxes {
    i64 count[5], size[5], first[5];
};

// Levels of brightness.
#define LEVELS 16384

// The boxes whose middles lie around a position, and the share of the way from the first to the second.
__device__ __forceinline__ f64 around(const ContextBoxes& boxes, int a, u32 within, u64& before, u64& after) {
    const u64 size = boxes.size[a], shifted = boxes.first[a] + within + size / 2;
    after = shifted / size;
    before = after > 0 ? after - 1 : 0;
    after = after < (u64)boxes.count[a] - 1 ? after : boxes.count[a] - 1;
    return (f64)(shifted % size) / (f64)size;
}

// `maps`: of each box, the level of each of `bins` bins.
template <class T>
__device__ __forceinline__ void context(const Tile<const T>& in, const Tile<const u16>& maps, const Tile<f32>& out, u32 bins, u64 inverse,
                                        f64 low, f64 span, const ContextBoxes& boxes) {
    each(out, [&](const At& v) {
        const T sample = *at(in, v);
        if (sample != sample) {
            *at(out, v) = (f32)sample;
            return;
        }
        const f64 most = LEVELS - 1;
        f64 level = rint(((f64)sample / 2.0 - low) / span * most);
        level = level > 0.0 ? level < most ? level : most : 0.0;
        const u32 bin = (u32)((u64)(u32)level * inverse >> 32);
        u64 z[2], y[2], x[2];
        const f64 pz = around(boxes, 2, v.z, z[0], z[1]), py = around(boxes, 3, v.y, y[0], y[1]), px = around(boxes, 4, v.x, x[0], x[1]);
        const u64 volume = (boxes.first[0] + v.t) * boxes.count[1] + boxes.first[1] + v.c;
        f32 sum = 0.0f;
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 2; ++j) {
                const f64 wz = i ? pz : 1.0 - pz, wy = j ? py : 1.0 - py;
                if (!(wz > 0.0 && wy > 0.0)) continue;
                const u64 row = ((volume * boxes.count[2] + z[i]) * boxes.count[3] + y[j]) * boxes.count[4];
                sum = sum + (f32)((f64)maps.data[(row + x[0]) * bins + bin] * ((1.0 - px) * wy * wz));
                sum = sum + (f32)((f64)maps.data[(row + x[1]) * bins + bin] * (px * wy * wz));
            }
        *at(out, v) = (f32)((f64)(u32)sum / most);
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(context_##T, const Tile<const T> in, const Tile<const u16> maps, const Tile<f32> out, const u32 bins, const u64 inverse, \
           const f64 low, const f64 span, const ContextBoxes boxes) {                                                  \
        context(in, maps, out, bins, inverse, low, span, boxes);                                                       \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
