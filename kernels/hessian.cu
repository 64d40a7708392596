// Functions of symmetric matrices at every voxel: hessian, sato, frangi. In a plane in f32, in a volume by Jacobi's rotations
// in f64, as `crates/kernels/src/conv/hessian.rs`.

enum { EIGENVALUE, TUBE, STRENGTH, FORM };

// Eigenvalues that are raised to this would be below.
#define LEAST_EIGENVALUE 1e-10

// What of the matrix; `sign`: its elements are multiplied by that first; `a`, `b`: rank; scale; α and β.
struct Of {
    f64 function, sign, a, b;
};

__device__ __forceinline__ f64 raised(f64 v) { return v < LEAST_EIGENVALUE ? LEAST_EIGENVALUE : v; }
__device__ __forceinline__ f64 blob(f64 ratio, f64 beta) { return exponential(-(ratio * ratio) / (2.0 * beta * beta)); }
__device__ __forceinline__ void rising(f64& a, f64& b) {
    const bool swap = fabs(a) > fabs(b);
    const f64 small = swap ? b : a, large = swap ? a : b;
    a = small, b = large;
}
__device__ __forceinline__ void falling(f64& a, f64& b) {
    const bool swap = a < b;
    const f64 large = swap ? b : a, small = swap ? a : b;
    a = large, b = small;
}

// A rotation that leaves nothing of `off`, which stands between the rows of `p` and `q`.
__device__ __forceinline__ void rotate(f64& p, f64& q, f64& off, f64& u, f64& v) {
    const f64 theta = (q - p) / (2.0 * off);
    f64 t = 1.0 / (fabs(theta) + __dsqrt_rn(theta * theta + 1.0));
    t = theta < 0.0 ? -t : t;
    t = off == 0.0 ? 0.0 : t;
    const f64 cosine = 1.0 / __dsqrt_rn(t * t + 1.0);
    const f64 sine = t * cosine;
    p = p - t * off, q = q + t * off, off = 0.0;
    const f64 left = cosine * u - sine * v, right = sine * u + cosine * v;
    u = left, v = right;
}

__device__ __forceinline__ f32 of_two(const Of& of, f32 a, f32 b, f32 c) {
    const f32 sign = (f32)of.sign;
    a = a * sign, b = b * sign, c = c * sign;
    if (of.function == STRENGTH) {
        const f64 x = a, y = b, z = c;
        return (f32)__dsqrt_rn(x * x + 2.0 * (y * y) + z * z);
    }
    const f32 half = (a - c) / 2.0f, middle = (a + c) / 2.0f, root = __fsqrt_rn(b * b + half * half);
    const f32 largest = middle + root, smallest = middle - root;
    if (of.function == EIGENVALUE) return of.a < 2.0 ? largest : smallest;
    if (of.function == TUBE) return (f32)of.a * (largest < 0.0f ? 0.0f : largest);
    f64 small = largest, large = smallest;
    rising(small, large);
    return (f32)blob(fabs(small) / raised(large), of.b);
}

__device__ __forceinline__ f32 of_three(const Of& of, f64 a, f64 b, f64 c, f64 d, f64 e, f64 f) {
    a = a * of.sign, b = b * of.sign, c = c * of.sign, d = d * of.sign, e = e * of.sign, f = f * of.sign;
#pragma unroll 1
    for (int sweep = 0; sweep < 5; ++sweep) {
        rotate(a, d, b, c, e);
        rotate(a, f, c, b, e);
        rotate(d, f, e, b, c);
    }
    falling(a, d);
    falling(d, f);
    falling(a, d);
    if (of.function == EIGENVALUE) return (f32)(of.a == 0.0 ? a : of.a == 1.0 ? d : f);
    if (of.function == STRENGTH) return (f32)__dsqrt_rn(a * a + d * d + f * f);
    if (of.function == TUBE) {
        const f64 first = a < 0.0 ? 0.0 : a, second = d < 0.0 ? 0.0 : d;
        return (f32)of.a * (f32)__dsqrt_rn(first * second);
    }
    rising(a, d);
    rising(d, f);
    rising(a, d);
    d = raised(d), f = raised(f);
    const f64 ratio = d / f;
    const f64 plate = 1.0 - exponential(-(ratio * ratio) / (2.0 * of.a * of.a));
    return (f32)(plate * blob(fabs(a) / __dsqrt_rn(d * f), of.b));
}

#define TYPE(T)                                                                                                        \
    KERNEL(plane_##T, const Tile<const T> a, const Tile<const T> b, const Tile<const T> c, const Tile<T> to, const Of of) { \
        each(to, [&](const At& v) { *at(to, v) = of_two(of, *at(a, v), *at(b, v), *at(c, v)); });                      \
    }                                                                                                                  \
    WIDE_KERNEL(volume_##T, const Tile<const T> a, const Tile<const T> b, const Tile<const T> c, const Tile<const T> d, \
                const Tile<const T> e, const Tile<const T> f, const Tile<T> to, const Of of) {                         \
        each(to, [&](const At& v) {                                                                                    \
            *at(to, v) = of_three(of, *at(a, v), *at(b, v), *at(c, v), *at(d, v), *at(e, v), *at(f, v));               \
        });                                                                                                            \
    }                                                                                                                  \
    KERNEL(vessels_##T, const Tile<const T> strength, const Tile<const T> form, const Tile<const T> before, const Tile<T> to, \
           const f64 scale, const u32 first) {                                                                         \
        each(to, [&](const At& v) {                                                                                    \
            const T so_far = first ? 0.0f : *at(before, v);                                                            \
            const f64 s = *at(strength, v);                                                                            \
            const T value = (T)((f64)*at(form, v) * (1.0 - exponential(-(s * s) * scale)));                            \
            *at(to, v) = value > so_far || value != value ? value : so_far;                                            \
        });                                                                                                            \
    }
TYPE(f32)
#undef TYPE
