"""When "A is better than B" may be said, and what a study of this size could have found.

A difference is claimed where its interval excludes 0 after Holm's correction (Holm 1979, Scand. J.
Stat. 6:65), so that among all architectures that are compared with one reference a single false
claim is made in at most 5 % of studies, whatever their number and however alike they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct

from fathom.ground.arrays import Floats
from fathom.statistics.intervals import Spread, quantile

POWER = 0.8  # the convention since Cohen 1988: four studies of five find a difference of this size


@dataclass(frozen=True)
class Claim:
    """What may be said of one difference."""

    p_value: float  # of it alone
    p_holm: float  # among all that are compared with the same reference
    says: int  # 1: better, -1: worse, 0: nothing is claimed


def claims(differences: Mapping[str, Spread], confidence: float) -> dict[str, Claim]:
    """Return what may be said of each of the differences to one reference."""
    alone = np.array([found.p_value() for found in differences.values()])
    return {
        name: Claim(
            float(p_value),
            float(p_holm),
            int(np.sign(found.estimate)) if p_holm < 1 - confidence else 0,
        )
        for (name, found), p_value, p_holm in zip(
            differences.items(), alone, holm(alone), strict=True
        )
    }


def holm(p_values: Floats) -> Floats:
    """Return Holm's adjusted p values: (tests,), in the order given."""
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def detectable(found: Spread, confidence: float) -> float:
    """Return the smallest true difference whose interval excludes 0 in `POWER` of such studies.

    From the non-central t distribution and the standard error that was observed; at most 1, which
    is the largest difference there is. The chance of a claim on the wrong side is left out: under
    1e-5 at this power. Over several comparisons give the confidence that Holm asks
    of the first of them, 1 - (1 - confidence) / comparisons.
    """
    error, df = max(
        found.errors, key=lambda each: each[0] * quantile(each[1], confidence) if each[0] else 0
    )
    if not error:
        return 0.0
    bound = quantile(df, confidence)
    if not np.isfinite(bound * error):
        return 1.0

    def lacking(shift: float) -> float:
        return float(nct.sf(bound, df, shift) - POWER)

    return min(1.0, error * float(brentq(lacking, 0, 3 * bound + 10)))
