// A CUDA driver without a GPU: the calls of voxtile, with the kernels run on the CPU. It refuses what a driver refuses.
//
// The environment chooses:
//   EMULATED_LAZY=1         nothing runs before somebody waits for it: finds what is read too early
//   EMULATED_ORDER=reverse  blocks and threads run from the last to the first: finds what depends on their order
//   EMULATED_ORDER=random   the threads of a block run in another order after every barrier: finds missing barriers
//   EMULATED_MEMORY=BYTES   of each GPU; more is refused
//   EMULATED_REFUSE=BYTES   more than so many in one piece is refused, as if others had taken the memory meanwhile
//   EMULATED_FAULT=KERNEL   that kernel fails, and everything after it
//   EMULATED_AFTER=N        it fails after so many launches of it
//   EMULATED_LOST=N         after so many launches the GPU is gone: every call fails
//   EMULATED_VERSION=11040  what the driver says of itself
//   EMULATED_DEVICES=0      how many GPUs it finds
//   EMULATED_LOG=FILE       at the end: the most bytes that were allocated at one time, and launches, on each GPU
//
// Before every job its memory is garbage. Built with -fsanitize=address (`build.sh DIR -fsanitize=address,undefined`), a kernel
// may touch the tiles that it is given and nothing else: all other memory of the GPU is poisoned while it runs.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include <dlfcn.h>
#include <unistd.h>

using Address = unsigned long long;

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, OUT_OF_RESOURCES = 701, LAUNCH_FAILED = 719, UNKNOWN = 999 };

namespace {

#if defined(__SANITIZE_ADDRESS__)
const bool SANITIZED = true;
void poison(Address at, std::size_t bytes) { __asan_poison_memory_region(reinterpret_cast<void*>(at), bytes); }
void unpoison(Address at, std::size_t bytes) { __asan_unpoison_memory_region(reinterpret_cast<void*>(at), bytes); }
#else
const bool SANITIZED = false;
void poison(Address, std::size_t) {}
void unpoison(Address, std::size_t) {}
#endif

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
    int device;
    std::deque<std::function<void()>> waiting;
    unsigned long long given = 0, done = 0;
    // Something was copied back: what is copied there next belongs to another job.
    bool ended = false;

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
    double ms = 0;
};

struct Allocation {
    std::size_t bytes;
    int device;
};

struct Gpu {
    std::size_t used = 0, most = 0;
    unsigned long long launches = 0;
};

std::recursive_mutex lock;
std::set<Stream*> streams;
std::map<Address, Allocation> memory;
std::map<int, Gpu> gpus;
std::map<std::string, long> started;
// The address of one is a context.
char contexts[64];
thread_local int current = -1;
// What every call answers from then on, as a driver does.
int fault = SUCCESS;
long launches = 0;

struct Log {
    ~Log() {
        const char* path = std::getenv("EMULATED_LOG");
        std::FILE* file = path ? std::fopen(path, "w") : nullptr;
        if (!file) return;
        for (auto& [number, gpu] : gpus) std::fprintf(file, "%d %zu %llu\n", number, gpu.most, gpu.launches);
        std::fclose(file);
    }
} at_the_end;

std::size_t total() { return setting("EMULATED_MEMORY", 1l << 30); }

double now() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void give(Stream* stream, std::function<void()> work) {
    stream->waiting.push_back(std::move(work));
    ++stream->given;
    if (!is("EMULATED_LAZY", "1")) stream->run(stream->given);
}

// The allocation that has all of these bytes, on that GPU.
const std::pair<const Address, Allocation>* allocated(Address at, std::size_t bytes, int device) {
    auto after = memory.upper_bound(at);
    if (after == memory.begin()) return nullptr;
    const auto& found = *--after;
    const bool fits = at + bytes <= found.first + found.second.bytes && found.second.device == device;
    return fits ? &found : nullptr;
}

// A tile as kernels take it.
struct Part {
    Address data;
    unsigned shape[5], stride[5];
};

// While it lives, of all memory of GPUs only the rows of those tiles may be touched.
struct Fence {
    explicit Fence(const std::vector<std::pair<Part, std::size_t>>& tiles) {
        if (!SANITIZED) return;
        for (auto& [start, held] : memory) poison(start, held.bytes);
        for (auto& [tile, sample] : tiles) {
            const unsigned* n = tile.shape;
            const unsigned* step = tile.stride;
            for (std::size_t t = 0; t < n[0]; ++t)
                for (std::size_t c = 0; c < n[1]; ++c)
                    for (std::size_t z = 0; z < n[2]; ++z)
                        for (std::size_t y = 0; y < n[3]; ++y)
                            unpoison(tile.data + (t * step[0] + c * step[1] + z * step[2] + y * step[3]) * sample, n[4] * sample);
        }
    }
    ~Fence() {
        if (!SANITIZED) return;
        for (auto& [start, held] : memory) unpoison(start, held.bytes);
    }
};

emulated::Order order() {
    return is("EMULATED_ORDER", "reverse") ? emulated::REVERSE : is("EMULATED_ORDER", "random") ? emulated::RANDOM : emulated::FORWARD;
}

} // namespace

// What images that the emulated compiler made begin with.
static const char MADE[] = "emulated";

#define API extern "C" __attribute__((visibility("default"))) int
#define LOCKED std::lock_guard<std::recursive_mutex> locked(lock)

API cuInit(unsigned flags) { return flags ? INVALID_VALUE : setting("EMULATED_DEVICES", 1) ? SUCCESS : NO_DEVICE; }
API cuDriverGetVersion(int* version) { *version = int(setting("EMULATED_VERSION", 12040)); return SUCCESS; }
API cuDeviceGetCount(int* count) { *count = int(setting("EMULATED_DEVICES", 1)); return SUCCESS; }
API cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal < setting("EMULATED_DEVICES", 1) ? SUCCESS : INVALID_DEVICE; }
API cuDeviceGetName(char* name, int room, int) { std::snprintf(name, room, "Emulated GPU"); return SUCCESS; }
API cuDeviceTotalMem_v2(std::size_t* bytes, int) { *bytes = total(); return SUCCESS; }
API cuDeviceGetAttribute(int* value, int attribute, int) {
    // Processors, memory clock in kHz, bits of the memory's bus, capability, bytes that a block may share: those of an H200.
    static const std::map<int, int> known = {{16, 132}, {36, 3201000}, {37, 6016}, {75, 9}, {76, 0}, {97, 227 << 10}};
    auto found = known.find(attribute);
    *value = found == known.end() ? 1 : found->second;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** context, int device) { *context = &contexts[device]; return SUCCESS; }
API cuCtxSetCurrent(void* context) { current = int(static_cast<char*>(context) - contexts); return SUCCESS; }
API cuMemGetInfo_v2(std::size_t* free, std::size_t* all) {
    LOCKED;
    if (current < 0) return INVALID_CONTEXT;
    *all = total();
    *free = total() - std::min(total(), gpus[current].used);
    return SUCCESS;
}

API cuModuleLoadData(void** module, const void* image) {
    // Machine code, PTX, or what the emulated compiler makes: of the kernels that the driver holds, or a library of its own.
    const char* text = static_cast<const char*>(image);
    const std::string library = MADE + std::string(":");
    *module = nullptr;
    if (!std::strncmp(text, library.c_str(), library.size())) {
        *module = dlopen(text + library.size(), RTLD_NOW | RTLD_LOCAL);
        return *module ? SUCCESS : INVALID_IMAGE;
    }
    const bool known = !std::memcmp(text, "\x7f" "ELF", 4) || !std::memcmp(text, "//", 2) || !std::memcmp(text, MADE, sizeof MADE - 1);
    return known ? SUCCESS : INVALID_IMAGE;
}
API cuModuleGetFunction(emulated::Entry** function, void* module, const char* name) {
    auto* entry = emulated::Entry::all();
    if (module) entry = reinterpret_cast<emulated::Entry* (*)()>(dlsym(module, "emulated_entries"))();
    for (; entry; entry = entry->next)
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

API cuFuncSetAttribute(emulated::Entry* function, int attribute, int value) {
    const int shared = 8; // bytes that a launch may ask for
    if (attribute != shared || value < 0 || value > 227 << 10) return INVALID_VALUE;
    function->shared = std::max(function->shared, unsigned(value));
    return SUCCESS;
}

API cuStreamCreate(Stream** stream, unsigned) {
    LOCKED;
    if (current < 0) return INVALID_CONTEXT;
    *stream = new Stream{current};
    streams.insert(*stream);
    return SUCCESS;
}
API cuStreamSynchronize(Stream* stream) { LOCKED; stream->run(stream->given); return fault; }
API cuStreamDestroy_v2(Stream* stream) { LOCKED; stream->run(stream->given); streams.erase(stream); delete stream; return SUCCESS; }
API cuEventCreate(Event** event, unsigned) { *event = new Event; return SUCCESS; }
API cuEventDestroy_v2(Event* event) { LOCKED; delete event; return SUCCESS; }
API cuEventRecord(Event* event, Stream* stream) {
    LOCKED;
    event->stream = stream;
    give(stream, [=] { event->ms = now(); });
    event->at = stream->given;
    return fault;
}
API cuEventSynchronize(Event* event) { LOCKED; if (event->stream) event->stream->run(event->at); return fault; }
API cuEventElapsedTime(float* ms, Event* from, Event* to) { LOCKED; *ms = float(to->ms - from->ms); return fault; }

API cuMemAlloc_v2(Address* at, std::size_t bytes) {
    LOCKED;
    if (current < 0) return INVALID_CONTEXT;
    if (fault) return fault;
    if (!bytes) return INVALID_VALUE;
    Gpu& gpu = gpus[current];
    if (gpu.used + bytes > total() || bytes > std::size_t(setting("EMULATED_REFUSE", 1l << 60))) return OUT_OF_MEMORY;
    void* made = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!made) return OUT_OF_MEMORY;
    std::memset(made, emulated::GARBAGE, bytes);
    *at = reinterpret_cast<Address>(made);
    memory[*at] = {bytes, current};
    gpu.used += bytes;
    gpu.most = std::max(gpu.most, gpu.used);
    return SUCCESS;
}
API cuMemFree_v2(Address at) {
    LOCKED;
    auto found = memory.find(at);
    if (found == memory.end()) return INVALID_VALUE;
    for (auto* stream : streams) stream->run(stream->given);
    gpus[found->second.device].used -= found->second.bytes;
    memory.erase(found);
    std::free(reinterpret_cast<void*>(at));
    return SUCCESS;
}
API cuMemHostAlloc(void** at, std::size_t bytes, unsigned) { *at = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096); return *at ? SUCCESS : OUT_OF_MEMORY; }
API cuMemFreeHost(void* at) { std::free(at); return SUCCESS; }
API cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t bytes, Stream* stream) {
    LOCKED;
    if (fault) return fault;
    const auto* held = allocated(to, bytes, stream->device);
    if (!held) return INVALID_VALUE;
    const auto [start, allocation] = *held;
    const bool fresh = std::exchange(stream->ended, false);
    give(stream, [=, size = allocation.bytes, at = start] {
        if (fresh) std::memset(reinterpret_cast<void*>(at), emulated::GARBAGE, size);
        std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    });
    return SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t bytes, Stream* stream) {
    LOCKED;
    if (fault) return fault;
    if (!allocated(from, bytes, stream->device)) return INVALID_VALUE;
    stream->ended = true;
    give(stream, [=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
    return SUCCESS;
}
API cuMemsetD8Async(Address at, unsigned char byte, std::size_t bytes, Stream* stream) {
    LOCKED;
    if (fault) return fault;
    if (!allocated(at, bytes, stream->device)) return INVALID_VALUE;
    give(stream, [=] { std::memset(reinterpret_cast<void*>(at), byte, bytes); });
    return SUCCESS;
}
API cuLaunchKernel(emulated::Entry* kernel, unsigned bx, unsigned by, unsigned bz, unsigned tx, unsigned ty, unsigned tz, unsigned shared, Stream* stream, void** parameters, void**) {
    LOCKED;
    if (launches++ >= setting("EMULATED_LOST", 1l << 60)) fault = UNKNOWN;
    if (fault) return fault;
    const unsigned count = tx * ty * tz;
    if (!bx || !by || !bz || by > 65535 || bz > 65535 || !tx || !ty || !tz || count > 1024 || tz > 64) return INVALID_VALUE;
    if (count > kernel->most || shared > kernel->shared) return OUT_OF_RESOURCES;
    std::vector<std::pair<Part, std::size_t>> tiles;
    for (std::size_t n = 0; n < kernel->samples.size(); ++n)
        if (kernel->samples[n]) {
            Part tile;
            std::memcpy(&tile, parameters[n], sizeof tile);
            tiles.emplace_back(tile, kernel->samples[n]);
        }
    auto call = kernel->bind(parameters);
    const bool fails = is("EMULATED_FAULT", kernel->name) && ++started[kernel->name] > setting("EMULATED_AFTER", 0);
    ++gpus[stream->device].launches;
    give(stream, [=] {
        if (fails) fault = ILLEGAL_ADDRESS;
        if (fault) return;
        Fence fence(tiles);
        try {
            kernel->launch(*kernel, call, {bx, by, bz}, {tx, ty, tz}, shared, order());
        } catch (...) {
            fault = LAUNCH_FAILED; // a trap
        }
    });
    return SUCCESS;
}
API cuGetErrorName(int, const char** text) { *text = "EMULATED_ERROR"; return SUCCESS; }
API cuGetErrorString(int, const char** text) { *text = "an error of the emulated driver"; return SUCCESS; }

// The compiler. Of the program's own kernels it makes nothing, since the driver has them; anything else g++ compiles as the
// driver was, into a library beside it.
struct Compiled {
    std::string source, log, image;
};
API nvrtcVersion(int* major, int* minor) { *major = 12; *minor = 0; return SUCCESS; }
API nvrtcCreateProgram(Compiled** program, const char* source, const char*, int, const char* const*, const char* const*) {
    *program = new Compiled{source, "", MADE};
    return SUCCESS;
}
API nvrtcCompileProgram(Compiled* program, int, const char* const*) {
    if (program->source.find("voxtile_own_kernel") == std::string::npos) return SUCCESS;
    static int number = 0;
    const std::string base = std::string(HERE) + "/own-" + std::to_string(getpid()) + "-" + std::to_string(number++);
    std::FILE* file = std::fopen((base + ".cpp").c_str(), "w");
    if (!file) return INVALID_VALUE;
    std::fprintf(file, "#include \"emulator.h\"\n%s\nextern \"C\" __attribute__((visibility(\"default\"))) emulated::Entry* emulated_entries() { return emulated::Entry::all(); }\n", program->source.c_str());
    std::fclose(file);
    // The sanitiser is the program's, not the compiler's.
    const std::string command = "env -u LD_PRELOAD -u LD_LIBRARY_PATH g++ -std=c++17 -O1 -g -fPIC -shared -fvisibility=hidden -ffp-contract=off " + std::string(OPTIONS) + " -I " + HERE + " " + base + ".cpp -o " + base + ".so >" + base + ".log 2>&1";
    const bool failed = std::system(command.c_str());
    if (std::FILE* log = std::fopen((base + ".log").c_str(), "r")) {
        char part[4096];
        for (std::size_t n; (n = std::fread(part, 1, sizeof part, log));) program->log.append(part, n);
        std::fclose(log);
    }
    program->image = MADE + (":" + base) + ".so";
    const int compilation = 6;
    return failed ? compilation : SUCCESS;
}
API nvrtcDestroyProgram(Compiled** program) { delete *program; *program = nullptr; return SUCCESS; }
API nvrtcGetProgramLogSize(Compiled* program, std::size_t* size) { *size = program->log.size() + 1; return SUCCESS; }
API nvrtcGetProgramLog(Compiled* program, char* log) { std::strcpy(log, program->log.c_str()); return SUCCESS; }
API nvrtcGetCUBINSize(Compiled* program, std::size_t* size) { *size = program->image.size() + 1; return SUCCESS; }
API nvrtcGetCUBIN(Compiled* program, char* image) { std::strcpy(image, program->image.c_str()); return SUCCESS; }
API nvrtcGetPTXSize(Compiled* program, std::size_t* size) { return nvrtcGetCUBINSize(program, size); }
API nvrtcGetPTX(Compiled* program, char* image) { return nvrtcGetCUBIN(program, image); }
