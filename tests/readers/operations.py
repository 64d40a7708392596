"""Every operation against scipy and scikit-image, in every bit."""

import json

import numpy as np
import oracles
import tifffile
from common import DATA, Failed, pixels, same, voxtile


def checks():
    for image, kind, recipe, border, want in oracles.cases(DATA):
        name = f"{image} as {kind} `{recipe}` {border or ''}".strip()
        yield name, lambda tmp, case=(image, kind, recipe, border, want): equal(tmp, *case)
    yield "mean of a projection", mean_projection
    yield "constant border takes cval", cval
    yield "every operation has a reference", complete


def equal(tmp, name, kind, recipe, border, want):
    options, path = ["--border", border] if border else [], DATA / name
    stored = oracles.load(DATA, name)
    image = oracles.of_kind(stored, kind)
    if image is not stored:
        path = tmp / name
        tifffile.imwrite(path, image, photometric="rgb" if name == "tissue.tif" else "minisblack")
    voxtile("run", path, tmp / "out.zarr", recipe, *options)
    same(pixels(tmp / "out.zarr"), want, recipe)


def mean_projection(tmp):
    image = oracles.load(DATA, "lightsheet.tif")
    voxtile("run", DATA / "lightsheet.tif", tmp / "out.zarr", "project z method=mean")
    same(pixels(tmp / "out.zarr"), image.mean(axis=0, dtype=np.float64).astype(np.float32), "project mean")


def cval(tmp):
    from scipy import ndimage as ndi

    image = oracles.load(DATA, "lightsheet.tif")
    voxtile("run", DATA / "lightsheet.tif", tmp / "out.zarr", "gaussian sigma=2 border=constant cval=300")
    want = ndi.gaussian_filter(image.astype(np.float32), 2.0, mode="constant", cval=300)
    same(pixels(tmp / "out.zarr"), want, "cval")


def complete(_):
    """The table of operations and the references name the same operations."""
    # What a function of the user does is the user's to say.
    table = {row["name"] for row in json.loads(voxtile("ops", "--json")) if not row.get("own")}
    recipes = [recipe for _, _, recipe, _, _ in oracles.cases(DATA)]
    recipes += [row["recipe"] for row in json.loads((DATA / "tables.json").read_text())]
    used = {step.split()[0] for recipe in recipes for step in recipe.split("|")}
    if missing := table - used:
        raise Failed(f"no reference for {', '.join(sorted(missing))}")
