"""Measures voxtile and its peers on the same files in one run, and checks that their answers agree.

    cargo build --release
    python benches/peers/run.py DIR [--only gauss3d,tophat] [--side 512] [--runs 5]

DIR gets the inputs (data.py makes them, if they are not there) and the outputs. This python must have the peers:
requirements.txt; `zarrs_filter`, `zarrs_reencode`, `ngff-zarr` and `vips` are used where they are on the PATH (`cargo install
zarrs_tools --features filter,ome,info,validate`; `pip install "ngff-zarr[cli]==0.50.0" dask-image tifffile imagecodecs` in a
venv of its own, because it wants other versions of what it shares with the peers, with that venv's bin at the end of PATH;
`apt install libvips-tools`, because the libvips that pip installs lacks Zstandard in TIFF). Contenders take turns, so that what the machine does meanwhile meets all of them;
inputs are read once before, so the file cache is warm; nobody flushes (zarrs_tools since 0.3.13 does, per chunk).
--fill gives free memory to the file cache before each run, as on a machine that has been up for a while: a virtual
machine's host takes free pages back, and whoever writes or allocates next pays 1 to 2 s per GiB for getting them again.

Writes benches/results/MACHINE/DATE.csv: wall seconds (least and median), peak memory, versions, whether the output agrees with
the job's reference, and the ratio of medians to voxtile. Absolute seconds are of that machine and hour; a claim is a ratio from one run.
Exit code 1, if an answer differs or a contender fails.
"""

# This process stays small: what it holds when it starts another counts as that one's peak. So no numpy here.
import argparse
import csv
import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Commands that are not packages of this python.
TOOLS = ("ngff-zarr", "vips")
COLUMNS = [
    "date", "machine", "job", "side", "contender", "version", "runs", "min_s", "median_s", "ratio_to_voxtile", "peak_mib",
    "agrees", "cache", "note",
]  # fmt: skip


@dataclass
class Contender:
    """Who does the job: a command with IN and OUT in it, what to compare with, how closely."""

    name: str
    command: list
    package: str = "voxtile"
    agrees_with: str | None = None
    tolerance: str | None = None
    # Reads this contender's output instead of the job's input: what it costs to read and encode that again.
    reads: str | None = None


@dataclass
class Job:
    source: str
    about: str
    contenders: list = field(default_factory=list)
    # End of the name of what is made: an image, or a table.
    ending: str = ".zarr"


def voxtile(name, *args, **options):
    return Contender(name, ["VOXTILE", args[0], "IN", "OUT", *args[1:], "--json"], **options)


def peer(job, name, package, agrees_with="voxtile", **options):
    command = [sys.executable, str(HERE / "peers.py"), job, name, "IN", "OUT"]
    return Contender(name, command, package, agrees_with, **options)


SHARDED = ("--chunk", "64", "--shard", "256", "--codec", "zstd:3")
PLAIN = ("--chunk", "2048", "--codec", "none")
PLANES = ("--chunk", "1,1024,1024", "--codec", "zstd:3", "--memory", "96MiB")
SLIDE_ZARR = ("--pyramid", "--chunk", "512", "--shard", "2048", "--codec", "zstd:3", "--memory", "280MiB")
SLIDE_TIFF = ("--pyramid", "--chunk", "512", "--codec", "zstd:3", "--memory", "280MiB")
LABEL = "threshold value=1000 | label"
PEAKS = "gaussian sigma=4 border=nearest | peaks min-distance=6 threshold=1000"
OBJECTS = "tophat size=15 | gaussian sigma=2 | threshold otsu | label min-size=50 | measure intensity=input"
GAUSS, TOPHAT, SOBEL = "gaussian sigma=2", "tophat size=15", "gray weights=0.25,0.5,0.25 | sobel"

def tool(name, *args, **options):
    return Contender(name, [name, *args], name, **options)


JOBS = {
    "gauss3d": Job("vol", "u16 to f32, 128³ chunks, blosc-zstd:3:bitshuffle", [
        voxtile("voxtile", "run", GAUSS, "--memory", "384MiB"),
        voxtile("floor", "convert", "--memory", "384MiB", reads="voxtile", agrees_with="voxtile"),
        peer("gauss3d", "scipy", "scipy"),
        peer("gauss3d", "dask-image", "dask-image"),
        # It repeats the edge, and sums in f32.
        voxtile("edge-repeated", "run", GAUSS + " border=nearest", "--memory", "384MiB"),
        peer("gauss3d", "zarrs_filter", "zarrs_filter", agrees_with="edge-repeated", tolerance="1e-4"),
    ]),
    "tophat": Job("vol", "u16, 15³ box", [
        voxtile("voxtile", "run", TOPHAT),
        peer("tophat", "scipy", "scipy"),
        peer("tophat", "dask", "dask"),
    ]),
    "sobel": Job("wsi.tif", "RGB slide to gray to f32 edges, plain 2048² chunks", [
        voxtile("voxtile", "run", SOBEL, *PLAIN),
        peer("sobel", "skimage", "scikit-image"),
        peer("sobel", "dask", "dask"),
    ]),
    "convert": Job("vol", "to 64³ chunks in 256³ shards, zstd:3", [
        voxtile("voxtile", "convert", *SHARDED),
        peer("convert", "tensorstore", "tensorstore"),
        peer("convert", "zarr-python", "zarr"),
        peer("convert", "zarrs_reencode", "zarrs_reencode"),
    ]),
    "rechunk": Job("vol", "to planes of 1024², zstd:3", [
        voxtile("voxtile", "convert", *PLANES),
        peer("rechunk", "tensorstore", "tensorstore"),
        peer("rechunk", "zarr-python", "zarr"),
    ]),
    "wsi-zarr": Job("wsi.tif", "RGB slide to OME-Zarr 0.5, 512² chunks in 2048² shards, zstd:3, with all levels", [
        voxtile("voxtile", "convert", *SLIDE_ZARR),
        tool("ngff-zarr", "-i", "IN", "-o", "OUT", "-d", "y", "x", "c", "--ome-zarr-version", "0.5", "-c", "512", "512", "3",
             "--chunks-per-shard", "4", "4", "1", "--codec", "zstd", "--compression-level", "3", "-q", agrees_with="voxtile"),
    ]),
    "wsi-tiff": Job("wsi.tif", "RGB slide to a pyramid of 512² tiles, zstd:3", [
        voxtile("voxtile", "convert", *SLIDE_TIFF),
        tool("vips", "tiffsave", "IN", "OUT", "--tile", "--tile-width", "512", "--tile-height", "512", "--pyramid", "--subifd",
             "--bigtiff", "--compression", "zstd", "--level", "3", agrees_with="voxtile"),
    ], ".tif"),
    # For its memory, beside that of wsi-zarr; not in the default jobs.
    "wsi16-zarr": Job("wsi16.tif", "a slide of 16 times as many pixels", [
        voxtile("voxtile", "convert", *SLIDE_ZARR),
    ]),
    "label": Job("vol", "objects above a threshold, numbered", [
        voxtile("voxtile", "run", LABEL),
        peer("label", "scipy", "scipy"),
        peer("label", "cc3d", "connected-components-3d"),
        peer("label", "dask-image", "dask-image"),
    ]),
    "noise": Job("noise", "random voxels, three in ten, numbered", [
        voxtile("voxtile", "run", "label"),
        peer("noise", "cc3d", "connected-components-3d"),
    ]),
    "peaks": Job("plate", "240 images, blurred, their peaks in one table", [
        voxtile("voxtile", "run", PEAKS),
        peer("peaks", "skimage", "scikit-image"),
        peer("peaks", "skimage-pool", "scikit-image"),
    ], ".csv"),
    "objects": Job("vol", "from the image to a table of its objects, in 512 MiB", [
        voxtile("voxtile", "run", OBJECTS, "--memory", "512MiB"),
        peer("objects", "skimage", "scikit-image", tolerance="1e-9"),
    ], ".csv"),
    "workers": Job("vol", "gauss3d with one worker and with two", [
        voxtile("voxtile", "run", GAUSS, "--memory", "384MiB", "--workers", "2"),
        voxtile("one-worker", "run", GAUSS, "--memory", "384MiB", "--workers", "1", agrees_with="voxtile"),
    ]),
    "budget": Job("vol", "gauss3d in less memory", [
        voxtile("voxtile", "run", GAUSS, "--memory", "384MiB"),
        voxtile("256MiB", "run", GAUSS, "--memory", "256MiB", agrees_with="voxtile"),
        voxtile("128MiB", "run", GAUSS, "--memory", "128MiB", agrees_with="voxtile"),
    ]),
}  # fmt: skip


def timed(command):
    """Runs a command: exit code, wall seconds, peak MiB, what it printed."""
    with tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        err.seek(0)
        return process.returncode, wall, usage.ru_maxrss / 1024, out.decode(), err.read().decode(errors="replace")


def version(package, binary):
    if package == "voxtile":
        text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1].strip("()")
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        return f"{text} {commit.stdout.strip()}".strip()
    if package.startswith("zarrs_"):
        return subprocess.run([package, "--version"], capture_output=True, text=True).stdout.split()[-1].strip("()")
    if package == "vips":
        return subprocess.run([package, "--version"], capture_output=True, text=True, check=True).stdout.strip().removeprefix("vips-")
    if package in TOOLS:
        # Its venv's own python knows.
        python = Path(shutil.which(package)).resolve().parent / "python"
        code = f"import importlib.metadata as m; print(m.version('{package}'))"
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return importlib.metadata.version(package)


def installed(contender):
    if contender.package.startswith("zarrs_") or contender.package in TOOLS:
        return shutil.which(contender.package) is not None
    try:
        return contender.package == "voxtile" or importlib.metadata.version(contender.package) is not None
    except importlib.metadata.PackageNotFoundError:
        return False


def machine_name():
    """CPU and cores, as a folder's name."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text() + "\nmodel name: unknown")[1]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = re.sub(r"\((r|tm)\)|processor|cpu|@.*", "", model.lower())
    return "-".join(re.findall(r"[a-z0-9.]+", words)) + f"-{cores}core"


def warm(path):
    """Reads every file once."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with open(file, "rb") as stream:
            while stream.read(1 << 24):
                pass


class FileCache:
    """Keeps memory in the file cache by reading a file of holes, on and on."""

    LEFT = 1 << 30

    def __init__(self, folder):
        self.file = tempfile.NamedTemporaryFile(dir=folder, prefix="holes")
        self.at = 0

    def fill(self):
        try:
            lines = Path("/proc/meminfo").read_text().splitlines()
        except OSError:
            return
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemFree"))
        os.truncate(self.file.name, self.at + max(free - self.LEFT, 0))
        with open(self.file.name, "rb") as stream:
            stream.seek(self.at)
            while stream.read(1 << 24):
                pass
            self.at = stream.tell()


def output(args, job, contender):
    return args.dir / "out" / f"{job}-{contender}{JOBS[job].ending}"


def source(args, job):
    return args.dir / (f"{job.source}{args.side}.zarr" if job.source in ("vol", "noise") else job.source)


def forget(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def command(args, name, job, contender):
    there = output(args, name, contender.reads) if contender.reads else source(args, job)
    words = {"VOXTILE": str(args.voxtile), "IN": str(there), "OUT": str(output(args, name, contender.name))}
    return [words.get(word, word) for word in contender.command]


def amplification(text):
    """Planned and measured, from voxtile's own report."""
    try:
        report = json.loads(text)
        planned = [round(s["read_amplification"], 4) for s in report["plan"]["stages"]]
        return f"decoded {report['report']['read_amplification']:.4f} times, planned {planned}; planned {report['plan']['memory_bytes'] / 2**20:.0f} MiB"
    except (ValueError, KeyError):
        return ""


def measure(args, name, job):
    """All runs of a job; one row per contender."""
    there = [c for c in job.contenders if installed(c)]
    absent = [c.name for c in job.contenders if not installed(c)]
    walls, peaks, notes = ({c.name: [] for c in there} for _ in range(3))
    warm(source(args, job))
    cache = FileCache(args.dir)
    for _ in range(args.runs):
        for contender in there:
            forget(output(args, name, contender.name))
            if args.fill:
                cache.fill()
            code, wall, peak, out, err = timed(command(args, name, job, contender))
            if code:
                notes[contender.name] = [f"failed with {code}: {err.strip().splitlines()[-1:]}"]
                continue
            walls[contender.name].append(wall)
            peaks[contender.name].append(peak)
            notes[contender.name] = [amplification(out)] if contender.package == "voxtile" else [""]
    if absent:
        print(f"{name}: not installed: {', '.join(absent)}")
    base = statistics.median(walls["voxtile"]) if walls["voxtile"] else None
    for contender in there:
        yield row(args, name, contender, walls[contender.name], peaks[contender.name], notes[contender.name][0], base)
    for made in (args.dir / "out").iterdir():
        forget(made)


def row(args, name, contender, walls, peaks, note, base):
    agrees = ""
    if contender.agrees_with and walls:
        reference = output(args, name, contender.agrees_with)
        compare = [sys.executable, HERE / "agree.py", output(args, name, contender.name), reference]
        done = subprocess.run([*compare, *([contender.tolerance] if contender.tolerance else [])], capture_output=True, text=True)
        agrees = done.stdout.strip() if done.returncode == 0 else f"NO: {(done.stdout or done.stderr).strip().splitlines()[-1]}"
    median = statistics.median(walls) if walls else None
    return {
        "date": args.date, "machine": args.machine, "job": name, "side": args.side if JOBS[name].source in ("vol", "noise") else "",
        "contender": contender.name, "version": version(contender.package, args.voxtile), "runs": len(walls),
        "min_s": f"{min(walls):.3f}" if walls else "", "median_s": f"{median:.3f}" if walls else "",
        "ratio_to_voxtile": f"{median / base:.2f}" if walls and base else "",
        "peak_mib": f"{max(peaks):.0f}" if walls else "", "agrees": agrees, "cache": "warm, full" if args.fill else "warm", "note": note,
    }  # fmt: skip


def write(path, rows):
    """Adds the rows; those of the same job and side are replaced."""
    old = []
    if path.exists():
        with open(path, newline="") as file:
            done = {(r["job"], str(r["side"])) for r in rows}
            old = [r for r in csv.DictReader(file) if (r["job"], r["side"]) not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *rows])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--voxtile", type=Path, default=ROOT / "target/release/voxtile")
    parser.add_argument("--only", default=",".join(job for job in JOBS if job != "wsi16-zarr"), help=f"jobs, of {', '.join(JOBS)}")
    parser.add_argument("--contenders", help="only these, of those of the job; voxtile always")
    parser.add_argument("--side", type=int, default=512, help="of the cubic volume")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fill", action="store_true", help="fill the file cache before each run")
    parser.add_argument("--machine", default=machine_name())
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--results", type=Path, default=ROOT / "benches/results", help="folder of the CSV files")
    args = parser.parse_args()
    args.voxtile = args.voxtile.resolve()
    if unknown := set(args.only.split(",")) - set(JOBS):
        parser.error(f"no job {', '.join(unknown)}; there is {', '.join(JOBS)}")
    if args.contenders:
        wanted = {"voxtile", *args.contenders.split(",")}
        for job in JOBS.values():
            job.contenders = [c for c in job.contenders if c.name in wanted]
    return args


def main():
    args = arguments()
    what = ",".join(sorted({JOBS[name].source for name in args.only.split(",")}))
    subprocess.run([sys.executable, HERE / "data.py", args.dir, "--side", str(args.side), "--what", what], check=True)
    (args.dir / "out").mkdir(exist_ok=True)
    bad = 0
    for name in args.only.split(","):
        rows = list(measure(args, name, JOBS[name]))
        for r in rows:
            bad += not r["min_s"] or r["agrees"].startswith("NO")
            seconds = f"{r['min_s']:>8} {r['median_s']:>8} s  ×{r['ratio_to_voxtile']:<6} {r['peak_mib']:>5} MiB" if r["min_s"] else "failed"
            print(f"{name:<9} {r['contender']:<15} {seconds}  {r['agrees']:<12} {r['note']}", flush=True)
        write(args.results / args.machine / f"{args.date}.csv", rows)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
