"""Channel names and pixel size from the dialects of TIFF: OME, ImageJ, MetaMorph, plain tags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tifffile

from fathom.slides.resolution import in_um, is_plausible, square

_PER_INCH, _PER_CM = 2, 3  # TIFF 6.0, ResolutionUnit


def tiff_um_per_px(tiff: tifffile.TiffFile, path: Path) -> float | None:
    """Return what the first program to know says: OME, ImageJ, MetaMorph, the tags; else None."""
    for sides in (_ome, _imagej, _metamorph, _tags):
        um_per_px = square(path, *sides(tiff))
        if um_per_px is not None:
            return um_per_px
    return None


def tiff_channel_names(tiff: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Return the names of `count` channels, "" for those without one."""
    channels = _ome_pixels(tiff).get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = [str(channel.get("Name", "")) for channel in channels]
    return tuple(names) if len(names) == count else ("",) * count


_Sides = tuple[float | None, float | None]  # height, width of a pixel, um


def _ome_pixels(tiff: tifffile.TiffFile) -> Mapping[str, Any]:
    """Return the `Pixels` of the first image of an OME-XML, {} where there is none."""
    if not tiff.is_ome or not tiff.ome_metadata:
        return {}
    image = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
    image = image[0] if isinstance(image, list) else image
    pixels: Mapping[str, Any] = image.get("Pixels", {})
    return pixels


def _ome(tiff: tifffile.TiffFile) -> _Sides:
    pixels = _ome_pixels(tiff)
    if "PhysicalSizeX" not in pixels or "PhysicalSizeY" not in pixels:
        return None, None
    return (
        in_um(float(pixels["PhysicalSizeY"]), pixels.get("PhysicalSizeYUnit", "µm")),
        in_um(float(pixels["PhysicalSizeX"]), pixels.get("PhysicalSizeXUnit", "µm")),
    )


def _imagej(tiff: tifffile.TiffFile) -> _Sides:
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    width, height = _pixels_a_unit(tiff)
    return height and in_um(1 / height, unit), width and in_um(1 / width, unit)


def _metamorph(tiff: tifffile.TiffFile) -> _Sides:
    plane = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
    unit = str(plane.get("spatial-calibration-units", ""))
    sides = plane.get("spatial-calibration-y"), plane.get("spatial-calibration-x")
    height, width = (None if side is None else in_um(float(side), unit) for side in sides)
    return height, width


def _tags(tiff: tifffile.TiffFile) -> _Sides:
    unit = tiff.pages.first.tags.valueof("ResolutionUnit", _PER_INCH)
    factor = {_PER_INCH: 25_400.0, _PER_CM: 10_000.0}.get(int(unit))
    width, height = _pixels_a_unit(tiff)
    if factor is None or not width or not height or not is_plausible(factor / width):
        return None, None
    return factor / height, factor / width


def _pixels_a_unit(tiff: tifffile.TiffFile) -> _Sides:
    """Return pixels a unit of length, XResolution and YResolution, None where not written."""
    tags = tiff.pages.first.tags
    ratios = (tags.valueof("XResolution"), tags.valueof("YResolution"))
    width, height = (
        ratio[0] / ratio[1] if ratio and ratio[0] and ratio[1] else None for ratio in ratios
    )
    return width, height
