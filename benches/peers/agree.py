"""Whether two outputs agree: `python agree.py A B [TOLERANCE]`, in slabs, so that large ones fit.

Of tables (.csv), the columns that both have must be equal. Of images, without a tolerance, shape, sample type and every bit must be equal. With one, values may differ by that much, relative to
the largest of B. Prints one line and ends with 0 or 1.
"""

import csv
import sys

import numpy as np
import zarr


def opened(path):
    node = zarr.open(path, mode="r")
    return node if isinstance(node, zarr.Array) else node["0"]


def tables(a, b):
    a, b = (list(csv.DictReader(open(path, newline=""))) for path in (a, b))
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} rows", 1
    columns = [name for name in a[0] if name in b[0]] if a else []
    differ = sum(any(x[name] != y[name] for name in columns) for x, y in zip(a, b))
    return (f"{differ} of {len(a)} rows differ", 1) if differ else ("exact", 0)


def main(a, b, tolerance=None):
    if a.endswith(".csv"):
        return tables(a, b)
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
