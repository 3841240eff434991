from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy import stats
from test_verdict import GOOD, row

from fathom.diagnosis.effects import (
    NO_PRIOR,
    Prior,
    effect,
    held_out_accuracy,
    held_out_effect,
    moderated,
    smallest_visible,
)
from fathom.statistics.intervals import design_of, leave_out, share_interval
from fathom.statistics.metrics import balanced_accuracy, counts_by_group

OVERLAP = GOOD.validation_nuclei / GOOD.train_nuclei


def with_validation(name, values):
    one = row(name, cells=len(values))
    cells = [replace(c, validation=float(v)) for c, v in zip(one.cells, values, strict=True)]
    return replace(one, cells=tuple(cells))


def test_an_effect_is_the_paired_difference_with_the_corrected_interval_of_nadeau_and_bengio():
    base, changed = row("a"), row("b", changes={"norm": "batch"}, validation=0.7)
    pairs = zip(base.cells, changed.cells, strict=True)
    differences = [b.validation - a.validation for a, b in pairs]
    found = effect(base, changed, "validation", 0.95)
    # The variance of the mean, times (1 / n + n_test / n_train) n: Nadeau & Bengio 2003, section 3.
    n = len(differences)
    error = np.sqrt(np.var(differences, ddof=1) * (1 / n + OVERLAP))
    low, high = stats.t.interval(0.95, n - 1, np.mean(differences), error)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (np.mean(differences), low, high)
    )
    assert found.is_below
    assert not found.is_above


def test_a_prior_is_weighed_by_its_degrees_of_freedom():
    """Smyth 2004, section 4: (d0 s0^2 + d s^2) / (d0 + d), and d0 + d degrees of freedom."""
    base, changed = with_validation("a", [0.5, 0.5, 0.5]), with_validation("b", [0.6, 0.7, 0.8])
    found = effect(base, changed, "validation", 0.95, Prior(variance=0.04, freedom=6.0))
    variance = (6 * 0.04 + 2 * 0.01) / 8
    error = np.sqrt(variance * (1 / 3 + OVERLAP))
    assert found.freedom == 8
    assert found.standard_error == pytest.approx(error)
    assert found.low == pytest.approx(0.2 - stats.t.ppf(0.975, 8) * error)


def ladder(rng, rows, cells, freedom=None, variance=0.0009):
    """Return a base of zeros and rows whose variances are scaled inverse chi square."""
    base = with_validation("base", np.zeros(cells))
    scale = 1.0 if freedom is None else freedom / rng.chisquare(freedom, rows)
    sizes = np.sqrt(variance * scale) * np.ones(rows)
    values = rng.normal(0, 1, (rows, cells)) * sizes[:, None]
    return base, [with_validation(f"row{i}", one) for i, one in enumerate(values)]


def test_the_prior_of_known_variances_is_found_again():
    base, rows = ladder(np.random.default_rng(0), 4000, 4, freedom=6)
    prior = moderated(base, rows, "validation")
    assert prior.freedom == pytest.approx(6, rel=0.15)
    assert prior.variance == pytest.approx(0.0009, rel=0.05)


def test_variances_that_are_all_the_same_are_taken_together():
    base, rows = ladder(np.random.default_rng(1), 40, 3)
    prior = moderated(base, rows, "validation")
    assert 15 < prior.freedom <= 80
    assert prior.variance == pytest.approx(0.0009, rel=0.3)


def test_two_rows_are_never_more_certain_than_their_cells():
    base, rows = ladder(np.random.default_rng(4), 2, 3)
    assert moderated(base, rows, "validation").freedom <= 4


@pytest.mark.parametrize("freedom", [4, None])
def test_moderated_intervals_of_few_cells_hold_the_truth_as_often_as_they_say(freedom):
    """Of eight rungs of three independent cells, so that the plain standard error holds."""
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(300):
        base, rows = ladder(rng, 8, 3, freedom)
        prior = moderated(base, rows, "validation")
        for one in rows:
            found = effect(base, one, "validation", 0.95, prior)
            plain = found.standard_error / np.sqrt(1 / 3 + OVERLAP) / np.sqrt(3)
            covered.append(abs(found.estimate) < stats.t.ppf(0.975, found.freedom) * plain)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_rows_that_say_nothing_of_the_variance_are_left_out_of_the_prior():
    base, rows = ladder(np.random.default_rng(3), 6, 3)
    prior = moderated(base, rows, "validation")
    same, few = with_validation("same", [0.1, 0.1, 0.1]), with_validation("few", [0.1, 0.9])
    assert moderated(base, [*rows, same, few], "validation") == prior
    assert moderated(base, [rows[0], same], "validation") == NO_PRIOR
    assert moderated(base, [], "validation") == NO_PRIOR


def test_only_cells_of_the_same_fold_and_seed_are_compared():
    base, changed = row("a", cells=4), row("b", cells=2, validation=0.7)
    assert effect(base, changed, "validation", 0.95).units == 2


@pytest.mark.parametrize("cells", [0, 1])
def test_fewer_than_two_cells_leave_everything_possible(cells):
    base, changed = row("a"), row("b", cells=cells, validation=0.1)
    found = effect(base, changed, "validation", 0.95)
    assert (found.low, found.high) == (-inf, inf)
    assert not found.is_below
    assert smallest_visible(found, 0.95) == inf


def test_a_difference_of_the_smallest_visible_size_is_seen_as_often_as_the_power_says():
    rng = np.random.default_rng(0)
    base = with_validation("a", rng.normal(0.5, 0.02, 8))
    found = effect(base, with_validation("b", rng.normal(0.5, 0.02, 8)), "validation", 0.95)
    size = smallest_visible(found, 0.95)
    # Means of 8 independent differences with the same standard error.
    draws = rng.normal(size, found.standard_error * np.sqrt(8), (20_000, 8))
    errors = draws.std(1, ddof=1) / np.sqrt(8)
    seen = draws.mean(1) - stats.t.ppf(0.975, 7) * errors > 0
    assert seen.mean() == pytest.approx(0.8, abs=0.03)


def counts(rng, groups, sensitivity, specificity):
    """Return decisions of 20 positive and 20 negative nuclei a group."""
    found = rng.binomial(20, sensitivity, groups)
    rejected = rng.binomial(20, specificity, groups)
    return tuple(
        (float(a), 20.0 - a, float(b), 20.0 - b) for a, b in zip(found, rejected, strict=True)
    )


def test_the_effect_on_held_out_nuclei_is_the_jackknife_over_groups():
    rng = np.random.default_rng(0)
    base = replace(row("a"), held_out=counts(rng, 9, 0.6, 0.7))
    changed = replace(row("b"), held_out=counts(rng, 9, 0.8, 0.7))

    def difference(left):
        def balanced(counts):
            a, b, c, d = np.array([one for g, one in enumerate(counts) if g not in left]).sum(0)
            return (a / (a + b) + c / (c + d)) / 2

        return balanced(changed.held_out) - balanced(base.held_out)

    without = np.array([difference({g}) for g in range(9)])
    error = np.sqrt(8 / 9 * ((without - without.mean()) ** 2).sum())
    found = held_out_effect(base, changed, 0.9)
    assert (found.estimate, found.units) == (pytest.approx(difference(set())), 9)
    # Groups of the same size: nine of them are worth nine.
    low, high = stats.t.interval(0.9, 8, found.estimate, error)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_held_out_nuclei_of_which_a_group_has_all_of_a_class_leave_everything_possible():
    one = ((5.0, 5.0, 0.0, 0.0), (0.0, 0.0, 5.0, 5.0))
    base = replace(row("a"), held_out=one)
    found = held_out_effect(base, base, 0.95)
    assert (found.low, found.high) == (-1, 1)
    assert smallest_visible(found, 0.95) == inf
    assert held_out_effect(row("a"), base, 0.95) is None


def test_the_accuracy_of_held_out_nuclei_has_the_interval_of_the_comparison():
    """The same counts, nucleus by nucleus, through `statistics.measures` as `compare` does it."""
    rng = np.random.default_rng(1)
    held_out = counts(rng, 7, 0.7, 0.6)
    positive = np.tile(np.repeat([True, False], 20), 7)
    group = np.repeat(np.arange(7), 40)
    decisions = [d for a, _, b, _ in held_out for d in (*_ones(a), *(1 - x for x in _ones(b)))]
    table = counts_by_group(np.array(decisions), positive, group, 7)
    design = design_of(positive, group, 7)
    values = balanced_accuracy(leave_out(design).groups @ table)
    expected = share_interval(values, design, 0.95)
    assert held_out_accuracy(replace(row("a"), held_out=held_out), 0.95) == expected
    assert held_out_accuracy(row("a"), 0.95) is None


def _ones(number):
    return [1.0] * int(number) + [0.0] * (20 - int(number))
