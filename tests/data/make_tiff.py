"""Writes tests/data/tiff: one small file for every feature of TIFF that voxtile reads or refuses by name.

    python tests/data/make_tiff.py [FOLDER WITH REAL FILES]

Needs numpy, Pillow, tifffile and imagecodecs. `expected.json` says what tifffile reads back from each: shape and axes in the
order t, c, z, y, x, voxel sizes, and the CRC-32 of all voxels in that order (little-endian); for lossy files the
voxels themselves lie beside, as `.raw`. Real files are copied from the folder given; README.md says where they are from.
"""

import io
import json
import pathlib
import re
import shutil
import struct
import sys
import zlib

import imagecodecs
import numpy as np
import PIL.Image
import tifffile

HERE = pathlib.Path(__file__).parent / "tiff"
EXPECTED, REFUSED = {}, {}


def image(shape, dtype, seed=1):
    """Smooth in x with some noise, so that predictors and codecs have something to do."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape).astype(float)
    values = 0.5 + 0.4 * np.sin(grid[-1] / 9 + grid[-2] / 5 + sum(grid[:-2]) if len(shape) > 2 else grid[-1] / 9)
    values = values + 0.02 * rng.standard_normal(shape)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (values * 100 - 30).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**40)), min(info.max, 2**40)
    return np.clip(low + values * (high - low), low, high).astype(dtype)


def expect(name, voxels, axes, scale=None, unit=None, tolerance=0, **more):
    """`voxels` in the order of `axes`, a part of tczyx."""
    voxels = np.ascontiguousarray(voxels)
    data = voxels.astype(voxels.dtype.newbyteorder("<")).tobytes()
    entry = {"dtype": voxels.dtype.name, "shape": list(voxels.shape), "axes": axes, **more}
    if tolerance:
        entry["tolerance"] = tolerance
        (HERE / name).with_suffix(".raw").write_bytes(data)
    else:
        entry["crc32"] = zlib.crc32(data)
    if scale:
        entry["scale"], entry["unit"] = scale, unit
    EXPECTED[name] = entry


def simple(name, shape, dtype, samples=None, **options):
    """A file of one page without metadata; samples become c."""
    data = image(shape, dtype)
    tifffile.imwrite(HERE / name, data, metadata=None, **options)
    if samples == "last":
        expect(name, np.moveaxis(data, -1, 0), "cyx")
    elif samples == "first":
        expect(name, data, "cyx")
    else:
        expect(name, data, "yx")


def retag(source, name, **changes):
    """A copy of a file where tags get other numbers (`tag=number`) or their first value another one (`tag=(value,)`)."""
    data = bytearray((HERE / source).read_bytes())
    with tifffile.TiffFile(HERE / source) as file:
        tags = {tag.name: tag for tag in file.pages[0].tags}
    for key, change in changes.items():
        if isinstance(change, tuple):
            data[tags[key].valueoffset : tags[key].valueoffset + 2] = change[0].to_bytes(2, "little")
        else:
            data[tags[key].offset : tags[key].offset + 2] = change.to_bytes(2, "little")
    (HERE / name).write_bytes(data)


def by_hand(name, entries, data, order="<", tail=b""):
    """A classic file of one directory: `entries` are (tag, type, values) or (tag, type, bytes); strips are `data`."""
    sizes, letters = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}, {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B"}
    entries = sorted([*entries, (273, 4, [8]), (279, 4, [len(data)])], key=lambda e: e[0])
    start = 8 + len(data) + len(tail) + (len(data) + len(tail)) % 2
    extra_at = start + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(order + "H", len(entries)), b""
    for tag, kind, values in entries:
        raw = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{letters[kind]}", *values)
        count = entry_count.get(tag, len(raw) // sizes[kind])
        field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", extra_at + len(extra))
        directory += struct.pack(order + "HHI", tag, kind, count) + field
        extra += raw + b"\0" * (len(raw) % 2) if len(raw) > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    body = head + data + tail
    (HERE / name).write_bytes(body + b"\0" * (len(body) % 2) + directory + b"\0\0\0\0" + extra)


# MetaMorph counts planes in some tags, not values.
entry_count = {}


def plain_tags(width, height, bits, sample_format=1, samples=1):
    return [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]), (262, 3, [1]),
            (277, 3, [samples]), (278, 4, [height]), (339, 3, [sample_format] * samples)]


def packed_bits(values, bits):
    """Rows of whole numbers, most significant bit first, each row filled up to whole bytes."""
    out = b""
    for row in values:
        text = "".join(f"{int(v) & (1 << bits) - 1:0{bits}b}" for v in row)
        text += "0" * (-len(text) % 8)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


def odd_samples():
    """Sample types that no type of numpy has, or none of ours."""
    gray = (41, 53)
    half = image(gray, "f2")
    half.flat[:5] = [np.inf, -np.inf, 6e-8, -6.1e-5, 65504]
    for name, options in {
        "half.tif": {}, "half_be_tiles.tif": {"byteorder": ">", "tile": (32, 16), "compression": "lzw"},
        "half_be_predictor_3.tif": {"compression": "zstd", "predictor": 3, "byteorder": ">", "rowsperstrip": 9},
    }.items():
        tifffile.imwrite(HERE / name, half, metadata=None, **options)
        assert np.array_equal(tifffile.imread(HERE / name), half)
        expect(name, half.astype("f4"), "yx", stored="float16")

    # Seven bits of exponent, sixteen of fraction.
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 1 << 24, (9, 13), "u4")
    bits = np.where(bits >> 16 & 127 == 127, 0x3F0000, bits)
    for name, order in {"float24.tif": "<", "float24_be.tif": ">"}.items():
        raw = b"".join(int(b).to_bytes(3, "little" if order == "<" else "big") for b in bits.flat)
        by_hand(name, plain_tags(13, 9, 24, 3), raw, order)
        want = tifffile.imread(HERE / name)
        exponent, fraction = (bits >> 16 & 127).astype("i4"), (bits & 0xFFFF) / 65536
        value = np.where(exponent == 0, fraction * 2.0**-62, (1 + fraction) * 2.0 ** (exponent - 63))
        value = np.where(bits >> 23, -value, value).astype("f4")
        # tifffile reads numbers below the normal ones as 0.
        assert np.array_equal(want[exponent > 0], value[exponent > 0])
        expect(name, value, "yx", stored="float24")

    # Whole numbers of other widths; tifffile reads unsigned ones of up to 32 bits.
    for width, kind in [(20, "u4"), (33, "u8"), (40, "u8"), (63, "u8"), (3, "i1"), (12, "i2"), (24, "i4"), (48, "i8")]:
        signed = kind[0] == "i"
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        values = rng.integers(low, high, (7, 11), kind, endpoint=True)
        values.flat[:3] = [low, high, 0]
        name = f"bits_{'i' if signed else 'u'}{width}.tif"
        by_hand(name, plain_tags(11, 7, width, 2 if signed else 1), packed_bits(values, width))
        if width <= 32 and not signed:
            assert np.array_equal(tifffile.imread(HERE / name), values)
        expect(name, values, "yx", stored=f"{width} bits")


def other_codecs():
    gray = (41, 53)
    tile = {"tile": (32, 16)}
    simple("lzma_u16_predictor_tiles.tif", gray, "u2", compression="lzma", predictor=2, **tile)
    simple("lzma_f32.tif", gray, "f4", compression="lzma", rowsperstrip=10)
    simple("jpeg2000_u8.tif", gray, "u1", compression="jpeg2000", **tile)
    simple("jpeg2000_u16.tif", gray, "u2", compression="jpeg2000", rowsperstrip=16)
    rgb = (*gray, 3)
    simple("jpeg2000_rgb.tif", rgb, "u1", "last", photometric="rgb", compression="jpeg2000", **tile)
    simple("webp_rgb_lossless.tif", rgb, "u1", "last", photometric="rgb", compression="webp",
           compressionargs={"lossless": True}, **tile)
    simple("webp_rgba_lossless.tif", (*gray, 4), "u1", "last", photometric="rgb", extrasamples=["unassalpha"],
           compression="webp", compressionargs={"lossless": True}, rowsperstrip=16)
    smooth = np.indices((48, 64)).sum(0)
    smooth = np.stack([smooth * 2, 250 - smooth, smooth // 2 + 60], -1).clip(0, 255).astype("u1")
    for name, options in {"webp_rgb.tif": {"compression": "webp", "compressionargs": {"level": 80}},
                          "jpeg2000_lossy.tif": {"compression": "jpeg2000", "compressionargs": {"level": 45}}}.items():
        tifffile.imwrite(HERE / name, smooth, metadata=None, photometric="rgb", tile=(32, 32), **options)
        expect(name, np.moveaxis(tifffile.imread(HERE / name), -1, 0), "cyx", tolerance=1)
    inks = image((*gray, 4), "u1")
    tifffile.imwrite(HERE / "cmyk.tif", inks, metadata=None, photometric="separated", compression="lzw", predictor=2)
    expect("cmyk.tif", np.moveaxis(inks, -1, 0), "cyx")
    simple("tiles_larger_than_the_image.tif", (20, 30), "u2", tile=(64, 48), compression="adobe_deflate")


def volumes():
    """Tiles with a depth of their own."""
    volume = image((7, 37, 41), "u2")
    options = {"volumetric": True, "metadata": None}
    tifffile.imwrite(HERE / "volume.tif", volume, tile=(4, 16, 32), compression="zstd", predictor=2,
                     photometric="minisblack", **options)
    expect("volume.tif", volume, "zyx")
    tifffile.imwrite(HERE / "volume_plain.tif", volume, tile=(3, 16, 16), photometric="minisblack", byteorder=">", **options)
    expect("volume_plain.tif", volume, "zyx")
    colour = image((5, 20, 33, 3), "u1")
    tifffile.imwrite(HERE / "volume_rgb.tif", colour, tile=(2, 16, 16), photometric="rgb", compression="lzw", **options)
    expect("volume_rgb.tif", np.moveaxis(colour, -1, 0), "czyx")
    half = image((5, 20, 33), "f2")
    tifffile.imwrite(HERE / "volume_half.tif", half, tile=(2, 16, 16), photometric="minisblack", **options)
    expect("volume_half.tif", half.astype("f4"), "zyx", stored="float16")
    for name in ("volume.tif", "volume_plain.tif"):
        assert np.array_equal(tifffile.imread(HERE / name), volume)


def microscopes():
    """Stacks of MetaMorph and Micro-Manager."""
    stack = image((5, 20, 24), "u2")
    raw = stack.astype("<u2").tobytes()
    # Distance, and day and millisecond of making and change, per plane; then sizes of a pixel.
    at = 8 + len(raw)
    calibration = struct.pack("<4I", 65, 100, 13, 20) + struct.pack("<I", 2) + b"um\0\0"
    fields = struct.pack("<8I", 4, at, 5, at + 8, 6, at + 16, 0, 1)
    entry_count.update({33628: 4, 33629: 5})
    for name, kind in {"metamorph_z.stk": "z", "metamorph_t.stk": "t"}.items():
        planes = b"".join(struct.pack("<6I", 3 if kind == "z" else 0, 2, 2450000, 1000 * i, 0, 0) for i in range(5))
        by_hand(name, [*plain_tags(24, 20, 16), (33628, 4, fields), (33629, 5, planes)], raw, tail=calibration)
        read = tifffile.TiffFile(HERE / name).series[0]
        assert read.axes == kind.upper() + "YX" and np.array_equal(read.asarray(), stack), (name, read.axes)
        scale = [1.5 if kind == "z" else 1.0, 0.65, 0.65]
        expect(name, stack, kind + "yx", scale, "micrometer", format="MetaMorph STK")
    entry_count.clear()

    # Time, then channel, then z: written in another order, two positions, one plane lost.
    shape = (2, 2, 2, 3)
    voxels = image((*shape, 16, 20), "u2")
    order = [(r, t, c, z) for t in range(2) for r in range(2) for z in range(3) for c in range(2)]
    lost = order.pop(7)
    voxels[lost] = 0
    summary = {"MicroManagerVersion": "1.4.23", "Channels": 2, "Slices": 3, "Frames": 2, "Positions": 2, "PixelSize_um": 0.25,
               "z-step_um": -1.5, "Interval_ms": 500.0, "ChNames": ["DAPI", "GFP"], "ChColors": [255, 65280],
               "SlicesFirst": True, "TimeFirst": True, "InitialPositionList": [{"Label": "Pos0"}, {"Label": "Pos1"}]}
    text = json.dumps(summary).encode()
    head_size = (40 + len(text) + 1) // 2 * 2
    # Thirteen tags, then the voxels, as its own writer has it.
    plane_bytes, tags = 16 * 20 * 2, 13
    one = 2 + 12 * tags + 4
    meta = b"{}\0\0\0\0"
    body, index = b"", []
    for i, (r, t, c, z) in enumerate(order):
        at = head_size + i * (one + plane_bytes + len(meta))
        after = at + one + plane_bytes + len(meta)
        entries = [*plain_tags(20, 16, 16), (254, 4, [0]), (284, 3, [1]), (273, 4, [at + one]), (279, 4, [plane_bytes]), (51123, 2, None)]
        body += struct.pack("<H", tags)
        for tag, kind, values in sorted(entries, key=lambda e: e[0]):
            if tag == 51123:
                body += struct.pack("<HHII", tag, kind, len(meta), at + one + plane_bytes)
            else:
                body += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", values[0])
        body += struct.pack("<I", 0 if i + 1 == len(order) else after)
        body += voxels[r, t, c, z].astype("<u2").tobytes() + meta
        index.append((c, z, t, r, at))
    end = head_size + len(body)
    head = b"II*\0" + struct.pack("<9I", head_size, 54773648, end, 483765892, 0, 99384722, 0, 2355492, len(text))
    table = struct.pack("<2I", 3453623, len(index)) + b"".join(struct.pack("<5I", *row) for row in index)
    (HERE / "micromanager.tif").write_bytes((head + text).ljust(head_size, b"\0") + body + table)
    read = tifffile.TiffFile(HERE / "micromanager.tif").series[0]
    assert read.kind == "mmstack" and read.axes == "TRZCYX", (read.kind, read.axes)
    got = read.asarray().transpose(1, 0, 3, 2, 4, 5)
    assert np.array_equal(got, voxels)
    expect("micromanager.tif", voxels[0], "tczyx", [0.5, 1.0, 1.5, 0.25, 0.25], "micrometer", format="Micro-Manager TIFF",
           channels=[["DAPI", "0000FF"], ["GFP", "00FF00"]], images=2, image_1=zlib.crc32(voxels[1].tobytes()))


def several_files():
    """An OME-TIFF whose planes lie in three files, one of which has no description of its own."""
    planes = image((3, 2, 20, 24), "u2")
    names = ["files_0.ome.tif", "files_1.ome.tif", "files_2.ome.tif"]
    data = "".join(f'<TiffData IFD="0" FirstC="{c}" FirstZ="0" PlaneCount="2"><UUID FileName="{name}">urn:uuid:{c}</UUID>'
                   "</TiffData>" for c, name in enumerate(names))

    def text(uuid):
        return (f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
                '<Image ID="Image:0" Name="three"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="24" '
                f'SizeY="20" SizeZ="2" SizeC="3" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">{data}</Pixels></Image></OME>')

    binary = ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:2">'
              '<BinaryOnly MetadataFile="files.companion.ome" UUID="urn:uuid:9"/></OME>')
    (HERE / "files.companion.ome").write_text(text("urn:uuid:9"))
    for c, name in enumerate(names):
        description = binary if c == 2 else text(f"urn:uuid:{c}")
        tifffile.imwrite(HERE / name, planes[c], description=description, metadata=None, photometric="minisblack",
                         compression=[None, "lzw", "zstd"][c])
    assert np.array_equal(tifffile.imread(HERE / names[0]), planes)
    for name in names:
        expect(name, planes, "czyx", [1.0, 1.0, 0.5, 0.5], "micrometer", format="OME-TIFF")


def coded():
    gray = (41, 53)
    tile = {"tile": (32, 16)}
    simple("none_u8_strips.tif", gray, "u1", rowsperstrip=7)
    simple("none_u16_be_tiles.tif", gray, "u2", byteorder=">", **tile)
    simple("none_i8.tif", gray, "i1")
    simple("none_i32_be.tif", gray, "i4", byteorder=">")
    simple("none_u64_big.tif", (16, 33), "u8", bigtiff=True)
    simple("none_i64_big_be.tif", (16, 33), "i8", bigtiff=True, byteorder=">")
    simple("none_f64_tiles.tif", gray, "f8", **tile)
    simple("lzw_u8_strips.tif", gray, "u1", compression="lzw", rowsperstrip=10)
    simple("lzw_u16_predictor_tiles.tif", gray, "u2", compression="lzw", predictor=2, **tile)
    simple("lzw_f32_predictor.tif", gray, "f4", compression="lzw", predictor=3, rowsperstrip=20)
    simple("deflate_i16_be_predictor.tif", gray, "i2", compression="adobe_deflate", predictor=2, byteorder=">")
    simple("deflate_old_u8.tif", gray, "u1", compression="deflate")
    simple("deflate_f64_be_predictor.tif", gray, "f8", compression="adobe_deflate", predictor=3, byteorder=">", **tile)
    simple("zstd_u32_predictor_tiles.tif", gray, "u4", compression="zstd", predictor=2, **tile)
    simple("zstd_f32.tif", gray, "f4", compression="zstd", rowsperstrip=16)
    simple("packbits_u8.tif", gray, "u1", compression="packbits", rowsperstrip=16)
    rgb = (*gray, 3)
    simple("rgb_u8_tiles.tif", rgb, "u1", "last", photometric="rgb", **tile)
    simple("rgb_u8_lzw_predictor.tif", rgb, "u1", "last", photometric="rgb", compression="lzw", predictor=2, **tile)
    simple("rgb_u16_be_strips.tif", rgb, "u2", "last", photometric="rgb", byteorder=">", rowsperstrip=9)
    simple("rgb_f32_predictor.tif", (20, 33, 3), "f4", "last", photometric="rgb", compression="zstd", predictor=3, **tile)
    simple("rgba_u16_predictor.tif", (*gray, 4), "u2", "last", photometric="rgb", extrasamples=["unassalpha"],
           compression="adobe_deflate", predictor=2)
    simple("rgb_u16_planar_tiles.tif", (3, *gray), "u2", "first", photometric="rgb", planarconfig="separate",
           compression="adobe_deflate", predictor=2, **tile)
    simple("rgb_u8_planar_strips.tif", (3, *gray), "u1", "first", photometric="rgb", planarconfig="separate", rowsperstrip=8)
    simple("five_samples_u8.tif", (*gray, 5), "u1", "last", photometric="minisblack", planarconfig="contig",
           extrasamples=["unspecified"] * 4, **tile)

    # One bit, in both bit orders.
    bits = image(gray, "u1") > 128
    tifffile.imwrite(HERE / "bits_1.tif", bits, metadata=None)
    expect("bits_1.tif", bits.astype("u1"), "yx")
    tifffile.imwrite(HERE / "bits_1_reversed.tif", bits, metadata=None, extratags=[(60000, 3, 1, 2, True)])
    retag("bits_1_reversed.tif", "bits_1_reversed.tif", **{"60000": 266})
    with tifffile.TiffFile(HERE / "bits_1_reversed.tif") as file:
        at, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data = bytearray((HERE / "bits_1_reversed.tif").read_bytes())
    data[at : at + count] = bytes(int(f"{b:08b}"[::-1], 2) for b in data[at : at + count])
    (HERE / "bits_1_reversed.tif").write_bytes(data)
    expect("bits_1_reversed.tif", bits.astype("u1"), "yx")

    # LZW as it was before 1991: codes from the low bit on. Literals only, the table is cleared before ten bits.
    small = image((16, 24), "u1")
    codes = [256]
    for i, value in enumerate(small.ravel()):
        codes += [256, int(value)] if i % 200 == 199 else [int(value)]
    bits_of = "".join(f"{c:09b}"[::-1] for c in [*codes, 257])
    bits_of += "0" * (-len(bits_of) % 8)
    stream = bytes(int(bits_of[i : i + 8][::-1], 2) for i in range(0, len(bits_of), 8))
    tifffile.imwrite(HERE / "lzw_old.tif", iter([stream]), shape=small.shape, dtype="u1", compression="lzw",
                     metadata=None, rowsperstrip=16)
    assert np.array_equal(tifffile.imread(HERE / "lzw_old.tif"), small)
    expect("lzw_old.tif", small, "yx")

    # Tags that may be missing get numbers that nobody knows.
    simple("plain.tif", gray, "u2")
    retag("plain.tif", "no_compression_no_rows.tif", Compression=60001, RowsPerStrip=60002, StripByteCounts=60003)
    EXPECTED["no_compression_no_rows.tif"] = EXPECTED["plain.tif"]

    # Tiles of no bytes are black.
    sparse = image((64, 64), "u2")
    sparse[:32, 32:] = 0
    tiles = [sparse[y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32)]
    tiles[1] = None
    tifffile.imwrite(HERE / "sparse.tif", iter(tiles), shape=sparse.shape, dtype="u2", tile=(32, 32),
                     compression="adobe_deflate", metadata=None)
    assert np.array_equal(tifffile.imread(HERE / "sparse.tif"), sparse)
    expect("sparse.tif", sparse, "yx")


def jpeg():
    y, x = np.mgrid[0:48, 0:64]
    rgb = np.stack([120 + 80 * np.sin(x / 7), 100 + 60 * np.cos(y / 9), 40 + 2 * x + y], -1).clip(0, 255).astype("u1")
    tile = {"tile": (32, 32), "metadata": None, "compression": "jpeg", "compressionargs": {"level": 90}}
    tiles = [rgb[y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32)]
    tiles = [np.pad(t, ((0, 32 - t.shape[0]), (0, 32 - t.shape[1]), (0, 0)), "edge") for t in tiles]
    whole = {**tile, "shape": rgb.shape, "dtype": "u1", "photometric": "rgb", "subsampling": (2, 2)}

    streams = [imagecodecs.jpeg_encode(t[..., 0].copy(), level=90) for t in tiles]
    tifffile.imwrite(HERE / "jpeg_gray.tif", iter(streams), shape=rgb.shape[:2], dtype="u1", **tile)

    # Red, green and blue stored as they are: the tag says so, the streams do not.
    streams = [imagecodecs.jpeg_encode(t, level=90, colorspace="rgb", outcolorspace="rgb") for t in tiles]
    streams = [re.sub(rb"\xff\xee\x00\x0eAdobe.{7}", b"", s, flags=re.DOTALL) for s in streams]
    tifffile.imwrite(HERE / "jpeg_rgb.tif", iter(streams), **whole)
    retag("jpeg_rgb.tif", "jpeg_rgb.tif", PhotometricInterpretation=(2,))

    # Tables in a tag of their own.
    def cut(stream):
        tables, rest, at = b"", b"", 2
        while stream[at + 1] != 0xDA:
            length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
            part, at = stream[at : at + length], at + length
            if part[1] in (0xDB, 0xC4):
                tables += part
            else:
                rest += part
        return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + stream[at:]

    streams = [cut(imagecodecs.jpeg_encode(t, level=90, colorspace="rgb", outcolorspace="ycbcr")) for t in tiles]
    assert len({tables for tables, _ in streams}) == 1
    tifffile.imwrite(HERE / "jpeg_tables.tif", iter([s for _, s in streams]), **whole,
                     extratags=[(60347, 7, len(streams[0][0]), streams[0][0], True)])
    retag("jpeg_tables.tif", "jpeg_tables.tif", **{"60347": 347})

    # Progressive, as few writers of TIFF make them.
    streams = []
    for t in tiles:
        streams.append(io.BytesIO())
        PIL.Image.fromarray(np.ascontiguousarray(t)).save(streams[-1], "JPEG", quality=90, progressive=True, subsampling=2)
    tifffile.imwrite(HERE / "jpeg_progressive.tif", iter([s.getvalue() for s in streams]), **whole)
    expect("jpeg_progressive.tif", np.moveaxis(tifffile.imread(HERE / "jpeg_progressive.tif"), -1, 0), "cyx")

    noise = np.random.default_rng(7).integers(-40, 40, rgb.shape)
    noisy = (rgb + noise).clip(0, 255).astype("u1")
    strips = {"metadata": None, "compression": "jpeg", "rowsperstrip": 24}
    for name, data, options in [
        ("jpeg_gray.tif", rgb[..., 0], None),
        ("jpeg_rgb.tif", rgb, None),
        ("jpeg_tables.tif", rgb, None),
        ("jpeg_ycbcr_444.tif", rgb, {**tile, "photometric": "rgb", "subsampling": (1, 1)}),
        ("jpeg_ycbcr_420.tif", rgb, {**tile, "photometric": "rgb", "subsampling": (2, 2)}),
        ("jpeg_ycbcr_422.tif", noisy[:41, :53].copy(), {**tile, "photometric": "rgb", "subsampling": (2, 1)}),
        ("jpeg_ycbcr_411.tif", noisy[:41, :53].copy(), {**tile, "photometric": "rgb", "subsampling": (4, 1)}),
        ("jpeg_strips_420.tif", noisy[:41, :53].copy(), {**strips, "photometric": "rgb", "subsampling": (2, 2)}),
        ("jpeg_strips_gray.tif", noisy[:41, :53, 0].copy(), {**strips, "compressionargs": {"level": 100}}),
        ("jpeg_coarse.tif", noisy[:41, :53, 0].copy(), {**strips, "compressionargs": {"level": 5}}),
    ]:
        if options is not None:
            tifffile.imwrite(HERE / name, data, **options)
        read = tifffile.imread(HERE / name)
        assert abs(read.astype(int) - data).mean() < 25, name
        if read.ndim == 3:
            expect(name, np.moveaxis(read, -1, 0), "cyx")
        else:
            expect(name, read, "yx")


def stacks():
    stack = image((5, 30, 40), "u2")
    tifffile.imwrite(HERE / "pages.tif", stack, metadata=None, photometric="minisblack", resolution=(4000, 2000),
                     resolutionunit="CENTIMETER", compression="zstd")
    expect("pages.tif", stack, "zyx", [1.0, 5.0, 2.5], "micrometer")
    with tifffile.TiffWriter(HERE / "pages_and_thumbnails.tif") as out:
        for plane in stack:
            out.write(plane, metadata=None, photometric="minisblack")
            out.write(plane[::4, ::4].copy(), metadata=None, photometric="minisblack", subfiletype=1)
    expect("pages_and_thumbnails.tif", stack, "zyx")
    five = image((2, 3, 2, 20, 24), "u1")
    tifffile.imwrite(HERE / "shaped_axes.tif", five, photometric="minisblack", metadata={"axes": "TZCYX"})
    expect("shaped_axes.tif", five.transpose(0, 2, 1, 3, 4), "tczyx")
    tifffile.imwrite(HERE / "shaped.tif", five[0], photometric="minisblack")
    expect("shaped.tif", five[0], "czyx")
    tifffile.imwrite(HERE / "imagej.tif", five, imagej=True, resolution=(4, 4),
                     metadata={"axes": "TZCYX", "spacing": 0.5, "unit": "um", "finterval": 2.5})
    expect("imagej.tif", five.transpose(0, 2, 1, 3, 4), "tczyx", [2.5, 1.0, 0.5, 0.25, 0.25], "micrometer",
           format="ImageJ TIFF")
    # As ImageJ writes stacks of more than 4 GB: one directory, the other planes behind the first one.
    text = "ImageJ=1.54f\nimages=6\nchannels=2\nslices=3\nhyperstack=true\nmode=composite\nunit=micron\nspacing=2.0\n"
    planes = image((3, 2, 20, 24), "u2")
    name = "imagej_one_directory.tif"
    tifffile.imwrite(HERE / name, planes[0, 0], description=text, metadata=None, byteorder=">", resolution=(2, 2))
    with open(HERE / name, "ab") as file:
        file.write(planes.reshape(6, -1)[1:].astype(">u2").tobytes())
    expect(name, planes.transpose(1, 0, 2, 3), "czyx", [1.0, 2.0, 0.5, 0.5], "micrometer", format="ImageJ TIFF")

    sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm",
             "PhysicalSizeZ": 1.5, "PhysicalSizeZUnit": "µm", "TimeIncrement": 3.0, "TimeIncrementUnit": "s"}
    channels = {"Name": ["DAPI", "GFP <1>"], "Color": [65535, 16711935]}
    tifffile.imwrite(HERE / "five.ome.tif", five, photometric="minisblack", tile=(16, 16), compression="lzw",
                     metadata={"axes": "TZCYX", **sizes, "Channel": channels})
    expect("five.ome.tif", five.transpose(0, 2, 1, 3, 4), "tczyx", [3.0, 1.0, 1.5, 0.5, 250.0], "nanometer",
           format="OME-TIFF", channels=[["DAPI", "0000FF"], ["GFP <1>", "00FF00"]])
    rgb = image((4, 20, 24, 3), "u1")
    tifffile.imwrite(HERE / "rgb.ome.tif", rgb, photometric="rgb", metadata={"axes": "ZYXS"})
    expect("rgb.ome.tif", rgb.transpose(3, 0, 1, 2), "czyx", format="OME-TIFF")

    # Planes in another order than their pages, and one that is missing.
    ome = ('<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
           '<Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint16" SizeX="40" SizeY="30" SizeZ="2" SizeC="3" SizeT="1">'
           '<TiffData IFD="0" FirstC="2" FirstZ="1"/><TiffData IFD="1" FirstC="0" FirstZ="0" PlaneCount="2"/>'
           '<TiffData IFD="3" FirstC="2"/><TiffData IFD="4" FirstC="1" FirstZ="1"/></Pixels></Image></OME>')
    tifffile.imwrite(HERE / "order.ome.tif", stack, description=ome, metadata=None, photometric="minisblack")
    want = np.zeros((3, 2, 30, 40), "u2")
    want[2, 1], want[0, 0], want[0, 1], want[2, 0], want[1, 1] = stack
    expect("order.ome.tif", want, "czyx", format="OME-TIFF")

    # Pyramids: pages of their own, and directories that the planes name.
    big = image((96, 128), "u1")
    options = {"tile": (32, 32), "metadata": None, "photometric": "minisblack"}
    with tifffile.TiffWriter(HERE / "pyramid_pages.tif") as out:
        out.write(big, resolution=(5000, 5000), resolutionunit="CENTIMETER", **options)
        out.write(big[::2, ::2].copy(), subfiletype=1, **options)
        out.write(big[::4, ::4].copy(), subfiletype=1, **options)
    expect("pyramid_pages.tif", big, "yx", [2.0, 2.0], "micrometer", levels=[[96, 128], [48, 64], [24, 32]],
           level_1=zlib.crc32(big[::2, ::2].tobytes()))
    two = np.stack([big, 255 - big])
    with tifffile.TiffWriter(HERE / "pyramid.ome.tif", ome=True) as out:
        out.write(two, subifds=1, tile=(32, 32), photometric="minisblack", metadata={"axes": "CYX"})
        out.write(two[:, ::2, ::2].copy(), subfiletype=1, tile=(32, 32), photometric="minisblack")
    expect("pyramid.ome.tif", two, "cyx", format="OME-TIFF", levels=[[2, 96, 128], [2, 48, 64]],
           level_1=zlib.crc32(two[:, ::2, ::2].tobytes()))


def refused():
    data = image((32, 32), "u1")
    rgb = image((32, 32, 3), "u1")

    def no(name, word, values=data, **options):
        tifffile.imwrite(HERE / name, values, metadata=None, **options)
        REFUSED[name] = word

    no("no_lerc.tif", "LERC", compression="lerc")
    no("no_complex.tif", "complex", data.astype("c8"))
    no("no_ndpi.tif", "NDPI", extratags=[(65420, 4, 1, 1, True)])
    retag("jpeg_gray.tif", "no_old_jpeg.tif", Compression=(6,))
    REFUSED["no_old_jpeg.tif"] = "old-style JPEG"
    retag("bits_1.tif", "no_run_lengths.tif", Compression=(2,))
    REFUSED["no_run_lengths.tif"] = "CCITT run lengths"
    by_hand("no_fax_2d.tif", [(256, 4, [8]), (257, 4, [2]), (258, 3, [1]), (259, 3, [3]), (262, 3, [0]), (277, 3, [1]),
                              (278, 4, [2]), (292, 4, [1])], b"\0\1" * 8)
    REFUSED["no_fax_2d.tif"] = "two dimensions"
    by_hand("no_mixed_bits.tif", [*plain_tags(4, 4, 8)[:2], (258, 3, [5, 6, 5]), (262, 3, [2]), (277, 3, [3]), (278, 4, [4])],
            bytes(32))
    REFUSED["no_mixed_bits.tif"] = "differs between samples"


def real(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".tif", ".tiff"):
            continue
        name = path.name
        if path.parent != HERE:
            shutil.copyfile(path, HERE / name)
        if name.startswith("logluv"):
            REFUSED[name] = "SGI Log"
            continue
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            voxels, axes = series.asarray(), series.axes
        if "S" in axes:
            voxels, axes = np.moveaxis(voxels, axes.index("S"), 0), "CYX"
        axes = re.sub("[QI]", "Z", axes)
        voxels = voxels.astype(voxels.dtype.newbyteorder("="))
        more = {}
        if voxels.dtype == np.float16:
            voxels, more = voxels.astype("f4"), {"stored": "float16"}
        expect(name, voxels.astype("u1") if voxels.dtype == bool else voxels, axes.lower(), **more)


if __name__ == "__main__":
    folder = HERE / "real"
    HERE.mkdir(exist_ok=True)
    for old in HERE.glob("*.*"):
        if old.name != "README.md":
            old.unlink()
    coded()
    jpeg()
    stacks()
    odd_samples()
    other_codecs()
    volumes()
    microscopes()
    several_files()
    refused()
    for made in [*EXPECTED, *REFUSED]:
        assert (HERE / made).exists(), made
    if len(sys.argv) > 1:
        real(pathlib.Path(sys.argv[1]))
    text = json.dumps({"expected": EXPECTED, "refused": REFUSED}, indent=1, ensure_ascii=False)
    # One line for each file.
    text = re.sub(r"\n {3,}", " ", text).replace("\n  }", " }")
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")
    print(sum(p.stat().st_size for p in HERE.iterdir()), "bytes")
