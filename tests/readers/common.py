"""What all checks share: where the program and the images are, how voxtile is called, how images are read."""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import zarr

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
BINARY = Path(os.environ.get("VOXTILE", ROOT / "target" / "release" / "voxtile")).resolve()


class Failed(AssertionError):
    """A check that did not hold, with the numbers."""


def voxtile(*args, fails=False):
    """Runs the program; returns what it printed to stdout. With `fails`, exit code 2 is expected and stderr returned."""
    done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    words = " ".join(map(str, args))
    if done.returncode != (2 if fails else 0):
        raise Failed(f"`voxtile {words}` ended with {done.returncode}:\n{done.stderr}")
    return done.stderr if fails else done.stdout


def info(path):
    return json.loads(voxtile("info", path, "--json"))


def same(got, want, what):
    """Shape, sample type and every voxel."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        raise Failed(f"{what}: shape {got.shape}, not {want.shape}")
    if got.dtype.newbyteorder("=") != want.dtype.newbyteorder("="):
        raise Failed(f"{what}: {got.dtype}, not {want.dtype}")
    differ = (got != want) & ~((got != got) & (want != want))
    if differ.any():
        first = tuple(int(i) for i in np.argwhere(differ)[0])
        raise Failed(f"{what}: {int(differ.sum())} of {want.size} voxels differ, first {first}: {got[first]} not {want[first]}")


def pixels(path):
    """The voxels of a Zarr array, or of level 0 of an OME-Zarr group, by zarr-python."""
    node = zarr.open(path, mode="r")
    return np.asarray((node if isinstance(node, zarr.Array) else node["0"])[...])


def through_zarr(image, *options, tmp):
    """What voxtile reads of an image: converted to a plain Zarr array and read by zarr-python."""
    out = tmp / "seen.zarr"
    voxtile("convert", image, out, "--codec", "none", "--overwrite", *options)
    return pixels(out)


def main(modules):
    """Runs every check of the modules of those names, as many modules at a time as there are cores; prints the failures, and
    the count last. A check is a pair of a name and a function of a folder."""
    passed = failed = 0
    # Fresh processes: what some readers start at import does not survive a fork.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run, module, sys.argv[1:]) for module in modules]):
            module, fine, failures = done.result()
            print("".join(failures) + f"{module}: {fine} passed", flush=True)
            passed, failed = passed + fine, failed + len(failures)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def run(module, wanted):
    """The module's name, how many of its checks passed, and what the others say. With words, only checks that have one."""
    passed, failures = 0, []
    for name, check in import_module(module).checks():
        if wanted and not any(word in f"{module}:{name}" for word in wanted):
            continue
        with tempfile.TemporaryDirectory(prefix="voxtile-readers-") as tmp:
            try:
                check(Path(tmp))
                passed += 1
            except Exception as error:  # noqa: BLE001  every check is run
                text = str(error) if isinstance(error, Failed) else traceback.format_exc(limit=-3)
                failures.append(f"FAILED {module}: {name}\n  {text}\n")
    return module, passed, failures
