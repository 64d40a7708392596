"""Every operation against scipy and scikit-image, in every bit."""

import json

import numpy as np
import oracles
from common import DATA, Failed, pixels, same, voxtile

LATER = {"rescale"}  # Compared here below, not in `oracles`: its reference is numpy's own arithmetic.


def checks():
    for image, recipe, border, want in oracles.cases(DATA):
        yield f"{image} `{recipe}` {border or ''}".strip(), lambda tmp, i=image, r=recipe, b=border, w=want: equal(tmp, i, r, b, w)
    yield "rescale is numpy's line", rescale
    yield "mean of a projection", mean_projection
    yield "constant border takes cval", cval
    yield "every operation has a reference", complete


def equal(tmp, image, recipe, border, want):
    options = ["--border", border] if border else []
    voxtile("run", DATA / image, tmp / "out.zarr", recipe, *options)
    same(pixels(tmp / "out.zarr"), want, recipe)


def rescale(tmp):
    image = oracles.load(DATA, "nuclei.tif")
    voxtile("run", DATA / "nuclei.tif", tmp / "out.zarr", "rescale in=100,612 out=0,4")
    same(pixels(tmp / "out.zarr"), ((image.astype(np.float64) - 100) * (4 / 512)).astype(np.float32), "rescale")


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
    table = {row["name"] for row in json.loads(voxtile("ops", "--json"))}
    recipes = [recipe for _, recipe, _, _ in oracles.cases(DATA)]
    recipes += [row["recipe"] for row in json.loads((DATA / "tables.json").read_text())]
    used = {step.split()[0] for recipe in recipes for step in recipe.split("|")}
    if missing := table - used - LATER:
        raise Failed(f"no reference for {', '.join(sorted(missing))}")
