"""Nuclei in a micrograph, by classical means: every length follows the nuclei of the image itself.

1. The stain (`fathom.imaging.stain`), bright on dark.
2. The typical diameter: the widths of the pieces of a first, rough foreground.
3. Foreground: smoothed, the background subtracted, intensities compressed (dim nuclei beside bright
   ones), above Otsu's threshold (1979, IEEE Transactions on Systems, Man and Cybernetics 9, 62) and
   above the local mean (dark gaps in a bright cluster): `fathom.imaging.foreground`.
4. Touching nuclei: watershed of the distance transform, weighted by intensity, from its h-maxima
   (Soille 2004, Morphological Image Analysis, section 9.4): `fathom.imaging.separation`.
5. Outlines: each nucleus keeps the pixels above a share of its own mean, so that a bright one is
   not drawn too wide, nor a dim one too narrow.
6. What is too small or too faint beside the image's other nuclei is debris and goes.

What an image's nuclei have in common (`NuclearTraits`) is measured on all of it, or on a sample of
a slide. All else looks a few diameters around itself, so that a window of a slide gives the nuclei
that the whole would (`segment_window`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import relabel_sequential

from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, Micrograph
from fathom.imaging.foreground import (
    ForegroundTraits,
    above_background,
    area_median,
    background_reach_px,
    foreground,
    foreground_reach_px,
    measure_foreground,
    smoothed,
)
from fathom.imaging.params import Segmentation
from fathom.imaging.separation import (
    means,
    outline,
    split,
    without_holes,
    without_spurs,
)
from fathom.imaging.stain import Plane, nuclear_stain
from fathom.imaging.window import Window

# What a nucleus' neighbours decide about its outline is decided within this many diameters.
NUCLEUS_DIAMETERS = 6.0


@dataclass(frozen=True)
class NuclearTraits:
    """What the nuclei of an image have in common."""

    foreground: ForegroundTraits
    least_area_px: float  # smaller is debris
    least_brightness: float  # mean compressed intensity above the background; fainter is debris


def segment(micrograph: Micrograph, params: Segmentation) -> Labels:
    """Find the nuclei of a micrograph, (H, W) or (H, W, 3), uint8 or uint16.

    Returns (H, W) int32: 0 = background, nuclei 1..n from the top down; all 0 where there are none.
    Only relative intensities count: the same picture in 8 and in 16 bits gives the
    same nuclei. Raises `FathomError` for `params.method` masks, which needs a data set.
    """
    measured = measure_traits([micrograph], params)
    if measured is None:
        return np.zeros(micrograph.shape[:2], dtype=np.int32)
    _, [labels] = measured
    return labels


def measure_traits(
    micrographs: Sequence[Micrograph], params: Segmentation
) -> tuple[NuclearTraits, list[Labels]] | None:
    """Measure an image, or parts of a slide as if they were one; None where there are no nuclei.

    Returns the traits and the nuclei of each part. `segment_window` with the traits of an image
    finds what `segment` finds in it.
    """
    stains = [_stain(micrograph, params) for micrograph in micrographs]
    common = measure_foreground(stains, params)
    if common is None:
        return None
    found = [_candidates(stain, Window.whole(stain.shape), common, params) for stain in stains]
    traits = _debris(common, found, params)
    return traits, [_without_debris(part, traits) for part in found]


def reach_px(traits: NuclearTraits, params: Segmentation) -> int:
    """Return how far beyond its core a window must be read, px."""
    diameter = traits.foreground.diameter_px
    return int(
        background_reach_px(diameter, params)
        + foreground_reach_px(diameter, params)
        + NUCLEUS_DIAMETERS * diameter
    )


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
    found = _candidates(_stain(micrograph, params), window, traits.foreground, params)
    return _without_debris(found, traits), found.window


def _stain(micrograph: Micrograph, params: Segmentation) -> Plane:
    if params.method != "threshold":
        raise FathomError(
            f"segmentation.method is '{params.method}': those nuclei come with a data set, they "
            "cannot be found in an image; 'threshold' finds them"
        )
    return nuclear_stain(micrograph, params.stain)


@dataclass(frozen=True)
class _Candidates:
    """Nuclei and debris of a window: label images show its frame, one number a label 1..n."""

    window: Window
    labels: Labels
    area_px: Floats
    brightness: Floats  # mean compressed intensity above the background


def _candidates(
    stain: Plane, window: Window, traits: ForegroundTraits, params: Segmentation
) -> _Candidates:
    """Find what may be a nucleus; the stain is cut to what is right still after each filter."""
    diameter = traits.diameter_px
    nucleus = NUCLEUS_DIAMETERS * diameter
    above = above_background(smoothed(stain, diameter, params), diameter, params, window.origin)
    del stain  # a window's widest plane, and nobody else's: what follows is narrower
    window, above = window.cut(nucleus + foreground_reach_px(diameter, params), above)
    compressed = above**params.gamma
    mask = foreground(compressed, traits, params, window.origin)
    window, above, compressed, mask = window.cut(nucleus, above, compressed, mask)
    mask = without_spurs(without_holes(mask, diameter), diameter, params)
    if not mask.any():
        empty = np.empty(0)
        return _Candidates(window, np.zeros(mask.shape, dtype=np.int32), empty, empty)
    labels = split(mask, compressed, diameter, params, window.origin)
    labels = outline(labels, above, diameter, params)
    area = np.bincount(labels.ravel())[1:].astype(np.float64)
    return _Candidates(window, labels, area, means(compressed, labels))


def _debris(
    traits: ForegroundTraits, parts: Sequence[_Candidates], params: Segmentation
) -> NuclearTraits:
    """Measure what is too small or too faint beside the others of all parts."""
    area = np.concatenate([part.area_px for part in parts])
    brightness = np.concatenate([part.brightness for part in parts])
    least_area = params.smallest_area_share * area_median(area, area)
    large = brightness[area >= least_area]
    faintest = params.faintest_share * float(np.median(large)) if large.size else 0.0
    return NuclearTraits(traits, least_area, faintest)


def _without_debris(found: _Candidates, traits: NuclearTraits) -> Labels:
    """Return the nuclei that are neither too small nor too faint, 1..n."""
    large = found.area_px >= traits.least_area_px
    kept = np.append(False, large & (found.brightness >= traits.least_brightness))
    nuclei: Labels = relabel_sequential(np.where(kept[found.labels], found.labels, 0))[0]
    return nuclei.astype(np.int32)
