// The largest or smallest value along one axis, which `out` lacks: NaN where there is one. One thread goes along the axis.

template <class T> __device__ __forceinline__ bool is_nan(T) { return false; }
template <> __device__ __forceinline__ bool is_nan<f32>(f32 v) { return v != v; }

template <class T>
__device__ __forceinline__ void project_extreme(const Tile<const T>& in, const Tile<T>& out, u32 axis, u32 smallest) {
    const i64 step = in.stride[axis];
    const u32 count = in.shape[axis];
    each(out, [&](const At& v) {
        const T* p = at(in, v);
        T best = *p;
        for (u32 k = 1; k < count; ++k) {
            const T next = p[k * step];
            if (is_nan(best)) break;
            if (is_nan(next) || (smallest ? next < best : next > best)) best = next;
        }
        *at(out, v) = best;
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(project_extreme_##T, const Tile<const T> in, const Tile<T> out, const u32 axis, const u32 smallest) {       \
        project_extreme(in, out, axis, smallest);                                                                      \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
