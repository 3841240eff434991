"""TIFF, BigTIFF and OME-TIFF, tiled, striped or pyramidal, with tifffile."""

import logging
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tifffile

from fathom.ground.errors import SlideError
from fathom.ground.images import Micrograph
from fathom.slides.blocks import CACHE_BYTES, BlockSource
from fathom.slides.channels import picked_channel
from fathom.slides.source import levels_of
from fathom.slides.tiff_planes import plane_of
from fathom.slides.tiff_resolution import tiff_channel_names, tiff_um_per_px

# Strips are as wide as the image: a row of an analysis' tiles needs the same ones again and again.
_STRIP_CACHE_BYTES = 4 * CACHE_BYTES

_PLANES = {"Z": "Z planes", "T": "time points"}
_MINISBLACK = 1  # TIFF 6.0, PhotometricInterpretation

_NOT_OF_THE_SLIDE = ("label", "macro", "thumbnail", "overview")

# tifffile logs what it finds odd; a user is told in one sentence, by `SlideError`, or not at all.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


class TiffSource(BlockSource):
    """One plane of a TIFF."""

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        self._file = tifffile.TiffFile(path)
        try:
            series = self._series(path)
            names, colour = _channels(self._file, series, path)
            picked = picked_channel(path, names, colour=colour, channel=channel, channels=channels)
            self._planes = [plane_of(path, level, picked) for level in series.levels]
            first = self._planes[0]
            in_strips = first.block[1] >= first.size[1]
            super().__init__(
                path,
                levels_of([plane.size for plane in self._planes]),
                channels,
                _dtype(path, series),
                tiff_um_per_px(self._file, path),
                blocks=tuple(plane.block for plane in self._planes),
                cache_bytes=_STRIP_CACHE_BYTES if in_strips else CACHE_BYTES,
            )
            for level in range(len(self.levels)):
                self.read(level, 0, 0, 1, 1)  # a tag that is wrong is told before the work begins
        except BaseException:
            self._file.close()
            raise

    def _series(self, path: Path) -> tifffile.TiffPageSeries:
        """Return the image of the file, without what scanners put beside it."""
        series = self._file.series
        if not series:
            raise SlideError(f"{path}: holds no image")
        if ".ome." in path.name.lower() and not self._file.is_ome:
            raise SlideError(f"{path}: its OME-XML is missing: damaged or truncated, or misnamed")
        others = [
            other.name
            for other in series[1:]
            if self._file.is_ome and not any(word in other.name for word in _NOT_OF_THE_SLIDE)
        ]
        if others:
            raise SlideError(
                f"{path}: holds {1 + len(others)} images ({series[0].name!r}, {others[0]!r} ...); "
                "save one a file"
            )
        for axis, length in zip(series[0].axes, series[0].shape, strict=True):
            if axis not in "YXSC" and length > 1:
                raise SlideError(
                    f"{path}: holds {length} {_PLANES.get(axis, 'pages')}; one was expected. Save "
                    "one a file, such as the sharpest or the maximum projection"
                )
        return series[0]

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return a tile or strip, decoded."""
        pixels = self._planes[level].read(row, column)
        if pixels.ndim == 3 and pixels.shape[-1] == 4:
            if (pixels[..., 3] != np.iinfo(pixels.dtype).max).any():
                raise SlideError(
                    f"{self.path}: has a transparent alpha channel; save it without one"
                )
            pixels = pixels[..., :3]
        return cast(Micrograph, np.ascontiguousarray(pixels.astype(self.dtype, copy=False)))

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _channels(
    tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path
) -> tuple[tuple[str, ...], bool]:
    """Return the names of the channels of an image, and whether they are those of RGB.

    Three or four samples a pixel side by side are RGB, the fourth being opacity; in planes of their
    own they are RGB where the file says so.
    """
    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels, samples = sizes.get("C", 1), sizes.get("S", 1)
    if channels > 1 and samples > 1:
        raise SlideError(f"{path}: holds {channels} RGB pictures; save one a file")
    page = series.keyframe
    colour = samples in (3, 4) and (page.planarconfig == 1 or page.photometric != _MINISBLACK)
    count = max(channels, samples)
    return (("",) * count if colour else tiff_channel_names(tiff, count)), colour


def _dtype(path: Path, series: tifffile.TiffPageSeries) -> np.dtype[Any]:
    dtype = None if series.dtype is None else np.dtype(series.dtype).newbyteorder("=")
    if dtype not in (np.uint8, np.uint16):
        raise SlideError(
            f"{path}: holds {dtype or 'numbers of an unknown type'}; 8- or 16-bit unsigned "
            "integers were expected"
        )
    return dtype
