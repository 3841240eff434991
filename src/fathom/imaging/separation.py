"""Touching nuclei apart: each pixel of the foreground belongs to the summit above it.

The relief is the distance transform, weighted by brightness. From each pixel the way goes to the
highest of its eight neighbours, and so on to a summit: the watershed by steepest ascent. Summits
with a dent between them that is too shallow are one, which leaves the h-maxima (Soille 2004,
Morphological Image Analysis, section 9.4). All of it follows from what is around a nucleus, so that
a window has the labels of the whole.
"""

import cv2
import numpy as np

from fathom.ground.arrays import Positions
from fathom.ground.images import Labels
from fathom.imaging.levels import WHITE, Levels, Mask, blurred, filled, local_mean, opened, to_power
from fathom.imaging.params import Segmentation

_RADIUS = 16384  # levels of the relief a nucleus' radius; four radii are white
_LAST_BITS = 15  # of a level: there a pixel's place in its square of three is kept
_PLACES_OF_NINE = np.arange(1, 10, dtype=np.uint16).reshape(3, 3)


def without_holes_and_spurs(mask: Mask, diameter: float, params: Segmentation) -> Mask:
    """Fill what a nucleus could enclose, nucleoli, and remove what is too narrow for one.

    The middle of a ring of nuclei is larger, and stays. The diameter is in pixels of the mask.
    """
    radius = int(params.opening_diameters * diameter / 2)
    return opened(filled(mask, diameter**2 / 4), radius)


def split(
    mask: Mask, compressed: Levels, diameter: float, params: Segmentation
) -> tuple[Labels, int]:
    """Label the mask, touching nuclei apart: a dent in shape or in brightness parts two.

    Returns the labels, 1..n from the top down by their summits, and how many there are. The
    diameter is in pixels of the mask.
    """
    # A border of zeros: every pixel of the mask then has eight neighbours.
    relief = cv2.copyMakeBorder(
        _relief(mask, compressed, diameter, params), 1, 1, 1, 1, cv2.BORDER_CONSTANT
    )
    inside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = params.split_depth
    labels, count = _labelled(inside, relief, depth)
    return np.ascontiguousarray(labels[1:-1, 1:-1]), count


def _relief(mask: Mask, compressed: Levels, diameter: float, params: Segmentation) -> Levels:
    """Return the height of each pixel: how deep it lies, weighted by brightness."""
    peak = cv2.dilate(compressed, np.ones((int(1.5 * diameter) | 1,) * 2, np.uint8))
    around = local_mean(peak, diameter / 4)
    height = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    height *= to_power(compressed, params.split_brightness)
    height *= np.float32(_RADIUS / (diameter / 2))
    height /= np.maximum(to_power(around, params.split_brightness), 1)
    relief = np.minimum(height, WHITE, out=height).astype(np.uint16)
    return blurred(relief, params.split_smoothing_diameters * diameter)


def _labelled(inside: Mask, relief: Levels, depth: float) -> tuple[Labels, int]:
    """Label a mask with a border of zeros by the summits of its relief, those of a piece apart."""
    steps = _ascent(inside, relief).ravel()
    places = np.flatnonzero(inside > 0)
    summits = places[steps[places] == 0]
    count, pieces = cv2.connectedComponents(inside, connectivity=8)
    flat = pieces.ravel()
    piece = flat[summits]
    several = np.bincount(piece, minlength=count) > 1
    climbs = several[flat[places]]
    climbing = places[climbs]
    basins = _basins(climbing, steps, summits)
    edges = _edges(climbing, basins, relief)
    main = _main_summits(edges, relief.ravel()[summits].tolist(), depth)
    chosen, number = np.unique(main, return_inverse=True)
    of_piece = np.zeros(count, dtype=np.int32)
    of_piece[piece] = number + 1
    found = of_piece[flat[places]]
    found[climbs] = number[basins] + 1
    flat[places] = found
    return pieces, len(chosen)


def _ascent(inside: Mask, relief: Levels) -> Labels:
    """Return the way from each pixel to the highest around it, a step in the flat picture.

    The highest of nine is a dilation; which one it was, its last bits tell. Equal heights differ in
    them, so that no way goes in a circle.
    """
    rows, columns = relief.shape
    here = np.tile(_PLACES_OF_NINE, (rows // 3 + 1, columns // 3 + 1))[:rows, :columns]
    here = here | (relief & np.uint16(WHITE - _LAST_BITS))
    here = cv2.bitwise_and(here, here, mask=inside)
    highest = cv2.dilate(here, np.ones((3, 3), np.uint8))
    last = np.uint16(_LAST_BITS)
    way = ((here & last) << np.uint16(4) | (highest & last)).astype(np.uint8)
    steps: Labels = cv2.LUT(way, _steps(columns))
    return steps


def _steps(columns: int) -> Labels:
    """Return the step from a place to another, by 16 times the one plus the other."""
    places = np.arange(16) - 1
    row, column = places // 3, places % 3
    down = (row - row[:, np.newaxis] + 1) % 3 - 1
    right = (column - column[:, np.newaxis] + 1) % 3 - 1
    steps = down * columns + right
    steps[0] = 0  # outside of the mask
    return steps.astype(np.int32).reshape(-1)


def _basins(climbing: Positions, steps: Labels, summits: Positions) -> Positions:
    """Return the summit, as a position in `summits`, that each of the climbing pixels leads to."""
    rank = np.zeros(steps.size, dtype=np.int32)
    rank[climbing] = np.arange(len(climbing), dtype=np.int32)
    ways = rank[climbing + steps[climbing]]
    while not np.array_equal(further := ways[ways], ways):
        ways = further
    rank[summits] = np.arange(len(summits), dtype=np.int32)
    basins: Positions = rank[climbing[ways]].astype(np.intp)
    return basins


def _edges(climbing: Positions, basins: Positions, relief: Levels) -> list[tuple[int, int, int]]:
    """Return pairs of summits whose basins touch, and the highest pass between; highest first."""
    columns, heights = relief.shape[1], relief.ravel()
    summit = np.full(relief.size, -1, dtype=np.int32)
    summit[climbing] = basins
    lower, upper, passes = [], [], []
    for step in (1, columns - 1, columns, columns + 1):
        other = summit[climbing + step]
        touching = np.flatnonzero((other >= 0) & (other != basins))
        one, two = basins[touching], other[touching]
        here = climbing[touching]
        lower.append(np.minimum(one, two))
        upper.append(np.maximum(one, two))
        passes.append(np.minimum(heights[here], heights[here + step]))
    pairs = np.stack([np.concatenate(lower), np.concatenate(upper)]).astype(np.int64)
    level = np.concatenate(passes).astype(np.int64)
    order = np.lexsort((pairs[1], pairs[0], -level))
    _, first = np.unique(pairs[0, order] << 32 | pairs[1, order], return_index=True)
    highest = order[np.sort(first)]
    return list(zip(*pairs[:, highest].tolist(), level[highest].tolist(), strict=True))


def _main_summits(edges: list[tuple[int, int, int]], heights: list[int], depth: float) -> Positions:
    """Return for each summit the highest that no dent of the depth parts it from."""
    above = list(range(len(heights)))

    def highest(summit: int) -> int:
        while above[summit] != summit:
            above[summit] = above[above[summit]]
            summit = above[summit]
        return summit

    for one, two, level in edges:
        high, low = highest(one), highest(two)
        if (heights[high], -high) < (heights[low], -low):
            high, low = low, high
        if heights[low] - level < depth * max(_RADIUS, heights[low]):
            above[low] = high
    return np.array([highest(summit) for summit in range(len(heights))], dtype=np.intp)
