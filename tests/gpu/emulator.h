// Runs the kernels on the CPU: what CUDA adds to C++, as far as they use it.
//
// A kernel declared by KERNEL has threads that share nothing: each is a call, one after the other. The threads of a block of
// a kernel declared by KERNEL_OF may work together: each is a fiber, and barriers and what warps do together go on with the
// next one. The order of blocks and of threads is the environment's (driver.cpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
extern "C" void __sanitizer_start_switch_fiber(void**, const void*, std::size_t);
extern "C" void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*);
#endif

#define __device__
#define __host__
#define __noinline__ __attribute__((noinline))
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)
// Memory of a block is one variable, since blocks run one after the other; it holds garbage when a block begins.
#define __shared__ static __attribute__((section("block_memory")))
extern "C" char __start_block_memory[] __attribute__((weak)), __stop_block_memory[] __attribute__((weak));

struct Triple {
    unsigned x, y, z;
};

namespace emulated {

inline thread_local Triple thread, block, threads, blocks;

// Garbage: no number that a kernel would be right to expect.
enum : unsigned char { GARBAGE = 0xCB };
enum Order { FORWARD, REVERSE, RANDOM };

// Goes on where that stack was left, and leaves this one.
extern "C" void emulated_switch(void** left, void* to);

// One thread of a block whose threads work together.
struct Fiber {
    enum { READY, AT_BLOCK, AT_WARP, DONE } state = READY;
    void* at = nullptr;
    Triple place{};
    unsigned number = 0;
    std::vector<char> stack;
    void* fake = nullptr;
};

// The block that runs.
struct Block {
    std::vector<Fiber> fibers;
    const std::function<void()>* body = nullptr;
    void* home = nullptr;
    void* home_fake = nullptr;
    const void* home_stack = nullptr;
    std::size_t home_size = 0;
    Fiber* now = nullptr;
    // What each thread of each warp shows the others.
    std::uint64_t shown[32][32] = {};
    unsigned there[32] = {};
    std::vector<char> shared;
    Order order = FORWARD;
    std::uint64_t random = 88172645463325252ull;
    const char* kernel = "";

    void leave(int state) {
        Fiber* me = now;
        me->state = decltype(me->state)(state);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(state == Fiber::DONE ? nullptr : &me->fake, home_stack, home_size);
#endif
        emulated_switch(&me->at, home);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(me->fake, nullptr, nullptr);
#endif
        thread = me->place;
    }

    void enter(Fiber& fiber) {
        now = &fiber;
        thread = fiber.place;
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&home_fake, fiber.stack.data(), fiber.stack.size());
#endif
        emulated_switch(&home, fiber.at);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(home_fake, nullptr, nullptr);
#endif
        now = nullptr;
    }

    static void begin();
    void run();
};

inline thread_local Block* running = nullptr;

inline void Block::begin() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &running->home_stack, &running->home_size);
#endif
    (*running->body)();
    running->leave(Fiber::DONE);
    std::abort();
}

inline void Block::run() {
    const std::size_t STACK = 128 << 10;
    if (__start_block_memory) std::memset(__start_block_memory, GARBAGE, __stop_block_memory - __start_block_memory);
    std::fill(shared.begin(), shared.end(), char(GARBAGE));
    const unsigned count = threads.x * threads.y * threads.z;
    fibers.resize(count);
    for (unsigned n = 0; n < count; ++n) {
        Fiber& fiber = fibers[n];
        fiber.state = Fiber::READY;
        fiber.number = n;
        fiber.fake = nullptr;
        fiber.place = {n % threads.x, n / threads.x % threads.y, n / threads.x / threads.y};
        if (fiber.stack.empty()) fiber.stack.resize(STACK);
        // The first switch returns into `begin`: six registers, the address, and room that keeps the stack aligned.
        auto top = (reinterpret_cast<std::uintptr_t>(fiber.stack.data()) + STACK) / 16 * 16 - 64;
        auto* words = reinterpret_cast<std::uintptr_t*>(top);
        std::fill(words, words + 8, 0);
        words[6] = reinterpret_cast<std::uintptr_t>(&Block::begin);
        fiber.at = words;
    }
    std::vector<unsigned> turn(count);
    std::iota(turn.begin(), turn.end(), 0u);
    if (order == REVERSE) std::reverse(turn.begin(), turn.end());
    auto release = [this](unsigned from, unsigned to, int state) {
        unsigned live = 0, waiting = 0;
        for (unsigned n = from; n < to; ++n) {
            live += fibers[n].state != Fiber::DONE;
            waiting += fibers[n].state == state;
        }
        if (!live || waiting != live) return false;
        for (unsigned n = from; n < to; ++n)
            if (fibers[n].state == state) fibers[n].state = Fiber::READY;
        return true;
    };
    for (;;) {
        if (order == RANDOM)
            for (unsigned n = count; n-- > 1;) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                std::swap(turn[n], turn[random % (n + 1)]);
            }
        bool any = false;
        for (unsigned n : turn)
            if (fibers[n].state == Fiber::READY) any = true, enter(fibers[n]);
        bool released = false;
        for (unsigned n = 0; n < count; n += 32) released |= release(n, std::min(count, n + 32), Fiber::AT_WARP);
        if (released || release(0, count, Fiber::AT_BLOCK)) continue;
        if (std::all_of(fibers.begin(), fibers.end(), [](const Fiber& f) { return f.state == Fiber::DONE; })) return;
        if (!any) {
            std::fprintf(stderr, "emulated GPU: threads of a block of %s wait at different barriers\n", kernel);
            std::abort();
        }
    }
}

// The block, for what its threads do together.
inline Block& together(const char* what) {
    if (!running) {
        std::fprintf(stderr, "emulated GPU: %s in a kernel that is not declared by KERNEL_OF\n", what);
        std::abort();
    }
    return *running;
}

// Every thread of a warp shows a value, and sees those of the others that show one.
template <class T, class F> auto exchanged(const char* what, T value, F see) {
    static_assert(sizeof(T) <= 8, "a value of one or two registers");
    Block& block = together(what);
    const unsigned warp = block.now->number / 32, lane = block.now->number % 32;
    block.shown[warp][lane] = 0;
    std::memcpy(&block.shown[warp][lane], &value, sizeof value);
    block.there[warp] |= 1u << lane;
    block.leave(Fiber::AT_WARP);
    auto of = [&](unsigned other) {
        T seen;
        std::memcpy(&seen, &block.shown[warp][other % 32], sizeof seen);
        return seen;
    };
    auto out = see(of, lane, block.there[warp]);
    block.leave(Fiber::AT_WARP);
    block.there[warp] &= ~(1u << lane);
    return out;
}

// Bytes of a sample of a tile; 0 of any other parameter.
template <class A, class = void> struct Sample {
    static const std::size_t bytes = 0;
};
template <class A> struct Sample<A, std::void_t<decltype(std::declval<A>().data), decltype(std::declval<A>().stride)>> {
    static const std::size_t bytes = sizeof(*std::declval<A>().data);
};

// A kernel, by its name: how large its parameters are, and how a call with copies of them is made.
struct Entry {
    const char* name;
    std::vector<std::size_t> sizes;
    // Of each parameter that is a tile, the bytes of a sample.
    std::vector<std::size_t> samples;
    std::function<std::function<void()>(void**)> bind;
    // Most threads of a block, and whether they work together.
    unsigned most;
    bool cooperates;
    unsigned shared = 48 << 10;
    Entry* next;

    static Entry*& all() {
        static Entry* first = nullptr;
        return first;
    }

    template <class... A>
    Entry(const char* kernel, void (*function)(A...), unsigned most, bool cooperates)
        : name(kernel), sizes{sizeof(A)...}, samples{Sample<A>::bytes...}, most(most), cooperates(cooperates), next(all()) {
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

#if !defined(__x86_64__)
#error "the emulated GPU switches stacks of x86-64"
#endif
asm(".text\n.globl emulated_switch\n.type emulated_switch,@function\nemulated_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size emulated_switch,.-emulated_switch\n");

#define threadIdx emulated::thread
#define blockIdx emulated::block
#define blockDim emulated::threads
#define gridDim emulated::blocks
#define warpSize 32

#define EMULATED(name, most, cooperates, ...)                                                                          \
    extern "C" void name(__VA_ARGS__);                                                                                 \
    static emulated::Entry entry_##name(#name, name, most, cooperates);                                                \
    extern "C" void name(__VA_ARGS__)
#define KERNEL(name, ...) EMULATED(name, 128, false, __VA_ARGS__)
#define KERNEL_OF(threads, resident, name, ...) EMULATED(name, threads, true, __VA_ARGS__)
// Memory of a block whose size the launch says.
#define SHARED_MEMORY(T, name) T* name = reinterpret_cast<T*>(emulated::together("shared memory").shared.data())

// Barriers.
inline void __syncthreads() { emulated::together("__syncthreads").leave(emulated::Fiber::AT_BLOCK); }
inline void __syncwarp(unsigned = ~0u) { emulated::together("__syncwarp").leave(emulated::Fiber::AT_WARP); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// What warps do together.
inline unsigned __ballot_sync(unsigned, int predicate) {
    return emulated::exchanged("__ballot_sync", predicate != 0, [](auto of, unsigned, unsigned there) {
        unsigned bits = 0;
        for (unsigned n = 0; n < 32; ++n) bits |= unsigned((there >> n & 1) && of(n)) << n;
        return bits;
    });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T> T __shfl_sync(unsigned, T value, int from, int width = 32) {
    return emulated::exchanged("__shfl_sync", value, [=](auto of, unsigned lane, unsigned) {
        return of(lane / width * width + unsigned(from) % width);
    });
}
template <class T> T __shfl_up_sync(unsigned, T value, unsigned by, int width = 32) {
    return emulated::exchanged("__shfl_up_sync", value, [=](auto of, unsigned lane, unsigned) { return of(lane % width >= by ? lane - by : lane); });
}
template <class T> T __shfl_down_sync(unsigned, T value, unsigned by, int width = 32) {
    return emulated::exchanged("__shfl_down_sync", value, [=](auto of, unsigned lane, unsigned) { return of(lane % width + by < unsigned(width) ? lane + by : lane); });
}
template <class T> T __shfl_xor_sync(unsigned, T value, int with, int = 32) {
    return emulated::exchanged("__shfl_xor_sync", value, [=](auto of, unsigned lane, unsigned) { return of(lane ^ unsigned(with)); });
}
template <class F> unsigned reduced(const char* what, unsigned value, F join) {
    return emulated::exchanged(what, value, [=](auto of, unsigned lane, unsigned there) {
        unsigned out = of(lane);
        for (unsigned n = 0; n < 32; ++n)
            if (n != lane && (there >> n & 1)) out = join(out, of(n));
        return out;
    });
}
inline int __syncthreads_count(int predicate) {
    // Each warp adds its part between two barriers of the block.
    static int counted;
    emulated::Block& block = emulated::together("__syncthreads_count");
    block.leave(emulated::Fiber::AT_BLOCK);
    counted = 0;
    block.leave(emulated::Fiber::AT_BLOCK);
    counted += predicate != 0;
    block.leave(emulated::Fiber::AT_BLOCK);
    const int out = counted;
    block.leave(emulated::Fiber::AT_BLOCK);
    return out;
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) != 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(!predicate) == 0; }

namespace emulated {
template <class T> struct SameType {
    using type = T;
};
// A parameter that does not decide the type.
template <class T> using Same = typename SameType<T>::type;
} // namespace emulated

// Atomic operations: one thread runs at a time.
template <class T> T atomicAdd(T* at, emulated::Same<T> value) { T old = *at; *at = T(old + value); return old; }
template <class T> T atomicSub(T* at, emulated::Same<T> value) { T old = *at; *at = T(old - value); return old; }
template <class T> T atomicMin(T* at, emulated::Same<T> value) { T old = *at; *at = std::min(old, value); return old; }
template <class T> T atomicMax(T* at, emulated::Same<T> value) { T old = *at; *at = std::max(old, value); return old; }
template <class T> T atomicOr(T* at, emulated::Same<T> value) { T old = *at; *at = old | value; return old; }
template <class T> T atomicAnd(T* at, emulated::Same<T> value) { T old = *at; *at = old & value; return old; }
template <class T> T atomicExch(T* at, emulated::Same<T> value) { T old = *at; *at = value; return old; }
template <class T> T atomicCAS(T* at, emulated::Same<T> wanted, emulated::Same<T> value) {
    T old = *at;
    if (old == wanted) *at = value;
    return old;
}

// Loads that caches are told of.
template <class T> T __ldg(const T* at) { return *at; }
template <class T> T __ldcg(const T* at) { return *at; }
template <class T> T __ldca(const T* at) { return *at; }
template <class T> T __ldcs(const T* at) { return *at; }
template <class T> void __stcs(T* at, T value) { *at = value; }

// Types of several numbers.
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// Bits.
template <class To, class From> To emulated_bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To out;
    std::memcpy(&out, &value, sizeof out);
    return out;
}
inline float __uint_as_float(unsigned bits) { return emulated_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return emulated_bits<unsigned>(value); }
inline float __int_as_float(int bits) { return emulated_bits<float>(bits); }
inline int __float_as_int(float value) { return emulated_bits<int>(value); }
inline long long __double_as_longlong(double value) { return emulated_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return emulated_bits<double>(bits); }
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline unsigned __brev(unsigned v) {
    unsigned out = 0;
    for (int n = 0; n < 32; ++n) out |= (v >> n & 1) << (31 - n);
    return out;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)((unsigned __int128)a * b >> 64); }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned which) {
    const unsigned long long both = (unsigned long long)b << 32 | a;
    unsigned out = 0;
    for (int n = 0; n < 4; ++n) {
        const unsigned select = which >> (4 * n) & 15;
        unsigned byte = unsigned(both >> (8 * (select & 7))) & 255;
        if (select & 8) byte = byte & 128 ? 255 : 0;
        out |= byte << (8 * n);
    }
    return out;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) { return unsigned(((unsigned long long)high << 32 | low) << (by & 31) >> 32); }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) { return unsigned(((unsigned long long)high << 32 | low) >> (by & 31)); }
// Two numbers of 16 bits, or four of 8, in a word.
template <int BITS, class F> unsigned emulated_lanes(unsigned a, unsigned b, F f) {
    const unsigned mask = (1u << BITS) - 1;
    unsigned out = 0;
    for (int n = 0; n < 32; n += BITS) out |= (f(a >> n & mask, b >> n & mask) & mask) << n;
    return out;
}
inline unsigned __vminu2(unsigned a, unsigned b) { return emulated_lanes<16>(a, b, [](unsigned x, unsigned y) { return std::min(x, y); }); }
inline unsigned __vmaxu2(unsigned a, unsigned b) { return emulated_lanes<16>(a, b, [](unsigned x, unsigned y) { return std::max(x, y); }); }
inline unsigned __vminu4(unsigned a, unsigned b) { return emulated_lanes<8>(a, b, [](unsigned x, unsigned y) { return std::min(x, y); }); }
inline unsigned __vmaxu4(unsigned a, unsigned b) { return emulated_lanes<8>(a, b, [](unsigned x, unsigned y) { return std::max(x, y); }); }
inline unsigned __vadd2(unsigned a, unsigned b) { return emulated_lanes<16>(a, b, [](unsigned x, unsigned y) { return x + y; }); }
inline unsigned __vsub2(unsigned a, unsigned b) { return emulated_lanes<16>(a, b, [](unsigned x, unsigned y) { return x - y; }); }

// Instructions of one rounding each; compiled without contraction, the operators are that.
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return std::sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
using std::max;
using std::min;
using std::rint;
