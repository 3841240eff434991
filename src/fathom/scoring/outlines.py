"""The outline of a nucleus as a GeoJSON geometry (RFC 7946): closed rings that never touch."""

import numpy as np
import numpy.typing as npt
from skimage.measure import find_contours, label

Ring = list[list[float]]  # closed: the last [x, y] is the first
Points = npt.NDArray[np.float64]

# QuPath writes as many (`ROITypeAdapters.java`). Points of an outline lie half a pixel apart.
DECIMALS = 2


def geometry(
    inside: npt.NDArray[np.bool_], top: int, left: int, downsample: float = 1.0
) -> dict[str, object]:
    """Return the outline of a nucleus: a Polygon with its holes, or a MultiPolygon of its parts.

    Parameters
    ----------
    inside : (h, w) bool, not all False
    top, left : row and column of its first pixel, px
    downsample : px of the full-resolution image per px of `inside`

    Returns
    -------
    GeoJSON geometry in px of the full-resolution image: x to the right, y down, (0, 0) the corner
    of its top left pixel. Outlines run through the middles of pixel edges (marching squares), so
    that they never touch themselves, those of neighbours never overlap, and the area differs from
    the count of pixels by half a pixel a ring. Pixels that meet only at a corner are separate
    parts.
    """
    rings = _rings(inside)
    outer = [points for points in rings if _signed_area(points) > 0]
    if len(outer) == 1:
        polygons = [rings]
    else:
        parts = label(inside, connectivity=1)
        polygons = [_rings(parts == number) for number in range(1, parts.max() + 1)]
    corner = np.array([left, top])
    coordinates = [
        [_closed((points + corner) * downsample) for points in polygon] for polygon in polygons
    ]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _rings(inside: npt.NDArray[np.bool_]) -> list[Points]:
    """Return the open rings of (x, y) around the pixels, the outer ones first.

    Outer rings run counterclockwise (with y down: clockwise to the eye), holes the other way, as
    RFC 7946, section 3.1.6, wants it and `find_contours` leaves it.
    """
    # The padding closes outlines at the edge of the box; it shifts by one, and a pixel's corner,
    # where coordinates start, lies half a pixel from its centre.
    contours = find_contours(np.pad(inside, 1).astype(np.float64), 0.5)
    rings = [_without_straight(points[:-1, ::-1] - 0.5) for points in contours]
    return sorted(rings, key=lambda points: _signed_area(points) < 0)


def _closed(points: Points) -> Ring:
    corners: Ring = points.round(DECIMALS).tolist()
    return [*corners, corners[0]]


def _signed_area(points: Points) -> float:
    """Return the area inside an open ring of (x, y), positive where it runs counterclockwise."""
    x, y = points.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) + x[-1] * y[0] - x[0] * y[-1]) / 2


def _without_straight(points: Points) -> Points:
    """Drop the points of an open ring at which it does not turn."""
    step = np.diff(points, axis=0, prepend=points[-1:])
    following = np.concatenate([step[1:], step[:1]])
    corners: Points = points[step[:, 0] * following[:, 1] != step[:, 1] * following[:, 0]]
    return corners
