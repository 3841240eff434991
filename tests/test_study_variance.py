from dataclasses import replace

import pytest
import simulated_runs as simulated

from fathom.ground.output import write_table
from fathom.statistics.scores import read_cells
from fathom.statistics.study_variance import study_variance

STUDY = simulated.study(groups=30, size=30)


@pytest.fixture
def run(tmp_path):
    """Return a function that makes the cells of a run with an effect and seeds."""

    def made(effect, seeds=(0,)):
        write_table(tmp_path / "predictions.parquet", simulated.predictions(STUDY, effect, seeds))
        return read_cells(tmp_path / "predictions.parquet", STUDY)

    return made


def shares(runs):
    found = study_variance(runs, STUDY.groups)
    assert sum(found.values()) == pytest.approx(1)
    return {name.removeprefix("variance_share_"): value for name, value in found.items()}


def test_architectures_that_differ_have_their_share_and_equal_ones_none(run):
    differ = shares({"good": run(1.0, (0, 1, 2)), "stuck": run(0.0, (0, 1, 2))})
    assert set(differ) == {"architectures", "folds", "groups", "seeds", "rest"}
    assert differ["architectures"] > 0.2
    equal = shares({"one": run(1.0, (0, 1, 2)), "other": run(1.0, (3, 4, 5))})
    assert equal["architectures"] < 0.02


def test_runs_of_the_same_predictions_differ_by_group_alone(run):
    cells = run(1.0)
    found = shares({"one": cells, "other": cells})
    assert found["rest"] == pytest.approx(0, abs=1e-12)
    assert found["groups"] + found["folds"] == pytest.approx(1)


def test_what_there_is_only_one_of_is_left_out(run):
    assert set(shares({"one": run(1.0, (0, 1))})) == {"folds", "groups", "seeds", "rest"}
    one_fold = {
        name: tuple(replace(cell, fold=0) for cell in run(effect))
        for name, effect in (("one", 1.0), ("other", 0.5))
    }
    assert set(shares(one_fold)) == {"architectures", "groups", "rest"}


def test_one_run_of_one_seed_has_no_share_of_the_groups(run):
    assert set(shares({"one": run(1.0)})) == {"folds", "rest"}
