"""Stores on the network: an S3 server and a web server on the loopback address, and a proxy between that falters."""

import http.client
import http.server
import json
import logging
import os
import random
import socketserver
import subprocess
import threading
import urllib.request
import zipfile
from contextlib import contextmanager

import numcodecs
import numpy as np
import tifffile
import zarr
from common import BINARY, DATA, Failed, pixels, same, voxtile

BUCKET = "images"
# What a client needs to ask at all; the server takes anything.
os.environ.update(AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="hidden-secret", AWS_REGION="us-east-1")
# The same time in every record of how an image was made.
os.environ["SOURCE_DATE_EPOCH"] = "1"
for name in ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy"):
    os.environ.pop(name, None)


def checks():
    for name, options in {
        "chunks": ("--shard", "none", "--chunk", "16", "--codec", "zstd:3"),
        "shards": ("--chunk", "8", "--shard", "32", "--codec", "blosc-zstd:3:bitshuffle"),
        "v2": ("--zarr-format", "2", "--chunk", "16", "--shard", "none", "--codec", "gzip:5"),
        # The order of a level's chunks in a shard is that of the tiles.
        "a pyramid": ("--pyramid", "--pyramid-until", "16", "--chunk", "16", "--shard", "32", "--tile", "32"),
    }.items():
        yield f"to s3 and back: {name}", lambda tmp, o=options: there_and_back(tmp, o)
    yield "a window costs few requests", window
    for seed in (1, 2):
        yield f"a server that falters changes nothing, seed {seed}", lambda tmp, s=seed: faltering(tmp, s)
    for name, recipe, options in (
        ("chunks", "gaussian sigma=1", ("--shard", "none")),
        ("a pyramid", "gaussian sigma=1", ("--shard", "none", "--pyramid", "--pyramid-until", "16")),
        ("shards", "invert", ("--shard", "16")),
        ("labels", "gaussian sigma=1 | threshold value=130 | label", ("--shard", "none")),
    ):
        yield f"a run that is killed goes on: {name}", lambda tmp, r=recipe, o=options: killed(tmp, r, o)
    yield "two runs do not write to one place", locked
    yield "what is read is known by its tags", changed
    yield "large shards go in parts", multipart
    yield "copied shards are as they were", copied
    yield "an existing place is kept", existing
    yield "a label image of an image", labels
    yield "a plate", plate
    yield "the structure is verified", structure
    yield "info, verify, preview", looked_at
    yield "tiff by ranges", tiff
    yield "zarr of a web server", web
    yield "zip of a zarr", zipped
    yield "refusals", refusals
    yield "a hierarchy byte for byte", hierarchy
    yield "a hierarchy to zarr v2 and back", hierarchy_versions
    yield "a hierarchy encoded anew", hierarchy_anew
    yield "a hierarchy to s3 and from a zip", hierarchy_elsewhere


@contextmanager
def s3():
    """An S3 server with an empty bucket; its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        for path in ("moto-api/reset", BUCKET):
            method = "POST" if path.startswith("moto") else "PUT"
            urllib.request.urlopen(urllib.request.Request(f"{address}/{path}", data=b"", method=method), timeout=20).close()
        yield address
    finally:
        server.stop()


def client(address):
    """What speaks to the server as its owner does."""
    import boto3

    return boto3.client("s3", endpoint_url=address)


def objects(address):
    return [found["Key"] for found in client(address).list_objects_v2(Bucket=BUCKET).get("Contents", ())]


def refuses(words, *args):
    """Runs a command that must fail with these words."""
    if words not in (said := voxtile(*args, fails=True)):
        raise Failed(f"no {words!r} in {said}")
    return said


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass  # A client may go away at any time.


@contextmanager
def serving(handler):
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def proxy(target, seed=0, share=0.05, seen=lambda method, path: None):
    """Passes requests on, and shows them to `seen`, but for a share that fails: a 500, or a connection dropped before or after
    the server saw it, or in the middle of the answer. Yields its address and what it did."""
    dice, lock, did = random.Random(seed), threading.Lock(), {"requests": 0, "faults": 0}

    class Proxy(Handler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                fault = dice.choice(("500", "before", "after", "middle")) if dice.random() < share else None
                did["requests"] += 1
                did["faults"] += fault is not None
            if fault == "500":
                return self.answer(500, {}, b"")
            if fault == "before":
                return self.drop()
            onward = http.client.HTTPConnection(target.removeprefix("http://"), timeout=30)
            onward.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "connection"})
            answer = onward.getresponse()
            status, headers, content = answer.status, dict(answer.headers), answer.read()
            onward.close()
            seen(self.command, self.path)
            if fault == "after":
                return self.drop()
            headers = {k: v for k, v in headers.items() if k.lower() not in ("connection", "transfer-encoding", "server", "date")}
            if self.command != "HEAD":
                headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
            if fault == "middle" and (len(content) < 2 or self.command != "GET"):
                with lock:
                    did["faults"] -= 1  # It has no middle.
            elif fault == "middle":
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                return self.drop()
            return self.answer(status, headers, content)

        def drop(self):
            self.close_connection = True
            self.connection.close()

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    with serving(Proxy) as address:
        yield address, did


@contextmanager
def directory(path, ranges=True):
    """A web server for the files of a directory, without lists. Yields its address and the requests it saw."""
    seen = []

    class Files(Handler):
        def do_GET(self):
            seen.append(f"{self.command} {self.path}")
            file = path / self.path.lstrip("/")
            if not file.is_file():
                return self.answer(404, {}, b"")
            content = file.read_bytes()
            headers = {"Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT", "ETag": '"1"'}
            asked = self.headers.get("Range")
            if asked and ranges:
                start, end = asked.removeprefix("bytes=").split("-")
                start, end = (len(content) - int(end), len(content)) if not start else (int(start), int(end) + 1 if end else len(content))
                start, end = max(start, 0), min(end, len(content))
                if start >= len(content):
                    return self.answer(416, {}, b"")
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
                return self.answer(206, headers | {"Content-Length": str(end - start)}, content[start:end])
            return self.answer(200, headers | {"Content-Length": str(len(content))}, content)

        do_HEAD = do_GET

    with serving(Files) as address:
        yield address, seen


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def without_record(content):
    """Metadata without what voxtile notes of how they were made: the input's path differs."""
    document = json.loads(content)
    for attributes in (document, document.get("attributes", {})):
        attributes.pop("voxtile", None)
    return document


def equal_files(a, b):
    """The same bytes, but for the record of how the image was made."""
    a, b = files(a), files(b)
    if a.keys() != b.keys():
        raise Failed(f"files: {sorted(a.keys() ^ b.keys())[:5]} are in one of the two only")
    for name, content in a.items():
        described = name.endswith(("zarr.json", ".zattrs", ".zarray", ".zgroup"))
        if without_record(content) != without_record(b[name]) if described else content != b[name]:
            raise Failed(f"files: {name} differs")


def converted(tmp, address, *options):
    """`first.zarr` on this disk, converted there, and to S3 by the same options, and from there to this disk; what was asked of the
    network."""
    place, to = f"s3://{BUCKET}/deep/a.zarr", ("--endpoint", address)
    levels = ("--pyramid", "--pyramid-until", "16", "--tile", "32") if "--pyramid" in options else ()
    kind = ("--zarr-format", "2") if "--zarr-format" in options else ()
    voxtile("convert", tmp / "first.zarr", tmp / "a.zarr", *options)
    there = voxtile("convert", tmp / "first.zarr", place, *options, *to, "--json")
    back = voxtile("convert", place, tmp / "b.zarr", *levels, *kind, *to, "--json")
    equal_files(tmp / "a.zarr", tmp / "b.zarr")
    done = [json.loads(text)["remote"] for text in (there, back)]
    return {key: sum(d[key] for d in done) for key in ("retries", "requests")}


def there_and_back(tmp, options):
    voxtile("convert", DATA / "lightsheet.tif", tmp / "first.zarr", *options)
    with s3() as address:
        converted(tmp, address, *options)
        voxtile("verify", tmp / "first.zarr", f"s3://{BUCKET}/deep/a.zarr", "--endpoint", address)


def copied(tmp):
    """What is copied byte for byte comes back as it was."""
    voxtile("convert", DATA / "lightsheet.tif", tmp / "a.zarr", "--chunk", "8", "--shard", "16")
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        voxtile("convert", "--recursive", tmp / "a.zarr", place, *to)
        voxtile("convert", "--recursive", place, tmp / "b.zarr", *to)
    equal_files(tmp / "a.zarr", tmp / "b.zarr")


def window(tmp):
    size = 2048
    y, x = np.mgrid[:size, :size]
    image = ((y * 7 + x * 13) ^ (y * x >> 5)).astype("u2")
    tifffile.imwrite(tmp / "image.tif", image, tile=(256, 256))
    options = ("--chunk", "128", "--shard", "1024", "--codec", "blosc-zstd:3:bitshuffle")
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        voxtile("convert", tmp / "image.tif", place, *options, *to)
        for n, (top, left) in enumerate([(700, 700), (100, 100), (1200, 400)]):
            out = tmp / f"window{n}.zarr"
            recipe = f"crop {top}:{top + 600},{left}:{left + 600}"
            done = json.loads(voxtile("run", place, out, recipe, "--json", *to))
            same(pixels(out), image[top : top + 600, left : left + 600], "window")
            took = done["remote"]["requests"]
            # The metadata of group and array are two of them.
            if took > 8:
                raise Failed(f"a window at {top}, {left} took {took} requests")


def faltering(tmp, seed):
    options = ("--chunk", "8", "--shard", "16", "--codec", "zstd:1")
    voxtile("convert", DATA / "lightsheet.tif", tmp / "first.zarr", *options)
    with s3() as server, proxy(server, seed) as (address, did):
        counted = converted(tmp, address, *options)
    if not did["faults"] or counted != {"retries": did["faults"], "requests": did["requests"]}:
        raise Failed(f"{did}; counted: {counted}")


def stopped(chunks, address, *args):
    """A run that is killed when it has written so many chunks or shards."""
    left, dead, process = [chunks], threading.Event(), []

    def seen(method, path):
        if method == "PUT" and "/c/" in path:
            left[0] -= 1
            if left[0] == 0:
                process[0].kill()
                dead.set()

    with proxy(address, share=0, seen=seen) as (slow, _):
        process.append(subprocess.Popen([BINARY, *map(str, args), "--endpoint", slow], stderr=subprocess.DEVNULL))
        if process[0].wait(120) != -9 or not dead.is_set():
            raise Failed(f"{args} was not killed")


def killed(tmp, recipe, options):
    place, run = f"s3://{BUCKET}/deep/a.zarr", ("run", DATA / "lightsheet.tif")
    options = ("--chunk", "8", "--tile", "8", "--codec", "zstd:1", *options)
    voxtile(*run, tmp / "a.zarr", recipe, *options)
    with s3() as address:
        to = ("--endpoint", address)
        units = 40 if "16" in options and "--pyramid" not in options else 150
        stopped(units, address, *run, place, recipe, *options)
        refuses("was not finished", "info", place, *to)
        refuses("was stopped and can go on", *run, place, recipe, *options, *to)
        refuses("recipe: was", *run, place, "abs", *options, *to, "--resume")
        done = json.loads(voxtile(*run, place, recipe, *options, *to, "--resume", "--json"))["report"]
        if not done["tiles_skipped"]:
            raise Failed(f"nothing was gone on with: {done}")
        again = json.loads(voxtile(*run, place, recipe, *options, *to, "--resume", "--json"))["report"]
        if again["bytes_written"]:
            raise Failed(f"what was complete was done again: {again}")
        voxtile("convert", "--recursive", place, tmp / "b.zarr", *to)
        names = {name.split("/")[1] for name in objects(address)}
        if names != {"a.zarr", ".a.zarr.voxtile-done"}:
            raise Failed(f"left behind: {names}")
    equal_files(tmp / "a.zarr", tmp / "b.zarr")


def locked(tmp):
    place, options = f"s3://{BUCKET}/a.zarr", ("--chunk", "8", "--shard", "none")
    with s3() as address:
        to = ("--endpoint", address)
        owner = json.dumps({"host": "elsewhere", "pid": 7, "start": ""}).encode()
        client(address).put_object(Bucket=BUCKET, Key="a.zarr.voxtile-work/lock", Body=owner)
        said = refuses("is being written by process 7 on elsewhere", "convert", DATA / "lightsheet.tif", place, *options, *to)
        if "--break-lock" not in said:
            raise Failed(said)
        voxtile("convert", DATA / "lightsheet.tif", place, *options, *to, "--break-lock")
        voxtile("verify", DATA / "lightsheet.tif", place, *to)


def changed(tmp):
    """An object of the input that is not what it was."""
    place, options = f"s3://{BUCKET}/in.zarr", ("--chunk", "16", "--shard", "none", "--codec", "none")
    out = ("--chunk", "8", "--tile", "8", "--shard", "none")
    with s3() as address:
        to = ("--endpoint", address)
        voxtile("convert", DATA / "lightsheet.tif", place, *options, *to)
        stopped(150, address, "run", place, f"s3://{BUCKET}/out.zarr", "invert", *out)
        key = {"Bucket": BUCKET, "Key": "in.zarr/0/c/0/0/0"}
        chunk = client(address).get_object(**key)["Body"].read()
        client(address).put_object(**key, Body=bytes(byte ^ 1 for byte in chunk))
        refuses("input.listed: was", "run", place, f"s3://{BUCKET}/out.zarr", "invert", *out, "--resume", *to)
        client(address).put_object(**key, Body=chunk)
        voxtile("run", place, f"s3://{BUCKET}/out.zarr", "invert", *out, "--overwrite", *to)


def multipart(tmp):
    image = np.random.default_rng(1).integers(0, 65536, (96, 512, 512), dtype="u2")
    tifffile.imwrite(tmp / "image.tif", image)
    options = ("--chunk", "32,128,128", "--shard", "96,512,512", "--codec", "none")
    voxtile("convert", tmp / "image.tif", tmp / "first.zarr", *options)
    with s3() as address:
        converted(tmp, address, *options)


def existing(tmp):
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        voxtile("convert", DATA / "lightsheet.tif", place, *to)
        said = voxtile("convert", DATA / "lightsheet.tif", place, *to, fails=True)
        if "exists" not in said:
            raise Failed(said)
        voxtile("convert", DATA / "tissue.tif", place, *to, "--overwrite")
        voxtile("verify", DATA / "tissue.tif", place, *to)
        said = voxtile("convert", place, f"{place}/deeper", *to, fails=True)
        if "lies inside the input" not in said:
            raise Failed(said)


def looked_at(tmp):
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        voxtile("convert", DATA / "lightsheet.tif", place, *to)
        voxtile("convert", DATA / "lightsheet.tif", tmp / "a.zarr")
        here, there = (json.loads(voxtile("info", p, "--json", "--stats", *to)) for p in (tmp / "a.zarr", place))
        for found in (here, there):
            found.pop("path")
        if here != there:
            raise Failed(f"info: {there}, not {here}")
        voxtile("verify", place, *to)
        voxtile("preview", place, tmp / "b.png", *to)
        voxtile("preview", tmp / "a.zarr", tmp / "a.png")
    if (tmp / "a.png").read_bytes() != (tmp / "b.png").read_bytes():
        raise Failed("preview differs")


def labels(tmp):
    recipe = ("gaussian 1 | threshold otsu | label", "--pyramid", "--pyramid-until", "16")
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        for image in (str(tmp / "a.zarr"), place):
            voxtile("convert", DATA / "lightsheet.tif", image, *recipe[1:], *to)
            for name in ("cells", "more"):
                voxtile("run", image, f"labels:{image}/{name}", *recipe, *to)
        said = voxtile("run", place, f"labels:{place}/more", *recipe, *to, fails=True)
        if "exists" not in said:
            raise Failed(said)
        for name in ("cells", "more"):
            voxtile("verify", f"{place}/labels/{name}", tmp / "a.zarr/labels" / name, *to)
        found = [json.loads(voxtile("info", p, "--json", *to))["arrays"] for p in (tmp / "a.zarr", place)]
        if found[0] != found[1] or "labels/more" not in found[0]:
            raise Failed(str(found))
        table = ("gaussian 1 | threshold otsu | label", "--table")
        for n, image in enumerate((str(tmp / "a.zarr"), place)):
            voxtile("run", image, f"labels:{image}/measured", *table, tmp / f"{n}.csv", *to)
        voxtile("convert", "--recursive", place, tmp / "back.zarr", *to)
    if (tmp / "0.csv").read_text() != (tmp / "1.csv").read_text():
        raise Failed("the tables differ")
    group = zarr.open_group(tmp / "back.zarr/labels", mode="r")
    if sorted(group.attrs["ome"]["labels"]) != ["cells", "measured", "more"]:
        raise Failed(str(group.attrs.asdict()))
    voxtile("verify", tmp / "back.zarr")


def plate(tmp):
    image = tifffile.imread(DATA / "lightsheet.tif")
    for row, col, field in (("A", 1, 0), ("A", 1, 1), ("B", 12, 0)):
        tifffile.imwrite(tmp / f"x_{row}{col:02}_s{field}.tif", image[field : field + 4])
    pattern = str(tmp / "x_{row}{col}_s{field}.tif")
    with s3() as address:
        place, to = f"s3://{BUCKET}/deep/plate.zarr", ("--endpoint", address)
        voxtile("convert", pattern, tmp / "here.zarr", *to)
        voxtile("convert", pattern, place, *to)
        said = voxtile("convert", pattern, place, *to, fails=True)
        if "exists" not in said:
            raise Failed(said)
        voxtile("convert", pattern, place, "--overwrite", *to)
        voxtile("verify", place, *to)
        voxtile("convert", place, tmp / "back.zarr", *to)
        peaks = "gaussian 2 | peaks min-distance=4 threshold=110"
        for n, plate in enumerate((str(tmp / "here.zarr"), place)):
            voxtile("run", plate, tmp / f"{n}.csv", peaks, *to)
    equal_files(tmp / "here.zarr", tmp / "back.zarr")
    here, there = ((tmp / f"{n}.csv").read_text().replace("here.zarr", "plate.zarr") for n in (0, 1))
    if here != there or "B12" not in there:
        raise Failed(f"{here[:300]} and {there[:300]}")


def structure(tmp):
    options = ("--pyramid", "--pyramid-until", "16", "--chunk", "16")
    with s3() as address:
        place, to = f"s3://{BUCKET}/a.zarr", ("--endpoint", address)
        voxtile("convert", DATA / "lightsheet.tif", place, *options, *to)
        found = json.loads(voxtile("verify", place, "--json", *to))
        if not found["levels"] or any(level["method"] != "mean" for level in found["levels"]):
            raise Failed(str(found))
        key = {"Bucket": BUCKET, "Key": "a.zarr/zarr.json"}
        text = client(address).get_object(**key)["Body"].read()
        client(address).put_object(**key, Body=text.replace(b'"scale"', b'"scales"'))
        done = subprocess.run([BINARY, "verify", place, *to], capture_output=True, text=True)
        if done.returncode != 1 or "scale" not in done.stdout:
            raise Failed(f"{done.returncode}: {done.stdout}{done.stderr}")


def tiff(tmp):
    image = np.arange(1500 * 1200, dtype="u4").reshape(1500, 1200).astype("u2")
    tifffile.imwrite(tmp / "tiles.tif", image, tile=(256, 256), compression="zstd")
    (tmp / "strips.tif").write_bytes((DATA / "lightsheet.tif").read_bytes())
    with directory(tmp) as (address, seen):
        for name in ("tiles.tif", "strips.tif"):
            seen.clear()
            voxtile("verify", tmp / name, f"{address}/{name}")
            voxtile("convert", f"{address}/{name}", tmp / f"{name}.zarr")
            voxtile("verify", tmp / name, tmp / f"{name}.zarr")
        seen.clear()
        voxtile("run", f"{address}/tiles.tif", tmp / "corner.zarr", "crop 0:200,0:200")
        same(pixels(tmp / "corner.zarr"), image[:200, :200], "corner")
        if len(seen) > 4:
            raise Failed(f"a corner of a TIFF took {seen}")


def web(tmp):
    voxtile("convert", DATA / "lightsheet.tif", tmp / "a.zarr", "--chunk", "16", "--codec", "zstd:3")
    group = zarr.open_group(tmp / "g.zarr", mode="w")
    group.create_array("deep/one", data=np.arange(12).reshape(3, 4))
    zarr.consolidate_metadata(tmp / "g.zarr")
    with directory(tmp, ranges=False) as (address, _):
        voxtile("verify", tmp / "a.zarr", f"{address}/a.zarr")
        voxtile("info", f"{address}/a.zarr")
        voxtile("verify", tmp / "g.zarr", f"{address}/g.zarr", "--array", "deep/one")
        voxtile("info", f"{address}/g.zarr")
        said = voxtile("info", f"{address}/none.zarr", fails=True)
        if "there is nothing there" not in said:
            raise Failed(said)
        said = voxtile("convert", tmp / "a.zarr", f"{address}/new.zarr", fails=True)
        if "can be read, not written" not in said:
            raise Failed(said)


def zipped(tmp):
    for name, method in (("stored.ome.zarr.zip", zipfile.ZIP_STORED), ("deflated.ozx", zipfile.ZIP_DEFLATED)):
        voxtile("convert", DATA / "lightsheet.tif", tmp / "a.zarr", "--chunk", "8", "--shard", "16", "--overwrite")
        with zipfile.ZipFile(tmp / name, "w", method) as out:
            for key, content in files(tmp / "a.zarr").items():
                out.writestr(key, content)
        voxtile("verify", tmp / "a.zarr", tmp / name)
        with directory(tmp) as (address, _):
            voxtile("verify", tmp / "a.zarr", f"{address}/{name}")


def tree(path, zarr_format):
    """A hierarchy of groups, arrays of several kinds and attributes that nobody knows."""
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.attrs["mine"] = {"a": [1, 2, {"b": None}]}
    values = np.arange(5 * 17 * 23).reshape(5, 17, 23)
    codec = zarr.codecs.ZstdCodec(level=1) if zarr_format == 3 else numcodecs.Zstd(level=1)
    root.create_array("raw", data=values.astype("u2"), chunks=(2, 8, 8), compressors=codec, fill_value=7)
    deep = root.create_group("deep/er")
    deep.attrs["unknown"] = "kept"
    some = deep.create_array("some", shape=(9, 9), chunks=(4, 4), dtype="f4", fill_value=1.5, compressors=None)
    some[:3, :3] = 2
    some.attrs["note"] = [True]
    deep.create_array("mask", data=values[0] % 3 == 0, chunks=(8, 8), compressors=codec)
    (path / "deep" / "notes.txt").write_text("by the way")
    return root


def alike(a, b):
    """The same nodes, attributes and voxels."""
    one, two = zarr.open_group(a, mode="r"), zarr.open_group(b, mode="r")
    if one.attrs.asdict() != two.attrs.asdict():
        raise Failed(f"attributes {two.attrs.asdict()}, not {one.attrs.asdict()}")
    names = {name for name, _ in one.members(max_depth=None)}
    if names != {name for name, _ in two.members(max_depth=None)}:
        raise Failed(f"nodes {sorted(two.members(max_depth=None))}")
    for name in names:
        if one[name].attrs.asdict() != two[name].attrs.asdict():
            raise Failed(f"attributes of {name}: {two[name].attrs.asdict()}, not {one[name].attrs.asdict()}")
        if isinstance(one[name], zarr.Array):
            same(two[name][...], one[name][...], name)
            if one[name].fill_value != two[name].fill_value:
                raise Failed(f"fill value of {name}: {two[name].fill_value}")


def hierarchy(tmp):
    for version in (2, 3):
        a, b = tmp / f"a{version}.zarr", tmp / f"b{version}.zarr"
        tree(a, version)
        done = json.loads(voxtile("convert", "--recursive", a, b, "--json"))
        if done["anew"] or len(done["copied"]) != 3:
            raise Failed(str(done))
        alike(a, b)
        for name, content in files(a).items():
            if "zarr.json" not in name and ".z" not in name and files(b).get(name) != content:
                raise Failed(f"{name} differs")
    # What is there is kept, and comes back if the copy fails.
    if "exists" not in voxtile("convert", "--recursive", a, b, fails=True):
        raise Failed("an existing output was replaced")
    (a / "raw" / "c" / "0" / "0" / "0").write_bytes(b"damaged")
    before = files(b)
    voxtile("convert", "--recursive", a, b, "--overwrite", "--codec", "zstd:2", fails=True)
    if files(b) != before:
        raise Failed("what was there is not as it was")


def hierarchy_versions(tmp):
    tree(tmp / "a.zarr", 3)
    done = json.loads(voxtile("convert", "--recursive", tmp / "a.zarr", tmp / "b.zarr", "--zarr-format", "2", "--json"))
    if done["anew"]:
        raise Failed(str(done))
    alike(tmp / "a.zarr", tmp / "b.zarr")
    voxtile("convert", "--recursive", tmp / "b.zarr", tmp / "c.zarr", "--zarr-format", "3")
    alike(tmp / "a.zarr", tmp / "c.zarr")
    chunks = {k: v for k, v in files(tmp / "a.zarr").items() if "/c/" in k}
    if not chunks or chunks != {k: v for k, v in files(tmp / "c.zarr").items() if "/c/" in k}:
        raise Failed("chunks are not those that were there")
    voxtile("convert", DATA / "lightsheet.tif", tmp / "ome.zarr", "--pyramid", "--pyramid-until", "16", "--chunk", "8", "--shard", "none")
    voxtile("convert", "--recursive", tmp / "ome.zarr", tmp / "old.zarr", "--zarr-format", "2")
    if json.loads(voxtile("info", tmp / "old.zarr", "--json"))["format"] != "OME-Zarr 0.4":
        raise Failed("no OME-Zarr 0.4")
    voxtile("convert", "--recursive", tmp / "old.zarr", tmp / "new.zarr", "--zarr-format", "3")
    alike(tmp / "ome.zarr", tmp / "new.zarr")
    if zarr.open_array(tmp / "new.zarr", path="0", mode="r").metadata.dimension_names != ("z", "y", "x"):
        raise Failed("the names of the axes are lost")


def hierarchy_anew(tmp):
    tree(tmp / "a.zarr", 3)
    options = ("--chunk", "4", "--shard", "8", "--codec", "gzip:3")
    done = json.loads(voxtile("convert", "--recursive", tmp / "a.zarr", tmp / "b.zarr", *options, "--json"))
    if done["copied"] or len(done["anew"]) != 3:
        raise Failed(str(done))
    one, two = (zarr.open_group(tmp / n, mode="r") for n in ("a.zarr", "b.zarr"))
    for name in ("raw", "deep/er/some"):
        same(two[name][...], one[name][...], name)
        if two[name].attrs.asdict() != one[name].attrs.asdict() or two[name].shards is None:
            raise Failed(f"{name}: {two[name].info}")


def hierarchy_elsewhere(tmp):
    tree(tmp / "a.zarr", 3)
    with zipfile.ZipFile(tmp / "a.zarr.zip", "w") as out:
        for key, content in files(tmp / "a.zarr").items():
            out.writestr(key, content)
    with s3() as address:
        to = ("--endpoint", address)
        voxtile("convert", "--recursive", tmp / "a.zarr.zip", f"s3://{BUCKET}/a.zarr", *to)
        voxtile("convert", "--recursive", f"s3://{BUCKET}/a.zarr", tmp / "b.zarr", *to)
    alike(tmp / "a.zarr", tmp / "b.zarr")


def refusals(tmp):
    def said(*args, **env):
        done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=120, env=os.environ | env)
        if done.returncode != 2 or "hidden-secret" in done.stderr:
            raise Failed(f"{args} ended with {done.returncode}: {done.stderr}")
        return done.stderr

    def expect(words, text):
        if words not in text:
            raise Failed(f"no {words!r} in {text}")

    class Denied(Handler):
        def do_GET(self):
            self.answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")

        do_HEAD = do_PUT = do_GET

    with serving(Denied) as address:
        text = said("info", f"s3://{BUCKET}/a.zarr", "--endpoint", address)
        expect("access is denied (403 AccessDenied)", text)
        expect("--anonymous", text)
    with s3() as address:
        expect("there is nothing there", said("info", f"s3://{BUCKET}/none.zarr", "--endpoint", address))
        expect("there is nothing there", said("info", "s3://no-such-bucket/none.zarr", "--endpoint", address))
        expect("only Zarr is written elsewhere", said("convert", DATA / "lightsheet.tif", f"s3://{BUCKET}/a.tif", "--endpoint", address))
    expect("cannot be reached", said("info", "s3://b/a.zarr", "--endpoint", "http://127.0.0.1:1"))
    expect("cannot be reached", said("info", "https://127.0.0.1:1/a.zarr"))
    expect("does not belong into a URL", said("info", "https://me:hidden-secret@127.0.0.1/a.zarr"))
