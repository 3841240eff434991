"""Files of every lab: each case is a row of docs/files.md, heading Pixels, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from slide_files import picture, write_plain

from fathom.datasets.masks import read_mask
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph
from fathom.ground.resolution import pixel_size
from fathom.slides.opening import open_slide

DOCS = Path(__file__).parents[2] / "docs" / "files.md"

GREY = picture(48, 60, 1)
DEEP = picture(48, 60, 1, np.uint16)
RGB = picture(48, 60, 3)
TWELVE = DEEP >> 4
LABELS = np.zeros((48, 60), np.uint8)
LABELS[4:14, 5:15], LABELS[20:33, 8:40] = 1, 2
ONE = np.where(LABELS == 2, LABELS, 0)
STRAY = ONE.copy()
STRAY[0, 0] = 2

NOTHING = "not tried"  # as this kind of input: no such file exists
GREYS = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
RAINBOW = np.stack([GREYS[0], GREYS[0][::-1], np.full(256, 7 * 257, np.uint16)])

Expected = Any  # the array that must come out, or words of the refusal


@dataclass
class Case:
    """A file, and what must come out of it in each place: an array, or a piece of the sentence."""

    write: Callable[[Path], object]
    study: Expected
    slide: Expected
    mask: Expected = NOTHING
    suffix: str = ".tif"
    options: dict[str, Any] = field(default_factory=dict)  # of open_slide


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def png(pixels, **options):
    return lambda path: Image.fromarray(pixels).save(path, format="PNG", **options)


def png_16(pixels):
    return lambda path: path.write_bytes(imagecodecs.png_encode(pixels))


def palette_tiff(indices, colours, **options):
    return tiff(indices, photometric="palette", colormap=colours, **options)


def palette_png(indices, colours):
    def write(path):
        image = Image.fromarray(indices)
        image.putpalette((colours.T >> 8).astype(np.uint8).tobytes())
        image.save(path, format="PNG")

    return write


def ome_images(*pictures, names=()):
    def write(path):
        with tifffile.TiffWriter(path, ome=True) as file:
            for number, one in enumerate(pictures):
                name = {"Name": names[number]} if names else {}
                file.write(one, metadata={"axes": "YX", **name})

    return write


def pages(*pictures, first=None, **options):
    """Write pages; `options` are of all but the first, which is tiled if it has its own."""

    def write(path):
        with tifffile.TiffWriter(path) as file:
            for number, one in enumerate(pictures):
                tile = {"tile": (16, 16)} if first else {}
                file.write(one, metadata=None, **tile, **(options if number else first or {}))

    return write


def animated(path):
    Image.fromarray(GREY).save(
        path, format="PNG", save_all=True, append_images=[Image.fromarray(255 - GREY)]
    )


def multi_picture_jpeg(path):
    Image.fromarray(GREY).save(
        path, format="MPO", save_all=True, append_images=[Image.fromarray(255 - GREY)]
    )


def coloured(indices, colours):
    """Return what a palette shows."""
    return (colours.T >> 8).astype(np.uint8)[indices]


def with_alpha(opacity):
    return np.dstack([RGB, np.full(RGB.shape[:2], opacity, np.uint8)])


def turned_jpeg(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(path, format="JPEG", exif=exif)


def three_channels(path, **metadata):
    options = {"imagej": True} if "imagej" in metadata else {"ome": True}
    metadata = {name: value for name, value in metadata.items() if name != "imagej"}
    tifffile.imwrite(
        path,
        np.moveaxis(RGB, -1, 0),
        photometric="minisblack",
        metadata={"axes": "CYX", **metadata},
        **options,
    )


def grey_jpeg(path):
    Image.fromarray(GREY).save(path, format="JPEG", quality=95)


def write_ome_channels(path, names):
    stack = np.stack([GREY, 255 - GREY])
    metadata = {"axes": "CYX", "Channel": {"Name": names}}
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=metadata)


ONE_PICTURE = "images|pictures|pages|planes"
CHANNEL = {"channel": 0}

CASES = {
    "grey, 8 bits": Case(tiff(GREY), GREY, GREY),
    "grey, 16 bits, big-endian": Case(tiff(DEEP, byteorder=">"), DEEP, DEEP),
    "grey, 12 bits, packed": Case(tiff(TWELVE, bitspersample=12), TWELVE, TWELVE),
    "grey, 4 bits": Case(
        tiff(LABELS, bitspersample=4), "4-bit numbers", "4-bit numbers", LABELS.astype(np.int32)
    ),
    "grey, 1 bit": Case(
        tiff(LABELS > 0, photometric="minisblack"),
        "1-bit numbers",
        "1-bit numbers",
        "one number, 1, in 2 separate pieces",
    ),
    "mask, 0 and 255": Case(
        tiff(np.where(LABELS, np.uint8(255), LABELS)),
        NOTHING,
        NOTHING,
        "one number, 255, in 2 separate pieces: that is a black and white picture",
    ),
    "mask of classes": Case(
        tiff(np.where(np.indices((48, 60)).sum(axis=0) % 12 < 6, LABELS, 0).astype(np.uint8)),
        NOTHING,
        NOTHING,
        "holds 2 numbers in 6 separate pieces: that is a picture of classes",
    ),
    "mask of one nucleus": Case(tiff(ONE), NOTHING, NOTHING, ONE.astype(np.int32)),
    "mask of one nucleus and a stray pixel": Case(
        tiff(STRAY), NOTHING, NOTHING, STRAY.astype(np.int32)
    ),
    "mask, JPEG called PNG": Case(
        lambda path: Image.fromarray(LABELS).save(path, format="JPEG"),
        NOTHING,
        NOTHING,
        "compressed as photographs are",
        suffix=".png",
    ),
    "mask, JPEG in a TIFF": Case(
        tiff(LABELS, compression="jpeg"), NOTHING, NOTHING, "compressed as photographs are"
    ),
    "mask, JPEG 2000 in a TIFF": Case(
        tiff(LABELS, compression="jpeg2000"), NOTHING, NOTHING, "compressed as photographs are"
    ),
    "mask, Deflate in a TIFF": Case(
        tiff(LABELS, compression="zlib"), NOTHING, NOTHING, LABELS.astype(np.int32)
    ),
    "signed, 16 bits": Case(
        tiff(LABELS.astype(np.int16)), "int16 numbers", "int16 numbers", LABELS.astype(np.int32)
    ),
    "floating point": Case(
        tiff(GREY.astype(np.float32)), "float32 numbers", "float32 numbers", "whole-numbered"
    ),
    "white is 0": Case(
        tiff(255 - GREY, photometric="miniswhite"), GREY, GREY, "save it with black as 0"
    ),
    "white is 0, 12 bits": Case(
        tiff(4095 - TWELVE, bitspersample=12, photometric="miniswhite"), TWELVE, TWELVE
    ),
    "palette of greys": Case(palette_tiff(255 - GREY, GREYS[:, ::-1]), GREY, GREY),
    "palette of greys, PNG": Case(
        palette_png(255 - GREY, GREYS[:, ::-1]), GREY, GREY, suffix=".png"
    ),
    "palette of colours": Case(
        palette_tiff(GREY, RAINBOW),
        coloured(GREY, RAINBOW),
        coloured(GREY, RAINBOW),
        options={"channels": 3},
    ),
    "palette of colours, PNG": Case(
        palette_png(GREY, RAINBOW),
        coloured(GREY, RAINBOW),
        coloured(GREY, RAINBOW),
        suffix=".png",
        options={"channels": 3},
    ),
    "palette, one colour asked for": Case(
        palette_tiff(GREY, RAINBOW),
        coloured(GREY, RAINBOW),
        coloured(GREY, RAINBOW)[..., 1],
        options={"channel": "green"},
    ),
    "look-up table of ImageJ": Case(
        palette_tiff(GREY, RAINBOW, description="ImageJ=1.54f\nimages=1\n", metadata=None),
        "set it to Grays",
        "set it to Grays",
    ),
    "mask with a palette": Case(
        palette_tiff(LABELS, np.where(np.arange(256) > 0, RAINBOW, 0).astype(np.uint16)),
        NOTHING,
        NOTHING,
        LABELS.astype(np.int32),
    ),
    "mask with a palette, PNG": Case(
        palette_png(LABELS, np.where(np.arange(256) > 0, RAINBOW, 0).astype(np.uint16)),
        NOTHING,
        NOTHING,
        LABELS.astype(np.int32),
        suffix=".png",
    ),
    "mask, black is not 0": Case(
        palette_png(2 - LABELS, np.where(np.arange(256) != 2, RAINBOW, 0).astype(np.uint16)),
        NOTHING,
        NOTHING,
        "shows the number 2 as black",
        suffix=".png",
    ),
    "RGB in planes": Case(
        tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"),
        RGB,
        RGB,
        "a label image is grey",
        options={"channels": 3},
    ),
    "RGB, 16 bits, PNG": Case(
        png_16(np.dstack([DEEP, DEEP // 2, DEEP // 3])),
        np.dstack([DEEP, DEEP // 2, DEEP // 3]),
        np.dstack([DEEP, DEEP // 2, DEEP // 3]),
        suffix=".png",
        options={"channels": 3},
    ),
    "RGB, opaque alpha": Case(
        tiff(with_alpha(255), photometric="rgb", extrasamples=["unassalpha"]),
        RGB,
        RGB,
        options={"channels": 3},
    ),
    "RGB, transparent alpha": Case(
        tiff(with_alpha(99), photometric="rgb", extrasamples=["unassalpha"]),
        "transparent alpha channel",
        "transparent alpha channel",
        options={"channels": 3},
    ),
    "transparent alpha, red asked for": Case(
        tiff(with_alpha(99), photometric="rgb", extrasamples=["unassalpha"]),
        "transparent alpha channel",
        "transparent alpha channel",
        options={"channel": "red"},
    ),
    "grey, opaque alpha": Case(
        tiff(
            np.dstack([GREY, np.full_like(GREY, 255)]),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        GREY,
        GREY,
    ),
    "one grey value is transparent, PNG": Case(
        png(GREY, transparency=int(GREY[0, 0])),
        "transparent alpha channel",
        "transparent alpha channel",
        suffix=".png",
    ),
    "three samples that are no RGB": Case(
        tiff(RGB, photometric="minisblack", planarconfig="contig"),
        "3 channels",
        RGB[..., 0],
        options=CHANNEL,
    ),
    "three samples, for a model of RGB": Case(
        tiff(RGB, photometric="minisblack", planarconfig="contig"),
        "3 channels",
        "does not say that they are red, green and blue",
        options={"channels": 3},
    ),
    "three samples in planes, for a model of RGB": Case(
        tiff(np.moveaxis(RGB, -1, 0), photometric="minisblack", planarconfig="separate"),
        "3 channels",
        "does not say that they are red, green and blue",
        options={"channels": 3},
    ),
    "three channels of OME, for a model of RGB": Case(
        three_channels,
        "3 channels",
        "does not say that they are red, green and blue",
        suffix=".ome.tif",
        options={"channels": 3},
    ),
    "three channels of OME called red, green, blue": Case(
        lambda path: three_channels(path, Channel={"Name": ["red", "green", "blue"]}),
        "3 channels",
        "does not say that they are red, green and blue",
        suffix=".ome.tif",
        options={"channels": 3},
    ),
    "three channels of ImageJ, for a model of RGB": Case(
        lambda path: three_channels(path, imagej=True),
        "3 channels",
        "does not say that they are red, green and blue",
        options={"channels": 3},
    ),
    "CMYK, JPEG": Case(
        lambda path: Image.fromarray(RGB).convert("CMYK").save(path, format="JPEG"),
        "CMYK",
        "CMYK",
        suffix=".jpg",
    ),
    "CMYK, TIFF": Case(tiff(with_alpha(255), photometric="separated"), "CMYK", "CMYK"),
    "YCbCr without JPEG": Case(
        tiff(RGB, photometric="ycbcr"), "stored as YCBCR", "stored as YCBCR"
    ),
    "turned when shown, JPEG": Case(turned_jpeg, "Orientation 6", "Orientation 6", suffix=".jpg"),
    "turned when shown, TIFF": Case(
        tiff(GREY, extratags=[(274, 3, 1, 8, True)]), "Orientation 8", "Orientation 8"
    ),
    "(1, H, W)": Case(tiff(GREY[np.newaxis]), GREY, GREY, GREY.astype(np.int32)),
    "(1, 1, H, W), OME": Case(
        tiff(GREY[np.newaxis, np.newaxis], ome=True, metadata={"axes": "ZCYX"}), GREY, GREY
    ),
    "OME-TIFF of two images": Case(
        ome_images(GREY, GREY[:40]),
        "holds 2 images",
        "holds 2 images",
        "holds 2 images",
        suffix=".ome.tif",
    ),
    "OME-TIFF of an image and a mask called labels": Case(
        ome_images(GREY, LABELS), ONE_PICTURE, ONE_PICTURE, ONE_PICTURE, suffix=".ome.tif"
    ),
    "OME-TIFF of an image and one called Label 2": Case(
        ome_images(GREY, LABELS, names=("cells", "Label 2")),
        ONE_PICTURE,
        ONE_PICTURE,
        ONE_PICTURE,
        suffix=".ome.tif",
    ),
    "OME-TIFF, its overview is larger": Case(
        ome_images(GREY[:20, :20], GREY[:41, :53], names=("slide", "overview")),
        ONE_PICTURE,
        ONE_PICTURE,
        ONE_PICTURE,
        suffix=".ome.tif",
    ),
    "OME-TIFF, its overview is smaller": Case(
        ome_images(GREY, GREY[::3, ::3], names=("slide", "overview")), GREY, GREY, suffix=".ome.tif"
    ),
    "OME-TIFF, its label image is smaller": Case(
        ome_images(GREY, GREY[:20, :20], names=("slide", "label image")),
        GREY,
        GREY,
        suffix=".ome.tif",
    ),
    "pages of two sizes": Case(
        pages(GREY, GREY[:40]), "holds 2 images", "holds 2 images", "holds 2 images"
    ),
    "pages of one size": Case(
        pages(GREY, 255 - GREY), "holds 2 pages", "holds 2 pages", "holds 2 pages"
    ),
    "pages of one size, called Aperio's": Case(
        pages(GREY, 255 - GREY, first={"description": "Aperio Image Library v11\r\n60x48"}),
        ONE_PICTURE,
        ONE_PICTURE,
        ONE_PICTURE,
    ),
    "pages of one size, called Aperio's, RGB": Case(
        pages(RGB, 255 - RGB, first={"description": "Aperio Image Library v11\r\n60x48"}),
        ONE_PICTURE,
        ONE_PICTURE,
        ONE_PICTURE,
        options={"channels": 3},
    ),
    "a picture and its thumbnail": Case(pages(GREY, GREY[::5, ::5], subfiletype=1), GREY, GREY),
    "a reduced page of another shape": Case(
        pages(GREY, GREY[::5, ::3], subfiletype=1), ONE_PICTURE, ONE_PICTURE, ONE_PICTURE
    ),
    "a reduced page that is larger": Case(
        pages(GREY[:24, :30], GREY, subfiletype=1), ONE_PICTURE, ONE_PICTURE, ONE_PICTURE
    ),
    "moving picture, PNG": Case(
        animated, "holds 2 pictures", "holds 2 pictures", "holds 2 pictures", suffix=".png"
    ),
    "several pictures, JPEG": Case(
        multi_picture_jpeg, "holds 2 pictures", "holds 2 pictures", suffix=".jpg"
    ),
    "two channels of one name": Case(
        lambda path: write_ome_channels(path, ["DAPI", "DAPI"]),
        "2 channels",
        "2 channels called 'DAPI'; give the number",
        suffix=".ome.tif",
        options={"channel": "dapi"},
    ),
    "two channels of one name, by number": Case(
        lambda path: write_ome_channels(path, ["DAPI", "DAPI"]),
        "2 channels",
        255 - GREY,
        suffix=".ome.tif",
        options={"channel": 1},
    ),
}


def found(read, path):
    try:
        return read(path)
    except FathomError as error:
        return str(error)


def as_slide(path, options):
    with open_slide(path, **options) as slide:
        return slide.read(0, 0, slide.height, slide.width)


def require(read, expected):
    if isinstance(expected, str):
        assert isinstance(read, str), "was read"
        assert any(words in read for words in expected.split("|")), read
        assert "\n" not in read
    else:
        assert not isinstance(read, str), read
        assert read.dtype == expected.dtype
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("name", CASES)
def test_what_is_stored_is_what_is_computed_on_or_it_is_refused(tmp_path, name):
    case = CASES[name]
    path = tmp_path / f"a{case.suffix}"
    case.write(path)
    slide = found(lambda file: as_slide(file, case.options), path)
    for read, expected in (
        (found(read_micrograph, path), case.study),
        (slide, case.slide),
        (found(read_mask, path), case.mask),
    ):
        if not (isinstance(expected, str) and expected == NOTHING):
            require(read, expected)


def test_a_jpeg_is_as_its_decoder_gives_it(tmp_path):
    grey_jpeg(tmp_path / "a.jpg")
    np.testing.assert_array_equal(
        read_micrograph(tmp_path / "a.jpg"),
        imagecodecs.jpeg_decode((tmp_path / "a.jpg").read_bytes()),
    )


def ome(**sizes):
    metadata = {"axes": "YX", **sizes}
    return lambda path: tifffile.imwrite(path, GREY, ome=True, metadata=metadata)


def ome_text(attributes):
    """Write OME-XML by hand: what other programs write need not be what the schema allows."""

    def write(path):
        text = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="60" SizeY="48" '
            f'SizeC="1" SizeZ="1" SizeT="1" {attributes}><Channel ID="Channel:0:0"/>'
            "<TiffData/></Pixels></Image></OME>"
        )
        tifffile.imwrite(path, GREY, description=text, metadata=None)

    return write


def imagej(unit, per_unit):
    return lambda path: tifffile.imwrite(
        path, GREY, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit}
    )


def tags(unit, x, y=None):
    return lambda path: write_plain(path, GREY, resolution=(x, y or x), resolutionunit=unit)


def aperio(mpp):
    text = f"Aperio Image Library v11.2.1\r\n60x48 |AppMag = 20|MPP = {mpp}"
    return lambda path: tifffile.imwrite(
        path, GREY, description=text, metadata=None, rowsperstrip=13
    )


def aperio_tiled(mpp):
    text = f"Aperio Image Library v11.2.1\r\n60x48 |AppMag = 20|MPP = {mpp}"
    pixels = np.dstack([GREY] * 3)
    return lambda path: tifffile.imwrite(
        path, pixels, description=text, metadata=None, tile=(16, 16), photometric="rgb"
    )


def ngff(scale, unit="micrometer", axes="yx"):
    def write(path):
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", data=GREY, chunks=(16, 16))
        transforms = [{"type": "scale", "scale": scale}]
        named = [
            {"name": name, "type": "space"} | ({"unit": unit} if unit else {}) for name in axes
        ]
        group.attrs["multiscales"] = [
            {"axes": named, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
        ]

    return write


# Name: how it is written, its suffix, the width that is found or words of the refusal.
WIDTHS = {
    "OME, in dm": (
        ome_text(
            'PhysicalSizeX="0.00000325" PhysicalSizeXUnit="dm" '
            'PhysicalSizeY="0.00000325" PhysicalSizeYUnit="dm"'
        ),
        ".ome.tif",
        0.325,
    ),
    "OME, in pm": (
        ome_text(
            'PhysicalSizeX="325000" PhysicalSizeXUnit="pm" '
            'PhysicalSizeY="325000" PhysicalSizeYUnit="pm"'
        ),
        ".ome.tif",
        0.325,
    ),
    "OME, X only": (ome_text('PhysicalSizeX="0.325"'), ".ome.tif", 0.325),
    "OME, comma for a point": (
        ome_text('PhysicalSizeX="0,325" PhysicalSizeY="0,325"'),
        ".ome.tif",
        "'0,325' um wide, which is no width",
    ),
    "OME, in pixels": (
        ome_text(
            'PhysicalSizeX="1" PhysicalSizeXUnit="pixel" '
            'PhysicalSizeY="1" PhysicalSizeYUnit="pixel"'
        ),
        ".ome.tif",
        "does not say how wide",
    ),
    "OME, in furlongs": (
        ome_text('PhysicalSizeX="1" PhysicalSizeXUnit="furlong"'),
        ".ome.tif",
        "'furlong' wide, which is no unit",
    ),
    "OME, 325 for 0.325": (
        ome(PhysicalSizeX=325.0, PhysicalSizeY=325.0),
        ".ome.tif",
        "325 um wide, which no light microscope's are",
    ),
    "ImageJ, inch, 72": (imagej("inch", 72), ".tif", "352.8 um wide, which no light microscope"),
    "ImageJ, micron": (imagej("micron", 1 / 0.325), ".tif", 0.325),
    "ImageJ, pixel": (imagej("pixel", 1), ".tif", "does not say how wide"),
    "tags, 72 dpi": (tags("INCH", 72), ".tif", "does not say how wide"),
    "tags, cm": (tags("CENTIMETER", 1e4 / 0.325), ".tif", 0.325),
    "tags, pixels not square": (
        tags("CENTIMETER", 20_000, 10_000),
        ".tif",
        0.5,
    ),
    "Aperio, in strips": (aperio("0.325"), ".tif", 0.325),
    "Aperio, in strips, SVS": (aperio("0.325"), ".svs", 0.325),
    "Aperio, comma for a point": (aperio("0,325"), ".svs", "'0,325' um wide, which is no width"),
    "Aperio": (aperio_tiled("0.325"), ".svs", 0.325),
    "Aperio, tiled, comma for a point": (
        aperio_tiled("0,325"),
        ".svs",
        "'0,325' um wide, which is no width",
    ),
    "OME-Zarr": (ngff([0.325, 0.325]), ".zarr", 0.325),
    "OME-Zarr, no unit": (ngff([0.325, 0.325], unit=None), ".zarr", "does not say how wide"),
    "OME-Zarr, scale one entry short": (
        ngff([0.325]),
        ".zarr",
        "has a scale of 1 numbers for the axes y, x",
    ),
    "OME-Zarr, scale of text": (ngff(["0,325", "0,325"]), ".zarr", "which is no number"),
    "OME-Zarr, pixels not square": (ngff([1.0, 0.5]), ".zarr", 0.5),
}


def options_of(name):
    return {"channel": "red"} if name in ("Aperio", "Aperio, tiled, comma for a point") else {}


@pytest.mark.parametrize("name", WIDTHS)
def test_every_source_of_resolution_passes_the_same_test(tmp_path, name):
    write, suffix, expected = WIDTHS[name]
    path = tmp_path / f"a{suffix}"
    write(path)

    def width(file):
        with open_slide(file, um_per_px=0.325, **options_of(name)) as slide:
            return slide.um_per_px

    read = found(width, path)
    if isinstance(expected, str):
        assert isinstance(read, str), read
        assert expected in read
        assert "--um-per-px" in read
    else:
        assert read == pytest.approx(0.325, rel=1e-4)


@pytest.mark.parametrize("name", WIDTHS)
def test_the_option_goes_before_whatever_the_file_says(tmp_path, name):
    write, suffix, _ = WIDTHS[name]
    path = tmp_path / f"a{suffix}"
    write(path)
    with open_slide(path, um_per_px=0.65, own_um_per_px=0.325, **options_of(name)) as slide:
        assert (slide.height, slide.width, slide.um_per_px) == (24, 30, 0.65)


@pytest.mark.parametrize("name", WIDTHS)
def test_without_a_model_that_needs_it_no_wrong_width_is_told(tmp_path, name):
    write, suffix, expected = WIDTHS[name]
    path = tmp_path / f"a{suffix}"
    write(path)
    with open_slide(path, **options_of(name)) as slide:
        known = None if isinstance(expected, str) else pytest.approx(expected, rel=1e-4)
        assert slide.um_per_px == known


@pytest.mark.parametrize("unit", ["nm", "mm", "cm", "dm", "m", "pm", "Mm", "km", "inch", "thou"])
def test_units_are_told_apart_by_case(unit):
    in_um = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6, "pm": 1e-6}
    in_um |= {"Mm": 1e12, "km": 1e9, "inch": 25_400, "thou": 25.4}
    side = (0.5 / in_um[unit], unit)
    assert pixel_size(side, side).um_per_px == pytest.approx(0.5)


def rows():
    """Return the rows of the tables below the heading Pixels: first cell, other cells."""
    text = DOCS.read_text(encoding="utf-8").split("\n## Pixels\n")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells}


def test_the_page_has_a_row_for_each_file_and_says_what_comes_out():
    documented = rows()
    for name, case in CASES.items():
        cells = documented.pop(name)
        for cell, expected in zip(cells, (case.study, case.slide, case.mask), strict=False):
            refused = isinstance(expected, str) and expected != NOTHING
            assert cell == ("refused" if refused else "" if isinstance(expected, str) else "read")
    for name, (_, _, expected) in WIDTHS.items():
        width = documented.pop(name)[0]
        assert width == ("refused" if isinstance(expected, str) else f"{expected:g} um")
    headings = [name for name in documented if name not in ("file", "---")]
    assert not headings, "rows of files that are not tried"
