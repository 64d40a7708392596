// Values of given rank in a window: median, percentile, rank; and the ends of windows that are no boxes: min, max, erode,
// dilate, open, close over balls, crosses, diamonds and what is drawn.
//
// A window is its rows along x, from the start of the box around it: z, y, x and length, of 8 bits each, from the low bits on.
// No rows: all of the box of `z`, `y`, `x` voxels.

#define ROWS 896

struct Window {
    u32 row[ROWS];
};

// Calls `look` with every sample of the window that begins at `first`.
template <class T, class F>
__device__ __forceinline__ void over(const Tile<const T>& in, const T* first, u32 z, u32 y, u32 x, u32 rows, const Window& window, F look) {
    const u32 count = rows ? rows : z * y;
    for (u32 n = 0; n < count; ++n) {
        const u32 row = window.row[rows ? n : 0];
        const u32 dz = rows ? row & 255 : n / y, dy = rows ? row >> 8 & 255 : n % y;
        const u32 start = rows ? row >> 16 & 255 : 0, length = rows ? row >> 24 : x;
        const T* next = first + dz * in.stride[2] + dy * in.stride[3] + start;
        for (u32 k = 0; k < length; ++k) look(next[k]);
    }
}

// Bit by bit from the highest in which the window's samples differ: how many are below what is known of the value.
template <class T>
__device__ __forceinline__ void ranked(const Tile<const T>& in, const Tile<T>& out, u32 rank, u32 z, u32 y, u32 x, u32 rows, const Window& window) {
    each(out, [&](const At& v) {
        const T* first = at(in, v);
        u32 all = 0, any = 0, one = 0;
        bool begun = false;
        over(in, first, z, y, x, rows, window, [&](T sample) {
            const u32 key = Keys<T>::key(sample);
            all = begun ? all & key : key;
            any = begun ? any | key : key;
            one = key;
            begun = true;
        });
        const u32 differ = all ^ any;
        u32 bit = 31 - __clz(differ | 1);
        // What all have in common; bits from the highest that differs on are found.
        u32 found = one & ~((2u << bit) - 1);
        for (u32 mask = differ ? 1u << bit : 0; mask; mask >>= 1) {
            const u32 tried = found | mask;
            u32 below = 0;
            over(in, first, z, y, x, rows, window, [&](T sample) { below += Keys<T>::key(sample) < tried; });
            if (below <= rank) found = tried;
        }
        *at(out, v) = Keys<T>::sample((typename Keys<T>::Key)(differ ? found : one));
    });
}

template <class T>
__device__ __forceinline__ void extreme_over(const Tile<const T>& in, const Tile<T>& out, u32 largest, u32 rows, const Window& window) {
    typedef typename Keys<T>::Key Key;
    const Key flip = largest ? (Key)~(Key)0 : (Key)0;
    each(out, [&](const At& v) {
        Key least = (Key)~(Key)0;
        over(in, at(in, v), 1, 1, 1, rows, window, [&](T sample) {
            const Key key = (Key)(Keys<T>::key(sample) ^ flip);
            least = key < least ? key : least;
        });
        *at(out, v) = Keys<T>::sample((Key)(least ^ flip));
    });
}

// The smaller of two, then the larger.
template <class K> __device__ __forceinline__ void exchange(K& a, K& b) {
    const K small = a < b ? a : b, large = a < b ? b : a;
    a = small, b = large;
}

// Of N values in registers, puts the smallest first and the largest last.
template <u32 N, class K> __device__ __forceinline__ void ends(K* a) {
#pragma unroll
    for (u32 i = 0; i < N / 2; ++i) exchange(a[i], a[N - 1 - i]);
#pragma unroll
    for (u32 i = 1; i < (N + 1) / 2; ++i) exchange(a[0], a[i]);
#pragma unroll
    for (u32 i = N / 2; i + 1 < N; ++i) exchange(a[i], a[N - 1]);
}

// Two samples of up to 16 bits, of rows that are neighbours.
struct Two {
    u32 word;
};
template <> __device__ __forceinline__ void exchange<Two>(Two& a, Two& b) {
    const u32 small = __vminu2(a.word, b.word), large = __vmaxu2(a.word, b.word);
    a.word = small, b.word = large;
}

// Where the samples of a window of `NZ·NY·NX` lie, as keys: for one voxel, or for two.
template <class T> struct One {
    typedef typename Keys<T>::Key Key;
    const T* first;
    u32 plane, row;
    __device__ __forceinline__ Key operator()(u32 z, u32 y, u32 x) const { return Keys<T>::key(first[z * plane + y * row + x]); }
};
template <class T> struct Both {
    typedef Two Key;
    const T* first;
    u32 plane, row, next;
    __device__ __forceinline__ Two operator()(u32 z, u32 y, u32 x) const {
        const T* sample = first + z * plane + y * row + x;
        return Two{(u32)sample[0] | (u32)sample[next] << 16};
    }
};

// The median of an odd number of samples: of any half of them and two more, the smallest and the largest are not it. They leave,
// the next sample comes, until three are left.
template <u32 NZ, u32 NY, u32 NX, u32 N, class L> struct Forget {
    typedef typename L::Key K;
    __device__ __forceinline__ static K median(const L& load, K* a) {
        ends<N>(a);
        const u32 n = NZ * NY * NX - (N - 3); // the sample that comes next
        a[0] = load(n / NX / NY, n / NX % NY, n % NX);
        return Forget<NZ, NY, NX, N - 1, L>::median(load, a);
    }
};
template <u32 NZ, u32 NY, u32 NX, class L> struct Forget<NZ, NY, NX, 3, L> {
    typedef typename L::Key K;
    __device__ __forceinline__ static K median(const L&, K* a) {
        ends<3>(a);
        return a[1];
    }
};

template <u32 NZ, u32 NY, u32 NX, class L> __device__ __forceinline__ typename L::Key median_of(const L& load) {
    const u32 half = NZ * NY * NX / 2 + 2;
    typename L::Key a[half];
#pragma unroll
    for (u32 n = 0; n < half; ++n) a[n] = load(n / NX / NY, n / NX % NY, n % NX);
    return Forget<NZ, NY, NX, half, L>::median(load, a);
}

// Samples of up to 16 bits: two rows at once.
template <class T> struct Medians {
    template <u32 NZ, u32 NY, u32 NX> __device__ __forceinline__ static void fill(const Tile<const T>& in, const Tile<T>& out) {
        Tile<T> pairs = out;
        pairs.shape[3] = (out.shape[3] + 1) / 2;
        each(pairs, [&](const At& v) {
            const At above{v.t, v.c, v.z, 2 * v.y, v.x};
            const u32 next = above.y + 1 < out.shape[3] ? 1 : 0;
            const Both<T> load{at(in, above), in.stride[2], in.stride[3], next * in.stride[3]};
            const u32 word = median_of<NZ, NY, NX>(load).word;
            *at(out, above) = (T)word;
            if (next) at(out, above)[out.stride[3]] = (T)(word >> 16);
        });
    }
};
template <> struct Medians<f32> {
    template <u32 NZ, u32 NY, u32 NX> __device__ __forceinline__ static void fill(const Tile<const f32>& in, const Tile<f32>& out) {
        each(out, [&](const At& v) {
            const One<f32> load{at(in, v), in.stride[2], in.stride[3]};
            *at(out, v) = Keys<f32>::sample(median_of<NZ, NY, NX>(load));
        });
    }
};

#define TYPE(T)                                                                                                        \
    KERNEL(rank_##T, const Tile<const T> in, const Tile<T> out, const u32 rank, const u32 z, const u32 y, const u32 x, \
           const u32 rows, const Window window) {                                                                      \
        ranked(in, out, rank, z, y, x, rows, window);                                                                  \
    }                                                                                                                  \
    KERNEL(extreme_over_##T, const Tile<const T> in, const Tile<T> out, const u32 largest, const u32 rows, const Window window) { \
        extreme_over(in, out, largest, rows, window);                                                                  \
    }                                                                                                                  \
    KERNEL(median_square3_##T, const Tile<const T> in, const Tile<T> out) { Medians<T>::fill<1, 3, 3>(in, out); }                \
    WIDE_KERNEL(median_square5_##T, const Tile<const T> in, const Tile<T> out) { Medians<T>::fill<1, 5, 5>(in, out); }                \
    WIDE_KERNEL(median_cube3_##T, const Tile<const T> in, const Tile<T> out) { Medians<T>::fill<3, 3, 3>(in, out); }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
