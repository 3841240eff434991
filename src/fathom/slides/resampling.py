"""Resampling such that a pixel does not depend on the region it is computed in, to the bit.

Each output pixel is the mean of the input under a triangle as wide as the larger of an input and
an output pixel: linear interpolation where pixels become finer, and where they become coarser also
the low-pass filter that keeps patterns finer than a pixel from turning into false ones (Heckbert
1989, Fundamentals of Texture Mapping and Image Warping, section 3.5). Weights follow from the
output pixel's position in the whole image alone, and each sum is taken in the order of the input.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fathom.ground.images import Micrograph


def resampled_length(length: int, factor: float) -> int:
    """Return how many output pixels, each `factor` input pixels wide, lie within `length`."""
    return max(1, int(length / factor + 1e-9))


@dataclass(frozen=True)
class Taps:
    """Which input pixels make the output pixels `start`..`start + count` of one axis.

    They lie in `first` <= input < `last`; weights: (count, last - first) float32, rows of sum 1.
    """

    first: int
    last: int
    weights: sparse.csr_array

    @classmethod
    def of(cls, start: int, count: int, factor: float, length: int) -> "Taps":
        """Return those of an axis of `length` input pixels; an output pixel is `factor` wide."""
        centres = (np.arange(start, start + count, dtype=np.float64) + 0.5) * factor
        reach = max(factor, 1.0)
        lowest = np.floor(centres - reach).astype(np.int64)
        inputs = lowest[:, np.newaxis] + np.arange(int(np.ceil(2 * reach)) + 1)
        weights = np.maximum(0.0, 1.0 - np.abs(inputs + 0.5 - centres[:, np.newaxis]) / reach)
        weights[(inputs < 0) | (inputs >= length)] = 0.0  # no pixels beyond the edge: none invented
        weights /= weights.sum(axis=1, keepdims=True)
        first = max(0, int(inputs.min()))
        last = min(length, int(inputs.max()) + 1)
        rows, taps = np.nonzero(weights)
        matrix = sparse.csr_array(
            (weights[rows, taps].astype(np.float32), (rows, inputs[rows, taps] - first)),
            shape=(count, last - first),
        )
        return cls(first, last, matrix)


def resample(pixels: Micrograph, rows: Taps, columns: Taps) -> Micrograph:
    """Return the output pixels of `rows` x `columns` from the input they name.

    `pixels`: (rows.last - rows.first, columns.last - columns.first) or the same with RGB; the
    output has its dtype, rounded to the nearest whole number.
    """
    height, width, *colours = pixels.shape
    depth = int(np.prod(colours, dtype=np.int64))
    low = rows.weights @ pixels.reshape(height, width * depth).astype(np.float32)
    low = low.reshape(-1, width, depth).swapaxes(0, 1).reshape(width, -1)
    out: npt.NDArray[np.float32] = (columns.weights @ low).reshape(columns.weights.shape[0], -1)
    out = out.reshape(columns.weights.shape[0], rows.weights.shape[0], depth).swapaxes(0, 1)
    whole = np.clip(np.rint(out), 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return np.ascontiguousarray(whole.reshape(*whole.shape[:2], *colours))
