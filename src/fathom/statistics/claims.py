"""When "A is better than B" may be said, and what a study of this size could have found.

A difference is claimed where its interval excludes 0 after Holm's correction (Holm 1979, Scand. J.
Stat. 6:65), so that among all architectures that are compared with one reference by one measure a
single false claim is made in at most 5 % of studies, whatever their number and however alike they
are. By two measures, balanced accuracy and AUROC, it is up to twice as many. All is paired: the
same groups and seeds are left out of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct

from fathom.ground.arrays import Floats
from fathom.statistics.intervals import (
    Design,
    Numbers,
    Spread,
    difference_interval,
    quantile,
    spread,
)
from fathom.statistics.scores import Cells

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


def holm(p_values: Floats, weights: Floats | None = None) -> Floats:
    """Return Holm's adjusted p values: (tests,), in the order given.

    `weights` (tests,) are the parts of the level, fixed beforehand (Holm 1979, section 4); without
    them all have the same.
    """
    parts = np.ones(len(p_values)) if weights is None else weights
    order = np.argsort(p_values / parts, kind="stable")
    left = np.cumsum(parts[order][::-1])[::-1]  # of the tests that were not rejected before
    stepped = p_values[order] / parts[order] * left
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
            **found.as_numbers(key),
            f"{key}_p": claim.p_value,
            f"{key}_p_holm": claim.p_holm,
            f"{key}_claim": claim.says,
            f"{key}_detectable": detectable(apart[name], strictest),
        }
    return numbers
