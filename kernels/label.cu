// The foreground of a tile as bits: what is not 0 (`zero`: what is 0), 32 voxels of a row to a word, the first lowest. A warp
// makes a word.

template <class T> __device__ __forceinline__ void foreground(const Tile<const T>& in, const Tile<u32>& words, u32 zero) {
    const u32 across = words.shape[4], rows = in.shape[0] * in.shape[1] * in.shape[2] * in.shape[3];
    const u32 lane = threadIdx.x % 32, warps = blockDim.x / 32;
    for (u64 n = (u64)blockIdx.x * warps + threadIdx.x / 32; n < (u64)rows * across; n += (u64)gridDim.x * warps) {
        const u32 row = (u32)(n / across), word = (u32)(n % across), x = 32 * word + lane;
        const u32 y = row % in.shape[3], z = row / in.shape[3] % in.shape[2], tc = row / in.shape[3] / in.shape[2];
        const bool inside = x < in.shape[4];
        const bool zeroes = inside && *at(in, At{tc / in.shape[1], tc % in.shape[1], z, y, x}) == (T)0;
        const u32 bits = __ballot_sync(0xffffffffu, inside && zeroes == (zero != 0));
        if (lane == 0) words.data[n] = bits;
    }
}

#define TYPE(T)                                                                                                        \
    KERNEL_OF(128, 8, foreground_##T, const Tile<const T> in, const Tile<u32> words, const u32 zero) { foreground(in, words, zero); }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
