#!/usr/bin/env python3
"""Results of scipy.ndimage for the rank filters and morphology, and of skimage.restoration.rolling_ball.

Writes raw little-endian arrays and `cases.txt` to tests/data/ops/rank. Each line of that list is
    step | input file, dtype, axes, sizes | output file, dtype, axes, sizes | ULP
and crates/kernels/tests/point.rs runs them. Made with numpy 2.4, scipy 1.17, scikit-image 0.26.
"""

import pathlib

import numpy as np
import scipy.ndimage as nd
from skimage import morphology, restoration

OUT = pathlib.Path(__file__).parent / "ops" / "rank"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.glob("*.raw"):
    old.unlink()
rng = np.random.default_rng(30)
lines, written = [], {}
BORDERS = ["reflect", "constant", "nearest", "mirror", "wrap"]
CVAL = 90
FILTERS = {
    "median": nd.median_filter,
    "min": nd.minimum_filter,
    "max": nd.maximum_filter,
    "erode": nd.grey_erosion,
    "dilate": nd.grey_dilation,
    "open": nd.grey_opening,
    "close": nd.grey_closing,
    "tophat": nd.white_tophat,
    "blackhat": nd.black_tophat,
}


def store(array):
    array = np.ascontiguousarray(array)
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    if raw not in written:
        written[raw] = f"{len(written):03}.raw"
        (OUT / written[raw]).write_bytes(raw)
    return written[raw]


def say(array, axes):
    return f"{store(array)} {array.dtype.name} {axes} {','.join(map(str, array.shape))}"


def image(shape, dtype):
    """Smooth objects on noise, ties, and the ends of the type; what scipy takes through double stays exact."""
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    values = 120 + 60 * sum(np.sin(g / 2.0) for g in grid) + rng.normal(0, 20, shape)
    if np.dtype(dtype).kind == "f":
        return ((values - 120) / 7).astype(dtype)
    info = np.iinfo(dtype)
    if info.bits > 8:
        values = (values - 100 * (info.min < 0)) * 60
    values = np.clip(np.rint(values), info.min, info.max).astype(dtype)
    if info.bits <= 32:
        values.flat[rng.integers(values.size, size=values.size // 20)] = info.max
        values.flat[rng.integers(values.size, size=values.size // 20)] = info.min
    return values


def case(name, source, axes, size, border):
    # scipy's difference of integers wraps where ours stops.
    if name in ("tophat", "blackhat") and source.dtype.kind != "f":
        shape = FILTERS["open" if name == "tophat" else "close"]
        other = shape(source, size=size, mode=border, cval=CVAL).astype(object)
        result = source.astype(object) - other if name == "tophat" else other - source.astype(object)
        info = np.iinfo(source.dtype)
        result = np.clip(result, info.min, info.max).astype(source.dtype)
    else:
        result = FILTERS[name](source, size=size, mode=border, cval=CVAL)
    text = str(size) if np.isscalar(size) else ",".join(map(str, size))
    extra = "" if border == "reflect" else f" border={border}"
    extra += f" cval={CVAL}" if border == "constant" else ""
    lines.append(f"{name} {text}{extra} | {say(source, axes)} | {say(result, axes)} | 0")


volume = {d: image((4, 6, 19), d) for d in ("uint8", "int16", "uint16", "float32")}
plane = {d: image((6, 26), d) for d in ("uint8", "int8", "uint16", "uint32", "int32", "uint64", "int64", "float32", "float64")}
for number, name in enumerate(FILTERS):
    # Every size from 2 to 6 with every border, on one type after the other.
    for size in range(2, 7):
        for step, border in enumerate(BORDERS):
            dtype = list(plane)[(number + size + step) % len(plane)]
            case(name, plane[dtype], "yx", size, border)
    for step, border in enumerate(BORDERS):
        dtype = list(volume)[(number + step) % len(volume)]
        case(name, volume[dtype], "zyx", 3 + step % 3, border)
    case(name, volume["uint16"], "zyx", (1, 5, 5), "reflect")
    case(name, volume["uint8"], "zyx", (2, 1, 6), "mirror")
    case(name, image((1, 5, 18), "uint16"), "zyx", 3, "reflect")
    case(name, image((6, 1, 9), "uint8"), "zyx", 4, "wrap")
    case(name, image((5, 1), "float32"), "yx", 5, "nearest")
    case(name, image((40,), "uint8"), "x", 9, "reflect")



def shaped(name, source, axes, words, border, result):
    extra = "" if border == "reflect" else f" border={border}"
    extra += f" cval={CVAL}" if border == "constant" else ""
    lines.append(f"{name} {words}{extra} | {say(source, axes)} | {say(result, axes)} | 0")


# Windows that are no boxes.
DRAWN = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
FAR = np.array([[[0, 1, 0, 0]], [[1, 0, 0, 1]], [[0, 0, 0, 0]], [[0, 0, 1, 0]]])
names = [name for name in FILTERS if not name.endswith("hat")]
for number, name in enumerate(names):
    for step, border in enumerate(BORDERS):
        options = {"mode": border, "cval": CVAL}
        source = plane[list(plane)[(number + step) % len(plane)]]
        shaped(name, source, "yx", "footprint=0110/1111/0001", border, FILTERS[name](source, footprint=DRAWN, **options))
        source = volume[list(volume)[(number + step) % len(volume)]]
        words, set_ = [
            ("shape=ball radius=2", morphology.ball(2)),
            ("shape=diamond size=5", morphology.octahedron(2)),
            ("footprint=0100//1001//0000//0010", FAR),
        ][(number + step) % 3]
        shaped(name, source, "zyx", words, border, FILTERS[name](source, footprint=set_, **options))
# Percentiles and ranks.
for step, border in enumerate(BORDERS):
    options = {"mode": border, "cval": CVAL}
    for dtype, source in list(plane.items())[step::2]:
        percentile = [20, 99.9, -12.5, 0, 100][step]
        shaped("percentile", source, "yx", f"{percentile} size=4", border, nd.percentile_filter(source, percentile, 4, **options))
        rank = [1, -2, 7, 0, -1][step]
        shaped("rank", source, "yx", f"{rank} size=3", border, nd.rank_filter(source, rank, 3, **options))
    source = volume["uint16"]
    shaped("rank", source, "zyx", "-3 shape=ball radius=2", border, nd.rank_filter(source, -3, footprint=morphology.ball(2), **options))
    shaped("percentile", source, "zyx", "75 size=3", border, nd.percentile_filter(source, 75, 3, **options))
# Masks, several times.
mask = (volume["uint8"] > 130).astype(np.uint8)
for name, filter_ in [
    ("erode", nd.binary_erosion), ("dilate", nd.binary_dilation), ("open", nd.binary_opening), ("close", nd.binary_closing),
]:
    for connectivity, words in [(1, "shape=cross radius=1"), (2, "shape=ball radius=1.5"), (3, "size=3")]:
        for iterations in (1, 2):
            result = filter_(mask, nd.generate_binary_structure(3, connectivity), iterations=iterations).astype(np.uint8)
            lines.append(f"{name} {words} iterations={iterations} border=constant | {say(mask, 'zyx')} | {say(result, 'zyx')} | 0")
# A ball that rolls below the image.
for source, axes in [*((plane[d], "yx") for d in ("uint8", "int8", "uint16", "uint32", "int32", "float32", "float64")), *((v, "zyx") for v in volume.values())]:
    for radius in (3, 5.5):
        result = source - restoration.rolling_ball(source, radius=radius)
        if source.dtype.kind == "i":
            # numpy's difference wraps where ours stops.
            exact = source.astype(object) - restoration.rolling_ball(source, radius=radius).astype(object)
            result = np.clip(exact, np.iinfo(source.dtype).min, np.iinfo(source.dtype).max).astype(source.dtype)
        lines.append(f"subtract-background {radius} | {say(source, axes)} | {say(result, axes)} | 0")

(OUT / "cases.txt").write_text("\n".join(lines) + "\n")
print(len(lines), "cases,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")
