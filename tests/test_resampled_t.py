import numpy as np
import pytest
from baycomp import CorrelatedTTest
from scipy.stats import t, ttest_1samp

from fathom.statistics.resampled_t import corrected_p_value


def test_it_is_the_formula_of_the_paper():
    """Nadeau & Bengio 2003: t = mean / sqrt((1/n + n2/n1) S2), three folds: n2/n1 = 1/2."""
    differences = np.array([0.10, 0.04, 0.07])
    variance = (0.03**2 + 0.03**2) / 2
    statistic = 0.07 / np.sqrt((1 / 3 + 1 / 2) * variance)
    assert corrected_p_value(differences, 3) == pytest.approx(2 * t.sf(statistic, 2))


@pytest.mark.parametrize(("folds", "seeds"), [(3, 1), (10, 1), (5, 4)])
def test_it_is_twice_the_smaller_tail_of_baycomps_correlated_test(folds, seeds):
    rng = np.random.default_rng(folds)
    one, other = rng.normal(0.66, 0.03, folds * seeds), rng.normal(0.64, 0.03, folds * seeds)
    tails = CorrelatedTTest(one, other, runs=seeds).probs()
    assert corrected_p_value(one - other, folds) == pytest.approx(2 * min(tails))


def test_it_is_stricter_than_a_plain_t_test():
    differences = np.random.default_rng(0).normal(0.02, 0.02, 10)
    assert corrected_p_value(differences, 10) > ttest_1samp(differences, 0).pvalue


def test_folds_without_a_class_are_left_out_and_one_fold_says_nothing():
    some = np.array([0.10, np.nan, 0.04, 0.07])
    assert corrected_p_value(some, 4) == corrected_p_value(some[[0, 2, 3]], 4)
    assert corrected_p_value(np.array([0.1, np.nan]), 2) == 1
    assert corrected_p_value(np.zeros(3), 3) == 1
    assert corrected_p_value(np.full(4, 0.25), 4) == 0
