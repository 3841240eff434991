"""The rivals that benchmarks/calibration.py compares fathom's intervals with."""

import numpy as np
import pytest
from rival_intervals import corrected_p_value, draw, known, percentile
from scipy.stats import bootstrap, t, ttest_1samp
from simulated_counts import group_counts

from fathom.statistics.metrics import balanced_accuracy


def interval(counts, resamples, seed, confidence):
    groups = len(counts)
    left_out = np.vstack([np.ones(groups), 1 - np.eye(groups)])
    found = known(counts[None], draw(groups, resamples, seed), left_out, difference=False)
    return percentile(found, confidence)


def test_the_first_draw_is_the_data_and_the_others_draw_as_many_units():
    drawn = draw(7, 500, seed=3)
    assert drawn.shape == (501, 7)
    np.testing.assert_array_equal(drawn[0], 1)
    np.testing.assert_array_equal(drawn.sum(axis=1), 7)
    # the variance of a multinomial count, 1 - 1/units
    assert drawn[1:].var() == pytest.approx(1 - 1 / 7, rel=0.1)


def test_the_percentile_interval_is_that_of_scipys_bootstrap():
    counts = group_counts(np.random.default_rng(0), 23, 0.65)
    expected = bootstrap(
        (np.arange(23),),
        lambda drawn, axis: balanced_accuracy(counts[drawn].sum(axis=-2)),
        confidence_level=0.9,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = interval(counts, 20_000, 0, 0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.0015)


def test_with_8_groups_it_falls_short_which_is_why_another_interval_is_reported():
    rng = np.random.default_rng(0)
    truth = balanced_accuracy(group_counts(rng, 200_000, 0.65).sum(axis=0))
    covered = 0
    for trial in range(500):
        low, high = interval(group_counts(rng, 8, 0.65), 400, trial, 0.95)
        covered += low <= truth <= high
    assert 0.84 <= covered / 500 <= 0.92


def test_the_corrected_t_is_the_formula_of_the_paper():
    """Nadeau & Bengio 2003: t = mean / sqrt((1/n + n2/n1) S2), three folds: n2/n1 = 1/2."""
    differences = np.array([0.10, 0.04, 0.07])
    variance = (0.03**2 + 0.03**2) / 2
    statistic = 0.07 / np.sqrt((1 / 3 + 1 / 2) * variance)
    assert corrected_p_value(differences, 3) == pytest.approx(2 * t.sf(statistic, 2))


def test_it_is_stricter_than_a_plain_t_test():
    differences = np.random.default_rng(0).normal(0.02, 0.02, 10)
    assert corrected_p_value(differences, 10) > ttest_1samp(differences, 0).pvalue


def test_folds_without_a_class_are_left_out_and_one_fold_says_nothing():
    some = np.array([0.10, np.nan, 0.04, 0.07])
    assert corrected_p_value(some, 4) == corrected_p_value(some[[0, 2, 3]], 4)
    assert corrected_p_value(np.array([0.1, np.nan]), 2) == 1
    assert corrected_p_value(np.zeros(3), 3) == 1
    assert corrected_p_value(np.full(4, 0.25), 4) == 0
