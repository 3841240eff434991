import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fathom.datasets.modality import is_grey_bright_field
from fathom.ground.images import read_micrograph

SHARED = Path(os.environ.get("FATHOM_SHARED", Path(__file__).parents[2] / "shared"))
NUCLEI = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(90, 90)), 3) > 0.15


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dark_on_bright_without_colour_is_told(dtype):
    white = np.iinfo(dtype).max
    dark = np.where(NUCLEI, white // 4, white // 2).astype(dtype)
    assert is_grey_bright_field(dark)
    assert is_grey_bright_field(np.stack([dark] * 3, axis=-1))
    assert not is_grey_bright_field(np.stack([dark, dark, dark // 2], axis=-1))
    assert not is_grey_bright_field(white // 2 - dark // 2)
    assert not is_grey_bright_field(np.full((20, 20), 200, dtype=dtype))


def test_real_micrographs_are_told():
    folder = SHARED / "data" / "dsb2018"
    if not (folder / "index.csv").is_file():
        pytest.skip(f"no real micrographs in {folder}; set FATHOM_SHARED")
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    grey = [row for row in rows if row["modality"] == "brightfield_grey"]
    for row in [*grey, *rows[::20]]:
        found = is_grey_bright_field(read_micrograph(folder / "images" / row["image"]))
        assert found == (row["modality"] == "brightfield_grey")
