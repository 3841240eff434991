"""The ladder's steps, with drawn outcomes in place of trainings."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from test_verdict import (
    DEEP,
    FLAT,
    GOOD,
    LEFT,
    LIMITS,
    REPAIRED,
    STUCK,
    row,
    shallow,
)

from fathom.diagnosis.case import Case
from fathom.diagnosis.cures import is_control
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.ladder import Wanted, climb, cures_in_budget
from fathom.diagnosis.looks import MOST_CURES, freed
from fathom.diagnosis.verdict import NO_EFFECT, judge

SHUFFLED = {"training_labels": "shuffled"}
WEAK = {"spread": 0.001}  # the first step drowns the signal: two causes are suspected


class Drawn:
    """Trains nothing: of each row so many networks leave, the first ones or drawn ones."""

    def __init__(self, leaves, rng=None, **base):
        self.leaves, self.rng, self.base, self.asked = leaves, rng, base, []
        self.outcomes = {}

    def share(self, name):
        return next((share for part, share in self.leaves.items() if part in name), 0.0)

    def left(self, name, networks):
        if name not in self.outcomes:
            share = self.share(name)
            self.outcomes[name] = (
                self.rng.random(12) < share if self.rng else np.arange(12) < round(12 * share)
            )
        return self.outcomes[name][:networks]

    def __call__(self, wanted):
        self.asked.append({name: one.networks for name, one in wanted.items()})
        return {
            name: self.evidence(name, one.plan, one.networks, one.to_the_end(3))
            for name, one in wanted.items()
        }

    def evidence(self, name, plan, networks, whole=12):
        cells = []
        for place, left in enumerate(self.left(name, networks)):
            learned = left and not is_control(plan)
            numbers = (REPAIRED if learned else STUCK) | {"losses": LEFT if left else FLAT}
            unit = {"fold": place % 3, "seed": place // 3, "only_left": place >= whole}
            cells.append(replace(GOOD, **(unit | numbers | self.base)))
        return Evidence(name, plan, 13, tuple(cells))


def case_of(trainer, networks=3, rungs=()):
    plan = row("deep").plan
    base = trainer.evidence("deep", plan, networks)
    return Case(base, (shallow(cells=3),), tuple(rungs), 48)


def climbed(leaves, budget=54, rng=None, **base):
    trainer = Drawn(leaves, rng, **(WEAK | base))
    limits = LIMITS.model_copy(update={"budget": budget})
    return climb(case_of(trainer), limits, trainer), trainer


def said(found):
    return "\n".join(step.said for step in found.steps)


def test_the_ladder_finds_the_cures_of_what_it_suspects_and_stops_when_it_has_one():
    found, trainer = climbed({"he-init": 1, "batchnorm": 1}, budget=63)
    assert trainer.asked == [
        {"deep": 6},
        # The first cure of each suspect; the second of the first one, a norm, comes after them.
        {"deep-he-init": 3},
        {"deep-no-dropout": 3},
        {"deep-rate-tenth-long": 3},
        {"deep-batchnorm": 3},
        {"deep-he-init": 6},
        {"deep-batchnorm": 6},
        {"deep-he-init-shuffled-labels": 6},
    ]
    assert "0 of 6 networks of deep left the plateau" in said(found)
    assert "deep-he-init: 3 of 3 left the plateau" in said(found)
    assert "deep 0 of 6, deep-he-init 6 of 6" in said(found)
    assert "cured by deep-he-init, deep-batchnorm" in said(found)
    verdict = judge(found.case, LIMITS)
    assert verdict.main == "no signal reaches the output at initialisation"
    assert verdict.together == ("deep-he-init", "deep-batchnorm")
    # Three of the base's six were there; four cures had three, two of them and a control six.
    assert found.spent == 3 + 4 * 3 + 2 * 3 + 6 == found.steps[-1].spent
    assert found.waiting == ()


def test_an_open_arm_and_the_base_grow_together():
    # One of twelve of the base leaves, the first one: 6 of 6 against 1 of 6 needs another look.
    found, trainer = climbed({"he-init": 1, "deep-": 0, "deep": 1 / 12})
    assert {"deep": 9, "deep-he-init": 9} in trainer.asked
    assert "open: deep-he-init" in said(found)
    assert "deep 1 of 9, deep-he-init 9 of 9" in said(found)
    assert judge(found.case, LIMITS).together == ("deep-he-init",)


def test_second_trials_and_general_cures_come_only_where_nothing_cured():
    found, trainer = climbed({}, budget=42)
    tried = [name for asked in trainer.asked for name in asked]
    assert tried.index("deep-lsuv") > tried.index("deep-rate-tenth-long")
    assert len(tried) == 1 + cures_in_budget(42, "leaving the plateau") + 1
    assert [trial.name for trial in found.waiting]


def test_a_network_that_learns_is_left_alone_but_for_its_control():
    found, trainer = climbed({"deep": 1}, spread=0.3, **REPAIRED)
    assert trainer.asked == [{"deep": 6}, {"deep-shuffled-labels": 6}]
    assert "no cure is tried" in said(found)


def test_the_budget_is_never_passed_and_what_it_left_out_is_named():
    for budget in (0, 3, 9, 18, 30, 54):
        found, trainer = climbed({"he-init": 1}, budget)
        networks = 3  # of the base, which were there
        for name in {name for asked in trainer.asked for name in asked}:
            networks += max(asked.get(name, 0) for asked in trainer.asked)
        networks -= 3 if budget < 3 else 6
        assert found.spent <= budget
        if budget >= 3:
            assert found.spent == networks
    few, _ = climbed({"he-init": 1}, 18)
    assert (few.spent, few.case.cures_allowed) == (15, 1)
    none, _ = climbed({}, 18)
    assert (none.spent, none.waiting[0].name) == (12, "deep-no-dropout")


@pytest.mark.parametrize(
    ("budget", "leaving", "paired"), [(0, 1, 1), (18, 1, 1), (27, 1, 2), (36, 4, 4), (45, 7, 5)]
)
def test_how_many_cures_a_budget_allows(budget, leaving, paired):
    assert cures_in_budget(budget, "leaving the plateau") == leaving
    assert cures_in_budget(budget, "loss and accuracy") == paired
    assert cures_in_budget(900, "leaving the plateau") == MOST_CURES


def test_six_that_all_left_against_none_are_shown_among_the_most_cures():
    none, six = [False] * 6, {"cure": [True] * 6}
    assert freed(none, six, MOST_CURES) == {"cure": 6}
    assert freed(none, six, MOST_CURES + 1) == {}


def test_an_arm_that_does_nothing_is_screened_out_after_three_networks():
    found, _ = climbed({"he-init": 1, "batchnorm": 1 / 3}, budget=63)
    networks = {row.name: len(row.cells) for row in found.case.ladder}
    assert networks["deep-he-init"] == 6
    assert {networks[name] for name in networks if "rate" in name or "residual" in name} == {3}


def test_where_the_budget_is_short_the_arm_of_which_most_left_goes_on():
    """Three arms ask for more; there are networks for two of them, the base and the control."""
    leaves = {"he-init": 2 / 3, "batchnorm": 1, "rate-tenth-long": 1, "deep-": 0, "deep": 1 / 12}
    trainer = Drawn(leaves, None, **WEAK)
    trainer.outcomes["deep-he-init"] = np.array([True, True, False] * 4)
    limits = LIMITS.model_copy(update={"budget": 3 + 4 * 3 + 3 + 2 * 6 + 6})
    found = climb(case_of(trainer), limits, trainer)
    assert judge(found.case, LIMITS).together == ("deep-rate-tenth-long", "deep-batchnorm")
    networks = {row.name: len(row.cells) for row in found.case.ladder}
    assert (networks["deep-batchnorm"], networks["deep-he-init"]) == (9, 3)
    assert "the budget does not reach further" in said(found)


def test_rows_of_the_study_share_the_level_whatever_the_budget():
    """The budget allows one cure, and two rows are there: ladder and verdict count both."""
    trainer = Drawn({}, None, **WEAK)
    trainer.outcomes["norm"] = np.arange(12) != 2
    changes = {"norm": {"norm": "batch"}, "lsuv": {"initialisation": "lsuv"}}
    rows = [trainer.evidence(name, row(name, changes=one).plan, 3) for name, one in changes.items()]
    limits = LIMITS.model_copy(update={"budget": 22})
    found = climb(case_of(trainer, rungs=rows), limits, trainer)
    assert cures_in_budget(22, "leaving the plateau") == 1
    assert found.case.cures_allowed == 2
    # 5 of 6 against 0 of 6 is shown for one cure, not for two: both go on to nine.
    assert "deep 0 of 9, norm 8 of 9" in said(found)
    assert judge(found.case, limits).together == ("norm",)


def test_what_a_finding_calls_for_has_most_of_the_level():
    """5 of 6 against 0 of 6 is shown at .8 of the first level, where skips share the rest of it."""
    trainer = Drawn({}, None, **WEAK)
    trainer.outcomes["norm"] = np.arange(12) != 2
    changes = {"norm": {"norm": "batch"}, "skips": {"residual": True}}
    rows = [trainer.evidence(name, row(name, changes=one).plan, 3) for name, one in changes.items()]
    limits = LIMITS.model_copy(update={"budget": 22})
    found = climb(case_of(trainer, rungs=rows), limits, trainer)
    assert found.case.called_for == {"norm"}
    assert "deep 0 of 6, norm 5 of 6" in said(found)
    assert judge(found.case, limits).together == ("norm",)
    assert judge(replace(found.case, called_for=frozenset()), limits).together == ()


@pytest.mark.parametrize(
    ("first_update", "tried"),
    [
        (2.0, "rate-tenth-long"),
        (11.0, "rate-hundredth-long"),
        (500.0, "rate-hundredth-long"),  # the smallest there is
    ],
)
def test_a_rate_is_lowered_as_far_as_its_first_step_asks(first_update, tried):
    found, _ = climbed({}, first_update=first_update)
    rates = [one.name for one in found.case.ladder if "rate-" in one.name]
    assert rates[0] == f"deep-{tried}"


def test_nothing_is_spared_for_a_control_before_there_is_a_cure():
    """Twelve networks an arm show it, and then there are none left to control it."""
    leaves = {"he-init": 1, "deep-": 0, "deep": 5 / 12}
    found, _ = climbed(leaves, budget=3 + 3 + 2 * 3 + 3 * 3)
    assert "deep 5 of 12, deep-he-init 12 of 12" in said(found)
    cause = judge(found.case, LIMITS).causes[0]
    assert cause.repaired_by.name == "deep-he-init"
    assert cause.learned is None
    assert found.spent == found.budget


@pytest.mark.parametrize(("left", "networks"), [(2, 0), (3, 3), (5, 3), (6, 6), (20, 6)])
def test_the_control_has_as_many_whole_folds_as_the_budget_has(left, networks):
    found, trainer = climbed({"deep": 1}, budget=3 + left, spread=0.3, **REPAIRED)
    asked = [one.get("deep-shuffled-labels", 0) for one in trainer.asked]
    assert max(asked) == networks
    told = "was trained" if networks else "no networks are left for deep-shuffled-labels"
    assert told in said(found)


def test_two_rows_of_one_plan_are_two_arms_and_one_trial():
    trainer = Drawn({}, None, **WEAK)
    plan = row("norm", changes={"norm": "batch"}).plan
    rows = [trainer.evidence(name, plan, 3) for name in ("norm", "norm-again")]
    limits = LIMITS.model_copy(update={"budget": 36})
    found = climb(case_of(trainer, rungs=rows), limits, trainer)
    arms = [one for one in found.case.ladder if not is_control(one.plan)]
    assert len(arms) == found.case.cures_allowed == 4


def test_without_a_budget_nothing_is_trained():
    found, trainer = climbed({}, 0)
    assert (trainer.asked, found.spent) == ([], 0)
    assert "budget" in said(found)


def test_the_same_outcomes_give_the_same_steps():
    one, two = (climbed({"he-init": 0.8, "deep": 0.2}, rng=np.random.default_rng(3)) for _ in "ab")
    assert one[0].steps == two[0].steps
    assert repr(judge(one[0].case, LIMITS)) == repr(judge(two[0].case, LIMITS))


def test_rows_of_params_are_tried_first_and_their_networks_are_not_paid_again():
    trainer = Drawn({"norm": 1}, **WEAK)
    own = trainer.evidence("own-norm", row("own", DEEP, {"norm": "batch"}).plan, 3)
    other = trainer.evidence("adam", row("adam", DEEP, {"optimiser": "adam"}).plan, 3)
    steps = []
    for rungs in permutations([own, other]):
        trainer.asked = []
        found = climb(case_of(trainer, rungs=rungs), LIMITS, trainer)
        tried = [name for asked in trainer.asked for name in asked]
        assert not {"adam", "deep-batchnorm"} & set(tried)  # three of `adam` were there
        assert {"own-norm": 6} in trainer.asked
        steps.append((found.spent, judge(found.case, LIMITS).together))
    assert steps[0] == steps[1]
    assert steps[0][1] == ("own-norm",)


def test_the_control_of_a_row_that_is_there_is_not_trained_twice():
    trainer = Drawn({}, **WEAK)
    plan = row("c", DEEP, {"training_labels": "shuffled"}).plan
    control = trainer.evidence("mine", plan, 6)
    climb(case_of(trainer, rungs=[control]), LIMITS, trainer)
    assert not [name for asked in trainer.asked for name in asked if "shuffled" in name]


def test_a_control_that_is_there_does_not_keep_a_cure_from_its_own():
    """Nothing validates yet: by the network's control alone there would be nothing to learn."""
    trainer = Drawn({"shuffled": 0, "he-init": 1}, **WEAK, validation=0.5)
    control = trainer.evidence("shuffled", row("c", DEEP, SHUFFLED).plan, 3)
    found = climb(case_of(trainer, rungs=[control]), LIMITS, trainer)
    assert trainer.asked[-1] == {"deep-he-init-shuffled-labels": 6}
    assert judge(found.case, LIMITS).main == "no signal reaches the output at initialisation"


def test_of_two_controls_of_one_plan_the_order_of_rows_chooses_none():
    def grown(*names):
        trainer = Drawn({}, **WEAK)
        plan = row("c", DEEP, SHUFFLED).plan
        rungs = [trainer.evidence(name, plan, 3) for name in names]
        climb(case_of(trainer, rungs=rungs), LIMITS, trainer)
        return [asked for asked in trainer.asked if set(asked) & set(names)]

    assert grown("one", "other") == grown("other", "one") == [{"other": 6}]


@pytest.mark.parametrize("rate", [0.17, 0.5])
def test_ladders_in_which_nothing_helps_seldom_name_a_cure(rate):
    """The engine itself, not its rules alone (benchmarks/null_ladders.py has those)."""
    rng = np.random.default_rng(0)
    claims = [
        bool(judge(climbed({"shuffled": 0, "deep": rate}, rng=rng)[0].case, LIMITS).together)
        for _ in range(12)
    ]
    assert sum(claims) <= 1


class Paired(Drawn):
    """All leave the plateau; the rows that are named fit their nuclei."""

    def evidence(self, name, plan, networks, whole=12):
        cured = self.share(name) and not is_control(plan)
        numbers = REPAIRED if cured else STUCK
        noise = np.random.default_rng(len(name)).normal(0, 0.004, networks)
        cells = [
            replace(
                GOOD,
                fold=place % 3,
                seed=place // 3,
                **{key: value + noise[place] for key, value in numbers.items()},
            )
            for place in range(networks)
        ]
        return Evidence(name, plan, 13, tuple(cells))


def test_where_all_left_and_nothing_is_suspected_a_longer_training_is_tried_first():
    """It proves a cause without a finding; another general cure would name none."""
    trainer = Paired({"long": 1})
    plan = row("deep", changes={"dropout": 0.0}).plan  # dropout would be a finding
    case = Case(trainer.evidence("deep", plan, 3), (shallow(cells=3, **STUCK),), (), 48)
    found = climb(case, LIMITS.model_copy(update={"budget": 36}), trainer)
    assert [name for asked in trainer.asked for name in asked][:3] == [
        "deep",
        "deep-long",
        "deep-batchnorm",
    ]
    assert judge(found.case, LIMITS).main == "stopped too early"


@pytest.mark.parametrize("change", [{"norm": "group"}, {"clip_norm": 1.0}])
def test_a_name_of_params_yaml_never_stands_for_another_plan(change):
    """The ladder's own row of that name has another one, and both are arms."""
    trainer = Drawn({"by-ladder": 1}, None, **WEAK)
    own = trainer.evidence("deep-batchnorm", row("any", changes=change).plan, 3)
    case = replace(case_of(trainer, rungs=[own]), taken=frozenset({"deep", "deep-batchnorm"}))
    found = climb(case, LIMITS, trainer)
    plans = {one.name: one.plan for one in found.case.ladder}
    assert plans["deep-batchnorm"] == own.plan
    assert plans["deep-batchnorm-by-ladder"].recipe.norm == "batch"
    assert judge(found.case, LIMITS).together == ("deep-batchnorm-by-ladder",)


def test_networks_that_are_asked_only_whether_they_left_say_nothing_else():
    """The first six are trained to the end; those after them count for the share alone."""
    found, _ = climbed({"he-init": 11 / 12, "deep-": 0, "deep": 4 / 12})
    cure = next(one for one in found.case.ladder if one.name == "deep-he-init")
    assert len(cure.cells) > 6
    assert len(cure.finished) == 6
    control = next(one for one in found.case.ladder if is_control(one.plan))
    assert [(c.seed, c.fold) for c in control.by_seed_and_fold] == [
        (c.seed, c.fold) for c in cure.by_seed_and_fold[:6]
    ]


@pytest.mark.parametrize(("own", "whole"), [(2, 6), (3, 6), (6, 6), (9, 9), (12, 12)])
def test_the_recipes_own_networks_are_never_cut_short(own, whole):
    assert Wanted(row("deep").plan, 12, 6).to_the_end(own) == whole


def test_what_would_come_next_stands_in_the_order_of_the_ladder():
    """A first cure that the budget did not reach comes before a second one."""
    found, _ = climbed({"deep-": 0, "deep": 1 / 12}, budget=12)
    turns = [trial.turn for trial in found.waiting]
    assert turns == sorted(turns)
    assert set(turns) == {0, 1, 2}


def test_a_cure_leaves_waiting_what_a_larger_budget_would_have_tried_beside_it():
    few, _ = climbed({"he-init": 1}, budget=18)
    more, trainer = climbed({"he-init": 1}, budget=63)
    tried = {name for asked in trainer.asked for name in asked if not name.endswith("labels")}
    assert [trial.name for trial in few.waiting] == [
        trial.name for trial in more.case.ladder if trial.name in tried - {"deep-he-init"}
    ]
    assert more.waiting == ()


def test_what_waits_is_no_more_than_the_largest_budget_would_try():
    silent = {"silent": 0.95}  # more cures are called for than are ever tried
    found, _ = climbed({}, budget=18, **silent)
    endless, _ = climbed({}, budget=999, **silent)
    tried = [one.name for one in endless.case.ladder if not is_control(one.plan)]
    assert [trial.name for trial in found.waiting] == tried[1:]
    assert len(tried) == MOST_CURES
    assert endless.waiting == ()


def test_a_paired_ladder_finds_a_cure_of_networks_that_all_left():
    trainer = Paired({"no-dropout": 1})
    found = climb(case_of(trainer), LIMITS, trainer)
    verdict = judge(found.case, LIMITS)
    assert verdict.outcome == "loss and accuracy"
    assert verdict.main == "dropout too strong"
    assert verdict.main != NO_EFFECT
