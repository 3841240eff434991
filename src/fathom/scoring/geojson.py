"""Nuclei as QuPath detections: a GeoJSON FeatureCollection, one feature a nucleus, as a stream.

The shape is the one that QuPath 0.4 and newer write and read (`QuPathTypeAdapters.java`,
`ROITypeAdapters.java`, `PathIO.java`): coordinates in px of the full-resolution image; `id` a UUID;
`objectType` "detection"; `classification` a name and a colour; `measurements` name to number, never
NaN; `metadata` name to text (read from version 0.5 on); a name that ends in `.gz` is gzip.
"""

import gzip
import io
import json
import uuid
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pandas as pd

from fathom.ground.images import Labels
from fathom.scoring.colours import Colour as Colour  # noqa: PLC0414 - for those who import it here
from fathom.scoring.frame import Frame
from fathom.scoring.nuclei_batch import NucleiBatch
from fathom.scoring.nuclei_writer import NucleiWriter
from fathom.scoring.outlines import geometry

# Ids must be UUIDs, and the same on every run: they are derived from the nuclei's names.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "fathom/nucleus")
_START, _END = '{"type": "FeatureCollection", "features": [', "\n]}\n"


class GeoJsonWriter(NucleiWriter):
    """A FeatureCollection, a line a nucleus.

    Parameters
    ----------
    path : to write to
    frame : the view that the nuclei were found in
    positive : name of the positive class
    colours : of every class, by name
    compress : write gzip; the name that the user sees must then end in `.gz`

    A nucleus that was not scored has no classification; its metadata say why. Memory does not
    depend on the number of nuclei.
    """

    def __init__(
        self,
        path: Path,
        frame: Frame,
        positive: str,
        colours: Mapping[str, Colour],
        *,
        compress: bool = False,
    ) -> None:
        self._frame = frame
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
        for feature in features(batch, self._frame, self._positive, self._colours):
            self._text.write(self._before + json.dumps(feature, allow_nan=False))
            self._before = ",\n"

    def finish(self) -> None:
        """Close the collection."""
        self._text.write(_END)

    def close(self) -> None:
        """Release the file."""
        self._stack.close()


def features(
    batch: NucleiBatch, frame: Frame, positive: str, colours: Mapping[str, Colour]
) -> Iterator[dict[str, object]]:
    """Yield the feature of each nucleus."""
    rows = batch.table.to_dict("records")
    for row, inside in zip(rows, batch.masks, strict=True):
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, row["nucleus"])),
            "geometry": geometry(inside, row["top"], row["left"], frame.downsample),
            "properties": _properties(row, frame, positive, colours),
        }


def _properties(
    row: Mapping[Hashable, Any], frame: Frame, positive: str, colours: Mapping[str, Colour]
) -> dict[str, object]:
    area_px = float(row["area_px"])
    measurements = {"Area px^2": round(area_px * frame.downsample**2, 4)}
    if frame.um_per_px is not None:
        measurements["Area µm^2"] = round(float(frame.um2(area_px)), 4)
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


def detections(
    table: pd.DataFrame, labels: Labels, positive: str, colours: Mapping[str, Colour]
) -> str:
    """Return the text of a whole image's collection; `labels` (H, W) int32, 0 = background."""
    batch, frame = NucleiBatch.of_labels(table, labels), Frame(*labels.shape)
    content = list(features(batch, frame, positive, colours))
    return json.dumps({"type": "FeatureCollection", "features": content}, allow_nan=False) + "\n"
