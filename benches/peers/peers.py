"""One peer doing one job, as a process of its own: `python peers.py JOB PEER INPUT OUTPUT`.

Written as the documentation of each library shows it; wall time and memory are taken from outside. Outputs have the
chunks and the codec that voxtile is told to write.
"""

import csv
import multiprocessing
import subprocess
import sys
from pathlib import Path

BLOSC = '[{"name":"blosc","configuration":{"cname":"zstd","clevel":3,"shuffle":"bitshuffle","typesize":4,"blocksize":0}}]'
ZSTD = '[{"name":"zstd","configuration":{"level":3,"checksum":false}}]'
SIGMA = 2.0
BOX = (15,) * 3
WEIGHTS = (0.25, 0.5, 0.25)
THRESHOLD = 1000


def source(path):
    import zarr

    return zarr.open_array(path, mode="r")


def target(path, shape, dtype, chunks=(128,) * 3, **options):
    import zarr

    if "compressors" not in options:
        options["compressors"] = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype=dtype, **options)


def gauss3d_scipy(here, there):
    from scipy import ndimage

    image = source(here)[:]
    target(there, image.shape, "f4")[:] = ndimage.gaussian_filter(image.astype("f4"), SIGMA, mode="reflect")


def gauss3d_dask_image(here, there):
    import dask.array as da
    from dask_image.ndfilters import gaussian_filter

    image = da.from_zarr(here).astype("f4")
    da.store(gaussian_filter(image, SIGMA, mode="reflect"), target(there, image.shape, "f4"), lock=False)


def gauss3d_zarrs_filter(here, there):
    tool("zarrs_filter", "gaussian", "-d", "float32", "--bytes-to-bytes-codecs", BLOSC, here, there, "2,2,2", "8,8,8")


def tophat_scipy(here, there):
    from scipy import ndimage

    image = source(here)[:]
    target(there, image.shape, "u2")[:] = ndimage.white_tophat(image, size=BOX)


def tophat_dask(here, there):
    import dask.array as da
    from scipy import ndimage

    image = da.from_zarr(here)
    # An opening reads 7 voxels twice.
    done = image.map_overlap(lambda block: ndimage.white_tophat(block, size=BOX), depth=14, boundary="reflect")
    da.store(done, target(there, image.shape, "u2"), lock=False)


def edges(image):
    """Gray by weights that f32 holds exactly, then scikit-image's sobel."""
    import numpy as np

    return image.astype("f4") @ np.array(WEIGHTS, "f4")


def sobel_skimage(here, there):
    import tifffile
    from skimage.filters import sobel

    gray = edges(tifffile.imread(here))
    target(there, gray.shape, "f4", (2048, 2048), compressors=None)[:] = sobel(gray)


def sobel_dask(here, there):
    import dask.array as da
    import numpy as np
    import tifffile
    from skimage.filters import sobel

    rgb = da.from_zarr(tifffile.imread(here, aszarr=True))
    gray = rgb.map_blocks(edges, drop_axis=2, dtype="f4").rechunk((2048, 2048))
    out = target(there, gray.shape, "f4", (2048, 2048), compressors=None)
    da.store(gray.map_overlap(sobel, depth=1, boundary="reflect", meta=np.empty((0, 0), "f4")), out, lock=False)


def convert_tensorstore(here, there):
    import tensorstore as ts

    image = ts.open({"driver": "zarr3", "kvstore": f"file://{here}"}).result()
    inner = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 3}}]
    sharding = {"name": "sharding_indexed", "configuration": {"chunk_shape": [64] * 3, "codecs": inner}}
    grid = {"name": "regular", "configuration": {"chunk_shape": [256] * 3}}
    metadata = {"shape": list(image.shape), "data_type": "uint16", "chunk_grid": grid, "codecs": [sharding]}
    out = ts.open({"driver": "zarr3", "kvstore": f"file://{there}", "create": True, "metadata": metadata}).result()
    z, y, x = ([slice(at, min(at + 256, n)) for at in range(0, n, 256)] for n in image.shape)
    for k in z:
        for write in [out[k, j, i].write(image[k, j, i]) for j in y for i in x]:
            write.result()


def convert_zarr_python(here, there):
    import zarr

    image = source(here)
    out = target(there, image.shape, image.dtype, (64,) * 3, shards=(256,) * 3, compressors=zarr.codecs.ZstdCodec(level=3))
    for k in range(0, image.shape[0], 256):
        for j in range(0, image.shape[1], 256):
            for i in range(0, image.shape[2], 256):
                box = (slice(k, k + 256), slice(j, j + 256), slice(i, i + 256))
                out[box] = image[box]


def convert_zarrs_reencode(here, there):
    tool("zarrs_reencode", "-c", "64,64,64", "-s", "256,256,256", "--bytes-to-bytes-codecs", ZSTD, here, there)


def rechunk_tensorstore(here, there):
    import tensorstore as ts

    image = ts.open({"driver": "zarr3", "kvstore": f"file://{here}"}).result()
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 3}}]
    chunk = [1, *(min(n, 1024) for n in image.shape[1:])]
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    metadata = {"shape": list(image.shape), "data_type": "uint16", "chunk_grid": grid, "codecs": codecs}
    out = ts.open({"driver": "zarr3", "kvstore": f"file://{there}", "create": True, "metadata": metadata}).result()
    # As many planes as the input's chunks have, so that each is decoded once.
    for z in range(0, image.shape[0], 128):
        out[z : z + 128].write(image[z : z + 128]).result()


def rechunk_zarr_python(here, there):
    import zarr

    image = source(here)
    chunk = (1, *(min(n, 1024) for n in image.shape[1:]))
    out = target(there, image.shape, image.dtype, chunk, compressors=zarr.codecs.ZstdCodec(level=3))
    for z in range(0, image.shape[0], 128):
        out[z : z + 128] = image[z : z + 128]


def label_scipy(here, there):
    import numpy as np
    from scipy import ndimage

    labels = ndimage.label(source(here)[:] > THRESHOLD)[0]
    target(there, labels.shape, "u4")[:] = labels.astype(np.uint32)


def label_cc3d(here, there):
    import cc3d
    import numpy as np

    labels = cc3d.connected_components(source(here)[:] > THRESHOLD, connectivity=6, out_dtype=np.uint32)
    target(there, labels.shape, "u4")[:] = labels


def label_dask_image(here, there):
    import dask.array as da
    from dask_image.ndmeasure import label

    labels, _ = label(da.from_zarr(here) > THRESHOLD)
    da.store(labels.astype("u4"), target(there, labels.shape, "u4"), lock=False)


def noise_cc3d(here, there):
    import cc3d
    import numpy as np

    labels = cc3d.connected_components(source(here)[:], connectivity=6, out_dtype=np.uint32)
    target(there, labels.shape, "u4")[:] = labels


def peaks_of(path):
    import tifffile
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian

    smooth = gaussian(tifffile.imread(path), 4, preserve_range=True)
    return [(path.name, y, x) for y, x in peak_local_max(smooth, min_distance=6, threshold_abs=1000)]


def peaks_table(found, there):
    with open(there, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "y_px", "x_px"])
        rows.writerows(row for of_image in found for row in of_image)


def peaks_skimage(here, there):
    peaks_table([peaks_of(path) for path in sorted(Path(here).iterdir())], there)


def peaks_skimage_pool(here, there):
    with multiprocessing.Pool() as pool:
        peaks_table(pool.map(peaks_of, sorted(Path(here).iterdir())), there)


def objects_skimage(here, there):
    import numpy as np
    from scipy import ndimage
    from skimage.filters import threshold_otsu
    from skimage.measure import regionprops_table

    image = source(here)[:]
    flat = ndimage.white_tophat(image, 15).astype(np.float32)
    smooth = ndimage.gaussian_filter(flat, 2, output=flat)
    labels = ndimage.label(smooth > threshold_otsu(smooth))[0]
    large = np.bincount(labels.ravel()) >= 50
    large[0] = False
    labels = (np.cumsum(large) * large).astype(np.int32)[labels]
    wanted = ("label", "area", "bbox", "centroid", "centroid_weighted", "intensity_min", "intensity_max", "intensity_mean", "intensity_std")
    table = regionprops_table(labels, image, properties=wanted)
    names = {"label": "label", "area": "area_px", **{f"intensity_{n}": f"intensity_{n}" for n in ("min", "max", "mean", "std")}}
    for n, axis in enumerate("zyx"):
        names |= {f"bbox-{n}": f"bbox_min_{axis}_px", f"bbox-{n + 3}": f"bbox_max_{axis}_px"}
        names |= {f"centroid-{n}": f"centroid_{axis}_px", f"centroid_weighted-{n}": f"weighted_centroid_{axis}_px"}
    with open(there, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(names.values())
        rows.writerows(zip(*(table[name].tolist() for name in names)))


def tool(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    job, peer, here, there = sys.argv[1:]
    globals()[f"{job}_{peer}".replace("-", "_")](here, there)
