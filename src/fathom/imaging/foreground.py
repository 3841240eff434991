"""Where a stained image has nuclei at all: above the background, Otsu's threshold, the local mean.

Two steps: `measure_foreground` takes from an image, or a sample of a slide, the numbers that
hold for all of it; `lit` and `limit` then look no further than a few diameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from skimage.filters import threshold_otsu

from fathom.ground.arrays import Floats
from fathom.imaging.levels import (
    BINS,
    LARGEST_STEP,
    WHITE,
    Levels,
    Mask,
    background,
    blurred,
    grid_step,
    histogram,
    local_mean,
    scaled,
    shrunk,
    to_power,
)
from fathom.imaging.params import Segmentation
from fathom.imaging.window import Rectangle

_SMALLEST_DIAMETER_PX = 4  # what is narrower has no outline to find
_SMALLEST_WINDOW_PX = 16.0
_POINTS = 16  # a diameter, at least, of the grid that nuclei are told apart on
_MOST_PASSES = 5  # until a diameter and the grid that it is measured on agree

# A nucleus is looked for from a share of the picture downwards. In a wide one that share is so many
# nuclei that patches of light and of shadow pass for them; so wide ones are measured in parts.
_PART_PX = 1024
_MOST_PARTS = 12  # of a wide picture, spread evenly: 12 million pixels say what its nuclei are like


@dataclass(frozen=True)
class ForegroundTraits:
    """What the nuclei of an image have in common, before they are told apart."""

    gain_bits: int  # levels are doubled so often: a dim picture has as many as a bright one
    diameter_px: float  # typical width: half of the foreground's area is narrower
    threshold: int  # of the compressed level above the background; foreground is above

    @property
    def step(self) -> int:
        """Px of a point of the grid that nuclei are told apart on."""
        return grid_step(self.diameter_px, _POINTS)

    @property
    def alignment_px(self) -> int:
        """What windows of the image start at multiples of.

        Of all grids on that grid, and of three points, by which `fathom.imaging.separation` tells
        neighbours apart.
        """
        return 3 * LARGEST_STEP * self.step


@dataclass(frozen=True)
class Light:
    """A stain on the grid of its nuclei, (h, w) levels each."""

    background: Levels
    above: Levels  # the background, which it was smoothed before
    compressed: Levels  # the same, to the power of `gamma`

    def cut(self, part: Rectangle, step: int) -> Self:
        """Return a part of the stain, px, that starts at a grid point of `step` px."""
        rows = slice(part.top // step, -(-part.bottom // step))
        columns = slice(part.left // step, -(-part.right // step))
        return type(self)(
            *(
                np.ascontiguousarray(levels[rows, columns])
                for levels in (self.background, self.above, self.compressed)
            )
        )


@dataclass(frozen=True)
class Sizes:
    """What can be a nucleus by its area, px: anything where the resolution is unknown."""

    smallest_px: float = 0.0
    largest_px: float = math.inf

    @classmethod
    def of(cls, params: Segmentation, um_per_px: float | None) -> Self:
        """Return the bounds of params in pixels of an image; its resolution can be None or NaN."""
        if um_per_px is None or math.isnan(um_per_px):
            return cls()
        return cls(params.smallest_area_um2 / um_per_px**2, params.largest_area_um2 / um_per_px**2)

    def within(self, diameter: float) -> float:
        """Return the diameter, or that of the smallest or largest disc, px."""
        least, most = (
            2 * math.sqrt(area / math.pi) for area in (self.smallest_px, self.largest_px)
        )
        return min(max(diameter, least), most)


def measure_foreground(
    stains: Sequence[Levels], params: Segmentation, sizes: Sizes
) -> tuple[ForegroundTraits, list[Light]] | None:
    """Measure an image, or several parts of one: (H, W) each; a large one is measured in parts.

    Returns what they have in common, and each of them in its light. None where there are no nuclei:
    nothing that is wide enough, or that stands out from the noise.

    Of parts, those without nuclei have no say; the others' median diameter is typical, and they
    share one threshold. (One diameter of all their widths together would be that of the haze in
    some, which one threshold for all takes for foreground.)
    """
    parts = _spread([part for stain in stains for part in _parts(stain)])
    gain = _gain_bits(parts)
    parts = [brightened(part, gain) for part in parts]
    measured = [
        (part, found) for part in parts if (found := _measure_one(part, gain, params, sizes))
    ]
    if not measured:
        return None
    if len(parts) == 1:
        traits, light = measured[0][1]
        return traits, [light]
    diameter = float(np.median([traits.diameter_px for _, (traits, _) in measured]))
    counts = [histogram(lit(part, diameter, params).compressed) for part, _ in measured]
    traits = ForegroundTraits(gain, diameter, _threshold(np.sum(counts, axis=0), params))
    return traits, [lit(brightened(stain, gain), diameter, params) for stain in stains]


def _parts(stain: Levels) -> list[Levels]:
    """Cut (H, W) into parts of at most `_PART_PX`; what is not half as wide again stays whole."""
    rows, columns = (
        math.ceil(length / _PART_PX) if length >= 1.5 * _PART_PX else 1 for length in stain.shape
    )
    return [
        part
        for band in np.array_split(stain, rows, axis=0)
        for part in np.array_split(band, columns, axis=1)
    ]


def _spread(parts: list[Levels]) -> list[Levels]:
    """Return at most `_MOST_PARTS` of the parts, evenly spread."""
    count = min(len(parts), _MOST_PARTS)
    return [parts[number * len(parts) // count] for number in range(count)]


def _gain_bits(parts: Sequence[Levels]) -> int:
    """Return how often levels can be doubled: the brightest places then are a quarter of white."""
    brightest = max(int(shrunk(part, LARGEST_STEP).max()) for part in parts)
    return max(0, int(math.log2((WHITE + 1) / 4 / (brightest + 1))))


def brightened(stain: Levels, gain_bits: int) -> Levels:
    """Return the levels doubled so often, white at most."""
    return scaled(stain, float(2**gain_bits))


def _measure_one(
    stain: Levels, gain_bits: int, params: Segmentation, sizes: Sizes
) -> tuple[ForegroundTraits, Light] | None:
    diameter = typical_diameter(stain, params, sizes)
    if diameter < _SMALLEST_DIAMETER_PX:
        return None
    diameter = sizes.within(diameter)
    light = lit(stain, diameter, params)
    if light.compressed.min() == light.compressed.max():
        return None
    threshold = _threshold(histogram(light.compressed), params)
    traits = ForegroundTraits(gain_bits, diameter, threshold)
    mask = cv2.compare(light.compressed, limit(light, traits, params), cv2.CMP_GT)
    return (traits, light) if _stands_out(mask, light.above, params) else None


def smoothed(stain: Levels, diameter: float, params: Segmentation, step: int = 1) -> Levels:
    """Return the stain without noise finer than a nucleus' texture, in grid points of `step` px."""
    sigma = max(0.7, params.smoothing_diameters * diameter)
    return blurred(shrunk(stain, step), sigma / step)


def lit(stain: Levels, diameter: float, params: Segmentation) -> Light:
    """Return a stain on the grid of its nuclei; it follows from `light_reach_px` around."""
    step = grid_step(diameter, _POINTS)
    return _lit(smoothed(stain, diameter, params, step), diameter / step, params, step)


def _lit(smooth: Levels, diameter: float, params: Segmentation, step: int) -> Light:
    window = max(_SMALLEST_WINDOW_PX / step, params.background_diameters * diameter)
    below = background(smooth, window)
    above = cv2.subtract(smooth, below)
    return Light(below, above, to_power(above, params.gamma))


def light_reach_px(diameter: float, params: Segmentation) -> float:
    """Return how far `lit` looks: 4 sigma, twice the window, a step."""
    window = max(_SMALLEST_WINDOW_PX, params.background_diameters * diameter)
    return 4 * max(0.7, params.smoothing_diameters * diameter) + 2.25 * window


def limit(light: Light, traits: ForegroundTraits, params: Segmentation) -> Levels:
    """Return what compressed levels exceed in the foreground: the threshold and the local mean."""
    return _limit(light, traits.diameter_px / traits.step, traits.threshold, params)


def _limit(light: Light, diameter: float, threshold: int, params: Segmentation) -> Levels:
    here = local_mean(light.compressed, params.local_mean_diameters * diameter)
    return np.maximum(scaled(here, params.local_threshold), np.uint16(threshold))


def limit_reach_px(diameter: float, params: Segmentation) -> float:
    """Return how far `limit` looks: 4 sigma and a step of less than one."""
    return 5 * params.local_mean_diameters * diameter


def _threshold(counts: Floats, params: Segmentation) -> int:
    """Return Otsu's threshold of a histogram, in levels, times a factor."""
    used = np.flatnonzero(counts)
    held = slice(used[0], used[-1] + 1)
    width = (WHITE + 1) // BINS
    middles = np.arange(BINS) * width + (width - 1) / 2
    threshold = params.global_threshold * threshold_otsu(hist=(counts[held], middles[held]))
    return min(WHITE, int(threshold))


def typical_diameter(stain: Levels, params: Segmentation, sizes: Sizes) -> float:
    """Return the width in px that half of the foreground's area lies below; 0 without foreground.

    A first pass takes nuclei to be as wide as the picture allows, a second corrects for what haze
    and uneven light then did to the background. Further ones follow while the grid is too coarse.
    """
    diameter = sizes.within(params.first_diameter_share * min(stain.shape))
    for number in range(_MOST_PASSES):
        step = grid_step(diameter, _POINTS)
        width = step * _width(stain, diameter / step, step, params)
        if width == 0 and step == 1:
            return 0.0
        diameter = min(diameter, width or diameter / 2)
        if number and grid_step(diameter, _POINTS) == step:
            break
    return diameter


def _width(stain: Levels, diameter: float, step: int, params: Segmentation) -> float:
    """Return the typical width in points of `step` px, as far as a diameter of as much tells."""
    points = shrunk(stain, step)
    light = _lit(blurred(points, 1) if step == 1 else points, diameter, params, step)
    if light.compressed.min() == light.compressed.max():
        return 0.0
    threshold = _threshold(histogram(light.compressed), params)
    above = _limit(light, diameter, threshold, params)
    return _median_width(cv2.compare(light.compressed, above, cv2.CMP_GT))


def _median_width(mask: Mask) -> float:
    """Return the median width in px of the discs that fill the mask, by their area."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    highest = cv2.dilate(distance, np.ones((5, 5), np.uint8))
    radii = distance[(distance == highest) & (distance > 1.5)].astype(np.float64)
    return 2 * area_median(radii, radii**2)


def area_median(values: Floats, areas: Floats) -> float:
    """Return the smallest value such that it and all below it hold half of the area; 0 of none."""
    if not values.size:
        return 0.0
    order = np.argsort(values, kind="stable")
    held = np.cumsum(areas[order])
    return float(values[order][np.searchsorted(held, held[-1] / 2)])


def _stands_out(mask: Mask, above: Levels, params: Segmentation) -> bool:
    """Tell nuclei from noise: half of the noise of an empty picture is above its threshold too.

    Its mean is then 2.5 to 3.7 standard deviations of the other half above that; on the real
    micrographs of benchmarks/segmentation.py it is at least 6.
    """
    rest = cv2.bitwise_not(mask)
    if not mask.any() or not rest.any():
        return False
    (mean,), (spread,) = cv2.meanStdDev(above, mask=rest)
    contrast = cv2.mean(above, mask=mask)[0] - mean[0]
    return bool(contrast >= params.least_contrast * spread[0])
