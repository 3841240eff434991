"""How wide the pixels of an image are, and who says so: the user, the file, or an assumption.

One rule for the stage, the command and Python; docs/new-slides.md has it in words.
"""

from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Literal

from fathom.ground.errors import FathomError, SlideError
from fathom.ground.resolution import COARSEST_UM, FINEST_UM, is_plausible

StatedBy = Literal["user", "file", "assumption"]

# Twice as fine shows a network trained at 40x a slide scanned at 20x; beyond it pixels are guesses.
FINEST_ENLARGEMENT = 2.5


@dataclass(frozen=True)
class Resolution:
    """The width of an image's pixels at full resolution, um, and who stated it; None: unknown."""

    um_per_px: float | None
    stated_by: StatedBy | None

    @classmethod
    def of(
        cls, *, given: float | None = None, file: float | None = None, assumed: float | None = None
    ) -> "Resolution":
        """Return the first that is known.

        Parameters
        ----------
        given : what the user says of this image
        file : what the file says, where that can be used
        assumed : what the user supposes of images of which nobody says it

        Raises `FathomError` where the user says what no microscope has.
        """
        for value, name in ((given, "--um-per-px"), (assumed, "--assume-um-per-px")):
            number = isinstance(value, Real) and not isinstance(value, bool)
            if value is not None and not (number and is_plausible(value)):
                raise FathomError(
                    f"{name} is {value!r}; the width of a pixel in um was expected, from "
                    f"{FINEST_UM} to {COARSEST_UM}"
                )
        if given is not None:
            return cls(given, "user")
        if file is not None:
            return cls(file, "file")
        return cls(None, None) if assumed is None else cls(assumed, "assumption")

    def scaled_by(self, factor: float) -> float | None:
        """Return um per px of an image whose pixels are `factor` times as wide."""
        return None if self.um_per_px is None else self.um_per_px * factor


def downsample_to(
    needed: float | None, resolution: Resolution, path: Path, fault: str = ""
) -> float:
    """Return how many px of an image make one of a model's, 1 for a model that does not say.

    Parameters
    ----------
    needed : um per px of the model
    resolution : of the image
    path : of the image, for messages
    fault : why what the file says of its pixels cannot be used, `PixelSize.fault`

    Raises `SlideError` where the image's is unknown, or too coarse to be resampled.
    """
    if needed is None:
        return 1.0
    own = resolution.um_per_px
    if own is None:
        raise SlideError(_unknown(path, needed, fault))
    if own / needed > FINEST_ENLARGEMENT:
        raise SlideError(
            f"{path}: its pixels of {own:.4g} um are {own / needed:.1f} times as wide as the "
            f"model's, {needed:.4g} um; up to {FINEST_ENLARGEMENT} times can be resampled. Take a "
            "model of that resolution, or give the right one as --um-per-px"
        )
    return needed / own


def _unknown(path: Path, needed: float, fault: str) -> str:
    what = fault or "does not say how wide its pixels are"
    return (
        f"{path}: {what}, and the model needs {needed:.4g} um per px: give it as --um-per-px or, "
        "where you only suppose it, as --assume-um-per-px (in a data set: the column um_per_px of "
        "images.csv, or new_slides.assumed_um_per_px in params.yaml)"
    )
