"""Makes tables.json: what scikit-image lists of objects and peaks in the images of this folder.

    python tests/data/make_tables.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage as ndi
from skimage import feature, measure

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "readers"))
import oracles  # noqa: E402

IMAGES = [(name, kind) for name in ("nuclei.tif", "lightsheet.tif") for kind in oracles.KINDS]


def objects(image, labels):
    """Columns of `measure intensity=input` that scikit-image has too."""
    axes = "zyx"[3 - image.ndim :]
    found = measure.regionprops(labels, image.astype(np.float64))
    columns = {"label": [r.label for r in found], "area_px": [int(r.area) for r in found]}
    for n, axis in enumerate(axes):
        columns[f"bbox_min_{axis}_px"] = [r.bbox[n] for r in found]
        columns[f"bbox_max_{axis}_px"] = [r.bbox[n + image.ndim] for r in found]
        columns[f"centroid_{axis}_px"] = [r.centroid[n] for r in found]
        columns[f"weighted_centroid_{axis}_px"] = [r.centroid_weighted[n] for r in found]
    columns["equivalent_diameter_px"] = [r.equivalent_diameter_area for r in found]
    columns["axis_major_px"] = [r.axis_major_length for r in found]
    columns["axis_minor_px"] = [r.axis_minor_length for r in found]
    one = ndi.generate_binary_structure(image.ndim, 1)
    columns["boundary_px"] = [int((r.image & ~ndi.binary_erosion(r.image, one)).sum()) for r in found]
    if image.ndim == 2:
        columns["perimeter_px"] = [r.perimeter for r in found]
        columns["eccentricity"] = [r.eccentricity for r in found]
        columns["orientation_rad"] = [r.orientation for r in found]
    for name in ("mean", "min", "max", "std"):
        columns[f"intensity_{name}"] = [float(getattr(r, f"intensity_{name}")) for r in found]
    return columns


def peaks(image, **options):
    axes = "zyx"[3 - image.ndim :]
    points = feature.peak_local_max(image, **options)
    columns = {f"{axis}_px": points[:, n].tolist() for n, axis in enumerate(axes)}
    columns["value"] = [float(image[tuple(p)]) for p in points]
    return columns


def refined(image, **options):
    """Peaks, and the vertex of the parabola through each and its two neighbours along each axis."""
    columns = peaks(image, **options)
    values = image.astype(np.float64)
    points = feature.peak_local_max(image, **options)
    for n, axis in enumerate("zyx"[3 - image.ndim :]):
        step = np.eye(image.ndim, dtype=int)[n]
        low, mid, high = (values[tuple((points + k * step).T)] for k in (-1, 0, 1))
        bend = low - 2 * mid + high
        shift = np.divide(low - high, 2 * bend, out=np.zeros_like(mid), where=bend != 0)
        columns[f"{axis}_refined_px"] = (points[:, n] + shift).tolist()
    return columns


def stats(channels, percents):
    columns = {"voxels": [c.size for c in channels]}
    for name in ("min", "max", "mean", "std"):
        columns[name] = [float(getattr(c.astype(np.float64), name)()) for c in channels]
    for percent in percents:
        columns[f"percentile_{percent}".replace(".", "_")] = [float(np.percentile(c, percent)) for c in channels]
    return columns


def tables():
    for name, kind in IMAGES:
        stored = tifffile.imread(HERE / name)
        image = oracles.of_kind(stored, kind)
        # What is stored has more rows than what is made of it, which has the most important ones.
        most = 200 if image is stored else 40
        [level] = oracles.levels(image, 99)
        labels = ndi.label(image > level)[0]
        yield name, kind, f"threshold {level} | label | measure intensity=input", objects(image, labels)
        yield name, kind, f"peaks num-peaks={most}", peaks(image, num_peaks=most)
        few = peaks(image, min_distance=2, threshold_abs=level, exclude_border=0, num_peaks=25)
        yield name, kind, f"peaks min-distance=2 threshold={level} exclude-border=0 num-peaks=25", few
        yield name, kind, "stats", stats([image], (1, 25, 50, 75, 99))
        if image is not stored:
            continue
        # Objects of more than a few voxels, from a filter whose values are floats.
        blurred = ndi.gaussian_filter(image.astype(np.float32), 1.0)
        labels = ndi.label(blurred > level, ndi.generate_binary_structure(image.ndim, image.ndim))[0]
        recipe = f"gaussian sigma=1 as g | threshold {level} | label connectivity={image.ndim} | measure intensity=g"
        yield name, kind, recipe, objects(blurred, labels)
        recipe = f"peaks min-distance=4 threshold-rel=0.3 num-peaks={most}"
        yield name, kind, recipe, peaks(image, min_distance=4, threshold_rel=0.3, num_peaks=most)
        smooth = ndi.gaussian_filter(image.astype(np.float32), 2.0, mode="nearest")
        yield name, kind, "gaussian sigma=2 border=nearest | peaks min-distance=3", peaks(smooth, min_distance=3)
        recipe = "gaussian sigma=2 border=nearest | peaks min-distance=3 refine=yes"
        yield name, kind, recipe, refined(smooth, min_distance=3)
        yield name, kind, "cast u32 | stats percentiles=0.1,50,99.9", stats([image], (0.1, 50, 99.9))
        yield name, kind, "cast f64 | stats 3", stats([image.astype(np.float64)], (3,))
    rgb = tifffile.imread(HERE / "tissue.tif")
    yield "tissue.tif", "u8", "stats 10,90", {"c": [0, 1, 2], **stats([rgb[..., c] for c in range(3)], (10, 90))}


if __name__ == "__main__":
    out = [{"image": i, "kind": k, "recipe": r, "columns": c} for i, k, r, c in tables()]
    text = ",\n".join(json.dumps(row) for row in out)
    (HERE / "tables.json").write_text("[\n" + text + "\n]\n")
    print(len(out), "tables")
