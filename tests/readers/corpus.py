"""docs/files.md: every file of tests/data, and of a folder named by $VOXTILE_DATA, beside what other programs read from it.

The page is compared with what is found; UPDATE_DOCS=1 rewrites it. The part about the folder stays as it is where no
folder is named.
"""

import json
import logging
import os
import re
import subprocess
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr
from common import BINARY, DATA, ROOT, Failed, info, pixels

PAGE = ROOT / "docs" / "files.md"
PICTURES = {".png", ".jpg", ".jpeg"}
TIFFS = {".tif", ".tiff", ".svs", ".stk", ".qptiff", ".scn", ".bif", ".czi", ".nd2", ".dcm", ".mrxs", ".vsi"}
HEAD = """# Files that are read

<!-- Made by tests/readers/corpus.py; `UPDATE_DOCS=1 python tests/readers/run.py corpus` rewrites it. -->

Every image file of `tests/data`, and of a larger folder of real files, as voxtile {version} reads it: level 0 of the first
image, every voxel compared with what tifffile {tifffile}, zarr-python {zarr}, numpy {numpy} or imagecodecs {imagecodecs}
(PNG, JPEG) reads. What is not read is refused with the words given and exit code 2. For kinds of files, and where tifffile reads them otherwise, see [correctness.md](correctness.md).
"""


def checks():
    yield "every file, and docs/files.md", table


def images(folder):
    """Files and Zarr arrays, by their names."""
    found = []
    for at, folders, files in os.walk(folder):
        at = Path(at)
        # Files that nobody can read: the tests say how each is refused.
        folders[:] = [name for name in folders if name != "hostile"]
        if ".zarray" in files or ("zarr.json" in files and json.loads((at / "zarr.json").read_text()).get("node_type") == "array"):
            found.append(at)
            folders.clear()
            continue
        found += [at / name for name in files if (at / name).suffix.lower() in TIFFS | PICTURES | {".npy"}]
    return sorted(found)


def reference(path):
    """The voxels as another program reads them, samples before y; and whether the codec loses something."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return np.asarray(zarr.open(path, mode="r")[...]), False
    if suffix == ".npy":
        return np.load(path), False
    if suffix in PICTURES:
        voxels = imagecodecs.imread(path)
        return np.moveaxis(voxels, -1, 0) if voxels.ndim == 3 else voxels, suffix != ".png"
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        voxels, axes = series.asarray(), series.axes
        # A number where the file does not say it.
        lossy = getattr(series.keyframe.compression, "name", "") in ("JPEG", "WEBP")
    if axes == "TRZCYX":  # Micro-Manager: the first stage position
        return np.moveaxis(voxels[:, 0], 2, 1), lossy
    if "S" in axes:
        rest = axes.replace("S", "")
        voxels, axes = np.moveaxis(voxels, axes.index("S"), next(i for i, a in enumerate(rest) if a in "ZYX")), rest[:0]
    if len(axes) > 2 and set(axes) <= set("TCZYX"):
        voxels = voxels.transpose([axes.index(a) for a in "TCZYX" if a in axes])
    return voxels, lossy


def plain(voxels):
    """As one of voxtile's types, where it has another."""
    kept = {"float16": "float32", "bool": "uint8"}.get(voxels.dtype.name, voxels.dtype.newbyteorder("="))
    return voxels.astype(kept)


def agree(got, want, lossy):
    want = plain(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        if got.size != want.size or got.dtype != want.dtype:
            return f"differs: {got.dtype} {got.shape}, reference {want.dtype} {want.shape}"
        want = want.reshape(got.shape)
    differ = (got != want) & ~((got != got) & (want != want))
    if not differ.any():
        return "equal"
    if lossy:
        worst = int(np.abs(got.astype(int) - want.astype(int)).max())
        return f"within {worst}" if worst <= 5 else f"differs: by up to {worst}"
    return f"differs: {int(differ.sum())} of {want.size} voxels"


def look(path, tmp):
    """What a file is, and how it was read."""
    out = tmp / "seen.zarr"
    done = subprocess.run([BINARY, "convert", path, out, "--codec", "none", "--overwrite", "-q"], capture_output=True, text=True)
    if done.returncode == 2 and done.stderr.startswith("error: "):
        message = done.stderr.splitlines()[0].removeprefix("error: ").replace(str(path), path.name)
        return "", "refused: " + re.sub(r"`[^`]*`( uses | is |: )?", "", message, count=1).strip()
    if done.returncode:
        return "", f"differs: ended with {done.returncode}, {done.stderr[:200]!r}"
    seen = info(path)
    what = f"{seen['format']}, {' × '.join(map(str, seen['shape']))} {seen['dtype']}, {seen['codec']}"
    stored = seen["details"].get("stored as") or seen["details"].get("bits per sample")
    if stored and path.is_file():
        what += f" ({stored} bits)" if stored.isdigit() else f" ({stored})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want, lossy = reference(path)
    except Exception as error:  # noqa: BLE001  each program has its own
        return what, f"read; the other program does not: {type(error).__name__}"
    if want.size == 0:
        return what, "read; the other program gives nothing"
    return what, agree(pixels(out), want, lossy)


def section(title, folder, tmp):
    lines, failed, counts = [f"\n## {title}\n", "| file | what it is | read |", "|--|--|--|"], [], {}
    for path in images(folder):
        what, result = look(path, tmp)
        name = path.relative_to(folder).as_posix()
        known = KNOWN.get(path.name)
        if result.startswith("differs"):
            if known is None:
                failed.append(f"{name}: {result}")
            else:
                result = known
        kind = result.split(":")[0].split(";")[0].split(" ")[0]
        counts[kind] = counts.get(kind, 0) + 1
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", what, result)) + " |")
    lines.insert(1, ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items(), key=lambda c: -c[1])) + ".\n")
    return "\n".join(lines) + "\n", failed


# Where the other program is known to read something else, and why that is not what the file says.
KNOWN = {
    "files_2.ome.tif": "equal in all three files; tifffile reads this one alone",
    "pages.ome.tif": "equal; the first image of tifffile is the label",
    "scan.scn": "equal; the first image of tifffile is the one of the whole slide",
    "svs_33003.svs": "equal to the colours of its luma and chroma, which tifffile gives as they are",
    "svs_33003_422.svs": "equal to the colours of its luma and chroma, which tifffile gives as they are",
    "float24.tif": "equal but for numbers below the normal ones, which tifffile reads as 0",
    "float24_be.tif": "equal but for numbers below the normal ones, which tifffile reads as 0",
}


def table(tmp):
    logging.disable(logging.CRITICAL)
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.split()[-1]
    page = HEAD.format(version=version, tifffile=tifffile.__version__, zarr=zarr.__version__, numpy=np.__version__,
                       imagecodecs=imagecodecs.__version__)  # fmt: skip
    part, failed = section("tests/data", DATA, tmp)
    page += part
    mark = "\n## Real files\n"
    old = PAGE.read_text() if PAGE.exists() else ""
    folder = os.environ.get("VOXTILE_DATA")
    if folder:
        part, more = section("Real files", Path(folder), tmp)
        page, failed = page + part, failed + more
    elif mark in old:
        page += mark + old.split(mark, 1)[1]
    if failed:
        raise Failed("\n  ".join(failed))
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page)
    elif old != page:
        raise Failed("docs/files.md is out of date; UPDATE_DOCS=1 rewrites it")
