"""Automatic thresholds of every image file of tests/data, and of a folder named by $VOXTILE_DATA, against scikit-image.

A threshold is that of all voxels of an image, whatever their axes, and the masks are compared. Integers are exact. Li,
isodata and the mean of floats are iterations or sums in f64, so voxels within 1e-6 of the threshold may fall to either
side; scikit-image's Li wraps where a signed image's range exceeds its type, so it is given wider integers
(docs/correctness.md). Images that scikit-image has no threshold for (one value, NaN, a range of integers that its
histogram does not hold) are left out; of very large ones a part is compared.
"""

import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import zarr
from common import BINARY, DATA, Failed, pixels, voxtile
from corpus import images
from skimage import filters

MOST_VOXELS = 1 << 25
MOST_BINS = 1 << 20
METHODS = {
    **{name: getattr(filters, f"threshold_{name}") for name in ("otsu", "triangle", "yen", "isodata", "mean")},
    "li": lambda image: filters.threshold_li(image.astype(np.int64) if image.dtype.kind == "i" else image),
    "percentile=90": lambda image: np.percentile(image, 90),
    "percentile=99.9": lambda image: np.percentile(image, 99.9),
}


def checks():
    folders = [DATA, *([Path(os.environ["VOXTILE_DATA"])] if "VOXTILE_DATA" in os.environ else [])]
    for folder in folders:
        for path in images(folder):
            yield f"thresholds of {path.relative_to(folder)}", lambda tmp, p=path: compare(p, tmp)


def seen(path, tmp):
    """What voxtile reads of a file, or a part of it, and where that lies; `None` for what it refuses."""
    out = tmp / "seen.zarr"
    done = subprocess.run([BINARY, "convert", path, out, "--codec", "none", "-q"], capture_output=True, text=True)
    if done.returncode:
        return None
    image = pixels(out)
    while image.size > MOST_VOXELS:
        longest = int(np.argmax(image.shape))
        image = image.take(range(image.shape[longest] // 2), longest)
        zarr.create_array(tmp / "part.zarr", data=np.ascontiguousarray(image), overwrite=True)
        out = tmp / "part.zarr"
    return image, out


def compare(path, tmp):
    found = seen(path, tmp)
    if found is None or has_none(found[0]):
        return
    image, place = found
    for name, threshold in METHODS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = threshold(image)
        voxtile("run", place, tmp / "mask.zarr", f"threshold {name}", "--overwrite", "-q")
        differ = (pixels(tmp / "mask.zarr") != 0) != (image > want)
        if image.dtype.kind == "f":
            differ &= np.abs(image - want) > 1e-6 * abs(want)
        if differ.any():
            raise Failed(f"{name}: {int(differ.sum())} of {image.size} voxels differ, scikit-image's threshold is {want!r}")


def has_none(image):
    """Whether scikit-image has no threshold for it."""
    if image.size == 0 or (image.dtype.kind == "f" and not np.isfinite(image).all()):
        return True
    low, high = image.min(), image.max()
    return low == high or (image.dtype.kind != "f" and int(high) - int(low) > MOST_BINS)
