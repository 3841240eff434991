from math import nan

import numpy as np
import pytest
from test_verdict import FALLING

from fathom.diagnosis.findings import extrapolated


def test_a_power_law_is_extrapolated_exactly():
    now, later, high = extrapolated(np.array(FALLING), 3, 0.95)
    assert now == pytest.approx(FALLING[-1])
    assert later == pytest.approx(0.7 * 120**-0.4)
    assert high == pytest.approx(later, rel=1e-6)


def test_a_loss_that_has_just_begun_to_fall_is_extrapolated_by_the_epoch():
    losses = 0.69 * np.exp(-0.01 * np.arange(1, 13))
    now, later, high = extrapolated(losses, 3, 0.95)
    assert (now, later) == pytest.approx((losses[-1], 0.69 * np.exp(-0.36)))
    assert high == pytest.approx(later, rel=1e-6)


def test_the_interval_of_an_extrapolation_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    epochs = np.arange(1, 41)
    held = []
    for _ in range(400):
        losses = 0.7 * epochs**-0.3 * np.exp(rng.normal(0, 0.05, 40))
        _, _later, high = extrapolated(losses, 3, 0.9)
        truth = 0.7 * 120**-0.3 * np.exp(rng.normal(0, 0.05))
        held.append(truth <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)  # one side of 90 %


@pytest.mark.parametrize("losses", [[], [nan] * 20, [0.7, 0.6], [0.7] * 10 + [nan] * 10])
def test_a_curve_that_says_nothing_promises_no_fall(losses):
    now, later, high = extrapolated(np.array(losses), 3, 0.95)
    assert now == later == high
