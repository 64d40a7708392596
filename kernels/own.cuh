// What a kernel of the user's own sees: a voxel of the input and those around it, as far as the halo that it was given.

template <class T> struct Around {
    const T* centre;
    u32 step[3];  // elements to the next voxel along z, y, x
    i32 reach[3]; // voxels to either side
    // The voxel so far away along z, y and x; whoever reaches beyond the halo stops the run.
    __device__ T operator()(i32 dz, i32 dy, i32 dx) const {
        if (dz < -reach[0] || dz > reach[0] || dy < -reach[1] || dy > reach[1] || dx < -reach[2] || dx > reach[2]) __trap();
        return centre[(i64)dz * step[0] + (i64)dy * step[1] + (i64)dx * step[2]];
    }
    __device__ T operator()(i32 dy, i32 dx) const { return (*this)(0, dy, dx); }
    __device__ T operator()(i32 dx) const { return (*this)(0, 0, dx); }
    __device__ T operator()() const { return *centre; }
};

// The halo along z, y, x.
struct Reach {
    i64 of[3];
};

// The numbers that a step gives.
struct Given {
    f64 number[16];
};

// Calls the user's function for every voxel of a tile.
template <class T, class U, class F>
__device__ __forceinline__ void each_around(const Tile<const T>& in, const Tile<U>& out, const Reach& reach, F function) {
    each(out, [&](const At& v) {
        Around<T> around;
        around.centre = at(in, v);
        for (int a = 0; a < 3; ++a) {
            around.step[a] = in.stride[2 + a];
            around.reach[a] = (i32)reach.of[a];
            around.centre += (u64)around.reach[a] * around.step[a];
        }
        *at(out, v) = function(around);
    });
}
