"""A reader at one resolution: the level that is as fine as needed, resampled to it."""

from pathlib import Path
from typing import Literal, Self

import numpy as np

from fathom.ground.images import Micrograph
from fathom.slides.reader import Reader
from fathom.slides.resampling import Taps, resample, resampled_length
from fathom.slides.stated_resolution import Resolution

# Within one per cent a 10 um nucleus of 40 px is wrong by less than half a pixel: not resampled.
SAME_RESOLUTION = 0.01


class ResampledSlide:
    """A `Slide` over a reader.

    Parameters
    ----------
    reader : closed with the view
    downsample : px of level 0 per px of the view; below 1 the view is finer than the file
    resolution : of level 0
    level : to read; None for the coarsest that is as fine as the view
    """

    def __init__(
        self,
        reader: Reader,
        downsample: float,
        resolution: Resolution,
        level: int | None = None,
    ) -> None:
        self._reader = reader
        self._level = _coarsest(reader, downsample) if level is None else level
        size = reader.levels[self._level]
        factor = downsample / size.downsample
        self._factor = 1.0 if abs(factor - 1) <= SAME_RESOLUTION else factor
        self.resolution = resolution
        self.full_size = reader.full_size
        self.path: Path = reader.path
        self.channels: Literal[1, 3] = reader.channels
        self.dtype = np.dtype(reader.dtype)
        self.stretch = reader.stretch
        self.downsample = self._factor * size.downsample
        self.um_per_px = resolution.scaled_by(self.downsample)
        self.height = resampled_length(size.height, self._factor)
        self.width = resampled_length(size.width, self._factor)

    def read(self, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3), a region wholly inside the view."""
        require_inside(self, top, left, height, width)
        if self._factor == 1.0:
            return self._reader.read(self._level, top, left, height, width)
        level = self._reader.levels[self._level]
        rows = Taps.of(top, height, self._factor, level.height)
        columns = Taps.of(left, width, self._factor, level.width)
        pixels = self._reader.read(
            self._level,
            rows.first,
            columns.first,
            rows.last - rows.first,
            columns.last - columns.first,
        )
        return resample(pixels, rows, columns)

    def coarser(self, factor: float, *, by_pyramid: bool = True) -> "ResampledSlide":
        """Return the same image with pixels `factor` times as wide; closing either closes both.

        Its pixels come from the coarsest level of the file that is fine enough, or, not
        `by_pyramid`, from those of this view: then they do not hang on how a pyramid was made.
        """
        level = None if by_pyramid else self._level
        return ResampledSlide(self._reader, self.downsample * factor, self.resolution, level)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _coarsest(reader: Reader, downsample: float) -> int:
    """Return the coarsest level that is as fine as a view, 0 where none is."""
    fine_enough = downsample * (1 + SAME_RESOLUTION)
    levels = [n for n, level in enumerate(reader.levels) if level.downsample <= fine_enough]
    return max(levels, default=0, key=lambda n: reader.levels[n].downsample)


def require_inside(view: ResampledSlide, top: int, left: int, height: int, width: int) -> None:
    """Raise `ValueError` where a region is not wholly inside the view: the caller's mistake."""
    inside = 0 <= top < top + height <= view.height and 0 <= left < left + width <= view.width
    if not inside:
        raise ValueError(
            f"{view.path}: region top {top}, left {left}, {height} x {width} px is not inside the "
            f"{view.height} x {view.width} px of the view"
        )
