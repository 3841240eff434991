"""Nuclei as Parquet: every measurement, one row a nucleus, row groups as they come."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fathom.results.coordinates import Frame
from fathom.results.nuclei_writer import RowWriter

# `fathom.scoring.nuclei_scores.SCORE_COLUMNS`, with types: an image without nuclei has the same
# table.
MEASURED = {
    "nucleus": pa.string(),
    "image": pa.string(),
    "label_number": pa.int64(),
    "y": pa.float64(),
    "x": pa.float64(),
    "top": pa.int64(),
    "left": pa.int64(),
    "bottom": pa.int64(),
    "right": pa.int64(),
    "area_px": pa.int64(),
    "touches_border": pa.bool_(),
    "focus": pa.float64(),
    "left_out": pa.string(),
    "logit": pa.float64(),
    "probability": pa.float64(),
    "class": pa.string(),
}
PLACED = (
    "y_full",  # centroid in the full-resolution image, px
    "x_full",
    "y_um",  # centroid from the image's edge, um; NaN where the resolution is unknown
    "x_um",
    "area_um2",
)


def placed(table: pd.DataFrame, frame: Frame) -> pd.DataFrame:
    """Return rows of `SCORE_COLUMNS` (`fathom.scoring.nuclei_scores`), `PLACED` after them."""
    return table.assign(
        y_full=frame.full_position(table["y"], "y"),
        x_full=frame.full_position(table["x"], "x"),
        y_um=frame.um(table["y"]),
        x_um=frame.um(table["x"]),
        area_um2=frame.um2(table["area_px"]),
    )


class ParquetWriter(RowWriter):
    """A Parquet file of `MEASURED` and `PLACED`.

    `about` is kept in the file's metadata under the key `fathom`, as JSON: what the table was made
    with. The same rows give the same bytes, however they are divided into batches.
    """

    def __init__(self, path: Path, frame: Frame, about: Mapping[str, object]) -> None:
        super().__init__()
        self._frame = frame
        self._schema = pa.schema(
            {**MEASURED, **dict.fromkeys(PLACED, pa.float64())},
            metadata={"fathom": json.dumps(about, sort_keys=True)},
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write_rows(self, table: pd.DataFrame) -> None:
        """Write a row group."""
        rows = placed(table, self._frame)[self._schema.names]
        group = pa.Table.from_pandas(rows, self._schema, preserve_index=False)
        self._writer.write_table(group.replace_schema_metadata(self._schema.metadata))

    def close(self) -> None:
        """Release the file."""
        self._writer.close()
