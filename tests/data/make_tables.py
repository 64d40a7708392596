"""Makes tables.json: what scikit-image lists of objects and peaks in the images of this folder.

    python tests/data/make_tables.py
"""

import json
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage as ndi
from skimage import feature, measure

HERE = Path(__file__).resolve().parent
IMAGES = ("nuclei.tif", "lightsheet.tif")


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


def tables():
    for name in IMAGES:
        image = tifffile.imread(HERE / name)
        level = int(np.percentile(image, 99))
        labels = ndi.label(image > level)[0]
        yield name, f"threshold {level} | label | measure intensity=input", objects(image, labels)
        # Objects of more than a few voxels, from a filter whose values are floats.
        blurred = ndi.gaussian_filter(image.astype(np.float32), 1.0)
        labels = ndi.label(blurred > level, ndi.generate_binary_structure(image.ndim, image.ndim))[0]
        recipe = f"gaussian sigma=1 as g | threshold {level} | label connectivity={image.ndim} | measure intensity=g"
        yield name, recipe, objects(blurred, labels)
        yield name, "peaks num-peaks=200", peaks(image, num_peaks=200)
        yield name, "peaks min-distance=4 threshold-rel=0.3 num-peaks=200", peaks(image, min_distance=4, threshold_rel=0.3, num_peaks=200)
        few = peaks(image, min_distance=2, threshold_abs=level, exclude_border=0, num_peaks=25)
        yield name, f"peaks min-distance=2 threshold={level} exclude-border=0 num-peaks=25", few
        smooth = ndi.gaussian_filter(image.astype(np.float32), 2.0, mode="nearest")
        yield name, "gaussian sigma=2 border=nearest | peaks min-distance=3", peaks(smooth, min_distance=3)


if __name__ == "__main__":
    out = [{"image": i, "recipe": r, "columns": c} for i, r, c in tables()]
    text = ",\n".join(json.dumps(row) for row in out)
    (HERE / "tables.json").write_text("[\n" + text + "\n]\n")
    print(len(out), "tables")
