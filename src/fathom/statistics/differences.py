"""Every run beside a reference: the differences, what may be claimed of them, second opinions.

All is paired: the same groups and seeds are left out of both runs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fathom.ground.arrays import Floats
from fathom.statistics.claims import claims, detectable
from fathom.statistics.improvement import group_scores, probability_of_improvement
from fathom.statistics.intervals import (
    Design,
    Interval,
    Numbers,
    difference_interval,
    leave_out,
    share_interval,
    spread,
)
from fathom.statistics.measures import decisions_by_seed, own_seeds, seeds_of
from fathom.statistics.metrics import balanced_accuracy
from fathom.statistics.resampled_t import corrected_p_value
from fathom.statistics.scores import Cells


def to_reference(
    reference: str,
    called: str,
    everyone: Mapping[str, Cells],
    measured: Mapping[str, Mapping[str, Floats]],
    design: Design,
    confidence: float,
) -> dict[str, Numbers]:
    """Return, by run, the numbers of everyone but the reference beside it.

    `measured` is what `fathom.statistics.measures.measures_of` gives of everyone for
    `leave_out(design)`; the reference is `called` first or baseline in the names of the numbers.
    """
    numbers: dict[str, Numbers] = {name: {} for name in everyone if name != reference}
    key = f"difference_to_{called}"
    for prefix, of in (("", "balanced_accuracy"), ("auroc_", "auroc")):
        one = {name: measures[of] for name, measures in measured.items()}
        found = claimed_differences(one, reference, f"{prefix}{key}", design, confidence)
        for name, claimed in found.items():
            numbers[name] |= claimed
    other = everyone[reference]
    for name, beside in numbers.items():
        beside[f"{key}_corrected_t_p"] = corrected_t(everyone[name], other, design.groups)
        better = improvement(everyone[name], other, design, confidence)
        beside.update(better.named(f"improvement_on_{called}"))
    return numbers


def claimed_differences(
    measured: Mapping[str, Floats], reference: str, key: str, design: Design, confidence: float
) -> dict[str, Numbers]:
    """Return, by run, its difference to the reference under the name `key`, and the claim.

    `measured` holds one measure of every run, for each row of
    `fathom.statistics.intervals.leave_out`. Holm's correction is over all of them.
    """
    apart = {
        name: spread(values - measured[reference], design)
        for name, values in measured.items()
        if name != reference
    }
    # Holm asks this of the first of them.
    strictest = 1 - (1 - confidence) / max(len(apart), 1)
    numbers: dict[str, Numbers] = {}
    for name, claim in claims(apart, confidence).items():
        found = difference_interval(apart[name], confidence)
        numbers[name] = {
            **found.named(key),
            f"{key}_p": claim.p_value,
            f"{key}_p_holm": claim.p_holm,
            f"{key}_claim": claim.says,
            f"{key}_detectable": detectable(apart[name], strictest),
        }
    return numbers


def corrected_t(one: Cells, other: Cells, groups: int) -> float:
    """Return the p value of the corrected resampled t test on balanced accuracy.

    Cells are paired by fold and seed. A run of one seed is paired with every seed of the other.
    """
    scores, rivals = _fold_scores(one, groups), _fold_scores(other, groups)
    pairs = _paired(seeds_of([one]), seeds_of([other]))
    folds = sorted({cell.fold for cell in one} & {cell.fold for cell in other})
    apart = [scores[fold, a] - rivals[fold, b] for fold in folds for a, b in pairs]
    return corrected_p_value(np.array(apart), len(folds))


def improvement(one: Cells, other: Cells, design: Design, confidence: float) -> Interval:
    """Return the probability that in a group `one` does better than `other`, with its interval."""
    weights = leave_out(design)
    seeds, other_seeds = (
        np.column_stack(list(own_seeds(cells, weights).values())) for cells in (one, other)
    )
    values = probability_of_improvement(
        _scores_of_groups(one, design.groups),
        _scores_of_groups(other, design.groups),
        weights.groups,
        seeds,
        other_seeds,
    )
    return share_interval(values, design, confidence)


def _scores_of_groups(cells: Cells, groups: int) -> Floats:
    """Return `group_scores` of each seed, ascending: (seeds, groups)."""
    counts = decisions_by_seed(cells, groups)
    return group_scores(np.stack([counts[seed] for seed in seeds_of([cells])]))


def _fold_scores(cells: Cells, groups: int) -> dict[tuple[int, int], Floats]:
    return {
        (cell.fold, cell.seed): balanced_accuracy(
            cell.test.counts(cell.threshold, groups).sum(axis=0)
        )
        for cell in cells
    }


def _paired(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int]]:
    if len(one) == 1 or len(other) == 1:
        return [(a, b) for a in one for b in other]
    return [(seed, seed) for seed in one if seed in other]
