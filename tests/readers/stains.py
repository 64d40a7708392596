"""Stains of real slides against scikit-image and against Macenko's method as the paper has it, with angles in f64.

The slides are tests/data/tissue.tif and, in a folder named by $VOXTILE_DATA, those of SLIDES. Amounts may differ by 1e-6 of
themselves (results are f32), by 2e-7 of the largest where vectors are estimated (their slopes are f32) and by 1e-12 where parts cancel.
"""

import os
from pathlib import Path

import numpy as np
from common import DATA, Failed, pixels, voxtile
from oracles import counted, separated
from skimage import color
from thresholds import seen

SLIDES = ["histology/ihc.png", "wsi/CMU-1-Small-Region.svs"]
NAMED = {"hed": color.hed_from_rgb, "hdx": color.hdx_from_rgb, "hpx": color.hpx_from_rgb}


def checks():
    folder = Path(os.environ.get("VOXTILE_DATA", DATA))
    for path in [DATA / "tissue.tif", *(folder / name for name in SLIDES)]:
        if path.exists():
            yield f"stains of {path.name}", lambda tmp, p=path: compare(p, tmp)


def compare(path, tmp):
    image, place = seen(path, tmp)
    rgb = np.moveaxis(image[:3], 0, -1)
    for name, matrix in NAMED.items():
        near(made(place, tmp, f"stain {name}"), color.separate_stains(rgb, matrix), 1e-12, name)
    passing = np.maximum(rgb / 255.0, 1e-6)
    want = separated(passing, by_angles(passing))
    near(made(place, tmp, "stain macenko"), want, 2e-7 * want.max(), "macenko")


def made(place, tmp, recipe):
    """A result, which must not depend on tiles."""
    whole, tiled = tmp / "whole.zarr", tmp / "tiled.zarr"
    voxtile("run", place, whole, recipe, "--overwrite", "-q")
    voxtile("run", place, tiled, recipe, "--overwrite", "-q", "--tile", "1,97,211", "--workers", "2")
    if not np.array_equal(pixels(whole), pixels(tiled)):
        raise Failed(f"{recipe}: tiles have other values")
    return np.moveaxis(pixels(whole), 0, -1)


def by_angles(passing, percent=1):
    absorbed = -np.log10(counted(passing, 0.15))
    plane = np.linalg.svd(absorbed, full_matrices=False)[2][:2]
    along, across = plane * np.sign(plane.sum(axis=1, keepdims=True))
    angles = np.percentile(np.arctan2(absorbed @ across, absorbed @ along), [percent, 100 - percent])
    vectors = np.cos(angles)[:, None] * along + np.sin(angles)[:, None] * across
    return vectors[np.argsort(-vectors[:, 0])]


def near(got, want, least, what):
    differ = np.abs(got - want) > 1e-6 * np.abs(want) + least
    if differ.any():
        worst = np.abs(got - want).max()
        raise Failed(f"{what}: {int(differ.sum())} of {want.size} amounts differ, by up to {worst:.3g}")
