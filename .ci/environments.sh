#!/usr/bin/env bash
# The virtual environments of the checks with other programs, .venv and .venv-ome: made once, and again when the requirements
# change.
set -euo pipefail
cd "$(dirname "$0")/.."
# make FOLDER REQUIREMENTS [PACKAGE of which only files are used]
make() {
    cmp -s "$2" "$1/requirements.txt" && return
    python3 -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --prefer-binary -r "$2"
    [ $# -lt 3 ] || "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps "$3"
    cp "$2" "$1/requirements.txt"
}
# The JSON schemas of OME-Zarr come with ngff-zarr.
make "${VENV:-.venv}" tests/readers/requirements.txt ngff-zarr==0.50.0
make .venv-ome tests/readers/requirements-ome.txt
