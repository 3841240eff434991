"""Nuclei as QuPath detections: a GeoJSON FeatureCollection, one feature a nucleus, as a stream.

The shape is the one that QuPath 0.4 and newer write and read (`QuPathTypeAdapters.java`,
`ROITypeAdapters.java`, `PathIO.java`): coordinates in px of the full-resolution image; `id` a UUID;
`objectType` "detection"; `classification` a name and a colour; `measurements` name to number, never
NaN; `metadata` name to text (read from version 0.5 on); a name that ends in `.gz` is gzip.
"""

import gzip
import io
import json
import math
import uuid
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from skimage.measure import find_contours, label

from fathom.models.onnx_model import Colour as Colour  # noqa: PLC0414 - for those who import it here
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter

# Ids must be UUIDs, and the same on every run: they are derived from the nuclei's names.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fathom/nucleus")
_START, _END = '{"type": "FeatureCollection", "features": [', "\n]}\n"


class GeoJsonWriter(NucleiWriter):
    """A FeatureCollection, a line a nucleus.

    Parameters
    ----------
    path : to write to
    grid : the view that the nuclei were found in
    positive : name of the positive class
    colours : of every class, by name
    compress : write gzip; the name that the user sees must then end in `.gz`

    A nucleus that was not scored has no classification; its metadata say why. Where the width of a
    pixel is an assumption, every nucleus' metadata say so. Memory does not depend on the number of
    nuclei.
    """

    def __init__(
        self,
        path: Path,
        grid: PixelGrid,
        positive: str,
        colours: Mapping[str, Colour],
        *,
        compress: bool = False,
    ) -> None:
        self._grid = grid
        self._positive = positive
        self._colours = colours
        self._stack = ExitStack()
        file: IO[bytes] = self._stack.enter_context(path.open("wb"))
        # Without a name and a time in it gzip gives the same bytes for the same nuclei.
        stream = gzip.GzipFile("", "wb", 6, file, mtime=0) if compress else file
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        self._stack.enter_context(self._text)
        self._text.write(_START)
        self._before = "\n"

    def add(self, batch: NucleiBatch) -> None:
        """Append a feature a nucleus."""
        for feature in features(batch, self._grid, self._positive, self._colours):
            self._text.write(self._before + json.dumps(feature, allow_nan=False))
            self._before = ",\n"

    def finish(self) -> None:
        """Close the collection."""
        self._text.write(_END)

    def close(self) -> None:
        """Release the file."""
        self._stack.close()


def features(
    batch: NucleiBatch, grid: PixelGrid, positive: str, colours: Mapping[str, Colour]
) -> Iterator[dict[str, object]]:
    """Yield the feature of each nucleus."""
    rows = batch.table.to_dict("records")
    for row, inside in zip(rows, batch.masks, strict=True):
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, row["nucleus"])),
            "geometry": geometry(inside, row["top"], row["left"], grid.steps),
            "properties": _properties(row, grid, positive, colours),
        }


def _properties(
    row: Mapping[Hashable, Any], grid: PixelGrid, positive: str, colours: Mapping[str, Colour]
) -> dict[str, object]:
    area_px = float(row["area_px"])
    measurements = {"Area px^2": round(area_px * grid.steps[0] * grid.steps[1], 4)}
    if grid.um_per_px is not None:
        measurements["Area µm^2"] = round(float(grid.um2(area_px)), 4)
    properties: dict[str, object] = {"objectType": "detection"}
    metadata = {"Pixel width": grid.assumption} if grid.assumption else {}
    if row["left_out"]:
        metadata["Not scored"] = row["left_out"]
    else:
        if math.isfinite(row["probability"]):  # it may be NaN, of a network that exploded
            measurements[f"Probability {positive}"] = round(float(row["probability"]), 6)
        called = row["class"]
        properties["classification"] = {"name": called, "color": list(colours[called])}
    properties["measurements"] = measurements
    return properties | ({"metadata": metadata} if metadata else {})


Ring = list[list[float]]  # closed: the last [x, y] is the first
Points = npt.NDArray[np.float64]

# QuPath writes as many (`ROITypeAdapters.java`). Points of an outline lie half a pixel apart.
DECIMALS = 2


def geometry(
    inside: npt.NDArray[np.bool_],
    top: int,
    left: int,
    steps: tuple[float, float] = (1.0, 1.0),
) -> dict[str, object]:
    """Return the outline of a nucleus: a Polygon with its holes, or a MultiPolygon of its parts.

    Parameters
    ----------
    inside : (h, w) bool, not all False
    top, left : row and column of its first pixel, px
    steps : px of the full-resolution image per px of `inside`, down and across

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
    corner, step = np.array([left, top]), np.array(steps[::-1])
    coordinates = [
        [_closed((points + corner) * step) for points in polygon] for polygon in polygons
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
