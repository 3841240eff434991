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

from fathom.ground.arrays import Bools
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.params import Crop
from fathom.imaging.regions import Regions
from fathom.imaging.window import Rectangle
from fathom.study.nuclei import TOO_LARGE, TOUCHES_BORDER
from fathom.study.stored_crops import Crops


@dataclass(frozen=True)
class Scale:
    """The grey values that become 0 and 255 in a crop."""

    low: float
    high: float

    @classmethod
    def of_bit_depth(cls, pixels: npt.NDArray[Any]) -> Self:
        """Return the whole range of the number type: absolute, the same for every image."""
        return cls(0.0, float(np.iinfo(pixels.dtype).max))

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
    regions = Regions.of(labels)
    measured = pd.DataFrame({"label_number": regions.labels})
    measured[["y", "x"]] = regions.centroids()
    measured[["top", "left", "bottom", "right"]] = regions.boxes
    measured["area_px"] = regions.area_px
    border = image or Rectangle(0, 0, *labels.shape)
    measured["touches_border"] = (
        (measured["top"] == border.top)
        | (measured["left"] == border.left)
        | (measured["bottom"] == border.bottom)
        | (measured["right"] == border.right)
    )
    measured["focus"] = _focus(micrograph, regions)
    size = np.maximum(measured["bottom"] - measured["top"], measured["right"] - measured["left"])
    measured["left_out"] = np.select(
        [measured["touches_border"], size > params.crop_px],
        [TOUCHES_BORDER, TOO_LARGE],
        default="",
    )
    return measured


def _focus(micrograph: Micrograph, regions: Regions) -> npt.NDArray[np.float64]:
    """Return `focus` of each nucleus; the image goes on beyond its edge as in a mirror."""
    # The neighbours of the nuclei's pixels alone: nine tenths of a slide are background.
    around = np.pad(micrograph, [(1, 1), (1, 1), (0, 0)][: micrograph.ndim], mode="symmetric")
    width = around.shape[1]
    flat = around.reshape(-1, *micrograph.shape[2:])
    rows, columns = np.divmod(regions.pixels, micrograph.shape[1])
    places = (rows + 1) * width + columns + 1

    def grey(step: int) -> npt.NDArray[np.float64]:
        pixels = flat[places + step].astype(np.float64)
        grey: npt.NDArray[np.float64] = pixels if pixels.ndim == 1 else pixels.mean(axis=-1)
        return grey

    own = grey(0)
    down, across = (grey(-step) + grey(step) for step in (width, 1))
    laplacian = (-2 * own + down) + (-2 * own + across)
    deviation = laplacian - regions.mean(laplacian)[regions.owner]
    variance, mean = regions.mean(deviation * deviation), regions.mean(own)
    focus: npt.NDArray[np.float64] = variance / np.maximum(mean**2, 1.0)
    return focus


def scale_of(micrographs: Iterable[tuple[Micrograph, Labels]], params: Crop) -> Scale | None:
    """Return the one scale of a slide's images, or None where each nucleus has its own.

    Under the normalisation `slide` the scale comes from the nuclear pixels of all its images.
    """
    return scale_of_pixels((micrograph[labels > 0] for micrograph, labels in micrographs), params)


def scale_of_pixels(nuclear: Iterable[npt.NDArray[Any]], params: Crop) -> Scale | None:
    """Return what `scale_of` does from the nuclear pixels of each image, (n,) or (n, 3)."""
    if params.normalisation == "nucleus":
        return None
    if params.normalisation == "none":
        return Scale.of_bit_depth(next(iter(nuclear)))
    together = np.concatenate([pixels.ravel() for pixels in nuclear])
    if together.size == 0:
        return Scale(0.0, 1.0)  # no nucleus will ask for it
    return Scale.of_pixels(together, (params.low_percentile, params.high_percentile))


@dataclass(frozen=True, eq=False)
class CutOut:
    """Nuclei cut from a micrograph, in its own grey values."""

    pixels: npt.NDArray[Any]  # (n, crop_px, crop_px, channels) uint8 or uint16, 0 outside
    inside: Bools  # (n, crop_px, crop_px)

    def scaled(self, scale: Scale | None) -> Crops:
        """Return the crops; `scale` None stretches each from its own minimum to its maximum."""
        crops = np.zeros(self.pixels.shape, dtype=np.uint8)
        if scale is not None:
            crops[self.inside] = scale.apply(self.pixels[self.inside])
            return crops
        for crop, square, inside in zip(crops, self.pixels, self.inside, strict=True):
            pixels = square[inside]
            crop[inside] = Scale.of_pixels(pixels, (0, 100)).apply(pixels)
        return crops


def cut_out(micrograph: Micrograph, labels: Labels, table: pd.DataFrame, params: Crop) -> CutOut:
    """Cut the nuclei of `table` (rows of `describe` that are not left out) from a micrograph.

    Each square is centred on the nucleus' bounding box; pixels of the background, of other nuclei
    and beyond the image are 0.
    """
    channels = 1 if micrograph.ndim == 2 else micrograph.shape[-1]
    side = params.crop_px
    squares = np.zeros((len(table), side, side, channels), dtype=micrograph.dtype)
    masks = np.zeros((len(table), side, side), dtype=bool)
    boxes = table[["label_number", "top", "left", "bottom", "right"]].to_numpy()
    for square, mask, (number, top, left, bottom, right) in zip(squares, masks, boxes, strict=True):
        box = np.s_[top:bottom, left:right]
        inside = labels[box] == number
        row, column = (side - (bottom - top)) // 2, (side - (right - left)) // 2
        target = np.s_[row : row + bottom - top, column : column + right - left]
        mask[target] = inside
        square[target][inside] = micrograph[box][inside].reshape(-1, channels)
    return CutOut(squares, masks)


def cut(
    micrograph: Micrograph, labels: Labels, table: pd.DataFrame, scale: Scale | None, params: Crop
) -> Crops:
    """Return the crops of the nuclei of `table`: `cut_out`, brought to `scale`.

    (len(table), crop_px, crop_px, channels) uint8.
    """
    return cut_out(micrograph, labels, table, params).scaled(scale)
