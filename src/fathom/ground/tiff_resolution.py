"""Channel names and pixel size from the dialects of TIFF: OME, ImageJ, MetaMorph, Aperio, tags."""

from collections.abc import Mapping
from typing import Any

import tifffile

from fathom.ground.resolution import UNKNOWN, PixelSize, pixel_size

_PER_INCH = 2
_UNITS = {_PER_INCH: "inch", 3: "cm"}  # TIFF 6.0, ResolutionUnit


def tiff_pixel_size(tiff: tifffile.TiffFile) -> PixelSize:
    """Return what the first to say something says: OME, ImageJ, MetaMorph, Aperio, the tags."""
    for said in (_ome, _imagej, _metamorph, _aperio, _tags):
        size = said(tiff)
        if size != UNKNOWN:
            return size
    return UNKNOWN


def tiff_channel_names(tiff: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Return the names of `count` channels, "" for those without one."""
    channels = _ome_pixels(tiff).get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = [str(channel.get("Name", "")) for channel in channels]
    return tuple(names) if len(names) == count else ("",) * count


def _ome_pixels(tiff: tifffile.TiffFile) -> Mapping[str, Any]:
    """Return the `Pixels` of the first image of an OME-XML, {} where there is none."""
    if not tiff.is_ome or not tiff.ome_metadata:
        return {}
    # Not split at commas: "0,325" is one number, and wrong.
    text = tifffile.xml2dict(tiff.ome_metadata, sep="\n")
    image = text.get("OME", {}).get("Image", {})
    image = image[0] if isinstance(image, list) else image
    pixels: Mapping[str, Any] = image.get("Pixels", {})
    return pixels


def _ome(tiff: tifffile.TiffFile) -> PixelSize:
    pixels = _ome_pixels(tiff)
    height, width = (
        (pixels[name], pixels.get(f"{name}Unit", "um")) if name in pixels else None
        for name in ("PhysicalSizeY", "PhysicalSizeX")
    )
    return pixel_size(height, width)


def _imagej(tiff: tifffile.TiffFile) -> PixelSize:
    return _by_tags(tiff, str((tiff.imagej_metadata or {}).get("unit", "")))


def _metamorph(tiff: tifffile.TiffFile) -> PixelSize:
    plane = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
    unit = plane.get("spatial-calibration-units")
    height, width = (
        (plane[name], unit) if name in plane else None
        for name in ("spatial-calibration-y", "spatial-calibration-x")
    )
    return pixel_size(height, width)


def _aperio(tiff: tifffile.TiffFile) -> PixelSize:
    """Read what a program that cut a piece out of an Aperio slide left in the description."""
    page = tiff.pages.first
    if not page.is_svs:
        return UNKNOWN
    mpp = tifffile.tifffile.svs_description_metadata(page.description).get("MPP")
    return UNKNOWN if mpp is None else pixel_size((mpp, "um"), None)


def _tags(tiff: tifffile.TiffFile) -> PixelSize:
    """Read the tags of TIFF itself; what no microscope has is for the printer, and says nothing."""
    unit = tiff.pages.first.tags.valueof("ResolutionUnit", _PER_INCH)
    size = _by_tags(tiff, _UNITS.get(int(unit), ""))
    return UNKNOWN if size.fault else size


def _by_tags(tiff: tifffile.TiffFile, unit: str) -> PixelSize:
    """Return the size by XResolution and YResolution, which are pixels a unit of length."""
    tags = tiff.pages.first.tags
    height, width = (
        (ratio[1] / ratio[0], unit) if ratio and ratio[0] and ratio[1] else None
        for ratio in (tags.valueof("YResolution"), tags.valueof("XResolution"))
    )
    return pixel_size(height, width)
