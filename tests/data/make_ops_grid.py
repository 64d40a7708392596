#!/usr/bin/env python3
"""Results of scipy and scikit-image for the operations that find values between voxels.

Writes raw little-endian arrays and `cases.txt` to tests/data/ops/grid, in the form of `make_ops_point.py`;
crates/kernels/tests/point.rs runs them. Sums are in f64 everywhere but in another order, so a result may be 1 ULP of f32 away;
cubic splines, whose coefficients voxtile finds from 12 neighbours, a few.
"""

import pathlib
import sys

import numpy as np
import skimage.transform
from scipy import ndimage as ndi

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "readers"))
from oracles import placed, resampled  # noqa: E402

OUT = HERE / "ops" / "grid"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.glob("*.raw"):
    old.unlink()
rng = np.random.default_rng(21)
lines, written = [], {}


def store(array):
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    if raw not in written:
        written[raw] = f"{len(written):02}.raw"
        (OUT / written[raw]).write_bytes(raw)
    return written[raw]


def case(step, axes, image, result, ulp):
    say = lambda a: f"{store(a)} {a.dtype.name} {axes} {','.join(map(str, a.shape))}"
    lines.append(f"{step} | {say(image)} | {say(np.asarray(result))} | {ulp}")


grid = np.meshgrid(*[np.arange(n) for n in (6, 12, 18)], indexing="ij")
volume = 500 + 120 * sum(np.sin(g / 3.0) for g in grid) + rng.normal(0, 20, (6, 12, 18))
u16, f32, f64 = volume.astype(np.uint16), volume.astype(np.float32), volume / 7
plane = u16[2]

for image in (u16, f32, f64, plane):
    axes, shape = "zyx"[-image.ndim :], (9, 7, 31)[-image.ndim :]
    text = ",".join(map(str, shape))
    for border, mode in (("reflect", "reflect"), ("mirror", "mirror"), ("wrap", "grid-wrap")):
        case(f"resample shape={text} border={border}", axes, image, resampled(image, shape, 1, mode), 1)
        spline = resampled(image.astype(np.float64), shape, 3, mode)
        case(f"resample shape={text} method=cubic border={border}", axes, image, spline, 24)
for order, name in ((0, "nearest"), (1, "linear")):
    for shape in ((5, 29), (30, 11)):
        kept = np.uint16 if order == 0 else np.float32
        want = skimage.transform.resize(plane.astype(np.float64), shape, order, "edge", anti_aliasing=False, preserve_range=True)
        case(f"resample shape={shape[0]},{shape[1]} method={name} border=nearest", "yx", plane, want.astype(kept), 1)

turn = [[0.97, -0.2, 0.11], [0.18, 0.95, -0.24], [-0.05, 0.26, 1.03]]
for image in (u16, f32, f64):
    rows = ",".join(str(v) for row in turn for v in row)
    want = placed(image, turn, [0.3, -0.4, 1.7], (7, 10, 15), 1, 3)
    case(f"affine {rows} offset=0.3,-0.4,1.7 shape=7,10,15 cval=3", "zyx", image, want, 1)
for degrees, step in ((31.5, 2.2), (60, 0.8)):
    (nz, ny, nx), sin, cos = u16.shape, np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    shape = (nz, int(np.ceil(ny - 1 + (nz - 1) * step * cos)) + 1, nx)
    shear = [[1, 0, 0], [-step * cos, 1, 0], [0, 0, 1]]
    case(f"deskew {degrees} step={step}", "zyx", u16, placed(u16, shear, [0] * 3, shape, 1), 1)
    shape = (int((ny - 1) * sin) + 1, int((nz - 1) * step + (ny - 1) * cos) + 1, nx)
    slip = [[-cos / sin / step, 1 / step, 0], [1 / sin, 0, 0], [0, 0, 1]]
    case(f"deskew {degrees} step={step} view=slip", "zyx", u16, placed(u16, slip, [0] * 3, shape, 1), 1)

# Borders under which coefficients beyond the edge are not those within.
for image in (u16, f32, plane):
    axes, shape = "zyx"[-image.ndim :], (9, 7, 31)[-image.ndim :]
    text, factor = ",".join(map(str, shape)), [m / n for n, m in zip(image.shape, shape)]
    for border, mode in (("nearest", "nearest"), ("constant cval=400", "grid-constant")):
        spline = ndi.zoom(image.astype(np.float64), factor, order=3, mode=mode, grid_mode=True, cval=400)
        case(f"resample shape={text} method=cubic border={border}", axes, image, spline.astype(np.float32), 24)

# Blocks as Gaussians see them: filtered around the middle of every block.
for image in (u16, f32, f64, plane):
    for factors, text in (((2, 2, 2), "2"), ((1, 3, 4), "1,3,4"[-2 * image.ndim + 1 :])):
        want = image.astype(np.float64)
        for axis, f in enumerate(factors[-image.ndim :]):
            sigma = np.sqrt((f * f - 1) / (8 * np.log(2)))
            around = int(4 * sigma - (f - 1) / 2) if f > 1 else 0
            at = np.arange(f + 2 * around) - (f + 2 * around - 1) / 2
            weights = np.exp(-((at / sigma) ** 2) / 2) if f > 1 else np.ones(1)
            # The middle of an even number of weights is the voxel after it; that of a block of f voxels begins f // 2 later.
            sums = ndi.correlate1d(want, weights / weights.sum(), axis, mode="reflect", origin=0 if f % 2 else -1)
            want = sums.take(np.arange(0, image.shape[axis], f) + (f - 1) // 2, axis)
        kept = want if image.dtype.kind == "f" else np.rint(want)
        # Sums of f64 are not rounded again.
        ulp = 8 if image.dtype == np.float64 else 1
        case(f"downsample {text} method=gaussian", "zyx"[-image.ndim :], image, kept.astype(image.dtype), ulp)

(OUT / "cases.txt").write_text("\n".join(lines) + "\n")
print(len(lines), "cases,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")
