"""Nuclei and their micronuclei from the colour-coded masks of the wheel of mnfinder.

In a nucleus mask one RGB colour is one nucleus, in a micronucleus mask one micronucleus. A
micronucleus and the nucleus it came from have the same blue value.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.measure import label
from skimage.segmentation import relabel_sequential

from fathom.ground.images import Labels

Mask = npt.NDArray[np.uint8]  # (H, W, 4) RGBA, opaque where something was drawn
Points = npt.NDArray[np.intp]  # (n, 2) pixels, y and x

# Smaller pieces, 1 to 50 px, are specks of the brush or slivers at the image's border: away from
# the border no piece has 50 to 99 px.
SMALLEST_PX = 50


def read_nuclei_masks(nuclei: Mask, micronuclei: Mask) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Return the label image, and for labels 1, 2, ... whether the nucleus has a micronucleus.

    Each connected piece of a colour is a nucleus of its own: one field gives 19 of its colours to
    two nuclei far apart. There a micronucleus belongs to the nearest nucleus of its blue value; one
    whose blue value no nucleus has belongs to none.
    """
    labels, blues = _pieces(nuclei)
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < SMALLEST_PX] = 0
    kept = np.flatnonzero(areas[1:] >= SMALLEST_PX)
    labels, blues = relabel_sequential(labels)[0].astype(np.int32), blues[kept]

    affected = np.zeros(len(blues), dtype=np.bool_)
    pixels = dict(enumerate(_points(labels), start=1))
    small, small_blues = _pieces(micronuclei)
    for micronucleus, blue in zip(_points(small), small_blues, strict=True):
        candidates = [int(i) + 1 for i in np.flatnonzero(blues == blue)]
        if candidates:
            nearest = min(candidates, key=lambda i: cdist(micronucleus, pixels[i]).min())
            affected[nearest - 1] = True
    return labels, affected


def read_micronuclei(micronuclei: Mask) -> Labels:
    """Return the label image of the micronuclei, (H, W) int32: each connected piece of a colour."""
    return _pieces(micronuclei)[0]


def deepest_points(labels: Labels) -> list[tuple[int, int]]:
    """Return for labels 1, 2, ... the pixel (y, x) furthest from the nucleus's edge.

    Unlike the centroid it lies inside a nucleus of any shape, and far from its neighbours.
    """
    points = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = np.pad(labels[box] == number, 1)
        depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        points.append((int(y) + box[0].start, int(x) + box[1].start))
    return points


def _pieces(mask: Mask) -> tuple[Labels, npt.NDArray[np.uint8]]:
    """Return the connected pieces of one colour, numbered by rows, and each one's blue value."""
    packed = mask[..., :3].astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
    packed[mask[..., 3] == 0] = -1
    labels = label(packed, background=-1, connectivity=2).astype(np.int32)
    _, first = np.unique(labels, return_index=True)
    blues = mask[..., 2].ravel()[first]
    return labels, blues[labels.ravel()[first] > 0]


def _points(labels: Labels) -> Iterator[Points]:
    """Yield the pixels of labels 1, 2, ..."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        corner = [box[0].start, box[1].start]
        yield np.argwhere(labels[box] == number) + corner
