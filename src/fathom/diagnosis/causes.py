"""Why a network is worse: the table of causes, each with what shows it, cures it and refutes it.

A finding is a property of a network; a cause needs a cure. So every row names what can be seen
without another training (`finding`) and the kinds of intervention that must then repair it
(`cures`, keys of `fathom.diagnosis.ladder.CURES`). `fathom.diagnosis.verdict` goes through the rows
from top to bottom.

Thresholds stand in params.yaml (`diagnosis`). They were set on simulated networks
(benchmarks/planted_causes.py), never on the default data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from fathom.diagnosis.data_faults import NO_FAULTS, DataFaults
from fathom.diagnosis.effects import effect
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.learning_curve import extrapolated
from fathom.ground.section import NonNegative, Positive, Section, Share
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost

SymptomNumbers = dict[str, float]


class Diagnosis(Section):
    """When a number counts as a finding, and an effect as a repair; params.yaml says more."""

    key: ClassVar[str] = "diagnosis"
    networks: Literal["worse"] | Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    confidence: Share
    least_gain: Share
    least_recovery: Share
    visible_gain: Share
    fitted: Share
    lost_signal: Share
    vanishing_growth: Positive
    exploding_growth: Positive
    large_input: Positive
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


Symptom = Callable[[Case, Diagnosis], SymptomNumbers | None]


@dataclass(frozen=True)
class Cause:
    """A row of the table."""

    name: str
    finding: Symptom  # the numbers that show it, or None
    cures: tuple[str, ...]  # none: the finding is the cause
    refuted_by: str
    source: str
    cure_proves: bool = False  # a cure that repairs is proof, without the finding


def _pooled_away(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    beyond = cost(parse(case.base.plan.line), 1, case.crop_px).kernels_beyond_map
    return {"kernels larger than their map": beyond} if beyond else None


def _input_scale(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    rms = case.base.median("input_rms")
    return {"RMS of the input": rms} if rms > limits.large_input else None


def _no_signal(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    signal, growth = case.base.median("signal"), case.base.median("growth")
    found = {
        "signal in the last hidden layer at the start": signal,
        "growth of the signal through the layers at the start": growth,
    }
    return found if signal < limits.lost_signal or growth < limits.vanishing_growth else None


def _explodes(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    growth = case.base.median("growth")
    found = {"growth of the signal through the layers at the start": growth}
    return found if growth > limits.exploding_growth else None


def _rate_too_high(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    base = case.base
    found = {
        "relative change of the weights in the first step": base.median("first_update"),
        "silent units of the last hidden layer at the end": base.median("silent"),
        "signal in the last hidden layer at the end": base.median("signal_end"),
        "share of networks with a constant output": base.share("constant"),
        "share of networks that diverged": float(
            np.mean([_diverged(c.losses) for c in base.cells])
        ),
    }
    shown = (
        base.median("first_update") > limits.large_update
        or base.median("silent") > limits.silent
        or base.median("signal_end") < limits.lost_signal
        or base.share("constant") > 0
        or any(_diverged(cell.losses) for cell in base.cells)
    )
    return found if shown else None


def _rate_too_low(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    update = case.base.median("first_update")
    found = {"relative change of the weights in the first step": update}
    return found if update < limits.small_update else None


def _dropout(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    rate = case.base.plan.recipe.dropout
    return {"dropout": rate} if rate > 0 else None


def _weight_decay(case: Case, _: Diagnosis) -> SymptomNumbers | None:
    decay = case.base.plan.recipe.weight_decay
    return {"weight decay": decay} if decay > 0 else None


def _imbalance(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    majority, constant = case.base.median("majority"), case.base.share("one_class")
    found = {
        "share of the larger class in training": majority,
        "share of networks that answer one class": constant,
    }
    return found if majority > limits.majority and constant > 0 else None


def _stopped_early(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    """Extrapolate the training loss to three times the epochs; see `extrapolated`."""
    curves = [extrapolated(np.array(cell.losses), 3, 0.95) for cell in case.base.cells]
    falls = [1 - high / now for now, _, high in curves if now > 0]
    fall = float(np.median(falls)) if falls else 0.0
    found = {"sure fall of the training loss in three times the epochs, share": fall}
    return found if fall > limits.falling_loss else None


def _degradation(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    healthy = (
        case.base.median("signal") >= limits.lost_signal
        and case.base.median("growth") <= limits.exploding_growth
    )
    if not case.shallower or not healthy:
        return None
    best = max(case.shallower, key=lambda one: one.median("train_accuracy"))
    found = effect(best, case.base, "train_accuracy", limits.confidence)
    if not found.is_below or -found.estimate < limits.least_gain:
        return None
    numbers = {
        f"training accuracy against {best.name}": found.estimate,
        "signal in the last hidden layer at the start": case.base.median("signal"),
    }
    skips = [row.median("identity_distance") for row in case.ladder]
    if distances := [value for value in skips if not isnan(value)]:
        numbers["|F(x)| / |x| of the blocks with skips"] = min(distances)
    return numbers


def _overfitting(case: Case, limits: Diagnosis) -> SymptomNumbers | None:
    train, validation = case.base.median("train_accuracy"), case.base.median("validation")
    found = {"training accuracy": train, "validation balanced accuracy": validation}
    return found if train - validation > limits.overfitting_gap else None


def _diverged(losses: tuple[float, ...]) -> bool:
    return any(isnan(loss) for loss in losses)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "pooled away",
        _pooled_away,
        ("less pooling",),
        "the same convolutions on larger maps fit the training nuclei no better",
        "arithmetic of the line: a kernel larger than its map meets padding",
    ),
    Cause(
        "input scale",
        _input_scale,
        ("another input scale",),
        "inputs of the order of 1 train no better",
        "LeCun et al. 1998, Efficient BackProp, section 4.3",
    ),
    Cause(
        "no signal reaches the output at initialisation",
        _no_signal,
        ("another initialisation", "a norm"),
        "an initialisation or a norm that keeps the signal trains no better",
        "Glorot & Bengio 2010; He et al. 2015, Delving deep into rectifiers",
    ),
    Cause(
        "signal explodes",
        _explodes,
        ("another initialisation", "a norm"),
        "an initialisation or a norm that bounds the signal trains no better",
        "Glorot & Bengio 2010; Mishkin & Matas 2016",
    ),
    Cause(
        "learning rate too high",
        _rate_too_high,
        ("a lower learning rate",),
        "a tenth and a hundredth of the rate train no better",
        "Bengio 2012, Practical recommendations, section 3.1.1",
    ),
    Cause(
        "learning rate too low",
        _rate_too_low,
        ("a higher learning rate",),
        "ten times the rate trains no better",
        "Bengio 2012, Practical recommendations, section 3.1.1",
    ),
    Cause(
        "dropout too strong",
        _dropout,
        ("less dropout",),
        "without dropout the training nuclei are fitted no better",
        "Srivastava et al. 2014, section 7.3",
    ),
    Cause(
        "weight decay too strong",
        _weight_decay,
        ("less weight decay",),
        "without weight decay the training nuclei are fitted no better",
        "Krogh & Hertz 1992",
    ),
    Cause(
        "classes out of balance",
        _imbalance,
        ("balanced loss weights",),
        "with balanced loss weights the network still answers one class",
        "Japkowicz & Stephen 2002",
    ),
    Cause(
        "stopped too early",
        _stopped_early,
        ("more epochs",),
        "three times the epochs fit the training nuclei no better",
        "Prechelt 1998, Early stopping - but when?",
        cure_proves=True,  # the curve may lie flat for long: running on is the test itself
    ),
    Cause(
        "true degradation",
        _degradation,
        ("skips",),
        "skips do not lower the training error of the same layers",
        "He et al. 2015, Deep residual learning, figures 1 and 4; more epochs do not repair it",
    ),
    Cause(
        "overfitting",
        _overfitting,
        (),
        "training and validation accuracy come together on new nuclei of the same kind",
        "Geman et al. 1992, Neural networks and the bias/variance dilemma",
    ),
)
