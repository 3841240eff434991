import numpy as np
import pandas as pd
import pytest
import torch
from conftest import nuclei_of
from safetensors.torch import load_file
from test_training import LINE, RECIPE

import fathom.training.cells
from fathom.errors import FathomError
from fathom.imaging.nuclei import Nuclei
from fathom.networks.architecture import parse
from fathom.networks.network import build, scale_input
from fathom.params.data import Split
from fathom.params.recipe import Probes
from fathom.splitting.folds import make_splits
from fathom.splitting.splits import FINAL, part_rows
from fathom.training.interventions import Plan
from fathom.training.probing import COLUMNS
from fathom.training.runs import cells_of, train_run

SHORT = RECIPE.model_copy(update={"epochs": 2, "seeds": (0, 1)})
PROBES = Probes(crops=8, epochs=(1,))
SPLIT = Split(group="patient", folds=2, validation_share=0.3, seed=0)


@pytest.fixture
def nuclei(tmp_path):
    rng = np.random.default_rng(0)
    bare = nuclei_of([f"p{i // 10}" for i in range(80)], [bool(i % 2) for i in range(80)])
    np.save(tmp_path / "0.npy", rng.integers(1, 256, (80, 12, 12, 1)).astype(np.uint8))
    table = bare.table.assign(shard="0.npy", row=range(80))
    return Nuclei(tmp_path, table, table)


@pytest.fixture
def cells(nuclei):
    splits = make_splits(nuclei, SPLIT)
    return cells_of("a", Plan(LINE, SHORT), PROBES, nuclei, splits, final=True)


def test_a_run_is_every_fold_with_every_seed_and_one_final_model(cells):
    assert [(one.fold, one.seed) for one in cells] == [(FINAL, 0), (0, 0), (0, 1), (1, 0), (1, 1)]
    assert set(cells[0].rows) == {"train", "validation"}


def test_tables_and_final_weights(nuclei, cells, tmp_path):
    train_run(cells, nuclei, tmp_path / "checkpoints", tmp_path / "out")
    predictions = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert list(predictions) == ["nucleus", "fold", "seed", "part", "probability"]
    tested = predictions[predictions["part"] == "test"]
    for _, of_seed in tested.groupby("seed"):
        assert sorted(of_seed["nucleus"]) == sorted(nuclei.kept["nucleus"])
    assert set(predictions.loc[predictions["fold"] == FINAL, "part"]) == {"train", "validation"}
    assert predictions["probability"].between(0, 1).all()

    history = pd.read_parquet(tmp_path / "out" / "history.parquet")
    assert len(history) == 5 * 2
    assert all(one["epoch"].tolist() == [1, 2] for _, one in history.groupby(["fold", "seed"]))

    probes = pd.read_parquet(tmp_path / "out" / "probes.parquet")
    assert list(probes) == ["fold", "seed", *COLUMNS]
    # Each cell but the final model's: the input and three layers, at the start and two epochs.
    assert len(probes) == 4 * 4 * 3
    assert probes["readability"].notna().sum() == 4 * 3

    network = build(parse(LINE), SHORT, 1, 12, seed=9).eval()
    network.load_state_dict(load_file(tmp_path / "out" / "final.safetensors"))
    rows = part_rows(nuclei, make_splits(nuclei, SPLIT), FINAL, "validation")
    logits = network(scale_input(torch.from_numpy(nuclei.crops()[rows]), "unit"))
    kept = predictions.query("fold == -1 and part == 'validation'")
    assert kept["nucleus"].tolist() == nuclei.kept["nucleus"].iloc[rows].tolist()
    np.testing.assert_allclose(
        torch.sigmoid(logits.double()).detach().numpy(), kept["probability"], atol=1e-6
    )
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_cell_that_fails_leaves_no_output_but_its_checkpoints(
    nuclei, cells, tmp_path, monkeypatch
):
    monkeypatch.setattr(fathom.training.cells.joblib, "cpu_count", lambda: 1)
    real = fathom.training.cells.train_cell

    def fail(crops, targets, cell, checkpoint, report):
        if cell.fold == 1:
            raise RuntimeError("stopped")
        return real(crops, targets, cell, checkpoint, report)

    monkeypatch.setattr(fathom.training.cells, "train_cell", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        train_run(cells, nuclei, tmp_path / "checkpoints", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


def test_a_line_that_does_not_fit_is_refused_before_training(nuclei, tmp_path):
    line = "4conv3x3 - mp4x4 - mp4x4 - o"
    splits = make_splits(nuclei, SPLIT)
    cells = cells_of("a", Plan(line, SHORT), PROBES, nuclei, splits, final=False)
    with pytest.raises(FathomError, match="layer 3 of 4, 'mp4x4', would pool"):
        train_run(cells, nuclei, tmp_path / "checkpoints", tmp_path / "out")
    assert not (tmp_path / "checkpoints").exists()
