import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import bootstrap, t, ttest_1samp, ttest_ind, ttest_rel
from simulated_counts import group_counts
from sklearn.metrics import balanced_accuracy_score

from fathom.ground.errors import FathomError
from fathom.statistics.intervals import (
    Design,
    Spread,
    design_of,
    difference_interval,
    leave_out,
    share_interval,
    spread,
)
from fathom.statistics.metrics import balanced_accuracy, counts_by_group


def equal(groups, seeds=(0,)):
    return Design(groups, seeds, effective_groups=groups)


def test_everything_then_each_group_then_each_seed_is_left_out():
    weights = leave_out(equal(4, seeds=(5, 7)))
    np.testing.assert_array_equal(weights.groups[0], 1)
    np.testing.assert_array_equal(weights.groups[1:5], 1 - np.eye(4))
    np.testing.assert_array_equal(weights.groups[5:], 1)
    np.testing.assert_array_equal(weights.seeds[5], [1, 1, 1, 1, 1, 0, 1])
    np.testing.assert_array_equal(weights.seeds[7], [1, 1, 1, 1, 1, 1, 0])
    assert leave_out(equal(4)).groups.shape == (5, 4)


def test_each_row_is_what_scikit_learn_finds_without_that_group():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 6, 200)
    positive, called = rng.random(200) < 0.4, rng.random(200) < 0.5
    counts = counts_by_group(called.astype(float), positive, group, 6)
    values = balanced_accuracy(leave_out(equal(6)).groups @ counts)
    expected = [balanced_accuracy_score(positive[keep], called[keep]) for keep in
                (group != left for left in range(-1, 6))]  # fmt: skip
    np.testing.assert_allclose(values, expected)


def test_the_interval_of_a_mean_of_groups_is_students():
    scores = np.random.default_rng(0).normal(0.1, 0.2, 11)
    weights = leave_out(equal(11)).groups
    found = spread(weights @ scores / weights.sum(axis=1), equal(11))
    expected = ttest_1samp(scores, 0)
    interval = difference_interval(found, 0.9)
    assert found.p_value() == pytest.approx(expected.pvalue)
    assert (interval.low, interval.high) == pytest.approx(expected.confidence_interval(0.9))


def test_a_difference_is_tested_as_a_paired_t_test_does():
    rng = np.random.default_rng(1)
    hard = rng.normal(0, 1, 9)
    one, other = hard + rng.normal(0.1, 0.1, 9), hard + rng.normal(0, 0.1, 9)
    weights = leave_out(equal(9)).groups
    mean = weights / weights.sum(axis=1, keepdims=True)
    found = spread(mean @ one - mean @ other, equal(9))
    assert found.p_value() == pytest.approx(ttest_rel(one, other).pvalue)
    alone = spread(mean @ one, equal(9))
    assert found.half_width(0.95) < alone.half_width(0.95) / 4


def test_groups_and_seeds_together_are_welchs_test_where_they_add_up():
    """A mean over groups plus one over seeds varies as the difference of two samples' means."""
    rng = np.random.default_rng(0)
    of_group, of_seed = rng.normal(1, 1, 8), rng.normal(0, 0.6, 5)
    design = equal(8, seeds=tuple(range(5)))
    weights = leave_out(design)
    seeds = np.column_stack(list(weights.seeds.values()))
    values = sum(w @ of / w.sum(axis=1) for w, of in ((weights.groups, of_group), (seeds, of_seed)))
    found = spread(values, design)
    welch = ttest_ind(of_group, -of_seed, equal_var=False)
    alone = [2 * t.sf(values[0] / (of.std(ddof=1) / np.sqrt(len(of))), len(of) - 1)
             for of in (of_group, of_seed)]  # fmt: skip
    assert welch.pvalue > max(alone)  # so that the sum decides
    assert found.p_value() == pytest.approx(welch.pvalue)
    ends = welch.confidence_interval(0.95)
    assert found.half_width(0.95) == pytest.approx((ends.high - ends.low) / 2)


def test_the_widest_of_the_three_counts():
    """With two seeds that differ much, one degree of freedom is wider than Satterthwaite's."""
    design = equal(30, seeds=(0, 1))
    values = np.full(33, 0.5)
    values[1:31] += np.random.default_rng(0).normal(0, 0.001, 30)
    values[31:] += [0.02, -0.02]
    error = np.sqrt(0.5 * 2 * 0.02**2)
    assert spread(values, design).half_width(0.95) == pytest.approx(t.ppf(0.975, 1) * error)


def test_a_seed_without_effect_changes_nothing():
    values = np.random.default_rng(0).normal(0.6, 0.01, 10)
    one = spread(values, equal(9))
    two = spread(np.r_[values, values[0], values[0]], equal(9, seeds=(0, 1)))
    assert one.half_width(0.95) == two.half_width(0.95)
    assert one.p_value() == two.p_value()


def test_groups_of_equal_weight_count_in_full_and_one_large_one_hardly():
    group = np.repeat(np.arange(8), 10)
    positive = np.tile([True, False], 40)
    assert design_of(positive, group, 8).effective_groups == pytest.approx(8)
    large = np.repeat(np.arange(8), [930, 10, 10, 10, 10, 10, 10, 10])
    found = design_of(np.tile([True, False], 500), large, 8).effective_groups
    assert found == pytest.approx(1 / (0.93**2 + 7 * 0.01**2))
    # of the positive all are in one group, of the negative in another
    assert design_of(np.repeat([True, False], 9), np.repeat([0, 1], 9), 2).effective_groups == 2


def test_unequal_groups_have_a_wider_interval():
    values = np.r_[0.6, np.random.default_rng(0).normal(0.6, 0.02, 8)]
    even, uneven = (share_interval(values, Design(8, (0,), of), 0.95) for of in (8, 4))
    assert uneven.low < even.low < even.high < uneven.high


def test_a_share_has_its_interval_on_the_logit_scale():
    values = np.r_[0.97, np.linspace(0.93, 0.99, 8)]
    found = share_interval(values, equal(8), 0.95)
    assert 0 < found.low < 0.97 < found.high < 1
    assert logit(found.high) - logit(0.97) == pytest.approx(logit(0.97) - logit(found.low))
    # close to the middle and narrow, the scale hardly matters
    near = np.r_[0.5, 0.5 + np.linspace(-0.001, 0.001, 8)]
    plain = spread(near, equal(8)).half_width(0.95)
    found = share_interval(near, equal(8), 0.95)
    assert (found.low, found.high) == pytest.approx((0.5 - plain, 0.5 + plain), abs=1e-5)


def test_the_standard_error_is_the_bootstraps_where_there_are_many_groups():
    counts = group_counts(np.random.default_rng(0), 60, 0.65)
    found = spread(balanced_accuracy(leave_out(equal(60)).groups @ counts), equal(60))
    expected = bootstrap(
        (np.arange(60),),
        lambda drawn, axis: balanced_accuracy(counts[drawn].sum(axis=-2)),
        n_resamples=10_000,
        rng=np.random.default_rng(1),
    ).standard_error
    assert found.errors[0][0] == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("groups", [1, 5])
def test_where_a_class_rests_on_one_group_anything_is_possible(groups):
    values = np.full(1 + groups, 0.7)
    values[1] = np.nan
    found = share_interval(values, equal(groups), 0.95)
    assert (found.estimate, found.low, found.high) == (0.7, 0, 1)
    apart = spread(values - 0.6, equal(groups))
    assert apart.p_value() == 1
    found = difference_interval(apart, 0.95)
    assert (found.low, found.high) == (-1, 1)


def test_what_never_varies_has_no_width_and_a_share_of_1_stays_within():
    assert share_interval(np.full(9, 0.3), equal(8), 0.95).as_numbers("a") == {
        "a": 0.3,
        "a_low": 0.3,
        "a_high": 0.3,
    }
    found = share_interval(np.r_[0.99, 1.0, np.full(7, 0.9885)], equal(8), 0.95)
    assert 0 < found.low < 0.99 < found.high == 1


def test_no_estimate_is_an_error():
    with pytest.raises(FathomError, match="a class is absent"):
        share_interval(np.array([np.nan, 0.5, 0.6]), equal(2), 0.95)


def test_zero_is_excluded_exactly_where_p_is_below():
    for shift in np.linspace(0, 0.1, 30):
        found = Spread(shift, ((0.02, 6.2), (0.01, 1.0), (0.0224, 5.0)))
        assert (difference_interval(found, 0.95).low > 0) == (found.p_value() < 0.05)


@pytest.mark.parametrize("groups", [8, 23])
def test_coverage_with_few_groups_is_what_it_says(groups):
    """A bootstrap's percentiles cover .88 and .92 here (test_rival_intervals.py)."""
    rng = np.random.default_rng(0)
    truth = balanced_accuracy(group_counts(rng, 200_000, 0.65).sum(axis=0))
    covered = 0
    for _ in range(1000):
        counts = group_counts(rng, groups, 0.65)
        sizes = counts.reshape(groups, 2, 2).sum(axis=2)
        weight = (sizes / sizes.sum(axis=0)).mean(axis=1)
        design = Design(groups, (0,), 1 / np.square(weight).sum())
        found = share_interval(balanced_accuracy(leave_out(design).groups @ counts), design, 0.95)
        covered += found.low <= truth <= found.high
    # 95 % within three standard errors of 1,000 trials
    assert 0.93 <= covered / 1000 <= 0.971
