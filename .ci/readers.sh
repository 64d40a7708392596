#!/usr/bin/env bash
# Other programs read what the release binary writes, and it reads what they write. The virtual environments stay in
# .venv and .venv-ome, and are made again when the requirements change.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
# make FOLDER REQUIREMENTS [PACKAGE of which only files are used]
make() {
    cmp -s "$2" "$1/requirements.txt" && return
    python3 -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --prefer-binary -r "$2"
    [ $# -lt 3 ] || "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps "$3"
    cp "$2" "$1/requirements.txt"
}
# The JSON schemas of OME-Zarr come with ngff-zarr.
make "$venv" tests/readers/requirements.txt ngff-zarr==0.50.0
make .venv-ome tests/readers/requirements-ome.txt
cargo build --release --quiet
exec "$venv/bin/python" tests/readers/run.py "$@"
