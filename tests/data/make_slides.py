"""Writes tests/data/slides: small files that are laid out as scanners of slides and plates lay theirs out.

    python tests/data/make_slides.py

Needs numpy, Pillow, tifffile and imagecodecs. The pictures are the stained tissue of tests/data/tissue.tif, enlarged.
`expected.json` says for every image what tifffile reads (CRC-32 of the voxels, channels before rows) and what the
description says of pixel size, objective and channels.
"""

import ctypes
import json
import pathlib
import shutil
import tempfile
import zlib

import imagecodecs
import numpy as np
import PIL
import tifffile

DATA = pathlib.Path(__file__).parent
HERE = DATA / "slides"
EXPECTED, REFUSED = {}, {}
TISSUE = np.kron(tifffile.imread(DATA / "tissue.tif"), np.ones((2, 2, 1), np.uint8))


def smaller(image, factor):
    return np.ascontiguousarray(image[..., ::factor, ::factor, :] if image.shape[-1] == 3 else image[..., ::factor, ::factor])


def crc(voxels):
    """Of an image with samples last, or of planes."""
    voxels = np.moveaxis(voxels, -1, 0) if voxels.shape[-1] == 3 else voxels
    return zlib.crc32(np.ascontiguousarray(voxels).astype(voxels.dtype.newbyteorder("<")).tobytes())


def shape(voxels):
    return [3, *voxels.shape[:-1]] if voxels.shape[-1] == 3 else list(voxels.shape)


def expect(name, levels, associated=(), **more):
    """`levels` and `associated`: voxels, of associated images with their names."""
    EXPECTED[name] = {
        "levels": [{"shape": shape(level), "crc32": crc(level)} for level in levels],
        "associated": {role: {"shape": shape(image), "crc32": crc(image)} for role, image in associated},
        **more,
    }


def pages(name):
    with tifffile.TiffFile(HERE / name) as file:
        return [page.asarray() for page in file.pages]


def aperio(text):
    head = "Aperio Image Library v11.2.1 \r\n"
    return head + text, head.replace(" \r\n", " \n")


def svs(name, compression="jpeg", **options):
    """Level 0, thumbnail, level 1, label, macro, as Aperio orders them."""
    base, half = TISSUE, smaller(TISSUE, 2)
    thumb, label, macro = smaller(TISSUE, 5), TISSUE[:90, :70], smaller(TISSUE, 3)
    text, head = aperio("340x300 (64x64) JPEG/RGB Q=80|AppMag = 20|MPP = 0.4990|Filename = small|Date = 12/29/09|ScanScope ID = CPAPERIOCS")
    plain = {"metadata": None, "photometric": "rgb", "software": False, "datetime": False}
    tiled = {**plain, "tile": (64, 64), "compression": compression, **options}
    jpeg = {**plain, "rowsperstrip": 16, "compression": "jpeg", "compressionargs": {"level": 80}}
    with tifffile.TiffWriter(HERE / name) as out:
        out.write(base, description=text, **tiled)
        out.write(thumb, description=head + "340x300 -> 68x60", **jpeg)
        out.write(half, description=head + "340x300 -> 170x150", **tiled)
        out.write(label, description=head + "label 70x90", subfiletype=1, compression="lzw", rowsperstrip=7, **plain)
        out.write(macro, description=head + "macro 114x100", subfiletype=9, **jpeg)
    level0, thumb, level1, label, macro = pages(name)
    expect(name, [level0, level1], [("thumbnail", thumb), ("label", label), ("macro", macro)], format="Aperio SVS",
           scale=[0.499, 0.499], objective="20×", called="small")  # fmt: skip


def focal():
    """Two focal planes at two levels, in the order that Aperio writes them."""
    planes = [TISSUE, TISSUE[::-1].copy()]
    text, _ = aperio("340x300|AppMag = 40|MPP = 0.25")
    tiled = {"metadata": None, "photometric": "rgb", "tile": (64, 64), "compression": "deflate", "predictor": True}
    with tifffile.TiffWriter(HERE / "svs_focal.svs") as out:
        out.write(planes[0], description=text, **tiled)
        out.write(smaller(TISSUE, 5), metadata=None, photometric="rgb", description="Aperio Image Library\n")
        out.write(planes[1], **tiled)
        for plane in planes:
            out.write(smaller(plane, 4), **tiled)
    levels = [np.stack(planes), np.stack([smaller(p, 4) for p in planes])]
    EXPECTED["svs_focal.svs"] = {
        "levels": [{"shape": [3, 2, *l.shape[1:3]], "crc32": crc(np.ascontiguousarray(l))} for l in levels],
        "associated": {"thumbnail": {"shape": [3, 60, 68], "crc32": crc(smaller(TISSUE, 5))}},
        "format": "Aperio SVS", "scale": [0.25, 0.25], "objective": "40×",
    }  # fmt: skip


def openjpeg(planes, factors):
    """A codestream without loss whose components have fewer samples than pixels, which no Python package writes."""
    library = next((pathlib.Path(PIL.__file__).parent.parent / "pillow.libs").glob("libopenjp2*"))
    lib = ctypes.CDLL(str(library))

    class Parameters(ctypes.Structure):
        _fields_ = [(n, ctypes.c_uint32) for n in ("dx", "dy", "w", "h", "x0", "y0", "prec", "bpp", "sgnd")]

    class Component(ctypes.Structure):
        _fields_ = [(n, ctypes.c_uint32) for n in ("dx", "dy", "w", "h", "x0", "y0", "prec", "bpp", "sgnd", "resno", "factor")]
        _fields_ += [("data", ctypes.POINTER(ctypes.c_int32)), ("alpha", ctypes.c_uint16)]

    class Image(ctypes.Structure):
        _fields_ = [(n, ctypes.c_uint32) for n in ("x0", "y0", "x1", "y1", "count")]
        _fields_ += [("space", ctypes.c_int), ("comps", ctypes.POINTER(Component))]

    for name in ("opj_image_create", "opj_create_compress", "opj_stream_create_default_file_stream"):
        getattr(lib, name).restype = ctypes.c_void_p
    height, width = planes[0].shape
    kinds = (Parameters * 3)(*(Parameters(fx, fy, p.shape[1], p.shape[0], 0, 0, 8, 8, 0) for p, (fx, fy) in zip(planes, factors)))
    image = ctypes.cast(lib.opj_image_create(3, kinds, 3), ctypes.POINTER(Image))
    image.contents.x1, image.contents.y1 = width, height
    for number, plane in enumerate(planes):
        values = np.ascontiguousarray(plane, np.int32)
        ctypes.memmove(image.contents.comps[number].data, values.ctypes.data, values.nbytes)
    parameters = ctypes.create_string_buffer(1 << 16)
    lib.opj_set_default_encoder_parameters(parameters)
    codec = ctypes.c_void_p(lib.opj_create_compress(0))
    assert lib.opj_setup_encoder(codec, parameters, image)
    with tempfile.NamedTemporaryFile(suffix=".j2k") as file:
        stream = ctypes.c_void_p(lib.opj_stream_create_default_file_stream(file.name.encode(), 0))
        assert lib.opj_start_compress(codec, image, stream) and lib.opj_encode(codec, stream) and lib.opj_end_compress(codec, stream)
        lib.opj_stream_destroy(stream)
        return pathlib.Path(file.name).read_bytes()


def to_rgb(luma, blue, red):
    """libjpeg's constants of 16 bits."""
    y, b, r = (p.astype(np.int64) for p in (luma, blue - 128.0, red - 128.0))
    rgb = (y + ((91881 * r + 32768) >> 16), y + ((-22554 * b - 46802 * r + 32768) >> 16), y + ((116130 * b + 32768) >> 16))
    return np.clip(np.stack(rgb, axis=-1), 0, 255).astype(np.uint8)


def matrox(name, factors):
    """JPEG 2000 of luma and chroma (33003), chroma for every pixel or for pairs, in tiles of 64 that reach beyond the edge."""
    rgb = TISSUE[:100, :120].astype(float)
    r, g, b = np.moveaxis(np.pad(rgb, ((0, 28), (0, 8), (0, 0)), mode="edge"), -1, 0)
    luma = np.clip(np.round(0.299 * r + 0.587 * g + 0.114 * b), 0, 255)
    blue = np.clip(np.round(128 - 0.168736 * r - 0.331264 * g + 0.5 * b), 0, 255)
    red = np.clip(np.round(128 + 0.5 * r - 0.418688 * g - 0.081312 * b), 0, 255)
    fx, fy = factors
    small = [luma, blue[::fy, ::fx], red[::fy, ::fx]]
    enlarged = [np.kron(p, np.ones((fy, fx)))for p in small[1:]]
    want = to_rgb(luma, *enlarged)[:100, :120]
    tiles = [
        openjpeg([p[y // f[1] : (y + 64) // f[1], x // f[0] : (x + 64) // f[0]] for p, f in zip(small, ((1, 1), factors, factors))], ((1, 1), factors, factors))
        for y in (0, 64) for x in (0, 64)
    ]  # fmt: skip
    # tifffile knows the number and writes what it is given.
    text, _ = aperio("120x100 (64x64) J2K/YUV16 Q=70|AppMag = 20|MPP = 0.5")
    tifffile.imwrite(HERE / name, iter(tiles), shape=(100, 120, 3), dtype=np.uint8, tile=(64, 64), compression=33003,
                     photometric="rgb", metadata=None, description=text)  # fmt: skip
    expect(name, [want], format="Aperio SVS", scale=[0.5, 0.5], objective="20×")


def qptiff():
    """Three stains of 16 bits: full size, thumbnail, two levels, overview and label."""
    base = np.stack([TISSUE[..., c].astype(np.uint16) * (c + 3) for c in range(3)])
    names, colors = ["DAPI", "Opal 520", "Opal 690"], ["0,0,255", "0,255,0", "255,0,0"]

    def text(kind, channel=None):
        more = "" if channel is None else f"<Name>{names[channel]}</Name><Color>{colors[channel]}</Color>"
        return (
            '<?xml version="1.0" encoding="utf-8"?><PerkinElmer-QPI-ImageDescription><DescriptionVersion>2</DescriptionVersion>'
            f"<ImageType>{kind}</ImageType><Objective>20x</Objective>{more}<ScanProfile><Name>not this</Name></ScanProfile>"
            "</PerkinElmer-QPI-ImageDescription>"
        )

    options = {"metadata": None, "compression": "lzw", "software": "PerkinElmer-QPI", "datetime": False}
    size = {"resolution": (1e4 / 0.5, 1e4 / 0.5), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(HERE / "stains.qptiff") as out:
        for c in range(3):
            out.write(base[c], tile=(64, 64), photometric="minisblack", description=text("FullResolution", c), **size, **options)
        out.write(smaller(TISSUE, 4), photometric="rgb", description=text("Thumbnail"), **options)
        for factor in (2, 4):
            for c in range(3):
                out.write(smaller(base, factor)[c], tile=(64, 64), photometric="minisblack", subfiletype=1,
                          description=text("ReducedResolution", c), **options)  # fmt: skip
        out.write(smaller(TISSUE, 3), photometric="rgb", description=text("Overview"), **options)
        out.write(TISSUE[:60, :60], photometric="rgb", description=text("Label"), **options)
    expect("stains.qptiff", [base, smaller(base, 2), smaller(base, 4)],
           [("thumbnail", smaller(TISSUE, 4)), ("macro", smaller(TISSUE, 3)), ("label", TISSUE[:60, :60])],
           format="QPTIFF", scale=[0.5, 0.5], objective="20×",
           channels=[["DAPI", "0000FF"], ["Opal 520", "00FF00"], ["Opal 690", "FF0000"]])  # fmt: skip


def leica():
    """A macro image first, then the scan, each with its levels, named by page in XML."""
    xml = """<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="" sizeX="26564529" sizeY="76734649">
<image name="image_0"><pixels sizeX="85" sizeY="75"><dimension sizeX="85" sizeY="75" r="0" ifd="0"/></pixels>
<view sizeX="26564529" sizeY="76734649" offsetX="0" offsetY="0" spacingZ="0"/><scanSettings><objectiveSettings><objective>0.6</objective></objectiveSettings></scanSettings></image>
<image name="image_1"><pixels sizeX="340" sizeY="300"><dimension sizeX="340" sizeY="300" r="0" ifd="1"/><dimension sizeX="85" sizeY="75" r="1" ifd="3"/><dimension sizeX="21" sizeY="19" r="2" ifd="2"/></pixels>
<view sizeX="170000" sizeY="150000" offsetX="100" offsetY="200" spacingZ="0"/><scanSettings><objectiveSettings><objective>20</objective></objectiveSettings></scanSettings></image>
</collection></scn>"""
    tiled = {"metadata": None, "photometric": "rgb", "tile": (64, 64), "compression": "deflate", "predictor": True}
    levels = [TISSUE, smaller(TISSUE, 4), smaller(TISSUE, 16)[:19, :21]]
    with tifffile.TiffWriter(HERE / "scan.scn", bigtiff=True) as out:
        out.write(smaller(TISSUE, 4)[::-1].copy(), description=xml, **tiled)
        for level in (levels[0], levels[2], levels[1]):
            out.write(level, **tiled)
    expect("scan.scn", levels, [("macro", smaller(TISSUE, 4)[::-1])], format="Leica SCN (BigTIFF)", scale=[0.5, 0.5],
           objective="20×", called="image_1")  # fmt: skip


def philips():
    """Levels padded to whole tiles: 340 × 300 pixels in tiles of 64, then 170 × 150 and 85 × 75."""
    spacing = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028" Element="0x0030" '
        f'PMSVR="IDoubleArray">&quot;{s}&quot; &quot;{s}&quot;</Attribute></DataObject>'
        for s in (0.00025, 0.0005, 0.001)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_SCANNED_IMAGES" Group="0x301D" '
        'Element="0x1003" PMSVR="IDataObjectArray"><Array><DataObject ObjectType="DPScannedImage"><Attribute '
        'Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">&quot;0.00025&quot; &quot;0.00025&quot;</Attribute>'
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" PMSVR="IDataObjectArray"><Array>'
        f"{spacing}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    options = {"metadata": None, "photometric": "rgb", "software": "Philips DP v1.0", "compression": "deflate", "predictor": True}
    levels = [TISSUE[:256, :320], smaller(TISSUE[:256, :320], 2), smaller(TISSUE[:256, :320], 4)]
    with tifffile.TiffWriter(HERE / "padded.tiff") as out:
        for number, level in enumerate(levels):
            pad = [(0, -level.shape[0] % 64), (0, -level.shape[1] % 64), (0, 0)]
            out.write(np.pad(level, pad), tile=(64, 64), description=xml if number == 0 else f"level={number} mag=20", **options)
        out.write(smaller(TISSUE, 3), description="Macro", **options)
        out.write(TISSUE[:50, :40], description="Label", **options)
    expect("padded.tiff", levels, [("macro", smaller(TISSUE, 3)), ("label", TISSUE[:50, :40])], format="Philips TIFF", scale=[0.25, 0.25])


def ome():
    """Levels in pages that no TiffData names; a label and a macro as images of their own."""
    levels = [TISSUE, smaller(TISSUE, 2), smaller(TISSUE, 4)]
    label, macro = TISSUE[:50, :40], smaller(TISSUE, 3)

    def image(number, name, picture, ifd, more=""):
        y, x = picture.shape[:2]
        return (
            f'<Image ID="Image:{number}" Name="{name}">{more}<Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" Type="uint8" SizeX="{x}" SizeY="{y}" '
            f'SizeZ="1" SizeC="3" SizeT="1" PhysicalSizeX="0.25" PhysicalSizeY="0.25"><Channel ID="Channel:{number}:0" SamplesPerPixel="3"/>'
            f'<TiffData IFD="{ifd}" PlaneCount="1"/></Pixels></Image>'
        )

    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument ID="Instrument:0">'
        '<Objective ID="Objective:0" NominalMagnification="40.0"/></Instrument>'
        + image(0, "label", label, 0)
        + image(1, "scan", levels[0], 1, '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>')
        + image(2, "macro image", macro, 4)
        + "</OME>"
    )
    options = {"metadata": None, "photometric": "rgb", "compression": "deflate", "predictor": True}
    with tifffile.TiffWriter(HERE / "pages.ome.tif") as out:
        out.write(label, description=xml, **options)
        out.write(levels[0], tile=(64, 64), **options)
        for level in (levels[2], levels[1]):
            out.write(level, tile=(64, 64), subfiletype=1, **options)
        out.write(macro, **options)
    expect("pages.ome.tif", levels, [("label", label), ("macro", macro)], format="OME-TIFF", scale=[0.25, 0.25], objective="40×", called="scan")


def metaseries():
    """A stack of ImageXpress: properties on every page."""
    volume = np.stack([TISSUE[:80, :90, c].astype(np.uint16) * 9 for c in range(3)])

    def text(z):
        properties = {
            "ApplicationName": "MetaMorph", "spatial-calibration-state": "on", "spatial-calibration-x": 1.3672,
            "spatial-calibration-y": 1.3672, "spatial-calibration-units": "um", "image-name": "Copy of FITC",
            "stage-label": "B02 : Site 1", "z-position": 9991.5 + 3 * z, "_IllumSetting_": "FITC", "_MagSetting_": "40X Plan Apo Lambda",
        }  # fmt: skip
        lines = [f'<prop id="{key}" type="string" value="{value}"/>' for key, value in properties.items()]
        return "<MetaData>\r\n<PlaneInfo>\r\n" + "\r\n".join(lines) + "\r\n</PlaneInfo>\r\n</MetaData>\r\n"

    with tifffile.TiffWriter(HERE / "stack_s1_w2.TIF") as out:
        for z in range(3):
            out.write(volume[z], metadata=None, description=text(z), software="MetaSeries")
    expect("stack_s1_w2.TIF", [volume], format="MetaSeries TIFF", scale=[3.0, 1.3672, 1.3672], objective="40X Plan Apo Lambda",
           channels=[["FITC", None]], called="B02 : Site 1")  # fmt: skip


def refused():
    small = {"metadata": None, "photometric": "rgb"}
    xmp = b'<?xml version="1.0"?><iScan Magnification="20" ScanRes="0.465"/>'
    tifffile.imwrite(HERE / "overlapping.bif", TISSUE[:64, :64], tile=(64, 64), extratags=[(700, 1, len(xmp), xmp, True)], **small)
    REFUSED["overlapping.bif"] = "the BIF layout of Ventana"
    tifffile.imwrite(HERE / "trestle.tif", TISSUE[:64, :64], tile=(64, 64), description="Objective Power=20;OverlapsXY=0 4;", **small)
    REFUSED["trestle.tif"] = "the layout of Trestle"
    (HERE / "zeiss.czi").write_bytes(b"ZISRAWFILE" + bytes(200))
    REFUSED["zeiss.czi"] = "the CZI format of Zeiss"
    (HERE / "nikon.nd2").write_bytes(bytes.fromhex("dacebe0a") + bytes(200))
    REFUSED["nikon.nd2"] = "the ND2 format of Nikon"
    (HERE / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(200))
    REFUSED["scan.dcm"] = "DICOM"
    # Both open as the picture of the whole slide if nobody looks at the name.
    (HERE / "mirax.mrxs").write_bytes(imagecodecs.jpeg8_encode(TISSUE[:64, :64]))
    REFUSED["mirax.mrxs"] = "the MRXS format of 3DHISTECH"
    tifffile.imwrite(HERE / "olympus.vsi", TISSUE[:64, :64], **small)
    REFUSED["olympus.vsi"] = "the VSI format of Olympus"


if __name__ == "__main__":
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    svs("svs_jpeg.svs", compressionargs={"level": 80, "outcolorspace": "rgb"})
    svs("svs_ycbcr.svs", compressionargs={"level": 80, "outcolorspace": "ycbcr"}, subsampling=(2, 2))
    svs("svs_jpeg2000.svs", compression=33005, compressionargs={"level": 0})
    focal()
    matrox("svs_33003.svs", (1, 1))
    matrox("svs_33003_422.svs", (2, 1))
    qptiff()
    leica()
    philips()
    ome()
    metaseries()
    refused()
    (HERE / "expected.json").write_text(json.dumps({"expected": EXPECTED, "refused": REFUSED}, indent=1, ensure_ascii=False) + "\n")
    print(len(EXPECTED), "files read,", len(REFUSED), "refused,", sum(f.stat().st_size for f in HERE.iterdir()) >> 10, "KiB")
