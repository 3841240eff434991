"""Where a nucleus of a slide's view lies in the full-resolution image, and in micrometres."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fathom.ground.arrays import Floats
from fathom.slides.slide import Slide
from fathom.slides.stated_resolution import StatedBy


@dataclass(frozen=True)
class PixelGrid:
    """The view that nuclei were found in.

    height, width : of the view, px
    um_per_px : of the view; None where unknown
    downsample : px of the full-resolution image per px of the view
    stretch : px of the file per px of the full-resolution image, down and across: other than 1
        where the file's pixels are not square
    stated_by : who says what `um_per_px` follows from; None where it is unknown

    Positions are pixel indices, 0 the centre of the first pixel. Corners are QuPath's coordinates:
    0 is the outer edge of the first pixel.
    """

    height: int
    width: int
    um_per_px: float | None = None
    downsample: float = 1.0
    stretch: tuple[float, float] = (1.0, 1.0)
    stated_by: StatedBy | None = None

    @classmethod
    def of(cls, slide: Slide) -> "PixelGrid":
        """Return that of a slide's view."""
        return cls(
            slide.height,
            slide.width,
            slide.um_per_px,
            slide.downsample,
            slide.stretch,
            slide.resolution.stated_by,
        )

    @property
    def assumption(self) -> str:
        """Say what was assumed of the image, "" where nothing was."""
        if self.stated_by != "assumption":
            return ""
        return f"assumed: {self.full_um_per_px:.4g} um per px"

    @property
    def full_um_per_px(self) -> float | None:
        """Of the full-resolution image."""
        return None if self.um_per_px is None else self.um_per_px / self.downsample

    @property
    def steps(self) -> tuple[float, float]:
        """Return px of the file per px of the view, down and across."""
        return self.downsample * self.stretch[0], self.downsample * self.stretch[1]

    def full_position(self, position: npt.ArrayLike, axis: Literal["y", "x"]) -> Floats:
        """Return positions along an axis of the file's full resolution, px."""
        step = self.steps["yx".index(axis)]
        full: Floats = (np.asarray(position, dtype=np.float64) + 0.5) * step - 0.5
        return full

    def um(self, position: npt.ArrayLike) -> Floats:
        """Return distances from the image's edge, um; NaN where the resolution is unknown."""
        um_per_px = np.nan if self.um_per_px is None else self.um_per_px
        um: Floats = (np.asarray(position, dtype=np.float64) + 0.5) * um_per_px
        return um

    def um2(self, area_px: npt.ArrayLike) -> Floats:
        """Return areas, um^2; NaN where the resolution is unknown."""
        um_per_px = np.nan if self.um_per_px is None else self.um_per_px
        um2: Floats = np.asarray(area_px, dtype=np.float64) * um_per_px**2
        return um2
