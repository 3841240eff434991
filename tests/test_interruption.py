"""What an interrupted training comes to: the same bytes, wherever and however it was stopped."""

import pytest
from simulated_crops import assert_same, cell_of, crops_of, half_positive

from fathom.training.checkpoint import Checkpoint
from fathom.training.training import train_cell

N = 104
CROPS, TARGETS = crops_of(half_positive(N)), half_positive(N)


class StoppedError(Exception):
    """What a test ends a training with."""


def train(cell, checkpoint, until=None):
    """Train a cell; with `until`, stop after that epoch."""

    def report(epoch):
        if epoch.epoch == until:
            raise StoppedError

    return train_cell(CROPS, TARGETS, cell, checkpoint, report)


def checkpoint_in(folder, key="key"):
    return Checkpoint(folder / "cell.checkpoint", key)


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


def test_a_cell_stopped_at_every_epoch_comes_to_the_same_bytes(tmp_path):
    cell = cell_of(N, dropout=0.5, augmentation=True)
    for until in range(1, 5):
        with pytest.raises(StoppedError):
            train_cell(CROPS, TARGETS, cell, checkpoint_in(tmp_path), _stop_at(until))
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
    written = checkpoint_in(tmp_path, "another" if damage == "another key" else "key")
    with pytest.raises(StoppedError):
        train(cell, written, until=2)
    if damage == "cut":
        written.path.write_bytes(written.path.read_bytes()[:-100])
    again = train(cell, checkpoint_in(tmp_path))
    said = capsys.readouterr().err
    assert "cell.checkpoint is damaged or belongs to another training: starting this cell" in said
    assert "continues" not in said
    assert_same(again, train(cell, checkpoint_in(tmp_path / "whole")))
