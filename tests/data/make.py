"""Makes the images of this folder and the results that other programs give on them.

    python tests/data/make.py --lightsheet im_raw.tif --nuclei img2d.tif
    python tests/data/make.py                       # only expected.json, from the images that are there

The images are small parts of published ones (README.md says which, and their licences). `expected.json` holds, for each
recipe, the shape, sample type and sha256 of what scipy and scikit-image make of the image: bytes in row-major order,
little-endian. `cargo test` compares voxtile with them, so it needs no Python.

Versions that made what is committed: see `made_with` in expected.json.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import scipy
import skimage
import tifffile
import zarr

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "readers"))
import oracles  # noqa: E402

OME_AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def lightsheet(source):
    """Part of a raw lattice light-sheet stack: z, y, x, u16."""
    part = tifffile.imread(source)[30:50, 130:202, 80:170]
    tifffile.imwrite(
        HERE / "lightsheet.tif", part, imagej=True, resolution=(1 / 0.104, 1 / 0.104),
        metadata={"axes": "ZYX", "spacing": 0.3, "unit": "um"}, compression="zlib",
    )
    array = zarr.create_array(
        HERE / "lightsheet.zarr", shape=part.shape, chunks=(8, 32, 32), shards=(16, 96, 96), dtype=part.dtype,
        compressors=zarr.codecs.ZstdCodec(level=5), dimension_names=["z", "y", "x"], overwrite=True,
    )
    array[:] = part


def nuclei(source):
    """Part of a fluorescence image of nuclei: y, x, u16, in deflated tiles."""
    part = tifffile.imread(source)[40:240, 60:293]
    tifffile.imwrite(HERE / "nuclei.tif", part, tile=(64, 64), compression="zlib", predictor=True)


def tissue():
    """Part of a stained section: y, x, rgb, u8, in tiles."""
    part = skimage.data.immunohistochemistry()[100:250, 200:370]
    tifffile.imwrite(HERE / "tissue.tif", part, tile=(64, 64), photometric="rgb", compression="zlib")


def five_axes():
    """All five axes, u8, Zarr v2, OME-Zarr 0.4, two levels; one chunk is missing and stands for the fill value."""
    path = HERE / "five.ome.zarr"
    shutil.rmtree(path, ignore_errors=True)
    rng = np.random.default_rng(11)
    full = rng.integers(0, 200, (2, 2, 5, 20, 24)).astype(np.uint8)
    full[1, 1, :, :10, :12] = 7
    half = full[:, :, :, ::2, ::2].copy()
    scales = []
    for name, level, factor in (("0", full, 1.0), ("1", half, 2.0)):
        array = zarr.create_array(
            path / name, shape=level.shape, chunks=(1, 1, 5, 10, 12), dtype=level.dtype, zarr_format=2, fill_value=7,
            chunk_key_encoding={"name": "v2", "separator": "/"}, compressors=[numcodecs_zlib()],
            config={"write_empty_chunks": False},
        )
        array[:] = level
        scale = [30.0, 1.0, 0.5, 0.25 * factor, 0.25 * factor]
        scales.append({"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    (path / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    attributes = {"multiscales": [{"version": "0.4", "name": "five", "axes": OME_AXES, "datasets": scales}]}
    (path / ".zattrs").write_text(json.dumps(attributes, indent=1))


def numcodecs_zlib():
    import numcodecs

    return numcodecs.Zlib(level=5)


def expected():
    """What the reference programs make of each image."""
    rows = []
    for image, kind, recipe, border, result in oracles.cases(HERE):
        little = np.ascontiguousarray(result).astype(result.dtype.newbyteorder("<"))
        rows.append({
            "image": image, "kind": kind, "recipe": recipe, "border": border, "shape": list(result.shape),
            "dtype": result.dtype.name, "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
        })
    versions = {m.__name__: m.__version__ for m in (np, scipy, skimage, tifffile, zarr)}
    text = json.dumps({"made_with": versions, "results": "ROWS"}, indent=1)
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    (HERE / "expected.json").write_text(text.replace('"ROWS"', f"[\n  {lines}\n ]") + "\n")
    print(len(rows), "results")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lightsheet", help="im_raw.tif of pycudadecon")
    parser.add_argument("--nuclei", help="img2d.tif of stardist")
    args = parser.parse_args()
    if args.lightsheet:
        lightsheet(args.lightsheet)
        tissue()
        five_axes()
    if args.nuclei:
        nuclei(args.nuclei)
    expected()


if __name__ == "__main__":
    main()
