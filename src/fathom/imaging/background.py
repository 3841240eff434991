"""Slow changes of a picture: its background and its local mean, on a coarse grid, hence fast."""

import cv2
import numpy as np

from fathom.imaging.levels import Levels, blurred, enlarged, grid_step, shrunk

# Grid points that describe them well enough: a background's window, a mean's sigma.
_WINDOW_POINTS, _SIGMA_POINTS = 8, 1.5


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
