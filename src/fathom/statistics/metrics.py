"""What is measured of a classifier: numpy only, but for an interval.

Counts are kept as an array whose last axis is (true positive, false negative, true negative,
false positive), so that one function serves a network and every group left out.
A share whose class is absent is NaN, never a warning.
"""

import numpy as np
import numpy.typing as npt

from fathom.ground.arrays import Bools, Floats, Ints
from fathom.ground.errors import FathomError

EVEN = 0.5  # the threshold where nothing speaks for another


def choose_threshold(probability: Floats, positive: Bools) -> float:
    """Return the threshold with the highest balanced accuracy; `probability >= it` is positive.

    Candidates lie midway between neighbouring distinct probabilities; of several that are equally
    good the one nearest .5 is taken. Probabilities that are all equal give .5.

    Parameters
    ----------
    probability : (n,) float64
    positive : (n,) bool, both classes present

    Raises
    ------
    FathomError
        Where a class is absent or a probability is not a finite number.
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise FathomError(
            f"a threshold needs nuclei of both classes; there are {positives} positive and "
            f"{negatives} negative ones"
        )
    if not np.isfinite(probability).all():
        raise FathomError(
            "a probability is not a finite number: the network diverged; lower its learning rate"
        )
    values, place = np.unique(probability, return_inverse=True)
    if len(values) == 1:
        return EVEN
    below, above = values[:-1], values[1:]
    # Between two adjacent floats the midpoint rounds onto one of them; `above` splits the same.
    middle = below + (above - below) / 2
    middle = np.where(middle > below, middle, above)
    missed = np.cumsum(np.bincount(place, weights=positive))[:-1]
    rejected = np.cumsum(np.bincount(place, weights=~positive))[:-1]
    # Twice the balanced accuracy times positives x negatives: whole numbers, so ties are exact.
    score = (positives - missed) * negatives + rejected * positives
    best = middle[score == score.max()]
    return float(best[np.argmin(np.abs(best - EVEN))])


def counts_by_group(decision: Floats, positive: Bools, group: Ints, groups: int) -> Floats:
    """Count decisions by group: (groups, 4) float64.

    Parameters
    ----------
    decision : (n,) float64
        1 for positive, 0 for negative, .5 for neither: it counts half to each.
    positive : (n,) bool, the truth
    group : (n,) int64 in 0..groups-1
    """
    columns = (
        decision * positive,
        (1 - decision) * positive,
        (1 - decision) * ~positive,
        decision * ~positive,
    )
    return np.column_stack([np.bincount(group, column, groups) for column in columns])


def sensitivity(counts: Floats) -> Floats:
    """Return the share of the positive that is found: (..., 4) -> (...)."""
    return share(counts[..., 0], counts[..., 0] + counts[..., 1])


def specificity(counts: Floats) -> Floats:
    """Return the share of the negative that is recognised: (..., 4) -> (...)."""
    return share(counts[..., 2], counts[..., 2] + counts[..., 3])


def balanced_accuracy(counts: Floats) -> Floats:
    """Return the mean of sensitivity and specificity: (..., 4) -> (...)."""
    return (sensitivity(counts) + specificity(counts)) / 2


def balanced_accuracy_of(decision: Bools, positive: Bools) -> float:
    """Return the balanced accuracy of decisions, (n,) each; NaN where a class is absent."""
    together = np.zeros(len(positive), dtype=np.int64)
    counts = counts_by_group(decision.astype(np.float64), positive, together, 1)
    return float(balanced_accuracy(counts)[0])


def ordered_pairs(probability: Floats, positive: Bools, group: Ints, groups: int) -> Floats:
    """Count the pairs of a positive and a negative nucleus that are in the right order.

    Parameters
    ----------
    probability : (n,) float64
    positive : (n,) bool
    group : (n,) int64 in 0..groups-1

    Returns
    -------
    (groups, groups) float64
        In row g and column h the positive nuclei of group g against the negative ones of group h;
        a tie counts half. The sum over all pairs is the Mann-Whitney U statistic.
    """
    found, found_group = probability[positive], group[positive]
    pairs = np.zeros((groups, groups))
    for other in np.unique(group[~positive]):
        rivals = np.sort(probability[~positive & (group == other)])
        lower = np.searchsorted(rivals, found, side="left")
        not_higher = np.searchsorted(rivals, found, side="right")
        pairs[:, other] = np.bincount(found_group, (lower + not_higher) / 2, groups)
    return pairs


def share(part: Floats, whole: npt.ArrayLike) -> Floats:
    """Return part / whole, NaN where the whole is 0."""
    whole = np.broadcast_to(np.asarray(whole, dtype=np.float64), part.shape)
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def wilson_interval(count: int, whole: int, confidence: float) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22:209); `whole` > 0."""
    from scipy.stats import binomtest  # noqa: PLC0415  half a second, which no start waits for

    found = binomtest(count, whole).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)
