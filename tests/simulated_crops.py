"""Small crops with a known answer, and cells to train on them."""

from pathlib import Path

import numpy as np
import yaml

from fathom.networks.recipe import Recipe
from fathom.training.cell import Cell, Shown

PARAMS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))


def half_positive(n):
    return np.arange(n) % 2 == 0


def crops_of(targets, side=12):
    """Return a grey disc on black a target; the positive ones carry a bright spot."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(y, x) < side * 0.45
    crops = np.zeros((len(targets), side, side, 1), dtype=np.uint8)
    crops[:, inside] = rng.integers(60, 120, (len(targets), inside.sum(), 1))
    for number in np.flatnonzero(targets):
        row, column = rng.integers(side // 4, side // 2 + 1, 2)
        crops[number, row : row + 3, column : column + 3] = 250
    return crops


def shown_of(n):
    """Return n such crops, the even ones positive."""
    targets = half_positive(n)
    return Shown(crops_of(targets), targets)


class Forgetful:
    """A checkpoint that keeps nothing."""

    def load(self):
        return None

    def save(self, state):
        pass


def cell_of(n, line="8conv3x3 - mp2x2 - fc32 - o", **changes):
    """Return a cell that validates on the first 24 of n rows and trains on the others."""
    recipe = {**PARAMS["recipe"], "epochs": 4, "batch_size": 16, **changes}
    rows = {"train": np.arange(24, n), "validation": np.arange(24)}
    return Cell("tiny", 0, 0, line, Recipe.model_validate(recipe), rows)


def assert_same(one, other):
    """Assert that two trained cells are the same to the last bit."""
    assert repr(one.history) == repr(other.history)  # repr, because NaN differs from NaN
    assert one.probabilities.keys() == other.probabilities.keys()
    for part, probabilities in one.probabilities.items():
        assert probabilities.tobytes() == other.probabilities[part].tobytes(), part
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        found = other.weights[name]
        assert (weight.dtype, weight.shape) == (found.dtype, found.shape), name
        assert weight.tobytes() == found.tobytes(), name
    assert repr(one.probes) == repr(other.probes)
