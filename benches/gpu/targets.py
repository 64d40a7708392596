"""Kernels at 512³ and files end to end, each against its target; cupy beside it where it is installed.

    targets.py VOXTILE WORKDIR OUT.csv [EDGE]     EDGE: of the volumes, 512 by default; smaller ones show that the script works
"""

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

VOXTILE, WORK, OUT = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
EDGE = int(sys.argv[4]) if len(sys.argv) > 4 else 512
RUNS = 5
ROWS = []


def run(source, recipe, output, device="cuda", more=()):
    """The report of a run, and its wall time."""
    began = time.perf_counter()
    words = [VOXTILE, "run", str(source), str(output), recipe, "--device", device, "--overwrite", "--json", *more]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}\n{done.stderr}")
    return json.loads(done.stdout)["report"], time.perf_counter() - began


def median(values):
    return sorted(values)[len(values) // 2]


def note(name, value, unit, target, peer=None):
    holds = "" if target is None else ("holds" if value <= target else "MISSED")
    ROWS.append([name, f"{value:.4f}", unit, target, holds, peer])
    print(f"{name:44s} {value:9.3f} {unit}  target {target}  {holds}  {'' if peer is None else f'cupy {peer}'}", flush=True)


def kernels(name, source, recipe, target_ms, peer=None):
    """Milliseconds of kernels with the whole volume as one tile, after the answer was compared with the CPU's."""
    here, there = WORK / "cpu.npy", WORK / "gpu.npy"
    try:
        run(source, recipe, here, "cpu")
        more = ["--tile", str(EDGE)]
        run(source, recipe, there, more=more)
        if not np.array_equal(np.load(here, mmap_mode="r"), np.load(there, mmap_mode="r")):
            raise RuntimeError("the GPU's answer is not the CPU's")
        reports = [run(source, recipe, there, more=more)[0] for _ in range(RUNS)]
        times = [report["device"]["kernel_seconds"] * 1e3 for report in reports]
        note(name, median(times), "ms", target_ms, peer)
    except (RuntimeError, KeyError) as why:
        ROWS.append([name, "", "ms", target_ms, f"not run: {str(why).splitlines()[-1]}", peer])
        print(f"{name:44s} not run: {why}", flush=True)


def cupy_ms(function):
    """Milliseconds of cupy, if it is there."""
    try:
        import cupy

        function()
        times = []
        for _ in range(RUNS):
            cupy.cuda.Device().synchronize()
            began = time.perf_counter()
            function()
            cupy.cuda.Device().synchronize()
            times.append((time.perf_counter() - began) * 1e3)
        return round(median(times), 3)
    except Exception as why:  # no cupy, or not enough memory
        print(f"no peer: {why}", file=sys.stderr)
        return None


def peers(noise, floats, blobs):
    """What cupyx takes for the same, by the name of the line."""
    try:
        import cupy
        from cupyx.scipy import ndimage
    except ImportError:
        return {}
    u, f, b = cupy.asarray(noise), cupy.asarray(floats), cupy.asarray(blobs)
    box = np.ones((3, 3, 3))
    half = u > 32767
    return {
        "gaussian 2": cupy_ms(lambda: ndimage.gaussian_filter(f, 2.0)),
        "gaussian 8": cupy_ms(lambda: ndimage.gaussian_filter(f, 8.0)),
        "sobel": cupy_ms(lambda: cupy.sqrt(sum(ndimage.sobel(f, a) ** 2 for a in range(3)))),
        "open 15": cupy_ms(lambda: ndimage.grey_opening(u, (15, 15, 15))),
        "median 3": cupy_ms(lambda: ndimage.median_filter(u, 3)),
        "median 5": cupy_ms(lambda: ndimage.median_filter(u, 5)),
        "label blobs 6": cupy_ms(lambda: ndimage.label(b)),
        "label blobs 26": cupy_ms(lambda: ndimage.label(b, box)),
        "label noise 6": cupy_ms(lambda: ndimage.label(half)),
        "label noise 26": cupy_ms(lambda: ndimage.label(half, box)),
        "histogram": cupy_ms(lambda: cupy.bincount(u.ravel(), minlength=65536)),
    }


def blobs_of(shape, radius, rng):
    """Balls that fill about a quarter, like nuclei."""
    mask = np.zeros(shape, np.uint8)
    z, y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1, -radius : radius + 1]
    ball = (z * z + y * y + x * x <= radius * radius).astype(np.uint8)
    size = 2 * radius + 1
    for _ in range(int(0.28 * mask.size / ball.sum())):
        at = [int(rng.integers(0, n - size)) for n in shape]
        part = tuple(slice(a, a + size) for a in at)
        np.maximum(mask[part], ball, out=mask[part])
    return mask


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    shape = (EDGE,) * 3
    noise = rng.integers(0, 65536, shape, np.uint16)
    floats = rng.random(shape, np.float32)
    blobs = blobs_of(shape, max(2, min(12, EDGE // 8)), rng)
    paths = {}
    for name, array in [("noise", noise), ("floats", floats), ("blobs", blobs)]:
        paths[name] = WORK / f"{name}-{EDGE}.npy"
        np.save(paths[name], array)
    with_cupy = peers(noise, floats, blobs)
    lines = [
        ("gaussian 2, f32, fast", "floats", "gaussian 2 precision=fast", 1.0, "gaussian 2"),
        ("gaussian 2, f32, exact", "floats", "gaussian 2", 1.6, "gaussian 2"),
        ("gaussian 8, f32, fast", "floats", "gaussian 8 precision=fast", 2.5, "gaussian 8"),
        ("gaussian 8, f32, exact", "floats", "gaussian 8", 5.0, "gaussian 8"),
        ("sobel, f32", "floats", "sobel", 0.4, "sobel"),
        ("opening 15³, u16", "noise", "open 15", 1.2, "open 15"),
        ("median 3³, u16", "noise", "median 3", 2.5, "median 3"),
        ("median 5³, u16", "noise", "median 5", 15.0, "median 5"),
        ("label, blobs, 6-connected", "blobs", "label", 1.0, "label blobs 6"),
        ("label, blobs, 26-connected", "blobs", "label connectivity=3", 1.0, "label blobs 26"),
        ("label, noise, 6-connected", "noise", "threshold 32767 | label", 3.5, "label noise 6"),
        ("label, noise, 26-connected", "noise", "threshold 32767 | label connectivity=3", 3.5, "label noise 26"),
        ("histogram, u16 (with the threshold)", "noise", "threshold otsu", 0.4, "histogram"),
    ]
    for name, source, recipe, target, peer in lines:
        kernels(name, paths[source], recipe, target, with_cupy.get(peer))
    files(noise, rng)
    with open(OUT, "w", newline="") as file:
        csv.writer(file).writerows([["what", "median", "unit", "target", "holds", "cupy_ms"], *ROWS])


def files(noise, rng):
    """End to end: TIFF and Zarr, page cache warm."""
    side = 26112 * EDGE // 512 // 512 * 512 or 512
    slide = WORK / "slide.tif"
    plane = WORK / "slide.npy"
    smooth = np.add.outer(np.arange(side) // 64 % 200, np.arange(side) // 48 % 50).astype(np.uint8)
    np.save(plane, np.stack([smooth, smooth[::-1], smooth[:, ::-1]]))
    subprocess.run([VOXTILE, "convert", plane, slide, "--axes", "cyx", "--overwrite"], check=True, capture_output=True)
    for name, source, recipe, output, target in [
        ("TIFF → gray → sobel → Zarr f32", slide, "gray | sobel", "edges.zarr", 0.6),
        ("TIFF, all tiles, to the GPU and a mean", slide, "gray | threshold mean", "mean.zarr", None),
    ]:
        whole = [run(source, recipe, WORK / output)[1] for _ in range(3)]
        note(name, median(whole), "s", target)
    volume = WORK / "volume.zarr"
    source = WORK / "volume.npy"
    np.save(source, np.tile(noise[: EDGE // 2] >> 4, (4, 2, 2)))
    subprocess.run([VOXTILE, "convert", source, volume, "--codec", "blosc-zstd", "--chunk", "128", "--overwrite"], check=True, capture_output=True)
    copied = median([timed_copy(volume) for _ in range(3)])
    note("Zarr → Zarr, decoded and encoded", copied, "s", None)
    times = [run(volume, "gaussian 2", WORK / "smooth.zarr", more=["--dtype", "u16"])[1] for _ in range(3)]
    note("Zarr → gaussian 2 → Zarr, 1024³ u16", median(times), "s", 1.6)
    note("  as a multiple of decoding and encoding", median(times) / copied, "×", 1.15)
    shutil.rmtree(WORK / "smooth.zarr", ignore_errors=True)


def timed_copy(volume):
    began = time.perf_counter()
    words = [VOXTILE, "convert", volume, WORK / "copy.zarr", "--overwrite"]
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
