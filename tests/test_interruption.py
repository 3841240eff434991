"""What an interrupted training comes to: the same bytes, wherever and however it was stopped."""

from dataclasses import replace
from math import inf

import pytest
from simulated_crops import assert_same, cell_of, shown_of

from fathom.networks.recipe import Probes
from fathom.training import training
from fathom.training.store import Store
from fathom.training.training import train_cell

N = 104
SHOWN = shown_of(N)


@pytest.fixture(autouse=True)
def saved_after_every_epoch(monkeypatch):
    """However long it takes."""
    monkeypatch.setattr(training, "SAVING_SHARE", inf)


class StoppedError(Exception):
    """What a test ends a training with."""


def train(cell, checkpoint, until=None):
    """Train a cell; with `until`, stop after that epoch."""

    def report(epoch):
        if epoch.epoch == until:
            raise StoppedError

    return train_cell(SHOWN, cell, checkpoint, report)


def checkpoint_in(folder, key=64 * "a"):
    return Store(folder).at(key, cell_of(N))


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("weights", ["best", "last"])
def test_a_cell_stopped_after_any_epoch_comes_to_the_same_bytes(tmp_path, capsys, norm, weights):
    changes = {"norm": norm, "weights": weights, "dropout": 0.5, "augmentation": True}
    cell = cell_of(N, epochs=5, learning_rate=0.01, **changes)
    whole = train(cell, checkpoint_in(tmp_path / "whole"))
    assert len({epoch.train_loss for epoch in whole.history}) == 5  # not stuck: it matters
    for until in range(1, 6):
        place = checkpoint_in(tmp_path / str(until))
        with pytest.raises(StoppedError):
            train(cell, place, until)
        assert "continues" not in capsys.readouterr().err
        assert_same(train(cell, place), whole)
        assert f"{cell}: continues after epoch {until}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "adam", "momentum": 0.9, "alpha": 0.99, "warmup_epochs": 2},
        {"optimiser": "sgd", "momentum": 0.9},
        {"momentum": 0.9, "training_labels": "shuffled", "initialisation": "lsuv"},
    ],
    ids=str,
)
def test_whatever_the_optimiser_remembers_and_the_probes_saw_is_kept(tmp_path, changes):
    cell = replace(cell_of(N, norm="batch", **changes), probes=Probes(crops=16, epochs=(2,)))
    whole = train(cell, checkpoint_in(tmp_path / "whole"))
    assert len(whole.probes) == 4 * 3  # the input and three layers; at the start and two epochs
    for until in (1, 2, 3):
        place = checkpoint_in(tmp_path / str(until))
        with pytest.raises(StoppedError):
            train(cell, place, until)
        assert_same(train(cell, place), whole)


def test_a_cell_that_was_saved_long_before_comes_to_the_same_bytes(tmp_path, capsys, monkeypatch):
    """Saving that would take more than its share of the time is left out, but for the first."""
    cell = cell_of(N, epochs=5, dropout=0.5)
    whole = train(cell, checkpoint_in(tmp_path / "whole"))
    monkeypatch.setattr(training, "SAVING_SHARE", 1e-9)
    with pytest.raises(StoppedError):
        train(cell, checkpoint_in(tmp_path), until=4)
    assert_same(train(cell, checkpoint_in(tmp_path)), whole)
    assert f"{cell}: continues after epoch 1\n" in capsys.readouterr().err


def test_a_cell_stopped_at_every_epoch_comes_to_the_same_bytes(tmp_path):
    cell = cell_of(N, dropout=0.5, augmentation=True)
    for until in range(1, 5):
        with pytest.raises(StoppedError):
            train_cell(SHOWN, cell, checkpoint_in(tmp_path), _stop_at(until))
    assert_same(train(cell, checkpoint_in(tmp_path)), train(cell, checkpoint_in(tmp_path / "2")))


def _stop_at(until):
    """Stop at that epoch; the one that is reported again on continuing passes."""

    def report(epoch):
        if epoch.epoch >= until:
            raise StoppedError

    return report


@pytest.mark.parametrize("damage", ["cut", "another key"])
def test_a_checkpoint_that_is_refused_costs_time_and_changes_nothing(tmp_path, capsys, damage):
    cell = cell_of(N)
    alike = 32 * "a" + 32 * "b"  # a file is named by half of its key
    written = checkpoint_in(tmp_path, *[alike] * (damage == "another key"))
    with pytest.raises(StoppedError):
        train(cell, written, until=2)
    if damage == "cut":
        written.path.write_bytes(written.path.read_bytes()[:-100])
    again = train(cell, checkpoint_in(tmp_path))
    said = capsys.readouterr().err
    assert f"{written.path} is damaged or belongs to another training: starting this cell" in said
    assert "continues" not in said
    assert_same(again, train(cell, checkpoint_in(tmp_path / "whole")))
