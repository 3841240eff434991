"""Slides at another resolution, or with square pixels: to the bit the same in whatever region.

Each output pixel is the mean of the input under a triangle as wide as the larger of an input and
an output pixel: linear interpolation where pixels become finer, and where they become coarser also
the low-pass filter that keeps patterns finer than a pixel from turning into false ones (Heckbert
1989, Fundamentals of Texture Mapping and Image Warping, section 3.5). Weights follow from the
output pixel's position in the whole image alone, and each sum is taken in the order of the input.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fathom.ground.images import Micrograph
from fathom.ground.resolution import PixelSize, square_pixel
from fathom.slides.reader import Level, Reader
from fathom.slides.stated_resolution import Resolution

# Within one per cent a 10 um nucleus of 40 px is wrong by less than half a pixel: not resampled.
SAME_RESOLUTION = 0.01


def resampled_length(length: int, factor: float) -> int:
    """Return how many output pixels, each `factor` input pixels wide, lie within `length`."""
    return max(1, int(length / factor + 1e-9))


@dataclass(frozen=True)
class Taps:
    """Which input pixels make the output pixels `start`..`start + count` of one axis.

    They lie in `first` <= input < `last`; weights: (count, last - first) float32, rows of sum 1.
    """

    first: int
    last: int
    weights: sparse.csr_array

    @classmethod
    def of(cls, start: int, count: int, factor: float, length: int) -> "Taps":
        """Return those of an axis of `length` input pixels; an output pixel is `factor` wide."""
        centres = (np.arange(start, start + count, dtype=np.float64) + 0.5) * factor
        reach = max(factor, 1.0)
        lowest = np.floor(centres - reach).astype(np.int64)
        inputs = lowest[:, np.newaxis] + np.arange(int(np.ceil(2 * reach)) + 1)
        weights = np.maximum(0.0, 1.0 - np.abs(inputs + 0.5 - centres[:, np.newaxis]) / reach)
        weights[(inputs < 0) | (inputs >= length)] = 0.0  # no pixels beyond the edge: none invented
        weights /= weights.sum(axis=1, keepdims=True)
        first = max(0, int(inputs.min()))
        last = min(length, int(inputs.max()) + 1)
        rows, taps = np.nonzero(weights)
        matrix = sparse.csr_array(
            (weights[rows, taps].astype(np.float32), (rows, inputs[rows, taps] - first)),
            shape=(count, last - first),
        )
        return cls(first, last, matrix)


def resample(pixels: Micrograph, rows: Taps, columns: Taps) -> Micrograph:
    """Return the output pixels of `rows` x `columns` from the input they name.

    `pixels`: (rows.last - rows.first, columns.last - columns.first) or the same with RGB; the
    output has its dtype, rounded to the nearest whole number.
    """
    height, width, *colours = pixels.shape
    depth = int(np.prod(colours, dtype=np.int64))
    low = rows.weights @ pixels.reshape(height, width * depth).astype(np.float32)
    low = low.reshape(-1, width, depth).swapaxes(0, 1).reshape(width, -1)
    out: npt.NDArray[np.float32] = (columns.weights @ low).reshape(columns.weights.shape[0], -1)
    out = out.reshape(columns.weights.shape[0], rows.weights.shape[0], depth).swapaxes(0, 1)
    whole = np.clip(np.rint(out), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return np.ascontiguousarray(whole.reshape(*whole.shape[:2], *colours))


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
