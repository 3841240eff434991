"""Touching nuclei apart, and the outline of each: what a mask of nuclei becomes."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as label_pieces
from skimage.morphology import disk, local_maxima, reconstruction, remove_small_holes
from skimage.segmentation import watershed

from fathom.ground.images import Labels
from fathom.imaging.background import Origin, local_mean
from fathom.imaging.foreground import Mask, distance_inside
from fathom.imaging.params import Segmentation
from fathom.imaging.stain import Plane

_STEPS = 64  # grey levels a nucleus' radius, so that equal heights are equal


def without_holes(mask: Mask, diameter: float) -> Mask:
    """Fill what a nucleus could enclose, nucleoli, but not the middle of a ring of nuclei."""
    filled: Mask = remove_small_holes(mask, max_size=int(diameter**2 / 4))
    return filled


def without_spurs(mask: Mask, diameter: float, params: Segmentation) -> Mask:
    """Remove what is narrower than a share of a nucleus."""
    radius = int(params.opening_diameters * diameter / 2)
    opened: Mask = ndimage.binary_opening(mask, disk(radius)) if radius else mask
    return opened


def split(
    mask: Mask, compressed: Plane, diameter: float, params: Segmentation, origin: Origin = (0, 0)
) -> Labels:
    """Label the mask, touching nuclei apart: a dent in shape or in brightness parts two."""
    peak = ndimage.maximum_filter(compressed, size=int(1.5 * diameter) | 1)
    around = np.maximum(local_mean(peak, diameter / 4, origin), np.finfo(np.float32).tiny)
    relief = distance_inside(mask)
    relief *= (compressed / around) ** params.split_brightness
    relief = ndimage.gaussian_filter(relief, params.split_smoothing_diameters * diameter)
    markers = _markers(np.where(mask, relief / (diameter / 2), 0), diameter, params, origin)
    labels: Labels = watershed(-relief, markers, mask=mask)
    return labels


def _markers(relief: Plane, diameter: float, params: Segmentation, origin: Origin) -> Labels:
    """Label the domes of the relief (in nucleus radii) that rise by `split_depth`: its h-maxima.

    `skimage.morphology.h_maxima` would mark each of two equal tops of one dome.
    """
    step = max(1, int(diameter // 12))  # a coarse grid of 12 points a nucleus finds the same domes
    grid = tuple(slice(-first % step, None, step) for first in origin)
    coarse = np.minimum(relief[grid] * _STEPS, 65535).astype(np.uint16)
    floor = coarse - np.minimum(coarse, max(1, round(params.split_depth * _STEPS)))
    domes = local_maxima(_flooded(floor, coarse))
    markers = np.zeros(relief.shape, dtype=np.int32)
    markers[grid] = label_pieces(domes & (coarse > 0))
    return markers


def _flooded(
    floor: npt.NDArray[np.uint16], relief: npt.NDArray[np.uint16]
) -> npt.NDArray[np.uint16]:
    """Return the reconstruction of `floor` under `relief`, one piece of the foreground at a time.

    Nothing floods across zeros, and sorting all pixels of an image, as the reconstruction does,
    takes longer than everything else together.
    """
    flooded = np.zeros_like(relief)
    pieces = label_pieces(relief > 0)
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        piece = pieces[box] == number
        here = reconstruction(np.where(piece, floor[box], 0), np.where(piece, relief[box], 0))
        np.copyto(flooded[box], here.astype(np.uint16), where=piece)
    return flooded


def outline(labels: Labels, above: Plane, diameter: float, params: Segmentation) -> Labels:
    """Keep of each nucleus the largest piece brighter than a share of its mean, holes filled."""
    mean = np.append(0, means(above, labels))
    kept = np.where(above > params.outline_share * mean[labels], labels, 0)
    pieces = label_pieces(kept, connectivity=1)
    area = np.bincount(pieces.ravel())[pieces]
    largest = np.append(0, ndimage.maximum(area, kept, np.arange(1, labels.max() + 1)))
    kept = np.where(area == largest[kept], kept, 0)
    return filled_from_nearest(kept, without_holes(kept > 0, diameter))


def filled_from_nearest(labels: Labels, mask: Mask) -> Labels:
    """Give each pixel of the mask's holes to the nearest nucleus, hole by hole: (H, W) each.

    A hole's pixels follow from its bounding box and a pixel around it. So a window of a slide fills
    it as the whole does, which a flood of all holes at once would not.
    """
    filled = labels.copy()
    holes = label_pieces(mask & (labels == 0), connectivity=1)
    for number, box in enumerate(ndimage.find_objects(holes), start=1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        rows, columns = ndimage.distance_transform_edt(
            labels[around] == 0, return_distances=False, return_indices=True
        )
        np.copyto(filled[around], labels[around][rows, columns], where=holes[around] == number)
    return filled


def means(plane: Plane, labels: Labels) -> npt.NDArray[np.float64]:
    """Return the mean of each label 1..n."""
    return np.asarray(ndimage.mean(plane, labels, np.arange(1, labels.max() + 1)))
