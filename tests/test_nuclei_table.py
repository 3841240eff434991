import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from nuclei_batches import ended, grid_batches, make_batch

from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_table import COORDINATE_COLUMNS, SCORE_SCHEMA, ParquetWriter
from fathom.results.nuclei_writer import ROWS

GRID = PixelGrid(100, 100)


def written(path, *batches, grid=GRID, about=None):
    with ended(ParquetWriter(path, grid, about or {})) as writer:
        for batch in batches:
            writer.add(batch)
    return path


def test_every_measurement_comes_back(tmp_path):
    batches, _ = grid_batches(200)
    table = pd.read_parquet(written(tmp_path / "a.parquet", *batches))
    expected = pd.concat([batch.table for batch in batches], ignore_index=True)
    pd.testing.assert_frame_equal(table[list(SCORE_SCHEMA)], expected[list(SCORE_SCHEMA)])


def test_where_a_nucleus_is_in_the_full_image_and_in_micrometres(tmp_path):
    batch = make_batch([np.ones((1, 1), bool)], [(10, 20)])
    grid = PixelGrid(100, 100, um_per_px=0.5, downsample=2.0)
    row = pd.read_parquet(written(tmp_path / "a.parquet", batch, grid=grid)).iloc[0]
    # Pixel 10 of the view is pixels 20 and 21 of the image.
    assert (row["y_full"], row["x_full"]) == (20.5, 40.5)
    assert (row["y_um"], row["x_um"], row["area_um2"]) == (5.25, 10.25, 0.25)
    row = pd.read_parquet(written(tmp_path / "b.parquet", batch)).iloc[0]
    assert (row["y_full"], row["x_full"]) == (10, 20)
    assert row[["y_um", "x_um", "area_um2"]].isna().all()


def test_a_slide_without_nuclei_has_the_same_columns_and_types(tmp_path):
    batches, _ = grid_batches(80)
    full = pd.read_parquet(written(tmp_path / "a.parquet", *batches))
    empty = pd.read_parquet(written(tmp_path / "b.parquet", make_batch([], [])))
    assert len(empty) == 0
    assert list(empty) == [*SCORE_SCHEMA, *COORDINATE_COLUMNS]
    assert (empty.dtypes == full.dtypes).all()


def test_the_file_says_how_it_was_made(tmp_path):
    metadata = pq.read_schema(written(tmp_path / "a.parquet", about={"model": "tiny"})).metadata
    assert json.loads(metadata[b"fathom"]) == {"model": "tiny"}


@pytest.mark.parametrize("size", [1, 777, ROWS + 5])
def test_row_groups_do_not_depend_on_the_batches(tmp_path, size):
    n = ROWS + 100
    whole = make_batch([np.ones((1, 1), bool)] * n, [(k // 1000, k % 1000) for k in range(n)])
    expected = written(tmp_path / "a.parquet", whole)
    assert pq.ParquetFile(expected).num_row_groups == 2
    parts = [range(start, min(start + size, n)) for start in range(0, n if size > 1 else 50, size)]
    parts += [range(50, n)] if size == 1 else []
    batches = [type(whole)(whole.table.iloc[p.start : p.stop], ()) for p in parts]
    assert written(tmp_path / "b.parquet", *batches).read_bytes() == expected.read_bytes()
