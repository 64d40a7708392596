"""Objects, voxel for voxel those of scipy and scikit-image: in four and five axes, and on real files in many tiles.

The real files are those of a folder named by $VOXTILE_DATA (see NAMES); without it, or without them, only the images made
here are compared.
"""

import os
from pathlib import Path

import numpy as np
import tifffile
import zarr
from common import pixels, same, voxtile
from scipy import ndimage as ndi
from skimage import measure, morphology, segmentation

# Of one voxel along an axis, odd, flat, long, and larger than any image here.
TILES = {
    2: ["1,64", "64,1", "1,1000", "7,7", "31,9", "16,16", "13,200", "200,13", "64,64", "100,37", "255,255", "9999,9999"],
    3: ["1,64,64", "64,1,64", "64,64,1", "7,31,29", "1,999,999", "999,17,999", "16,16,16", "32,64,128", "9,200,13", "50,50,50",
        "100,100,300", "9999,9999,9999"],
}  # fmt: skip

# Files, the step that makes a mask of them, and whether they hold labels.
NAMES = [
    ("nuclei2d/blobs.tif", "threshold 128", False),
    ("nuclei2d/stardist_img2d.tif", "threshold 60", False),
    ("nuclei2d/stardist_mask2d.tif", "threshold 0", True),
    ("nuclei3d/stardist_img3d.tif", "threshold 90", False),
    ("nuclei3d/Platynereis_gt_labels.tif", "threshold 0", True),
    ("em/connectomics_z000-255.zarr", "threshold 0", True),
]
# Planes of a volume that are looked at.
PLANES = 80


def checks():
    for axes in ("tyx", "tzyx", "cyx", "tczyx"):
        for name in ("half", "checkerboard", "sparse"):
            yield f"{name} along {axes}", lambda tmp, a=axes, n=name: several_axes(tmp, a, n)
    folder = os.environ.get("VOXTILE_DATA")
    for name, mask, labelled in NAMES if folder else []:
        path = Path(folder) / name
        if not path.exists():
            continue
        yield f"components of {name}", lambda tmp, p=path, m=mask: components(tmp, p, m)
        if labelled:
            yield f"labels of {name}", lambda tmp, p=path: on_labels(tmp, p)


def made(tmp, recipe, image, *options):
    voxtile("run", image, tmp / "out.zarr", recipe, "--overwrite", "--codec", "none", "-q", *options)
    return pixels(tmp / "out.zarr")


def several_axes(tmp, axes, name):
    """Every t and c on its own, numbers going on: a structure that has no neighbours along them."""
    shape = dict(zip("tczyx", (3, 2, 9, 21, 33)))
    shape = tuple(shape[a] for a in axes)
    noise = np.random.default_rng(5).random(shape)
    image = {"half": noise < 0.45, "sparse": noise < 0.15, "checkerboard": np.indices(shape).sum(0) % 2 == 0}[name]
    np.save(tmp / "in.npy", image.astype(np.uint8))
    space = sum(a in "zyx" for a in axes)
    for connectivity in range(1, space + 1):
        structure = np.zeros((3,) * len(axes), int)
        structure[(1,) * (len(axes) - space)] = ndi.generate_binary_structure(space, connectivity)
        want = ndi.label(image, structure)[0].astype(np.uint32)
        for tile in ("1,7,13", "5,1,99", "4,9,1", "99,99,99"):
            tile = tile if space == 3 else tile.split(",", 1)[1]
            got = made(tmp, f"label connectivity={connectivity}", tmp / "in.npy", "--axes", axes, "--tile", tile)
            same(got, want, f"connectivity {connectivity}, tile {tile}")


def voxels(path):
    """The first planes of a file as it is, and the step that takes the same of it."""
    image = np.asarray(zarr.open(path, mode="r")[:PLANES]) if path.is_dir() else tifffile.imread(path)
    if image.ndim == 2:
        return image, ""
    return image[:PLANES], f"crop 0:{min(PLANES, len(image))},:,: | "


def components(tmp, path, step):
    image, crop = voxels(path)
    mask = image > int(step.split()[1])
    assert mask.any(), "nothing in it"
    for connectivity in range(1, image.ndim + 1):
        want = ndi.label(mask, ndi.generate_binary_structure(image.ndim, connectivity))[0].astype(np.uint32)
        for tile in TILES[image.ndim]:
            got = made(tmp, f"{crop}{step} | label connectivity={connectivity}", path, "--tile", tile)
            same(got, want, f"connectivity {connectivity}, tile {tile}")


def on_labels(tmp, path):
    """Steps on a label image, and components of one value each."""
    image, crop = voxels(path)
    clear = np.unique(np.concatenate([np.take(image, (0, -1), axis=a).ravel() for a in range(image.ndim)]))
    values, counts = np.unique(image, return_counts=True)
    found = {
        "label per-value=yes": measure.label(image, connectivity=1).astype(np.uint32),
        f"label per-value=yes connectivity={image.ndim}": measure.label(image, connectivity=image.ndim).astype(np.uint32),
        "min-size 500": np.where(np.isin(image, values[counts < 500]), 0, image),
        "max-size 5000": np.where(np.isin(image, values[counts > 5000]), 0, image),
        "clear-border": np.where(np.isin(image, clear), 0, image),
        "relabel": segmentation.relabel_sequential(image)[0].astype(image.dtype),
        "expand 2": segmentation.expand_labels(image, 2),
        "boundaries inner": segmentation.find_boundaries(image, mode="inner").astype(np.uint8),
        "boundaries outer": segmentation.find_boundaries(image, mode="outer").astype(np.uint8),
    }
    if image.max() < 100_000:  # It counts up to the largest value.
        same(found["min-size 500"], morphology.remove_small_objects(image, max_size=499), "numpy")
    for recipe, want in found.items():
        for tile in TILES[image.ndim][2:12:3]:
            same(made(tmp, crop + recipe, path, "--tile", tile), want, f"{recipe}, tile {tile}")
