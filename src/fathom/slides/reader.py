"""What a reader of one file format offers: the levels of one image plane, read by region."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from fathom.ground.images import Micrograph
from fathom.ground.resolution import PixelSize

# A side of level n is that of level 0 over a whole number, rounded up or down by the writer. Other
# ratios are left as they are.
_NEARLY_WHOLE = 1.0


@dataclass(frozen=True)
class Level:
    """One resolution of a pyramid: its size in px, and px of level 0 per px of this one."""

    height: int
    width: int
    downsample: float


class Reader(Protocol):
    """One image plane of an open file, grey or RGB, at one or more resolutions.

    levels : the finest, level 0, first
    pixel_size : of level 0, as far as the file says
    stretch : px of the file per px of level 0, down and across: 1 but in `SquareReader`
    full_size : height and width of the file's image at full resolution, px of the file
    """

    path: Path
    levels: tuple[Level, ...]
    channels: Literal[1, 3]
    dtype: np.dtype[Any]
    pixel_size: PixelSize
    stretch: tuple[float, float]
    full_size: tuple[int, int]

    def read(self, level: int, top: int, left: int, height: int, width: int) -> Micrograph:
        """Return (height, width) or (height, width, 3), a region wholly inside the level."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


def levels_of(sizes: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Return the levels of a pyramid whose (height, width) are `sizes`, the finest first.

    A reduced level of 1110 x 1483 px under one of 2220 x 2967 px holds every second pixel, though
    2967 / 1483 is not 2: where one whole number explains both sides, it is the downsample.
    """
    full_height, full_width = sizes[0]
    levels = []
    for height, width in sizes:
        ratio = (full_height / height + full_width / width) / 2
        whole = round(ratio)
        explained = (
            abs(full_height / whole - height) < _NEARLY_WHOLE
            and abs(full_width / whole - width) < _NEARLY_WHOLE
        )
        levels.append(Level(height, width, float(whole) if explained else ratio))
    return tuple(levels)
