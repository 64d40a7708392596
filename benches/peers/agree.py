"""Whether two outputs agree: `python agree.py A B [TOLERANCE]`, in slabs, so that large ones fit.

Of pyramids, the finest level, whatever the order of its axes. Of tables (.csv), the columns that both have must be equal; with a tolerance, each number to that much of itself. Of images,
without a tolerance, shape, sample type and every bit must be equal. With one, values may differ by that much, relative to
the largest of B. Prints one line and ends with 0 or 1.
"""

import csv
import sys

import numpy as np
import tifffile
import zarr


def opened(path):
    if path.endswith(".tif"):
        axes = tifffile.TiffFile(path).series[0].axes.lower().replace("s", "c")
        return Turned(zarr.open(tifffile.imread(path, aszarr=True, level=0), mode="r"), axes)
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return node
    image = node.attrs["ome"]["multiscales"][0] if "ome" in node.attrs else node.attrs["multiscales"][0]
    return Turned(node[image["datasets"][0]["path"]], [axis["name"] for axis in image["axes"]])


class Turned:
    """An array with its axes in our order, those of one element left out; its slabs are along the slowest image axis."""

    def __init__(self, array, axes):
        self.array, self.dtype = array, array.dtype
        kept = [n for n, size in enumerate(array.shape) if size > 1]
        # Slabs along y or z, whatever the order of the file.
        self.order = sorted(kept, key=lambda n: "zyxct".index(axes[n]))
        self.shape = tuple(array.shape[n] for n in self.order)

    def __getitem__(self, slab):
        index = tuple(slab if n == self.order[0] else slice(None) if n in self.order else 0 for n in range(len(self.array.shape)))
        left = [n for n in range(len(self.array.shape)) if n in self.order]
        return np.transpose(self.array[index], [left.index(n) for n in self.order])


def tables(a, b, tolerance):
    a, b = (list(csv.DictReader(open(path, newline=""))) for path in (a, b))
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} rows", 1
    columns = [name for name in a[0] if name in b[0]] if a else []

    def apart(x, y):
        """How far two cells are from each other, relative to the second."""
        return 0 if x == y else abs(float(x) - float(y)) / (abs(float(y)) or 1)

    worst = [max((apart(x[name], y[name]) for name in columns), default=0) for x, y in zip(a, b)]
    differ = sum(w > float(tolerance or 0) for w in worst)
    if differ:
        return f"{differ} of {len(a)} rows differ", 1
    return f"within {max(worst):.1e}" if any(worst) else "exact", 0


def main(a, b, tolerance=None):
    if a.endswith(".csv"):
        return tables(a, b, tolerance)
    a, b = opened(a), opened(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.shape} {a.dtype} and {b.shape} {b.dtype}", 1
    differ, worst, largest = 0, 0.0, 0.0
    step = max(1, 2**24 // int(np.prod(a.shape[1:])))
    for at in range(0, a.shape[0], step):
        left, right = a[at : at + step], b[at : at + step]
        differ += int(np.count_nonzero(left != right))
        if tolerance is not None:
            worst = max(worst, float(np.abs(left.astype("f8") - right).max()))
            largest = max(largest, float(np.abs(right).max()))
    if differ == 0:
        return "exact", 0
    if tolerance is not None and worst <= float(tolerance) * largest:
        return f"within {worst / largest:.1e}", 0
    return f"{differ} of {a.size} voxels differ", 1


if __name__ == "__main__":
    words, code = main(*sys.argv[1:])
    print(words)
    raise SystemExit(code)
