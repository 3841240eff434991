"""Nuclei in a micrograph, by classical means: every length follows the nuclei of the image itself.

1. The stain (`fathom.imaging.stain`), bright on dark.
2. The typical diameter: the widths of the pieces of a first, rough foreground.
3. Foreground: smoothed, the background subtracted, intensities compressed (dim nuclei beside bright
   ones), above Otsu's threshold (1979, IEEE Transactions on Systems, Man and Cybernetics 9, 62) and
   above the local mean (dark gaps in a bright cluster).
4. Touching nuclei: watershed of the distance transform, weighted by intensity, from its h-maxima
   (Soille 2004, Morphological Image Analysis, section 9.4).
5. Outlines: each nucleus keeps the pixels above a share of its own mean, so that a bright one is
   not drawn too wide, nor a dim one too narrow.
6. What is too small or too faint beside the image's other nuclei is debris and goes.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label as label_pieces
from skimage.morphology import disk, local_maxima, reconstruction, remove_small_holes
from skimage.segmentation import relabel_sequential, watershed

from fathom.errors import FathomError
from fathom.images import Labels, Micrograph
from fathom.imaging.background import background, local_mean
from fathom.imaging.stain import Plane, nuclear_stain
from fathom.params.data import Segmentation

Mask = npt.NDArray[np.bool_]  # (H, W)

_SMALLEST_DIAMETER_PX = 4  # what is narrower has no outline to find
_STEPS = 64  # grey levels a nucleus' radius, so that equal heights are equal


def segment(micrograph: Micrograph, params: Segmentation) -> Labels:
    """Find the nuclei of a micrograph, (H, W) or (H, W, 3), uint8 or uint16.

    Returns (H, W) int32: 0 = background, nuclei 1..n from the top down; all 0 where there are none.
    Only relative intensities count: the same picture in 8 and in 16 bits gives the
    same nuclei. Raises `FathomError` for `params.method` masks, which needs a data set.
    """
    if params.method != "threshold":
        raise FathomError(
            f"segmentation.method is '{params.method}': those nuclei come with a data set, they "
            "cannot be found in an image; 'threshold' finds them"
        )
    stain = nuclear_stain(micrograph, params.stain)
    diameter = _typical_diameter(stain, params)
    if diameter < _SMALLEST_DIAMETER_PX:
        return np.zeros(stain.shape, dtype=np.int32)
    smooth = ndimage.gaussian_filter(stain, max(0.7, params.smoothing_diameters * diameter))
    above = _above_background(smooth, diameter, params)
    compressed = above**params.gamma
    mask = _foreground(compressed, diameter, params)
    if not _stands_out(mask, above, params):
        return np.zeros(stain.shape, dtype=np.int32)
    mask = _without_spurs(_without_holes(mask, diameter), diameter, params)
    labels = _split(mask, compressed, diameter, params)
    labels = _outline(labels, above, diameter, params)
    return _without_debris(labels, compressed, params)


def _typical_diameter(stain: Plane, params: Segmentation) -> float:
    """Return the width in px that half of the foreground's area lies below; 0 without foreground.

    A first pass takes nuclei to be as wide as the picture allows, a second corrects for what haze
    and uneven light then did to the background.
    """
    smooth = ndimage.gaussian_filter(stain, 1)
    diameter: float = params.first_diameter_share * min(stain.shape)
    for _ in range(2):
        compressed = _above_background(smooth, diameter, params) ** params.gamma
        width = _median_width(_foreground(compressed, diameter, params))
        diameter = min(diameter, width)
    return diameter


def _median_width(mask: Mask) -> float:
    """Return the median width in px of the discs that fill the mask, by their area."""
    distance = ndimage.distance_transform_edt(mask)
    centres = (distance == ndimage.maximum_filter(distance, size=5)) & (distance > 1.5)
    return 2 * _area_median(distance[centres], distance[centres] ** 2)


def _area_median(values: npt.NDArray[np.float64], areas: npt.NDArray[np.float64]) -> float:
    """Return the smallest value such that it and all below it hold half of the area; 0 of none."""
    if not values.size:
        return 0.0
    order = np.argsort(values, kind="stable")
    held = np.cumsum(areas[order])
    return float(values[order][np.searchsorted(held, held[-1] / 2)])


def _above_background(smooth: Plane, diameter: float, params: Segmentation) -> Plane:
    window = max(16.0, params.background_diameters * diameter)
    above: Plane = np.maximum(smooth - background(smooth, window), 0)
    return above


def _foreground(compressed: Plane, diameter: float, params: Segmentation) -> Mask:
    if compressed.min() == compressed.max():
        return np.zeros(compressed.shape, dtype=np.bool_)
    everywhere = params.global_threshold * threshold_otsu(compressed)
    here = local_mean(compressed, params.local_mean_diameters * diameter)
    mask: Mask = (compressed > everywhere) & (compressed > params.local_threshold * here)
    return mask


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


def _without_holes(mask: Mask, diameter: float) -> Mask:
    """Fill what a nucleus could enclose, nucleoli, but not the middle of a ring of nuclei."""
    filled: Mask = remove_small_holes(mask, max_size=int(diameter**2 / 4))
    return filled


def _without_spurs(mask: Mask, diameter: float, params: Segmentation) -> Mask:
    radius = int(params.opening_diameters * diameter / 2)
    opened: Mask = ndimage.binary_opening(mask, disk(radius)) if radius else mask
    return opened


def _split(mask: Mask, compressed: Plane, diameter: float, params: Segmentation) -> Labels:
    """Label the mask, touching nuclei apart: a dent in shape or in brightness parts two."""
    peak = ndimage.maximum_filter(compressed, size=int(1.5 * diameter) | 1)
    brightness = compressed / np.maximum(local_mean(peak, diameter / 4), np.finfo(np.float32).tiny)
    relief = ndimage.distance_transform_edt(mask) * brightness**params.split_brightness
    relief = ndimage.gaussian_filter(relief, params.split_smoothing_diameters * diameter)
    markers = _markers(np.where(mask, relief / (diameter / 2), 0), diameter, params)
    labels: Labels = watershed(-relief, markers, mask=mask)
    return labels


def _markers(relief: Plane, diameter: float, params: Segmentation) -> Labels:
    """Label the domes of the relief (in nucleus radii) that rise by `split_depth`: its h-maxima.

    `skimage.morphology.h_maxima` would mark each of two equal tops of one dome.
    """
    step = max(1, int(diameter // 12))  # a coarse grid of 12 points a nucleus finds the same domes
    coarse = np.minimum(relief[::step, ::step] * _STEPS, 65535).astype(np.uint16)
    floor = coarse - np.minimum(coarse, max(1, round(params.split_depth * _STEPS)))
    domes = local_maxima(reconstruction(floor, coarse).astype(np.uint16))
    markers = np.zeros(relief.shape, dtype=np.int32)
    markers[::step, ::step] = label_pieces(domes & (coarse > 0))
    return markers


def _outline(labels: Labels, above: Plane, diameter: float, params: Segmentation) -> Labels:
    """Keep of each nucleus the largest piece brighter than a share of its mean, holes filled."""
    mean = np.append(0, _means(above, labels))
    kept = np.where(above > params.outline_share * mean[labels], labels, 0)
    pieces = label_pieces(kept, connectivity=1)
    area = np.bincount(pieces.ravel())[pieces]
    largest = np.append(0, ndimage.maximum(area, kept, np.arange(1, labels.max() + 1)))
    kept = np.where(area == largest[kept], kept, 0)
    holes = _without_holes(kept > 0, diameter)
    filled: Labels = watershed(np.zeros(kept.shape, np.uint8), kept, mask=holes)
    return filled


def _without_debris(labels: Labels, compressed: Plane, params: Segmentation) -> Labels:
    """Return the nuclei that are neither too small nor too faint beside the others, 1..n."""
    area = np.bincount(labels.ravel())[1:].astype(np.float64)
    kept = area >= params.smallest_area_share * _area_median(area, area)
    if kept.any():
        brightness = _means(compressed, labels)
        kept &= brightness >= params.faintest_share * np.median(brightness[kept])
    lookup = np.append(False, kept)
    nuclei: Labels = relabel_sequential(np.where(lookup[labels], labels, 0))[0].astype(np.int32)
    return nuclei


def _means(plane: Plane, labels: Labels) -> npt.NDArray[np.float64]:
    """Return the mean of each label 1..n."""
    return np.asarray(ndimage.mean(plane, labels, np.arange(1, labels.max() + 1)))
