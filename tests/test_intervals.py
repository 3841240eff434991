import numpy as np
import pytest
from scipy.stats import bootstrap

from fathom.errors import FathomError
from fathom.intervals import draw_groups, interval
from fathom.metrics import balanced_accuracy


def group_counts(rng, groups, accuracy):
    """Counts of `groups` groups of uneven size and difficulty."""
    sizes = rng.integers(20, 60, groups)
    found = rng.binomial(sizes, np.clip(rng.normal(accuracy, 0.1, groups), 0, 1))
    rejected = rng.binomial(sizes, np.clip(rng.normal(accuracy, 0.1, groups), 0, 1))
    return np.column_stack([found, sizes - found, rejected, sizes - rejected]).astype(float)


def test_the_first_draw_is_the_data_and_the_others_draw_as_many_groups():
    draws = draw_groups(7, 500, seed=3)
    assert draws.shape == (501, 7)
    np.testing.assert_array_equal(draws[0], 1)
    np.testing.assert_array_equal(draws.sum(axis=1), 7)
    # the variance of a multinomial count, 1 - 1/G
    assert draws[1:].var() == pytest.approx(6 / 7, rel=0.05)


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    np.testing.assert_array_equal(draw_groups(9, 50, 1), draw_groups(9, 50, 1))
    assert (draw_groups(9, 50, 1) != draw_groups(9, 50, 2)).any()


def test_the_interval_is_that_of_scipys_bootstrap():
    counts = group_counts(np.random.default_rng(0), 23, 0.65)
    found = interval(balanced_accuracy(draw_groups(23, 20_000, 0) @ counts), 0.9)

    def statistic(drawn, axis):
        return balanced_accuracy(counts[drawn].sum(axis=-2))

    expected = bootstrap(
        (np.arange(23),),
        statistic,
        confidence_level=0.9,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.estimate == balanced_accuracy(counts.sum(axis=0))
    assert found.low == pytest.approx(expected.low, abs=0.0015)
    assert found.high == pytest.approx(expected.high, abs=0.0015)


def test_a_paired_difference_is_narrower_than_what_both_intervals_suggest():
    rng = np.random.default_rng(0)
    one = group_counts(rng, 30, 0.65)
    other = one + np.array([-2, 2, 0, 0])  # the same nuclei, two more missed in each group
    draws = draw_groups(30, 1000, 0)
    alone = balanced_accuracy(draws @ one)
    difference = interval(balanced_accuracy(draws @ other) - alone, 0.95)
    wide = interval(alone, 0.95)
    assert difference.high < 0
    assert difference.high - difference.low < (wide.high - wide.low) / 5


def test_draws_without_a_class_are_left_out_and_counted():
    values = np.array([0.6, np.nan, 0.5, 0.7, np.nan])
    found = interval(values, 0.5)
    assert (found.estimate, found.degenerate) == (0.6, 2)
    assert (found.low, found.high) == pytest.approx((0.55, 0.65))


@pytest.mark.parametrize("values", [[np.nan, 0.5, 0.6], [0.5, np.nan, np.nan]])
def test_no_number_is_an_error(values):
    with pytest.raises(FathomError, match="lacks a class"):
        interval(np.array(values), 0.95)


def test_coverage_with_many_groups_is_near_what_it_says():
    rng = np.random.default_rng(0)
    truth = 0.65
    covered = 0
    for trial in range(300):
        counts = group_counts(rng, 60, truth)
        found = interval(balanced_accuracy(draw_groups(60, 400, trial) @ counts), 0.95)
        covered += found.low <= truth <= found.high
    # 95 % minus what the bootstrap loses at 60 groups, within three standard errors of 300 trials
    assert 0.89 <= covered / 300 <= 0.985
