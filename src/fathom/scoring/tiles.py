"""How a slide is divided: a fixed sample that is measured first, and the tiles streamed."""

from collections.abc import Iterator
from functools import partial
from typing import Protocol

import numpy as np

from fathom.ground.errors import FathomError
from fathom.ground.processor import cores
from fathom.imaging.window import Rectangle, Window
from fathom.slides.slide import Slide

# 7 million pixels (12 x 768^2), nuclear and others, say what a slide's nuclei are like; a camera's
# field of up to 2,660 x 2,660 px is measured whole.
SAMPLES, SAMPLE_PX = 12, 768

TILE_PX = 1024  # larger ones were no faster, smaller ones compute more margin
SMALLEST_TILE_PX = 64

# Of the tiles that are worked on at once, with their margins, together: 1 to 1.5 GB.
_MOST_PX = 25_000_000

_SEED = 0  # of the order in which parts are drawn; always the same, so that scores are


class Touches(Protocol):
    """Whether there is tissue in a region: `fathom.slides.tissue.Tissue`."""

    def touches(self, top: int, left: int, height: int, width: int) -> bool:
        """Tell whether there is tissue in a region of the slide, px of the slide."""
        ...


class Everywhere:
    """A slide that is tissue throughout."""

    def touches(self, top: int, left: int, height: int, width: int) -> bool:  # noqa: ARG002
        """Return True."""
        return True


def whole_slide(slide: Slide) -> Rectangle:
    """Return the rectangle that is the slide."""
    return Rectangle(0, 0, slide.height, slide.width)


def is_small(slide: Slide) -> bool:
    """Tell whether a slide is measured whole."""
    return slide.height * slide.width <= SAMPLES * SAMPLE_PX**2


def sample(slide: Slide, tissue: Touches) -> list[Rectangle]:
    """Return the parts of a slide that are measured for all of it; they depend on it alone."""
    everything = whole_slide(slide)
    if is_small(slide):
        return [everything]
    parts = [
        square
        for square in map(partial(_moved_in, everything), _squares(everything, SAMPLE_PX))
        if tissue.touches(*_region(square))
    ]
    order = np.random.default_rng(_SEED).permutation(len(parts))
    return [parts[number] for number in sorted(order[:SAMPLES])]


def tiles(slide: Slide, tissue: Touches, tile_px: int, reach_px: int) -> Iterator[Window]:
    """Yield the windows whose cores cover the tissue of a slide, row by row."""
    everything = whole_slide(slide)
    for core in _squares(everything, tile_px):
        frame = core.grown(reach_px, everything)
        if tissue.touches(*_region(frame)):
            yield Window(frame, core)


def tiles_in_parallel(tile_px: int, reach_px: int) -> int:
    """Return on how many tiles to work at once: the cores allowed, as far as memory is bounded."""
    frame_px = (tile_px + 2 * reach_px) ** 2
    return max(1, min(cores(), _MOST_PX // frame_px))


def require_tile(tile_px: int) -> None:
    """Raise `FathomError` for a tile that is mostly margin."""
    if tile_px < SMALLEST_TILE_PX:
        raise FathomError(
            f"--tile-px is {tile_px}; at least {SMALLEST_TILE_PX} px were expected. It changes the "
            f"time and the memory, not the nuclei: {TILE_PX} suits most machines"
        )


def _squares(everything: Rectangle, side: int) -> list[Rectangle]:
    """Return the squares, cut at the edges, that cover the rectangle."""
    return [
        Rectangle(top, left, min(top + side, everything.bottom), min(left + side, everything.right))
        for top in range(0, everything.bottom, side)
        for left in range(0, everything.right, side)
    ]


def _moved_in(everything: Rectangle, square: Rectangle) -> Rectangle:
    """Return a square cut at an edge whole again, as far as the slide is wide: a sliver is none."""
    top = max(0, min(square.top, everything.bottom - SAMPLE_PX))
    left = max(0, min(square.left, everything.right - SAMPLE_PX))
    return Rectangle(top, left, square.bottom, square.right)


def _region(part: Rectangle) -> tuple[int, int, int, int]:
    return part.top, part.left, part.height, part.width
