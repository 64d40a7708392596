#!/usr/bin/env python3
"""Results of numpy, scipy and scikit-image for the operations that look at one voxel, one block or one axis.

Writes raw little-endian arrays and `cases.txt` to tests/data/ops/point. Each line of that list is
    step | input file, dtype, axes, sizes | output file, dtype, axes, sizes | ULP
and crates/kernels/tests/point.rs runs them. Made with numpy 2.4, scipy 1.17, scikit-image 0.26.
"""

import pathlib
import warnings

import numpy as np
import scipy.stats
import skimage
import skimage.exposure
import skimage.filters
from skimage.measure import block_reduce
from skimage.transform import downscale_local_mean

OUT = pathlib.Path(__file__).parent / "ops" / "point"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.glob("*.raw"):
    old.unlink()
rng = np.random.default_rng(20)
lines, written = [], {}


def blobs(shape):
    """Smooth objects on noise: every value of a camera, and ties."""
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    return 300 + 250 * sum(np.sin(g / 3.0) for g in grid) + rng.normal(0, 40, shape)


def store(array):
    array = np.ascontiguousarray(array)
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    if raw not in written:
        written[raw] = f"{len(written):02}.raw"
        (OUT / written[raw]).write_bytes(raw)
    return written[raw]


def case(step, axes, image, result, out_axes=None, ulp=0):
    image, result = np.asarray(image), np.asarray(result)
    say = lambda a, x: f"{store(a)} {a.dtype.name} {x} {','.join(map(str, a.shape))}"
    lines.append(f"{step} | {say(image, axes)} | {say(result, out_axes or axes)} | {ulp}")


def saturated(values, dtype):
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.nan_to_num(np.rint(values)), info.min, info.max).astype(dtype)


def thresholds(axes, image, names=("otsu", "li", "triangle", "yen", "isodata", "mean")):
    for name in names:
        if name == "yen" and image.dtype.kind == "f" and image.min() == image.max():
            continue  # bins reach half below the one value, and it is above their first
        try:
            # Li's works in place on images without NaN.
            value = getattr(skimage.filters, "threshold_" + name)(image.copy())
        except IndexError:
            continue  # isodata without a solution
        case(f"threshold {name}", axes, image, (image > value).astype(np.uint8))


def normalized(image, percents, clip):
    """csbdeep.utils.normalize: float32 throughout."""
    low, high = (np.float32(np.percentile(image, p)) for p in percents)
    out = (image.astype(np.float32) - low) / (high - low + np.float32(1e-20))
    return np.clip(out, 0, 1) if clip else out


volume = blobs((6, 12, 18))
u16 = saturated(volume, np.uint16)
i16 = saturated(volume - 400, np.int16)
u8 = saturated(volume / 4, np.uint8)
f32 = (volume - 300).astype(np.float32)
f32[1, 2, 3:6] = [np.nan, np.inf, -np.inf]
f64 = (volume - 300) / 7
halves = (np.arange(-40, 560, dtype=np.float32) / 2).reshape(20, 30)
rgb = rng.integers(0, 256, (3, 12, 18), dtype=np.uint8)

for source in (u16, i16, f64, halves):
    axes = "zyx" if source.ndim == 3 else "yx"
    for target in (np.uint8, np.int8, np.uint16, np.int16, np.float32):
        case(f"cast {np.dtype(target).name}", axes, source, saturated(source, target))

for image in (u16, i16, f32):
    case("rescale in=100,700 out=-1,2", "zyx", image, ((image.astype(float) - 100) * (3 / 600) - 1).astype(np.float32))
    case("clamp min=150 max=500", "zyx", image, np.clip(image, 150, 500))
    case("threshold 250", "zyx", image, (image > 250).astype(np.uint8))
    case("project z", "zyx", image, image.max(0), "yx")
    case("project y method=min", "zyx", image, image.min(1), "zx")
    case("crop 1:5,:,3:9", "zyx", image, image[1:5, :, 3:9])
    case("downsample 2,3 method=stride", "zyx", image, image[:, ::2, ::3])
for image in (u8, u16, i16, np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20)):
    case("invert", "zyx"[-image.ndim :], image, skimage.util.invert(image))

# rgb2gray of float64 does not change the range; its matrix product may add in another order.
case("gray", "cyx", rgb, skimage.color.rgb2gray(np.moveaxis(rgb, 0, -1).astype(float)).astype(np.float32), "yx", 1)

extremes = np.array([[0, 65535, 65535, 7], [65535, 0, 3, 65535]], np.uint16)
two, same, zero = (u16 > 400) * np.uint8(40), np.full((3, 4), 9, np.uint8), np.zeros((3, 4), np.uint16)
skewed = saturated(rng.gamma(2, 300, (40, 50)), np.uint16)
for image in (u8, u16, i16, skewed, (4000 - np.minimum(skewed, 4000)).astype(np.int16), extremes, two, same, zero):
    axes = "zyx"[-image.ndim :]
    for name in ("otsu", "li", "triangle", "isodata", "mean"):
        value = getattr(skimage.filters, "threshold_" + name)(image)
        case(f"threshold {name}", axes, image, (image > value).astype(np.uint8))
    for q in (0, 12.5, 99.8, 100):
        case(f"threshold percentile={q}", axes, image, (image > np.percentile(image, q)).astype(np.uint8))

for image in (u8, u16, i16):
    # Whole blocks, as scikit-image takes them; rint rounds half to even.
    case("downsample 2,3", "zyx", image, saturated(downscale_local_mean(image, (1, 2, 3)), image.dtype))
    case("downsample 2 out=f32", "zyx", image, downscale_local_mean(image, (2, 2, 2)).astype(np.float32))
    case("downsample 3 method=max", "zyx", image, block_reduce(image, (3, 3, 3), np.max))
    case("downsample 3 method=min", "zyx", image, block_reduce(image, (3, 3, 3), np.min))
    # Ragged blocks: the voxels that exist.
    ragged = np.pad(image.astype(float), ((0, 0), (0, 3), (0, 2)), constant_values=np.nan)
    blocks = ragged.reshape(6, 3, 5, 4, 5).swapaxes(2, 3).reshape(6, 3, 4, 25)
    case("downsample 5,5", "zyx", image, saturated(np.nanmean(blocks, -1), image.dtype))
    few = (image % 5).astype(image.dtype)
    blocks = few.reshape(3, 2, 6, 2, 9, 2).transpose(0, 2, 4, 1, 3, 5).reshape(3, 6, 9, 8)
    case("downsample 2 method=mode", "zyx", few, scipy.stats.mode(blocks, axis=-1).mode)
    case("project z method=sum", "zyx", image, image.sum(0), "yx")
    case("project x method=sum", "zyx", image, image.sum(2), "zy")
    case("project y method=mean", "zyx", image, image.mean(1).astype(np.float32), "zx")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    case("project z method=sum", "zyx", f32, f32.sum(0, dtype=float), "yx")
    case("project z method=mean", "zyx", f32, f32.mean(0, dtype=float).astype(np.float32), "yx")

rng = np.random.default_rng(21)
for image in (u8, u16, i16, skewed, extremes, two, same, zero):
    thresholds("zyx"[-image.ndim :], image, ["yen"])
floats = skewed.astype(np.float32) / 7 - 30 + rng.normal(0, 1, skewed.shape).astype(np.float32)
peaks = np.where(rng.random((5, 16, 20)) < 0.7, rng.normal(-3, 1, (5, 16, 20)), rng.normal(4, 2, (5, 16, 20)))
wide, signed = u16.astype(np.uint32) + 70_000, i16.astype(np.int64) * 3
for image in (floats, peaks, peaks.astype(np.float32), wide, signed, two.astype(np.float32), same.astype(float)):
    axes = "zyx"[-image.ndim :]
    thresholds(axes, image)
    for q in (0, 12.5, 99.8, 100):
        case(f"threshold percentile={q}", axes, image, (image > np.percentile(image, q)).astype(np.uint8))
for image in (u8, i16, two, floats, peaks, wide, signed):
    axes = "zyx"[-image.ndim :]
    case("equalize", axes, image, skimage.exposure.equalize_hist(image).astype(np.float32))
    case("normalize", axes, image, normalized(image, (1, 99.8), False))
    case("normalize 0.1,50 clip=yes", axes, image, normalized(image, (0.1, 50), True))

(OUT / "cases.txt").write_text("\n".join(lines) + "\n")
print(len(lines), "cases,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")
