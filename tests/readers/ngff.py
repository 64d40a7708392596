"""Every OME-Zarr that voxtile writes, by the official JSON schemas, by ome-zarr-models and yaozarrs, and as zarr-python,
tensorstore and ome-zarr-py read it; and that `voxtile verify` finds nothing in it."""

import hashlib
import importlib.util
import json
import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import oracles
import tifffile
import zarr
from common import DATA, ROOT, Failed, info, same, voxtile
from jsonschema import Draft202012Validator
from outputs import open_tensorstore
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

VERSIONS = ["0.4", "0.5", "0.6"]
# Image, and what else is asked for.
IMAGES = {
    "y, x": ("nuclei.tif",),
    "z, y, x": ("lightsheet.tif",),
    "of colours": ("tissue.tif",),
    "of five axes": ("five.ome.zarr",),
    "a pyramid": ("lightsheet.tif", "--pyramid", "--pyramid-until", "9", "--chunk", "8"),
    "a pyramid of colours": ("tissue.tif", "--pyramid", "--pyramid-until", "30", "--chunk", "16"),
    "a pyramid of five axes": ("five.ome.zarr", "--pyramid=max", "--pyramid-until", "9", "--chunk", "4"),
}
FIND = "gaussian 1 | threshold otsu | label"
# ome-zarr-py has an environment of its own.
OME_PYTHON = Path(os.environ.get("OME_PYTHON", ROOT / ".venv-ome" / "bin" / "python"))


def checks():
    for version in VERSIONS:
        for name, options in IMAGES.items():
            yield f"{version} {name}", lambda tmp, v=version, o=options: image(tmp, v, *o)
        yield f"{version} channels of OME-XML", lambda tmp, v=version: channels(tmp, v)
        yield f"{version} labels", lambda tmp, v=version: labels(tmp, v)
        yield f"{version} a plate", lambda tmp, v=version: plate(tmp, v)


@cache
def schemas(version):
    """The schemas of a version by their names, and what they refer to; they come with ngff-zarr, of which nothing is run."""
    (package,) = importlib.util.find_spec("ngff_zarr").submodule_search_locations
    found = {p.stem: json.loads(p.read_text()) for p in (Path(package) / "spec" / version / "schemas").glob("*.schema")}
    resources = [(s["$id"], Resource.from_contents(s, default_specification=DRAFT202012)) for s in found.values()]
    return found, Registry().with_resources(resources)


def attributes(path, version):
    if version == "0.4":
        return json.loads((path / ".zattrs").read_text())
    return json.loads((path / "zarr.json").read_text())["attributes"]


def by_schema(path, version, kind):
    found, registry = schemas(version)
    errors = list(Draft202012Validator(found[kind], registry=registry).iter_errors(attributes(path, version)))
    if errors:
        raise Failed(f"{path.name}: {errors[0].json_path} breaks {version}/{kind}.schema: {errors[0].message}")


def by_models(path, version):
    """What two validators say; neither knows 0.6 yet."""
    if version == "0.6":
        return
    import ome_zarr_models
    import yaozarrs

    group = ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))
    if group.ome_zarr_version not in (version, None):
        raise Failed(f"ome-zarr-models takes {path.name} for {group.ome_zarr_version}")
    yaozarrs.validate_zarr_store(str(path))


def by_ourselves(path):
    done = json.loads(voxtile("verify", path, "--json"))
    wrong = [f for f in done["findings"] if not f["advice"]]
    if wrong or done["missing"] or done["damaged"]:
        raise Failed(f"verify: {wrong}, {done['missing']} missing, {done['damaged']}")


def axes_and_scales(path, version):
    """Names of axes, and scale and translation of each level with its path, as the metadata say them."""
    attrs = attributes(path, version)
    ((image),) = (attrs if version == "0.4" else attrs["ome"])["multiscales"]
    axes = (image["coordinateSystems"][0] if version == "0.6" else image)["axes"]
    levels = []
    for level in image["datasets"]:
        (first, *more) = level["coordinateTransformations"]
        steps = first.get("transformations", [first]) + more
        scale, shift = (next((s[k] for s in steps if s["type"] == k), None) for k in ("scale", "translation"))
        levels.append((level["path"], scale, shift or [0.0] * len(axes)))
    return [a["name"] for a in axes], levels


def by_ome_zarr_py(path, axes, levels, voxels):
    script = ROOT / "tests" / "readers" / "ome_zarr_py.py"
    done = subprocess.run([OME_PYTHON, script, path], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failed(f"ome-zarr-py: {done.stderr[-2000:]}")
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["axes"] != axes:
        raise Failed(f"ome-zarr-py sees the axes {seen['axes']}, not {axes}")
    if seen["scales"] != [scale for _, scale, _ in levels]:
        raise Failed(f"ome-zarr-py sees the scales {seen['scales']}")
    want = [hashlib.sha256(np.ascontiguousarray(v).tobytes()).hexdigest() for v in voxels]
    if seen["sha256"] != want:
        raise Failed("ome-zarr-py sees other voxels")


def everything(path, version, want, axes, spacing, kind="image"):
    """Checks one image in every way: level 0 is `want`, and `spacing` its scale."""
    by_schema(path, version, kind)
    by_models(path, version)
    seen, levels = axes_and_scales(path, version)
    if seen != axes:
        raise Failed(f"axes {seen}, not {axes}")
    if not np.allclose(levels[0][1], spacing, rtol=1e-5) or any(levels[0][2]):
        raise Failed(f"level 0 has scale {levels[0][1]} at {levels[0][2]}, not {spacing}")
    voxels = []
    for name, scale, shift in levels:
        array = zarr.open_array(path / name, mode="r")
        driver = "2" if version == "0.4" else "3"
        if version != "0.4" and list(array.metadata.dimension_names) != axes:
            raise Failed(f"level {name} has dimension_names {array.metadata.dimension_names}")
        pixels = np.asarray(array[...])
        same(open_tensorstore(path / name, driver).read().result(), pixels, f"level {name}, tensorstore")
        factors = [round(s / f) for s, f in zip(scale, levels[0][1], strict=True)]
        if list(pixels.shape) != [-(-n // f) for n, f in zip(want.shape, factors, strict=True)] and len(levels) < 3:
            raise Failed(f"level {name} of shape {pixels.shape} has scale {scale}")
        place = [(s - f) / 2 for s, f in zip(scale, levels[0][1], strict=True)]
        if not (np.allclose(shift, place) or np.allclose(shift, 0)):
            raise Failed(f"level {name} lies at {shift}, not {place}")
        voxels.append(pixels)
    same(voxels[0], want, "level 0")
    if version != "0.6":
        by_ome_zarr_py(path, axes, levels, voxels)


def voxels_of(name):
    """Voxels, axes and scale of a committed image."""
    if name == "five.ome.zarr":
        return np.asarray(zarr.open_array(DATA / name / "0", mode="r")[...]), list("tczyx"), [30.0, 1.0, 0.5, 0.25, 0.25]
    image = oracles.load(DATA, name)
    if name == "tissue.tif":
        return np.moveaxis(image, -1, 0), list("cyx"), [1.0, 1.0, 1.0]
    spacing = [0.3, 0.104, 0.104] if name == "lightsheet.tif" else [1.0, 1.0]
    return image, list("zyx"[-image.ndim :]), spacing


def image(tmp, version, name, *options):
    out = tmp / "out.zarr"
    voxtile("convert", DATA / name, out, "--ome", version, *options)
    everything(out, version, *voxels_of(name))
    by_ourselves(out)
    again = tmp / "again.zarr"
    voxtile("convert", out, again, "--ome", version)
    everything(again, version, *voxels_of(name))


def channels(tmp, version):
    want = np.arange(2 * 30 * 40, dtype="u2").reshape(2, 30, 40)
    tifffile.imwrite(
        tmp / "in.ome.tif", want, ome=True, photometric="minisblack",
        metadata={"axes": "CYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3, "Channel": {"Name": ["DAPI", "GFP"], "Color": [0x0000FFFF, 0x00FF00FF]}},
    )  # fmt: skip
    voxtile("convert", tmp / "in.ome.tif", tmp / "out.zarr", "--ome", version, "--pyramid", "--pyramid-until", "16")
    everything(tmp / "out.zarr", version, want, list("cyx"), [1.0, 0.3, 0.2])
    attrs = attributes(tmp / "out.zarr", version)
    seen = (attrs if version == "0.4" else attrs["ome"])["omero"]["channels"]
    if [(c["label"], c["color"]) for c in seen] != [("DAPI", "0000FF"), ("GFP", "00FF00")]:
        raise Failed(f"channels {seen}")
    for c, channel in enumerate(seen):
        window = channel["window"]
        if not (want[c].min() <= window["start"] < window["end"] <= want[c].max()):
            raise Failed(f"channel {c} is shown in the window {window}")


def labels(tmp, version):
    path = tmp / "image.zarr"
    # ome-zarr-models wants as many levels of labels as of their image; the specification only advises that.
    levels = ("--pyramid", "--pyramid-until", "64", "--chunk", "32")
    voxtile("convert", DATA / "nuclei.tif", path, "--ome", version, *levels)
    for name in ("cells", "more"):
        voxtile("run", path, f"labels:{path}/{name}", FIND, *levels)
    voxtile("run", DATA / "nuclei.tif", tmp / "want.npy", FIND)
    everything(path / "labels" / "cells", version, np.load(tmp / "want.npy"), list("yx"), [1.0, 1.0], kind="label")
    by_schema(path / "labels" / "cells", version, "strict_label")
    by_schema(path / "labels" / "cells", version, "image")
    by_models(path, version)
    by_ourselves(path)
    if info(path)["arrays"] != ["labels/cells", "labels/more"]:
        raise Failed(f"info lists {info(path)['arrays']}")


def plate(tmp, version):
    raw = tmp / "raw"
    raw.mkdir()
    image = oracles.load(DATA, "nuclei.tif")
    for n, name in enumerate(["B02_s1", "B02_s2", "C11_s1"]):
        for c in range(2):
            tifffile.imwrite(raw / f"x_{name}_w{c + 1}.tif", image + np.uint16(10 * n + c))
    path = tmp / "plate.zarr"
    voxtile("convert", raw / "*_{row}{col}_s{field}_w{c}.tif", path, "--ome", version, "--pyramid", "--pyramid-until", "64")
    for where in (path, tmp / "copy.zarr"):
        if where != path:
            voxtile("convert", path, where, "--ome", version)
        by_schema(where, version, "plate")
        by_schema(where / "B" / "2", version, "well")
        by_models(where, version)
        by_ourselves(where)
        want = np.stack([image + np.uint16(20), image + np.uint16(21)])
        everything(where / "C" / "11" / "0", version, want, list("cyx"), [1.0, 1.0, 1.0])
