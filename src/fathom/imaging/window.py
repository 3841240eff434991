"""A part of an image, worked on as if all of it were there.

Filters that look around themselves are wrong near the edge of what they are given, unless that is
the edge of the image. So a window is read wider than its core, and after each filter it is cut to
what is right still. Grids of filters are anchored at the image's first pixel, never the window's:
a window gives the pixels of its core the values that the whole image would.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy.typing as npt


@dataclass(frozen=True)
class Rectangle:
    """Rows top..bottom and columns left..right of an image, px, half open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def grown(self, margin_px: float, within: Self) -> Self:
        """Return the rectangle with a margin on all sides, as far as `within` reaches."""
        margin = math.ceil(margin_px)
        return type(self)(
            max(self.top - margin, within.top),
            max(self.left - margin, within.left),
            min(self.bottom + margin, within.bottom),
            min(self.right + margin, within.right),
        )

    def moved(self, rows: int, columns: int) -> Self:
        """Return the rectangle so many px further down and to the right."""
        return type(self)(
            self.top + rows, self.left + columns, self.bottom + rows, self.right + columns
        )

    def holds(self, row: float, column: float) -> bool:
        """Tell whether a pixel lies in the rectangle."""
        return bool(self.top <= row < self.bottom and self.left <= column < self.right)

    def slices(self, inside: Self) -> tuple[slice, slice]:
        """Return the slices that cut the rectangle from an array that shows `inside`."""
        return (
            slice(self.top - inside.top, self.bottom - inside.top),
            slice(self.left - inside.left, self.right - inside.left),
        )


@dataclass(frozen=True)
class Window:
    """What is at hand of an image, `frame`, and the part that is wanted of it, `core`."""

    frame: Rectangle
    core: Rectangle

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Self:
        """Return the window that is the whole image of this shape."""
        everything = Rectangle(0, 0, shape[0], shape[1])
        return cls(everything, everything)

    def cut(self, margin_px: float, *planes: npt.NDArray[Any]) -> tuple[Any, ...]:
        """Return the window with no more than a margin around its core, and its planes cut to it.

        The planes, (H, W, ...) each, show the frame.
        """
        frame = self.core.grown(margin_px, self.frame)
        return Window(frame, self.core), *(plane[frame.slices(self.frame)] for plane in planes)

    def aligned(self, px: int, plane: npt.NDArray[Any]) -> tuple[Self, npt.NDArray[Any]]:
        """Return the window whose frame starts at multiples of `px`, and its plane cut to it."""
        top, left = (-(-start // px) * px for start in (self.frame.top, self.frame.left))
        frame = Rectangle(top, left, self.frame.bottom, self.frame.right)
        return type(self)(frame, self.core), plane[frame.slices(self.frame)]
