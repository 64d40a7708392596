"""What zarr-python, tensorstore, numcodecs, tifffile and libvips write, read by voxtile: every voxel and the axes."""

import itertools

import numcodecs
import numpy as np
import oracles
import pyvips
import tensorstore
import tifffile
import zarr
from common import DATA, Failed, info, same, through_zarr

V2_CODECS = {
    "none": None,
    "zlib": numcodecs.Zlib(3),
    "gzip": numcodecs.GZip(3),
    "bz2": numcodecs.BZ2(3),
    "zstd": numcodecs.Zstd(3),
    **{
        f"blosc {name} shuffle {shuffle}": numcodecs.Blosc(name, 5, shuffle)
        for name in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
        for shuffle in (0, 1, 2)
    },
}
KINDS = ["<u1", "<i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", "<u8", ">u8", "<i8", "<f4", ">f4", "<f8", ">f8"]


def values(shape, dtype, seed=5):
    """The sample type's whole range, with its ends; NaN and infinities among floats."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind == "f":
        out = rng.normal(0, 1e4, shape).astype(dtype)
        out.flat[:3] = [np.nan, np.inf, -np.inf]
        return out
    limits = np.iinfo(dtype)
    out = rng.integers(limits.min, limits.max, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    out.flat[:2] = [limits.min, limits.max]
    return out


def checks():
    for (name, codec), order in itertools.product(V2_CODECS.items(), "CF"):
        yield f"zarr v2 {name} {order}", lambda tmp, c=codec, o=order: zarr_v2(tmp, "<u2", c, o)
    for kind in KINDS:
        yield f"zarr v2 {kind}", lambda tmp, k=kind: zarr_v2(tmp, k, numcodecs.Zstd(1), "C")
        yield f"zarr v3 {kind}", lambda tmp, k=kind: zarr_v3(tmp, k, zarr.codecs.ZstdCodec())
        yield f"tiff {kind}", lambda tmp, k=kind: tiff_kind(tmp, k)
    codecs = {
        "none": None,
        "zstd with checksum": zarr.codecs.ZstdCodec(level=5, checksum=True),
        "gzip": zarr.codecs.GzipCodec(level=4),
        "crc32c": zarr.codecs.Crc32cCodec(),
        **{
            f"blosc {name} {shuffle}": zarr.codecs.BloscCodec(cname=name, clevel=5, shuffle=shuffle)
            for name in ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
            for shuffle in ("noshuffle", "shuffle", "bitshuffle")
        },
    }
    for name, codec in codecs.items():
        yield f"zarr v3 codec {name}", lambda tmp, c=codec: zarr_v3(tmp, "<u2", c)
    yield "zarr v3 transposed", transposed
    yield "zarr v3 missing chunks", missing
    for where in ("start", "end"):
        yield f"shards by tensorstore, index at the {where}", lambda tmp, w=where: shards(tmp, w)
    for rank in range(1, 6):
        yield f"zarr of {rank} axes", lambda tmp, r=rank: ranks(tmp, r)
    variants = itertools.product(
        (None, "zlib", "lzw", "zstd", "packbits"), (False, True), ((), (16, 32), (64, 64)), ("contig", "separate"), (False, True)
    )
    for codec, predictor, tile, planar, big in variants:
        if codec in (None, "packbits") and predictor:
            continue
        name = f"tiff {codec} predictor={predictor} tile={tile} {planar} big={big}"
        yield name, lambda tmp, v=(codec, predictor, tile, planar, big): tiff_rgb(tmp, *v)
    yield "tiff predictor of floats", tiff_float_predictor
    yield "tiff pages", tiff_pages
    yield "tiff imagej", tiff_imagej
    yield "tiff ome", tiff_ome
    yield "tiff jpeg rgb by libvips", tiff_jpeg


def zarr_v2(tmp, kind, codec, order):
    want = values((9, 23, 31), kind)
    array = zarr.create_array(
        tmp / "in.zarr", shape=want.shape, chunks=(4, 10, 16), dtype=want.dtype, zarr_format=2, order=order, filters=None,
        compressors=[codec] if codec else None, fill_value=0,
    )
    array[...] = want
    same(through_zarr(tmp / "in.zarr", tmp=tmp), want, "zarr v2")


def zarr_v3(tmp, kind, codec):
    want = values((9, 23, 31), kind)
    endian = "big" if kind[0] == ">" else "little"
    array = zarr.create_array(
        tmp / "in.zarr", shape=want.shape, chunks=(4, 10, 16), dtype=want.dtype.newbyteorder("="), compressors=codec,
        serializer=zarr.codecs.BytesCodec(endian=endian if want.dtype.itemsize > 1 else None),
    )
    array[...] = want
    same(through_zarr(tmp / "in.zarr", tmp=tmp), want, "zarr v3")


def transposed(tmp):
    want = values((9, 23, 31), "<i2")
    array = zarr.create_array(
        tmp / "in.zarr", shape=want.shape, chunks=(4, 10, 16), dtype=want.dtype, compressors=zarr.codecs.ZstdCodec(),
        filters=[zarr.codecs.TransposeCodec(order=(2, 0, 1))],
    )
    array[...] = want
    same(through_zarr(tmp / "in.zarr", tmp=tmp), want, "transposed")


def missing(tmp):
    array = zarr.create_array(tmp / "in.zarr", shape=(40, 50), chunks=(64, 16), dtype="f4", fill_value=np.nan)
    array[:, 16:32] = 3.5
    same(through_zarr(tmp / "in.zarr", tmp=tmp), array[...], "missing chunks, and chunks larger than the array")


def shards(tmp, where):
    want = values((30, 41, 50), "<u2")
    inner = [{"name": "transpose", "configuration": {"order": [0, 2, 1]}}, {"name": "bytes", "configuration": {"endian": "big"}},
             {"name": "gzip", "configuration": {"level": 3}}, {"name": "crc32c"}]  # fmt: skip
    sharding = {"chunk_shape": [8, 8, 16], "codecs": inner, "index_location": where,
                "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}  # fmt: skip
    store = tensorstore.open({
        "driver": "zarr3", "create": True, "kvstore": {"driver": "file", "path": str(tmp / "in.zarr")},
        "metadata": {
            "shape": list(want.shape), "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [16, 24, 32]}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        },
    }).result()  # fmt: skip
    store[:20].write(want[:20]).result()
    want = np.concatenate([want[:20], np.zeros_like(want[20:])])
    same(through_zarr(tmp / "in.zarr", tmp=tmp), want, "shards")


def ranks(tmp, rank):
    want = values((2, 3, 4, 5, 6)[5 - rank :], "<u2")
    array = zarr.create_array(tmp / "in.zarr", shape=want.shape, chunks=(2,) * rank, dtype=want.dtype)
    array[...] = want
    same(through_zarr(tmp / "in.zarr", tmp=tmp), want, f"{rank} axes")


def tiff_rgb(tmp, codec, predictor, tile, planar, big):
    want = values((70, 90, 3), "u2")
    data = want if planar == "contig" else np.moveaxis(want, -1, 0)
    tifffile.imwrite(
        tmp / "in.tif", data, photometric="rgb", planarconfig=planar, tile=tile or None, rowsperstrip=None if tile else 13,
        compression=codec, predictor=predictor or None, bigtiff=big, byteorder=">" if big else "<",
    )
    same(through_zarr(tmp / "in.tif", tmp=tmp), np.moveaxis(want, -1, 0), "samples become c")


def tiff_kind(tmp, kind):
    want = values((37, 53), kind)
    tifffile.imwrite(tmp / "in.tif", want, byteorder=kind[0], tile=(16, 32), compression="zlib")
    same(through_zarr(tmp / "in.tif", tmp=tmp), want.astype(want.dtype.newbyteorder("=")), kind)


def tiff_float_predictor(tmp):
    for kind in ("f4", "f8"):
        want = values((37, 53), kind)
        tifffile.imwrite(tmp / "in.tif", want, tile=(16, 32), compression="zlib", predictor=True)
        same(through_zarr(tmp / "in.tif", tmp=tmp), want, kind)


def axes_of(path):
    return "".join(axis["axis"] for axis in info(path)["axes"])


def tiff_pages(tmp):
    want = values((5, 30, 40), "u1")
    tifffile.imwrite(tmp / "in.tif", want, photometric="minisblack", metadata=None)
    same(through_zarr(tmp / "in.tif", tmp=tmp), want, "pages are z")
    if (axes := axes_of(tmp / "in.tif")) != "zyx":
        raise Failed(f"axes {axes}")


def tiff_imagej(tmp):
    want = values((2, 4, 3, 30, 40), "u2")
    tifffile.imwrite(
        tmp / "in.tif", want, imagej=True, resolution=(1 / 0.25, 1 / 0.25),
        metadata={"axes": "TZCYX", "spacing": 0.75, "unit": "um", "finterval": 2.0},
    )
    same(through_zarr(tmp / "in.tif", tmp=tmp), np.swapaxes(want, 1, 2), "TZCYX is stored as TCZYX")
    scale = {axis["axis"]: axis["scale"] for axis in info(tmp / "in.tif")["axes"]}
    if not np.allclose([scale[a] for a in "zyx"], [0.75, 0.25, 0.25], rtol=1e-5):
        raise Failed(f"scale {scale}")


def tiff_ome(tmp):
    want = values((3, 2, 30, 40), "u2")
    tifffile.imwrite(
        tmp / "in.ome.tif", want, ome=True, tile=(16, 16), compression="zlib", photometric="minisblack",
        metadata={"axes": "CZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 1.5, "Channel": {"Name": ["a", "b", "c"]}},
    )
    same(through_zarr(tmp / "in.ome.tif", tmp=tmp), want, "CZYX")
    seen = info(tmp / "in.ome.tif")
    if [axis["scale"] for axis in seen["axes"]][1:] != [1.5, 0.3, 0.2] or [c["name"] for c in seen["channels"]] != ["a", "b", "c"]:
        raise Failed(f"axes {seen['axes']}, channels {seen['channels']}")


def tiff_jpeg(tmp):
    tissue = oracles.load(DATA, "tissue.tif")
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(tissue).data, tissue.shape[1], tissue.shape[0], 3, "uchar")
    image = image.copy(interpretation="srgb")
    image.tiffsave(str(tmp / "in.tif"), compression="jpeg", Q=95, tile=True, tile_width=64, tile_height=64)
    same(through_zarr(tmp / "in.tif", tmp=tmp), np.moveaxis(tifffile.imread(tmp / "in.tif"), -1, 0), "CYX")
