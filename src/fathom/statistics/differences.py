"""Every run beside a reference: the differences, and what may be claimed of them.

All is paired: the same groups and seeds are left out of both runs.
"""

from collections.abc import Mapping

from fathom.ground.arrays import Floats
from fathom.statistics.claims import claims, detectable
from fathom.statistics.intervals import (
    Design,
    Numbers,
    difference_interval,
    spread,
)
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
