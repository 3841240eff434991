"""What is measured of a run, for any weights of groups and seeds: the data, a draw, one left out.

Balanced accuracy, sensitivity and specificity count the decisions of all test folds together,
each fold's and seed's at its own threshold. AUROC counts pairs of nuclei of the same fold and seed
only: probabilities of two networks are not comparable. Several seeds are counted together, which
averages them, for each has the same nuclei.

`validation_balanced_accuracy` is measured on the nuclei that chose the threshold and, with
`recipe.weights: best`, the epoch. It is optimistic: it serves to choose a run, never to report one.

A stratum is any division of the nuclei: the acquisition, or whether the crop shows what its label
is about. The nuclei are counted by group and stratum, and a group that is left out is left out of
every stratum: a part of the nuclei has intervals over the same groups as the whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fathom.ground.arrays import Bools, Floats, Ints
from fathom.statistics.intervals import GroupWeights
from fathom.statistics.metrics import (
    EVEN,
    balanced_accuracy,
    ordered_pairs,
    sensitivity,
    share,
    specificity,
)
from fathom.statistics.scores import Cells, Study

Counts = Mapping[int, Floats]  # of each seed: (groups, 4), see `fathom.statistics.metrics`


def seeds_of(runs: Iterable[Cells]) -> tuple[int, ...]:
    """Return the seeds of all runs together, ascending."""
    return tuple(sorted({cell.seed for cells in runs for cell in cells}))


def own_seeds(cells: Cells, weights: GroupWeights) -> dict[int, Floats]:
    """Return how often each of a run's own seeds counts, ascending: (rows,) each.

    A run of one seed, such as a statistical classifier, keeps it when others' seeds are left out.
    """
    own = seeds_of([cells])
    if len(own) == 1:
        return {own[0]: np.ones(len(weights.groups))}
    return {seed: weights.seeds[seed] for seed in own}


def decisions_by_seed(cells: Cells, groups: int) -> Counts:
    """Count the decisions on the test parts, by seed."""
    return _by_seed((cell.seed, cell.test.counts(cell.threshold, groups)) for cell in cells)


def measures_of(cells: Cells, weights: GroupWeights) -> dict[str, Floats]:
    """Compute every measure of a run for each row of weights.

    Parameters
    ----------
    cells : the run's
    weights : of the groups and of all seeds

    Returns
    -------
    dict of (rows,) float64
        NaN where a row lacks a class. What is added up are whole numbers and halves, so the sums
        are exact whatever the order in which a BLAS adds them.
    """
    groups = weights.groups.shape[1]
    of_seeds = own_seeds(cells, weights)
    validation = _by_seed((c.seed, c.validation.counts(c.threshold, groups)) for c in cells)
    train = _by_seed((c.seed, c.train.counts(EVEN, groups)) for c in cells)
    test = weighted(decisions_by_seed(cells, groups), of_seeds, weights.groups)
    return {
        "balanced_accuracy": balanced_accuracy(test),
        "auroc": _auroc(cells, of_seeds, weights.groups),
        "sensitivity": sensitivity(test),
        "specificity": specificity(test),
        # The classes are balanced in training: this is the plain accuracy of the training nuclei.
        # With a group left out they are not, and a plain accuracy would move with their share.
        "training_accuracy": balanced_accuracy(weighted(train, of_seeds, weights.groups)),
        "validation_balanced_accuracy": balanced_accuracy(
            weighted(validation, of_seeds, weights.groups)
        ),
    }


def weighted(counts: Counts, of_seeds: Mapping[int, Floats], groups: Floats) -> Floats:
    """Return the counts of each row of weights: (rows, 4)."""
    total = np.zeros((len(groups), 4))
    for seed, of_seed in of_seeds.items():
        total += of_seed[:, None] * (groups @ counts[seed])
    return total


def _by_seed(counts: Iterable[tuple[int, Floats]]) -> Counts:
    total: dict[int, Floats] = {}
    for seed, counted in counts:
        total[seed] = total[seed] + counted if seed in total else counted
    return total


def _auroc(cells: Cells, of_seeds: Mapping[int, Floats], groups: Floats) -> Floats:
    """Return the share of the pairs within cells that are in the right order: (rows,)."""
    ordered, pairs = np.zeros(len(groups)), np.zeros(len(groups))
    for cell in cells:
        test = cell.test
        present, group = np.unique(test.group, return_inverse=True)
        weights = groups[:, present]
        matrix = ordered_pairs(test.probability, test.positive, group, len(present))
        ordered += of_seeds[cell.seed] * ((weights @ matrix) * weights).sum(axis=1)
        positives = np.bincount(group, test.positive, len(present))
        negatives = np.bincount(group, ~test.positive, len(present))
        pairs += of_seeds[cell.seed] * (weights @ positives) * (weights @ negatives)
    return share(ordered, pairs)


@dataclass(frozen=True)
class Strata:
    """A study whose groups are those pairs of a group and a stratum that have a nucleus."""

    study: Study
    group: Ints  # (pairs,), of the study as it was
    stratum: Ints  # (pairs,), 0..strata-1

    def counts(self, cells: Cells, weights: GroupWeights, strata: Bools) -> Floats:
        """Count decisions on the test nuclei of some strata: (rows, 4).

        Parameters
        ----------
        cells : read with `self.study`
        weights : of the study's own groups, (rows, groups)
        strata : (strata,) bool
        """
        pairs = weights.groups[:, self.group] * strata[self.stratum]
        counts = decisions_by_seed(cells, len(self.group))
        return weighted(counts, own_seeds(cells, weights), pairs)


def stratified(study: Study, stratum: Ints) -> Strata:
    """Divide the nuclei of `study` by `stratum`, (n,) int64 from 0."""
    pairs, pair = np.unique(np.stack([study.group, stratum]), axis=1, return_inverse=True)
    group, of = pairs.astype(np.int64)
    return Strata(replace(study, group=pair.astype(np.int64), groups=len(group)), group, of)
