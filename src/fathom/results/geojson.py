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
from skimage.measure import label

from fathom.models.onnx_model import Colour as Colour  # noqa: PLC0414 - for those who import it here
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch, NucleiWriter
from fathom.results.outlines import Points, outlines, signed_area

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
    found = outlines(batch.masks)
    for row, inside, rings in zip(rows, batch.masks, found, strict=True):
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, row["nucleus"])),
            "geometry": geometry(inside, row["top"], row["left"], grid.steps, rings),
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

# QuPath writes as many (`ROITypeAdapters.java`). Points of an outline lie half a pixel apart.
DECIMALS = 2


def geometry(
    inside: npt.NDArray[np.bool_],
    top: int,
    left: int,
    steps: tuple[float, float] = (1.0, 1.0),
    rings: list[Points] | None = None,
) -> dict[str, object]:
    """Return the outline of a nucleus: a Polygon with its holes, or a MultiPolygon of its parts.

    Parameters
    ----------
    inside : (h, w) bool, not all False
    top, left : row and column of its first pixel, px
    steps : px of the full-resolution image per px of `inside`, down and across
    rings : its `outlines`, if they are known

    Returns
    -------
    GeoJSON geometry in px of the full-resolution image: x to the right, y down, (0, 0) the corner
    of its top left pixel. Outlines run through the middles of pixel edges (marching squares), so
    that they never touch themselves, those of neighbours never overlap, and the area differs from
    the count of pixels by half a pixel a ring. Pixels that meet only at a corner are separate
    parts.
    """
    rings = outlines([inside])[0] if rings is None else rings
    if sum(signed_area(points) > 0 for points in rings) == 1:
        polygons = [rings]
    else:
        parts = label(inside, connectivity=1)
        polygons = outlines([parts == number for number in range(1, parts.max() + 1)])
    corner, step = np.array([left, top]), np.array(steps[::-1])
    coordinates = [
        [_closed((points + corner) * step) for points in polygon] for polygon in polygons
    ]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _closed(points: Points) -> Ring:
    corners: Ring = points.round(DECIMALS).tolist()
    return [*corners, corners[0]]
