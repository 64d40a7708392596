"""Decoding of TIFF tiles on one core, beside imagecodecs (libtiff's codecs) in the same run.

    python benches/peers/tiff_tiles.py FOLDER [WORD ...]

Writes one file per codec into FOLDER: 512² tiles of a made image: noise, a smooth ground with the noise of a camera, colours
of a stained section. For each, the CPU time of reading the file and decoding every tile: imagecodecs as tifffile calls it,
voxtile as `verify --workers 1`, which also starts the program. The voxels were compared before. Least of five, in MB/s of
decoded voxels.

All codecs together (no WORDS) are written to benches/results/MACHINE/DATE-tiff.csv.
"""

import argparse
import csv
import datetime
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr

from run import ROOT, machine_name, version

BINARY = Path(os.environ.get("VOXTILE", ROOT / "target/release/voxtile")).resolve()
EDGE, COUNT, RUNS = 512, 12, 5


def camera(dtype):
    """Counts of a camera: cells on a background, with the noise of photons."""
    rng = np.random.default_rng(1)
    y, x = np.indices((EDGE * COUNT, EDGE * COUNT), "f4")
    ground = 900 + 600 * np.sin(x / 61) * np.sin(y / 47)
    counts = rng.normal(ground, np.sqrt(ground))
    return counts.astype("u2") if dtype == "u2" else (counts / 8).clip(0, 255).astype("u1")


def colour():
    y, x = np.indices((EDGE * COUNT // 2, EDGE * COUNT // 2), "f4")
    rng = np.random.default_rng(2)
    tissue = [200 - 50 * np.sin(x / 31) * np.cos(y / 23), 150 + 60 * np.cos(x / 17 + y / 29), 190 + 20 * np.sin(y / 13)]
    return np.stack([t + rng.normal(0, 3, t.shape) for t in tissue], -1).clip(0, 255).astype("u1")


def cases():
    gray8, gray16, rgb = camera("u1"), camera("u2"), colour()
    noise = np.random.default_rng(3).integers(0, 256, gray8.shape, "u1")
    yield "LZW, noise u8", noise, {"compression": "lzw"}
    yield "LZW, camera u8", gray8, {"compression": "lzw"}
    yield "LZW + predictor, camera u16", gray16, {"compression": "lzw", "predictor": 2}
    yield "LZW + predictor, colour u8", rgb, {"compression": "lzw", "predictor": 2, "photometric": "rgb"}
    yield "Deflate, camera u16", gray16, {"compression": "adobe_deflate"}
    yield "Deflate + predictor, camera u16", gray16, {"compression": "adobe_deflate", "predictor": 2}
    yield "Deflate + predictor, colour u8", rgb, {"compression": "adobe_deflate", "predictor": 2, "photometric": "rgb"}
    yield "Zstandard, camera u16", gray16, {"compression": "zstd"}
    yield "Zstandard + predictor, camera u16", gray16, {"compression": "zstd", "predictor": 2}
    yield "JPEG 4:4:4, colour u8", rgb, {"compression": "jpeg", "photometric": "rgb", "subsampling": (1, 1)}
    yield "JPEG 4:2:0, colour u8", rgb, {"compression": "jpeg", "photometric": "rgb", "subsampling": (2, 2)}
    yield "JPEG, camera u8", gray8, {"compression": "jpeg"}


def peer(path):
    """Seconds of CPU for all tiles, by the functions that tifffile calls."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        best = np.inf
        for _ in range(RUNS):
            start = time.process_time()
            for data, i in file.filehandle.read_segments(page.dataoffsets, page.databytecounts):
                page.decode(data, i)
            best = min(best, time.process_time() - start)
    return best


def ours(path):
    best = np.inf
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([BINARY, "verify", path, "--workers", "1", "-q"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def same(path, tmp):
    out = tmp / "seen.zarr"
    subprocess.run([BINARY, "convert", path, out, "--codec", "none", "--overwrite", "-q"], check=True)
    node = zarr.open(out, mode="r")
    got = np.asarray((node if isinstance(node, zarr.Array) else node["0"])[...]).astype("i4")
    want = tifffile.imread(path).astype("i4")
    want = np.moveaxis(want, -1, 0) if want.ndim == 3 else want
    worst = int(np.abs(got - want).max())
    if worst > 0:
        sys.exit(f"{path.name}: differs by {worst}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"imagecodecs {imagecodecs.__version__}, tifffile {tifffile.__version__}; MB/s of one core")
    print(f"{'tiles of ' + str(EDGE) + '²':36} {'imagecodecs':>12} {'voxtile':>9} {'ratio':>6} {'stored':>7}")
    rows = []
    with tempfile.TemporaryDirectory(dir=args.folder) as tmp:
        for name, image, options in cases():
            if args.words and not any(word in name for word in args.words):
                continue
            path = args.folder / (name.replace(" ", "_").replace(",", "").replace(":", "") + ".tif")
            tifffile.imwrite(path, image, tile=(EDGE, EDGE), metadata=None, **options)
            same(path, Path(tmp))
            megabytes = image.nbytes / 1e6
            theirs, mine = megabytes / peer(path), megabytes / ours(path)
            stored = path.stat().st_size / image.nbytes
            print(f"{name:36} {theirs:12.0f} {mine:9.0f} {mine / theirs:6.2f} {stored:7.2f}", flush=True)
            path.unlink()
            rows.append([name, f"{mine:.0f}", f"{theirs:.0f}", f"{mine / theirs:.2f}", f"{stored:.3f}"])
    if not args.words:
        write(rows)


def write(rows):
    there = ROOT / "benches" / "results" / machine_name() / f"{datetime.date.today().isoformat()}-tiff.csv"
    there.parent.mkdir(parents=True, exist_ok=True)
    with open(there, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        peer = f"imagecodecs {imagecodecs.__version__} MB/s"
        out.writerow(["tiles of 512²", f"voxtile {version('voxtile', BINARY)} MB/s", peer, "ratio", "stored_share"])
        out.writerows(rows)


if __name__ == "__main__":
    main()
