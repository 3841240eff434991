"""Where on a slide there is anything: glass, and what was never scanned, need no segmentation.

Empty places are flat, whatever their colour or the camera's offset: seen small, the stain differs
there from pixel to pixel by noise alone. Where the slide has two kinds of places, flat ones and
others, told apart by Otsu's threshold (1979) of the logarithm of the local range, the flat ones are
empty; where it has one, all of it is tissue. In doubt it is tissue: skipping it loses nuclei,
keeping it costs time.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

from fathom.imaging.stain import Plane, nuclear_stain
from fathom.slides.slide import Slide, overview

# A nucleus of 30 px is two pixels wide then.
_FACTOR = 16.0
_LONGEST_PX = 2048  # bounds the memory, whatever the slide

_WINDOW = 3  # px of the overview that a range is taken over
_MARGIN = 2  # px of the overview around tissue that belong to it: nuclei at its edge stay whole

# Tissue is rougher than glass by more: 8 times on the slide of `aperio_slide`, 17
# to 36 in the fields of `micronuclei`. What differs by less are two kinds of tissue.
_LEAST_CONTRAST = 4.0
# Above the mean roughness of flat places, in their SD: among the millions of a large slide, noise
# alone goes beyond three here and there, and each such place would cost a tile.
_LIMIT_SD = 5.0


@dataclass(frozen=True)
class Tissue:
    """A low-resolution mask of a slide.

    mask : (h, w) bool, True where there is tissue
    factor : px of the slide per px of the mask
    """

    mask: npt.NDArray[np.bool_]
    factor: float

    def touches(self, top: int, left: int, height: int, width: int) -> bool:
        """Tell whether there is tissue in a region of the slide, px of the slide."""
        # The mask's last pixels stand for the slide's edge too: it is cut to whole pixels.
        rows = _span(top, top + height, self.factor, self.mask.shape[0])
        columns = _span(left, left + width, self.factor, self.mask.shape[1])
        return bool(self.mask[rows, columns].any())


def tissue(slide: Slide, stain: Literal["fluorescence", "haematoxylin"]) -> Tissue:
    """Return where there is tissue on a slide; everywhere, where it has no empty places."""
    small, factor = overview(slide, _LONGEST_PX, least_factor=_FACTOR)
    # Band by band: colours are unmixed in 64-bit numbers.
    bands = [nuclear_stain(small[top : top + 128], stain) for top in range(0, len(small), 128)]
    return Tissue(tissue_mask(np.concatenate(bands), 1 / np.iinfo(small.dtype).max), factor)


def tissue_mask(stain: Plane, step: float) -> npt.NDArray[np.bool_]:
    """Return where a small picture of the stain, (H, W), is not flat.

    `step` is what one grey level of the picture is worth: a range of two can be rounding alone.
    """
    highest = ndimage.maximum_filter(stain, _WINDOW)
    roughness = np.log(np.maximum(highest - ndimage.minimum_filter(stain, _WINDOW), step))
    if roughness.min() == roughness.max():
        return np.ones(stain.shape, dtype=np.bool_)
    threshold = threshold_otsu(roughness)
    flat, rough = roughness[roughness <= threshold], roughness[roughness > threshold]
    if rough.mean() - flat.mean() < np.log(_LEAST_CONTRAST):
        return np.ones(stain.shape, dtype=np.bool_)
    limit = min(threshold, flat.mean() + _LIMIT_SD * flat.std())
    limit = max(limit, np.log(2.5 * step))
    mask: npt.NDArray[np.bool_] = ndimage.binary_dilation(roughness > limit, iterations=_MARGIN)
    return mask


def _span(first: int, last: int, factor: float, length: int) -> slice:
    low = min(int(first / factor), length - 1)
    high = min(int(np.ceil(last / factor)), length)
    return slice(low, max(high, low + 1))
