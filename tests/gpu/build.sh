#!/usr/bin/env bash
# Builds the emulated driver, and its compiler, into a directory: `build.sh DIR [g++ options]`. Programs that find the
# directory in LD_LIBRARY_PATH take it for a GPU.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
mkdir -p "$dir"
{
    echo '#include "emulator.h"'
    for file in "$here"/../../kernels/{common.cuh,*.cu}; do
        printf '#include "%s"\n' "$file"
    done
    echo '#include "driver.cpp"'
} | g++ -std=c++17 -O1 -g -fPIC -shared -fvisibility=hidden -ffp-contract=off -Wall -Wno-unknown-pragmas "$@" -I "$here" -x c++ - \
    -Wl,-soname,libcuda.so.1 -o "$dir/libcuda.so.1"
ln -sf libcuda.so.1 "$dir/libcuda.so"
ln -sf libcuda.so.1 "$dir/libnvrtc.so.12"
