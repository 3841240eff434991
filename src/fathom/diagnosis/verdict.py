"""From evidence to a verdict: the causes that hold, what repaired them, and what would refute them.

The order: faults of the data, a control that nothing beats, whether there is any trouble at all,
then the table of causes (`fathom.diagnosis.causes`) from top to bottom. A fault of the data takes
away none of the causes after it. A cause holds where its finding is there and one of its cures
repairs the network. Overfitting and hanging on the seed need no cure: they are what is counted.
Nothing here is drawn at random: the same tables give the same verdict, byte for byte.
"""

from dataclasses import dataclass
from itertools import combinations

from fathom.diagnosis.case import Case, Diagnosis
from fathom.diagnosis.causes import CAUSES, Cause
from fathom.diagnosis.cures import changes, is_control, is_cure, trials
from fathom.diagnosis.effects import (
    Effect,
    effect,
    held_out_effect,
    smallest_visible,
)
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.findings import SymptomNumbers
from fathom.diagnosis.looks import Tally, newcombe_interval, p_value
from fathom.diagnosis.rungs import Outcome, Rung, judged_rungs, outcome_of

DATA_FAULT = "data fault"
NOTHING = "nothing to learn"
NO_EFFECT = "no depth effect"
NOT_COMPARED = "no shallower network to compare with"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Established:
    """A cause that holds: the numbers that show it and the rung that repaired it."""

    name: str
    numbers: SymptomNumbers
    repaired_by: Rung | None
    refuted_by: str
    source: str
    # Validation accuracy of that rung above the same one on shuffled labels; None: not trained.
    learned: Effect | None = None


@dataclass(frozen=True)
class Suspected:
    """A finding whose cures were not tried, or did not repair."""

    name: str
    numbers: SymptomNumbers
    tried: tuple[str, ...]  # rows that should have repaired it
    untried: tuple[str, ...]  # kinds of intervention that no row makes


@dataclass(frozen=True)
class Verdict:
    """What is said of one network."""

    network: str
    causes: tuple[Established, ...]  # the main one first
    suspected: tuple[Suspected, ...]
    rungs: tuple[Rung, ...]
    compared_with: str | None  # the best shallower network by validation
    depth: Effect | None  # balanced accuracy of held-out nuclei against it
    smallest_visible: float | None  # the depth effect that would have been seen
    outcome: Outcome
    left: Tally
    left_interval: tuple[float, float]
    cures_allowed: int  # arms that the budget allowed
    together: tuple[str, ...]  # all rungs that are cures; they are not told apart
    not_excluded: float | None  # the largest difference of their shares that is not excluded
    control: str | None  # the row on shuffled labels that it was held against
    data_warnings: tuple[str, ...] = ()  # of the audit

    @property
    def main(self) -> str:
        """The name of the main cause."""
        return self.causes[0].name


def judge(case: Case, limits: Diagnosis) -> Verdict:
    """Return the verdict on `case.base`."""
    rungs = judged_rungs(case, limits)
    depth = depth_effect(case, limits)
    causes, suspected = _explained(case, rungs, depth, limits)
    best, control = best_shallower(case), _control(case)
    return Verdict(
        network=case.base.name,
        causes=(*_faults(case), *causes),
        suspected=suspected,
        rungs=rungs,
        compared_with=best.name if best else None,
        depth=depth,
        smallest_visible=smallest_visible(depth, limits.confidence) if depth else None,
        outcome=outcome_of(case.base, limits),
        left=case.base.tally,
        left_interval=case.base.tally.interval(limits.confidence),
        cures_allowed=case.cures_allowed,
        together=tuple(rung.name for rung in rungs if rung.repairs),
        not_excluded=_not_excluded(rungs, limits),
        control=control.name if control else None,
        data_warnings=case.faults.warnings,
    )


def _explained(
    case: Case, rungs: tuple[Rung, ...], depth: Effect | None, limits: Diagnosis
) -> tuple[tuple[Established, ...], tuple[Suspected, ...]]:
    """Return the causes that hold, or the one that stands for none, and what is suspected."""
    causes: tuple[Established, ...] = ()
    suspected: tuple[Suspected, ...] = ()
    in_trouble = _is_in_trouble(case, depth, limits)
    if in_trouble:
        causes, suspected = _causes(case, rungs, limits)
    is_untried = any(one.untried for one in suspected)
    if not is_untried:
        causes = tuple(_nothing_to_learn(case, limits)) or causes
    if causes:
        return causes, suspected
    is_open = (
        is_worse(depth, limits)
        or is_untried
        or any(rung.repairs for rung in rungs)
        or _is_at_chance(case, limits)
        or (in_trouble and _control(case) is None)
    )
    none = _unexplained(case, rungs, limits) if is_open else _no_trouble(depth, limits)
    return (none,), suspected


def needs_cure(base: Evidence, limits: Diagnosis) -> bool:
    """Whether a network stays on the plateau, or leaves it without fitting its training nuclei."""
    return not all(base.left) or base.median("train_accuracy") < limits.fitted


def best_shallower(case: Case) -> Evidence | None:
    """Return the shallower network that is best by validation."""
    return max(case.shallower, key=lambda one: one.median("validation"), default=None)


def depth_effect(case: Case, limits: Diagnosis) -> Effect | None:
    """Return how much better the network is than the best shallower one, on held-out nuclei."""
    best = best_shallower(case)
    if best is None:
        return None
    found = held_out_effect(best, case.base, limits.confidence)
    return found or effect(best, case.base, "validation", limits.confidence)


def is_worse(depth: Effect | None, limits: Diagnosis) -> bool:
    """Whether a network is worse than a shallower one by more than luck of its training.

    The interval over groups holds the networks fixed: how far another seed would move them is not
    in it, and so the difference must be as large as a gain that counts.
    """
    return depth is not None and depth.is_below and -depth.estimate >= limits.least_gain


def _faults(case: Case) -> list[Established]:
    refuted = "the same study without the nuclei that the audit names comes to the same"
    return [
        Established(f"{DATA_FAULT}: {fault}", {}, None, refuted, "the audit")
        for fault in case.faults.errors
    ]


def _nothing_to_learn(case: Case, limits: Diagnosis) -> list[Established]:
    """Say "nothing to learn" where no row beats the control on validation nuclei.

    Asked only when of each suspect every kind of cure was tried: networks that cannot be trained
    beat nothing either. Nor is it said where more networks leave the plateau with the true labels
    than with shuffled ones: then the labels mean something.
    """
    control = _control(case)
    if control is None or _true_labels_free_more(case, limits):
        return []
    real = [case.base, *case.shallower, *(r for r in case.ladder if not is_control(r.plan))]
    gains = {row.name: effect(control, row, "validation", limits.confidence) for row in real}
    best = max(gains, key=lambda name: gains[name].estimate)
    if any(gain.is_above for gain in gains.values()) or gains[best].estimate > limits.visible_gain:
        return []
    numbers = {
        "validation balanced accuracy of the control": control.median("validation"),
        f"best of the others ({best}), above the control": gains[best].estimate,
        "upper end of its interval": gains[best].high,
    }
    refuted = "any network beats the one that was trained on shuffled labels"
    return [Established(NOTHING, numbers, None, refuted, "Zhang et al. 2017; Ojala & Garriga 2010")]


def _control(case: Case) -> Evidence | None:
    """Return the control that the network is held against, whatever the order of the rows.

    Its own, else that of one of its rungs, else any; of several the one of most networks.
    """

    def rank(control: Evidence) -> tuple[bool, bool, int, str]:
        of_base = _is_control_of(control, case.base)
        of_rung = any(_is_control_of(control, row) for row in case.ladder)
        return of_base, of_rung, len(control.finished), control.name

    return max((row for row in case.ladder if is_control(row.plan)), key=rank, default=None)


def _true_labels_free_more(case: Case, limits: Diagnosis) -> bool:
    """Whether under any control's recipe more networks leave the plateau with the true labels.

    Fisher's exact test, one-sided. If labels mean nothing, shuffled ones are no different, and the
    shares agree. The row was chosen since it left, so the test is more lenient than its level: it
    withholds a claim, and makes none.
    """
    return any(
        p_value(row.tally, control.tally) <= 1 - limits.confidence
        for control in case.ladder
        if is_control(control.plan)
        for row in (case.base, *case.ladder)
        if _is_control_of(control, row)
    )


def _is_control_of(control: Evidence, row: Evidence) -> bool:
    return is_control(control.plan) and changes(row.plan, control.plan) == {"training_labels"}


def _is_in_trouble(case: Case, depth: Effect | None, limits: Diagnosis) -> bool:
    """Whether it is worse than a shallower one, stays, is not fitted, or is far from validation."""
    fit, validation = case.base.median("train_accuracy"), case.base.median("validation")
    return (
        is_worse(depth, limits)
        or needs_cure(case.base, limits)
        or fit - validation > limits.overfitting_gap
    )


def _is_at_chance(case: Case, limits: Diagnosis) -> bool:
    """Whether the network is no better than the control, by an interval."""
    control = _control(case)
    if control is None:
        return False
    return not effect(control, case.base, "validation", limits.confidence).is_above


def _causes(
    case: Case, rungs: tuple[Rung, ...], limits: Diagnosis
) -> tuple[tuple[Established, ...], tuple[Suspected, ...]]:
    established, suspected = [], []
    for cause in CAUSES:
        tried = _tried(case, cause, rungs)
        repairs = [rung for rung in tried if rung.repairs]
        numbers = cause.finding(case, limits)
        if numbers is None and cause.cure_proves and repairs:
            numbers = {}
        if cause.any_cure:
            repairs = [rung for rung in rungs if rung.repairs]
        if numbers is None or (cause.cures and not needs_cure(case.base, limits)):
            continue
        if repairs or not cause.cures:
            best = max(repairs, key=lambda rung: _worth(case, rung), default=None)
            learned = _learned(case, best, limits)
            established.append(
                Established(cause.name, numbers, best, cause.refuted_by, cause.source, learned)
            )
        else:
            suspected.append(_suspicion(case, cause, numbers, tried))
    return tuple(established), tuple(suspected)


def _tried(case: Case, cause: Cause, rungs: tuple[Rung, ...]) -> list[Rung]:
    return [
        rung
        for row, rung in zip(case.ladder, rungs, strict=True)
        if any(is_cure(kind, case.base.plan, row.plan, case.crop_px) for kind in cause.cures)
    ]


def _suspicion(case: Case, cause: Cause, numbers: SymptomNumbers, tried: list[Rung]) -> Suspected:
    untried = tuple(
        kind
        for kind in cause.cures
        if trials(kind, case.base.plan, case.crop_px)
        and not any(is_cure(kind, case.base.plan, r.plan, case.crop_px) for r in case.ladder)
    )
    return Suspected(cause.name, numbers, tuple(rung.name for rung in tried), untried)


def _not_excluded(rungs: tuple[Rung, ...], limits: Diagnosis) -> float | None:
    """Return the largest difference between the shares of two cures that is not excluded."""
    shares = [rung.left for rung in rungs if rung.repairs and rung.left.networks]
    intervals = [
        newcombe_interval(one, other, limits.confidence) for one, other in combinations(shares, 2)
    ]
    return max((max(abs(low), abs(high)) for low, high in intervals), default=None)


def _learned(case: Case, best: Rung | None, limits: Diagnosis) -> Effect | None:
    """Return how far a cure's validation accuracy is above its own control; leaving is no proof."""
    if best is None or (control := _control_of(case, best)) is None:
        return None
    return effect(control, _row(case, best), "validation", limits.confidence)


def _worth(case: Case, rung: Rung) -> tuple[bool, float]:
    """Return what is looked at to take one cure for all: that it has a control, then its gain."""
    return _control_of(case, rung) is not None, rung.validation.estimate


def _control_of(case: Case, rung: Rung) -> Evidence | None:
    own = [row for row in case.ladder if _is_control_of(row, _row(case, rung))]
    return max(own, key=lambda row: (len(row.finished), row.name), default=None)


def _row(case: Case, rung: Rung) -> Evidence:
    return next(row for row in case.ladder if row.name == rung.name)


def _no_trouble(depth: Effect | None, limits: Diagnosis) -> Established:
    if depth is None:
        refuted = "a shallower network under the same recipe does better"
        return Established(NOT_COMPARED, {}, None, refuted, "")
    numbers = {
        "balanced accuracy against the shallower network": depth.estimate,
        "smallest difference that would have been seen": smallest_visible(depth, limits.confidence),
    }
    refuted = "more folds, seeds or patients give an interval that excludes 0"
    return Established(NO_EFFECT, numbers, None, refuted, "Cohen 1988")


def _unexplained(case: Case, rungs: tuple[Rung, ...], limits: Diagnosis) -> Established:
    repairs = [rung for rung in rungs if rung.repairs]
    best = max(repairs, key=lambda rung: _worth(case, rung), default=None)
    refuted, learned = "a finding turns up whose cure repairs it", _learned(case, best, limits)
    return Established(UNEXPLAINED, {}, best, refuted, "", learned)
