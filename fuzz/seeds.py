"""Writes the seeds of the fuzz targets from the repository's own test files: `python fuzz/seeds.py`."""

import json
import re
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data"
MOST = 12_000


def seed(target, name, content):
    if 0 < len(content) <= MOST:
        folder = ROOT / "fuzz/seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def descriptions(tiff):
    """The ImageDescription of the first directory of a classic TIFF."""
    order = "<" if tiff[:2] == b"II" else ">"
    if tiff[2:4] not in (b"*\0", b"\0*"):
        return
    (at,) = struct.unpack(order + "I", tiff[4:8])
    (count,) = struct.unpack(order + "H", tiff[at : at + 2])
    for n in range(count):
        tag, _, length, value = struct.unpack(order + "HHII", tiff[at + 2 + 12 * n : at + 14 + 12 * n])
        if tag == 270 and length > 4:
            yield tiff[value : value + length]


def main():
    for path in sorted((DATA / "tiff").glob("*.tif*")):
        content = path.read_bytes()
        seed("tiff", path.name, content)
        for text in descriptions(content):
            seed("ome_xml", path.stem, text)
    for path in sorted((DATA / "tiff").glob("*.companion.ome")):
        seed("ome_xml", path.stem, path.read_bytes())
    for path in sorted((DATA / "other").glob("*.jpg")):
        seed("jpeg", path.name, path.read_bytes())
    for pattern in ("*.npy", "*.png"):
        for path in sorted((DATA / "other").glob(pattern)):
            seed("npy", path.name, path.read_bytes())
    for array in sorted((DATA / "zarr").glob("*.zarr")):
        chunks = [p for p in sorted(array.rglob("*")) if p.is_file() and not re.match(r"\.z|zarr\.json", p.name)]
        first = min((p.read_bytes() for p in chunks), key=len, default=b"")
        for name, mark in (("zarr.json", b""), (".zarray", b"2"), (".zattrs", b"a")):
            if (array / name).is_file():
                document = (array / name).read_bytes()
                group = name == "zarr.json" and json.loads(document).get("node_type") == "group"
                seed("zarr_metadata", array.stem + name, (b"g" if group else mark) + document + b"\0" + first[:2000])
        if "blosc" in array.stem and chunks:
            kind = {1: 0, 2: 1, 4: 2, 8: 3}.get(first[3], 0)
            for shape in range(4):
                seed("blosc", f"{array.stem}_{shape}", bytes([4 * shape + kind]) + first)
    index = b"".join(struct.pack("<QQ", 8 * n, 8) if n % 3 else b"\xff" * 16 for n in range(16))
    voxels = bytes(range(128))
    seed("shard_index", "end", b"e" + voxels + index)
    seed("shard_index", "start", b"s" + index + voxels + voxels + voxels)
    for n, example in enumerate(sorted(set(re.findall(r"'([^'\n]+ [^'\n]+)'", (ROOT / "docs/ops.md").read_text())))):
        seed("recipe", f"example_{n:03}", example.encode())
    plan = 'plan {"plan": {"recipe": "gaussian sigma=2", "work": [[1, 2], [3]]}, "with": {"memory": 7, "workers": 2}}\n'
    units = "".join(f"unit {stage} {n % 2} {n} {'0aff' * n}\n" for stage in (0, 1, 2**32 - 1) for n in range(4))
    seed("journal", "stopped", (plan + units).encode())
    seed("journal", "finished", (plan + units + "finished\n").encode())
    seed("journal", "torn", (plan + units + "!00000000 unit 0 0 9").encode())
    seed("journal", "cut", (plan + "unit 0 0 1 0").encode())
    seed("journal", "later", (plan + "epoch 3\nunit 0 0 1 \n").encode())
    seed("journal", "no_plan", units.encode())
    seed("journal", "no_object", b"plan 7\n")
    toml = '[[step]]\nop = "gaussian"\nsigma = [1, 2.5]\nas = "g"\n\n[[step]]\nop = "expr"\nformula = "input - g"\n'
    seed("recipe", "toml", toml.encode())


main()
