#!/usr/bin/env bash
# Other programs read what the release binary writes, and it reads what they write.
set -euo pipefail
cd "$(dirname "$0")/.."
.ci/environments.sh
cargo build --release --quiet
exec "${VENV:-.venv}/bin/python" tests/readers/run.py "$@"
