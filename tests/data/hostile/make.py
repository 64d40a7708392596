"""Makes `files/`: images made to break a reader. Each is small; what it asks for is not.

    python tests/data/hostile/make.py
"""

import gzip
import json
import shutil
import struct
import zlib
from pathlib import Path

import numcodecs

HERE = Path(__file__).resolve().parent / "files"
SHORT, LONG, ASCII, LONG8 = 3, 4, 2, 16


def tiff(name, pages, big=False, blob=b"", next_of=None):
    """A little-endian TIFF: `pages` are lists of (tag, type, values); `blob` lies at byte 1000."""
    out = bytearray(b"II+\0\x08\0\0\0" if big else b"II*\0")
    out += struct.pack("<Q" if big else "<I", 0)
    out += bytes(1000 - len(out)) + blob
    offsets = []
    links = []
    for page in pages:
        out += bytes(-len(out) % 8)
        extra = bytearray()
        size = (8 + 20 * len(page) + 8) if big else (2 + 12 * len(page) + 4)
        at = len(out)
        offsets.append(at)
        body = struct.pack("<Q" if big else "<H", len(page))
        for tag, kind, values in sorted(page, key=lambda e: e[0]):
            if kind == ASCII:
                data, count = values, len(values)
            else:
                letter = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
                data, count = struct.pack(f"<{len(values)}{letter}", *values), len(values)
            field = 8 if big else 4
            body += struct.pack("<HHQ" if big else "<HHI", tag, kind, count)
            if len(data) <= field:
                body += data.ljust(field, b"\0")
            else:
                body += struct.pack("<Q" if big else "<I", at + size + len(extra))
                extra += data + bytes(-len(data) % 8)
        links.append(at + len(body))
        body += struct.pack("<Q" if big else "<I", 0)
        out += body + extra
    for n, link in enumerate(links):
        to = next_of[n] if next_of else n + 1
        where = offsets[to] if to is not None and to < len(offsets) else 0
        struct.pack_into("<Q" if big else "<I", out, link, where)
    struct.pack_into("<Q" if big else "<I", out, 8 if big else 4, offsets[0])
    (HERE / name).write_bytes(bytes(out))


def page(width=4, height=4, bits=8, compression=1, more=(), kind=LONG, places=True):
    entries = [(256, kind, [width]), (257, kind, [height]), (258, SHORT, [bits]), (259, SHORT, [compression]), (277, SHORT, [1])]
    if places:
        entries += [(273, LONG, [1000]), (278, kind, [height]), (279, LONG, [16])]
    return entries + list(more)


def tiled(width, height, edge, compression, count, length=16, kind=LONG):
    tags = [(322, kind, [edge]), (323, kind, [edge]), (324, LONG, [1000] * count), (325, LONG, [length] * count)]
    return page(width, height, 8, compression, tags, kind, places=False)


def ome(name, xml, pages=2):
    text = xml.encode() if isinstance(xml, str) else xml
    all_pages = [page() for _ in range(pages)]
    all_pages[0] = page(more=[(270, ASCII, text + b"\0")])
    tiff(name, all_pages, blob=bytes(16))


def pixels(z=1, c=1, t=1, inside="", order="XYZCT"):
    return f'<Image ID="Image:0"><Pixels DimensionOrder="{order}" Type="uint8" SizeX="4" SizeY="4" SizeZ="{z}" SizeC="{c}" SizeT="{t}">{inside}</Pixels></Image>'


def zarr(name, files):
    for key, content in files.items():
        path = HERE / name / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content, indent=1).encode())


def v3(shape, chunk, codecs=None, dtype="uint8", **more):
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": codecs or [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
        **more,
    }


def v2(shape, chunk, compressor=None, **more):
    return {"zarr_format": 2, "shape": shape, "chunks": chunk, "dtype": "|u1", "order": "C", "fill_value": 0, "filters": None, "compressor": compressor, **more}


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def sharding(chunk, codecs=(BYTES,)):
    return {"name": "sharding_indexed", "configuration": {"chunk_shape": chunk, "codecs": list(codecs), "index_codecs": [BYTES], "index_location": "end"}}


def level(path):
    return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "multiscales": [{"axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}], "datasets": [{"path": path, "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]}]}}}


def tiffs():
    tiff("one_endless_strip.tif", [page(1 << 20, 1 << 31)])
    tiff("sizes_overflow.tif", [page(1 << 63, 1 << 63, kind=LONG8)], big=True)
    tiff("area_overflows.tif", [page(1 << 31, 1 << 31, bits=64)])
    tiff("tiles_overflow.tif", [tiled(1 << 31, 1 << 31, 1 << 31, 1, 1)])
    tiff("tiles_of_2_to_62.tif", [tiled(64, 64, 1 << 62, 5, 1, kind=LONG8)], big=True)
    tiff("more_tiles_than_entries.tif", [tiled(1 << 30, 1 << 30, 16, 1, 4)])
    tiff("chain_of_directories_is_a_ring.tif", [page(), page()], next_of=[1, 0])
    tiff("directory_follows_itself.tif", [page()], next_of=[0])
    tiff("level_is_the_image_itself.tif", [page(more=[(330, LONG, [1016])])], blob=bytes(16))
    tiff("samples_0.tif", [[e for e in page() if e[0] != 277] + [(277, SHORT, [0])]])
    tiff("rows_per_strip_0.tif", [[e for e in page() if e[0] != 278] + [(278, LONG, [0])]])
    tiff("strip_beyond_the_end.tif", [[e for e in page() if e[0] not in (273, 279)] + [(273, LONG, [0xFFFFFFF0]), (279, LONG, [0xFFFFFFFF])]])
    bomb = zlib.compress(bytes(64 << 20), 9)
    tiff("deflate_bomb.tif", [tiled(16, 16, 16, 8, 1, len(bomb))], blob=bomb)
    zstd = bytes(numcodecs.Zstd(3).encode(bytes(64 << 20)))
    tiff("zstd_bomb.tif", [tiled(16, 16, 16, 50000, 1, len(zstd))], blob=zstd)
    tiff("no_end_of_lzw.tif", [tiled(512, 512, 512, 5, 1, 400)], blob=bytes(400))
    jpeg = (Path(__file__).resolve().parent.parent / "other/gray.jpg").read_bytes()
    tiff("jpeg_of_another_size.tif", [tiled(16, 16, 16, 7, 1, len(jpeg))], blob=jpeg)
    huge = bytearray(jpeg)
    at = huge.index(b"\xff\xc0")
    huge[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    tiff("jpeg_of_65535.tif", [tiled(16, 16, 16, 7, 1, len(jpeg))], blob=bytes(huge))
    (HERE / "of_65535.jpg").write_bytes(bytes(huge))
    ome("planes_overflow.ome.tif", f"<OME>{pixels(1 << 62, 1 << 62, 1 << 62)}</OME>")
    ome("every_image_names_millions.ome.tif", "<OME>" + pixels(1 << 21) * 400 + "</OME>")
    ome("planes_named_over_and_over.ome.tif", "<OME>" + pixels(1 << 21, inside='<TiffData IFD="0" PlaneCount="2"/>' * 1500) + "</OME>")
    ome("file_elsewhere.ome.tif", "<OME>" + pixels(inside='<TiffData IFD="0"><UUID FileName="../../../etc/passwd">urn:uuid:1</UUID></TiffData><TiffData IFD="0"><UUID FileName="x.tif">urn:uuid:2</UUID></TiffData>') + "</OME>")
    ome("companion_elsewhere.ome.tif", '<OME><BinaryOnly MetadataFile="/etc/passwd"/></OME>')
    ome("elements_without_end.ome.tif", "<OME>" + "<a>" * 5000 + "</OME>")
    ome("no_text_at_all.ome.tif", b"<OME>\xff\xfe\xc0\x80" + pixels().encode() + b"</OME>")
    tiff("imagej_names_too_many.tif", [page(more=[(270, ASCII, b"ImageJ=1.5\nimages=18446744073709551615\nslices=4294967296\nframes=4294967296\n\0")])], blob=bytes(16))


def zarrs():
    zarr("absurd_chunk_grid.zarr", {"zarr.json": v3([1 << 40, 1 << 19], [1, 1])})
    zarr("shape_overflows.zarr", {"zarr.json": v3([1 << 48] * 5, [1 << 10] * 5)})
    zarr("chunk_overflows.zarr", {"zarr.json": v3([10, 10], [1 << 47, 1 << 47])})
    zarr("chunk_of_2_gib.zarr", {"zarr.json": v3([10, 10], [1 << 16, 1 << 15]), "c/0/0": b"abc"})
    zarr("chunk_too_long.zarr", {"zarr.json": v3([4, 4], [4, 4]), "c/0/0": bytes(5000)})
    zarr("chunk_too_short.zarr", {"zarr.json": v3([4, 4], [4, 4], dtype="uint16"), "c/0/0": bytes(31)})
    gzipped = [BYTES, {"name": "gzip", "configuration": {"level": 9}}]
    zarr("gzip_bomb.zarr", {"zarr.json": v3([4, 4], [4, 4], gzipped), "c/0/0": gzip.compress(bytes(64 << 20), mtime=0)})
    zstd = [BYTES, {"name": "zstd", "configuration": {"level": 3, "checksum": False}}]
    zarr("zstd_bomb.zarr", {"zarr.json": v3([4, 4], [4, 4], zstd), "c/0/0": bytes(numcodecs.Zstd(3).encode(bytes(64 << 20)))})
    blosc = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
    zarr("blosc_of_2_gib.zarr", {".zarray": v2([4, 4], [4, 4], blosc), "0.0": struct.pack("<BBBBIII", 2, 1, 1, 1, 0x7FFFFFEF, 0x10000, 40) + bytes(24)})
    zarr("blosc_blocks_anywhere.zarr", {".zarray": v2([64, 64], [64, 64], blosc), "0.0": struct.pack("<BBBBIII", 2, 1, 1, 1, 4096, 64, 500) + b"\xff\xff\xff\x7f" * 121})
    zarr("shard_of_2_to_31_chunks.zarr", {"zarr.json": v3([1 << 16, 1 << 15], [1 << 16, 1 << 15], [sharding([1, 1])]), "c/0/0": bytes(64)})
    zarr("shards_in_shards.zarr", {"zarr.json": v3([1 << 15, 1 << 15], [1 << 15, 1 << 15], [sharding([1 << 15, 1 << 15], [sharding([1, 1])])]), "c/0/0": struct.pack("<QQ", 0, 40) + bytes(24) + struct.pack("<QQ", 0, 40)})
    index = struct.pack("<QQ", (1 << 63) - 1, 4) + struct.pack("<QQ", (1 << 64) - 1, 4) + struct.pack("<QQ", 0, 1 << 60) + struct.pack("<QQ", 60, 4)
    zarr("shard_index_points_anywhere.zarr", {"zarr.json": v3([4, 4], [4, 4], [sharding([2, 2])]), "c/0/0": bytes(16) + index})
    zarr("level_above_the_group.zarr", {"zarr.json": level("../../etc"), "0/zarr.json": v3([4, 4], [4, 4])})
    zarr("level_at_the_root.zarr", {"zarr.json": level("/etc"), "0/zarr.json": v3([4, 4], [4, 4])})
    zarr("level_is_the_group.zarr", {"zarr.json": level("")})
    zarr("level_dots.zarr", {"zarr.json": level("0/./../0"), "0/zarr.json": v3([4, 4], [4, 4])})
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    zarr("deep_groups.zarr", {"/".join(["g"] * n + ["zarr.json"]): group for n in range(30)})
    zarr("broken_utf8.zarr", {"zarr.json": b'{"zarr_format":3,"node_type":"array","shape":[4],"data_type":"\xff\xfe\xc0"}'})
    zarr("deep_json.zarr", {"zarr.json": b"[" * 5000})
    zarr("deep_json_attributes.zarr", {"zarr.json": b'{"zarr_format":3,"node_type":"group","attributes":' + b'{"a":' * 5000})
    zarr("numbers_of_400_digits.zarr", {".zarray": b'{"zarr_format":2,"shape":[' + b"9" * 400 + b'],"chunks":[1],"dtype":"|u1","order":"C","fill_value":1e999,"filters":null,"compressor":null}'})
    zarr("names_with_dots.zarr", {"zarr.json": v3([4, 4], [4, 4], dimension_names=["../../y", "x\u0000"]), "c/0/0": bytes(16)})
    many = [{"path": "0"}] * 4000
    zarr("one_level_named_4000_times.zarr", {".zattrs": {"multiscales": [{"version": "0.4", "axes": ["y", "x"], "datasets": many}]}, "0/.zarray": v2([4, 4], [4, 4])})
    # A bomb in a nested shard: the inner chunk of 2 × 2 voxels decodes to 64 MiB.
    bomb = gzip.compress(bytes(64 << 20), mtime=0)
    inner = bomb + struct.pack("<QQ", 0, len(bomb))
    outer = inner + struct.pack("<QQ", 0, len(inner))
    zarr("bomb_in_nested_shard.zarr", {"zarr.json": v3([2, 2], [2, 2], [sharding([2, 2], [sharding([2, 2], gzipped)])]), "c/0/0": outer})


def others():
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }"
    (HERE / "shape_overflows.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head)
    (HERE / "header_of_4_gib.npy").write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", 0xFFFFFFFF) + b"{")

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = struct.pack(">IIBBBBB", 0x7FFFFFFF, 0x7FFFFFFF, 16, 6, 0, 0, 0)
    (HERE / "of_2_to_31.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


shutil.rmtree(HERE, ignore_errors=True)
HERE.mkdir(parents=True)
tiffs()
zarrs()
others()
print(sum(p.stat().st_size for p in HERE.rglob("*") if p.is_file()), "bytes")
