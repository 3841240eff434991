"""Which of a TIFF's pages are its picture, and all of it as it is stored."""

import logging
import math
import re
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

import numpy as np
import tifffile

from fathom.ground.errors import SlideError
from fathom.ground.pixel_format import PixelFormat, Stored, tiff_format
from fathom.ground.unpacked import require_unpackable

Page = tifffile.TiffPage | tifffile.TiffFrame

_PLANES = {"Z": "Z planes", "T": "time points"}
# A smaller copy of a slide, by an image's name or by NewSubfileType (TIFF 6.0, page 36).
_COPY = re.compile(r"(label|macro|thumbnail|overview)( image)?( \d+)?", re.IGNORECASE)
_REDUCED = 1
# A photograph of the glass or its label, as Aperio's scanners describe it, and as Bio-Formats calls
# what they wrote.
_OF_THE_GLASS = re.compile(r"^(label|macro) (\d+x\d+|image$)", re.IGNORECASE | re.MULTILINE)
_SAME_SHAPE = 0.02  # sides of a copy are rounded to whole pixels: so much, or a pixel

# tifffile logs what it finds odd; a user is told in one sentence, by `SlideError`, or not at all.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


def the_picture(tiff: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """Return the one image plane of a file, its axes Y, X and perhaps S (samples) or C (channels).

    Raises `SlideError` where the file holds more than one picture: several images, Z planes, time
    points or pages. Labels, thumbnails and reduced copies do not count. So it does where the file
    names others outside of its folder, or says that it is larger than what it can unpack to.
    """
    _require_own_files(tiff, path)
    series = tiff.series
    if not series:
        raise SlideError(f"{path}: holds no image")
    if ".ome." in path.name.lower() and not tiff.is_ome:
        raise SlideError(f"{path}: its OME-XML is missing: damaged or truncated, or misnamed")
    others = [other for other in series[1:] if not _is_beside(series[0], other)]
    if others:
        names = [_named(one) for one in (series[0], others[0])]
        raise SlideError(
            f"{path}: holds {1 + len(others)} images ({', '.join(names)} ...); save one a file"
        )
    sizes = dict(zip(series[0].axes, series[0].shape, strict=True))
    for axis, length in sizes.items():
        if axis not in "YXSC" and length > 1:
            raise SlideError(
                f"{path}: holds {length} {_PLANES.get(axis, 'pages')}; one was expected. Save "
                "one a file, such as the sharpest or the maximum projection"
            )
    if sizes.get("C", 1) > 1 and sizes.get("S", 1) > 1:
        raise SlideError(f"{path}: holds {sizes['C']} RGB pictures; save one a file")
    _require_size(series[0], path)
    return series[0]


def _require_own_files(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse OME-XML that names files elsewhere: tifffile would open them, whatever they are."""
    if not tiff.is_ome or "FileName" not in (tiff.ome_metadata or ""):
        return
    for element in ElementTree.fromstring(tiff.ome_metadata or "").iter():
        name = PureWindowsPath(element.get("FileName", ""))  # knows `/` and the backslash
        if name.anchor or ".." in name.parts:
            raise SlideError(
                f"{path}: its OME-XML names the file {str(name)!r}, which lies outside of its "
                "folder; put the files of the image into one folder"
            )


def _require_size(series: tifffile.TiffPageSeries, path: Path) -> None:
    files = {page.parent.filehandle for page in series.pages if page is not None}
    stored = sum(file.size for file in files)
    for level in series.levels:
        page = level.keyframe
        block = math.prod(page.chunks) if page.chunks else 0  # a tile may be larger than its image
        itemsize = max(1, -(-page.bitspersample // 8))
        require_unpackable(path, itemsize * max(math.prod(level.shape), block), stored)


def _is_beside(slide: tifffile.TiffPageSeries, series: tifffile.TiffPageSeries) -> bool:
    """Tell a smaller copy of a slide, or a photograph of its glass, from another picture.

    A name or a mark alone is not believed: the picture must be smaller, and a copy of one shape.
    """
    name, page = series.name.strip(), series.keyframe
    height, width = slide.keyframe.imagelength, slide.keyframe.imagewidth
    down, across = page.imagelength, page.imagewidth
    if _OF_THE_GLASS.search(f"{name}\n{page.description if page.is_svs else ''}"):
        return down * across < height * width
    # tifffile calls the second page of an Aperio file its thumbnail, whatever it is.
    marked = _COPY.fullmatch(name) is not None or bool(page.subfiletype & _REDUCED)
    off = min(abs(down - across * height / width), abs(across - down * width / height))
    same_shape = off <= max(1, _SAME_SHAPE * min(down, across))
    return marked and same_shape and down < height and across < width


def _named(series: tifffile.TiffPageSeries) -> str:
    return repr(series.name) if series.name else " x ".join(map(str, series.shape))


def read_tiff(path: Path) -> tuple[Stored, PixelFormat]:
    """Return all pixels of a file's one picture, (H, W) or (H, W, samples), and their format.

    Raises `SlideError` where the file holds more than one picture, several channels, or ends
    before its pixels do.
    """
    with tifffile.TiffFile(path) as tiff:
        series = the_picture(tiff, path)
        pixel_format = tiff_format(series.keyframe, path)
        sizes = dict(zip(series.axes, series.shape, strict=True))
        channels = max(sizes.get("C", 1), 1 if pixel_format.colour else pixel_format.channels)
        if channels > 1:
            raise SlideError(
                f"{path}: holds {channels} channels; one grey or one RGB picture was expected. "
                "Save the nuclear stain alone"
            )
        for page in series.pages:
            if page is None:
                raise SlideError(f"{path}: its pixels are in another file, which is not there")
            require_whole(path, page)
        stored = np.asarray(series.asarray())
    kept = [axis for axis in ("Y", "X", "S") if axis in sizes]
    plane = stored[tuple(slice(None) if axis in kept else 0 for axis in series.axes)]
    order = [axis for axis in series.axes if axis in kept]
    return plane.transpose([order.index(axis) for axis in kept]), pixel_format


def require_whole(path: Path, page: Page) -> None:
    """Raise `SlideError` where a file ends before the pixels of a page do."""
    ends = [sum(place) for place in zip(page.dataoffsets, page.databytecounts, strict=False)]
    require_length(path, max(ends, default=0), page.parent.filehandle.size)


def require_length(path: Path, last: int, size: int) -> None:
    """Raise `SlideError` where pixels end at byte `last` and the file at `size`, before it."""
    if last > size:
        raise SlideError(
            f"{path}: is truncated: its pixels end at byte {last:,}, the file at byte {size:,}; "
            "copy it again"
        )
