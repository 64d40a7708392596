// How often each value of a tile occurs, for thresholds that are found in the image: the values of 8 bits in the memory of
// a block first, those of 16 bits where they are added up. `counts` begins as zeros.

template <class T> __device__ __forceinline__ void count_values(const Tile<const T>& in, const Tile<u32>& counts, u32* own) {
    const u32 values = 1u << (8 * sizeof(T));
    if (own) {
        for (u32 v = threadIdx.x; v < values; v += blockDim.x) own[v] = 0;
        __syncthreads();
    }
    const u32 rows = in.shape[0] * in.shape[1] * in.shape[2] * in.shape[3];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        const u32 y = row % in.shape[3], z = row / in.shape[3] % in.shape[2], tc = row / in.shape[3] / in.shape[2];
        const T* line = at(in, At{tc / in.shape[1], tc % in.shape[1], z, y, 0});
        for (u32 x = threadIdx.x; x < in.shape[4]; x += blockDim.x) atomicAdd((own ? own : counts.data) + line[x], 1u);
    }
    if (own) {
        __syncthreads();
        for (u32 v = threadIdx.x; v < values; v += blockDim.x)
            if (own[v]) atomicAdd(counts.data + v, own[v]);
    }
}

KERNEL_OF(256, 4, counts_u8, const Tile<const u8> in, const Tile<u32> counts) {
    __shared__ u32 own[256];
    count_values(in, counts, own);
}
KERNEL_OF(256, 4, counts_u16, const Tile<const u16> in, const Tile<u32> counts) { count_values(in, counts, (u32*)0); }
