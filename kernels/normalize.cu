// Statistics of images of floats, for what waits for them: thresholds, normalize, equalize, clahe. As
// `crates/kernels/src/statistics`; finite samples count. What a block counts is added up in its own memory first where it fits.

// Calls `look` with every sample of the tile that is this thread's.
template <class T, class F> __device__ __forceinline__ void each_sample(const Tile<const T>& in, F look) {
    const u32 rows = in.shape[0] * in.shape[1] * in.shape[2] * in.shape[3];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        const u32 y = row % in.shape[3], z = row / in.shape[3] % in.shape[2], tc = row / in.shape[3] / in.shape[2];
        const T* line = at(in, At{tc / in.shape[1], tc % in.shape[1], z, y, 0});
        for (u32 x = threadIdx.x; x < in.shape[4]; x += blockDim.x) look(line[x]);
    }
}

__device__ __forceinline__ bool is_finite(f32 v) { return (__float_as_uint(v) & F32_INFINITY) != F32_INFINITY; }
// The keys of the lowest and of the highest sample; `low` begins as all ones, `high` as 0.
KERNEL_OF(256, 4, extent_f32, const Tile<const f32> in, const Tile<u32> low, const Tile<u32> high) {
    __shared__ u32 ends[2];
    if (threadIdx.x < 2) ends[threadIdx.x] = threadIdx.x ? 0u : ~0u;
    __syncthreads();
    u32 least = ~0u, most = 0;
    each_sample(in, [&](f32 v) {
        if (!is_finite(v)) return;
        const u32 key = order(v);
        least = key < least ? key : least;
        most = key > most ? key : most;
    });
    if (least <= most) {
        atomicMin(&ends[0], least);
        atomicMax(&ends[1], most);
    }
    __syncthreads();
    if (threadIdx.x == 0 && ends[0] <= ends[1]) {
        atomicMin(low.data, ends[0]);
        atomicMax(high.data, ends[1]);
    }
}

// Counts between edges, one more than counters. A bin is found by division, then the edges decide.
KERNEL_OF(256, 4, bins_f32, const Tile<const f32> in, const Tile<const f64> edges, const Tile<u32> counts, const f64 scale) {
    __shared__ u32 own[256];
    own[threadIdx.x] = 0;
    __syncthreads();
    const f64* edge = edges.data;
    each_sample(in, [&](f32 sample) {
        const f64 v = sample;
        if (!(v >= edge[0] && v <= edge[256])) return;
        u32 n = (u32)((v - edge[0]) * scale);
        n = n < 255 ? n : 255;
        while (n > 0 && v < edge[n]) --n;
        while (n < 255 && v >= edge[n + 1]) ++n;
        atomicAdd(&own[n], 1u);
    });
    __syncthreads();
    if (own[threadIdx.x]) atomicAdd(counts.data + threadIdx.x, own[threadIdx.x]);
}

// Of each prefix, how often each digit of 16 bits follows it in the samples' keys; `shift`: bits below the digit.
KERNEL_OF(256, 4, digits_f32, const Tile<const f32> in, const Tile<const u64> prefixes, const Tile<u32> counts, const u32 shift) {
    each_sample(in, [&](f32 v) {
        if (!is_finite(v)) return;
        const u32 above = order(v) >> shift;
        for (u32 n = 0; n < prefixes.shape[4]; ++n)
            if (prefixes.data[n] == above >> 16) atomicAdd(counts.data + n * 65536 + (above & 65535u), 1u);
    });
}

// Mantissas added up for each exponent of f64 from 873 on, as many bits shorter as f32 has less; behind them how many samples.
#define EXPONENTS 278

KERNEL_OF(256, 4, mantissas_f32, const Tile<const f32> in, const Tile<u64> sums) {
    __shared__ u64 own[EXPONENTS + 1];
    for (u32 n = threadIdx.x; n <= EXPONENTS; n += blockDim.x) own[n] = 0;
    __syncthreads();
    u64 count = 0;
    each_sample(in, [&](f32 v) {
        if (!is_finite(v)) return;
        ++count;
        const u64 bits = bits_of((f64)v);
        const u32 exponent = (u32)(bits >> 52) & 2047;
        if (exponent == 0) return;
        const u64 mantissa = ((bits & ((1ull << 52) - 1)) | 1ull << 52) >> 29;
        atomicAdd(&own[exponent - 873], bits >> 63 ? (u64)0 - mantissa : mantissa);
    });
    atomicAdd(&own[EXPONENTS], count);
    __syncthreads();
    for (u32 n = threadIdx.x; n <= EXPONENTS; n += blockDim.x)
        if (own[n]) atomicAdd(sums.data + n, own[n]);
}
