"""Slow changes of an image: its background and its local mean, on a coarse grid, hence fast."""

import numpy as np
from scipy import ndimage

from fathom.imaging.stain import Plane


def background(plane: Plane, window_px: float) -> Plane:
    """Return what is left of (H, W) once everything bright and narrower than the window is gone.

    A grey opening (the largest square window that fits under the intensities), smoothed: uneven
    illumination, camera offset and haze wider than the window remain, nuclei do not.
    """
    step = max(1, int(window_px // 16))  # 16 grid points a window describe it well enough
    window = max(3, int(window_px / step) | 1)
    opened = ndimage.grey_opening(_coarse(plane, step), size=(window, window), mode="nearest")
    return _fine(ndimage.gaussian_filter(opened, window / 4, mode="nearest"), step, plane.shape)


def local_mean(plane: Plane, sigma_px: float) -> Plane:
    """Return the Gaussian-weighted mean around each pixel of (H, W)."""
    step = max(1, int(sigma_px // 4))
    smooth = ndimage.gaussian_filter(_coarse(plane, step), sigma_px / step, mode="nearest")
    return _fine(smooth, step, plane.shape)


def _coarse(plane: Plane, step: int) -> Plane:
    """Return the means of squares of `step` pixels, the last ones padded with their edge."""
    height, width = plane.shape
    padded = np.pad(plane, [(0, -height % step), (0, -width % step)], mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    coarse: Plane = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return coarse


def _fine(coarse: Plane, step: int, shape: tuple[int, ...]) -> Plane:
    """Return `coarse` interpolated to the pixels it was made from, cut to `shape`."""
    if step > 1:
        coarse = ndimage.zoom(coarse, step, order=1, mode="nearest", grid_mode=True)
    fine: Plane = coarse[: shape[0], : shape[1]].astype(np.float32, copy=False)
    return fine
