"""How wide a pixel is, from what files say about it."""

import math
from pathlib import Path

from fathom.ground.errors import SlideError

# Units as OME, OME-Zarr and ImageJ spell them, in um.
_UM = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("inch", "in"), 25_400.0),
}

# Super-resolution microscopes reach 0.01 um; a flatbed scanner of 1200 dpi 21 um. What is outside
# is for the printer (72 dpi are 353 um) or a mistake.
FINEST_UM, COARSEST_UM = 0.01, 20.0

_SQUARE = 0.01  # sides of a pixel may differ so much, relatively


def in_um(size: float, unit: str) -> float | None:
    """Return a length in um, None where the unit is none of length ("pixel")."""
    factor = _UM.get(unit.strip().lower())
    return None if factor is None else size * factor


def square(path: Path, height_um: float | None, width_um: float | None) -> float | None:
    """Return the side of a pixel in um; None where unknown. Raises `SlideError` if not square."""
    if height_um is None or width_um is None or not _positive(height_um, width_um):
        return None
    if abs(height_um / width_um - 1) > _SQUARE:
        raise SlideError(
            f"{path}: its pixels are {width_um:.4g} um wide and {height_um:.4g} um high; square "
            "ones were expected. Resample it, or correct what the file says"
        )
    return (height_um + width_um) / 2


def is_plausible(um_per_px: float) -> bool:
    """Tell whether a microscope can have such pixels."""
    return FINEST_UM <= um_per_px <= COARSEST_UM


def _positive(*lengths: float) -> bool:
    return all(math.isfinite(length) and length > 0 for length in lengths)
