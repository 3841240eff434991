"""Nuclei as QuPath detections: a GeoJSON FeatureCollection, one feature a nucleus.

The shape is the one that QuPath 0.4 and newer write and read (`QuPathTypeAdapters.java`): pixel
coordinates, x to the right, y down, (0, 0) the top left corner of the top left pixel; `id` a UUID;
`objectType` "detection"; `classification` a name and a colour; `measurements` name to number.
"""

import json
import uuid
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.measure import find_contours, label

from fathom.images import Labels

Colour = tuple[int, int, int]  # red, green, blue, 0..255
Ring = list[list[float]]  # closed: the last [x, y] is the first
Points = npt.NDArray[np.float64]

# Ids must be UUIDs, and the same on every run: they are derived from the nuclei's names.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fathom/nucleus")


def detections(
    table: pd.DataFrame, labels: Labels, positive: str, colours: Mapping[str, Colour]
) -> str:
    """Return the GeoJSON text of the nuclei of one image.

    Parameters
    ----------
    table : one row a nucleus
        nucleus, label_number, top, left, bottom, right, area_px, left_out, probability (of the
        class `positive`; NaN where not scored) and class (missing where not scored).
    labels : (H, W) int32, 0 = background
    positive : name of the positive class
    colours : of every class, by name

    A nucleus that was not scored has no classification; its metadata say why.
    """
    features = []
    for row in table.to_dict("records"):
        box = np.s_[row["top"] : row["bottom"], row["left"] : row["right"]]
        inside = labels[box] == row["label_number"]
        features.append(
            {
                "type": "Feature",
                "id": str(uuid.uuid5(_NAMESPACE, row["nucleus"])),
                "geometry": geometry(inside, row["top"], row["left"]),
                "properties": _properties(row, positive, colours),
            }
        )
    return json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False) + "\n"


def _properties(
    row: Mapping[Hashable, Any], positive: str, colours: Mapping[str, Colour]
) -> dict[str, object]:
    measurements: dict[str, float] = {"Area px^2": float(row["area_px"])}
    if row["left_out"]:
        return {
            "objectType": "detection",
            "measurements": measurements,
            "metadata": {"Not scored": row["left_out"]},
        }
    measurements[f"Probability {positive}"] = round(float(row["probability"]), 6)
    return {
        "objectType": "detection",
        "classification": {"name": row["class"], "color": list(colours[row["class"]])},
        "measurements": measurements,
    }


def geometry(inside: npt.NDArray[np.bool_], top: int, left: int) -> dict[str, object]:
    """Return the outline of a nucleus: a Polygon with its holes, or a MultiPolygon of its parts.

    `inside` (h, w) bool has its first pixel at row `top` and column `left` of the image. Outlines
    run through the middles of pixel edges (marching squares), so that they never touch themselves,
    those of neighbours never overlap, and the area differs from the count of pixels by half a
    pixel a ring. Pixels that meet only at a corner are separate parts.
    """
    parts = label(inside, connectivity=1)
    polygons = [_rings(parts == number, top, left) for number in range(1, parts.max() + 1)]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _rings(part: npt.NDArray[np.bool_], top: int, left: int) -> list[Ring]:
    """Return the outer ring of a connected part, then its holes."""
    # The padding closes outlines at the image's border. A pixel's centre is half a pixel from its
    # corner, where QuPath's coordinates start.
    origin = np.array([left - 0.5, top - 0.5])
    contours = [
        points[:-1, ::-1] + origin for points in find_contours(np.pad(part, 1).astype(float), 0.5)
    ]
    areas = [_signed_area(points) for points in contours]
    outer = int(np.argmax(np.abs(areas)))
    rings = []
    for number in sorted(range(len(contours)), key=lambda number: number != outer):
        # RFC 7946, section 3.1.6: the outer ring counterclockwise, holes clockwise.
        wanted = 1 if number == outer else -1
        points = contours[number][:: 1 if areas[number] * wanted > 0 else -1]
        corners = _without_straight(points).tolist()
        rings.append([*corners, corners[0]])
    return rings


def _signed_area(points: Points) -> float:
    """Return the area inside an open ring of (x, y), positive where it runs counterclockwise."""
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _without_straight(points: Points) -> Points:
    """Drop the points of an open ring at which it does not turn."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    corners: Points = points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return corners
