import numpy as np
import pytest
import simulated_runs as simulated
from baycomp import CorrelatedTTest
from scipy.stats import mannwhitneyu
from sklearn.metrics import balanced_accuracy_score

from fathom.ground.output import write_table
from fathom.statistics.differences import claimed_differences, corrected_t, improvement
from fathom.statistics.intervals import Design, design_of, leave_out
from fathom.statistics.scores import read_cells

STUDY = simulated.study()


@pytest.fixture
def run(tmp_path):
    """Return a function that makes the cells of a run with an effect and seeds."""

    def made(effect, seeds):
        table = simulated.predictions(STUDY, effect, seeds)
        write_table(tmp_path / "predictions.parquet", table)
        return read_cells(tmp_path / "predictions.parquet", STUDY)

    return made


def fold_scores(cells):
    """Balanced accuracy by fold and seed, as scikit-learn finds it."""
    return {
        (cell.fold, cell.seed): balanced_accuracy_score(
            cell.test.positive, cell.test.probability >= cell.threshold
        )
        for cell in cells
    }


@pytest.mark.parametrize(
    ("seeds", "others", "pairs"),
    [
        ((0,), (0,), [(0, 0)]),
        ((0, 1, 2), (0,), [(0, 0), (1, 0), (2, 0)]),
        ((0, 1, 2), (2, 1), [(1, 1), (2, 2)]),
    ],
)
def test_cells_are_paired_by_fold_and_seed(run, seeds, others, pairs):
    one, other = run(0.8, seeds), run(0.5, others)
    mine, theirs = fold_scores(one), fold_scores(other)
    folds = range(simulated.FOLDS)
    scores = [[of[fold, pair[at]] for pair in pairs for fold in folds]
              for at, of in enumerate((mine, theirs))]  # fmt: skip
    tails = CorrelatedTTest(np.array(scores[0]), np.array(scores[1]), runs=len(pairs)).probs()
    assert corrected_t(one, other, STUDY.groups) == pytest.approx(2 * min(tails))


def test_improvement_counts_groups_and_seeds(run):
    seeds = (0, 1, 2)
    one, other = run(1.0, seeds), run(0.6, (0,))

    def by_group(cells):
        scores = {}
        for cell in cells:
            for group in np.unique(cell.test.group):
                of = cell.test.group == group
                called = cell.test.probability[of] >= cell.threshold
                scores[cell.seed, group] = balanced_accuracy_score(cell.test.positive[of], called)
        return np.array(
            [
                [scores[seed, group] for group in range(STUDY.groups)]
                for seed in sorted({cell.seed for cell in cells})
            ]
        )

    design = design_of(STUDY.positive, STUDY.group, STUDY.groups, seeds)
    found = improvement(one, other, design, 0.95)
    statistic = mannwhitneyu(by_group(one).round(9), by_group(other).round(9), axis=0).statistic
    assert found.estimate == pytest.approx(statistic.mean() / 3)
    assert 0 < found.low < found.estimate < found.high < 1


def test_differences_are_named_and_none_is_to_itself():
    rng = np.random.default_rng(0)
    design = Design(20, (0,), 20.0)
    mean = leave_out(design).groups
    mean = mean / mean.sum(axis=1, keepdims=True)
    hard = rng.normal(0.6, 0.1, 20)
    measured = {
        name: mean @ (hard + advantage + rng.normal(0, 0.02, 20))
        for name, advantage in (("a", 0.0), ("b", 0.1), ("c", -0.1), ("d", 0.0))
    }
    found = claimed_differences(measured, "a", "gap", design, 0.95)
    assert {name: numbers["gap_claim"] for name, numbers in found.items()} == {
        "b": 1,
        "c": -1,
        "d": 0,
    }
    for name, numbers in found.items():
        assert numbers["gap"] == pytest.approx(measured[name][0] - measured["a"][0])
        assert numbers["gap_low"] < numbers["gap"] < numbers["gap_high"]
        assert numbers["gap_p"] <= numbers["gap_p_holm"]
    assert claimed_differences({"a": measured["a"]}, "a", "gap", design, 0.95) == {}
