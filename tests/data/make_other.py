"""Writes tests/data/other: pictures and .npy files, each with the voxels that other programs read from it, as `.raw`.

    python tests/data/make_other.py

Needs numpy, Pillow and imagecodecs (libpng, libjpeg-turbo). `expected.json` has sample type and shape, samples first, or the
word with which a file is refused.
"""

import io
import json
import pathlib
import struct
import zlib

import imagecodecs
import numpy as np
import PIL.Image

HERE = pathlib.Path(__file__).parent / "other"
EXPECTED = {}


def expect(name, voxels, **more):
    voxels = np.ascontiguousarray(voxels)
    (HERE / f"{name}.raw").write_bytes(voxels.astype(voxels.dtype.newbyteorder("<")).tobytes())
    EXPECTED[name] = {"dtype": voxels.dtype.name, "shape": list(voxels.shape), **more}


def png(name, rows, width, height, depth, color, interlaced=False, **chunks):
    """A file of filter-0 rows that are bytes already."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, color, 0, 0, int(interlaced)))
    for kind, data in chunks.items():
        out += chunk(kind.encode(), data)
    stream = zlib.compress(b"".join(b"\0" + r for r in rows), 9)
    (HERE / name).write_bytes(out + chunk(b"IDAT", stream) + chunk(b"IEND", b""))


def samples_first(voxels):
    return np.moveaxis(voxels, -1, 0) if voxels.ndim == 3 else voxels


def pictures():
    rng = np.random.default_rng(4)
    shape = (37, 53)
    y, x = np.indices(shape)
    gray = (x * 3 + y + rng.integers(0, 9, shape)).astype("u1")
    rgb = np.stack([gray, gray[::-1], 255 - gray], -1)
    for name, voxels in {
        "gray.png": gray, "gray_16.png": gray.astype("u2") * 257 + 3, "rgb.png": rgb, "rgb_16.png": rgb.astype("u2") * 251,
        "rgba.png": np.dstack([rgb, gray[:, ::-1]]), "gray_alpha_16.png": np.dstack([gray, gray[::-1]]).astype("u2") * 255,
    }.items():  # fmt: skip
        (HERE / name).write_bytes(imagecodecs.png_encode(voxels, level=9))
    small = rng.integers(0, 16, (5, 6), "u1")
    rows = [bytes(r[0::2] << 4 | r[1::2]) for r in small]
    png("gray_4.png", rows, 6, 5, 4, 0)
    palette = rng.integers(0, 256, (16, 3), "u1").tobytes()
    png("palette.png", rows, 6, 5, 4, 3, PLTE=palette)
    png("palette_alpha.png", rows, 6, 5, 4, 3, PLTE=palette, tRNS=bytes(range(0, 160, 20)))
    bits = [bytes(np.packbits(r > 7)) for r in small]
    png("gray_1.png", bits, 6, 5, 1, 0)
    # Seven passes, coarse to fine.
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [bytes(r.tobytes()) for y0, x0, dy, dx in passes for r in rgb[y0::dy, x0::dx]]
    png("interlaced.png", rows, shape[1], shape[0], 8, 2, interlaced=True)
    for path in sorted(HERE.glob("*.png")):
        voxels = imagecodecs.png_decode(path.read_bytes())
        expect(path.name, samples_first(voxels))
    assert np.array_equal(imagecodecs.png_decode((HERE / "interlaced.png").read_bytes()), rgb)
    data = (HERE / "rgb.png").read_bytes()
    (HERE / "cut.png").write_bytes(data[:30])
    EXPECTED["cut.png"] = {"refused": "damaged"}

    smooth = np.stack([120 + 80 * np.sin(x / 7), 100 + 60 * np.cos(y / 9), 40 + 2 * x + y], -1).clip(0, 255).astype("u1")
    jpegs(smooth, rgb)
    inks = np.dstack([smooth, smooth[..., :1]])
    (HERE / "cmyk.jpg").write_bytes(imagecodecs.jpeg8_encode(inks, level=92, colorspace="CMYK", outcolorspace="CMYK"))
    EXPECTED["cmyk.jpg"] = {"refused": "JPEG of colours"}


def jpegs(smooth, noisy):
    """Every way of sampling, few and many coefficients, units that the edge cuts, restart markers, several scans."""

    def picture(name, stream, **more):
        (HERE / name).write_bytes(stream)
        expect(name, samples_first(imagecodecs.jpeg8_decode(stream)), **more)

    picture("gray.jpg", imagecodecs.jpeg8_encode(smooth[..., 0].copy(), level=92))
    for sampling in ("444", "422", "420", "440", "411"):
        picture(f"ycbcr_{sampling}.jpg", imagecodecs.jpeg8_encode(smooth, level=92, subsampling=sampling))
    picture("gray_coarse.jpg", imagecodecs.jpeg8_encode(noisy[..., 0].copy(), level=3))
    picture("gray_fine.jpg", imagecodecs.jpeg8_encode(noisy[..., 0].copy(), level=100))
    picture("colour_fine.jpg", imagecodecs.jpeg8_encode(noisy[:31, :50].copy(), level=99, subsampling="420"))
    picture("rgb_stored.jpg", imagecodecs.jpeg8_encode(smooth, level=90, colorspace="rgb", outcolorspace="rgb"))
    narrow = noisy[:, :4].copy()
    picture("two_columns_of_chroma.jpg", imagecodecs.jpeg8_encode(narrow, level=95, subsampling="420"))

    def saved(voxels, **options):
        stream = io.BytesIO()
        PIL.Image.fromarray(voxels).save(stream, "JPEG", **options)
        return stream.getvalue()

    picture("restart.jpg", saved(smooth, quality=90, restart_marker_blocks=3, subsampling=2))
    assert (HERE / "restart.jpg").read_bytes().count(b"\xff\xdd") == 1
    # Scans of some coefficients, then of their lower bits.
    picture("progressive.jpg", saved(smooth, quality=90, progressive=True))
    picture("progressive_gray.jpg", saved(noisy[..., 0].copy(), quality=97, progressive=True))
    picture("progressive_444.jpg", saved(noisy, quality=60, progressive=True, subsampling=0))
    picture("progressive_422.jpg", saved(noisy, quality=85, progressive=True, subsampling=1))
    picture("progressive_restart.jpg", saved(noisy, quality=85, progressive=True, restart_marker_blocks=2))
    picture("progressive_flat.jpg", saved(np.full_like(smooth, 77), quality=50, progressive=True))
    picture("progressive_coarse.jpg", saved(smooth, quality=5, progressive=True, subsampling=2))
    # A scan for each component, sampled as no writer does.
    for name, factors in {"scans_44": [(4, 4), (1, 1), (2, 1)], "scans_24": [(2, 4), (2, 1), (1, 2)], "scans_11": [(1, 1)] * 3}.items():
        picture(f"{name}.jpg", several_scans(smooth, factors))
    # Coefficients that no image has.
    wild = bytearray(imagecodecs.jpeg8_encode(noisy[:16, :24, 0].copy(), level=100))
    at = wild.index(b"\xff\xdb") + 5
    wild[at : at + 64] = bytes(np.random.default_rng(5).integers(1, 256, 64, "u1"))
    picture("wild.jpg", bytes(wild))
    wild = bytearray(saved(noisy[:16, :24, 0].copy(), quality=100, progressive=True))
    at = wild.index(b"\xff\xdb") + 5
    wild[at : at + 64] = bytes(np.random.default_rng(6).integers(1, 256, 64, "u1"))
    picture("progressive_wild.jpg", bytes(wild))


def several_scans(image, factors):
    """Components that were coded as pictures of their own, brought together."""
    height, width = image.shape[:2]
    most = [max(f[axis] for f in factors) for axis in (0, 1)]
    tables, scans = b"", b""
    frame = b"\x08" + struct.pack(">2HB", height, width, len(factors))
    for i, (across, down) in enumerate(factors):
        rows, columns = -(-height * down // most[1]), -(-width * across // most[0])
        part = image[np.arange(rows) * height // rows][:, np.arange(columns) * width // columns, i]
        stream = imagecodecs.jpeg8_encode(np.ascontiguousarray(part), level=85)
        at, tables = 2, b""
        while stream[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
            tables += stream[at:end] if stream[at + 1] in (0xDB, 0xC4) else b""
            at = end
        frame += bytes([i + 1, across << 4 | down, 0])
        scans += b"\xff\xda\x00\x08\x01" + bytes([i + 1]) + stream[at + 6 : -2]
    return b"\xff\xd8" + tables + b"\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + scans + b"\xff\xd9"


def arrays():
    rng = np.random.default_rng(8)
    values = rng.integers(0, 60000, (3, 5, 7), "u2")
    for name, array in {
        "u16.npy": values,
        "u16_be.npy": values.astype(">u2"),
        "fortran.npy": np.asfortranarray(values),
        "fortran_f32_2d.npy": np.asfortranarray(rng.normal(size=(31, 17)).astype("f4")),
        "half.npy": values.astype("f2"),
        "half_fortran_be.npy": np.asfortranarray((values / 60000).astype(">f2")),
        "bool.npy": values > 30000,
        "one_axis.npy": rng.normal(size=41),
        "five_axes.npy": rng.integers(-9, 9, (2, 3, 2, 5, 4), "i8"),
    }.items():
        np.save(HERE / name, array)
        back = np.load(HERE / name)
        kept = {"float16": "float32", "bool": "uint8"}.get(back.dtype.name, back.dtype.name)
        expect(name, back.astype(kept))
    np.save(HERE / "complex.npy", values.astype("c8"))
    np.save(HERE / "text.npy", np.array(["a", "bc"]))
    np.save(HERE / "record.npy", np.zeros(3, [("a", "u2"), ("b", "f4")]))
    np.save(HERE / "scalar.npy", np.float32(3))
    np.save(HERE / "six_axes.npy", np.zeros((1, 1, 1, 1, 2, 2), "u1"))
    for name, word in {"complex": "<c8", "text": "<U2", "record": "several fields", "scalar": "0 axes", "six_axes": "6 axes"}.items():
        EXPECTED[f"{name}.npy"] = {"refused": word}


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for old in HERE.glob("*.*"):
        old.unlink()
    pictures()
    arrays()
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in EXPECTED.items())
    (HERE / "expected.json").write_text("{\n" + lines + "\n}\n")
    print(sum(p.stat().st_size for p in HERE.iterdir()), "bytes")
