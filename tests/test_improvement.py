import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from fathom.statistics.improvement import group_scores, probability_of_improvement
from fathom.statistics.metrics import balanced_accuracy


def ones(rows, columns):
    return np.ones((rows, columns))


def test_a_group_is_scored_on_the_classes_it_has():
    counts = np.array([[3, 1, 1, 3], [4, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=float)
    found = group_scores(counts)
    np.testing.assert_array_equal(found, [0.5, 1, 0.5, np.nan])
    assert found[0] == balanced_accuracy(counts[0])


@pytest.mark.parametrize(("seeds", "others"), [(1, 1), (5, 3), (4, 4)])
def test_it_is_the_mean_over_groups_of_scipys_mann_whitney_statistic(seeds, others):
    rng = np.random.default_rng(seeds)
    one = rng.integers(0, 10, (seeds, 12)) / 10  # ties
    other = rng.integers(0, 10, (others, 12)) / 10
    found = probability_of_improvement(one, other, ones(1, 12), ones(1, seeds), ones(1, others))
    expected = mannwhitneyu(one, other, axis=0).statistic.mean() / (seeds * others)
    assert found == pytest.approx([expected])
    back = probability_of_improvement(other, one, ones(1, 12), ones(1, others), ones(1, seeds))
    assert back == pytest.approx(1 - found)


def test_a_weight_is_a_repetition():
    rng = np.random.default_rng(0)
    one, other = rng.random((3, 6)), rng.random((2, 6))
    groups, seeds, others = [2, 0, 1, 3, 0, 1], [2, 1, 0], [1, 3]
    found = probability_of_improvement(
        one, other, *(np.array([w], dtype=float) for w in (groups, seeds, others))
    )
    drawn = np.repeat(np.repeat(one, seeds, axis=0), groups, axis=1)
    rivals = np.repeat(np.repeat(other, others, axis=0), groups, axis=1)
    expected = mannwhitneyu(drawn, rivals, axis=0).statistic.mean() / (3 * 4)
    assert found == pytest.approx([expected])


def test_a_group_that_one_of_them_never_saw_is_left_out():
    one, other = np.array([[0.9, np.nan, 0.2]]), np.array([[0.5, 0.5, 0.5]])
    found = probability_of_improvement(one, other, ones(1, 3), ones(1, 1), ones(1, 1))
    assert found == [0.5]
    none = np.array([[0.0, 1.0, 0.0]])
    assert np.isnan(probability_of_improvement(one, other, none, ones(1, 1), ones(1, 1)))
