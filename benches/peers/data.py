"""Makes the inputs of the comparisons, always the same ones.

    python benches/peers/data.py DIR [--side 512] [--what vol,plate]

`vol{side}.zarr`  Zarr v3, u16, side³ voxels, chunks of 128³, blosc-zstd:3:bitshuffle: bright blobs of 3 to 6 voxels over noise
`noise{side}.zarr` Zarr v3, u8, 0 and 1 at random, three in ten set; chunks and codec as above
`plate/`          240 TIFF of 1024 × 1280 pixels, u16, each with 210 blurred nuclei
`wsi16.tif`       that slide 4 × 4 times, 38912 × 53248 pixels
`wsi.tif`         BigTIFF, RGB u8, 9728 × 13312 pixels in plain tiles of 512², smooth like stained tissue, with noise
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile
import zarr
from scipy import ndimage

RADII = (3.0, 4.0, 5.0, 6.0)
TILE = 512


def blob(radius):
    """A peaked blob of height 1, cut at three radii."""
    reach = int(np.ceil(3 * radius))
    square = (np.arange(-reach, reach + 1, dtype=np.float32) / radius) ** 2
    return np.exp(-0.5 * sum(np.meshgrid(square, square, square, indexing="ij", sparse=True)) ** 2).astype(np.float32)


def overlap(centre, reach, side):
    """The part of a blob that lies in the volume: where in the volume, and where in the blob."""
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, side)
    there = tuple(slice(a, b) for a, b in zip(low, high))
    return there, tuple(slice(s.start - (c - reach), s.stop - (c - reach)) for s, c in zip(there, centre))


def volume(side):
    rng = np.random.default_rng(7)
    out = np.zeros((side,) * 3, np.float32)
    blobs = [blob(r) for r in RADII]
    count = int(side**3 / 20000)
    centres, kinds, heights = rng.integers(0, side, (count, 3)), rng.integers(0, len(blobs), count), rng.uniform(400, 4000, count)
    for centre, kind, height in zip(centres, kinds, heights):
        there, here = overlap(centre, blobs[kind].shape[0] // 2, side)
        out[there] += height * blobs[kind][here]
    for plane in out:
        plane += 300 + 40 * rng.standard_normal((side, side), dtype=np.float32)
    return np.clip(out, 0, 65535).astype(np.uint16)


def slide(rows=19, columns=26):
    rng = np.random.default_rng(3)
    height, width = rows * TILE, columns * TILE
    tissue = ndimage.zoom(rng.random((height // 128, width // 128)).astype(np.float32), 128, order=1)
    out = np.empty((height, width, 3), np.uint8)
    for channel, (bright, dark) in enumerate(((240, 150), (235, 80), (242, 160))):
        for y in range(0, height, TILE):
            density = np.clip((tissue[y : y + TILE] - 0.35) * 3, 0, 1)
            out[y : y + TILE, :, channel] = bright - (bright - dark) * density + rng.integers(-6, 7, density.shape)
    return out


def noise(side):
    return (np.random.default_rng(11).random((side,) * 3, dtype=np.float32) < 0.3).astype(np.uint8)


def nuclei(number, shape=(1024, 1280), count=210):
    """One image of a plate."""
    rng = np.random.default_rng(100 + number)
    out = np.full(shape, 250, np.float32)
    for _ in range(count):
        radius, height = rng.choice((6.0, 8.0, 10.0)), rng.uniform(1500, 9000)
        reach = int(np.ceil(3 * radius))
        y, x = (int(rng.integers(0, n)) for n in shape)
        rows, columns = np.ogrid[max(y - reach, 0) : min(y + reach + 1, shape[0]), max(x - reach, 0) : min(x + reach + 1, shape[1])]
        far = ((rows - y) / radius) ** 2 + ((columns - x) / radius) ** 2
        out[rows[0, 0] : rows[-1, 0] + 1, columns[0, 0] : columns[0, -1] + 1] += height * np.exp(-0.5 * far**2)
    out += 30 * rng.standard_normal(shape)
    return np.clip(out, 0, 65535).astype(np.uint16)


def make_plate(path):
    path.mkdir()
    for number in range(240):
        tifffile.imwrite(path / f"well{number:03d}.tif", nuclei(number))


def make_zarr(path, voxels):
    array = zarr.create_array(
        path, shape=voxels.shape, chunks=(128,) * 3, dtype=voxels.dtype, overwrite=True,
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
    )
    array[:] = voxels


def make_slide(path):
    tifffile.imwrite(path, slide(), tile=(TILE, TILE), photometric="rgb", bigtiff=True)


def make_large_slide(path):
    """The slide 4 × 4 times, a tile at a time."""
    image = slide()
    rows, columns = (n // TILE for n in image.shape[:2])
    tiles = (
        image[y % rows * TILE : (y % rows + 1) * TILE, x % columns * TILE : (x % columns + 1) * TILE]
        for y in range(4 * rows)
        for x in range(4 * columns)
    )
    shape = (4 * image.shape[0], 4 * image.shape[1], 3)
    tifffile.imwrite(path, tiles, shape=shape, dtype="u1", tile=(TILE, TILE), photometric="rgb", bigtiff=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--what", default="vol,noise,plate,wsi.tif")
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    made = {
        "vol": (args.dir / f"vol{args.side}.zarr", lambda p: make_zarr(p, volume(args.side))),
        "noise": (args.dir / f"noise{args.side}.zarr", lambda p: make_zarr(p, noise(args.side))),
        "plate": (args.dir / "plate", make_plate),
        "wsi.tif": (args.dir / "wsi.tif", make_slide),
        "wsi16.tif": (args.dir / "wsi16.tif", make_large_slide),
    }
    for path, make in (made[name] for name in args.what.split(",")):
        if not path.exists():
            print("makes", path, flush=True)
            make(path)


if __name__ == "__main__":
    main()
