"""What a diagnosis looks at, and the limits that params.yaml sets it."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fathom.diagnosis.data_faults import NO_FAULTS, DataFaults
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
    exploding_growth: Positive
    large_input: Positive
    large_step: Positive
    small_batch: Annotated[int, Field(ge=2)]
    large_update: Positive
    small_update: Positive
    silent: Share
    overfitting_gap: Share
    majority: Share
    falling_loss: NonNegative


@dataclass(frozen=True)
class Case:
    """A network, and all that was trained to understand it, on the same folds and seeds."""

    base: Evidence
    shallower: tuple[Evidence, ...]  # of fewer layers, under the same recipe
    ladder: tuple[Evidence, ...]  # the base with one thing changed each, controls included
    crop_px: int
    faults: DataFaults = NO_FAULTS
    cures_allowed: int = 1  # arms that the budget allowed before the first was trained
