"""Each rung of a ladder against its network: the effects, and whether it is a cure.

The outcome is chosen by the network alone, before any cure is looked at. Where some of its networks
never left the plateau, a cure is what makes more of them leave (`fathom.diagnosis.looks`). Where
all left, or classes are out of balance and most left and answer one, it is the paired effect on
training loss and accuracy, after Holm's correction over all cures that were allowed.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
from scipy import stats

from fathom.diagnosis.case import Case, Diagnosis
from fathom.diagnosis.cures import changes, is_comparable, is_control
from fathom.diagnosis.effects import Effect, Prior, effect, moderated
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.looks import (
    Part,
    Tally,
    earlier_p_value,
    freed,
    median_epoch,
    next_look,
    part_of_level,
)
from fathom.statistics.claims import holm

MEASURES = ("log_train_loss", "train_accuracy", "validation")
Outcome = Literal["leaving the plateau", "loss and accuracy"]
State = Literal["cure", "open", "undecided", "no cure"]


@dataclass(frozen=True)
class Rung:
    """One row of the ladder against the network: its effects, and whether it repairs it."""

    name: str
    log_train_loss: Effect  # of the loss's logarithm: exp of it is the factor
    train_accuracy: Effect
    validation: Effect
    left: Tally
    median_epoch: float  # at which networks left; infinite where the median never did
    earlier: float | None  # p value that they leave earlier; of arms of the same rate and epochs
    p_value: float  # paired, of loss or accuracy, after Holm's correction; 1 in the other outcome
    state: State
    shuffled: bool = False  # a control: it was trained on other labels than it is measured by

    @property
    def repairs(self) -> bool:
        """Whether this rung is a cure."""
        return self.state == "cure"


def _comparable(case: Case) -> list[Evidence]:
    return [row for row in case.ladder if is_comparable(case.base.plan, row.plan)]


def outcome_of(base: Evidence, limits: Diagnosis) -> Outcome:
    """Return what a cure of this network has to change.

    Where classes are out of balance, a loss falls below that of a constant answer while every
    nucleus is still called the larger class. Where that is most networks, leaving is not what they
    lack.
    """
    unbalanced = base.median("majority") > limits.majority
    one_answer = unbalanced and 2 * base.left_with_one_answer > len(base.finished)
    return "loss and accuracy" if all(base.left) or one_answer else "leaving the plateau"


@dataclass(frozen=True)
class _Compared:
    """A row of the ladder beside the network."""

    case: Case
    row: Evidence
    priors: dict[str, Prior]
    limits: Diagnosis

    @property
    def comparable(self) -> bool:
        return is_comparable(self.case.base.plan, self.row.plan)

    def effect(self, measure: str) -> Effect:
        confidence, prior = self.limits.confidence, self.priors[measure]
        return effect(self.case.base, self.row, measure, confidence, prior)

    def rung(self, p_value: float, state: State) -> Rung:
        loss, fit, validation = (self.effect(measure) for measure in MEASURES)
        left_at = self.row.left_at
        when = median_epoch(left_at), self.earlier()
        shuffled = is_control(self.row.plan)
        numbers = loss, fit, validation, self.row.tally, *when, p_value, state
        return Rung(self.row.name, *numbers, shuffled)

    def paired_p(self) -> float:
        """Return the p value that the loss is lower or validation higher, Bonferroni of the two."""
        loss, validation = self.effect("log_train_loss"), self.effect("validation")
        return min(1.0, 2 * min(_one_sided(loss, -1), _one_sided(validation, 1)))

    def is_worth_it(self) -> bool:
        """Whether one of the two gains counts, and neither does harm on validation nuclei."""
        loss, validation = self.effect("log_train_loss"), self.effect("validation")
        fit = self.effect("train_accuracy")
        fits = loss.is_below and _recovers(self.case, fit, "train_accuracy", self.limits)
        validates = validation.is_above and _recovers(
            self.case, validation, "validation", self.limits
        )
        return not validation.is_below and (fits or validates)

    def earlier(self) -> float | None:
        """Return the p value that its networks leave earlier, where epochs may be compared."""
        base = self.case.base
        if changes(base.plan, self.row.plan) & {"learning_rate", "epochs"} or not self.comparable:
            return None
        folds = [[cell.fold for cell in one.by_seed_and_fold] for one in (base, self.row)]
        return earlier_p_value(base.left_at, folds[0], self.row.left_at, folds[1])


def _one_sided(found: Effect, sign: int) -> float:
    if not isfinite(found.standard_error):
        return 1.0
    if not found.standard_error:
        return 0.0 if sign * found.estimate > 0 else 1.0
    return float(stats.t.sf(sign * found.estimate / found.standard_error, found.freedom))


def judged_rungs(case: Case, limits: Diagnosis) -> tuple[Rung, ...]:
    """Return the rungs of a case with their states; which outcome decides was fixed by the base."""
    # Controls and smaller tasks vary for reasons of their own: what they add is no prior.
    rows = (*case.shallower, *_comparable(case))
    priors = {measure: moderated(case.base, rows, measure) for measure in MEASURES}
    compared = [_Compared(case, row, priors, limits) for row in case.ladder]
    names = {one.row.name for one in compared if one.comparable}
    cures = max(case.cures_allowed, len(names | case.called_for))
    adjusted = _paired(compared, cures)
    arms = {one.row.name: one.row.left for one in compared if one.comparable}
    shown = freed(case.base.left, arms, cures, case.called_for)
    part = part_of_level(cures, case.called_for, shown)
    leaving = outcome_of(case.base, limits) == "leaving the plateau"
    rungs = []
    for one, p_value in zip(compared, adjusted, strict=True):
        row = one.row
        if leaving:
            state = _state(case.base, row, shown, part) if one.comparable else "no cure"
        else:
            cured = one.comparable and p_value <= 1 - limits.confidence and one.is_worth_it()
            state = "cure" if cured else "no cure"
        rungs.append(one.rung(1.0 if leaving else p_value, state))
    return tuple(rungs)


def _paired(compared: list[_Compared], cures: int) -> list[float]:
    """Return the p values after Holm's correction over all `cures`; the untried ones count as 1."""
    alone = {one.row.name: one.paired_p() for one in compared if one.comparable}
    if not alone:
        return [1.0 for _ in compared]
    called_for = compared[0].case.called_for
    alone |= dict.fromkeys(sorted(called_for - alone.keys()), 1.0)
    p_values = np.array([*alone.values(), *[1.0] * (cures - len(alone))])
    part = part_of_level(cures, called_for, ())
    others = [part("")] * (cures - len(alone))  # no row has this name
    adjusted = holm(p_values, np.array([*map(part, alone), *others]))
    found = dict(zip(alone, adjusted.tolist(), strict=False))
    return [found[one.row.name] if one.comparable else 1.0 for one in compared]


def _state(base: Evidence, row: Evidence, shown: dict[str, int], part: Part) -> State:
    if row.name in shown:
        return "cure"
    compared = row.left[: len(base.left)]  # an arm that is ahead waits for the network
    return "open" if next_look(base.left, compared, part(row.name)) else "undecided"


def _recovers(case: Case, gain: Effect, measure: str, limits: Diagnosis) -> bool:
    """Whether a gain is worth having, and goes far enough towards the best row there is."""
    rows = (*case.shallower, *_comparable(case))
    best = max((row.median(measure) for row in rows), default=0.0)
    missing = best - case.base.median(measure)
    return gain.estimate >= max(limits.least_gain, limits.least_recovery * missing)
