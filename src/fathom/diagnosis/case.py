"""What a diagnosis looks at: networks, faults of the data, and the limits of params.yaml.

Of what the audit found, a waived error is a cause, and a warning that bears on the labels is said.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from fathom.audit.params import ON_LABELS
from fathom.diagnosis.evidence import Evidence
from fathom.ground.section import NonNegative, Positive, Section, Share


class Diagnosis(Section):
    """When a number counts as a finding, and an effect as a repair; params.yaml says more."""

    key: ClassVar[str] = "diagnosis"
    networks: Literal["worse"] | Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    budget: Annotated[int, Field(ge=0)]
    confidence: Share
    reliable: Share
    least_gain: Share
    least_recovery: Share
    visible_gain: Share
    fitted: Share
    lost_signal: Share
    vanishing_growth: Positive
    vanishing_gradient: Positive
    exploding_growth: Positive
    large_input: Positive
    large_step: Positive
    small_batch: Annotated[int, Field(ge=2)]
    large_update: Positive
    small_update: Positive
    silent: Share
    overfitting_gap: Share
    majority: Share
    strong_dropout: Share
    strong_decay: Positive
    falling_loss: NonNegative


@dataclass(frozen=True)
class DataFaults:
    """Findings of the audit, one sentence each, with the reason of those that were waived."""

    errors: tuple[str, ...] = ()  # waived, or the pipeline would have stopped
    warnings: tuple[str, ...] = ()  # of the checks in `fathom.audit.params.ON_LABELS`


NO_FAULTS = DataFaults()


@dataclass(frozen=True)
class Case:
    """A network, and all that was trained to understand it, on the same folds and seeds."""

    base: Evidence
    shallower: tuple[Evidence, ...]  # of fewer layers, under the same recipe
    ladder: tuple[Evidence, ...]  # the base with one thing changed each, controls included
    crop_px: int
    faults: DataFaults = NO_FAULTS
    cures_allowed: int = 1  # arms that the budget allowed before the first was trained
    called_for: frozenset[str] = frozenset()  # those of them that a finding called for then
    taken: frozenset[str] = frozenset()  # names of all rows of params.yaml


def data_faults(findings: pd.DataFrame) -> DataFaults:
    """Return what `fathom.audit.findings.read_findings` read, so far as a verdict must say it."""
    errors = findings[findings["severity"] == "error"]
    warnings = findings[(findings["severity"] != "error") & findings["check"].isin(ON_LABELS)]
    return DataFaults(_sentences(errors), _sentences(warnings))


def _sentences(findings: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"{row['name']}: {row['what']}" + (f" (waived: {row['waived']})" if row["waived"] else "")
        for row in findings.to_dict("records")
    )
