"""Where the scores of a study differ: between patients, folds, seeds or architectures.

A score is what one network makes of one group (`fathom.statistics.improvement.group_scores`). A
fold is a property of its groups, a seed one of a network: another seed is drawn for each run and
fold. So with one seed the luck of training is part of the rest, as is what an architecture makes of
one patient in particular.
"""

from collections.abc import Mapping

import numpy as np

from fathom.ground.arrays import Ints
from fathom.statistics.improvement import group_scores
from fathom.statistics.intervals import Numbers
from fathom.statistics.measures import decisions_by_seed, seeds_of
from fathom.statistics.scores import Cells
from fathom.statistics.variance_shares import variance_shares


def study_variance(runs: Mapping[str, Cells], groups: int) -> Numbers:
    """Return the share of variance of each factor, `variance_share_<factor>`, and of the rest.

    A factor is left out where there is one of it, folds where each holds a single group, and
    groups where each has a single score.
    """
    fold_of = np.full(groups, -1)
    for cell in next(iter(runs.values())):
        fold_of[cell.test.group] = cell.fold
    tested = np.flatnonzero(fold_of >= 0)
    scores, rows = [], []
    for number, cells in enumerate(runs.values()):
        counts = decisions_by_seed(cells, groups)
        for seed in seeds_of([cells]):
            scores.append(group_scores(counts[seed])[tested])
            rows.append(np.column_stack(np.broadcast_arrays(number, seed, fold_of[tested], tested)))
    run, seed, fold, group = np.concatenate(rows).T
    factors: dict[str, Ints] = {}
    if len(runs) > 1:
        factors["architectures"] = run
    if 1 < len(np.unique(fold)) < len(tested):
        factors["folds"] = fold
    # With one score a group, what is the group's and what is left over are the same.
    if len(group) > len(tested):
        factors["groups"] = group
    if len(np.unique(seed)) > 1:
        network = np.column_stack([run, seed, fold])
        factors["seeds"] = np.unique(network, axis=0, return_inverse=True)[1].ravel()
    shares = variance_shares(np.concatenate(scores), factors)
    return {f"variance_share_{name}": value for name, value in shares.items()}
