"""benchmarks/null_ladders.py on a few ladders: the numbers of docs/null-ladders.md are of many."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import null_ladders


@pytest.mark.parametrize("base", [0.0, 1 / 6, 0.5, 1.0])
def test_ladders_in_which_nothing_helps_seldom_name_a_cure(base):
    rng = np.random.default_rng(1)
    _, any_called, _ = null_ladders.called(rng, base, [base] * 5, 200, 5)
    assert any_called <= 0.05


def test_a_cure_that_frees_almost_all_is_found():
    rng = np.random.default_rng(1)
    each, _, networks = null_ladders.called(rng, 1 / 6, [0.98, *[1 / 6] * 4], 100, 5)
    assert each["0"] > 0.85
    assert networks < 6 * 12


def test_a_sequence_finds_nothing_behind_what_does_nothing():
    rng = np.random.default_rng(1)
    drawn = [null_ladders.Drawn(rng, 1 / 6, [1 / 6, 0.98]) for _ in range(40)]
    shared, sequence = (
        [climb(one)[0] for one in drawn]
        for climb in (lambda one: one.climbed(2), null_ladders.Drawn.in_sequence)
    )
    assert sum("1" in found for found in shared) > 30
    assert sum("1" in found for found in sequence) < 5
