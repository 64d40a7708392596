"""Whether two outputs agree: `python agree.py A B [TOLERANCE]`, in slabs, so that large ones fit.

Of tables (.csv), the columns that both have must be equal; with a tolerance, each number to that much of itself. Of images,
without a tolerance, shape, sample type and every bit must be equal. With one, values may differ by that much, relative to
the largest of B. Prints one line and ends with 0 or 1.
"""

import csv
import sys

import numpy as np
import zarr


def opened(path):
    node = zarr.open(path, mode="r")
    return node if isinstance(node, zarr.Array) else node["0"]


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
