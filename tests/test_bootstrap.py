import numpy as np
import pytest
from scipy.stats import bootstrap
from simulated_counts import group_counts

from fathom.ground.errors import FathomError
from fathom.statistics.bootstrap import draw_weights, percentiles
from fathom.statistics.metrics import balanced_accuracy


def test_the_first_draw_is_the_data_and_the_others_draw_as_many_units():
    draws = draw_weights(7, (3, 4, 9), 500, seed=3)
    seeds = np.column_stack([draws.seeds[seed] for seed in (3, 4, 9)])
    for drawn, units in ((draws.groups, 7), (seeds, 3)):
        assert drawn.shape == (501, units)
        np.testing.assert_array_equal(drawn[0], 1)
        np.testing.assert_array_equal(drawn.sum(axis=1), units)
        # the variance of a multinomial count, 1 - 1/units
        assert drawn[1:].var() == pytest.approx(1 - 1 / units, rel=0.1)
    assert abs(np.corrcoef(draws.groups[1:, 0], seeds[1:, 0])[0, 1]) < 0.15


def test_the_same_seed_draws_the_same_and_the_number_of_seeds_moves_no_group():
    one, same, other = (draw_weights(9, (0, 1), 50, seed).groups for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(one, draw_weights(9, (0,), 50, 1).groups)


def test_the_interval_is_that_of_scipys_bootstrap():
    counts = group_counts(np.random.default_rng(0), 23, 0.65)
    found = percentiles(balanced_accuracy(draw_weights(23, (0,), 20_000, 0).groups @ counts), 0.9)
    expected = bootstrap(
        (np.arange(23),),
        lambda drawn, axis: balanced_accuracy(counts[drawn].sum(axis=-2)),
        confidence_level=0.9,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.estimate == balanced_accuracy(counts.sum(axis=0))
    assert found.low == pytest.approx(expected.low, abs=0.0015)
    assert found.high == pytest.approx(expected.high, abs=0.0015)


def test_the_variance_of_a_mean_over_groups_and_seeds_is_the_sum_of_both():
    rng = np.random.default_rng(0)
    of_group, of_seed = rng.normal(0, 1, 10), rng.normal(0, 1, 4)
    draws = draw_weights(10, range(4), 20_000, 0)
    seeds = np.column_stack(list(draws.seeds.values()))
    values = draws.groups @ of_group / 10 + seeds @ of_seed / 4
    expected = of_group.var() / 10 + of_seed.var() / 4
    assert values[1:].var() == pytest.approx(expected, rel=0.03)


def test_draws_without_a_class_are_left_out_and_counted():
    values = np.array([0.6, np.nan, 0.5, 0.7, np.nan])
    found = percentiles(values, 0.5)
    assert (found.estimate, found.degenerate) == (0.6, 2)
    assert (found.low, found.high) == pytest.approx((0.55, 0.65))


@pytest.mark.parametrize("values", [[np.nan, 0.5, 0.6], [0.5, np.nan, np.nan]])
def test_no_number_is_an_error(values):
    with pytest.raises(FathomError, match="lacks a class"):
        percentiles(np.array(values), 0.95)


def test_with_8_groups_it_falls_short_which_is_why_another_interval_is_reported():
    rng = np.random.default_rng(0)
    truth = balanced_accuracy(group_counts(rng, 200_000, 0.65).sum(axis=0))
    covered = 0
    for trial in range(500):
        counts = group_counts(rng, 8, 0.65)
        found = percentiles(
            balanced_accuracy(draw_weights(8, (0,), 400, trial).groups @ counts), 0.95
        )
        covered += found.low <= truth <= found.high
    assert 0.84 <= covered / 500 <= 0.92
