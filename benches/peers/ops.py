"""Every operation beside the call of numpy, scipy or scikit-image that does the same, on one core, in memory.

    cargo build --release; cargo bench -p voxtile-kernels --bench step --no-run
    python benches/peers/ops.py [--only gaussian,median] [--folder /dev/shm]

One volume of 256³ voxels and one image of 4096², u16 unless the row says so; 128³ and 1024² where the peer would take too
long. Both sides work on the same voxels in memory, pinned to one core; answers are compared before the clock counts. The
least of several runs. voxtile's time is that of `crates/kernels/benches/step.rs`, tile by tile with its padding copies; operations whose
objects cross tiles, or that make a table, are timed as a `voxtile run --workers 1` (column `how`), where both sides also read
the image from a file and write the result to one. The floor is the bytes of the image and of the result over what one core copies per second here.

Writes benches/results/MACHINE/DATE-ops.csv; rows of other operations that are there stay. Prints the median ratio and
every ratio below 1. Exit code 1, if an answer differs.
"""

import os

for _threads in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ[f"{_threads}_NUM_THREADS"] = "1"

import argparse
import csv
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import scipy
import skimage
import zarr
from scipy import ndimage as ndi
from skimage import color, exposure, feature, filters, measure, morphology, restoration, transform, util

from run import ROOT, machine_name

COLUMNS = [
    "operation", "recipe", "shape", "dtype", "how", "voxtile_ns_per_voxel", "peer", "peer_ns_per_voxel", "ratio",
    "floor_ns_per_voxel", "answer",
]  # fmt: skip
F4, F8 = np.float32, np.float64


@dataclass
class Case:
    """A step, what does the same elsewhere, and how closely they agree: relative to the largest value, 0 for every bit."""

    step: str
    call: str
    peer: Callable
    tolerance: float = 0
    # Of which image: "volume", "image", or both.
    on: tuple = ("volume", "image")
    # Too slow elsewhere for the whole image.
    small: bool = False
    # What is done to the u16 image before: its type is the row's.
    given: Callable = lambda v: [v]
    axes: str | None = None
    run: bool = False
    table: bool = False
    # voxtile's result as the peer would give it.
    seen: Callable = lambda ours: ours
    # Why the answers cannot be compared.
    apart: str = ""

    @property
    def name(self):
        return self.step.split()[0]


def wide(image):
    return image.astype(F4)


def opposite(image):
    """Two images: the second falls where the first rises."""
    return [image, (image.max() - image).astype(image.dtype)]


def chosen(image):
    return [((image > np.median(image)) * 1).astype(image.dtype), *opposite(image)]


def blocks(image, name, factor=2):
    return getattr(np, name)(image.reshape([m for n in image.shape for m in (n // factor, factor)]), axis=tuple(range(1, 2 * image.ndim, 2)))


def moments(image, size):
    """Variance of a box as scipy's users write it."""
    mean = ndi.uniform_filter(image, size, output=F8)
    return ndi.uniform_filter(image.astype(F8) ** 2, size) - mean**2


def ball(radius, ndim):
    return (morphology.ball if ndim == 3 else morphology.disk)(radius)


def placed(image, matrix, offset, shape=None, order=1):
    out = F4 if order else image.dtype
    return ndi.affine_transform(image, np.array(matrix, float), offset, shape, out, order=order, mode="constant")


def slanted(image, step=2.0, angle=32):
    """Planes shifted along y by what the next one is further."""
    shift = step * np.cos(np.deg2rad(angle))
    rows = int(np.ceil(image.shape[1] - 1 + (image.shape[0] - 1) * shift - 1e-9)) + 1
    return placed(image, [[1, 0, 0], [-shift, 1, 0], [0, 0, 1]], 0, (image.shape[0], rows, image.shape[2]))


def hessian(image):
    elements = feature.hessian_matrix(wide(image), 2, mode="reflect", use_gaussian_derivatives=True)
    return feature.hessian_matrix_eigvals(elements)[0]


def areas(labels, image):
    return np.array(measure.regionprops_table(labels, image, properties=("area", "intensity_mean"))["area"], float)


def turned(image):
    if image.ndim == 3:
        return placed(image, [[1, 0, 0], [0, 0.9, -0.2], [0, 0.2, 0.9]], (0, 4, -8))
    return placed(image, [[0.9, -0.3], [0.3, 0.9]], (200, -300))


def mask(image):
    return [(image > 300).astype("u1")]


def stretched(image):
    """From 0 to 1, as equalize_adapthist ends."""
    low, high = F8(image.min()), F8(image.max())
    return (image - low) / (high - low)


def sharpest(image, size):
    """The voxels of the planes where the Laplacian varies most in a box."""
    sharp = [moments(ndi.laplace(wide(plane)), size) for plane in image]
    return np.take_along_axis(image, np.argmax(sharp, 0)[None], 0)[0]


VOLUME, IMAGE = ("volume",), ("image",)
TURN = "affine 1,0,0,0,0.9,-0.2,0,0.2,0.9 offset=0,4,-8"

CASES = [
    Case("cast u8", "np.clip(v, 0, 255).astype(u8)", lambda v: np.clip(v, 0, 255).astype("u1")),
    Case("cast f32", "v.astype(f32)", wide),
    Case("rescale in=0,4095 out=0,1", "(v / 4095).astype(f32)", lambda v: (v / 4095).astype(F4), 1e-6),
    Case("normalize percentiles=1,99.8", "percentile, then f32 arithmetic", lambda v: (
        lambda lo, hi: (wide(v) - F4(lo)) / (F4(hi) - F4(lo) + F4(1e-20)))(*np.percentile(v, (1, 99.8))), 1e-6),
    Case("equalize", "exposure.equalize_hist(v)", exposure.equalize_hist, 1e-6),
    Case("clahe", "exposure.equalize_adapthist(v)", exposure.equalize_adapthist, 1e-6, small=True, seen=stretched),
    Case("match-histogram on=a,b", "exposure.match_histograms(a, b)", exposure.match_histograms, 1e-6, given=opposite),
    Case("clamp min=120 max=400", "np.clip(v, 120, 400)", lambda v: np.clip(v, 120, 400)),
    Case("invert", "util.invert(v)", util.invert),
    Case("gamma 0.4", "exposure.adjust_gamma(v, 0.4), cut off to u16", lambda v: exposure.adjust_gamma(v, 0.4), 1e-4),
    Case("ln", "np.log(v)", np.log, 1e-6),
    Case("ln", "np.log(v)", np.log, 1e-6, given=lambda v: [wide(v)]),
    Case("exp", "np.exp(v)", np.exp, 1e-6, given=lambda v: [v // 32]),
    Case("exp", "np.exp(v)", np.exp, 1e-6, given=lambda v: [wide(v) / 300]),
    Case("sqrt", "np.sqrt(v)", np.sqrt, 1e-6),
    Case("abs", "np.abs(v)", np.abs, given=lambda v: [wide(v) - 300]),
    Case("expr (a-b)/(a+b+1)", "f64 arithmetic, .astype(f32)", lambda a, b: (
        lambda a, b: ((a - b) / (a + b + 1)).astype(F4))(a.astype(F8), b.astype(F8)), 1e-6, given=opposite),
    Case("mask on=a,b", "np.where(m != 0, v, 0)", lambda v, m: np.where(m != 0, v, v.dtype.type(0)), given=lambda v: chosen(v)[1::-1]),
    Case("where on=a,b,c", "np.where(m != 0, a, b)", lambda m, a, b: np.where(m != 0, a, b), given=chosen),
    Case("threshold 300", "v > 300", lambda v: v > 300),
    Case("gray", "color.rgb2gray(f32)", lambda v: color.rgb2gray(wide(v), channel_axis=0), 1e-6, on=IMAGE, axes="cyx",
         given=lambda v: [np.stack([*opposite(v), v])]),
    *[Case(f"threshold {n}", f"v > filters.threshold_{n}(v)", lambda v, n=n: v > getattr(filters, f"threshold_{n}")(v))
      for n in ("otsu", "li", "triangle", "yen", "isodata", "mean")],
    Case("threshold percentile=90", "v > np.percentile(v, 90)", lambda v: v > np.percentile(v, 90)),
    Case("threshold local size=15", "filters.threshold_local(f32, 15)", lambda v: wide(v) > filters.threshold_local(wide(v), 15)),
    Case("threshold local size=15 method=mean", "filters.threshold_local(f32, 15, 'mean')",
         lambda v: wide(v) > filters.threshold_local(wide(v), 15, "mean")),
    Case("threshold local size=15 method=niblack border=mirror", "v > filters.threshold_niblack(v, 15)",
         lambda v: v > filters.threshold_niblack(v, 15), 1e-5),
    Case("threshold local size=15 method=sauvola border=mirror", "v > filters.threshold_sauvola(v, 15)",
         lambda v: v > filters.threshold_sauvola(v, 15), 1e-5),
    Case("gaussian 2", "ndi.gaussian_filter(v, 2)", lambda v: ndi.gaussian_filter(v, 2), given=lambda v: [wide(v)]),
    Case("gaussian 2", "ndi.gaussian_filter(v, 2, output=f32)", lambda v: ndi.gaussian_filter(v, 2, output=F4)),
    Case("mean 5", "ndi.uniform_filter(v, 5, output=f32)", lambda v: ndi.uniform_filter(v, 5, output=F4)),
    Case("mean 15", "ndi.uniform_filter(v, 15, output=f32)", lambda v: ndi.uniform_filter(v, 15, output=F4)),
    Case("unsharp 2", "filters.unsharp_mask(f32, 2)", lambda v: filters.unsharp_mask(wide(v), 2, 1, preserve_range=True)),
    Case("dog low=1 high=2", "filters.difference_of_gaussians(f32, 1, 2)",
         lambda v: filters.difference_of_gaussians(wide(v), 1, 2, mode="reflect")),
    Case("median 3", "ndi.median_filter(v, 3)", lambda v: ndi.median_filter(v, 3), small=True),
    Case("median 3", "ndi.median_filter(v, 3)", lambda v: ndi.median_filter(v, 3), small=True, given=lambda v: [wide(v)]),
    Case("median 5", "ndi.median_filter(v, 5)", lambda v: ndi.median_filter(v, 5), small=True),
    Case("median 7", "ndi.median_filter(v, 7)", lambda v: ndi.median_filter(v, 7), small=True, on=IMAGE),
    Case("percentile 20 size=3", "ndi.percentile_filter(v, 20, 3)", lambda v: ndi.percentile_filter(v, 20, 3), small=True),
    Case("rank 2 size=3", "ndi.rank_filter(v, 2, 3)", lambda v: ndi.rank_filter(v, 2, 3), small=True),
    Case("bilateral 60 sigma-spatial=1.2 size=5", "restoration.denoise_bilateral(f32, 5, 60, 1.2)",
         lambda v: restoration.denoise_bilateral(wide(v), 5, 60, 1.2, mode="symmetric"), on=IMAGE, small=True,
         apart="its window is skewed"),
    Case("tv-denoise weight=20 iterations=10", "restoration.denoise_tv_chambolle(f32, 20)", lambda v: (
        restoration.denoise_tv_chambolle(wide(v), 20, eps=0, max_num_iter=10)), small=True),
    *[Case(f"{n} {k}", f"ndi.{f}(v, {k})", lambda v, f=f, k=k: getattr(ndi, f)(v, (k,) * v.ndim))
      for n, f in (("min", "minimum_filter"), ("max", "maximum_filter"), ("erode", "grey_erosion"), ("dilate", "grey_dilation"))
      for k in (3, 15)],
    *[Case(f"{n} 15", f"ndi.{f}(v, 15)", lambda v, f=f: getattr(ndi, f)(v, (15,) * v.ndim))
      for n, f in (("open", "grey_opening"), ("close", "grey_closing"), ("tophat", "white_tophat"), ("blackhat", "black_tophat"))],
    *[Case(f"open shape=ball radius={r}", "ndi.grey_opening(v, footprint=ball)",
           lambda v, r=r: ndi.grey_opening(v, footprint=ball(r, v.ndim)), small=True) for r in (3, 7)],
    *[Case(f"{n} shape=cross radius=1 iterations={k} border=constant", f"ndi.binary_{f}(v, iterations={k})",
           lambda v, f=f, k=k: getattr(ndi, f"binary_{f}")(v, iterations=k), given=mask)
      for n, f in (("erode", "erosion"), ("dilate", "dilation"), ("open", "opening"), ("close", "closing")) for k in (1, 10)],
    *[Case(f"subtract-background radius={r}", f"v - restoration.rolling_ball(v, radius={r})",
           lambda v, r=r: v - restoration.rolling_ball(v, radius=r), on=on, small=True) for r, on in ((25, IMAGE), (7, VOLUME))],
    *[Case(n, f"filters.{n}(f32)", lambda v, n=n: getattr(filters, n)(wide(v))) for n in ("sobel", "scharr", "prewitt")],
    Case("gradient 2", "ndi.gaussian_gradient_magnitude(v, 2, f32)", lambda v: ndi.gaussian_gradient_magnitude(v, 2, F4), 1e-6),
    Case("laplace", "ndi.laplace(v, f32)", lambda v: ndi.laplace(v, F4)),
    Case("log-filter 2", "ndi.gaussian_laplace(v, 2, f32)", lambda v: ndi.gaussian_laplace(v, 2, F4), 1e-6),
    Case("hessian sigma=2 which=largest", "feature.hessian_matrix_eigvals", hessian, 1e-5, small=True),
    Case("sato sigmas=1.5,3 black-ridges=no", "filters.sato(f32)", lambda v: filters.sato(wide(v), [1.5, 3], black_ridges=False), 1e-5, small=True),
    Case("frangi sigmas=1.5,3 black-ridges=no", "filters.frangi(f32)",
         lambda v: filters.frangi(wide(v), [1.5, 3], black_ridges=False), 1e-5, small=True, run=True),
    Case("variance 5", "two ndi.uniform_filter in f64", lambda v: moments(v, 5), 1e-6),
    Case("std 15", "two ndi.uniform_filter in f64", lambda v: np.sqrt(moments(v, 15)), 1e-6),
    Case("crop 8:120,8:120,8:120", "copy of a slice", lambda v: v[8:120, 8:120, 8:120].copy(), on=VOLUME, small=True),
    Case("crop 8:1016,8:1016", "copy of a slice", lambda v: v[8:1016, 8:1016].copy(), on=IMAGE, small=True),
    Case("pad 8", "np.pad(v, 8, 'symmetric')", lambda v: np.pad(v, 8, mode="symmetric")),
    Case("channel 1", "copy of a slice", lambda v: v[1].copy(), on=VOLUME, axes="cyx"),
    Case("frame 1", "copy of a slice", lambda v: v[1].copy(), on=VOLUME, axes="tyx"),
    Case("concat x on=a,b", "np.concatenate", lambda a, b: np.concatenate([a, b], -1), given=opposite),
    Case("stack c on=a,b", "np.stack", lambda a, b: np.stack([a, b]), given=opposite),
    Case("flip x", "copy of np.flip(v, -1)", lambda v: np.flip(v, -1).copy()),
    Case("flip y", "copy of np.flip(v, -2)", lambda v: np.flip(v, -2).copy()),
    Case("rotate90 1", "copy of np.rot90", lambda v: np.rot90(v, 1, (-2, -1)).copy()),
    Case("transpose", "copy of v.transpose()", lambda v: v.transpose().copy()),
    Case("reslice xz", "copy of v.transpose(1, 0, 2)", lambda v: v.transpose(1, 0, 2).copy(), on=VOLUME),
    Case("reslice yz", "copy of v.transpose(2, 0, 1)", lambda v: v.transpose(2, 0, 1).copy(), on=VOLUME),
    Case("downsample 2", "transform.downscale_local_mean", lambda v: np.rint(transform.downscale_local_mean(v, (2,) * v.ndim)).astype(v.dtype)),
    Case("downsample 2 method=max", "measure.block_reduce(v, 2, np.max)", lambda v: measure.block_reduce(v, 2, np.max)),
    Case("downsample 2 method=stride", "copy of v[::2]", lambda v: v[(slice(None, None, 2),) * v.ndim].copy()),
    Case("resample 1.5", "ndi.zoom(v, 1.5, order=1)", lambda v: ndi.zoom(v, 1.5, F4, order=1, mode="reflect", grid_mode=True), 1e-6, small=True),
    Case("resample 1.5 method=nearest", "ndi.zoom(v, 1.5, order=0)", lambda v: ndi.zoom(v, 1.5, order=0, mode="reflect", grid_mode=True), small=True),
    Case("resample 1.5 method=cubic", "ndi.zoom(v, 1.5, order=3)",
         lambda v: ndi.zoom(v, 1.5, F4, order=3, mode="reflect", grid_mode=True), 1e-6, small=True),
    Case(TURN, "ndi.affine_transform(v, …, order=1)", turned, 1e-6, on=VOLUME),
    Case("affine 0.9,-0.3,0.3,0.9 offset=200,-300", "ndi.affine_transform(v, …, order=1)", turned, 1e-6, on=IMAGE),
    Case("affine 0.9,-0.3,0.3,0.9 offset=200,-300 method=nearest", "ndi.affine_transform(v, …, order=0)",
         lambda v: placed(v, [[0.9, -0.3], [0.3, 0.9]], (200, -300), order=0), on=IMAGE),
    Case("deskew 32 step=2 view=shear", "ndi.affine_transform(v, …, order=1)", slanted, 1e-6, on=VOLUME),
    *[Case(f"project {a} method={m}", f"np.{m}(v, axis)", lambda v, a=a, m=m: getattr(np, m)(v, "zyx".index(a) - 3), on=VOLUME)
      for m in ("max", "sum", "argmax") for a in ("z", "x")],
    *[Case(f"project z method={m}", f"np.{m}(v, 0)", lambda v, m=m: getattr(np, m)(v, 0), 1e-6, on=VOLUME)
      for m in ("mean", "std", "median")],
    Case("project z method=focus", "ndi.laplace, two ndi.uniform_filter, np.argmax", lambda v: sharpest(v, 9), 1e-4, on=VOLUME),
    Case("cumsum x", "np.cumsum(v, -1)", lambda v: np.cumsum(v, -1)),
    Case("cumsum y", "np.cumsum(v, -2)", lambda v: np.cumsum(v, -2)),
    Case("hysteresis low=300 high=800", "filters.apply_hysteresis_threshold", lambda v: filters.apply_hysteresis_threshold(v, 300, 800), run=True),
    Case("label", "ndi.label(v)", lambda v: ndi.label(v)[0], run=True, given=mask),
    Case("fill-holes", "ndi.binary_fill_holes(v)", ndi.binary_fill_holes, run=True, given=mask),
    Case("measure", "measure.regionprops_table: area, mean", lambda v: areas(v, v), run=True, table=True,
         given=lambda v: [ndi.label(v > 300)[0].astype("u4")]),
    Case("peaks min-distance=5", "feature.peak_local_max(v, 5)", lambda v: feature.peak_local_max(v, 5), run=True, table=True, small=True),
]  # fmt: skip


def voxels(shape):
    """Round objects on a noisy ground."""
    rng = np.random.default_rng(1)
    waves = np.meshgrid(*[np.sin(np.arange(n, dtype="f4") / 9) for n in shape], indexing="ij", sparse=True)
    bright = np.maximum(sum(waves) - (1.2 if len(shape) == 3 else 0.7), 0) * 900
    return (bright + 100 + rng.integers(0, 64, shape, "u1")).astype("u2")


def least(work, budget=1.5):
    """The result, and the least seconds of several runs."""
    best, spent, runs, result = np.inf, 0.0, 0, None
    while runs < 2 or (spent < budget and runs < 100):
        result = None
        start = time.perf_counter()
        result = work()
        took = time.perf_counter() - start
        best, spent, runs = min(best, took), spent + took, runs + 1
        if took > 8:
            break
    return result, best


def copy_rate():
    """Bytes read and written per second by one core that copies an image of the size that is measured."""
    source = np.ones(1 << 24, "u2")
    target = np.zeros_like(source)
    seconds = min(least(lambda: np.copyto(target, source))[1] for _ in range(10))
    return 2 * source.nbytes / seconds


def by_step(args, case, images, folder):
    """voxtile's result and seconds, tile by tile in memory."""
    files = []
    for n, image in enumerate(images):
        files.append(folder / f"in{n}.raw")
        image.tofile(files[-1])
    image, out = images[0], folder / "out.raw"
    dtype = {"u": "u", "f": "f", "i": "i"}[image.dtype.kind] + str(8 * image.dtype.itemsize)
    command = [args.step, case.step, dtype, case.axes or "zyx"[3 - image.ndim :], ",".join(map(str, image.shape)), out, *files]
    # numpy asks for large pages; so does this allocator.
    large = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    done = subprocess.run(command, capture_output=True, text=True, env=large)
    if done.returncode:
        sys.exit(f"{case.step}: {done.stderr.strip()}")
    made = json.loads(done.stdout)
    kind = made["dtype"][0] + str(int(made["dtype"][1:]) // 8)
    return np.fromfile(out, kind).reshape(made["sizes"]), made["seconds"]


def by_run(args, case, images, folder):
    """voxtile's result, and the seconds that the run says it took."""
    source, out = folder / "in.npy", folder / ("out.csv" if case.table else "out.zarr")
    np.save(source, images[0])
    command = [args.voxtile, "run", source, out, case.step, "--workers", "1", "--overwrite", "--json"]
    command += [] if case.table else ["--codec", "none"]

    def work():
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{case.step}: {done.stderr.strip()}")
        return json.loads(done.stdout)["report"]["seconds"]

    seconds = min(work() for _ in range(3))
    if case.table:
        with open(out, newline="") as file:
            return list(csv.DictReader(file)), seconds
    node = zarr.open(out, mode="r")
    return np.asarray((node if isinstance(node, zarr.Array) else node["0"])[...]), seconds


def peer_run(case, folder):
    """The peer's result of the file that voxtile read, written to another."""
    made = case.peer(np.load(folder / "in.npy"))
    if not case.table:
        np.save(folder / "peer.npy", made)
    return made


def agreement(case, ours, theirs):
    """`exact`, how far apart, or `NO`."""
    if case.apart:
        return f"not compared: {case.apart}"
    if case.table:
        if case.name == "measure":
            same = np.array_equal([float(row["area_px"]) for row in ours], theirs)
        else:
            axes = "zyx"[3 - theirs.shape[1] :]
            same = sorted(tuple(int(row[f"{a}_px"]) for a in axes) for row in ours) == sorted(map(tuple, theirs.tolist()))
        return "exact" if same else "NO"
    ours = case.seen(ours)
    if ours.shape != theirs.shape:
        return f"NO: {ours.shape} and {theirs.shape}"
    if np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
        return "exact"
    if ours.dtype == np.uint8:
        share = np.count_nonzero(ours != theirs) / ours.size
        return f"all but {share:.1e}" if share <= case.tolerance else f"NO: {share:.1e} of the voxels differ"
    apart = np.max(np.abs(ours.astype(F8) - theirs)) / np.max(np.abs(theirs.astype(F8)))
    return f"within {apart:.1e}" if apart <= case.tolerance else f"NO: {apart:.1e}"


def measured(args, case, which, rate, folder):
    side = {("volume", False): 256, ("volume", True): 128, ("image", False): 4096, ("image", True): 1024}[
        which, case.small or args.small
    ]
    images = case.given(voxels((side,) * (3 if which == "volume" else 2)))
    ours, seconds = (by_run if case.run else by_step)(args, case, images, folder)
    theirs, peer_seconds = least(lambda: peer_run(case, folder) if case.run else case.peer(*images))
    size = max(images[0].size, 1 if case.table else ours.size)
    moved = sum(i.nbytes for i in images) + (0 if case.table else ours.nbytes)
    ns = lambda s: f"{s * 1e9 / size:.3f}"  # noqa: E731
    return {
        "operation": case.name, "recipe": case.step, "shape": "×".join(map(str, images[0].shape)), "dtype": str(images[0].dtype),
        "how": "run" if case.run else "step", "voxtile_ns_per_voxel": ns(seconds), "peer": case.call,
        "peer_ns_per_voxel": ns(peer_seconds), "ratio": f"{peer_seconds / seconds:.2f}", "floor_ns_per_voxel": ns(moved / rate),
        "answer": agreement(case, ours, theirs),
    }  # fmt: skip


def write(path, rows, columns, names):
    """Adds the rows; those with the same in the columns of those names are replaced."""
    key = lambda row: tuple(row[name] for name in names)  # noqa: E731
    old = []
    if path.exists():
        with open(path, newline="") as file:
            old = list(csv.DictReader(file))
    new = {key(row): row for row in [*old, *rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(new.values())


def newest(pattern):
    found = sorted((p for p in ROOT.glob(pattern) if os.access(p, os.X_OK)), key=lambda p: p.stat().st_mtime)
    return found[-1] if found else None


def parser(about):
    """What the scripts that measure steps are told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="operations, separated by commas")
    parser.add_argument("--step", type=Path, help="the bench `step`; the newest in target/release/deps if not given")
    parser.add_argument("--folder", type=Path, help="for images on their way; in memory is best")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--results", type=Path, default=ROOT / "benches/results", help="folder of the CSV files")
    return parser


def parsed(parser, names):
    args = parser.parse_args()
    args.step = args.step or newest("target/release/deps/step-*[!d]")
    if args.step is None:
        parser.error("build the bench first: cargo bench -p voxtile-kernels --bench step --no-run")
    args.only = set(args.only.split(",")) if args.only else names
    if unknown := args.only - names:
        parser.error(f"no comparison of {', '.join(sorted(unknown))}; there is {', '.join(sorted(names))}")
    return args


def main():
    options = parser(__doc__)
    options.add_argument("--voxtile", type=Path, default=ROOT / "target/release/voxtile")
    options.add_argument("--small", action="store_true", help="128³ and 1024² for all: whether the answers agree")
    args = parsed(options, {case.name for case in CASES})
    os.sched_setaffinity(0, {args.core})
    rate, rows = copy_rate(), []
    print(f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-image {skimage.__version__}; a core copies {rate / 1e9:.1f} GB/s")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for case in (c for c in CASES if c.name in args.only):
            for which in case.on:
                row = measured(args, case, which, rate, Path(folder))
                print(
                    f"{row['recipe'][:44]:44} {row['shape']:12} {row['voxtile_ns_per_voxel']:>9} {row['peer_ns_per_voxel']:>9} "
                    f"×{row['ratio']:<8} floor {row['floor_ns_per_voxel']}  {row['answer']}", flush=True,
                )  # fmt: skip
                rows.append(row)
    write(args.results / args.machine / f"{args.date}-ops.csv", rows, COLUMNS, ("recipe", "shape", "dtype"))
    ratios = [float(row["ratio"]) for row in rows]
    print(f"median ratio {statistics.median(ratios):.2f} of {len(ratios)}; below 1:")
    for row in (row for row in rows if float(row["ratio"]) < 1):
        print(f"  {row['recipe']} on {row['shape']} {row['dtype']}: {row['ratio']}")
    wrong = [row["recipe"] for row in rows if row["answer"].startswith("NO")]
    print(f"answers that differ: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
