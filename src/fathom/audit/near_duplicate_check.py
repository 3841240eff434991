"""Are two crops one nucleus? Correlation of their fine structure, in all positions of the square.

Nuclei are much alike as a whole: a bright disc, dimmer at its rim. What one nucleus has to itself
is the pattern between a pixel's size and its own, so that only this band is compared: the
difference of two Gaussians, taken inside the outline alone lest the outline itself be the pattern.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft, ndimage

from fathom.ground.processor import cores
from fathom.ground.progress import track
from fathom.study.stored_crops import CropRows, Crops

Planes = npt.NDArray[np.float32]  # (n, side, side)
Masks = npt.NDArray[np.bool_]  # (n, side, side)
Sizes = npt.NDArray[np.float32]  # (n,) px
Pairs = npt.NDArray[np.intp]  # (pairs, 2), first < second

FINEST_PX, COARSEST_PX = 0.7, 2.0  # sigmas of the Gaussians
RIM_PX = 2  # not compared: all nuclei grow dim there, and it is where copies are cut differently
SOFT_LEVEL = 20  # added before the logarithm, lest the noise of dark pixels count most
CUT_SDS = 2.0  # of the fine structure: beyond, only that it is bright or dark counts
INDEPENDENT_PX = 12  # pixels of this band that count as one, measured on simulated nuclei
FURTHEST_PX = 3  # shifts beyond are not looked at: a crop is centred on its nucleus
SYMMETRIES = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))
_BATCH = 250  # pairs at a time


def symmetry(planes: npt.NDArray[np.generic], turns: int, mirrored: bool) -> Planes:
    """Return (n, side, side) planes, mirrored left to right if asked, then turned anticlockwise."""
    return np.asarray(np.rot90(planes[:, :, ::-1] if mirrored else planes, turns, axes=(1, 2)))


def compare_all(
    crops: CropRows, pairs: Pairs, least_correlation: float, least_z: float
) -> pd.DataFrame:
    """Return the pairs that show one nucleus: first, second, correlation, z, turned, mirrored.

    `z` is Fisher's: arctanh(correlation) in standard errors of as many independent pixels as the
    smaller nucleus has. A small nucleus matches many others well by chance.
    """
    batches = [pairs[start : start + _BATCH] for start in range(0, len(pairs), _BATCH)]
    with ThreadPoolExecutor(cores()) as pool:  # Fourier transforms release the lock
        work = pool.map(lambda batch: _compared(crops, batch), batches)
        tables = list(track(work, "comparing nuclei", len(batches)))
    table = pd.concat([_compared(crops, pairs[:0]), *tables], ignore_index=True)
    same = (table["correlation"] >= least_correlation) & (table["z"] >= least_z)
    return table[same].reset_index(drop=True)


def _compared(crops: CropRows, pairs: Pairs) -> pd.DataFrame:
    first, first_px = fine(crops[pairs[:, 0]])
    second, second_px = fine(crops[pairs[:, 1]])
    by_symmetry = correlations(first, second)
    r = by_symmetry.max(axis=0)
    independent = np.minimum(first_px, second_px) / INDEPENDENT_PX
    turned, mirrored = np.array(SYMMETRIES)[by_symmetry.argmax(axis=0)].T
    return pd.DataFrame(
        {
            "first": pairs[:, 0].astype(np.int64),
            "second": pairs[:, 1].astype(np.int64),
            "correlation": r.astype(np.float64),
            "z": np.arctanh(np.minimum(r, 0.9999)) * np.sqrt(np.maximum(independent - 3, 0)),
            "turned": turned.astype(np.int64),
            "mirrored": mirrored.astype(bool),
        }
    )


def fine(crops: Crops) -> tuple[Planes, Sizes]:
    """Return the fine structure of unit length, 0 outside and on the rim, and how many px it has.

    Of logarithms, so that a pattern counts the same where a nucleus is dim; and cut off at
    `CUT_SDS`, lest one bright spot be the whole pattern: any two nuclei with a spot would agree.
    """
    inside: Masks = np.asarray(crops.any(axis=-1))
    grey: Planes = np.log(crops.mean(axis=-1, dtype=np.float32) + SOFT_LEVEL)
    inner = ndimage.binary_erosion(inside, np.ones((1, 3, 3), dtype=bool), RIM_PX)
    weight = inner.astype(np.float32)
    size = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    mask = inside.astype(np.float32)
    band = weight * (_smooth(grey, mask, FINEST_PX) - _smooth(grey, mask, COARSEST_PX))
    # The mean modulus of a normal distribution is 0.8 SD; a spot moves it less than it does the SD.
    cut = CUT_SDS / 0.8 * np.abs(band).sum(axis=(1, 2), keepdims=True) / size
    band = np.clip(band, -cut, cut)
    band -= weight * band.sum(axis=(1, 2), keepdims=True) / size
    length = np.sqrt((band**2).sum(axis=(1, 2), keepdims=True))
    sizes = np.asarray(weight.sum(axis=(1, 2)), dtype=np.float32)
    return np.asarray(band / np.maximum(length, 1e-6), dtype=np.float32), sizes


def _smooth(grey: Planes, mask: Planes, sigma: float) -> Planes:
    """Return a Gaussian mean over the pixels inside `mask` (normalised convolution)."""
    weight = ndimage.gaussian_filter(mask, sigma, axes=(1, 2), mode="constant")
    total = ndimage.gaussian_filter(grey * mask, sigma, axes=(1, 2), mode="constant")
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)


def correlations(first: Planes, second: Planes, furthest_px: int = FURTHEST_PX) -> Planes:
    """Return each pair's greatest correlation over shifts, (`SYMMETRIES`, pairs).

    All shifts at once: a product of Fourier transforms. Pixels shifted out on one side come in on
    the other, where there is little on either. The planes have unit length.
    """
    side = first.shape[1]
    spectrum = fft.rfft2(first)
    by_symmetry = []
    for turns, mirrored in SYMMETRIES:
        other = fft.rfft2(symmetry(second, turns, mirrored))
        shifts = fft.irfft2(spectrum * other.conj(), s=(side, side))
        near = np.roll(shifts, furthest_px, axis=(1, 2))
        near = near[:, : 2 * furthest_px + 1, : 2 * furthest_px + 1]
        by_symmetry.append(near.max(axis=(1, 2)))
    return np.stack(by_symmetry).astype(np.float32)
