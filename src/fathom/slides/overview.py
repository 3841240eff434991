"""A slide made small, read a piece at a time, so that its size does not matter."""

from collections.abc import Iterator

import numpy as np

from fathom.ground.images import Micrograph
from fathom.slides.slide import Slide

_PIECE_PX = 4096  # side of what is read at once, px of the slide

# Up to here all pixels are read, which takes seconds: the same slide saved with another pyramid, or
# with none, is then the same small picture, and has the same nuclei.
_READ_WHOLE_PX = 500_000_000


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
