"""Nuclei in a micrograph, by classical means: every length follows the nuclei of the image itself.

1. The stain (`fathom.imaging.stain`), bright on dark, in 16-bit levels.
2. The typical diameter: the widths of the pieces of a first, rough foreground.
3. Foreground: smoothed, the background subtracted, intensities compressed (dim nuclei beside bright
   ones), above Otsu's threshold (1979, IEEE Transactions on Systems, Man and Cybernetics 9, 62) and
   above the local mean (dark gaps in a bright cluster): `fathom.imaging.foreground`.
4. Touching nuclei: watershed of the distance transform, weighted by intensity, from its h-maxima
   (`fathom.imaging.separation`).
5. Outlines: each nucleus keeps the pixels above a share of its own mean, so that a bright one is
   not drawn too wide, nor a dim one too narrow; narrow lobes go (`fathom.imaging.outline`).
6. What is too small or too faint beside the image's other nuclei is debris and goes, and where the
   resolution is known, what is too small or too large for a nucleus.

From 3 to 6 nuclei lie on a grid of 16 to 32 points a diameter; the outlines of those that are left
are then drawn in pixels.

What an image's nuclei have in common (`NuclearTraits`) is measured on all of it, or on a sample of
a slide. All else looks a few diameters around itself, and grids are anchored in the image, so that
a window of a slide gives the nuclei that the whole would (`segment_window`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.foreground import (
    ForegroundTraits,
    Light,
    Sizes,
    area_median,
    brightened,
    light_reach_px,
    limit,
    limit_reach_px,
    lit,
    measure_foreground,
    smoothed,
)
from fathom.imaging.levels import Levels, to_power, without_ipp
from fathom.imaging.outline import drawn, measured, outlined, widened
from fathom.imaging.params import Segmentation
from fathom.imaging.separation import split, without_holes_and_spurs
from fathom.imaging.stain import stain_levels
from fathom.imaging.window import Window

# What a nucleus' neighbours decide about its outline is decided within this many diameters.
NUCLEUS_DIAMETERS = 6.0


@dataclass(frozen=True)
class NuclearTraits:
    """What the nuclei of an image have in common."""

    foreground: ForegroundTraits
    least_area_px: float  # smaller is debris
    most_area_px: float  # larger is no nucleus
    least_brightness: float  # mean compressed level above the background; fainter is debris


def segment(micrograph: Micrograph, params: Segmentation, um_per_px: float | None = None) -> Labels:
    """Find the nuclei of a micrograph, (H, W) or (H, W, 3), uint8 or uint16.

    Where its resolution is known, neither None nor NaN, areas in um2 bound what can be a nucleus.
    Returns (H, W) int32: 0 = background, nuclei 1..n from the top down; all 0 where there are none.
    Only relative intensities count: the same picture in 8 and in 16 bits gives the
    same nuclei. Raises `FathomError` for `params.method` masks, which needs a data set.
    """
    measured = measure_traits([micrograph], params, um_per_px)
    return measured[1][0] if measured else np.zeros(micrograph.shape[:2], dtype=np.int32)


def measure_traits(
    micrographs: Sequence[Micrograph], params: Segmentation, um_per_px: float | None = None
) -> tuple[NuclearTraits, list[Labels]] | None:
    """Measure an image, or parts of a slide as if they were one; None where there are no nuclei.

    Returns the traits and the nuclei of each part. `segment_window` with the traits of an image
    finds what `segment` finds in it.
    """
    without_ipp()
    stains = [_stain(micrograph, params) for micrograph in micrographs]
    sizes = Sizes.of(params, um_per_px)
    in_common = measure_foreground(stains, params, sizes)
    if in_common is None:
        return None
    common, lights = in_common
    stains = [brightened(stain, common.gain_bits) for stain in stains]
    found = [
        _candidates(stain, light, Window.whole(stain.shape), common, params)
        for stain, light in zip(stains, lights, strict=True)
    ]
    traits = _debris(common, found, params, sizes)
    return traits, [_nuclei(part, traits, params) for part in found]


def reach_px(traits: NuclearTraits, params: Segmentation) -> int:
    """Return how far beyond its core a window must be read, px."""
    common = traits.foreground
    reach = light_reach_px(common.diameter_px, params) + _found_px(common, params)
    return int(reach) + 2 * common.alignment_px


def _found_px(traits: ForegroundTraits, params: Segmentation) -> float:
    """Return how far nuclei follow from their surroundings in their light."""
    diameter = traits.diameter_px
    return NUCLEUS_DIAMETERS * diameter + limit_reach_px(diameter, params)


def segment_window(
    micrograph: Micrograph, window: Window, traits: NuclearTraits, params: Segmentation
) -> tuple[Labels, Window]:
    """Find the nuclei around the core of a window of a slide.

    Parameters
    ----------
    micrograph : (H, W) or (H, W, 3), uint8 or uint16, of `window.frame`
    window : read `reach_px` beyond its core where the slide goes on
    traits : of the slide

    Returns
    -------
    Labels 0..n, (H, W) int32, of the frame of the window returned, which is narrower than the one
    given. Nuclei that reach into the core are those of the slide; of others some may be cut.
    """
    without_ipp()
    common = traits.foreground
    window, micrograph = window.aligned(common.alignment_px, micrograph)
    stain = brightened(_stain(micrograph, params), common.gain_bits)
    light = lit(stain, common.diameter_px, params)
    narrow, stain = window.cut(_found_px(common, params), stain)
    narrow, stain = narrow.aligned(common.alignment_px, stain)
    light = light.cut(narrow.frame.moved(-window.frame.top, -window.frame.left), common.step)
    found = _candidates(stain, light, narrow, common, params)
    return _nuclei(found, traits, params), found.window


def _stain(micrograph: Micrograph, params: Segmentation) -> Levels:
    if params.method != "threshold":
        raise FathomError(
            f"segmentation.method is '{params.method}': those nuclei come with a data set, they "
            "cannot be found in an image; 'threshold' finds them"
        )
    return stain_levels(micrograph, params.stain)


@dataclass(frozen=True)
class _Candidates:
    """Nuclei and debris of a window, on the grid of its traits: one number a label 1..n."""

    window: Window
    stain: Levels  # (H, W), brightened
    light: Light  # (h, w), as the following
    foreground: Levels  # what compressed levels exceed
    apart: Labels  # nuclei before their outlines were found
    labels: Labels
    limits: Levels  # level above the background that label 0..n exceeds
    area_px: Floats
    brightness: Floats  # mean compressed level above the background


def _candidates(
    stain: Levels, light: Light, window: Window, traits: ForegroundTraits, params: Segmentation
) -> _Candidates:
    """Find what may be a nucleus in a window."""
    step, diameter = traits.step, traits.diameter_px / traits.step
    foreground = limit(light, traits, params)
    mask = cv2.compare(light.compressed, foreground, cv2.CMP_GT)
    mask = without_holes_and_spurs(mask, diameter, params)
    apart, count = split(mask, light.compressed, diameter, params)
    labels, limits = outlined(apart, count, light.above, diameter, params)
    found = measured(labels, count, light.compressed)
    return _Candidates(
        window,
        stain,
        light,
        foreground,
        apart,
        labels,
        limits,
        found.points * step**2,
        found.means[0],
    )


def _debris(
    traits: ForegroundTraits, parts: Sequence[_Candidates], params: Segmentation, sizes: Sizes
) -> NuclearTraits:
    """Measure what is too small or too faint beside the others of all parts."""
    area = np.concatenate([part.area_px for part in parts])
    brightness = np.concatenate([part.brightness for part in parts])
    can_be = area[(area >= sizes.smallest_px) & (area <= sizes.largest_px)]
    least_area = max(params.smallest_area_share * area_median(can_be, can_be), sizes.smallest_px)
    large = brightness[area >= least_area]
    faintest = params.faintest_share * float(np.median(large)) if large.size else 0.0
    return NuclearTraits(traits, least_area, sizes.largest_px, faintest)


def _nuclei(found: _Candidates, traits: NuclearTraits, params: Segmentation) -> Labels:
    """Draw the nuclei that are neither too small nor too faint, 1..n."""
    large = (found.area_px > 0) & (found.area_px >= traits.least_area_px)
    large &= found.area_px <= traits.most_area_px
    kept = np.append(False, large & (found.brightness >= traits.least_brightness))
    labels = np.where(kept, np.cumsum(kept), 0).astype(np.int32)[found.labels]
    common = traits.foreground
    if common.step == 1:
        return labels
    free = cv2.compare(found.apart, 0, cv2.CMP_EQ)
    limits = np.append(found.limits[:1], found.limits[kept])[widened(labels, free)]
    least = np.maximum(limits, to_power(found.foreground, 1 / params.gamma))
    smooth = smoothed(found.stain, common.diameter_px, params)
    return drawn(smooth, labels, free, cv2.add(least, found.light.background), common.step)
