"""From a micrograph and its label image to square crops with the background at 0.

Shared by the stage `crop` and by `fathom predict`, so that a new slide meets the network exactly
as the study's slides did.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage
from skimage.measure import regionprops_table

from fathom.ground.images import Labels, Micrograph
from fathom.imaging.params import Crop
from fathom.imaging.window import Rectangle
from fathom.study.nuclei import TOO_LARGE, TOUCHES_BORDER, Crops


@dataclass(frozen=True)
class Scale:
    """The grey values that become 0 and 255 in a crop."""

    low: float
    high: float

    @classmethod
    def of_bit_depth(cls, micrograph: Micrograph) -> Self:
        """Return the whole range of the number type: absolute, the same for every image."""
        return cls(0.0, float(np.iinfo(micrograph.dtype).max))

    @classmethod
    def of_pixels(cls, pixels: npt.NDArray[Any], percentiles: tuple[float, float]) -> Self:
        """Return the percentiles of `pixels`, of all channels together: colours keep their hue."""
        low, high = np.percentile(pixels, percentiles)
        return cls(float(low), float(high))

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Map nuclear pixels to 1..255: 0 is kept for the background and means nothing else."""
        span = max(self.high - self.low, 1.0)
        scaled = (pixels.astype(np.float64) - self.low) * (255.0 / span)
        return np.clip(np.rint(scaled), 1, 255).astype(np.uint8)


def describe(
    micrograph: Micrograph, labels: Labels, params: Crop, image: Rectangle | None = None
) -> pd.DataFrame:
    """Measure every nucleus of a label image, in the order of its labels.

    Parameters
    ----------
    micrograph : (H, W) or (H, W, 3), uint8 or uint16
    labels : (H, W) int32, 0 = background
    image : of which the arrays are a part, in their pixels; None where they are all of it

    Returns
    -------
    One row a nucleus: label_number, y, x (centroid, px), top, left, bottom, right (bounding box,
    px, half open), area_px, touches_border, focus, left_out ("" or why there can be no crop).
    `focus` is the variance of the Laplacian inside the nucleus over its squared mean intensity
    (Pech-Pacheco et al. 2000, made independent of exposure): low means blurred.
    """
    measured = pd.DataFrame(
        regionprops_table(labels, properties=("label", "centroid", "bbox", "area"))
    ).rename(
        columns={
            "label": "label_number",
            "centroid-0": "y",
            "centroid-1": "x",
            "bbox-0": "top",
            "bbox-1": "left",
            "bbox-2": "bottom",
            "bbox-3": "right",
            "area": "area_px",
        }
    )
    measured["area_px"] = measured["area_px"].astype(np.int64)
    border = image or Rectangle(0, 0, *labels.shape)
    measured["touches_border"] = (
        (measured["top"] == border.top)
        | (measured["left"] == border.left)
        | (measured["bottom"] == border.bottom)
        | (measured["right"] == border.right)
    )
    measured["focus"] = _focus(micrograph, labels, measured["label_number"].to_numpy())
    size = np.maximum(measured["bottom"] - measured["top"], measured["right"] - measured["left"])
    measured["left_out"] = np.select(
        [measured["touches_border"], size > params.crop_px],
        [TOUCHES_BORDER, TOO_LARGE],
        default="",
    )
    return measured


def _focus(
    micrograph: Micrograph, labels: Labels, numbers: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    grey = micrograph.astype(np.float64)
    if grey.ndim == 3:
        grey = grey.mean(axis=-1)
    with np.errstate(invalid="ignore"):  # SciPy divides for the background too, if there is none
        variance = np.asarray(ndimage.variance(ndimage.laplace(grey), labels, numbers), dtype=float)
    mean = np.asarray(ndimage.mean(grey, labels, numbers), dtype=float)
    focus: npt.NDArray[np.float64] = variance / np.maximum(mean**2, 1.0)
    return focus


def scale_of(micrographs: Iterable[tuple[Micrograph, Labels]], params: Crop) -> Scale | None:
    """Return the one scale of a slide's images, or None where each nucleus has its own.

    Under the normalisation `slide` the scale comes from the nuclear pixels of all its images.
    """
    if params.normalisation == "nucleus":
        return None
    if params.normalisation == "none":
        micrograph, _ = next(iter(micrographs))
        return Scale.of_bit_depth(micrograph)
    pixels = [micrograph[labels > 0].ravel() for micrograph, labels in micrographs]
    together = np.concatenate(pixels)
    if together.size == 0:
        return Scale(0.0, 1.0)  # no nucleus will ask for it
    return Scale.of_pixels(together, (params.low_percentile, params.high_percentile))


def cut(
    micrograph: Micrograph, labels: Labels, table: pd.DataFrame, scale: Scale | None, params: Crop
) -> Crops:
    """Cut the nuclei of `table` (rows of `describe` that are not left out) from a micrograph.

    Each crop is centred on the nucleus' bounding box; pixels of the background, of other nuclei
    and beyond the image are 0. `scale` None stretches each nucleus from its own minimum to its own
    maximum. Returns (len(table), crop_px, crop_px, channels) uint8.
    """
    channels = 1 if micrograph.ndim == 2 else micrograph.shape[-1]
    side = params.crop_px
    crops = np.zeros((len(table), side, side, channels), dtype=np.uint8)
    boxes = table[["label_number", "top", "left", "bottom", "right"]].to_numpy()
    for crop, (number, top, left, bottom, right) in zip(crops, boxes, strict=True):
        box = np.s_[top:bottom, left:right]
        inside = labels[box] == number
        pixels = micrograph[box][inside]
        own = Scale.of_pixels(pixels, (0, 100)) if scale is None else scale
        row, column = (side - (bottom - top)) // 2, (side - (right - left)) // 2
        target = crop[row : row + bottom - top, column : column + right - left]
        target[inside] = own.apply(pixels).reshape(-1, channels)
    return crops
