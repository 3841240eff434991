"""Decisions on the nuclei of patients who differ, counted by patient."""

import numpy as np
from scipy.special import expit, logit


def group_counts(rng, groups, accuracy, spread=0.5):
    """Counts of `groups` patients of uneven size and difficulty, which both classes share."""
    sizes = rng.integers(20, 60, (groups, 2))
    shift = rng.normal(0, spread, (groups, 2))
    found = rng.binomial(sizes, expit(logit(accuracy) + shift))
    return np.column_stack(
        [found[:, 0], sizes[:, 0] - found[:, 0], found[:, 1], sizes[:, 1] - found[:, 1]]
    ).astype(float)
