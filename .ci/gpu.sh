#!/usr/bin/env bash
# GPUs without a GPU: the kernels compile for every architecture with the oldest compiler that knows them all, none spills
# and none takes other registers or shared memory than the table says; and the emulated driver of tests/gpu runs them, with
# the program as it is. The harness of the CPU's operations compares every kernel with the CPU's: in order; lazily and backwards;
# and sanitised, with the threads of a block in random order, where a kernel may touch nothing but the tiles it is given.
# `.ci/gpu.sh update` writes the table anew.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
wheel=nvidia-cuda-nvrtc-cu12==12.0.140
dir=${CARGO_TARGET_DIR:-$PWD/target}/gpu
mkdir -p "$dir"
if [[ ! -d $dir/nvrtc ]]; then
    pip=("$venv/bin/pip")
    [[ -x ${pip[0]} ]] || pip=(python3 -m pip)
    "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --target "$dir/nvrtc" "$wheel"
fi
lib=$dir/nvrtc/nvidia/cuda_nvrtc/lib
if [[ ${1:-} == update ]]; then
    python3 tests/gpu/registers.py "$lib" update
    exit
fi

# together NAME COMMAND…: side by side with the others; `all` waits, shows what they said, and fails if one did.
declare -A running=()
together() {
    local name=$1
    shift
    "$@" >"$dir/$name.log" 2>&1 </dev/null &
    running[$name]=$!
}
all() {
    local name failed=0
    for name in "${!running[@]}"; do
        wait "${running[$name]}" || failed=1
        printf -- '-- %s\n' "$name"
        cat "$dir/$name.log"
    done
    running=()
    return $failed
}

together registers python3 tests/gpu/registers.py "$lib"
# A driver is built again only when its sources change.
together plain tests/gpu/build.sh "$dir/plain"
together sanitised-driver tests/gpu/build.sh "$dir/sanitised" -fsanitize=address,undefined -fno-sanitize-recover=all
all

export EMULATED_DRIVER=$dir/plain
# A cache of its own: kernels that the emulated compiler made are for the emulated driver only.
export XDG_CACHE_HOME=$dir/cache
cargo test --quiet --test main gpu::

# The harness as it is built, run by itself so that its ways to run kernels go side by side.
harness=$(cargo test --no-run --lib --message-format=json | sed -n 's/.*"executable":"\([^"]*voxtile_kernels-[^"]*\)".*/\1/p' | tail -1)
export LD_LIBRARY_PATH=$dir/plain
export VOXTILE_CHECK=gpu
checks=(--quiet --test-threads 1 device:: ops::)
together forward env EMULATED_ORDER=forward "$harness" "${checks[@]}"
together lazily env EMULATED_LAZY=1 EMULATED_ORDER=reverse "$harness" "${checks[@]}"
all
# The sanitiser must come before everything else; Rust's own threads and stacks are none of its business.
together sanitised env LD_LIBRARY_PATH="$dir/sanitised" LD_PRELOAD="$(g++ -print-file-name=libasan.so)" EMULATED_ORDER=random \
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:use_sigaltstack=0 UBSAN_OPTIONS=print_stacktrace=1 \
    "$harness" "${checks[@]}"
all
