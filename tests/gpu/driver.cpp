// A CUDA driver without a GPU: the calls of voxtile, with the kernels run on the CPU. It refuses what a driver refuses.
//
// The environment chooses:
//   EMULATED_LAZY=1         nothing runs before somebody waits for it: finds what is read too early
//   EMULATED_ORDER=reverse  blocks and threads run from the last to the first: finds what depends on their order
//   EMULATED_MEMORY=BYTES   of the GPU; more is refused
//   EMULATED_FAULT=KERNEL   that kernel fails, and everything after it
//   EMULATED_VERSION=11040  what the driver says of itself
//   EMULATED_DEVICES=0      how many GPUs it finds

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

using Address = unsigned long long;

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

namespace {

long setting(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    return text ? std::atol(text) : otherwise;
}

bool is(const char* name, const char* value) {
    const char* text = std::getenv(name);
    return text && !std::strcmp(text, value);
}

// What was given to a stream and has not run.
struct Stream {
    std::deque<std::function<void()>> waiting;
    unsigned long long given = 0, done = 0;

    void run(unsigned long long until) {
        while (done < until && !waiting.empty()) {
            auto work = std::move(waiting.front());
            waiting.pop_front();
            ++done;
            work();
        }
    }
};

struct Event {
    Stream* stream = nullptr;
    unsigned long long at = 0;
};

std::recursive_mutex lock;
std::set<Stream*> streams;
std::map<Address, std::size_t> memory;
std::size_t used = 0;
int fault = SUCCESS;

std::size_t total() { return setting("EMULATED_MEMORY", 1l << 30); }

void give(void* stream, std::function<void()> work) {
    auto* s = static_cast<Stream*>(stream);
    s->waiting.push_back(std::move(work));
    ++s->given;
    if (!is("EMULATED_LAZY", "1")) s->run(s->given);
}

// Whether all of these bytes belong to one allocation.
bool allocated(Address at, std::size_t bytes) {
    auto after = memory.upper_bound(at);
    if (after == memory.begin()) return false;
    auto [start, size] = *--after;
    return at + bytes <= start + size;
}

void launch(const std::function<void()>& call, Triple blocks, Triple threads) {
    emulated::blocks = blocks;
    emulated::threads = threads;
    const bool reverse = is("EMULATED_ORDER", "reverse");
    auto turned = [reverse](unsigned n, unsigned count) { return reverse ? count - 1 - n : n; };
    auto each = [turned](Triple count, auto work) {
        for (unsigned z = 0; z < count.z; ++z)
            for (unsigned y = 0; y < count.y; ++y)
                for (unsigned x = 0; x < count.x; ++x) work(Triple{turned(x, count.x), turned(y, count.y), turned(z, count.z)});
    };
    each(blocks, [&](Triple block) {
        emulated::block = block;
        each(threads, [&](Triple thread) {
            emulated::thread = thread;
            call();
        });
    });
}

} // namespace

#define API extern "C" __attribute__((visibility("default"))) int
#define LOCKED std::lock_guard<std::recursive_mutex> locked(lock)

API cuInit(unsigned flags) { return flags ? INVALID_VALUE : setting("EMULATED_DEVICES", 1) ? SUCCESS : NO_DEVICE; }
API cuDriverGetVersion(int* version) { *version = int(setting("EMULATED_VERSION", 12040)); return SUCCESS; }
API cuDeviceGetCount(int* count) { *count = int(setting("EMULATED_DEVICES", 1)); return SUCCESS; }
API cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal < setting("EMULATED_DEVICES", 1) ? SUCCESS : INVALID_DEVICE; }
API cuDeviceGetName(char* name, int room, int) { std::snprintf(name, room, "Emulated GPU"); return SUCCESS; }
API cuDeviceTotalMem_v2(std::size_t* bytes, int) { *bytes = total(); return SUCCESS; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    const int major = 75, minor = 76; // numbers of the two attributes of the compute capability
    *value = attribute == major ? 9 : attribute == minor ? 0 : 1;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** context, int) { *context = &streams; return SUCCESS; }
API cuCtxSetCurrent(void*) { return SUCCESS; }
API cuMemGetInfo_v2(std::size_t* free, std::size_t* all) { LOCKED; *all = total(); *free = total() - std::min(total(), used); return SUCCESS; }

API cuModuleLoadData(void** module, const void* image) {
    // Machine code, PTX, or what the emulated compiler makes.
    const char* text = static_cast<const char*>(image);
    const bool known = !std::memcmp(text, "\x7f" "ELF", 4) || !std::memcmp(text, "//", 2) || !std::memcmp(text, "emulated", 8);
    *module = &memory;
    return known ? SUCCESS : INVALID_IMAGE;
}
API cuModuleGetFunction(emulated::Entry** function, void*, const char* name) {
    for (auto* entry = emulated::Entry::all(); entry; entry = entry->next)
        if (!std::strcmp(entry->name, name)) {
            *function = entry;
            return SUCCESS;
        }
    return NOT_FOUND;
}
API cuFuncGetParamInfo(emulated::Entry* function, std::size_t n, std::size_t* offset, std::size_t* size) {
    if (n >= function->sizes.size()) return INVALID_VALUE;
    std::size_t at = 0;
    for (std::size_t k = 0; k < n; ++k) at += (function->sizes[k] + 7) / 8 * 8;
    if (offset) *offset = at;
    if (size) *size = function->sizes[n];
    return SUCCESS;
}

API cuStreamCreate(void** stream, unsigned) { LOCKED; auto* made = new Stream; streams.insert(made); *stream = made; return SUCCESS; }
API cuStreamSynchronize(void* stream) { LOCKED; auto* s = static_cast<Stream*>(stream); s->run(s->given); return fault; }
API cuStreamDestroy_v2(void* stream) { LOCKED; auto* s = static_cast<Stream*>(stream); s->run(s->given); streams.erase(s); delete s; return SUCCESS; }
API cuEventCreate(Event** event, unsigned) { *event = new Event; return SUCCESS; }
API cuEventDestroy_v2(Event* event) { delete event; return SUCCESS; }
API cuEventRecord(Event* event, void* stream) { LOCKED; event->stream = static_cast<Stream*>(stream); event->at = event->stream->given; return fault; }
API cuEventSynchronize(Event* event) { LOCKED; if (event->stream) event->stream->run(event->at); return fault; }

API cuMemAlloc_v2(Address* at, std::size_t bytes) {
    LOCKED;
    if (!bytes) return INVALID_VALUE;
    if (used + bytes > total()) return OUT_OF_MEMORY;
    void* made = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!made) return OUT_OF_MEMORY;
    std::memset(made, 0xCB, bytes);
    *at = reinterpret_cast<Address>(made);
    memory[*at] = bytes;
    used += bytes;
    return SUCCESS;
}
API cuMemFree_v2(Address at) {
    LOCKED;
    auto found = memory.find(at);
    if (found == memory.end()) return INVALID_VALUE;
    for (auto* stream : streams) stream->run(stream->given);
    used -= found->second;
    memory.erase(found);
    std::free(reinterpret_cast<void*>(at));
    return SUCCESS;
}
API cuMemHostAlloc(void** at, std::size_t bytes, unsigned) { *at = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096); return *at ? SUCCESS : OUT_OF_MEMORY; }
API cuMemFreeHost(void* at) { std::free(at); return SUCCESS; }
API cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes, void* stream) {
    LOCKED;
    if (!allocated(to, bytes)) return INVALID_VALUE;
    give(stream, [=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
    return SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, void* stream) {
    LOCKED;
    if (!allocated(from, bytes)) return INVALID_VALUE;
    give(stream, [=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
    return SUCCESS;
}
API cuLaunchKernel(emulated::Entry* kernel, unsigned bx, unsigned by, unsigned bz, unsigned tx, unsigned ty, unsigned tz, unsigned shared, void* stream, void** parameters, void**) {
    LOCKED;
    if (fault) return fault;
    const bool refused = !bx || !by || !bz || by > 65535 || bz > 65535 || !tx || !ty || !tz || tx * ty * tz > 1024 || tz > 64 || shared;
    if (refused) return INVALID_VALUE;
    auto call = kernel->bind(parameters);
    const bool fails = is("EMULATED_FAULT", kernel->name);
    give(stream, [=] {
        if (fails) fault = ILLEGAL_ADDRESS;
        if (!fault) launch(call, {bx, by, bz}, {tx, ty, tz});
    });
    return SUCCESS;
}
API cuGetErrorName(int, const char** text) { *text = "EMULATED_ERROR"; return SUCCESS; }
API cuGetErrorString(int, const char** text) { *text = "an error of the emulated driver"; return SUCCESS; }

// The compiler: what it makes is only looked at by the driver above.
static const char MADE[] = "emulated";
API nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 0; return SUCCESS; }
API nvrtcCreateProgram(void** program, const char*, const char*, int, const char* const*, const char* const*) { *program = &streams; return SUCCESS; }
API nvrtcCompileProgram(void*, int, const char* const*) { return SUCCESS; }
API nvrtcDestroyProgram(void** program) { *program = nullptr; return SUCCESS; }
API nvrtcGetProgramLogSize(void*, std::size_t* size) { *size = 1; return SUCCESS; }
API nvrtcGetProgramLog(void*, char* log) { *log = 0; return SUCCESS; }
API nvrtcGetCUBINSize(void*, std::size_t* size) { *size = sizeof MADE; return SUCCESS; }
API nvrtcGetCUBIN(void*, char* image) { std::memcpy(image, MADE, sizeof MADE); return SUCCESS; }
API nvrtcGetPTXSize(void*, std::size_t* size) { *size = sizeof MADE; return SUCCESS; }
API nvrtcGetPTX(void*, char* image) { std::memcpy(image, MADE, sizeof MADE); return SUCCESS; }
