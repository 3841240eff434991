"""Bootstrap over groups and seeds: how far a number moves with other patients and other seeds.

Whole groups are drawn with replacement, never nuclei (the cluster bootstrap: Field & Welsh 2007,
J. R. Stat. Soc. B 69:369), and seeds independently of them, for every seed meets every group
(Owen 2007, Ann. Appl. Stat. 1:386). Every run is computed on the same draws, so a difference of two
is paired. The interval is the percentile one (Efron & Tibshirani 1993, chapter 13).

It is optimistic: with G groups too short by a factor of about sqrt((G - 1) / G), and more where
the numbers are skewed (Hesterberg 2015, Am. Stat. 69:371); S seeds as much again. It stands beside
the interval that is reported (`fathom.statistics.intervals`) as what other papers print.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.statistics.intervals import GroupWeights


@dataclass(frozen=True)
class Percentiles:
    """An estimate, its percentile interval and how many resamples could not give the number."""

    estimate: float
    low: float
    high: float
    degenerate: int


def draw_weights(groups: int, seeds: Sequence[int], resamples: int, seed: int) -> GroupWeights:
    """Return how often each group and each of `seeds` stands in each resample: 1 + resamples rows.

    Row 0 is the data themselves. The others are multinomial counts, the same as drawing with
    replacement and counting. The groups that are drawn do not depend on the number of seeds.
    """
    rng = np.random.default_rng(seed)
    drawn = _draw(rng, groups, resamples)
    return GroupWeights(drawn, dict(zip(seeds, _draw(rng, len(seeds), resamples).T, strict=True)))


def percentiles(values: Floats, confidence: float) -> Percentiles:
    """Return the percentile interval of a number that was computed for each row of `draw_weights`.

    Parameters
    ----------
    values : (1 + resamples,) float64
        The estimate, then one value a resample. NaN marks a resample without one of the classes;
        such resamples are left out of the interval and counted.
    confidence : float, such as .95

    Raises
    ------
    FathomError
        Where the estimate is missing, or every resample's value is.
    """
    estimate, resampled = values[0], values[1:]
    usable = resampled[np.isfinite(resampled)]
    if not np.isfinite(estimate) or not len(usable):
        raise FathomError("every draw of groups lacks a class: use a finer split.group")
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Percentiles(float(estimate), float(low), float(high), len(resampled) - len(usable))


def _draw(rng: np.random.Generator, units: int, resamples: int) -> Floats:
    drawn = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
    return np.vstack([np.ones(units), drawn])
