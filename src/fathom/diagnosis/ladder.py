"""The ladder finds its own rungs: it trains what decides, and stops when that is decided.

It begins with a network of `runs` and asks the table of causes (`fathom.diagnosis.causes`) what it
suspects. The cures of all suspects are tried first, then what cures most things. The list, the
number of cures that count in the tests and which of them a finding calls for are fixed by the rows
of `runs`, the budget and the network's own first six trainings, before any cure is looked at. Where
leaving the plateau is asked, an arm has 3 networks first, and the best of them grow to 6, 9 and 12,
one by one, while that could decide. Nothing is drawn at random: the same rows, params and nuclei
give the same steps.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from fathom.diagnosis.case import Case, Diagnosis
from fathom.diagnosis.causes import CAUSES, Cause
from fathom.diagnosis.cures import (
    CURES,
    GENERAL,
    changes,
    is_comparable,
    is_control,
    is_cure,
    trials,
)
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.looks import FIRST, MOST_CURES, SCREEN, SECOND, in_turn, open_arms
from fathom.diagnosis.rungs import Outcome, judged_rungs, outcome_of
from fathom.diagnosis.verdict import judge, needs_cure
from fathom.networks.interventions import Plan

CONTROL = "shuffled-labels"
BY_LADDER = "-by-ladder"  # after the name of a trial, where a row of params.yaml has that name


@dataclass(frozen=True)
class Wanted:
    """A row to train: its plan, and the first so many of its (seed, fold) units."""

    plan: Plan
    networks: int
    whole: int  # so many at least are trained to the end

    def to_the_end(self, own: int) -> int:
        """Return how many units are trained to the end; `own` is how many the recipe's seeds make.

        The others end soon after they left the plateau: nothing else is asked of them.
        """
        return max(own, self.whole)


Trainer = Callable[[Mapping[str, Wanted]], Mapping[str, Evidence]]


@dataclass(frozen=True)
class Step:
    """What was decided, in words, and how many networks had been trained for it."""

    said: str
    spent: int


@dataclass(frozen=True)
class Trial:
    """A cure that the ladder may train: its row and what it is for."""

    name: str
    intervention: str  # a name in `CURES[kind].tries`; "" of a row of params.yaml
    kind: str  # a key of `CURES`, or "a row of params.yaml"
    plan: Plan
    turn: int  # a later turn is trained only if no earlier one had a cure


@dataclass(frozen=True)
class Climbed:
    """A ladder that ended: all that was trained, the log, and what was left out."""

    case: Case
    steps: tuple[Step, ...]
    budget: int
    spent: int
    waiting: tuple[Trial, ...] = ()  # the first would be trained next


def cures_in_budget(budget: int, outcome: Outcome) -> int:
    """Return how many cures a budget allows.

    Where leaving the plateau is asked, one of them and the base can reach the second look, all
    others can be screened, and there are networks for the control. Else each of them, the base
    and the control have six.
    """
    if outcome == "loss and accuracy":
        return max(1, budget // FIRST - 2)
    return min(MOST_CURES, 1 + max(0, budget - 3 * SECOND) // SCREEN)


def _unheard(_said: str) -> None:
    pass


def climb(
    case: Case, limits: Diagnosis, train: Trainer, tell: Callable[[str], None] = _unheard
) -> Climbed:
    """Return what the ladder of `case.base` came to, on at most `limits.budget` networks.

    `case` holds what the rows of params.yaml left; their networks are not counted. `train` returns
    the evidence of each row with the networks that were asked for. `tell` hears of each step.
    """
    return _Ladder(case, limits, train, tell).climbed()


class _Ladder:
    def __init__(
        self, case: Case, limits: Diagnosis, train: Trainer, tell: Callable[[str], None]
    ) -> None:
        self.given = case
        self.limits = limits
        self.train, self.tell = train, tell
        self.base = case.base
        self.rows = {row.name: row for row in case.ladder}
        self.plans = {row.name: row.plan for row in case.ladder} | {case.base.name: case.base.plan}
        self.called_for: frozenset[str] = frozenset()
        self.spent = 0
        self.steps: list[Step] = []

    @property
    def case(self) -> Case:
        rows = tuple(self.rows.values())
        found = replace(self.given, base=self.base, ladder=rows)
        return replace(found, cures_allowed=self.cures_allowed, called_for=self.called_for)

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.base, self.limits)

    @property
    def cures_allowed(self) -> int:
        """How many cures share the level of the tests: rows of params.yaml are among them."""
        return self._cures_within(self.limits.budget)

    def _cures_within(self, budget: int) -> int:
        own = len(list(self._own_rows()))
        return max(own, cures_in_budget(budget, self.outcome))

    def climbed(self) -> Climbed:
        name = self.base.name
        if not self._trained({name: FIRST}):
            self._say(f"the budget of {self.limits.budget} networks is spent before {name} has six")
            return self._ended(())
        self._say(f"{self.base.tally} networks of {name} left the plateau: {_ASKED[self.outcome]}")
        trials: tuple[Trial, ...] = ()
        if needs_cure(self.base, self.limits):
            trials = self._trials()
        else:
            self._say("all left and fit the training nuclei: no cure is tried")
        allowed, waiting = self._allowed(trials)
        self.called_for = self._called_for(allowed)
        left_out: tuple[Trial, ...] = ()
        for turn in sorted({trial.turn for trial in allowed}):
            left_out += self._try([one for one in allowed if one.turn == turn])
            if cured := self._cured():
                self._say(f"cured by {', '.join(cured)}: no more is tried")
                # A larger budget would have had these before the cure was known.
                waiting = tuple(one for one in waiting if one.turn <= turn)
                break
        self._control()
        return self._ended((*left_out, *waiting))

    def _ended(self, waiting: tuple[Trial, ...]) -> Climbed:
        return Climbed(self.case, tuple(self.steps), self.limits.budget, self.spent, waiting)

    def _say(self, said: str) -> None:
        self.steps.append(Step(said, self.spent))
        self.tell(f"ladder of {self.base.name}, {self.spent} networks: {said}")

    def _allowed(self, trials: tuple[Trial, ...]) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
        """Part what may be tried from what a larger budget would allow.

        All rows of the study may be tried, and of the others as many as count in the tests.
        """
        repeated = len(list(self._own_rows())) - sum(not one.intervention for one in trials)
        room = self.cures_allowed - repeated
        return trials[:room], trials[room : self._cures_within(sys.maxsize) - repeated]

    def _called_for(self, allowed: tuple[Trial, ...]) -> frozenset[str]:
        """Return the trials of the first turn that repair what is suspected, rows of it too."""
        kinds = {kind for one in self._suspects() for kind in one.cures}
        return frozenset(one.name for one in allowed if not one.turn and one.kind in kinds)

    def _suspects(self) -> list[Cause]:
        return [one for one in CAUSES if one.finding(self.case, self.limits) is not None]

    def _trials(self) -> tuple[Trial, ...]:
        """Return all that may be tried, in order, each plan once."""
        found: dict[Plan, Trial] = {}
        for trial in (*self._own_rows(), *self._suspects_cures(), *self._general_cures()):
            found.setdefault(_without_seeds(trial.plan), trial)
        return tuple(found.values())

    def _own_rows(self) -> Iterator[Trial]:
        for row in sorted(self.given.ladder, key=lambda row: row.name):
            if is_comparable(self.base.plan, row.plan):
                kind = _kind(self.base.plan, row.plan, self.given.crop_px)
                yield Trial(row.name, "", kind, row.plan, 0)

    def _suspects_cures(self) -> Iterator[Trial]:
        if suspects := self._suspects():
            names = ", ".join(f"'{one.name}'" for one in suspects)
            self._say(f"suspected: {names}")
        # One cure of each suspect, then another of each: what tells suspects apart comes first.
        turns = zip_longest(*(one.cures for one in suspects))
        kinds = [kind for kind in dict.fromkeys(chain.from_iterable(turns)) if kind]
        yield from self._of_kinds(kinds, 0, 0)
        yield from self._of_kinds(kinds, 1, 1)

    def _general_cures(self) -> Iterator[Trial]:
        """Yield what is tried without a finding.

        Of networks that all left the plateau a longer training is asked first: most other cures
        that no finding calls for name no cause. One that stays on the plateau is asked last, for
        the plateau has no slope that a longer training would follow.
        """
        first = ["more epochs"] if self.outcome == "loss and accuracy" else []
        yield from self._of_kinds(list(dict.fromkeys([*first, *GENERAL])), 0, 2)

    def _of_kinds(
        self, kinds: list[str] | tuple[str, ...], place: int, turn: int
    ) -> Iterator[Trial]:
        """Yield the first (`place` 0) or second trial of each kind, if it has one."""
        for kind in kinds:
            found = trials(kind, self.base.plan, self.given.crop_px)
            enough = [name for name in found if not self._is_still_too_high(found[name])]
            names = enough or list(found)[-1:]
            for name in names[place : place + 1]:
                plan = found[name]
                yield Trial(self._free(f"{self.base.name}-{name}"), name, kind, plan, turn)

    def _is_still_too_high(self, plan: Plan) -> bool:
        """Whether a lower rate would move the weights by too much as well, in the first step.

        That step is proportional to the rate.
        """
        times = plan.recipe.learning_rate / self.base.plan.recipe.learning_rate
        return times < 1 and times * self.base.median("first_update") > self.limits.large_update

    def _free(self, name: str) -> str:
        """Return a name that no row of params.yaml has, which may be another plan's."""
        while name in self.given.taken:
            name += BY_LADDER
        return name

    def _try(self, arms: list[Trial]) -> tuple[Trial, ...]:
        """Train arms until all of them are decided; return those that the budget left out."""
        self.plans |= {one.name: one.plan for one in arms}
        first = FIRST if self.outcome == "loss and accuracy" else SCREEN
        waiting = [one for one in arms if not self._trained({one.name: first}, self._spare())]
        for arm in (self.rows[one.name] for one in arms if one not in waiting):
            self._say(f"{arm.name}: {arm.tally} left the plateau")
        while self.outcome == "leaving the plateau" and (asked := self._open(arms)):
            self._say(f"open: {', '.join(asked)}")
            names = in_turn(asked, {name: self.rows[name].left for name in asked})
            gone_on = next((name for name in names if self._goes_on(name, asked[name])), None)
            if gone_on is None:
                self._say("the budget does not reach further")
                break
            counts = f"{self.base.name} {self.base.tally}, {gone_on} {self.rows[gone_on].tally}"
            self._say(f"left the plateau: {counts}")
        return tuple(waiting)

    def _open(self, arms: list[Trial]) -> dict[str, int]:
        outcomes = {one.name: self.rows[one.name].left for one in arms if one.name in self.rows}
        return open_arms(self.base.left, outcomes, self.cures_allowed, self.called_for)

    def _goes_on(self, name: str, networks: int) -> bool:
        """Train an arm on, and the base with it: both are tested with as many networks."""
        return self._trained({self.base.name: networks, name: networks}, self._spare())

    def _spare(self) -> int:
        """Return how many networks are kept for the control: none until there is a cure to control.

        The control of a network that nothing cured says whether there is anything to learn. That
        is asked where no arm is left open, and then there are networks for it.
        """
        return FIRST if self._cured() else 0

    def _cured(self) -> list[str]:
        return [rung.name for rung in judged_rungs(self.case, self.limits) if rung.repairs]

    def _control(self) -> None:
        """Train the cure that the verdict names, or the network, on shuffled labels.

        Leaving the plateau is not learning. The control has as many networks as were trained to
        the end, or as whole folds as are left in the budget.
        """
        # A control that is there already may call it "nothing to learn", which this one can refute.
        uncontrolled = tuple(row for row in self.case.ladder if not is_control(row.plan))
        causes = judge(replace(self.case, ladder=uncontrolled), self.limits).causes
        named = [one.repaired_by.name for one in causes if one.repaired_by]
        best = self.rows[named[0]] if named else self.base
        recipe = best.plan.recipe.model_copy(update={"training_labels": "shuffled"})
        plan = Plan(best.plan.line, recipe)
        same = {name: row for name, row in self.rows.items() if not changes(row.plan, plan)}
        most = max(same, key=lambda name: (len(same[name].cells), name), default=None)
        name = most or self._free(f"{best.name}-{CONTROL}")
        self.plans[name] = plan
        folds = len({cell.fold for cell in best.finished})
        have = len(self.rows[name].cells) if name in self.rows else 0
        left = have + self.limits.budget - self.spent
        networks = min(len(best.finished), left // folds * folds)
        if networks and self._trained({name: networks}):
            self._say(f"{name}, the control that can learn nothing, was trained")
        else:
            self._say(f"no networks are left for {name}, the control that can learn nothing")

    def _trained(self, wanted: Mapping[str, int], spare: int = 0) -> bool:
        """Train up to so many networks of each row, if the budget has them and `spare` more."""
        rows = self.rows | {self.base.name: self.base}
        have = {name: len(rows[name].cells) if name in rows else 0 for name in wanted}
        more = {name: n for name, n in wanted.items() if n > have[name]}
        cost = sum(n - have[name] for name, n in more.items())
        if cost and self.spent + cost + spare > self.limits.budget:
            return False
        if more:
            found = self.train({name: self._wanted(name, n) for name, n in more.items()})
            self.spent += cost
            self.base = found.get(self.base.name, self.base)
            self.rows |= {name: row for name, row in found.items() if name != self.base.name}
        return True

    def _wanted(self, name: str, networks: int) -> Wanted:
        whole = self.outcome == "loss and accuracy" or is_control(self.plans[name])
        return Wanted(self.plans[name], networks, networks if whole else FIRST)


_ASKED: Mapping[Outcome, str] = {
    "loss and accuracy": "a cure lowers the loss or raises the accuracy",
    "leaving the plateau": "a cure makes more of them leave",
}


def _kind(base: Plan, plan: Plan, crop_px: int) -> str:
    found = [kind for kind in CURES if is_cure(kind, base, plan, crop_px)]
    return found[0] if found else "a row of params.yaml"


def _without_seeds(plan: Plan) -> Plan:
    return Plan(plan.line, plan.recipe.model_copy(update={"seeds": (0,)}))
