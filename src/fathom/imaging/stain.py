"""How much of the nuclear stain each pixel holds, bright on dark whatever the microscope."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from skimage.color import rgb2hed

from fathom.ground.images import Micrograph

Plane = npt.NDArray[np.float32]  # (H, W), arbitrary units, nuclei bright


def nuclear_stain(micrograph: Micrograph, stain: Literal["fluorescence", "haematoxylin"]) -> Plane:
    """Return the nuclear stain of a grey (H, W) or RGB (H, W, 3) micrograph as (H, W) float32.

    `fluorescence`: the intensity, white being 1; of an RGB picture the largest channel, which is
    the grey value where grey was stored as RGB and the dye's where a single dye was coloured.
    `haematoxylin`: its amount by colour deconvolution (Ruifrok & Johnston 2001, Analytical and
    Quantitative Cytology and Histology 23, 291); of a grey picture, which has no colour to unmix,
    the optical density, so that dark nuclei are bright.
    """
    white = np.iinfo(micrograph.dtype).max
    if stain == "fluorescence":
        grey = micrograph.max(axis=2) if micrograph.ndim == 3 else micrograph
        return grey.astype(np.float32) / np.float32(white)
    if micrograph.ndim == 3:
        haematoxylin: Plane = rgb2hed(micrograph)[..., 0].astype(np.float32)
        return haematoxylin
    # The darkest step an 8-bit camera can tell from black; zero has no logarithm.
    transmitted = np.maximum(micrograph.astype(np.float32) / white, 1 / 255)
    return -np.log10(transmitted)
