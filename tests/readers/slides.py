"""Slides: levels, pictures of the slide as a whole and pixel sizes as tifffile finds them; tiles of JPEG that are written or
kept, read by tifffile and libvips."""

import json
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pyvips
import tifffile
from common import DATA, Failed, info, same, through_zarr, voxtile

MADE = DATA / "slides"
EXPECTED = json.loads((MADE / "expected.json").read_text())["expected"]
# Files whose image tifffile finds elsewhere or not at all; their pixels are in expected.json.
OWN = {"svs_33003.svs", "svs_33003_422.svs", "pages.ome.tif", "stack_s1_w2.TIF"}
# Largest and mean difference that JPEG may make, by quality and chroma, of the stained tissue.
LOSS = {"jpeg:90:444": (60, 3.0), "jpeg:75:444": (90, 5.5), "jpeg:90": (110, 6.0), "jpeg:100:444": (6, 0.6)}


def slides():
    yield from (MADE / name for name in EXPECTED if name not in OWN)
    if folder := os.environ.get("VOXTILE_DATA"):
        yield from sorted(Path(folder).glob("wsi/*.svs"))


def checks():
    for path in slides():
        yield f"{path.name} is read as tifffile reads it", lambda tmp, p=path: read(tmp, p)
        with tifffile.TiffFile(path) as file:
            jpeg = getattr(file.pages[0].compression, "name", "") == "JPEG"
        if jpeg:
            yield f"{path.name} keeps its tiles", lambda tmp, p=path: kept(tmp, p)
            yield f"{path.name} keeps the tiles of a part", lambda tmp, p=path: kept_part(tmp, p)
    for codec in LOSS:
        yield f"tiff of colours {codec}", lambda tmp, c=codec: lossy(tmp, c)
    yield "tiff of gray jpeg", gray
    yield "a slide as a pyramid of jpeg", pyramid
    yield "part and range of values", changed
    yield "palettes and inks as Pillow shows them", looked


def planes(voxels, axes):
    """Channels before rows, as voxtile has them."""
    if axes.endswith("S"):
        voxels = np.moveaxis(voxels, -1, 0)
    return voxels


def read(tmp, path):
    with tifffile.TiffFile(path) as file:
        # In some formats the picture of the whole slide comes first.
        series = max(file.series, key=lambda s: s.shape[-3] * s.shape[-2] if s.axes.endswith("S") else s.size)
        levels = [planes(level.asarray(), level.axes) for level in series.levels]
        others = {s.name.lower(): planes(s.asarray(), s.axes) for s in file.series if s is not series}
    seen = info(path)
    if [tuple(level["shape"]) for level in seen["levels"]] != [level.shape for level in levels]:
        raise Failed(f"levels {seen['levels']}, not {[level.shape for level in levels]}")
    for number, want in enumerate(levels):
        near(through_zarr(path, "--level", str(number), tmp=tmp), want, f"level {number}")
    names = sorted(image["name"] for image in seen["associated"])
    if path.suffix != ".scn" and names != sorted(others):
        raise Failed(f"pictures {names}, not {sorted(others)}")
    for name in names:
        want = others.get(name, next(iter(others.values())))
        near(through_zarr(path, "--array", name, tmp=tmp), want, name)
    if not all(axis["scale"] for axis in seen["axes"] if axis["axis"] in "yx"):
        raise Failed(f"no pixel size: {seen['axes']}")


def near(got, want, what):
    if got.shape != want.shape or got.dtype != want.dtype:
        raise Failed(f"{what}: {got.dtype} {got.shape}, not {want.dtype} {want.shape}")
    worst = int(np.abs(got.astype(int) - want.astype(int)).max())
    if worst > 2:
        raise Failed(f"{what}: differs by {worst}")


def levels_of(path):
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        return [planes(level.asarray(), level.axes) for level in series.levels], file.is_ome


def kept(tmp, path):
    out = tmp / "kept.ome.tif"
    voxtile("convert", path, out, "--keep-jpeg")
    want, _ = levels_of(path)
    got, is_ome = levels_of(out)
    if not is_ome or len(got) != len(want):
        raise Failed(f"{len(got)} levels, not {len(want)}; OME-TIFF: {is_ome}")
    for number, (a, b) in enumerate(zip(got, want, strict=True)):
        same(a, b, f"level {number} by tifffile")
    voxtile("verify", path, out)
    libvips(out, want[0])
    with tifffile.TiffFile(path) as file, tifffile.TiffFile(out) as new:
        tiles = sum(sum(level.keyframe.databytecounts) for level in file.series[0].levels)
        a, b = file.pages[0], new.pages[0]
        if (a.photometric, a.compression, a.tile) != (b.photometric, b.compression, b.tile):
            raise Failed(f"{b.photometric}, {b.compression}, tiles {b.tile}")
    if not tiles <= out.stat().st_size <= tiles * 1.02 + 20_000:
        raise Failed(f"{out.stat().st_size} bytes for tiles of {tiles}")
    seen = info(out)
    if seen["details"].get("objective") != info(path)["details"].get("objective"):
        raise Failed(f"objective {seen['details'].get('objective')}")
    if [a["scale"] for a in seen["axes"]] != [a["scale"] for a in info(path)["axes"]]:
        raise Failed(f"pixel sizes {seen['axes']}")


def kept_part(tmp, path):
    with tifffile.TiffFile(path) as file:
        tile = file.pages[0].tile[0]
    out = tmp / "part.ome.tif"
    voxtile("convert", path, out, "--keep-jpeg", "--crop", f"{tile}:{3 * tile - 7},{2 * tile}:")
    want, _ = levels_of(path)
    got, _ = levels_of(out)
    same(got[0], want[0][:, tile : 3 * tile - 7, 2 * tile :], "the part by tifffile")
    said = voxtile("convert", path, tmp / "no.ome.tif", "--keep-jpeg", "--crop", f"{tile + 1}:,:", fails=True)
    if f"{tile} and {2 * tile}" not in said:
        raise Failed(f"where tiles begin is not said: {said}")


def libvips(path, want, tolerance=0):
    # libvips decodes with libjpeg-turbo too, but may use another transform.
    image = pyvips.Image.new_from_file(str(path))
    got = np.moveaxis(image.numpy().reshape(image.height, image.width, -1), -1, 0)
    got = got[0] if want.ndim == 2 else got
    if got.shape != want.shape:
        raise Failed(f"libvips: {got.shape}, not {want.shape}")
    worst = int(np.abs(got.astype(int) - want.astype(int)).max())
    if worst > tolerance:
        raise Failed(f"libvips differs by {worst}")


def lossy(tmp, codec):
    out = tmp / "lossy.ome.tif"
    voxtile("convert", DATA / "tissue.tif", out, "--codec", codec, "--chunk", "64")
    want = np.moveaxis(tifffile.imread(DATA / "tissue.tif"), -1, 0)
    with tifffile.TiffFile(out) as file:
        page = file.pages[0]
        if (page.compression.name, page.photometric.name) != ("JPEG", "YCBCR"):
            raise Failed(f"{page.compression}, {page.photometric}")
        if page.subsampling != ((1, 1) if codec.endswith("444") else (2, 2)):
            raise Failed(f"chroma {page.subsampling}")
        got = np.moveaxis(page.asarray(), -1, 0)
    apart = np.abs(got.astype(int) - want.astype(int))
    most, mean = LOSS[codec]
    if apart.max() > most or apart.mean() > mean:
        raise Failed(f"differs by up to {apart.max()}, {apart.mean():.2f} in the mean")
    # Colours are where they were: a channel is nearest to itself, in the mean too.
    means = np.abs(got.mean(axis=(1, 2)) - want.mean(axis=(1, 2)))
    if means.max() > 1:
        raise Failed(f"colours are off by {means}")
    near(through_zarr(out, tmp=tmp), got, "read back")
    libvips(out, got, 2)


def gray(tmp):
    out = tmp / "gray.tif"
    voxtile("convert", DATA / "nuclei.tif", out, "--codec", "jpeg:95", "--dtype", "u8", "--range", "0,4000", "--chunk", "64")
    image = tifffile.imread(DATA / "nuclei.tif").astype(float)
    want = np.clip(np.round(image / 4000 * 255), 0, 255)
    got = tifffile.imread(out)
    if got.dtype != np.uint8 or np.abs(got - want).max() > 12:
        raise Failed(f"{got.dtype}, differs by {np.abs(got - want).max()}")
    libvips(out, got, 2)
    for options, word in (((), "8 bits"), (("--dtype", "u8", "--shard", "512"), "no shards")):
        if word not in voxtile("convert", DATA / "nuclei.tif", tmp / "no.tif", "--codec", "jpeg", *options, fails=True):
            raise Failed(f"{options} is not refused")


def pyramid(tmp):
    out = tmp / "pyramid.ome.tif"
    voxtile("convert", MADE / "svs_jpeg.svs", out, "--codec", "jpeg:95:444", "--pyramid", "--pyramid-until", "64", "--chunk", "64")
    want, _ = levels_of(MADE / "svs_jpeg.svs")
    got, is_ome = levels_of(out)
    if not is_ome or [g.shape for g in got] != [(3, 300, 340), (3, 150, 170), (3, 75, 85), (3, 38, 43)]:
        raise Failed(f"levels {[g.shape for g in got]}")
    apart = np.abs(got[0].astype(int) - want[0].astype(int)).mean()
    if apart > 3:
        raise Failed(f"differs by {apart:.2f} in the mean")
    for number in range(4):
        image = pyvips.Image.new_from_file(str(out), subifd=number - 1)
        if (image.height, image.width) != got[number].shape[1:]:
            raise Failed(f"libvips reads level {number} as {image.height} × {image.width}")


def changed(tmp):
    volume = tifffile.imread(DATA / "lightsheet.tif")
    got = through_zarr(DATA / "lightsheet.tif", "--crop", "3:9,:,10:50", tmp=tmp)
    same(got, volume[3:9, :, 10:50], "crop")
    low, high = 120, 900
    scaled = (volume.astype(float) - low) * (255 / (high - low))
    same(through_zarr(DATA / "lightsheet.tif", "--dtype", "u8", "--range", f"{low},{high}", tmp=tmp), np.clip(np.round(scaled), 0, 255).astype(np.uint8), "u8")
    unit = np.clip((volume.astype(float) - low) * (1 / (high - low)), 0, 1).astype(np.float32)
    same(through_zarr(DATA / "lightsheet.tif", "--dtype", "f32", "--range", f"{low},{high}", tmp=tmp), unit, "f32")


def looked(tmp):
    for name, tolerance in (("palette-1c-4b.tiff", 0), ("cmyk.tif", 1)):
        path = DATA / "tiff" / name
        got = through_zarr(path, "--rgb", tmp=tmp)
        want = np.moveaxis(np.asarray(PIL.Image.open(path).convert("RGB")), -1, 0)
        worst = int(np.abs(got.astype(int) - want.astype(int)).max())
        if got.shape != want.shape or worst > tolerance:
            raise Failed(f"{name}: {got.shape}, {want.shape}, differs by {worst}")
