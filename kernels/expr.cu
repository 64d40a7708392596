// A formula over up to four images, voxel by voxel, in f64: a program of steps over numbered values, as the CPU has it
// (`formula/program.rs`). It is the same for all threads, so that none waits for another's branch.

#define STEPS 64
#define NUMBERS 24
#define VALUES 48

// What a step does; its number is in the low byte, then the values that it writes and reads.
enum {
    NEG, NOT, ABS, ROOT, EXPONENTIAL, LOG, LOG2, LOG10, FLOOR, CEIL, ROUND,
    ADD, SUB, MUL, DIV, POW, MIN, MAX, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, EQUAL, NOT_EQUAL, AND, OR,
    POWER, WHERE
};

struct Program {
    u64 step[STEPS];
};
struct Numbers {
    f64 value[NUMBERS];
};

__device__ __forceinline__ f64 computed(u32 what, f64 a, f64 b, f64 c, u32 n) {
    switch (what) {
    case NEG: return -a;
    case NOT: return a == 0.0 ? 1.0 : 0.0;
    case ABS: return fabs(a);
    case ROOT: return __dsqrt_rn(a);
    case EXPONENTIAL: return exponential(a);
    case LOG:
    case LOG2:
    case LOG10: {
        const f64 ln = logarithm(a);
        return what == LOG ? ln : ln * (what == LOG2 ? LOG2_E : LOG10_E);
    }
    case FLOOR: return floor(a);
    case CEIL: return ceil(a);
    case ROUND: return rint(a);
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case POW: return power(a, b);
    case MIN: return a < b || a != a ? a : b;
    case MAX: return a > b || a != a ? a : b;
    case LESS: return a < b ? 1.0 : 0.0;
    case LESS_OR_EQUAL: return a <= b ? 1.0 : 0.0;
    case GREATER: return a > b ? 1.0 : 0.0;
    case GREATER_OR_EQUAL: return a >= b ? 1.0 : 0.0;
    case EQUAL: return a == b ? 1.0 : 0.0;
    case NOT_EQUAL: return a != b ? 1.0 : 0.0;
    case AND: return a != 0.0 && b != 0.0 ? 1.0 : 0.0;
    case OR: return a != 0.0 || b != 0.0 ? 1.0 : 0.0;
    case POWER: return n == 2 ? a * a : whole_power(a, n);
    default: return a != 0.0 ? b : c;
    }
}

// `images`, `numbers`, `steps`: how many; `result`: the value that is written.
template <class T>
__device__ __forceinline__ void formula(const Tile<const T>& i0, const Tile<const T>& i1, const Tile<const T>& i2, const Tile<const T>& i3,
                                        const Tile<f32>& to, u32 images, u32 numbers, u32 steps, u32 result, const Program& program,
                                        const Numbers& number) {
    each(to, [&](const At& v) {
        f64 value[VALUES];
        value[0] = (f64)*at(i0, v);
        if (images > 1) value[1] = (f64)*at(i1, v);
        if (images > 2) value[2] = (f64)*at(i2, v);
        if (images > 3) value[3] = (f64)*at(i3, v);
        for (u32 n = 0; n < numbers; ++n) value[images + n] = number.value[n];
        for (u32 n = 0; n < steps; ++n) {
            const u64 step = program.step[n];
            const u32 a = step >> 16 & 255, b = step >> 24 & 255, c = step >> 32 & 255;
            value[step >> 8 & 255] = computed((u32)step & 255, value[a], value[b], value[c], (u32)(step >> 40));
        }
        *at(to, v) = (f32)value[result];
    });
}

#define TYPE(T)                                                                                                        \
    KERNEL(formula_##T, const Tile<const T> a, const Tile<const T> b, const Tile<const T> c, const Tile<const T> d,    \
           const Tile<f32> to, const u32 images, const u32 numbers, const u32 steps, const u32 result, const Program program, \
           const Numbers number) {                                                                                     \
        formula(a, b, c, d, to, images, numbers, steps, result, program, number);                                      \
    }
TYPE(u8) TYPE(u16) TYPE(f32)
#undef TYPE
