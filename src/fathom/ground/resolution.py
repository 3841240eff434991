"""How wide a pixel is: what files, tables and users say passes one test of number, unit, size."""

import math
from dataclasses import dataclass
from typing import cast

# OME-XML, UnitsLength, and how OME-Zarr, ImageJ and MetaMorph spell the same, in um.
_UM = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "\\u00b5m"), 1.0),
    **dict.fromkeys(("micrometer", "micrometre", "micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("å", "angstrom", "ångström"), 1e-4),
    **dict.fromkeys(("inch", "inches", "in", '"'), 25_400.0),
    "thou": 25.4,
    "li": 25_400.0 / 12,
    "ft": 304_800.0,
    "yd": 914_400.0,
}
_PREFIXES = {
    "": ("", 1e6),
    "Y": ("yotta", 1e30),
    "Z": ("zetta", 1e27),
    "E": ("exa", 1e24),
    "P": ("peta", 1e21),
    "T": ("tera", 1e18),
    "G": ("giga", 1e15),
    "M": ("mega", 1e12),
    "k": ("kilo", 1e9),
    "h": ("hecto", 1e8),
    "da": ("deca", 1e7),
    "d": ("deci", 1e5),
    "c": ("centi", 1e4),
    "m": ("milli", 1e3),
    "n": ("nano", 1e-3),
    "p": ("pico", 1e-6),
    "f": ("femto", 1e-9),
    "a": ("atto", 1e-12),
    "z": ("zepto", 1e-15),
    "y": ("yocto", 1e-18),
}
for _short, (_long, _factor) in _PREFIXES.items():
    _UM[f"{_short}m"] = _factor
    _UM.update(dict.fromkeys((f"{_long}{word}" for word in ("meter", "metre", "meters")), _factor))

# What is written where nothing was calibrated.
_NO_LENGTH = ("", "none", "null", "pixel", "pixels", "px", "reference frame")

# Super-resolution microscopes reach 0.01 um; a flatbed scanner of 1200 dpi 21 um. What is outside
# is for the printer (72 dpi are 353 um) or a mistake.
FINEST_UM, COARSEST_UM = 0.01, 20.0

_SQUARE = 0.01  # sides of a pixel may differ so much, relatively

Length = tuple[object, object]  # a number and a unit, as they are written


@dataclass(frozen=True)
class PixelSize:
    """What is said of the sides of a pixel.

    height_um, width_um : None where nothing is said, or nothing that can be used
    fault : why what is said cannot be used, a clause for messages
    """

    height_um: float | None = None
    width_um: float | None = None
    fault: str = ""

    @property
    def is_square(self) -> bool:
        """Tell whether both sides are the same within 1 %, or unknown."""
        if self.height_um is None or self.width_um is None:
            return True
        return abs(self.height_um / self.width_um - 1) <= _SQUARE

    @property
    def um_per_px(self) -> float | None:
        """Return the side of a square pixel; None where unknown."""
        if self.height_um is None or self.width_um is None or not self.is_square:
            return None
        return (self.height_um + self.width_um) / 2


UNKNOWN = PixelSize()


def pixel_size(height: Length | None, width: Length | None) -> PixelSize:
    """Return the size of a pixel from its sides as they are written; one side stands for both.

    Numbers that are none ("0,325"), units that are none, and sides that no microscope has are a
    `fault` and no error: who knows the size may say it.
    """
    height, width = height or width, width or height
    if height is None or width is None:
        return UNKNOWN
    height_um, width_um = _um(*height), _um(*width)
    for side in (width_um, height_um):
        if isinstance(side, str):
            return PixelSize(fault=side)
    return PixelSize(cast(float | None, height_um), cast(float | None, width_um))


def square_pixel(um_per_px: float | None) -> PixelSize:
    """Return the size of a square pixel that is known not to need the test."""
    return PixelSize(um_per_px, um_per_px)


def is_plausible(um_per_px: float) -> bool:
    """Tell whether a microscope can have such pixels."""
    return FINEST_UM <= um_per_px <= COARSEST_UM


def _um(size: object, unit: object) -> float | str | None:
    """Return a side in um, None where it has no unit of length, or what is wrong with it."""
    name = "" if unit is None else str(unit).strip()
    if name.lower() in _NO_LENGTH:
        return None
    factor = _UM.get(name, _UM.get(name.lower()))
    if factor is None:
        return f"says that its pixels are {size} {name!r} wide, which is no unit of length"
    try:
        number = float(str(size))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        return f"says that its pixels are {str(size)!r} {name} wide, which is no width"
    um = number * factor
    if not is_plausible(um):
        return (
            f"says that its pixels are {um:.4g} um wide, which no light microscope's are "
            f"({FINEST_UM} to {COARSEST_UM} um)"
        )
    return um
