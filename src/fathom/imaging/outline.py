"""The outline of each nucleus: on the grid that nuclei are told apart on, then in pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

from fathom.ground.arrays import Floats
from fathom.ground.images import Labels
from fathom.imaging.levels import WHITE, Levels, Mask, disc, filled, repeated
from fathom.imaging.params import Segmentation

_CROSS, _SQUARE = disc(1), np.ones((3, 3), np.uint8)
_BAND = 32  # rows of grid points


@dataclass(frozen=True)
class Measures:
    """Of each label 1..n, its points and the means of pictures over them; 0 of one without."""

    points: Floats
    means: tuple[Floats, ...]


def measured(labels: Labels, count: int, *pictures: Levels) -> Measures:
    """Measure labels 1..count, (h, w)."""
    places = np.flatnonzero(labels > 0)
    label = labels.ravel()[places]
    points = np.bincount(label, minlength=count + 1)[1:].astype(np.float64)
    means = (
        np.bincount(label, weights=picture.ravel()[places], minlength=count + 1)[1:]
        / np.maximum(points, 1)
        for picture in pictures
    )
    return Measures(points, tuple(means))


def outlined(
    labels: Labels, count: int, above: Levels, diameter: float, params: Segmentation
) -> tuple[Labels, Levels]:
    """Keep of each nucleus what is brighter than a share of its mean, without narrow lobes.

    Parameters
    ----------
    labels, above : (h, w), nuclei 1..count and the levels above the background
    diameter : of a typical nucleus, in points of this grid

    Returns
    -------
    The labels that are left, holes filled, and the level that each label 0..n exceeds.
    """
    (mean,) = measured(labels, count, above).means
    limits = np.append(WHITE, params.outline_share * mean).astype(np.uint16)
    places = np.flatnonzero(labels > 0)
    bright = np.zeros(labels.shape, dtype=np.uint8)
    exceeds = above.ravel()[places] > limits[labels.ravel()[places]]
    bright.ravel()[places[exceeds]] = 255
    kept = filled(bright, diameter**2 / 4)
    main = _without_lobes(labels, kept, int(params.lobe_diameters * diameter / 2))
    return np.where(main, labels, 0), limits


def _without_lobes(labels: Labels, kept: Mask, radius: int) -> Mask:
    """Keep of each nucleus the largest part that a disc can go through: micronuclei are narrower.

    The disc grows back as an octagon. A nucleus in which no disc fits stays as it is.
    """
    interior = cv2.bitwise_and(kept, cv2.bitwise_not(_borders(labels)))
    cores = cv2.erode(interior, disc(radius), borderValue=255) if radius else interior
    grown = _largest_of_each(labels, cores)
    for number in range(radius):
        grown = cv2.bitwise_and(cv2.dilate(grown, _SQUARE if number % 2 else _CROSS), interior)
    main: Mask = cv2.bitwise_and(cv2.dilate(grown, _CROSS), kept)
    return main


def _borders(labels: Labels) -> Mask:
    """Return where a nucleus touches another, (h, w)."""
    borders = np.zeros(labels.shape, dtype=np.uint8)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        one, two = labels[here], labels[there]
        touch = np.uint8(255) * ((one != two) & (one > 0) & (two > 0))
        borders[here] |= touch
        borders[there] |= touch
    return borders


def _largest_of_each(labels: Labels, cores: Mask) -> Mask:
    """Return each nucleus' largest core; all of a nucleus that has none."""
    count, pieces = cv2.connectedComponents(cores, connectivity=8)
    places = np.flatnonzero(cores > 0)
    piece = pieces.ravel()[places]
    owner = np.zeros(count, dtype=np.int32)
    owner[piece] = labels.ravel()[places]
    largest_first = np.argsort(-np.bincount(piece, minlength=count), kind="stable")
    _, first = np.unique(owner[largest_first], return_index=True)
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[largest_first[first]] = True
    found = cores.copy()
    found.ravel()[places[~chosen[piece]]] = 0
    without = np.bincount(owner, minlength=labels.max(initial=0) + 1) == 0
    without[0] = False
    if without.any():
        found[without[labels]] = 255
    return found


def drawn(smooth: Levels, labels: Labels, free: Mask, limits: Levels, step: int) -> Labels:
    """Draw the nuclei of a grid in pixels.

    Parameters
    ----------
    smooth : (H, W), the stain
    labels : (h, w), nuclei 1..n on the grid
    free : (h, w), 255 in points that never were a nucleus'; an outline may reach into them
    limits : (h, w), the level of the stain that pixels of the nucleus in or beside a point reach
    step : px of a grid point

    Returns
    -------
    (H, W) int32. Cells all around which is the nucleus belong to it; of others, and of free ones
    beside it, the pixels that are bright enough.
    """
    reached = np.where(cv2.erode((labels > 0).astype(np.uint8), _SQUARE, borderValue=1), 0, limits)
    wide = widened(labels, free)
    found = np.zeros(smooth.shape, dtype=np.int32)
    for first in range(0, len(labels), _BAND):  # what is in between stays in the cache
        rows = slice(first, first + _BAND)
        seen = smooth[first * step : (first + _BAND) * step]
        bright = cv2.compare(seen, repeated(reached[rows], step, seen.shape), cv2.CMP_GE)
        numbers = repeated(wide[rows], step, seen.shape)
        cv2.copyTo(numbers, bright, found[first * step : (first + _BAND) * step])
    return found


def widened(labels: Labels, free: Mask) -> Labels:
    """Return the labels with those free points that lie beside one, (h, w)."""
    beside = cv2.dilate(labels.astype(np.float32), _SQUARE).astype(np.int32)
    return np.where(free, beside, labels)
