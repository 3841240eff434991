"""Nuclei as Parquet: every measurement, one row a nucleus, row groups as they come."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import RowWriter

# With types: an image without nuclei has the same table.
SCORE_SCHEMA = {
    "nucleus": pa.string(),  # "<image>#<label number>"
    "image": pa.string(),
    "label_number": pa.int64(),
    "y": pa.float64(),  # centroid, px of the slide's view
    "x": pa.float64(),
    "top": pa.int64(),  # bounding box, px, half open
    "left": pa.int64(),
    "bottom": pa.int64(),
    "right": pa.int64(),
    "area_px": pa.int64(),
    "touches_border": pa.bool_(),
    "focus": pa.float64(),
    "left_out": pa.string(),  # why the nucleus was not scored; "" where it was
    "logit": pa.float64(),  # NaN where not scored
    "probability": pa.float64(),  # of the positive class
    "class": pa.string(),  # missing where not scored
}
SCORE_COLUMNS = list(SCORE_SCHEMA)
COORDINATE_COLUMNS = (
    "y_full",  # centroid in the full-resolution image, px
    "x_full",
    "y_um",  # centroid from the image's edge, um; NaN where the resolution is unknown
    "x_um",
    "area_um2",
)


def with_coordinates(table: pd.DataFrame, grid: PixelGrid) -> pd.DataFrame:
    """Return rows of `SCORE_COLUMNS`, `COORDINATE_COLUMNS` after them."""
    return table.assign(
        y_full=grid.full_position(table["y"], "y"),
        x_full=grid.full_position(table["x"], "x"),
        y_um=grid.um(table["y"]),
        x_um=grid.um(table["x"]),
        area_um2=grid.um2(table["area_px"]),
    )


class ParquetWriter(RowWriter):
    """A Parquet file of `SCORE_SCHEMA` and `COORDINATE_COLUMNS`.

    `about` is kept in the file's metadata under the key `fathom`, as JSON: what the table was made
    with. The same rows give the same bytes, however they are divided into batches.
    """

    def __init__(self, path: Path, grid: PixelGrid, about: Mapping[str, object]) -> None:
        super().__init__()
        self._grid = grid
        self._schema = pa.schema(
            {**SCORE_SCHEMA, **dict.fromkeys(COORDINATE_COLUMNS, pa.float64())},
            metadata={"fathom": json.dumps(about, sort_keys=True)},
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write_rows(self, table: pd.DataFrame) -> None:
        """Write a row group."""
        rows = with_coordinates(table, self._grid)[self._schema.names]
        group = pa.Table.from_pandas(rows, self._schema, preserve_index=False)
        self._writer.write_table(group.replace_schema_metadata(self._schema.metadata))

    def close(self) -> None:
        """Release the file."""
        self._writer.close()
