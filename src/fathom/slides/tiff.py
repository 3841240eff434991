"""TIFF, BigTIFF and OME-TIFF, tiled, striped or pyramidal, with tifffile."""

from pathlib import Path
from typing import Literal, cast

import numpy as np
import tifffile

from fathom.ground.images import Micrograph
from fathom.ground.pixel_format import tiff_format
from fathom.ground.tiff_resolution import tiff_channel_names, tiff_pixel_size
from fathom.ground.tiff_series import the_picture
from fathom.slides.blocks import CACHE_BYTES, BlockReader
from fathom.slides.channels import picked_channel
from fathom.slides.reader import levels_of
from fathom.slides.tiff_planes import plane_of

# Strips are as wide as the image: a row of an analysis' tiles needs the same ones again and again.
_STRIP_CACHE_BYTES = 4 * CACHE_BYTES


class TiffReader(BlockReader):
    """One plane of a TIFF."""

    def __init__(self, path: Path, channel: int | str | None, channels: Literal[1, 3]) -> None:
        self._file = tifffile.TiffFile(path)
        try:
            series = the_picture(self._file, path)
            self._formats = [tiff_format(level.keyframe, path) for level in series.levels]
            form = self._formats[0]
            form.require_micrograph()
            count = series.shape[series.axes.index("C")] if "C" in series.axes else form.channels
            names = ("",) * 3 if form.colour else tiff_channel_names(self._file, count)
            picked = picked_channel(
                path, names, colour=form.colour, channel=channel, channels=channels
            )
            # One channel of what is a palette's colour, or may be transparent, is picked of all.
            whole = form.palette is not None or form.opacity
            self._sample = picked if whole and form.channels > 1 else None
            self._planes = [
                plane_of(path, level, None if whole else picked) for level in series.levels
            ]
            first = self._planes[0]
            in_strips = first.block[1] >= first.size[1]
            super().__init__(
                path,
                levels_of([plane.size for plane in self._planes]),
                channels,
                form.picture_dtype,
                tiff_pixel_size(self._file),
                blocks=tuple(plane.block for plane in self._planes),
                cache_bytes=_STRIP_CACHE_BYTES if in_strips else CACHE_BYTES,
            )
            for level in range(len(self.levels)):
                self.read(level, 0, 0, 1, 1)  # a tag that is wrong is told before the work begins
        except BaseException:
            self._file.close()
            raise

    def read_block(self, level: int, row: int, column: int) -> Micrograph:
        """Return a tile or strip, decoded."""
        pixels = self._formats[level].values(self._planes[level].read(row, column))
        if self._sample is None:
            return pixels
        return cast(Micrograph, np.ascontiguousarray(pixels[..., self._sample]))

    def close(self) -> None:
        """Release the file."""
        self._file.close()
