"""When networks left the plateau: medians, and an exact test of arms of one rate and budget."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import inf

import numpy as np
from scipy.stats import rankdata

Epochs = Sequence[int | None]  # of each network; None: it did not leave


def median_epoch(epochs: Epochs) -> float:
    """Return the median epoch at which networks left; infinite where the median never did."""
    return float(np.median(_ordered(epochs))) if epochs else inf


def earlier_p_value(
    base: Epochs, base_folds: Sequence[int], arm: Epochs, arm_folds: Sequence[int]
) -> float:
    """Return the one-sided p value that the arm leaves earlier than the base, by ranks.

    An exact permutation of the ranks within folds: networks of one fold share their nuclei. A
    network that did not leave comes last, tied with its like. Only arms of the same learning rate
    and number of epochs may be compared. 1 where no fold has networks of both.
    """
    sums, observed = Counter({0: 1}), 0
    for fold in sorted(set(base_folds) & set(arm_folds)):
        before = [epoch for epoch, one in zip(base, base_folds, strict=True) if one == fold]
        after = [epoch for epoch, one in zip(arm, arm_folds, strict=True) if one == fold]
        # Twice the ranks: whole numbers, ties included.
        ranks = (2 * rankdata([*_ordered(after), *_ordered(before)])).astype(int).tolist()
        observed += sum(ranks[: len(after)])
        own = Counter(sum(chosen) for chosen in combinations(ranks, len(after)))
        sums = _added(sums, own)
    total = sum(sums.values())
    return sum(number for value, number in sums.items() if value <= observed) / total


def _added(one: Counter[int], other: Counter[int]) -> Counter[int]:
    """Return the counts of the sums of two independent counts."""
    found: Counter[int] = Counter()
    for a, n in one.items():
        for b, m in other.items():
            found[a + b] += n * m
    return found


def _ordered(epochs: Epochs) -> list[float]:
    return [inf if epoch is None else float(epoch) for epoch in epochs]
