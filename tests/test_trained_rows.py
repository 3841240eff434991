import io
import os
import shutil
from contextlib import redirect_stderr
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import nuclei_of
from made_splits import make_splits
from safetensors.torch import load_file
from test_training import LINE, RECIPE

from fathom.ground.errors import FathomError
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.interventions import Plan
from fathom.networks.network import build, scale_input
from fathom.networks.recipe import Probes
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL, Split, part_rows
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.cell import State
from fathom.training.store import Store
from fathom.training.trained_rows import cells_of, train_rows

SHORT = RECIPE.model_copy(update={"epochs": 2, "seeds": (0, 1)})
PROBES = Probes(crops=8, epochs=(1,))
SPLIT = Split(group="patient", folds=2, validation_share=0.3, seed=0)


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nuclei")
    rng = np.random.default_rng(0)
    bare = nuclei_of([f"p{i // 10}" for i in range(80)], [bool(i % 2) for i in range(80)])
    np.save(folder / "0.npy", rng.integers(1, 256, (80, 12, 12, 1)).astype(np.uint8))
    table = bare.table.assign(shard="0.npy", row=range(80))
    return Nuclei(folder, table, table)


@pytest.fixture(scope="module")
def cells(nuclei):
    splits = make_splits(nuclei, SPLIT)
    return cells_of("a", Plan(LINE, SHORT), PROBES, nuclei, splits, final=True)


@pytest.fixture(scope="module")
def rows(nuclei, cells):
    """Return the cells and nuclei of several rows; `inverted` sees other crops, as controls do."""
    splits = make_splits(nuclei, SPLIT)
    other = Nuclei(nuclei.folder / "other", nuclei.table, nuclei.kept)
    other.folder.mkdir()
    np.save(other.folder / "0.npy", 255 - nuclei.crops()[:])

    def row(name, seen=nuclei, **changes):
        plan = Plan(LINE, SHORT.model_copy(update=changes))
        return cells_of(name, plan, PROBES, nuclei, splits, final=False), seen

    return {
        "a": (cells, nuclei),
        "b": row("b", norm="batch"),
        "same": row("same"),
        "one-seed": row("x", seeds=(1,)),
        "inverted": row("inverted", seen=other),
    }


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    """Return the folder in which all of them were trained, in one pool, and what was said."""
    folder, said = tmp_path_factory.mktemp("trained"), io.StringIO()
    with redirect_stderr(said):
        train_rows({folder / name: one for name, one in rows.items()}, "portable", folder / "cells")
    return folder, said.getvalue()


def test_a_run_is_every_fold_with_every_seed_and_one_final_model(cells):
    assert [(one.fold, one.seed) for one in cells] == [(FINAL, 0), (0, 0), (0, 1), (1, 0), (1, 1)]
    assert set(cells[0].rows) == {"train", "validation"}


def test_tables_and_final_weights(nuclei, trained):
    out = trained[0] / "a"
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert list(predictions) == ["nucleus", "fold", "seed", "part", "probability"]
    tested = predictions[predictions["part"] == "test"]
    for _, of_seed in tested.groupby("seed"):
        assert sorted(of_seed["nucleus"]) == sorted(nuclei.kept["nucleus"])
    assert set(predictions.loc[predictions["fold"] == FINAL, "part"]) == {"train", "validation"}
    assert predictions["probability"].between(0, 1).all()

    history = pd.read_parquet(out / "history.parquet")
    assert len(history) == 5 * 2
    assert all(one["epoch"].tolist() == [1, 2] for _, one in history.groupby(["fold", "seed"]))

    probes = pd.read_parquet(out / "probes.parquet")
    assert list(probes) == ["fold", "seed", *PROBE_COLUMNS]
    # Each cell but the final model's: the input and three layers, at the start and two epochs.
    assert len(probes) == 4 * 4 * 3
    assert probes["readability"].notna().sum() == 4 * 3

    network = build(parse(LINE), SHORT, 1, 12, Streams(9)).eval()
    network.load_state_dict(load_file(out / "final.safetensors"))
    rows = part_rows(nuclei, make_splits(nuclei, SPLIT), FINAL, "validation")
    logits = network(scale_input(torch.from_numpy(nuclei.crops()[rows]), "unit"))
    kept = predictions.query("fold == -1 and part == 'validation'")
    assert kept["nucleus"].tolist() == nuclei.kept["nucleus"].iloc[rows].tolist()
    np.testing.assert_allclose(
        torch.sigmoid(logits.double()).detach().numpy(), kept["probability"], atol=1e-6
    )
    assert {path.suffix for path in (trained[0] / "cells").iterdir()} == {".cell"}


def test_several_rows_are_trained_in_one_pool_and_each_is_written_to_its_folder(
    rows, trained, tmp_path
):
    folder, said = trained
    # Those of `a` with its final model, of `b` and of `inverted`; the others train the same.
    assert said.count("2 epochs, accuracy") == 5 + 4 + 4
    train_rows({tmp_path / "alone": rows["b"]}, "portable", tmp_path / "others")
    for name in ("predictions.parquet", "history.parquet", "probes.parquet"):
        assert (folder / "b" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
        found = {one: pd.read_parquet(folder / one / name) for one in ("a", "same", "one-seed")}
        own = found["a"][found["a"]["fold"] != FINAL].reset_index(drop=True)
        pd.testing.assert_frame_equal(found["same"], own)
        first = own[own["seed"] == 1].reset_index(drop=True)
        pd.testing.assert_frame_equal(found["one-seed"], first)
    assert not (folder / "b" / "final.safetensors").exists()


def test_rows_see_their_own_nuclei(trained):
    one, two = (
        pd.read_parquet(trained[0] / name / "predictions.parquet") for name in ("same", "inverted")
    )
    assert one["nucleus"].tolist() == two["nucleus"].tolist()
    assert not np.allclose(one["probability"], two["probability"])


@pytest.mark.long
def test_a_row_that_fails_leaves_no_output_and_what_was_finished_is_not_trained_again(
    nuclei, cells, tmp_path, capsys
):
    *others, last = cells
    # The smallest begins last, when the others are finished.
    short = replace(last, rows={**last.rows, "train": last.rows["train"][:1]})
    with pytest.raises(FathomError, match="run a, fold 1: has 1 nuclei to train"):
        train_rows({tmp_path / "out": ([*others, short], nuclei)}, "portable", tmp_path / "cells")
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "cells").glob("*.cell"))) == 4
    capsys.readouterr()
    train_rows({tmp_path / "out": (cells, nuclei)}, "portable", tmp_path / "cells")
    assert capsys.readouterr().err.count("2 epochs, accuracy") == 1
    assert (tmp_path / "out" / "predictions.parquet").is_file()


def test_what_was_left_long_ago_is_forgotten_when_rows_are_trained(
    nuclei, cells, trained, tmp_path
):
    store = shutil.copytree(trained[0] / "cells", tmp_path / "cells")
    place = Store(store).at(64 * "a", cells[0])
    place.save(State({"a": np.zeros(3)}, {"history": []}))
    os.utime(place.path, (0, 0))
    train_rows({tmp_path / "out": (cells, nuclei)}, "portable", store)
    assert not place.path.exists()


def test_a_line_that_does_not_fit_is_refused_before_training(nuclei):
    line = "4conv3x3 - mp4x4 - mp4x4 - o"
    splits = make_splits(nuclei, SPLIT)
    with pytest.raises(FathomError, match="layer 3 of 4, 'mp4x4', would pool"):
        cells_of("a", Plan(line, SHORT), PROBES, nuclei, splits, final=False)


def test_the_side_of_a_crop_is_known_without_reading_the_crops(nuclei):
    assert nuclei.crop_px == nuclei.crops().shape[1] == 12
