from math import log, nan

import numpy as np
import pytest

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
