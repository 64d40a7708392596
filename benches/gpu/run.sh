#!/usr/bin/env bash
# Everything that needs a card: see README.md beside this.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-all}
machine=gpu-$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
out=${OUT:-benches/results/$machine}/$(date +%F)
mkdir -p "$(dirname "$out")"

cargo build --release
voxtile=target/release/voxtile
"$voxtile" info --devices

if [[ $what == all || $what == check ]]; then
    # The harness of the CPU's operations; each comparison runs the real kernels.
    VOXTILE_CHECK=gpu cargo test --release -p voxtile-kernels --lib -- device:: ops::
    cargo test --release --test main gpu::
    if command -v compute-sanitizer >/dev/null; then
        harness=$(cargo test --release --no-run -p voxtile-kernels --lib --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
        for tool in memcheck racecheck; do
            VOXTILE_CHECK=gpu timeout 200 compute-sanitizer --tool "$tool" --error-exitcode 1 "$harness" --test-threads 1 \
                ops::gaussian ops::threshold ops::project ops::label ops::median ops::open
        done
    fi
fi
if [[ $what == all || $what == bench ]]; then
    "$voxtile" bench --csv "$out-bench.csv" --plot "$out-bench.svg"
fi
if [[ $what == all || $what == targets ]]; then
    python3 benches/gpu/targets.py "$voxtile" "${WORK:-/tmp/voxtile-gpu}" "$out-targets.csv"
fi
