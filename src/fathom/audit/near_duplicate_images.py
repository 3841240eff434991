"""Near-duplicate images: found by what turning, mirroring and shifting leave alone, then compared.

The modulus of a Fourier transform does not change when a picture is shifted; averaged over the
eight symmetries of the square it does not change when it is turned or mirrored either. The nearest
neighbours of each image in these numbers are compared as pictures. A copy fits in one of the
symmetries alone; objects in rows and columns, as on a printed array, fit somehow in all of them.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from scipy.spatial import cKDTree

from fathom.audit.image_traits import Thumbnails
from fathom.audit.near_duplicate_check import SYMMETRIES, correlations, symmetry

_FREQUENCIES = 16  # a thumbnail's finer structures are not described
_NEIGHBOURS = 10  # compared per image; more copies than that hang together through each other
_FURTHEST_PX = 8  # shift of a thumbnail
_APART = 0.3  # Fisher's z of the best symmetry less that of the next
_BATCH = 100


def near_duplicate_images(thumbnails: Thumbnails, least_correlation: float) -> pd.DataFrame:
    """Return the pairs of images that show one field.

    Returns
    -------
    first, second (int, rows of `thumbnails`, first < second), correlation, turned (quarter turns
    anticlockwise of the second that fit the first), mirrored (before that). Sorted.
    """
    rows = np.flatnonzero(thumbnails.any(axis=(1, 2)))
    pairs = _neighbours(thumbnails, rows)
    tables = [
        _compared(thumbnails, pairs[start : start + _BATCH])
        for start in range(0, max(len(pairs), 1), _BATCH)
    ]
    table = pd.concat(tables, ignore_index=True)
    same = (table["correlation"] >= least_correlation) & (table["apart"] >= _APART)
    return table[same].drop(columns="apart").reset_index(drop=True)


def _neighbours(thumbnails: Thumbnails, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the pairs of an image with its nearest neighbours, (pairs, 2), each once, sorted."""
    if len(rows) < 2:
        return np.empty((0, 2), dtype=np.intp)
    points = np.stack([_described(thumbnails[row]) for row in rows])
    points -= points.mean(axis=0)
    points /= np.maximum(points.std(axis=0), 1e-6)
    _, neighbour = cKDTree(points).query(points, k=min(_NEIGHBOURS + 1, len(rows)))
    pairs = np.column_stack(
        [np.repeat(np.arange(len(rows)), neighbour.shape[1]), neighbour.ravel()]
    )
    once = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return np.asarray(rows[once], dtype=np.intp)


def _described(thumbnail: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return log Fourier moduli, one for each orbit of frequencies under the symmetries."""
    side = len(thumbnail)
    modulus = np.abs(fft.fftshift(fft.fft2(thumbnail)))
    middle = np.s_[side // 2 - _FREQUENCIES : side // 2 + _FREQUENCIES + 1]
    around = modulus[middle, middle][None]
    mean = np.mean([symmetry(around, *one)[0] for one in SYMMETRIES], axis=0)
    upper = np.triu_indices(_FREQUENCIES + 1)
    quadrant = mean[_FREQUENCIES:, _FREQUENCIES:]
    return np.asarray(np.log(quadrant[upper] + 1e-6), dtype=np.float64)


def _compared(thumbnails: Thumbnails, pairs: npt.NDArray[np.intp]) -> pd.DataFrame:
    first, second = thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]]
    by_symmetry = correlations(first, second, _FURTHEST_PX)
    turned, mirrored = np.array(SYMMETRIES)[by_symmetry.argmax(axis=0)].T
    second_best, r = np.sort(by_symmetry, axis=0)[-2:]
    z = np.arctanh(np.clip((second_best, r), -0.9999, 0.9999))  # Fisher's
    return pd.DataFrame(
        {
            "first": pairs[:, 0].astype(np.int64),
            "second": pairs[:, 1].astype(np.int64),
            "correlation": r.astype(np.float64),
            "apart": (z[1] - z[0]).astype(np.float64),
            "turned": turned.astype(np.int64),
            "mirrored": mirrored.astype(bool),
        }
    )
