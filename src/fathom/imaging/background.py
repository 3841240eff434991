"""Slow changes of an image: its background and its local mean, on a coarse grid, hence fast.

`origin` is the row and column, in the image, of the first pixel given: the grid is the image's.
"""

import numpy as np
from scipy import ndimage

from fathom.imaging.stain import Plane

Origin = tuple[int, int]


def background(plane: Plane, window_px: float, origin: Origin = (0, 0)) -> Plane:
    """Return what is left of (H, W) once everything bright and narrower than the window is gone.

    A grey opening (the largest square window that fits under the intensities), smoothed: uneven
    illumination, camera offset and haze wider than the window remain, nuclei do not. It follows
    from what lies within twice the window's width.
    """
    step = max(1, int(window_px // 16))  # 16 grid points a window describe it well enough
    window = max(3, int(window_px / step) | 1)
    coarse = _coarse(plane, step, origin)
    opened = ndimage.grey_opening(coarse, size=(window, window), mode="nearest")
    smooth = ndimage.gaussian_filter(opened, window / 4, mode="nearest")
    return _fine(smooth, step, plane.shape, origin)


def local_mean(plane: Plane, sigma_px: float, origin: Origin = (0, 0)) -> Plane:
    """Return the Gaussian-weighted mean around each pixel of (H, W), within 4 sigma."""
    step = max(1, int(sigma_px // 4))
    coarse = _coarse(plane, step, origin)
    smooth = ndimage.gaussian_filter(coarse, sigma_px / step, mode="nearest")
    return _fine(smooth, step, plane.shape, origin)


def _coarse(plane: Plane, step: int, origin: Origin) -> Plane:
    """Return the means of squares of `step` pixels, those cut by a border padded with its edge."""
    height, width = plane.shape
    before = origin[0] % step, origin[1] % step
    after = -(before[0] + height) % step, -(before[1] + width) % step
    padded = np.pad(plane, list(zip(before, after, strict=True)), mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    coarse: Plane = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return coarse


def _fine(coarse: Plane, step: int, shape: tuple[int, ...], origin: Origin) -> Plane:
    """Return `coarse` interpolated to the pixels it was made from, cut to `shape`."""
    if step > 1:
        coarse = ndimage.zoom(coarse, step, order=1, mode="nearest", grid_mode=True)
    top, left = origin[0] % step, origin[1] % step
    fine: Plane = coarse[top : top + shape[0], left : left + shape[1]]
    return fine.astype(np.float32, copy=False)
