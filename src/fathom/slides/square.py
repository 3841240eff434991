"""An image whose pixels are not square, read as one whose pixels are."""

from typing import Any

import numpy as np

from fathom.ground.images import Micrograph
from fathom.ground.resolution import PixelSize, square_pixel
from fathom.slides.reader import Level, Reader
from fathom.slides.resampling import Taps, resample, resampled_length


class SquareReader:
    """A reader over another, its pixels as wide and as high as the shorter side of the other's.

    The longer side is interpolated, nothing is thrown away. `stretch` leads back to the file: px of
    it per px of this reader, down and across.
    """

    def __init__(self, reader: Reader) -> None:
        size = reader.pixel_size
        if size.height_um is None or size.width_um is None:
            raise ValueError(f"{reader.path}: the sides of its pixels are not known")
        side = min(size.height_um, size.width_um)
        self._reader = reader
        self.stretch = (side / size.height_um, side / size.width_um)
        self.path = reader.path
        self.full_size = reader.full_size
        self.channels = reader.channels
        self.dtype: np.dtype[Any] = reader.dtype
        self.pixel_size: PixelSize = square_pixel(side)
        self.levels = tuple(
            Level(
                resampled_length(level.height, self.stretch[0]),
                resampled_length(level.width, self.stretch[1]),
                level.downsample,
            )
            for level in reader.levels
        )

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3), a region wholly inside the level."""
        size = self._reader.levels[level]
        rows = Taps.of(top, height, self.stretch[0], size.height)
        columns = Taps.of(left, width, self.stretch[1], size.width)
        pixels = self._reader.read(
            level, rows.first, columns.first, rows.last - rows.first, columns.last - columns.first
        )
        return resample(pixels, rows, columns)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()
