#!/usr/bin/env bash
# Builds the emulated driver, and its compiler, into a directory: `build.sh DIR [g++ options]`. Programs that find the
# directory in LD_LIBRARY_PATH take it for a GPU. Built again only if a source or an option has changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
shift
mkdir -p "$dir"
kernels=$here/../../kernels
made_from=$({ cat "$kernels"/*.cu* "$here"/{emulator.h,driver.cpp,build.sh}; printf '%s ' "$@"; } | sha256sum)
[[ -e $dir/libcuda.so.1 && $(cat "$dir/made_from" 2>/dev/null) == "$made_from" ]] && exit
cp "$here/emulator.h" "$dir/"
{
    echo '#include "emulator.h"'
    for file in "$kernels"/{*.cuh,*.cu}; do
        printf '#include "%s"\n' "$file"
    done
    printf 'static const char* const HERE = "%s";\nstatic const char* const OPTIONS = "%s";\n' "$(cd "$dir" && pwd)" "$*"
    echo '#include "driver.cpp"'
} | g++ -std=c++17 -O1 -g -fPIC -shared -fvisibility=hidden -ffp-contract=off -Wall -Wno-unknown-pragmas "$@" -I "$here" -x c++ - \
    -Wl,-soname,libcuda.so.1 -o "$dir/libcuda.so.1"
ln -sf libcuda.so.1 "$dir/libcuda.so"
ln -sf libcuda.so.1 "$dir/libnvrtc.so.12"
printf '%s' "$made_from" >"$dir/made_from"
