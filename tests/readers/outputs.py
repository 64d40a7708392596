"""What voxtile writes, read by zarr-python, tensorstore, tifffile and libvips: every voxel, shape, type, axes, scale."""

import json

import numpy as np
import oracles
import pyvips
import tensorstore
import tifffile
import zarr
from common import DATA, Failed, info, pixels, same, voxtile

VOLUME = DATA / "lightsheet.zarr"
ZARR_CODECS = [
    "none", "zstd:1", "zstd:9", "gzip:1", "gzip:6",
    *(f"blosc-{name}:{level}{shuffle}" for name in ("lz4", "zstd") for level, shuffle in ((1, ""), (5, ":shuffle"), (3, ":bitshuffle"))),
]  # fmt: skip
TIFF_CODECS = ["none", "deflate", "deflate:9", "zstd", "zstd:9", "lzw"]
DTYPES = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64"]
TIFF_DTYPES = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "f64"]


# Image, its chunk, and what else is asked for.
PYRAMIDS = {
    "0.5": ("lightsheet.tif", "8"),
    "0.5 in shards": ("lightsheet.tif", "8", "--shard", "16"),
    "0.4": ("lightsheet.tif", "8", "--zarr-format", "2"),
    "of colours": ("tissue.tif", "16"),
    "of colours 0.4": ("tissue.tif", "16", "--zarr-format", "2"),
    "of five axes": ("five.ome.zarr", "4"),
}


def checks():
    for codec in ZARR_CODECS:
        yield f"zarr v3 {codec}", lambda tmp, c=codec: volume(tmp, "3", "--codec", c, "--shard", "none", "--chunk", "7,33,40")
        yield f"zarr v3 shards {codec}", lambda tmp, c=codec: volume(tmp, "3", "--codec", c, "--chunk", "8,16,32", "--shard", "16,48,64")
    for codec in ("none", "zstd:3", "gzip:5", "blosc-lz4:5:shuffle", "blosc-zstd:3:bitshuffle"):
        yield f"zarr v2 {codec}", lambda tmp, c=codec: volume(tmp, "2", "--codec", c, "--shard", "none", "--chunk", "7,33,40", "--zarr-format", "2")
    for dtype in DTYPES:
        yield f"zarr v3 of {dtype}", lambda tmp, d=dtype: sample_type(tmp, d, "out.zarr", pixels)
        yield f"zarr v2 of {dtype}", lambda tmp, d=dtype: sample_type(tmp, d, "out.zarr", pixels, "--zarr-format", "2", "--shard", "none")
    for dtype in TIFF_DTYPES:
        yield f"tiff of {dtype}", lambda tmp, d=dtype: sample_type(tmp, d, "out.tif", tifffile.imread, "--codec", "zstd:3")
    yield "the input's cut and codec are kept", kept
    yield "ome-zarr from ome-zarr", ome
    yield "ome-zarr from imagej", ome_of_tiff
    for codec in TIFF_CODECS:
        yield f"tiff volume {codec}", lambda tmp, c=codec: tiff(tmp, VOLUME, oracles.load(DATA, "lightsheet.tif"), c)
        yield f"tiff rgb {codec}", lambda tmp, c=codec: tiff_rgb(tmp, c)
    yield "tiff float by libvips", tiff_float
    yield "tiff of five axes", tiff_five
    for name, options in PYRAMIDS.items():
        yield f"pyramid {name}", lambda tmp, o=options: zarr_pyramid(tmp, *o)
    for codec in TIFF_CODECS:
        yield f"tiff pyramid {codec}", lambda tmp, c=codec: tiff_pyramid(tmp, "tissue.tif", c)
        yield f"tiff pyramid of planes {codec}", lambda tmp, c=codec: tiff_pyramid(tmp, "lightsheet.tif", c)
    yield "one voxel", one_voxel


def open_tensorstore(path, version):
    driver = {"2": "zarr", "3": "zarr3"}[version]
    store = tensorstore.open({"driver": driver, "kvstore": {"driver": "file", "path": str(path)}}, open=True)
    return store.result()


def volume(tmp, version, *options):
    want = oracles.load(DATA, "lightsheet.tif")
    out = tmp / "out.zarr"
    voxtile("convert", VOLUME, out, *options)
    array = zarr.open_array(out, mode="r")
    same(array[...], want, "zarr-python")
    same(open_tensorstore(out, version).read().result(), want, "tensorstore")
    if array.metadata.zarr_format != int(version):
        raise Failed(f"Zarr version {array.metadata.zarr_format}")
    if version == "3" and list(array.metadata.dimension_names) != ["z", "y", "x"]:
        raise Failed(f"dimension names {array.metadata.dimension_names}")
    chunk = tuple(map(int, options[options.index("--chunk") + 1].split(",")))
    if array.chunks != chunk:
        raise Failed(f"chunks {array.chunks}, not {chunk}")


def sample_type(tmp, dtype, name, read, *options):
    want = oracles.load(DATA, "nuclei.tif")
    numpy = {"u": "uint", "i": "int", "f": "float"}[dtype[0]] + dtype[1:]
    if not dtype.startswith("f"):
        limits = np.iinfo(numpy)
        want = np.clip(want.astype(np.int64), limits.min if dtype[0] == "i" else 0, min(limits.max, 2**62))
    voxtile("convert", DATA / "nuclei.tif", tmp / name, "--dtype", dtype, *options)
    same(read(tmp / name), want.astype(numpy), dtype)


def kept(tmp):
    voxtile("run", VOLUME, tmp / "out.zarr", "median size=3")
    before, after = (json.loads((p / "zarr.json").read_text()) for p in (VOLUME, tmp / "out.zarr"))
    for key in ("chunk_grid", "data_type", "dimension_names", "shape"):
        if before[key] != after[key]:
            raise Failed(f"{key}: {after[key]}, not {before[key]}")
    inner = [m["codecs"][0]["configuration"]["chunk_shape"] for m in (before, after)]
    if inner[0] != inner[1]:
        raise Failed(f"chunks in shards: {inner[1]}, not {inner[0]}")


def multiscales(path):
    """Axes and scale of level 0, as OME-Zarr 0.5 says them; every required key must be there."""
    group = json.loads((path / "zarr.json").read_text())
    ome = group["attributes"]["ome"]
    if ome["version"] != "0.5":
        raise Failed(f"version {ome['version']}")
    (image,) = ome["multiscales"]
    (level,) = image["datasets"]
    (scale,) = (t["scale"] for t in level["coordinateTransformations"] if t["type"] == "scale")
    array = json.loads((path / level["path"] / "zarr.json").read_text())
    names = [a["name"] for a in image["axes"]]
    if array["dimension_names"] != names or len(scale) != len(array["shape"]):
        raise Failed(f"axes {names}, dimension names {array['dimension_names']}, scale {scale}")
    return image["axes"], scale


def ome(tmp):
    source = DATA / "five.ome.zarr"
    voxtile("convert", source, tmp / "out.ome.zarr")
    same(pixels(tmp / "out.ome.zarr"), zarr.open_array(source / "0", mode="r")[...], "level 0")
    axes, scale = multiscales(tmp / "out.ome.zarr")
    before = json.loads((source / ".zattrs").read_text())["multiscales"][0]
    if axes != before["axes"] or scale != before["datasets"][0]["coordinateTransformations"][0]["scale"]:
        raise Failed(f"axes {axes}, scale {scale}")
    voxtile("convert", source, tmp / "half.ome.zarr", "--level", 1)
    same(pixels(tmp / "half.ome.zarr"), zarr.open_array(source / "1", mode="r")[...], "level 1")
    if (scale := multiscales(tmp / "half.ome.zarr")[1]) != [30.0, 1.0, 0.5, 0.5, 0.5]:
        raise Failed(f"scale of level 1: {scale}")


def ome_of_tiff(tmp):
    voxtile("run", DATA / "lightsheet.tif", tmp / "out.zarr", "gaussian sigma=0.6um,0.208um,0.208um")
    from scipy import ndimage as ndi

    image = oracles.load(DATA, "lightsheet.tif").astype(np.float32)
    same(pixels(tmp / "out.zarr"), ndi.gaussian_filter(image, (2, 2, 2)), "sigma in micrometers")
    axes, scale = multiscales(tmp / "out.zarr")
    if [a["name"] for a in axes] != ["z", "y", "x"] or any(a.get("unit") != "micrometer" for a in axes):
        raise Failed(f"axes {axes}")
    if not np.allclose(scale, [0.3, 0.104, 0.104], rtol=1e-5):
        raise Failed(f"scale {scale}")


def by_vips_too(codec):
    """The libvips of PyPI is built without Zstandard in TIFF, and gives zeros."""
    return not codec.startswith("zstd")


def by_vips(path, page=0, subifd=-1):
    """One page, or a level of it, as libvips decodes it: y, x and bands, where there are several."""
    image = pyvips.Image.new_from_file(str(path), page=page, subifd=subifd)
    array = np.ndarray(
        buffer=image.write_to_memory(), shape=[image.height, image.width, image.bands],
        dtype={"uchar": "u1", "char": "i1", "ushort": "u2", "short": "i2", "uint": "u4", "int": "i4", "float": "f4", "double": "f8"}[image.format],
    )
    return array[..., 0] if image.bands == 1 else array


def tiff(tmp, source, want, codec):
    out = tmp / "out.tif"
    voxtile("convert", source, out, "--codec", codec, "--chunk", "1,32,48")
    with tifffile.TiffFile(out) as file:
        same(file.asarray(), want, "tifffile")
        if (axes := file.series[0].axes) != "ZYX":
            raise Failed(f"axes {axes}")
        page = file.pages[0]
        if (page.tilelength, page.tilewidth) != (32, 48):
            raise Failed(f"tiles of {page.tilelength}, {page.tilewidth}")
    if by_vips_too(codec):
        for z in (0, len(want) - 1):
            same(by_vips(out, z), want[z], f"libvips, page {z}")


def tiff_rgb(tmp, codec):
    want, out = oracles.load(DATA, "tissue.tif"), tmp / "out.tif"
    voxtile("convert", DATA / "tissue.tif", out, "--codec", codec)
    got = tifffile.imread(out)
    same(got if got.shape[-1] == 3 else np.moveaxis(got, 0, -1), want, "tifffile")
    if by_vips_too(codec):
        planes = [by_vips(out, c) for c in range(3)] if got.shape[0] == 3 else None
        same(np.moveaxis(np.stack(planes), 0, -1) if planes else by_vips(out), want, "libvips")


def tiff_float(tmp):
    voxtile("run", DATA / "nuclei.tif", tmp / "out.tif", "gaussian sigma=2")
    from scipy import ndimage as ndi

    want = ndi.gaussian_filter(oracles.load(DATA, "nuclei.tif").astype(np.float32), 2.0)
    same(tifffile.imread(tmp / "out.tif"), want, "tifffile")
    same(by_vips(tmp / "out.tif"), want, "libvips")


def tiff_five(tmp):
    source = DATA / "five.ome.zarr"
    voxtile("convert", source, tmp / "out.tif")
    with tifffile.TiffFile(tmp / "out.tif") as file:
        series = file.series[0]
        canonical = np.transpose(series.asarray(), [series.axes.index(a) for a in "TCZYX"])
    same(canonical, zarr.open_array(source / "0", mode="r")[...], "five axes")
    seen = info(tmp / "out.tif")
    if seen["shape"] != [2, 2, 5, 20, 24]:
        raise Failed(f"read back as {seen['shape']}")


def smaller(image, factors):
    """Block means, rounded half to even, over the voxels that exist at the far edges."""
    sums, counts = image.astype("f8"), np.ones(image.shape)
    for axis, factor in enumerate(factors):
        starts = np.arange(0, image.shape[axis], factor)
        sums, counts = np.add.reduceat(sums, starts, axis), np.add.reduceat(counts, starts, axis)
    means = sums / counts
    return means if image.dtype.kind == "f" else np.rint(means).astype(image.dtype)


def valid(path, version):
    """What two validators of OME-Zarr say."""
    import ome_zarr_models
    import yaozarrs

    ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))
    store = yaozarrs.validate_zarr_store(str(path))
    if str(getattr(store, "version", version)) not in (version, "None"):
        raise Failed(f"yaozarrs takes it for {store.version}")


def zarr_pyramid(tmp, name, chunk, *options):
    out = tmp / "out.ome.zarr"
    voxtile("convert", DATA / name, out, "--pyramid", "--pyramid-until", "9", "--chunk", chunk, *options)
    group = zarr.open_group(out, mode="r")
    version = "0.4" if "--zarr-format" in options else "0.5"
    attributes = dict(group.attrs)
    (image,) = (attributes if version == "0.4" else attributes["ome"])["multiscales"]
    scales = [level["coordinateTransformations"][0]["scale"] for level in image["datasets"]]
    above = np.asarray(group["0"][...])
    if len(scales) < 3:
        raise Failed(f"{len(scales)} levels")
    for n in range(1, len(scales)):
        factors = [round(b / a) for a, b in zip(scales[n - 1], scales[n], strict=True)]
        want = smaller(above, factors)
        array = group[image["datasets"][n]["path"]]
        same(array[...], want, f"level {n}, zarr-python")
        same(open_tensorstore(out / str(n), "2" if version == "0.4" else "3").read().result(), want, f"level {n}, tensorstore")
        above = want
    spatial = [s for a, s in zip(image["axes"], above.shape, strict=True) if a["type"] == "space"]
    if max(spatial) > 9:
        raise Failed(f"the last level is {above.shape}")
    valid(out, version)


def tiff_pyramid(tmp, name, codec):
    out = tmp / "out.tif"
    voxtile("convert", DATA / name, out, "--codec", codec, "--pyramid", "--pyramid-until", "20", "--chunk", "16,16")
    with tifffile.TiffFile(out) as file:
        levels = file.series[0].levels
        axes = file.series[0].axes
        above = levels[0].asarray()
        if len(levels) < 3:
            raise Failed(f"tifffile sees {len(levels)} levels")
        for n, level in enumerate(levels[1:]):
            above = smaller(above, [2 if a in "YX" else 1 for a in axes])
            same(level.asarray(), above, f"level {n + 1}, tifffile")
            if by_vips_too(codec):
                last = above if axes.endswith("S") else above.reshape(-1, *above.shape[-2:])[0]
                same(by_vips(out, subifd=n), last, f"level {n + 1}, libvips")
    seen = [level["shape"] for level in info(out)["levels"]]
    if len(seen) != len(levels):
        raise Failed(f"voxtile sees the levels {seen}")


def one_voxel(tmp):
    array = zarr.create_array(tmp / "in.zarr", shape=(1,), chunks=(1,), dtype="f4")
    array[:] = np.float32(np.nan)
    voxtile("run", tmp / "in.zarr", tmp / "out.zarr", "median size=3")
    same(pixels(tmp / "out.zarr"), array[...], "one NaN")
