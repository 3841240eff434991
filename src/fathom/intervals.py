"""Bootstrap over groups: how far a number would move with other slides or patients.

Nuclei of one slide resemble each other, so whole groups are drawn with replacement, never nuclei
(the cluster bootstrap: Field & Welsh 2007, J. R. Stat. Soc. B 69:369), and the interval is the
percentile one (Efron & Tibshirani 1993, chapter 13). Every run is computed on the same draws, so a
difference of two runs is paired: what both find hard cancels.

The interval is optimistic. With G groups it is too short by a factor of about sqrt((G - 1) / G) and
more where the numbers are skewed (Hesterberg 2015, Am. Stat. 69:371); of one group it has no width.
And the networks are held fixed while test nuclei are drawn: how far a number would move had the
network been trained on other slides, or from another seed, is not in it.
"""

from dataclasses import dataclass

import numpy as np

from fathom.errors import FathomError
from fathom.metrics import Floats


@dataclass(frozen=True)
class Interval:
    """An estimate, its percentile interval and how many resamples could not give the number."""

    estimate: float
    low: float
    high: float
    degenerate: int


def draw_groups(groups: int, resamples: int, seed: int) -> Floats:
    """Return how often each group stands in each resample: (1 + resamples, groups) float64.

    Row 0 is the data themselves, each group once. The others are multinomial counts, the same as
    drawing `groups` groups with replacement and counting them.
    """
    drawn = np.random.default_rng(seed).multinomial(
        groups, np.full(groups, 1 / groups), size=resamples
    )
    return np.vstack([np.ones(groups), drawn])


def interval(values: Floats, confidence: float) -> Interval:
    """Return the percentile interval of a number that was computed for each row of `draw_groups`.

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
    return Interval(float(estimate), float(low), float(high), len(resampled) - len(usable))
