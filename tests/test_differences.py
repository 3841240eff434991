import numpy as np
import pytest

from fathom.statistics.differences import claimed_differences
from fathom.statistics.intervals import Design, leave_out


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
