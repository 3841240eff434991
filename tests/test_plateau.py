from math import log, nan

import numpy as np
import pytest

from fathom.diagnosis.leaving_epochs import earlier_p_value, median_epoch
from fathom.study.plateau import constant_loss, fell_back, left_at

HALF = log(2)


def test_the_best_constant_answer_has_the_loss_of_the_class_shares():
    """The minimum over all constants of the mean cross-entropy, by search."""
    answers = np.linspace(0.001, 0.999, 999)
    for share in (0.5, 0.8, 0.94):
        losses = -share * np.log(answers) - (1 - share) * np.log(1 - answers)
        assert constant_loss(share, "none") == pytest.approx(losses.min(), abs=1e-6)
        weighted = -0.5 * np.log(answers) - 0.5 * np.log(1 - answers)
        assert constant_loss(share, "balanced") == pytest.approx(weighted.min(), abs=1e-6)
    assert constant_loss(1.0, "none") == 0


def test_a_network_left_at_the_first_epoch_whose_mean_of_three_is_two_percent_lower():
    just = 0.98 * HALF
    assert left_at([HALF, HALF, just, just, just - 1e-9], HALF) == 5
    assert left_at([HALF, HALF, just, just, just + 1e-6], HALF) is None
    # One epoch that jumps is not enough; a deep one carries the two beside it.
    assert left_at([HALF, HALF, 0.67, HALF, HALF], HALF) is None
    assert left_at([0.5, 0.5], HALF) is None


def test_the_plateau_of_unlike_classes_is_lower():
    losses = [0.23] * 6
    assert left_at(losses, constant_loss(0.94, "none")) is None
    assert left_at(losses, constant_loss(0.5, "none")) == 3


def test_a_diverged_network_has_not_left():
    assert left_at([HALF, nan, nan, nan], HALF) is None
    assert left_at([0.5, 0.5, 0.5, nan], HALF) == 3


def test_a_network_that_is_on_the_plateau_again_fell_back():
    assert fell_back([0.6] * 5 + [HALF] * 3, HALF)
    assert fell_back([0.6] * 5 + [nan], HALF)
    assert not fell_back([0.6] * 5, HALF)
    assert not fell_back([HALF] * 8, HALF)


def test_the_median_epoch_counts_those_that_never_left():
    assert median_epoch([4, 8, None]) == 8
    assert median_epoch([4, None, None]) == np.inf
    assert median_epoch([4, 6]) == 5


def test_epochs_are_permuted_within_folds():
    """Two folds of two networks an arm: 6 x 6 permutations, of which one is as extreme."""
    base, arm = [30, 31, 60, 61], [10, 11, 40, 41]
    folds = [0, 0, 1, 1]
    assert earlier_p_value(base, folds, arm, folds) == pytest.approx(1 / 36)
    assert earlier_p_value(arm, folds, base, folds) == 1
    # Without regard to folds the arms overlap: the stratified test sees more.
    assert earlier_p_value([None, None], [0, 0], [5, 6], [0, 0]) == pytest.approx(1 / 6)
    assert earlier_p_value([None], [0], [None], [0]) == 1
    assert earlier_p_value([5], [0], [1], [1]) == 1


def test_epochs_of_arms_that_do_not_differ_are_seldom_called_earlier():
    rng = np.random.default_rng(0)
    folds = [0, 1, 2] * 4
    found = [
        earlier_p_value(
            rng.integers(10, 30, 12).tolist(), folds, rng.integers(10, 30, 12).tolist(), folds
        )
        for _ in range(300)
    ]
    assert np.mean(np.array(found) <= 0.1) <= 0.14
