"""A slide as the rest of fathom sees it, whatever file it comes from.

`fathom.slides.opening.open_slide` opens a file as one, `fathom.slides.tissue.tissue` tells where
there is anything on it, `overview` makes it small, a piece at a time, so that its size does not
matter.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np

from fathom.ground.images import Micrograph, micrograph_of
from fathom.ground.resolution import UNKNOWN
from fathom.slides.reader import Level
from fathom.slides.stated_resolution import Resolution

_PIECE_PX = 4096  # side of what is read at once, px of the slide

# Up to here all pixels are read, which takes seconds: the same slide saved with another pyramid, or
# with none, is then the same small picture, and has the same nuclei.
_READ_WHOLE_PX = 500_000_000


class Slide(Protocol):
    """One image plane, read by region when asked for, at one resolution.

    height, width : of this view, px
    channels : 1, grey, or 3, RGB
    dtype : uint8 or uint16
    um_per_px : of this view; None where unknown
    resolution : of the full-resolution image, and who states it
    full_size : height and width of the file's image at full resolution, px of the file
    downsample : px of the full-resolution image per px of this view: 1.0 where it is the image
        itself. Pixel centres are at whole numbers: y_full = (y + 0.5) * downsample - 0.5.
    stretch : px of the file per px of the full-resolution image, down and across: other than 1
        where the file's pixels are not square, and were resampled so that the image's are.

    A context manager: leaving it closes the file.
    """

    path: Path
    height: int
    width: int
    channels: Literal[1, 3]
    dtype: np.dtype[Any]
    um_per_px: float | None
    resolution: Resolution
    full_size: tuple[int, int]
    downsample: float
    stretch: tuple[float, float]

    def read(self, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3); many threads may read at once.

        Any two regions agree to the bit in the pixels they share. Raises `ValueError` where the
        region is not wholly inside the view, `SlideError` where the file is damaged there.
        """
        ...

    def coarser(self, factor: float, *, by_pyramid: bool = True) -> "Slide":
        """Return the same image with pixels `factor` times as wide; closing either closes both.

        Its pixels come from the coarsest level of the file that is fine enough, or, not
        `by_pyramid`, from those of this view: then they do not hang on how a pyramid was made.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class ArrayReader:
    """An array as a reader of one level."""

    stretch = (1.0, 1.0)

    def __init__(self, pixels: Micrograph, path: Path) -> None:
        self._pixels = pixels = micrograph_of(pixels, path)
        self.path = path
        self.levels: tuple[Level, ...] = (Level(pixels.shape[0], pixels.shape[1], 1.0),)
        self.channels: Literal[1, 3] = 1 if pixels.ndim == 2 else 3
        self.dtype: np.dtype[Any] = pixels.dtype
        self.full_size = (pixels.shape[0], pixels.shape[1])
        self.pixel_size = UNKNOWN

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return a copy of a region; `level` is 0."""
        del level
        return self._pixels[top : top + height, left : left + width].copy()

    def close(self) -> None:
        """Do nothing: the array is its owner's."""


def overview(
    slide: Slide, longest_px: int, *, least_factor: float = 1.0, by_pyramid: bool = False
) -> tuple[Micrograph, float]:
    """Return the whole slide, small, and px of the slide per px of it.

    The longest side is at most `longest_px`, the factor at least `least_factor`. Of a slide of more
    than `_READ_WHOLE_PX`, and `by_pyramid` of any (a picture to look at, which nothing hangs on),
    the pyramid's coarsest level that is fine enough is read, if there is one.
    """
    longest = max(slide.height, slide.width)
    factor = max(1.0, least_factor, longest / longest_px)
    by_pyramid = by_pyramid or slide.height * slide.width > _READ_WHOLE_PX
    small = slide.coarser(factor, by_pyramid=by_pyramid)
    factor = small.downsample / slide.downsample
    shape = (small.height, small.width)
    whole = np.empty(shape if small.channels == 1 else (*shape, 3), dtype=small.dtype)
    for top, left, height, width in pieces(small, max(16, int(_PIECE_PX / factor))):
        whole[top : top + height, left : left + width] = small.read(top, left, height, width)
    return whole, factor


def pieces(slide: Slide, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield top, left, height, width of squares of `side` px that cover a slide, row by row."""
    for top in range(0, slide.height, side):
        for left in range(0, slide.width, side):
            yield top, left, min(side, slide.height - top), min(side, slide.width - left)
