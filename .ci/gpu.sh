#!/usr/bin/env bash
# GPUs without a GPU: the kernels compile for every architecture with the oldest compiler that knows them all, none spills
# and none takes other registers than the table says; and the emulated driver of tests/gpu runs them, with the program as
# it is, in order, lazily and backwards. `.ci/gpu.sh update` writes the table anew.
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
python3 tests/gpu/registers.py "$lib" "$@"
[[ ${1:-} != update ]] || exit 0

tests/gpu/build.sh "$dir/plain"
export EMULATED_DRIVER=$dir/plain
# A cache of its own: kernels that the emulated compiler made are for the emulated driver only.
export XDG_CACHE_HOME=$dir/cache
cargo test --quiet --test main gpu::
export LD_LIBRARY_PATH=$EMULATED_DRIVER
harness=(cargo test --quiet -p voxtile-kernels --lib)
for setting in EMULATED_ORDER=forward EMULATED_LAZY=1 EMULATED_ORDER=reverse; do
    printf '%s\n' "$setting"
    env "$setting" "${harness[@]}" -- device:: ops::blackhat ops::cast ops::clamp ops::crop ops::dilate ops::dog ops::erode ops::gaussian ops::gray \
        ops::invert ops::max:: ops::mean ops::min:: ops::prewitt ops::rescale ops::scharr ops::sobel ops::threshold ops::tophat ops::unsharp
done
