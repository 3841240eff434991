"""Where a stained image has nuclei at all: above the background, Otsu's threshold, the local mean.

Two steps: `measure_foreground` takes from an image, or a sample of a slide, the two numbers that
hold for all of it; `above_background` and `foreground` then look no further than a few diameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

from fathom.imaging.background import Origin, background, local_mean
from fathom.imaging.params import Segmentation
from fathom.imaging.stain import Plane

Mask = npt.NDArray[np.bool_]  # (H, W)

_SMALLEST_DIAMETER_PX = 4  # what is narrower has no outline to find
_SMALLEST_WINDOW_PX = 16.0

# A nucleus is looked for from a share of the picture downwards. In a wide one that share is so many
# nuclei that patches of light and of shadow pass for them; so wide ones are measured in parts.
_PART_PX = 1024


@dataclass(frozen=True)
class ForegroundTraits:
    """What the nuclei of an image have in common, before they are told apart."""

    diameter_px: float  # typical width: half of the foreground's area is narrower
    threshold: float  # of the compressed intensity above the background; foreground is above


def measure_foreground(stains: Sequence[Plane], params: Segmentation) -> ForegroundTraits | None:
    """Measure an image, or several parts of one: (H, W) each; a large one is measured in parts.

    None where there are no nuclei: nothing that is wide enough, or that stands out from the noise.
    Of parts, those without nuclei have no say; the others' median diameter is typical, and they
    share one threshold. (One diameter of all their widths together would be that of the haze in
    some, which one threshold for all takes for foreground.)
    """
    parts = [
        (part, traits)
        for stain in stains
        for part in _parts(stain)
        if (traits := _measure_one(part, params))
    ]
    if len(parts) <= 1:
        return parts[0][1] if parts else None
    diameter = float(np.median([traits.diameter_px for _, traits in parts]))
    compressed = [_compressed(stain, diameter, params) for stain, _ in parts]
    return ForegroundTraits(diameter, _threshold(np.concatenate(compressed, axis=None), params))


def _parts(stain: Plane) -> list[Plane]:
    """Cut (H, W) into parts of at most `_PART_PX`; what is not half as wide again stays whole."""
    rows, columns = (
        math.ceil(length / _PART_PX) if length >= 1.5 * _PART_PX else 1 for length in stain.shape
    )
    return [
        part
        for band in np.array_split(stain, rows, axis=0)
        for part in np.array_split(band, columns, axis=1)
    ]


def _measure_one(stain: Plane, params: Segmentation) -> ForegroundTraits | None:
    diameter = typical_diameter(stain, params)
    if diameter < _SMALLEST_DIAMETER_PX:
        return None
    above = above_background(smoothed(stain, diameter, params), diameter, params)
    compressed = above**params.gamma
    if compressed.min() == compressed.max():
        return None
    traits = ForegroundTraits(diameter, _threshold(compressed, params))
    return traits if _stands_out(foreground(compressed, traits, params), above, params) else None


def _compressed(stain: Plane, diameter: float, params: Segmentation) -> Plane:
    above = above_background(smoothed(stain, diameter, params), diameter, params)
    compressed: Plane = above**params.gamma
    return compressed


def smoothed(stain: Plane, diameter: float, params: Segmentation) -> Plane:
    """Return the stain without noise finer than a nucleus' texture."""
    smooth: Plane = ndimage.gaussian_filter(stain, max(0.7, params.smoothing_diameters * diameter))
    return smooth


def above_background(
    smooth: Plane, diameter: float, params: Segmentation, origin: Origin = (0, 0)
) -> Plane:
    """Return the intensity above the background; it follows from `background_reach_px` around."""
    window = max(_SMALLEST_WINDOW_PX, params.background_diameters * diameter)
    above: Plane = np.maximum(smooth - background(smooth, window, origin), 0)
    return above


def background_reach_px(diameter: float, params: Segmentation) -> float:
    """Return how far `smoothed` and `above_background` look: 4 sigma, twice the window, a step."""
    window = max(_SMALLEST_WINDOW_PX, params.background_diameters * diameter)
    return 4 * max(0.7, params.smoothing_diameters * diameter) + 2.25 * window


def foreground(
    compressed: Plane, traits: ForegroundTraits, params: Segmentation, origin: Origin = (0, 0)
) -> Mask:
    """Return where the compressed intensity is above the threshold and above the local mean."""
    here = local_mean(compressed, params.local_mean_diameters * traits.diameter_px, origin)
    mask: Mask = (compressed > traits.threshold) & (compressed > params.local_threshold * here)
    return mask


def foreground_reach_px(diameter: float, params: Segmentation) -> float:
    """Return how far `foreground` looks: 4 sigma and a step of a quarter."""
    return 4.5 * params.local_mean_diameters * diameter


def _threshold(compressed: npt.NDArray[np.float32], params: Segmentation) -> float:
    return float(params.global_threshold * threshold_otsu(compressed))


def typical_diameter(stain: Plane, params: Segmentation) -> float:
    """Return the width in px that half of the foreground's area lies below; 0 without foreground.

    A first pass takes nuclei to be as wide as the picture allows, a second corrects for what haze
    and uneven light then did to the background.
    """
    smooth = ndimage.gaussian_filter(stain, 1)
    diameter: float = params.first_diameter_share * min(stain.shape)
    for _ in range(2):
        compressed = above_background(smooth, diameter, params) ** params.gamma
        if compressed.min() == compressed.max():
            return 0.0
        traits = ForegroundTraits(diameter, _threshold(compressed, params))
        diameter = min(diameter, _median_width(foreground(compressed, traits, params)))
    return diameter


def _median_width(mask: Mask) -> float:
    """Return the median width in px of the discs that fill the mask, by their area."""
    distance = distance_inside(mask)
    centres = (distance == ndimage.maximum_filter(distance, size=5)) & (distance > 1.5)
    return 2 * area_median(distance[centres], distance[centres] ** 2)


def distance_inside(mask: Mask) -> npt.NDArray[np.float64]:
    """Return how far each pixel of the mask, (H, W), is from the nearest outside it, px.

    What `scipy.ndimage.distance_transform_edt` returns, in half of its memory.
    """
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    rows, columns = nearest  # (H, W) int32 each, of the nearest pixel outside
    rows -= np.arange(mask.shape[0], dtype=np.int32)[:, np.newaxis]
    columns -= np.arange(mask.shape[1], dtype=np.int32)
    squares: npt.NDArray[np.float64] = np.square(rows, dtype=np.float64)
    squares += np.square(columns, dtype=np.float64)
    np.sqrt(squares, out=squares)
    return squares


def area_median(values: npt.NDArray[np.float64], areas: npt.NDArray[np.float64]) -> float:
    """Return the smallest value such that it and all below it hold half of the area; 0 of none."""
    if not values.size:
        return 0.0
    order = np.argsort(values, kind="stable")
    held = np.cumsum(areas[order])
    return float(values[order][np.searchsorted(held, held[-1] / 2)])


def _stands_out(mask: Mask, above: Plane, params: Segmentation) -> bool:
    """Tell nuclei from noise: half of the noise of an empty picture is above its threshold too.

    Its mean is then 2.5 to 3.7 standard deviations of the other half above that; on the real
    micrographs of benchmarks/segmentation.py it is at least 6.
    """
    if not mask.any() or mask.all():
        return False
    rest = above[~mask]
    contrast = above[mask].mean() - rest.mean()
    return bool(contrast >= params.least_contrast * rest.std())
