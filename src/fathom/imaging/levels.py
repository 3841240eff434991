"""Pictures in whole numbers and the filters on them: the same bits on every processor.

OpenCV chooses its kernels by processor. On 16-bit levels its Gaussian is in fixed point, and on
grids whose steps are powers of two, at most 8, its means and interpolations have no bit to round
before the last: whatever kernel it takes, the levels are the same. What would give others is
switched off: its threads, by which pieces are numbered, and Intel's IPP (`without_ipp`). What
changes slowly, the background and the local mean, is found on a coarse grid, hence fast.
"""

from functools import cache
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from fathom.ground.arrays import Floats
from fathom.ground.images import Labels

cv2.setNumThreads(1)  # of the whole process

Levels = npt.NDArray[np.uint16]  # (H, W), 0 to `WHITE`
Mask = npt.NDArray[np.uint8]  # (H, W), 0 or 255

WHITE = 65535
Number = TypeVar("Number", Levels, Labels)  # (h, w)
LARGEST_STEP = 8

BINS = 256  # of a histogram
_TO_BINS = (np.arange(WHITE + 1) // ((WHITE + 1) // BINS)).astype(np.uint8)

# Grid points that describe them well enough: a background's window, a mean's sigma.
_WINDOW_POINTS, _SIGMA_POINTS = 8, 1.5


def without_ipp() -> None:
    """Keep OpenCV from Intel's IPP in this thread, before its first filter.

    OpenCV keeps that setting by thread. IPP's distance transform is rounded in another way.
    """
    cv2.ipp.setUseIPP(False)


def grid_step(length_px: float, points: float) -> int:
    """Return the step of the widest grid that has so many points in a length: a power of two."""
    step = 1
    while step < LARGEST_STEP and length_px >= 2 * step * points:
        step *= 2
    return step


def blurred(levels: Levels, sigma_px: float) -> Levels:
    """Return the Gaussian-weighted means of (H, W), within 4 sigma."""
    if sigma_px == 0:
        return levels
    reach = max(1, round(4 * sigma_px))
    size = (2 * reach + 1, 2 * reach + 1)
    smooth: Levels = cv2.GaussianBlur(levels, size, sigma_px, borderType=cv2.BORDER_REPLICATE)
    return smooth


def shrunk(levels: Levels, step: int) -> Levels:
    """Return the means of squares of `step` px; those cut by the lower or right edge go on it."""
    if step == 1:
        return levels
    height, width = levels.shape
    below, right = -height % step, -width % step
    if below or right:
        levels = cv2.copyMakeBorder(levels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = levels.shape[1] // step, levels.shape[0] // step
    coarse: Levels = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    return coarse


def enlarged(coarse: Levels, step: int, shape: tuple[int, ...]) -> Levels:
    """Return the levels between the points that `shrunk` left, cut to `shape`."""
    return _resized(coarse, step, shape, cv2.INTER_LINEAR)


def repeated(coarse: Number, step: int, shape: tuple[int, ...]) -> Number:
    """Return each value of `coarse`, (h, w), in a square of `step` px, cut to `shape`."""
    return _resized(coarse, step, shape, cv2.INTER_NEAREST)


def _resized(coarse: Number, step: int, shape: tuple[int, ...], way: int) -> Number:
    if step == 1:
        return coarse
    size = coarse.shape[1] * step, coarse.shape[0] * step
    fine: Number = cv2.resize(coarse, size, interpolation=way)[: shape[0], : shape[1]]
    return fine


def to_power(levels: Levels, exponent: float) -> Levels:
    """Return (levels / white) ** exponent, white being 1, rounded to levels."""
    raised: Levels = cv2.LUT(levels, _powers(exponent))
    return raised


@cache
def _powers(exponent: float) -> Levels:
    shares = np.arange(WHITE + 1) / WHITE
    powers: Levels = np.rint(WHITE * shares**exponent).astype(np.uint16)
    return powers


def scaled(levels: Levels, factor: float) -> Levels:
    """Return the levels times a factor, white at most."""
    if factor == 1:
        return levels
    multiplied: Levels = cv2.LUT(levels, _multiples(factor))
    return multiplied


@cache
def _multiples(factor: float) -> Levels:
    multiples: Levels = np.minimum(np.rint(np.arange(WHITE + 1) * factor), WHITE).astype(np.uint16)
    return multiples


def histogram(levels: Levels) -> Floats:
    """Return how many pixels lie in each of 256 bins of equal width."""
    counts = cv2.calcHist([cv2.LUT(levels, _TO_BINS)], [0], None, [BINS], [0, BINS])
    return np.asarray(counts, dtype=np.float64)


def filled(mask: Mask, largest_px: float) -> Mask:
    """Return the mask without holes of at most that area, with whatever lies in them."""
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return mask
    # An outline within another is a hole's, and runs through the middles of the pixels around it.
    within = np.flatnonzero(tree[0, :, 3] >= 0).tolist()
    holes = [outlines[number] for number in within if _pixels(outlines[number]) <= largest_px]
    whole: Mask = cv2.drawContours(mask.copy(), holes, -1, 255, cv2.FILLED)
    return whole


def _pixels(outline: Labels) -> float:
    """Return how many pixels lie within an outline, by Pick's theorem."""
    return float(cv2.contourArea(outline)) - len(outline) / 2 + 1


def disc(radius: int) -> Mask:
    """Return the pixels within a radius, (2 radius + 1, 2 radius + 1), 1 or 0."""
    across = np.arange(-radius, radius + 1) ** 2
    return (across[:, np.newaxis] + across <= radius**2).astype(np.uint8)


def opened(mask: Mask, radius: int) -> Mask:
    """Return the mask without what no disc of the radius fits in."""
    wide: Mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(radius))
    return wide


def background(levels: Levels, window_px: float) -> Levels:
    """Return what is left of (H, W) once everything bright and narrower than the window is gone.

    A grey opening (the largest square window that fits under the intensities), smoothed: uneven
    illumination, camera offset and haze wider than the window remain, nuclei do not. It follows
    from what lies within 2.25 times the window's width.
    """
    step = grid_step(window_px, _WINDOW_POINTS)
    side = max(3, int(window_px / step) | 1)
    coarse = shrunk(levels, step)
    open_ = cv2.morphologyEx(coarse, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return enlarged(blurred(open_, side / 4), step, levels.shape)


def local_mean(levels: Levels, sigma_px: float) -> Levels:
    """Return the Gaussian-weighted mean around each pixel of (H, W), within 5 sigma."""
    step = grid_step(sigma_px, _SIGMA_POINTS)
    return enlarged(blurred(shrunk(levels, step), sigma_px / step), step, levels.shape)
