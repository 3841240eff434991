"""Scores of a part of the nuclei, with intervals over the same groups as the whole.

A stratum is any division of the nuclei: the acquisition, or whether the crop shows what its label
is about. The nuclei are counted by group and stratum, and a group that is left out is left out of
every stratum.
"""

from dataclasses import dataclass, replace

import numpy as np

from fathom.ground.arrays import Bools, Floats, Ints
from fathom.statistics.intervals import GroupWeights
from fathom.statistics.measures import decisions_by_seed, own_seeds, weighted
from fathom.statistics.scores import Cells, Study


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
