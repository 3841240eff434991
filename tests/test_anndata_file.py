import h5py
import numpy as np
import pandas as pd
import pytest
from nuclei_batches import ended, grid_batches, make_batch

from fathom.results.anndata_file import AnnDataWriter
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_table import COORDINATE_COLUMNS, SCORE_SCHEMA, with_coordinates

COLOURS = {"ill": (213, 94, 0), "well": (86, 180, 233)}
GRID = PixelGrid(100, 100, um_per_px=0.5, downsample=2.0)
ABOUT = {"model": "tiny", "threshold": 0.5, "um_per_px": None}


def written(path, *batches):
    with ended(AnnDataWriter(path, GRID, ABOUT, COLOURS)) as writer:
        for batch in batches:
            writer.add(batch)
    return path


@pytest.fixture
def batches():
    disc = np.ones((5, 5), bool)
    others = make_batch([disc] * 3, [(0, 0), (40, 50), (90, 7)], first=1000, left_out=[0, 2])
    return [*grid_batches(120)[0], others]


def test_each_element_is_encoded_as_the_format_wants(batches, tmp_path):
    with h5py.File(written(tmp_path / "a.h5ad", *batches)) as file:
        encodings = {"": dict(file.attrs)}
        file.visititems(lambda name, element: encodings.update({name: dict(element.attrs)}))
        obs = file["obs"]
        assert list(obs.attrs["column-order"]) == [
            n for n in (*SCORE_SCHEMA, *COORDINATE_COLUMNS) if n != "nucleus"
        ]
        assert obs.attrs["_index"] == "nucleus"
        assert set(obs) == {*SCORE_SCHEMA, *COORDINATE_COLUMNS}
    kinds = {name: (a["encoding-type"], a["encoding-version"]) for name, a in encodings.items()}
    assert kinds[""] == ("anndata", "0.1.0")
    assert kinds["obs"] == kinds["var"] == ("dataframe", "0.2.0")
    assert kinds["obs/class"] == ("categorical", "0.2.0")
    assert kinds["obs/nucleus"] == kinds["obs/class/categories"] == ("string-array", "0.2.0")
    assert kinds["obs/y"] == kinds["obsm/spatial"] == kinds["obs/class/codes"] == ("array", "0.2.0")
    for name in ("layers", "obsm", "obsp", "uns", "uns/fathom", "varm", "varp"):
        assert kinds[name] == ("dict", "0.1.0")
    assert kinds["uns/fathom/model"] == ("string", "0.2.0")
    assert kinds["uns/fathom/threshold"] == ("numeric-scalar", "0.2.0")


def test_values_come_back(batches, tmp_path):
    table = with_coordinates(pd.concat([batch.table for batch in batches], ignore_index=True), GRID)
    with h5py.File(written(tmp_path / "a.h5ad", *batches)) as file:
        obs = file["obs"]
        assert list(obs["nucleus"].asstr()) == list(table["nucleus"])
        for name in ("area_px", "y", "touches_border", "probability", "area_um2"):
            np.testing.assert_array_equal(obs[name][:], table[name])
        assert list(obs["class/categories"].asstr()) == list(COLOURS)
        codes = obs["class/codes"][:]
        assert [[*COLOURS, None][code] for code in codes] == [
            None if pd.isna(name) else name for name in table["class"]
        ]
        assert list(obs["left_out/categories"].asstr()) == ["", "touches the border"]
        np.testing.assert_array_equal(file["obsm/spatial"][:], table[["x_full", "y_full"]])
        assert list(file["uns/class_colors"].asstr()) == ["#d55e00", "#56b4e9"]


def test_anndata_reads_it(batches, tmp_path):
    anndata = pytest.importorskip("anndata", reason="anndata, which needs pandas 2, is not here")
    found = anndata.read_h5ad(written(tmp_path / "a.h5ad", *batches))
    table = with_coordinates(pd.concat([batch.table for batch in batches], ignore_index=True), GRID)
    assert found.shape == (len(table), 0)
    assert list(found.obs_names) == list(table["nucleus"])
    assert found.obs["class"].cat.categories.tolist() == list(COLOURS)
    assert found.obs["class"].isna().sum() == 2
    np.testing.assert_array_equal(found.obs["probability"], table["probability"])
    np.testing.assert_array_equal(found.obsm["spatial"], table[["x_full", "y_full"]])
    assert found.uns["fathom"] == {"model": "tiny", "threshold": 0.5}
    ill = found[found.obs["class"] == "ill"].copy()
    ill.write_h5ad(tmp_path / "b.h5ad")
    again = anndata.read_h5ad(tmp_path / "b.h5ad")
    assert again.n_obs == (table["class"] == "ill").sum()
    empty = anndata.read_h5ad(written(tmp_path / "c.h5ad"))
    assert empty.shape == (0, 0)
    assert list(empty.obs.columns) == list(found.obs.columns)


def test_the_same_nuclei_give_the_same_bytes(batches, tmp_path):
    files = [written(tmp_path / name, *batches) for name in ("a.h5ad", "b.h5ad")]
    assert files[0].read_bytes() == files[1].read_bytes()
