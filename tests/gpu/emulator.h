// Runs the kernels on the CPU: what CUDA adds to C++, as far as they use it. Every thread of a launch is a call, one after
// the other, in an order that the environment chooses; there are no barriers yet, since no kernel has one.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#define __device__
#define __forceinline__ inline __attribute__((always_inline))

struct Triple {
    unsigned x, y, z;
};

namespace emulated {

inline thread_local Triple thread, block, threads, blocks;

// A kernel, by its name: how large its parameters are, and how a call with copies of them is made.
struct Entry {
    const char* name;
    std::vector<std::size_t> sizes;
    std::function<std::function<void()>(void**)> bind;
    Entry* next;

    static Entry*& all() {
        static Entry* first = nullptr;
        return first;
    }

    template <class... A> Entry(const char* kernel, void (*function)(A...)) : name(kernel), sizes{sizeof(A)...}, next(all()) {
        bind = [function](void** given) { return bound(function, given, std::index_sequence_for<A...>{}); };
        all() = this;
    }

    template <class... A, std::size_t... I>
    static std::function<void()> bound(void (*function)(A...), void** given, std::index_sequence<I...>) {
        std::tuple<A...> copies(*static_cast<A*>(given[I])...);
        return [function, copies] { std::apply(function, copies); };
    }
};

} // namespace emulated

#define threadIdx emulated::thread
#define blockIdx emulated::block
#define blockDim emulated::threads
#define gridDim emulated::blocks

#define KERNEL(name, ...)                                                                                              \
    extern "C" void name(__VA_ARGS__);                                                                                 \
    static emulated::Entry entry_##name(#name, name);                                                                  \
    extern "C" void name(__VA_ARGS__)

// Instructions of one rounding each; compiled without contraction, the operators are that.
inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
using std::rint;
