"""Probability of improvement: the share of groups in which one run beats another.

Agarwal et al. 2021 (NeurIPS, section 4.3, there of tasks): the chance that a run of A beats a run
of B on a group drawn at random, ties counting half; the mean over groups of the Mann-Whitney
statistic over their seeds. A mean difference can come from one group; this cannot.
"""

import numpy as np

from fathom.ground.arrays import Floats
from fathom.statistics.metrics import sensitivity, share, specificity

TIE = 1e-12  # scores that differ by less are equal: they are shares of whole numbers and halves


def group_scores(counts: Floats) -> Floats:
    """Return each group's balanced accuracy, the share of its one class where it has but one.

    (..., groups, 4) counts as in `fathom.statistics.metrics` -> (..., groups); NaN for a group
    without nuclei.
    """
    shares = np.stack([sensitivity(counts), specificity(counts)])
    there = np.isfinite(shares)
    return share(np.where(there, shares, 0).sum(axis=0), there.sum(axis=0))


def probability_of_improvement(
    one: Floats, other: Floats, groups: Floats, seeds: Floats, other_seeds: Floats
) -> Floats:
    """Return the probability that `one` beats `other`, for each row of weights: (rows,).

    Parameters
    ----------
    one, other : (seeds, groups) float64, each with its own number of seeds
        A group without a score on either side is left out.
    groups : (rows, groups) float64, how often each group counts
    seeds, other_seeds : (rows, seeds) float64, how often each seed of `one` and `other` counts
    """
    apart = one[:, None] - other[None]
    known = np.isfinite(apart).all(axis=(0, 1))
    wins = np.where(np.abs(apart) < TIE, 0.5, apart > 0)
    drawn = np.einsum("rs,rt,stg->rg", seeds, other_seeds, wins)
    pairs = seeds.sum(axis=1) * other_seeds.sum(axis=1)
    counted = groups * known
    return share((counted * drawn).sum(axis=1), counted.sum(axis=1) * pairs)
