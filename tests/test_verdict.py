"""Every rule of the table of causes, with constructed evidence."""

from dataclasses import replace
from itertools import permutations
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
import yaml

from fathom.diagnosis.case import NO_FAULTS, Case, DataFaults, Diagnosis
from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.cures import CURES, is_cure, trials
from fathom.diagnosis.evidence import CellEvidence, Evidence
from fathom.diagnosis.findings import GRADIENT, STEP
from fathom.diagnosis.ladder_file import Told
from fathom.diagnosis.looks import Tally, newcombe_interval
from fathom.diagnosis.verdict import NO_EFFECT, NOT_COMPARED, NOTHING, UNEXPLAINED, judge
from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Recipe
from fathom.reports.verdict_text import Explained, median_epoch_in_words, verdict_markdown
from fathom.study.rows import Run

FILE = Path(__file__).parents[1] / "params.yaml"
PARAMS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RECIPE, LIMITS = read_section(Recipe, FILE), read_section(Diagnosis, FILE)
DEEP, SHALLOW = PARAMS["architectures"]["vgg-13"], PARAMS["architectures"]["shallow"]
POOLED = "8conv3x3 - mp8x8 - 8conv3x3 - mp6x6 - 8conv3x3 - 8conv3x3 - fc8 - o"
FALLING = tuple(float(loss) for loss in 0.7 * np.arange(1, 41) ** -0.4)
FLAT = (0.69,) * 40
LEFT = (0.69,) * 20 + (0.5,) * 20  # running losses of a network that left the plateau

GOOD = CellEvidence(
    fold=0,
    seed=0,
    train_loss=0.2,
    train_accuracy=0.95,
    validation=0.9,
    constant=False,
    one_class=False,
    majority=0.5,
    input_rms=0.3,
    signal=0.3,
    spread=0.3,
    growth=1.0,
    first_update=0.02,
    silent=0.2,
    signal_end=0.5,
    identity_distance=nan,
    losses=LEFT,
    train_nuclei=400,
    validation_nuclei=100,
)
STUCK = {"train_loss": 0.69, "train_accuracy": 0.55, "validation": 0.52}
REPAIRED = {"train_loss": 0.25, "train_accuracy": 0.93, "validation": 0.88}
JITTER = {"train_loss": 0.004, "train_accuracy": 0.004, "validation": 0.01}


def row(name, line=DEEP, changes=None, cells=6, jitter=1.0, **numbers):
    """Return evidence of a few cells around `numbers`, a little different from each other."""
    plan = planned(
        Run(architecture="any", interventions={"change": changes or {}}), name, line, RECIPE, 48
    )
    rng = np.random.default_rng(sum(map(ord, name)))
    found = []
    for fold in range(cells):
        noise = {key: size * jitter * rng.normal() for key, size in JITTER.items()}
        values = {"fold": fold} | numbers
        one = replace(GOOD, **values)
        found.append(replace(one, **{key: getattr(one, key) + noise[key] for key in noise}))
    layers = 6 if line == SHALLOW else 13
    return Evidence(name, plan, layers, tuple(found))


def shallow(**numbers):
    return row("shallow", SHALLOW, **numbers)


CONTROL = row("control", changes={"training_labels": "shuffled"}, validation=0.5)


def verdict(base, *ladder, shallower=None, faults=NO_FAULTS):
    others = (shallow(),) if shallower is None else shallower
    return judge(Case(base, others, (CONTROL, *ladder), 48, faults), LIMITS)


# A finding by cause: what the network shows, and the change that cures it.
FINDINGS = {
    "pooled away": ({"line": POOLED}, {"unpooled": True}),
    "input scale": ({"input_rms": 60.0, "changes": {"input_scale": "byte"}}, {}),
    "no signal reaches the output at initialisation": ({"signal": 3e-5}, {"norm": "batch"}),
    "signal explodes": ({"growth": 2e5}, {"initialisation": "he"}),
    "learning rate too high": ({"silent": 1.0}, {"learning_rate_times": 0.1}),
    "learning rate too low": ({"first_update": 3e-6}, {"learning_rate_times": 10}),
    "dropout too strong": ({}, {"dropout": 0.0}),
    "weight decay too strong": (
        {"changes": {"weight_decay": 0.3}},
        {"weight_decay": 0.0},
    ),
    "classes out of balance": (
        {"majority": 0.95, "one_class": True, "losses": (0.15,) * 40},
        {"loss_weights": "balanced"},
    ),
    "no non-linearity": ({"changes": {"activation": "none"}}, {"activation": "relu"}),
    "saturating non-linearity": ({"changes": {"activation": "sigmoid"}}, {"activation": "relu"}),
    "initial bias": ({"changes": {"initial_bias": -1.0}}, {"initial_bias": 0.0}),
    "lost its signal while training": ({"signal_end": 1e-5}, {"activation": "leaky"}),
    "batch too small": ({"changes": {"batch_size": 2}}, {"batch_size": 64}),
    "schedule ran out": ({"changes": {"schedule": "step"}}, {"schedule": "constant"}),
    "true degradation": ({}, {"residual": True}),
    "stopped too early": ({"losses": FALLING}, {"epochs_times": 3}),
}


def case_of(cause, cure=True, **repair):
    """Return a network with a cause's finding and a rung that should cure it."""
    finding, change = FINDINGS[cause]
    finding = STUCK | finding
    line, changes = finding.pop("line", DEEP), finding.pop("changes", {})
    base = row("deep", line, changes, **finding)
    if not cure:
        return base, ()
    return base, (row("cured", line, change, **(REPAIRED | repair)),)


def test_every_cause_but_overfitting_has_a_constructed_case():
    assert {cause.name for cause in CAUSES} == {*FINDINGS, "overfitting", "hangs on the seed"}


@pytest.mark.parametrize("cause", FINDINGS)
def test_a_finding_whose_cure_repairs_is_the_cause(cause):
    base, ladder = case_of(cause)
    found = verdict(base, *ladder)
    assert found.main == cause
    assert found.causes[0].repaired_by.name == "cured"
    assert found.causes[0].numbers
    assert found.causes[0].refuted_by


@pytest.mark.parametrize("cause", FINDINGS)
def test_a_finding_whose_cure_does_not_repair_is_suspected_only(cause):
    base, ladder = case_of(cause, **STUCK)
    found = verdict(base, *ladder)
    assert found.main == UNEXPLAINED
    assert ("cured",) in [one.tried for one in found.suspected if one.name == cause]


@pytest.mark.parametrize("cause", FINDINGS)
def test_a_finding_without_a_trial_says_what_to_try(cause):
    base, _ = case_of(cause, cure=False)
    found = verdict(base)
    assert found.main == UNEXPLAINED
    [one] = [one for one in found.suspected if one.name == cause]
    assert one.untried
    assert not one.tried


# Of the first two the finding is there by default; of the last a cure that repairs is proof.
WITHOUT_OWN_FINDING = {"dropout too strong", "true degradation", "stopped too early"}


def test_running_on_proves_that_training_was_stopped_too_early_though_the_curve_lay_flat():
    base = row("deep", losses=FLAT, **STUCK)
    longer = row("longer", changes={"epochs_times": 3}, **REPAIRED)
    assert verdict(base, longer).main == "stopped too early"
    stuck = row("longer", changes={"epochs_times": 3}, losses=FLAT, **STUCK)
    assert verdict(base, stuck).main == UNEXPLAINED


@pytest.mark.parametrize("cause", sorted(set(FINDINGS) - WITHOUT_OWN_FINDING))
def test_a_repair_without_the_finding_is_unexplained(cause):
    _, ladder = case_of(cause)
    base = row("deep", ladder[0].plan.line if cause == "pooled away" else DEEP, **STUCK)
    found = verdict(base, *ladder) if cause != "pooled away" else verdict(base)
    assert found.main == UNEXPLAINED
    assert cause not in [one.name for one in found.suspected]


def test_the_unexplained_names_the_change_that_repaired():
    base = row("deep", **STUCK)
    found = verdict(base, row("adam", changes={"optimiser": "adam"}, **REPAIRED))
    assert found.main == UNEXPLAINED
    assert found.causes[0].repaired_by.name == "adam"


def test_an_unfitted_network_with_dropout_off_is_not_blamed_on_dropout():
    base = row("deep", changes={"dropout": 0.0}, **STUCK)
    assert "dropout too strong" not in [one.name for one in verdict(base).suspected]


def test_no_degradation_where_the_shallower_network_fits_no_better():
    base, ladder = case_of("true degradation")
    found = verdict(base, *ladder, shallower=(shallow(train_accuracy=0.56, validation=0.8),))
    assert found.main == UNEXPLAINED


def test_no_degradation_where_signals_are_lost():
    finding = STUCK | {"signal": 1e-5}
    skips = row("skips", changes={"residual": True}, **REPAIRED)
    found = verdict(row("deep", **finding), skips)
    assert "true degradation" not in [one.name for one in (*found.causes, *found.suspected)]


def test_no_degradation_of_networks_that_stay_on_the_plateau():
    base, ladder = case_of("true degradation")
    found = verdict(staying(base, 3), *ladder)
    assert "true degradation" not in [one.name for one in (*found.causes, *found.suspected)]


def test_two_networks_of_the_shallower_one_are_enough_to_suspect_degradation():
    """What a study has of it may be few: the finding is no test, the cure is one."""
    base, ladder = case_of("true degradation")
    assert verdict(base, *ladder, shallower=(shallow(cells=2),)).main == "true degradation"
    assert verdict(base, shallower=(shallow(cells=2),)).main == UNEXPLAINED


@pytest.mark.parametrize(
    ("usual", "cause"),
    [
        ({"dropout": 0.2}, "dropout too strong"),
        ({"weight_decay": 0.001}, "weight decay too strong"),
    ],
)
def test_a_usual_setting_is_not_suspected_but_its_cure_proves_it(usual, cause):
    base = row("deep", changes=usual, **STUCK)
    without = row("without", changes=usual | dict.fromkeys(usual, 0.0), **REPAIRED)
    assert cause not in [one.name for one in verdict(base).suspected]
    assert verdict(base, without).main == cause


def test_a_fitted_network_far_from_validation_overfits():
    base = row("deep", train_accuracy=0.99, validation=0.6)
    found = verdict(base)
    assert found.main == "overfitting"
    assert found.causes[0].numbers == pytest.approx(
        {"training accuracy": 0.99, "validation balanced accuracy": 0.6}, abs=0.02
    )


def test_nothing_to_learn_where_no_row_beats_the_control():
    base = row("deep", train_accuracy=0.99, validation=0.51)
    found = verdict(base, shallower=(shallow(validation=0.5),))
    assert found.main == NOTHING
    assert verdict(base, shallower=(shallow(validation=0.8),)).main == "overfitting"


def test_networks_that_cannot_be_trained_are_no_proof_that_there_is_nothing_to_learn():
    base, _ = case_of("signal explodes", cure=False)
    found = verdict(
        replace(base, cells=tuple(replace(c, validation=0.5) for c in base.cells)),
        shallower=(shallow(validation=0.5),),
    )
    assert found.main == UNEXPLAINED


@pytest.mark.parametrize(("shuffled", "nothing"), [(0, False), (1, False), (2, True), (6, True)])
def test_what_true_labels_free_and_shuffled_ones_do_not_is_something_to_learn(shuffled, nothing):
    """Validation shows no difference, and every cure that a finding calls for was tried."""
    low = {"validation": 0.5}
    told = {
        "deep": ({}, 12, 0),
        "norm": ({"norm": "batch"}, 12, 9),
        "slow": ({"learning_rate_times": 0.1}, 3, 0),
        "skips": ({"residual": True}, 3, 0),
        "control": ({"norm": "batch", "training_labels": "shuffled"}, 6, shuffled),
    }
    rows = [
        staying(row(name, changes={"dropout": 0.0} | one, cells=n, **(STUCK | low)), leave)
        for name, (one, n, leave) in told.items()
    ]
    drowned = [replace(one, spread=0.003) for one in rows[0].cells]
    case = Case(replace(rows[0], cells=tuple(drowned)), (shallow(**low),), tuple(rows[1:]), 48)
    assert (judge(case, LIMITS).main == NOTHING) == nothing


def test_a_control_of_the_network_does_not_hide_that_of_its_cure():
    low = {"validation": 0.5}
    shuffled = {"training_labels": "shuffled"}
    told = {
        "deep": ({}, 12, 0),
        "control": (shuffled, 6, 0),
        "norm": ({"norm": "batch"}, 12, 9),
        "slow": ({"learning_rate_times": 0.1}, 3, 0),
        "skips": ({"residual": True}, 3, 0),
        "norm-control": ({"norm": "batch"} | shuffled, 6, 0),
    }
    base, *rows = (
        staying(row(name, changes={"dropout": 0.0} | one, cells=n, **(STUCK | low)), leave)
        for name, (one, n, leave) in told.items()
    )
    drowned = replace(base, cells=tuple(replace(one, spread=0.003) for one in base.cells))
    found = judge(Case(drowned, (shallow(**low),), tuple(rows), 48), LIMITS)
    assert found.main == "no signal reaches the output at initialisation"
    assert found.causes[0].learned is not None


def test_of_two_cures_the_one_that_has_a_control_speaks_for_the_cause():
    base = bistable("deep", 0, 6)
    weak = replace(base, cells=tuple(replace(one, spread=0.003) for one in base.cells))
    norm = bistable("norm", 6, 6, {"norm": "batch"})
    better = {"initialisation": "he"}
    he = staying(row("he", changes=better, **(REPAIRED | {"validation": 0.95})), 6)
    control = bistable("c", 0, 6, {"norm": "batch", "training_labels": "shuffled"})
    for rows, name in (((norm, he), "he"), ((norm, he, control), "norm")):
        found = judge(Case(weak, (shallow(),), rows, 48), LIMITS)
        assert found.causes[0].repaired_by.name == name
        assert (found.causes[0].learned is None) == (name == "he")


def test_a_network_that_stays_is_not_without_an_effect_where_no_control_was_trained():
    base = staying(row("deep", **STUCK), 2)
    same = shallow(**STUCK)
    assert judge(Case(base, (same,), (), 48), LIMITS).main != NO_EFFECT


def test_without_a_control_nothing_is_said_of_there_being_nothing_to_learn():
    base = row("deep", train_accuracy=0.99, validation=0.51)
    assert judge(Case(base, (shallow(validation=0.5),), (), 48), LIMITS).main == "overfitting"


def test_faults_of_the_data_come_first():
    base, ladder = case_of("signal explodes")
    found = verdict(
        base, *ladder, faults=DataFaults(("12 duplicates across patients",), ("5 labels",))
    )
    assert found.main == "data fault: 12 duplicates across patients"
    assert [cause.name for cause in found.causes[1:]] == [
        cause.name for cause in verdict(base, *ladder).causes
    ]
    page = verdict_markdown(Explained(found, Told((), 0, 0, ()), (), ""))
    assert "12 duplicates" in page
    assert "*The audit warns of the data: 5 labels.*" in page


def test_a_healthy_network_has_no_depth_effect_and_the_smallest_visible_one_is_said():
    found = verdict(row("deep"))
    assert found.main == NO_EFFECT
    assert found.compared_with == "shallow"
    # 6 cells, so t of 5 degrees of freedom: 2.571 + 0.920 standard errors.
    expected = (2.5706 + 0.9195) * found.depth.standard_error
    assert found.smallest_visible == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("cause", sorted(set(FINDINGS) - {"pooled away"}))
def test_a_fitted_network_is_not_accused_whatever_it_shows(cause):
    finding, change = FINDINGS[cause]
    finding = dict(finding)
    base = row("deep", DEEP, finding.pop("changes", {}), **finding)
    found = verdict(base, row("cured", changes=change))
    assert found.main == NO_EFFECT


def test_without_a_shallower_network_nothing_is_said_of_depth():
    found = verdict(row("deep"), shallower=())
    assert found.main == NOT_COMPARED
    assert found.depth is None
    assert verdict(row("deep", **STUCK), shallower=()).main != NOT_COMPARED


def test_the_network_is_held_against_its_own_control_whatever_the_order_of_the_rows():
    base = row("deep", train_accuracy=0.95, validation=0.75)
    own = row("own", changes={"training_labels": "shuffled"}, validation=0.5)
    other = {"training_labels": "shuffled", "epochs_times": 0.1}
    noisy = row("noisy", changes=other, validation=0.74, jitter=9)
    he = row("he", changes={"initialisation": "he"}, validation=0.75)
    for ladder in permutations([own, noisy, he]):
        found = judge(Case(base, (shallow(validation=0.75),), ladder, 48), LIMITS)
        assert (found.control, found.main) == ("own", NO_EFFECT)


def test_a_control_has_no_say_in_how_far_networks_vary():
    """It is measured by labels that it was not trained on, so that its loss jumps."""
    base, better = row("deep", **STUCK), row("he", changes={"initialisation": "he"}, **REPAIRED)
    rows = (row("shallow", SHALLOW, **STUCK),)
    jumps = row("c", changes={"training_labels": "shuffled"}, jitter=90, validation=0.5)
    with_it, without = (
        judge(Case(base, rows, ladder, 48, cures_allowed=5), LIMITS).rungs[0]
        for ladder in ((better, jumps), (better,))
    )
    assert with_it.p_value == without.p_value
    assert with_it.log_train_loss == without.log_train_loss


def test_under_warm_up_the_first_step_says_nothing_of_the_rate():
    high, low, drowned = (
        next(c.finding for c in CAUSES if c.name.startswith(name))
        for name in ("learning rate too high", "learning rate too low", "no signal")
    )
    for warm, said in ((0, True), (5, False)):
        base = row("deep", changes={"warmup_epochs": warm}, spread=0.001, first_update=1e-4)
        case = Case(base, (), (), 48)
        assert [one(case, LIMITS) is not None for one in (high, low, drowned)] == [said] * 3


def test_curves_that_diverged_are_no_sign_of_a_training_that_was_cut_short():
    stopped = next(c.finding for c in CAUSES if c.name == "stopped too early")
    base = row("deep", losses=FALLING)
    assert stopped(Case(base, (), (), 48), LIMITS) is not None
    broken = tuple(replace(c, losses=(nan,) * 40) for c in base.cells[1:])
    diverged = replace(base, cells=(base.cells[0], *broken))
    assert stopped(Case(diverged, (), (), 48), LIMITS) is None


def test_a_setting_that_takes_the_signal_away_comes_before_the_signal_that_is_lost():
    base = row("deep", changes={"weight_decay": 0.3}, signal_end=1e-5, **STUCK)
    cured = row("no-decay", changes={"weight_decay": 0.0}, **REPAIRED)
    leaky = row("leaky", changes={"weight_decay": 0.3, "activation": "leaky"}, **REPAIRED)
    names = [cause.name for cause in verdict(base, leaky, cured).causes]
    assert names == ["weight decay too strong", "lost its signal while training"]


def test_a_network_that_is_worse_by_no_more_than_another_seed_would_make_it_is_not_accused():
    base, better = row("deep", jitter=0.2, validation=0.87), shallow(jitter=0)
    found = verdict(base, shallower=(better,))
    assert found.depth.is_below
    assert found.main == NO_EFFECT


def test_a_network_at_the_level_of_the_control_is_unexplained():
    base = row("deep", train_accuracy=0.6, validation=0.5)
    found = verdict(base, row("dry", changes={"dropout": 0.0}, **STUCK), shallower=())
    assert found.main in {UNEXPLAINED, NOTHING}


def test_a_gain_that_is_too_small_repairs_nothing():
    base, ladder = case_of("signal explodes", train_accuracy=0.58, validation=0.54, train_loss=0.6)
    assert verdict(base, *ladder).main == UNEXPLAINED


def test_a_gain_that_goes_less_than_half_the_way_repairs_nothing():
    base, ladder = case_of("signal explodes", train_accuracy=0.70, validation=0.65, train_loss=0.6)
    assert verdict(base, *ladder).main == UNEXPLAINED


def test_a_gain_within_noise_repairs_nothing():
    base, _ladder = case_of("signal explodes")
    noisy = row("cured", changes={"initialisation": "he"}, jitter=300, **REPAIRED)
    assert verdict(base, noisy).main == UNEXPLAINED


def test_several_causes_are_named_in_the_order_of_the_table():
    base = row("deep", **(STUCK | {"growth": 1e6, "silent": 1.0}))
    initialised = row("he", changes={"initialisation": "he"}, **REPAIRED)
    slower = row("slow", changes={"learning_rate_times": 0.1}, **REPAIRED)
    found = verdict(base, slower, initialised)
    assert [cause.name for cause in found.causes] == [
        "signal explodes",
        "learning rate too high",
        "lost its signal while training",  # of which a lower rate is a cure too
    ]


def test_the_verdict_is_the_same_every_time_and_whatever_the_order_of_the_rungs():
    base, ladder = case_of("signal explodes")
    other = row("other", changes={"norm": "batch"}, **STUCK)
    found = verdict(base, *ladder, other)
    assert repr(found) == repr(verdict(base, *ladder, other))
    assert found.causes == verdict(base, other, *ladder).causes


@pytest.mark.parametrize("number", ["signal", "growth", "first_update", "silent"])
def test_numbers_that_overflowed_do_not_stop_the_verdict(number):
    base = row("deep", **(STUCK | {number: inf}))
    assert verdict(base).main in {UNEXPLAINED, *FINDINGS}


def test_every_cure_is_told_by_what_changes():
    changes = {
        "another initialisation": {"initialisation": "lsuv"},
        "a norm": {"norm": "group"},
        "a lower learning rate": {"learning_rate_times": 0.01},
        "a higher learning rate": {"learning_rate_times": 10},
        "more epochs": {"epochs_times": 3},
        "less dropout": {"dropout": 0.1},
        "less weight decay": {"weight_decay": 0.0},
        "another input scale": {"input_scale": "byte"},
        "balanced loss weights": {"loss_weights": "balanced"},
        "skips": {"residual": True},
        "less pooling": {"unpooled": True},
        "another activation": {"activation": "leaky"},
        "warm-up": {"warmup_epochs": 3},
        "clipping": {"clip_norm": 0.5},
        "a larger eps": {"eps": 0.01},
        "a larger batch": {"batch_size": 128},
        "a constant rate": {"schedule": "constant"},
        "no initial bias": {"initial_bias": 0.0},
    }
    assert set(changes) == set(CURES)
    decay = {"weight_decay": 0.1, "schedule": "step", "initial_bias": 0.1}
    plans = {}
    for kind, change in changes.items():
        line = POOLED if kind == "less pooling" else DEEP
        plans[kind] = row("base", line, decay).plan, row("one", line, decay | change).plan
    for kind in CURES:
        for other, (base, plan) in plans.items():
            assert is_cure(kind, base, plan, 48) == (kind == other), (kind, other)
        # Two changes at once are no cure of anything.
        base, plan = plans[kind]
        both = replace(plan, recipe=plan.recipe.model_copy(update={"batch_size": 7}))
        assert not is_cure(kind, base, both, 48)


# What shows once networks left the plateau.
OF_TRAINED = {"stopped too early", "true degradation"}


# The same causes where no network left the plateau: a cure is what makes them leave.
@pytest.mark.parametrize("cause", sorted(set(FINDINGS) - OF_TRAINED))
def test_a_cure_that_frees_a_network_from_the_plateau_proves_the_finding(cause):
    base, ladder = case_of(cause)
    found = verdict(staying(base), *ladder)
    assert found.outcome == "leaving the plateau"
    assert found.main == cause
    assert (found.left.left, found.causes[0].repaired_by.left.left) == (0, 6)
    assert verdict(staying(base), *map(staying, ladder)).main == UNEXPLAINED


def test_a_network_that_is_right_and_sure_of_its_mistakes_has_a_cause_as_well():
    """Huge weights: its accuracy is high and its loss above that of a constant answer."""
    base = staying(row("deep", growth=2e5, train_accuracy=0.99, validation=0.97))
    cured = row("he", changes={"initialisation": "he"}, train_accuracy=0.99, validation=0.97)
    assert verdict(base, cured).main == "signal explodes"
    assert "signal explodes" in [one.name for one in verdict(base).suspected]


def staying(one, leave=0):
    """Return a row of which all but the first `leave` networks stay on the plateau."""
    cells = [replace(c, losses=LEFT if i < leave else FLAT) for i, c in enumerate(one.cells)]
    return replace(one, cells=tuple(cells))


def bistable(name, leave, networks, changes=None):
    numbers = REPAIRED if 2 * leave > networks else STUCK
    return staying(row(name, changes=changes, cells=networks, **numbers), leave)


def test_the_base_alone_chooses_the_outcome():
    better = row("he", changes={"initialisation": "he"}, **REPAIRED)
    assert verdict(row("deep", **STUCK), better).outcome == "loss and accuracy"
    assert verdict(staying(row("deep", **STUCK), 5), better).outcome == "leaving the plateau"
    # All accuracies are far better, and it is no cure: 5 of 6 leave without it.
    assert verdict(staying(row("deep", **STUCK), 5), better).together == ()


def unbalanced(leave, one_class, majority=0.94, constant=0.227):
    """Return a network of which so many leave, and so many of those answer one class.

    `constant` is the loss of the best constant answer where so many are negative.
    """
    base = row("deep", majority=majority, train_accuracy=0.5, validation=0.5)
    cells = [
        replace(c, losses=((0.9 if i < leave else 1) * constant,) * 10, one_class=i < one_class)
        for i, c in enumerate(base.cells)
    ]
    return replace(base, cells=tuple(cells))


@pytest.mark.parametrize(("one_class", "cured"), [(3, False), (4, True)])
def test_networks_that_left_and_answer_one_class_lack_something_else(one_class, cured):
    balanced = row("balanced", changes={"loss_weights": "balanced"}, **REPAIRED)
    found = verdict(unbalanced(5, one_class), balanced)
    assert found.outcome == ("loss and accuracy" if cured else "leaving the plateau")
    assert (found.main == "classes out of balance") == cured
    assert found.together == (("balanced",) if cured else ())


def test_networks_that_stay_and_answer_one_class_are_asked_to_leave():
    assert verdict(unbalanced(2, 6)).outcome == "leaving the plateau"


def test_of_balanced_classes_one_answer_is_no_reason_to_ask_for_accuracy():
    """Weights are kept where validation is best: a network may answer one class there by chance."""
    found = verdict(unbalanced(5, 5, majority=0.5, constant=0.693))
    assert (found.outcome, found.left.left) == ("leaving the plateau", 5)


def test_a_step_that_drowns_the_signal_is_a_finding_of_two_causes():
    """RMSProp's first step is the rate / sqrt(1 - .9) = .0032, whatever the gradient."""
    base = bistable("deep", 1, 12)
    weak = replace(base, cells=tuple(replace(c, spread=0.003) for c in base.cells))
    norm = bistable("norm", 12, 12, {"norm": "batch"})
    found = verdict(weak, norm)
    assert found.main == "no signal reaches the output at initialisation"
    assert "learning rate too high" in [one.name for one in found.suspected]
    assert found.causes[0].numbers[STEP] == pytest.approx(0.001 / 0.1**0.5 / 0.003)
    strong = replace(base, cells=tuple(replace(c, spread=0.0032) for c in base.cells))
    assert verdict(strong, norm).main == "hangs on the seed"


@pytest.mark.parametrize(
    ("optimiser", "step"), [("adam", 1.0), ("rmsprop", 0.1**-0.5), ("sgd", nan)]
)
def test_the_first_step_is_that_of_the_optimiser(optimiser, step):
    base = row("deep", changes={"optimiser": optimiser}, spread=0.001, **STUCK)
    case = Case(base, (), (), 48)
    finding = next(c.finding for c in CAUSES if c.name.startswith("no signal"))
    numbers = finding(case, LIMITS)
    if step > 0:
        assert (numbers or {STEP: step})[STEP] == pytest.approx(step)
    else:
        assert numbers is None


SGD = {"optimiser": "sgd", "learning_rate": 0.01, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("changes", "update", "gradient"),
    [
        ({}, 1e-6, 1e-4),
        ({"weight_decay": 0.0004}, 0.01 * 0.0005, 3e-4),  # decay moves weights as well
        ({"weight_decay": 0.0005}, 0.01 * 0.0004, 0.0),  # and less along the gradient
        ({"weight_decay": 0.5}, 0.01 * 0.5002, None),  # the gradient is .014: sound
        ({"weight_decay": 0.1}, 0.01 * 0.1, None),  # or nothing: not to be seen beside the decay
        ({}, 1e-4, None),
        ({"learning_rate": 1e-6}, 1e-8, None),  # the rate is low, the gradient sound
        ({"optimiser": "rmsprop"}, 1e-6, None),
        ({"warmup_epochs": 5}, 1e-6, None),
        ({"clip_norm": 0.001}, 1e-6, None),
    ],
)
def test_a_first_gradient_that_vanishes_is_no_signal_whatever_the_rate(changes, update, gradient):
    base = row("deep", changes=SGD | changes, first_update=update, **STUCK)
    finding = next(c.finding for c in CAUSES if c.name.startswith("no signal"))
    numbers = finding(Case(base, (), (), 48), LIMITS)
    if gradient is None:
        assert numbers is None
    else:
        assert numbers[GRADIENT] == pytest.approx(gradient)


def test_some_networks_that_learn_and_others_that_do_not_hang_on_the_seed():
    found = verdict(bistable("deep", 3, 6))
    assert found.main == "hangs on the seed"
    assert found.causes[0].numbers["networks that left the plateau"] == 3
    # 5 of 6: the interval does not exclude that 95 % learn. None of 6: no seed learns.
    for leave in (0, 5):
        names = [cause.name for cause in verdict(bistable("deep", leave, 6)).causes]
        assert "hangs on the seed" not in names


def test_an_open_arm_asks_for_more_and_is_undecided_at_twelve():
    def state(base, arm, networks):
        case = Case(
            bistable("deep", base, networks),
            (shallow(),),
            (bistable("he", arm, networks, {"initialisation": "he"}),),
            48,
            cures_allowed=7,
        )
        [rung] = judge(case, LIMITS).rungs
        return rung.state

    assert state(1, 6, 6) == "open"
    assert state(1, 9, 9) == "cure"
    assert state(1, 3, 6) == "undecided"
    assert state(4, 9, 12) == "undecided"
    assert state(1, 12, 12) == "cure"


def test_an_arm_with_more_networks_than_the_base_is_open_while_the_base_can_grow():
    he = bistable("he", 12, 12, {"initialisation": "he"})
    case = Case(bistable("deep", 1, 6), (shallow(),), (he,), 48, cures_allowed=7)
    assert [rung.state for rung in judge(case, LIMITS).rungs] == ["open"]


def test_cures_that_worked_are_named_together_with_the_difference_that_is_not_excluded():
    base = bistable("deep", 1, 12)
    he = bistable("he", 12, 12, {"initialisation": "he"})
    norm = bistable("norm", 11, 12, {"norm": "batch"})
    found = verdict(base, he, norm)
    assert set(found.together) == {"he", "norm"}
    low, high = newcombe_interval(Tally(12, 12), Tally(11, 12), 0.95)
    assert found.not_excluded == pytest.approx(max(abs(low), abs(high)))
    assert verdict(base, he).not_excluded is None


def test_leaving_is_not_learning():
    base = bistable("deep", 0, 6)
    he = bistable("he", 6, 6, {"initialisation": "he"})
    shuffled = {"initialisation": "he", "training_labels": "shuffled"}
    control = row("he-shuffled", changes=shuffled, validation=0.5)
    found = verdict(
        replace(base, cells=tuple(replace(c, growth=1e6) for c in base.cells)), he, control
    )
    assert found.causes[0].learned.is_above
    assert verdict(base, he).causes[0].learned is None


def test_a_rung_that_does_nothing_never_changes_a_verdict():
    base = bistable("deep", 0, 6)
    he = bistable("he", 6, 6, {"initialisation": "he"})
    idle = bistable("warm", 0, 6, {"warmup_epochs": 5})
    with_idle = judge(Case(base, (shallow(),), (CONTROL, he, idle), 48, cures_allowed=7), LIMITS)
    without = judge(Case(base, (shallow(),), (CONTROL, he), 48, cures_allowed=7), LIMITS)
    assert with_idle.together == without.together == ("he",)
    names = [[cause.name for cause in found.causes] for found in (with_idle, without)]
    assert names[0] == names[1]


def test_more_cures_that_were_allowed_ask_for_more_of_a_paired_effect():
    base = row("deep", jitter=3, **STUCK)
    better = row("he", changes={"initialisation": "he"}, jitter=30, **REPAIRED)
    p_values = [
        judge(Case(base, (shallow(),), (better,), 48, cures_allowed=cures), LIMITS).rungs[0].p_value
        for cures in (1, 7)
    ]
    assert p_values[1] == pytest.approx(min(1, 7 * p_values[0]))


@pytest.mark.parametrize(
    ("called_for", "part"), [({"he"}, 0.8), ({"he", "norm"}, 0.4), ({"norm"}, 0.2 / 6)]
)
def test_a_paired_effect_has_its_part_of_the_level(called_for, part):
    base = row("deep", jitter=3, **STUCK)
    better = row("he", changes={"initialisation": "he"}, jitter=30, **REPAIRED)
    case = Case(base, (shallow(),), (better,), 48)
    alone = judge(case, LIMITS).rungs[0].p_value
    shared = replace(case, cures_allowed=7, called_for=frozenset(called_for))
    assert judge(shared, LIMITS).rungs[0].p_value == pytest.approx(min(1, alone / part))


def test_what_the_ladder_tries_is_the_cure_that_it_is_for():
    for kind in CURES:
        line = POOLED if kind == "less pooling" else DEEP
        worst = {"weight_decay": 0.1, "input_scale": "byte", "batch_size": 4}
        worst |= {"schedule": "cosine", "initial_bias": 1.0}
        plan = row("base", line, worst).plan
        found = trials(kind, plan, 48)
        assert found
        assert all(is_cure(kind, plan, one, 48) for one in found.values())
    # A lower rate is given more epochs; what is there already is not tried.
    plan = row("base", DEEP, {"norm": "batch", "dropout": 0.0, "initialisation": "he"}).plan
    assert trials("a lower learning rate", plan, 48)["rate-tenth-long"].recipe.epochs == 120
    assert (trials("a norm", plan, 48), trials("less dropout", plan, 48)) == ({}, {})
    assert list(trials("another initialisation", plan, 48)) == ["lsuv"]
    # A leaky unit passes all it gets: ReLU in its place can die.
    leaky = row("base", DEEP, {"activation": "leaky"}).plan
    assert trials("another activation", leaky, 48) == {}


def test_a_cure_called_as_an_intervention_of_params_is_that_intervention():
    """So that the row that `fathom why --next` prints means what params.yaml means by the name."""
    named = PARAMS["interventions"]
    tries = {name: dict(one) for cure in CURES.values() for name, one in cure.tries.items()}
    shared = named.keys() & tries.keys()
    assert {"he-init", "batchnorm", "residual", "long"} <= shared
    assert {name: tries[name] for name in shared} == {name: named[name] for name in shared}


def test_a_signal_that_was_never_there_was_not_lost_while_training():
    lost = next(cause.finding for cause in CAUSES if cause.name.startswith("lost its"))

    def found(**numbers):
        return lost(Case(row("deep", **numbers), (), (), 48), LIMITS)

    assert found(signal_end=1e-5)
    assert found(silent=1.0)
    assert (
        found(losses=(0.5,) * 20 + FLAT[:20])["networks that left the plateau and came back"] == 6
    )
    assert found() is None
    assert found(signal=1e-5, signal_end=1e-5) is None


def test_a_schedule_has_not_run_out_where_networks_left_early():
    ran_out = next(cause.finding for cause in CAUSES if cause.name == "schedule ran out")

    def found(losses, schedule="step"):
        base = row("deep", changes={"schedule": schedule}, losses=losses)
        return ran_out(Case(base, (), (), 48), LIMITS)

    early = FLAT[:5] + (0.5,) * 35
    assert found(FLAT)
    assert found(early) is None
    assert found(FLAT, "constant") is None


@pytest.mark.parametrize(
    ("epoch", "left", "networks", "said"),
    [
        (39.5, 7, 12, "39.5"),
        (inf, 3, 6, "half stayed"),
        (None, 3, 6, "half stayed"),
        (None, 2, 6, "most stayed"),
        (inf, 0, 5, "none left"),
    ],
)
def test_an_arm_without_a_median_epoch_says_why(epoch, left, networks, said):
    assert median_epoch_in_words(epoch, Tally(left, networks)) == said


def test_a_cure_that_would_change_nothing_is_not_called_untried():
    """SGD has no eps: a larger one is no trial, and a verdict does not wait for it."""
    for optimiser, waits in (("rmsprop", True), ("sgd", False)):
        base = row("deep", changes={"optimiser": optimiser}, **(STUCK | {"signal_end": 1e-5}))
        found = judge(Case(base, (shallow(),), (), 48), LIMITS)
        [lost] = [one for one in found.suspected if one.name.startswith("lost its signal")]
        assert ("a larger eps" in lost.untried) == waits
        assert "warm-up" in lost.untried


def test_a_larger_batch_makes_up_for_a_part_of_the_steps_that_it_saves():
    base = row("deep", changes={"batch_size": 2}).plan
    [(name, plan)] = trials("a larger batch", base, 48).items()
    assert (name, plan.recipe.batch_size) == ("batch-64-long", 64)
    assert plan.recipe.epochs == 3 * base.recipe.epochs
    for changes, cures in (({}, True), ({"epochs": 10}, False), ({"epochs": 400}, True)):
        other = row("deep", changes={"batch_size": 64} | changes).plan
        assert is_cure("a larger batch", base, other, 48) == cures
