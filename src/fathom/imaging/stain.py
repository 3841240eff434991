"""How much of the nuclear stain each pixel holds, bright on dark whatever the microscope."""

from functools import cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from skimage.color import hed_from_rgb

from fathom.ground.images import Micrograph
from fathom.imaging.levels import WHITE, Levels

Plane = npt.NDArray[np.float32]  # (H, W), arbitrary units, nuclei bright
Stain = Literal["fluorescence", "haematoxylin"]

_DARKEST = 1e-6  # of white: what is darker has no logarithm to speak of
_LEVELS = 32768  # a unit of haematoxylin, or of optical density


def stain_levels(micrograph: Micrograph, stain: Stain) -> Levels:
    """Return the nuclear stain of a grey (H, W) or RGB (H, W, 3) micrograph as (H, W) levels.

    `fluorescence`: the intensity; of an RGB picture the largest channel, which is
    the grey value where grey was stored as RGB and the dye's where a single dye was coloured.
    `haematoxylin`: its amount by colour deconvolution (Ruifrok & Johnston 2001, Analytical and
    Quantitative Cytology and Histology 23, 291); of a grey picture, which has no colour to unmix,
    the optical density, so that dark nuclei are bright.
    """
    if stain == "fluorescence":
        grey = _largest(micrograph) if micrograph.ndim == 3 else micrograph
        levels = grey.astype(np.uint16, copy=False)
        return levels if grey.dtype == np.uint16 else levels * np.uint16(257)
    if micrograph.ndim == 2:
        density: Levels = cv2.LUT(micrograph, _densities(np.iinfo(micrograph.dtype).max))
        return density
    amount = np.zeros(micrograph.shape[:2], dtype=np.float32)
    for channel, table in enumerate(_unmixing(np.iinfo(micrograph.dtype).max)):
        amount += cv2.LUT(np.ascontiguousarray(micrograph[..., channel]), table)
    return np.clip(amount, 0, WHITE, out=amount).astype(np.uint16)


def nuclear_stain(micrograph: Micrograph, stain: Stain) -> Plane:
    """Return `stain_levels` as (H, W) float32: white, or a unit of haematoxylin, is 1."""
    unit = WHITE if stain == "fluorescence" else _LEVELS
    return stain_levels(micrograph, stain).astype(np.float32) / np.float32(unit)


def _largest(micrograph: Micrograph) -> Micrograph:
    red, green, blue = (np.ascontiguousarray(micrograph[..., channel]) for channel in range(3))
    largest: Micrograph = np.maximum(np.maximum(red, green), blue)
    return largest


@cache
def _densities(white: int) -> Levels:
    """Return the optical density of each grey value, in levels."""
    # The darkest step an 8-bit camera can tell from black; zero has no logarithm.
    transmitted = np.maximum(np.arange(white + 1) / white, 1 / 255)
    densities: Levels = np.rint(-_LEVELS * np.log10(transmitted)).astype(np.uint16)
    return densities


@cache
def _unmixing(white: int) -> tuple[Plane, ...]:
    """Return what each value of the three channels adds to the haematoxylin, in whole levels."""
    light = np.maximum(np.arange(white + 1) / white, _DARKEST)
    density = np.log(light) / np.log(_DARKEST)
    return tuple(
        np.rint(_LEVELS * density * share).astype(np.float32) for share in hed_from_rgb[:, 0]
    )
