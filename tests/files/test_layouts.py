"""The same picture in any layout has the same nuclei and probabilities, or is refused.

A picture is written in a layout that is drawn: numbers, byte order, colours, planes, blocks,
compression, axes, alpha, resolution. `Layout.is_read` says by itself, from the tables of
docs/files.md, whether it must be read.
"""

from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from conftest import draw_field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_model import write_model

import fathom
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph
from fathom.models.onnx_model import OnnxModel

UM = 0.5
FIELD = draw_field(3, 6, 128)[0]
PICTURES = {
    "grey8": (FIELD >> 5).astype(np.uint8),
    "grey10": FIELD >> 3,
    "grey12": FIELD >> 1,
    "grey14": FIELD,
    "grey16": FIELD * 9,
}
PICTURES |= {
    f"rgb{bits}": np.dstack([PICTURES[f"grey{bits}"] // share for share in (1, 2, 3)])
    for bits in (8, 16)
}

# How a TIFF may say that a pixel is 0.5 um wide, and how not: the options of tifffile, is it read.
UNITS = {
    "cm": ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, True),
    "inch": ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, True),
    "none": ({}, False),
    "no unit": ({"resolution": (2, 2), "resolutionunit": "NONE"}, False),
    "72 dpi": ({"resolution": (72, 72), "resolutionunit": "INCH"}, False),
    "aperio": ({"description": "Aperio Image Library v11\r\n128x128 |AppMag = 20|MPP = 0.5"}, True),
    "aperio, comma": ({"description": "Aperio Image Library v11\r\n128x128 |MPP = 0,5"}, False),
}
OME_UNITS = {"µm": 1, "nm": 1e3, "pm": 1e6, "mm": 1e-3, "cm": 1e-4, "dm": 1e-5, "m": 1e-6, "Å": 1e4}


@dataclass(frozen=True)
class Layout:
    kind: str  # tiff, ome, imagej, png, zarr, array
    picture: str
    order: str = "<"
    colours: str = "plain"  # white is 0, palette, colour palette, cmyk, ycbcr, lut, no rgb, three
    packed: bool = False
    planar: bool = False
    compression: str | None = None
    predictor: bool = False
    tiled: bool = False
    big: bool = False
    axes: str = ""  # before Y and X, each of length 1; with a digit: so many
    alpha: str = ""  # opaque, transparent
    orientation: int = 1
    unit: str = "cm"
    given: bool = False  # --um-per-px

    @property
    def is_read(self) -> bool:
        """Tell whether a slide of this layout must be read, as docs/files.md says."""
        known = (
            self.given
            or {
                "tiff": lambda: UNITS[self.unit][1],
                "ome": lambda: self.unit in OME_UNITS,
                "imagej": lambda: self.unit == "micron",
                "zarr": lambda: self.unit == "micrometer",
                "png": lambda: False,
                "array": lambda: False,
            }[self.kind]()
        )
        return known and self.is_one_picture

    @property
    def is_one_picture(self) -> bool:
        """Tell whether what is stored is one picture, whatever its resolution."""
        return (
            self.colours in ("plain", "white is 0", "palette")
            and self.axes not in ("2", "z2", "two sizes")
            and self.alpha != "transparent"
            and self.orientation == 1
        )


@st.composite
def layouts(draw):
    kind = draw(st.sampled_from(["tiff"] * 6 + ["ome", "ome", "imagej", "png", "zarr", "array"]))
    given_um = draw(st.booleans()) if kind != "png" else draw(st.integers(0, 3)) > 0
    common = {"order": draw(st.sampled_from("<>")), "given": given_um}
    depths = {"png": ["grey8", "grey16", "rgb8", "rgb16"], "imagej": ["grey8", "grey16", "rgb8"]}
    picture = draw(st.sampled_from(depths.get(kind, list(PICTURES))))
    if kind == "png":
        colours = draw(st.sampled_from(["plain", "palette"])) if picture == "grey8" else "plain"
        alpha = draw(st.sampled_from(["", "opaque", "transparent"])) if colours == "plain" else ""
        return Layout(kind, picture, colours=colours, alpha=alpha, given=given_um)
    if kind == "array":
        return Layout(kind, picture, **common)
    if kind == "imagej":
        units = st.sampled_from(["micron", "pixel", "inch"])
        colours = draw(st.sampled_from(["plain", "three"])) if picture == "rgb8" else "plain"
        unit = draw(units)
        return Layout(kind, picture, order=">", colours=colours, unit=unit, given=given_um)
    if kind == "zarr":
        axes = draw(st.sampled_from(["", "c", "zc", "tcz", "z2"])) if "grey" in picture else "c"
        units = st.sampled_from(["micrometer", "pixel", ""])
        return Layout(kind, picture, axes=axes, unit=draw(units), **common)
    return draw(tiffs(kind, picture, common))


@st.composite
def tiffs(draw, kind, picture, common):
    grey = "grey" in picture
    colours, alpha = "plain", ""
    if kind == "tiff":
        wanted = ["plain", "plain", "plain"]
        wanted += ["white is 0"] if grey else ["cmyk", "no rgb", "three", "plain"]
        wanted += ["palette", "colour palette", "lut"] if picture == "grey8" else []
        wanted += ["ycbcr"] if picture == "rgb8" else []
        colours = draw(st.sampled_from(wanted))
    elif not grey:
        colours = draw(st.sampled_from(["plain", "three"]))
    if colours == "plain" and kind == "tiff":
        alpha = draw(st.sampled_from(["", "", "opaque", "transparent"]))
    packed = picture in ("grey10", "grey12", "grey14") and not alpha and draw(st.booleans())
    compressions = [None, "zlib", "lzw", "packbits", "zstd", "lzma"]
    compression = None if packed else draw(st.sampled_from(compressions))
    plain = compression in ("zlib", "lzw", "zstd", "lzma") and colours in ("plain", "white is 0")
    axes = (
        draw(st.sampled_from(["", "", "1", "11", "2", "two sizes"])) if grey and not alpha else ""
    )
    if colours != "plain" or packed:
        axes = ""
    units = list(UNITS) if kind == "tiff" else [*OME_UNITS, "pixel", "furlong"]
    return Layout(
        kind,
        picture,
        colours=colours,
        packed=packed,
        planar=not grey and colours in ("plain", "three") and draw(st.booleans()),
        compression=compression,
        predictor=plain and draw(st.booleans()),
        tiled=not packed and draw(st.booleans()),
        big=draw(st.booleans()),
        axes=axes,
        alpha=alpha,
        orientation=draw(st.sampled_from([1, 1, 1, 1, 1, 1, 3, 6])) if kind == "tiff" else 1,
        unit="cm" if colours == "lut" else draw(st.sampled_from(units)),
        **common,
    )


def write(layout: Layout, folder: Path) -> Path | np.ndarray:
    pixels = PICTURES[layout.picture]
    if layout.kind == "array":
        return pixels.astype(pixels.dtype.newbyteorder(layout.order))
    path = folder / {"png": "a.png", "zarr": "a.zarr", "ome": "a.ome.tif"}.get(layout.kind, "a.tif")
    {"png": write_png, "zarr": write_zarr, "imagej": write_imagej}.get(layout.kind, write_tiff)(
        layout, pixels, path
    )
    return path


def with_alpha(pixels, alpha):
    top = np.iinfo(pixels.dtype).max
    opacity = np.full(pixels.shape[:2], top, pixels.dtype)
    if alpha == "transparent":
        opacity[5:9, 7:70] = top // 2
    return np.dstack([pixels, opacity])


def write_png(layout, pixels, path):
    if layout.colours == "palette":
        picture = Image.fromarray(255 - pixels)
        picture.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes())
        picture.save(path)
        return
    pixels = with_alpha(pixels, layout.alpha) if layout.alpha else pixels
    path.write_bytes(imagecodecs.png_encode(pixels))


def write_zarr(layout, pixels, path):
    names = [letter for letter in layout.axes if letter.isalpha()] + ["y", "x"]
    planes = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    if layout.axes == "z2":
        planes = np.stack([planes, planes])
    planes = planes.reshape((1,) * (len(names) - planes.ndim) + planes.shape)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    dtype = planes.dtype.newbyteorder(layout.order)
    chunks = (1,) * (planes.ndim - 2) + (50, 60)
    group.create_array("0", shape=planes.shape, chunks=chunks, dtype=dtype)[...] = planes
    axes = [{"name": name} | ({"unit": layout.unit} if name in "yx" else {}) for name in names]
    scale = [{"type": "scale", "scale": [1.0] * (len(names) - 2) + [UM, UM]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]


def write_imagej(layout, pixels, path):
    per_unit = {"micron": 1 / UM, "pixel": 1, "inch": 72}[layout.unit]
    metadata = {"unit": layout.unit}
    options = {"imagej": True, "resolution": (per_unit,) * 2}
    if layout.colours == "three":
        pixels, options["photometric"] = np.moveaxis(pixels, -1, 0), "minisblack"
        metadata["axes"] = "CYX"
    tifffile.imwrite(path, pixels, metadata=metadata, **options)


def write_tiff(layout, pixels, path):
    options = {
        "compression": layout.compression,
        "predictor": layout.predictor or None,
        "tile": (48, 64) if layout.tiled else None,
        "rowsperstrip": None if layout.tiled or layout.packed else 13,
        "metadata": None,
    }
    if layout.kind == "ome":
        size = UM * OME_UNITS.get(layout.unit, 1)
        options["metadata"] = {
            f"PhysicalSize{axis}{end}": value
            for axis in "XY"
            for end, value in (("", size), ("Unit", layout.unit))
        }
    else:
        options |= UNITS[layout.unit][0]
    if layout.orientation != 1:
        options["extratags"] = [(274, 3, 1, layout.orientation, True)]
    pixels, options = coloured(layout, pixels, options)
    pictures = [pixels]
    if layout.axes == "two sizes":
        pictures.append(pixels[:100])
    elif layout.axes == "2":
        pictures = [np.stack([pixels, pixels])]
    else:
        pictures = [pixels.reshape((1,) * len(layout.axes) + pixels.shape)]
    if layout.kind == "ome":
        form = "YXS" if pixels.ndim == 3 and not layout.planar else "SYX"[pixels.ndim == 2 :]
        form = "CYX" if layout.colours == "three" else form
        before = {"": "", "1": "Z", "11": "ZC", "2": "T", "two sizes": ""}[layout.axes]
        options["metadata"]["axes"] = before + form
    with tifffile.TiffWriter(
        path, bigtiff=layout.big, byteorder=layout.order, ome=layout.kind == "ome"
    ) as file:
        for one in pictures:
            file.write(one, **options)
    if layout.packed and layout.order == ">":
        repack(path, pixels, options)


def repack(path, pixels, options):
    """Put the right bits into a big-endian file: tifffile 2026.3.3 exchanges bytes first.

    Packed numbers are one stream of bits, the highest first, in either byte order (TIFF 6.0, page
    29); tifffile reads them so.
    """
    with tifffile.TiffFile(path) as file:
        (place,), (count,) = file.pages.first.dataoffsets, file.pages.first.databytecounts
    width = options["bitspersample"]
    flat = pixels.reshape(-1, 1) >> np.arange(width)[::-1] & 1
    stream = np.packbits(flat.astype(np.uint8).reshape(len(pixels), -1), axis=1).tobytes()
    assert len(stream) == count
    content = bytearray(path.read_bytes())
    content[place : place + count] = stream
    path.write_bytes(bytes(content))


def coloured(layout, pixels, options):
    """Return the pixels as they are stored, and the options that say so."""
    greys = np.tile(np.arange(255, -1, -1, dtype=np.uint16) * 257, (3, 1))
    if layout.colours == "white is 0":
        bits = int(layout.picture[4:]) if layout.packed else 8 * pixels.itemsize
        options |= {"photometric": "miniswhite"}
        pixels = (2**bits - 1 - pixels).astype(pixels.dtype)
    elif layout.colours == "palette":
        options |= {"photometric": "palette", "colormap": greys}
        pixels = 255 - pixels
    elif layout.colours in ("colour palette", "lut"):
        options |= {"photometric": "palette", "colormap": greys * np.array([[0], [1], [0]], "u2")}
        if layout.colours == "lut":
            options["description"] = "ImageJ=1.54f\nimages=1\n"
    elif layout.colours == "cmyk":
        options |= {"photometric": "separated"}
        pixels = with_alpha(pixels, "opaque")
    elif layout.colours == "no rgb":
        options |= {"photometric": "minisblack", "planarconfig": "contig"}
        pixels = with_alpha(pixels, "opaque")
    elif layout.colours == "three":
        options["photometric"] = "minisblack"
        apart = layout.planar or layout.kind == "ome"
        if layout.kind == "tiff":
            options["planarconfig"] = "separate" if apart else "contig"
        pixels = np.moveaxis(pixels, -1, 0) if apart else pixels
    elif layout.colours == "ycbcr":
        options |= {"photometric": "ycbcr"}
    else:
        options["photometric"] = "minisblack" if pixels.ndim == 2 else "rgb"
        if layout.alpha:
            options |= {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
            pixels = with_alpha(pixels, layout.alpha)
        if layout.planar:
            options["planarconfig"] = "separate"
            pixels = np.moveaxis(pixels, -1, 0)
    if layout.packed:
        options["bitspersample"] = int(layout.picture[4:])
    return pixels, options


class Truth:
    """The nuclei of each picture, of the array itself, by a model of its channels."""

    def __init__(self, folder):
        self._models = {
            channels: OnnxModel(write_model(folder / "m.onnx", um_per_px=UM, channels=channels))
            for channels in (1, 3)
        }
        self.nuclei = {
            name: self.found(pixels, name, um_per_px=UM) for name, pixels in PICTURES.items()
        }
        assert all(len(table) == 6 for table in self.nuclei.values())

    def found(self, slide, picture, **options):
        """Return the nuclei without their names, or the sentence of a refusal."""
        model = self._models[3 if "rgb" in picture else 1]
        try:
            return fathom.predict(slide, model, **options).drop(columns=["image", "nucleus"])
        except FathomError as error:
            return str(error)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return Truth(tmp_path_factory.mktemp("models"))


def in_study(path):
    try:
        return read_micrograph(path)
    except FathomError as error:
        return str(error)


def try_layout(layout, truth, folder):
    slide = write(layout, folder)
    found = truth.found(slide, layout.picture, **({"um_per_px": UM} if layout.given else {}))
    assert isinstance(found, str) != layout.is_read, found
    if layout.is_read:
        pd.testing.assert_frame_equal(found, truth.nuclei[layout.picture], check_exact=True)
    else:
        assert "\n" not in found
    # A study reads neither arrays nor OME-Zarr; where its pictures are in colour, a palette's are.
    if layout.kind in ("array", "zarr") or layout.colours == "colour palette":
        return
    pixels = in_study(slide)
    assert isinstance(pixels, str) != layout.is_one_picture, pixels
    if layout.is_one_picture:
        assert pixels.dtype == PICTURES[layout.picture].dtype
        np.testing.assert_array_equal(pixels, PICTURES[layout.picture])


def cases(count):
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@cases(60)
@given(layout=layouts())
def test_some_layouts(layout, truth, tmp_path_factory):
    try_layout(layout, truth, tmp_path_factory.mktemp("layout"))


@pytest.mark.long
@cases(2000)
@given(layout=layouts())
def test_many_layouts(layout, truth, tmp_path_factory):
    try_layout(layout, truth, tmp_path_factory.mktemp("layout"))
