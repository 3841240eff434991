"""An image whose pixels are not square, read as one whose pixels are."""

from typing import Any

import numpy as np

from fathom.ground.images import Micrograph
from fathom.ground.resolution import PixelSize, square_pixel
from fathom.slides.resampling import Taps, resample, resampled_length
from fathom.slides.source import Level, Source


class SquareSource:
    """A source over another, its pixels as wide and as high as the shorter side of the other's.

    The longer side is interpolated, nothing is thrown away. `stretch` leads back to the file: px of
    it per px of this source, down and across.
    """

    def __init__(self, source: Source) -> None:
        size = source.pixel_size
        if size.height_um is None or size.width_um is None:
            raise ValueError(f"{source.path}: the sides of its pixels are not known")
        side = min(size.height_um, size.width_um)
        self._source = source
        self.stretch = (side / size.height_um, side / size.width_um)
        self.path = source.path
        self.full_size = source.full_size
        self.channels = source.channels
        self.dtype: np.dtype[Any] = source.dtype
        self.pixel_size: PixelSize = square_pixel(side)
        self.levels = tuple(
            Level(
                resampled_length(level.height, self.stretch[0]),
                resampled_length(level.width, self.stretch[1]),
                level.downsample,
            )
            for level in source.levels
        )

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3), a region wholly inside the level."""
        size = self._source.levels[level]
        rows = Taps.of(top, height, self.stretch[0], size.height)
        columns = Taps.of(left, width, self.stretch[1], size.width)
        pixels = self._source.read(
            level, rows.first, columns.first, rows.last - rows.first, columns.last - columns.first
        )
        return resample(pixels, rows, columns)

    def close(self) -> None:
        """Release the file."""
        self._source.close()
