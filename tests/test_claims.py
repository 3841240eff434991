import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from fathom.statistics.claims import claimed_differences, claims, detectable, holm
from fathom.statistics.intervals import Design, Spread, leave_out


@pytest.mark.parametrize("tests", [1, 2, 9])
def test_holm_is_that_of_statsmodels(tests, monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # at each call of multipletests
    for seed in range(4):
        p_values = np.random.default_rng(seed).beta(0.3, 2, tests)
        np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
    tied = np.full(tests, 0.02)
    np.testing.assert_allclose(holm(tied), multipletests(tied, method="holm")[1])


def test_nothing_is_adjusted_where_nothing_is_compared():
    assert holm(np.array([])).tolist() == []


def test_holm_with_weights_by_hand():
    """.01 / .8; then .004 / .1 with .2 left of the level, but no less than the first; .9."""
    found = holm(np.array([0.01, 0.004, 0.9]), np.array([0.8, 0.1, 0.1]))
    np.testing.assert_allclose(found, [0.0125, 0.0125, 0.9])
    same = np.full(3, 1 / 3)
    p_values = np.array([0.02, 0.5, 0.01])
    np.testing.assert_allclose(holm(p_values, same), holm(p_values))
    assert claims({}, 0.95) == {}


def test_a_claim_needs_to_stand_among_all_comparisons():
    strong, weak = Spread(-0.1, ((0.01, 20),)), Spread(0.05, ((0.0225, 20),))
    alone = claims({"weak": weak}, 0.95)["weak"]
    assert (alone.says, alone.p_value) == (1, alone.p_holm)
    none = Spread(0.001, ((0.01, 20),))
    made = claims({"weak": weak, "strong": strong, "none": none}, 0.95)
    assert {name: claim.says for name, claim in made.items()} == {
        "weak": 0,
        "strong": -1,
        "none": 0,
    }
    assert made["weak"].p_value == alone.p_value < 0.05 < made["weak"].p_holm


@pytest.mark.parametrize("groups", [8, 23, 100])
@pytest.mark.parametrize("comparisons", [1, 7])
def test_what_can_be_detected_is_what_statsmodels_says_of_a_t_test(groups, comparisons):
    alpha = 0.05 / comparisons
    found = detectable(Spread(0.0, ((0.01, groups - 1),)), 1 - alpha)
    effect = TTestPower().solve_power(nobs=groups, alpha=alpha, power=0.8)
    assert found == pytest.approx(effect * 0.01 * np.sqrt(groups), rel=1e-4)


@pytest.mark.parametrize("groups", [3, 4, 8])
def test_what_can_be_detected_is_claimed_in_80_percent_of_simulated_studies(groups):
    """With 4 groups and 7 comparisons statsmodels' own solver stops at a power of .65."""
    confidence = 1 - 0.05 / 7
    found = detectable(Spread(0.0, ((0.01 / np.sqrt(groups), groups - 1),)), confidence)
    drawn = np.random.default_rng(0).normal(found, 0.01, (100_000, groups))
    claimed = ttest_1samp(drawn, 0, axis=1).pvalue < 1 - confidence
    assert claimed.mean() == pytest.approx(0.8, abs=0.005)  # four standard errors


def test_a_study_of_one_group_detects_nothing_and_one_without_spread_everything():
    assert detectable(Spread(0.1, ((np.inf, 7.0),)), 0.95) == 1
    assert detectable(Spread(0.1, ((0.1, 0.0),)), 0.95) == 1
    assert detectable(Spread(0.1, ((0.0, 7.0),)), 0.95) == 0


def test_the_widest_error_decides_what_can_be_detected():
    groups, seeds = (0.01, 22.0), (0.008, 1.0)
    both = detectable(Spread(0.0, (groups, seeds)), 0.95)
    assert (
        both == detectable(Spread(0.0, (seeds,)), 0.95) > detectable(Spread(0.0, (groups,)), 0.95)
    )


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
