"""What a voxel costs against the radius of the window, beside scipy and scikit-image, on one core.

    cargo bench -p voxtile-kernels --bench step --no-run
    python benches/peers/radius.py [--only gaussian,median] [--folder /dev/shm]

As ops.py, with its cases measured for one radius after another, on 1024² and 128³ voxels of u16. Who took longer than four
seconds is not asked for larger radii; where both answer, the answers are compared.

Writes benches/results/MACHINE/DATE-radius.csv and docs/radius.svg, a plot of all rows of that file. Exit code 1, if an answer
differs.
"""

import csv
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import ops
from ops import F4, Case, ball, moments, ndi, restoration, wide

COLUMNS = ["operation", "recipe", "shape", "radius", "voxtile_ns_per_voxel", "peer", "peer_ns_per_voxel", "answer"]
PATIENCE = 4.0
RADII = (1, 2, 3, 5, 8, 12, 18, 25, 35, 50)


@dataclass
class Family:
    """An operation with a radius: its step, what does the same elsewhere, and of which radii."""

    name: str
    step: Callable
    call: str
    peer: Callable
    tolerance: float = 0
    radii: tuple = RADII
    on: tuple = ("volume", "image")


def box(name):
    return lambda r: f"{name} {2 * r + 1}"


FAMILIES = [
    Family("gaussian", lambda r: f"gaussian {r / 4}", "ndi.gaussian_filter", lambda v, r: ndi.gaussian_filter(v, r / 4, output=F4)),
    Family("mean", box("mean"), "ndi.uniform_filter", lambda v, r: ndi.uniform_filter(v, 2 * r + 1, output=F4)),
    Family("variance", box("variance"), "two ndi.uniform_filter", lambda v, r: moments(v, 2 * r + 1), 1e-5),
    Family("median", box("median"), "ndi.median_filter", lambda v, r: ndi.median_filter(v, 2 * r + 1)),
    Family("min", box("min"), "ndi.minimum_filter", lambda v, r: ndi.minimum_filter(v, 2 * r + 1)),
    Family("max", box("max"), "ndi.maximum_filter", lambda v, r: ndi.maximum_filter(v, 2 * r + 1)),
    Family("open with a ball", lambda r: f"open shape=ball radius={r}", "ndi.grey_opening, footprint",
           lambda v, r: ndi.grey_opening(v, footprint=ball(r, v.ndim))),
    Family("rolling ball", lambda r: f"subtract-background radius={r}", "restoration.rolling_ball",
           lambda v, r: v - restoration.rolling_ball(v, radius=r), radii=RADII[1:]),
]  # fmt: skip


def rows(args, family, which, folder):
    """One row per radius."""
    image = ops.voxels((128,) * 3 if which == "volume" else (1024,) * 2)
    patient = True
    for radius in (r for r in family.radii if which == "image" or r <= 25):
        case = Case(family.step(radius), family.call, None, family.tolerance)
        ours, seconds = ops.by_step(args, case, [image], folder)
        row = {
            "operation": family.name, "recipe": case.step, "shape": "×".join(map(str, image.shape)), "radius": radius,
            "voxtile_ns_per_voxel": f"{seconds * 1e9 / image.size:.3f}", "peer": family.call, "peer_ns_per_voxel": "", "answer": "",
        }  # fmt: skip
        if patient:
            theirs, took = ops.least(lambda: family.peer(image, radius), budget=0.5)
            patient = took < PATIENCE
            row |= {"peer_ns_per_voxel": f"{took * 1e9 / image.size:.3f}", "answer": ops.agreement(case, ours, theirs)}
        yield row
        if seconds > PATIENCE:
            break


# The plot: a panel for each operation, time against radius, both in powers.
PANEL, GAP, LEFT, TOP = (210, 150), (64, 58), 56, 44
X, Y = (1, 64), (0.1, 1e5)
INK, LINES = "#444", {"voxtile": "#c0392b", "peer": "#2c6fbb"}


def placed(radius, ns):
    """Pixels from the panel's corner."""
    share = lambda value, ends: math.log(value / ends[0]) / math.log(ends[1] / ends[0])  # noqa: E731
    return PANEL[0] * share(radius, X), PANEL[1] * (1 - share(min(max(ns, Y[0]), Y[1]), Y))


def curve(rows, column, colour, dashed):
    points = [placed(float(r["radius"]), float(r[column])) for r in rows if r[column]]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>{dots}'


def panel(name, rows):
    parts = [f'<text x="0" y="-8" font-weight="bold">{name}</text>']
    for ns in (0.1, 1, 10, 100, 1e3, 1e4, 1e5):
        _, y = placed(1, ns)
        label = f"{ns:g}" if ns < 1e3 else f"{ns / 1e3:g} µs"
        parts.append(f'<path d="M0 {y:.1f}H{PANEL[0]}" stroke="#ddd"/><text x="-5" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for radius in (1, 2, 4, 8, 16, 32, 64):
        x, _ = placed(radius, 1)
        parts.append(f'<path d="M{x:.1f} 0V{PANEL[1]}" stroke="#eee"/><text x="{x:.1f}" y="{PANEL[1] + 14}" text-anchor="middle">{radius}</text>')
    for shape in sorted({r["shape"] for r in rows}):
        of_shape = [r for r in rows if r["shape"] == shape]
        for who, colour in LINES.items():
            parts.append(curve(of_shape, f"{who}_ns_per_voxel", colour, dashed=shape.count("×") == 1))
    return "".join(parts)


def plot(rows, machine):
    """All rows as an SVG."""
    names = list(dict.fromkeys(row["operation"] for row in rows))
    across = min(4, len(names))
    width = LEFT + across * (PANEL[0] + GAP[0])
    height = TOP + -(-len(names) // across) * (PANEL[1] + GAP[1])
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18">ns per voxel of u16 against radius in voxels, one core of {machine}: '
        f'<tspan fill="{LINES["voxtile"]}">voxtile</tspan>, <tspan fill="{LINES["peer"]}">scipy or scikit-image</tspan>; '
        "128³ solid, 1024² dashed</text>",
    ]
    for n, name in enumerate(names):
        x, y = LEFT + n % across * (PANEL[0] + GAP[0]), TOP + n // across * (PANEL[1] + GAP[1]) + 12
        out.append(f'<g transform="translate({x} {y})">{panel(name, [r for r in rows if r["operation"] == name])}</g>')
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = ops.parser(__doc__)
    parser.add_argument("--plot", type=Path, default=ops.ROOT / "docs/radius.svg")
    args = ops.parsed(parser, {family.name for family in FAMILIES})
    os.sched_setaffinity(0, {args.core})
    made = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for family in (f for f in FAMILIES if f.name in args.only):
            for which in family.on:
                for row in rows(args, family, which, Path(folder)):
                    print(f"{row['recipe']:36} {row['shape']:12} {row['voxtile_ns_per_voxel']:>10} {row['peer_ns_per_voxel']:>12}  {row['answer']}", flush=True)
                    made.append(row)
    path = args.results / args.machine / f"{args.date}-radius.csv"
    ops.write(path, made, COLUMNS, ("recipe", "shape"))
    with open(path, newline="") as file:
        args.plot.write_text(plot(list(csv.DictReader(file)), args.machine))
    wrong = [row["recipe"] for row in made if row["answer"].startswith("NO")]
    print(f"answers that differ: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
