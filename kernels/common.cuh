// What all kernels share: tiles, the walk over their voxels, and conversions between sample types.
//
// A kernel gets the tiles that it reads, the tile that it writes, then its arguments. One thread makes one voxel of the
// tile that is written. What is read is larger by the halo and padded already: there is no code for edges.
//
// Floating-point numbers must come out as the CPU's, bit for bit (NaN only has to be NaN): everything is compiled with
// -fmad=false, and products and sums that matter are written as instructions of one rounding each.

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;
typedef float f32;
typedef double f64;

// Threads of a block, along x and y together.
#define BLOCK 128
// Blocks that should fit a multiprocessor together: leaves 64 registers to a thread, without which some kernels spill.
#define RESIDENT 8

// Defines a kernel. The emulated driver has its own way, which also lists it.
#ifndef KERNEL
#define KERNEL(name, ...) extern "C" __global__ void __launch_bounds__(BLOCK, RESIDENT) name(__VA_ARGS__)
#endif
// One whose threads work together, in blocks of at most so many, of which so many should fit a multiprocessor.
#ifndef KERNEL_OF
#define KERNEL_OF(threads, resident, name, ...) extern "C" __global__ void __launch_bounds__(threads, resident) name(__VA_ARGS__)
// Memory that the threads of a block share, of the size that the launch says.
#define SHARED_MEMORY(T, name) extern __shared__ __align__(16) unsigned char shared_memory[]; T* name = (T*)shared_memory
#endif

// A box of voxels [t][c][z][y][x] in a larger buffer: less than 2^31 elements from the first to the last.
template <class T> struct Tile {
    T* data;
    u32 shape[5];
    u32 stride[5]; // elements; 1 along x
};

// A voxel of a tile.
struct At {
    u32 t, c, z, y, x;
};

template <class T> __device__ __forceinline__ T* at(const Tile<T>& tile, const At& p) {
    return tile.data + p.t * tile.stride[0] + p.c * tile.stride[1] + p.z * tile.stride[2] + p.y * tile.stride[3] + p.x;
}

// Calls `work` for every voxel of the tile that is this thread's.
template <class T, class F> __device__ __forceinline__ void each(const Tile<T>& tile, F work) {
    const u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    if (x >= tile.shape[4]) return;
    const u32 planes = tile.shape[0] * tile.shape[1] * tile.shape[2];
    for (u32 plane = blockIdx.z; plane < planes; plane += gridDim.z) {
        const u32 z = plane % tile.shape[2], tc = plane / tile.shape[2];
        for (u32 y = blockIdx.y * blockDim.y + threadIdx.y; y < tile.shape[3]; y += gridDim.y * blockDim.y)
            work(At{tc / tile.shape[1], tc % tile.shape[1], z, y, x});
    }
}

// A sample from the low bits of a word.
template <class T> __device__ __forceinline__ T from_word(u64 word) { return (T)word; }
template <> __device__ __forceinline__ f32 from_word<f32>(u64 word) { return __uint_as_float((u32)word); }

// The largest sample; the smallest unsigned one is 0.
template <class T> struct Most {
    static const u32 value = (T)~(T)0;
};

// Rounds half to even, once, and saturates; NaN becomes 0.
template <class U> struct Rounded {
    __device__ __forceinline__ static U of(f64 v) {
        const f64 most = Most<U>::value;
        return v > 0.0 ? (U)rint(v < most ? v : most) : (U)0;
    }
    __device__ __forceinline__ static U of(f32 v) {
        const f32 most = Most<U>::value;
        return v > 0.0f ? (U)rintf(v < most ? v : most) : (U)0;
    }
    __device__ __forceinline__ static U of(u32 v) { return (U)(v < Most<U>::value ? v : Most<U>::value); }
};
template <> struct Rounded<f32> {
    __device__ __forceinline__ static f32 of(f64 v) { return (f32)v; }
    __device__ __forceinline__ static f32 of(f32 v) { return v; }
    __device__ __forceinline__ static f32 of(u32 v) { return (f32)v; }
};

// What samples are widened to before they are rounded to another type.
template <class T> struct Wide {
    typedef u32 type;
};
template <> struct Wide<f32> {
    typedef f32 type;
};
