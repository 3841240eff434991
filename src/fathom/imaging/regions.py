"""Where the objects of a label image lie: all of them in one pass, as exact numbers.

What scikit-image's `regionprops` finds object by object; sums of whole numbers are exact, so the
centroids are the same to the last bit.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects

from fathom.ground.images import Labels

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Regions:
    """The objects of a label image, in the order of their labels.

    labels : (n,), those that occur
    boxes : (n, 4), top, left, bottom, right, px, half open
    area_px : (n,)
    sums : (n, 2), of the rows and columns of their pixels, each counted from its box's corner
    pixels : (m,), of all objects, flat and in the image's order
    owner : (m,), the place in `labels` of each pixel's object
    """

    labels: Ints
    boxes: Ints
    area_px: Ints
    sums: Ints
    pixels: npt.NDArray[np.intp]
    owner: npt.NDArray[np.intp]

    @classmethod
    def of(cls, labels: Labels) -> Self:
        """Return those of a label image, (H, W) int32, 0 = background."""
        found = find_objects(labels)
        corners = {
            number: (rows.start, columns.start, rows.stop, columns.stop)
            for number, (rows, columns) in ((n, box) for n, box in enumerate(found, 1) if box)
        }
        numbers = np.array(list(corners), dtype=np.int64)
        boxes = np.array(list(corners.values()), dtype=np.int64).reshape(-1, 4)
        places = np.zeros(len(found) + 1, dtype=np.intp)
        places[numbers] = np.arange(len(numbers))
        pixels = np.flatnonzero(labels)
        owner = places[labels.ravel()[pixels]]
        area = np.bincount(owner, minlength=len(numbers)).astype(np.int64)
        sums = np.empty((len(numbers), 2), dtype=np.int64)
        for axis, along in enumerate(np.divmod(pixels, labels.shape[1])):
            total = np.bincount(owner, weights=along, minlength=len(numbers)).astype(np.int64)
            sums[:, axis] = total - area * boxes[:, axis]
        return cls(numbers, boxes, area, sums, pixels, owner)

    def centroids(self) -> npt.NDArray[np.float64]:
        """Return row and column of each centroid, px of the image: (n, 2)."""
        corners = self.boxes[:, :2] * self.area_px[:, np.newaxis]
        centroids: npt.NDArray[np.float64] = (self.sums + corners) / self.area_px[:, np.newaxis]
        return centroids

    def from_corners(self) -> npt.NDArray[np.float64]:
        """Return the same from the corner of each box."""
        centroids: npt.NDArray[np.float64] = self.sums / self.area_px[:, np.newaxis]
        return centroids

    def mean(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the mean of `values`, one a pixel of `pixels`, in each object."""
        total = np.bincount(self.owner, weights=values, minlength=len(self.labels))
        means: npt.NDArray[np.float64] = total / self.area_px
        return means
