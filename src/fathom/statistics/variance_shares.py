"""What makes scores differ: patients, folds, seeds, architectures, and how much each.

Every score is a sum of random effects, one a level of each factor, and a rest. Their variances are
estimated by MINQUE(0), quadratic unbiased estimation with the identity as prior (Rao 1971,
J. Multivar. Anal. 1:445; Hartley, Rao & LaMotte 1978, Biometrics 34:233): closed form, unbiased
for any sizes of the factors' levels, and for balanced data the estimates of an analysis of
variance. It is equations between tables of counts, a row and a column a factor, so 100,000 scores
are no burden.
"""

from collections.abc import Mapping

import numpy as np

from fathom.ground.arrays import Floats, Ints
from fathom.ground.errors import FathomError

REST = "rest"


def variance_components(scores: Floats, factors: Mapping[str, Ints]) -> dict[str, float]:
    """Return the variance of each factor and of the rest; an estimate can be negative.

    Parameters
    ----------
    scores : (n,) float64
    factors : of each name, (n,) int64, the level of each score

    Raises
    ------
    FathomError
        Where the scores cannot tell two factors apart, or one factor from the rest.
    """
    codes = [np.unique(level, return_inverse=True)[1] for level in factors.values()]
    codes.append(np.arange(len(scores)))
    size = len(codes)
    centred = scores - scores.mean()
    left, right = np.empty((size, size)), np.empty(size)
    for row, one in enumerate(codes):
        right[row] = np.square(np.bincount(one, centred)).sum()
        for column, other in enumerate(codes[: row + 1]):
            left[row, column] = left[column, row] = _overlap(one, other)
    if np.linalg.matrix_rank(left) < size:
        raise FathomError(
            f"these scores cannot tell apart the variances of {', '.join(factors)}: "
            "leave one of them out"
        )
    found = np.linalg.solve(left, right)
    return dict(zip((*factors, REST), found.tolist(), strict=True))


def variance_shares(scores: Floats, factors: Mapping[str, Ints]) -> dict[str, float]:
    """Return each factor's share of the variance and that of the rest; negative ones count as 0."""
    found = {name: max(value, 0) for name, value in variance_components(scores, factors).items()}
    total = sum(found.values())
    return {name: value / total if total else 0.0 for name, value in found.items()}


def _overlap(one: Ints, other: Ints) -> float:
    """Return the squared norm of Z1' M Z2, Z the factors' indicators and M the centring matrix.

    Z1' M Z2 is C - E, C the table of counts and E what it would be were the factors independent.
    Only cells of C that are not 0 are kept, so |C - E|^2 is taken as C.C - 2 C.E + E.E.
    """
    n = len(one)
    _, cell, counts = np.unique(
        one * (other.max() + 1) + other, return_index=True, return_counts=True
    )
    of_one, of_other = np.bincount(one) / n, np.bincount(other) / n
    expected = n * of_one[one[cell]] * of_other[other[cell]]
    both = np.square(of_one).sum() * np.square(of_other).sum() * n**2
    return float(np.square(counts).sum() - 2 * (counts * expected).sum() + both)
