"""A case from its networks to its mark, on a few nuclei; the tools and rules beside it."""

import numpy as np
import pandas as pd
import pytest
from compared_tools import (
    FATHOM,
    FIRST_RUN,
    TOKENS,
    asked,
    by_chance,
    by_others_answers,
    of_fathom,
    scored,
    table,
    token,
    watched,
)
from diagnosed_cases import BUDGET, FOLDS, Case, Setting, diagnosed
from other_tools import CAUSES as COVERED
from other_tools import causes as covered
from other_tools import judge
from planted_cases import CASES
from public_cases import read_cases
from rules_of_thumb import HEALTHY, RULES, named_by_rules
from studied_nuclei import Nuclei

import fathom.training.pool as pool
from fathom.diagnosis.causes import CAUSES
from fathom.training.store import Store

FEW = Nuclei(per_patient=4)
LINE, SHALLOWER = "4conv3x3 - mp8x8 - fc8 - fc8 - o", "fc8 - o"
SOUND = {"initialisation": "he", "epochs": 4, "batch_size": 8, "dropout": 0.0}
FAULTY = Case(
    "constant",
    ("saturating non-linearity",),
    Setting(LINE, {**SOUND, "activation": "sigmoid", "learning_rate": 1e-6}, FEW),
    Setting(LINE, {**SOUND, "learning_rate": 0.01, "epochs": 60}, FEW),
    SHALLOWER,
)


@pytest.mark.long
def test_a_case_is_diagnosed_with_forty_networks_and_the_second_time_with_none(
    tmp_path, monkeypatch
):
    first = diagnosed(FAULTY, Store(tmp_path), 0)
    assert not first.does_not_count
    assert first.networks <= 2 * FOLDS + BUDGET <= 40
    assert first.mark in {"right", "partly", "wrong"}
    monkeypatch.setattr(pool, "_train", None)  # nothing can be trained now
    assert diagnosed(FAULTY, Store(tmp_path), 0).row() == first.row()


def test_every_cause_has_a_token_and_every_token_that_a_tool_covers_is_one():
    assert {cause.name for cause in CAUSES} < set(TOKENS)
    for case in (*CASES, *read_cases()[0]):
        assert all(token(one) for one in case.accept)
    covered = {one for issues in COVERED.values() for causes in issues.values() for one in causes}
    assert covered <= set(TOKENS.values())


def test_a_watched_training_is_that_of_the_case():
    training = watched(FAULTY, 0)
    assert training.epochs == 4
    assert sum(len(targets) for _, targets in training.batches) == 36
    assert training.optimiser.param_groups[0]["lr"] == pytest.approx(1e-6)
    inputs, _ = training.batches[0]
    assert tuple(inputs.shape) == (8, 1, 48, 48)
    training.run()


def test_a_tool_names_a_cause_with_any_issue_that_covers_one():
    said = ["critical: Dead units × 3", "warning: Loss plateau detected × 1"]
    assert judge("torchmortem", said, {"initial-bias"}) == "named"
    assert judge("torchmortem", said, {"overfitting"}) == "missed"
    assert judge("torchmortem", said, set()) == "alarm"
    assert judge("torchmortem", ["info: a hint × 1"], set()) == "nothing"
    assert judge("torchmortem", ["failed: ValueError: x"], {"overfitting"}) == "nothing"


class Six:
    """Evidence as far as the rules of thumb ask for it."""

    def __init__(self, recipe=None, line=LINE, layers=4, losses=(0.7, 0.3, 0.2), **numbers):
        defaults = {
            "initialisation": "he",
            "initial_scale": 1.0,
            "norm": "none",
            "activation": "relu",
            "dropout": 0.0,
            "weight_decay": 0.0,
        }
        recipe = type("Recipe", (), defaults | (recipe or {}))()
        self.plan = type("Plan", (), {"recipe": recipe, "line": line})()
        self.weight_layers = layers
        self.cells = self.finished = [type("Cell", (), {"losses": losses})()] * 6
        self.numbers = {
            "input_rms": 0.5,
            "majority": 0.5,
            "first_update": 0.01,
            "train_accuracy": 0.95,
            "validation": 0.95,
        } | numbers

    def median(self, name):
        return self.numbers[name]


@pytest.mark.parametrize(
    ("six", "named"),
    [
        (Six(), HEALTHY),
        (Six(input_rms=90.0), "input scale"),
        (Six(majority=0.9), "classes out of balance"),
        (Six({"activation": "none"}), "no non-linearity"),
        (Six({"activation": "tanh"}), "saturating non-linearity"),
        (Six(losses=(0.7, float("nan"))), "learning rate too high"),
        (Six(first_update=0.5), "learning rate too high"),
        (Six(first_update=1e-6), "learning rate too low"),
        (
            Six({"initialisation": "torch"}, layers=13),
            "no signal reaches the output at initialisation",
        ),
        (Six({"initialisation": "torch"}, layers=5), HEALTHY),
        (Six({"initial_scale": 3.0}, layers=13), "signal explodes"),
        (Six({"norm": "batch"}, layers=56), "true degradation"),
        (Six({"dropout": 0.9}, train_accuracy=0.5), "dropout too strong"),
        (Six({"weight_decay": 0.1}, train_accuracy=0.5), "weight decay too strong"),
        (Six(losses=(0.7, 0.68, 0.66, 0.6, 0.5, 0.4), train_accuracy=0.7), "stopped too early"),
        (Six(validation=0.6), "overfitting"),
    ],
)
def test_the_first_rule_of_thumb_that_holds_names_the_cause(six, named):
    assert named_by_rules(six) == named


def test_there_are_ten_rules_with_sources():
    assert len(RULES) == 10
    assert all(rule.source for rule in RULES)


def test_the_table_has_all_on_the_cases_that_count():
    fathom = of_fathom(
        "planted",
        pd.DataFrame(
            {
                "seed": 0,
                "case": ["a", "b", "c", "d"],
                "accepted": ["input scale", "overfitting", "healthy", "input scale"],
                "verdict": ["input scale + overfitting", "unexplained", "no depth effect", ""],
                "result": ["right", "wrong", "right", "did no harm"],
            }
        ),
    )
    assert fathom["judged"].tolist() == ["named", "nothing", "nothing", "nothing"]
    assert fathom["covers"].tolist() == [2, 0, 0, 0]
    counted = fathom[fathom["counts"]]
    assert scored(counted) == {
        "named": "1 of 2",
        "precision": "1.00",
        "alarms": "0 of 1",
        "causes a case": "1.0",
        "by others' answers": "0.0",
    }
    assert f"| planted | {FATHOM} | 1 of 2 | 0.0 | 1.00 | 0 of 1 | 1.0 |" in table(counted)


def test_a_tool_that_always_says_the_same_names_as_much_by_others_answers():
    said = "warning: Dead units × 3; info: Catapult phase detected × 1"
    accepted = ["initial bias", "learning rate too high | input scale", "overfitting"]
    rows = pd.DataFrame({"tool": "torchmortem", "said": said, "accepted": accepted})
    assert by_others_answers(rows) == 2.0


@pytest.mark.parametrize("tool", [FATHOM, FIRST_RUN, "ten rules of thumb"])
def test_of_the_answer_to_another_case_the_first_cause_counts(tool):
    said = ["input scale", "unexplained", "data fault: refused", "input scale"]
    accepted = ["overfitting", "input scale", "nothing to learn", "data fault"]
    rows = pd.DataFrame({"tool": tool, "said": said, "accepted": accepted})
    # Two answers of the three others name the second case, one names the fourth.
    assert by_others_answers(rows) == pytest.approx(2 / 3 + 1 / 3)


def test_a_tool_that_fails_covers_nothing():
    said = ["failed: ValueError: Dead units"]
    assert covered("torchmortem", said) == set()


def test_chance_names_as_often_as_is_planted():
    accepted = ["a", "a", "b", "healthy"]
    found = by_chance(accepted)
    generator = np.random.default_rng(0)
    drawn = generator.choice(accepted, (20_000, 4))
    right = (drawn[:, :3] == np.array(accepted[:3])).sum(axis=1).mean()
    assert float(found["named"].split()[0]) == pytest.approx(right, abs=0.06)
    assert found["alarms"] == "0.8 of 1"


@pytest.mark.long
def test_rules_and_tools_are_asked_about_a_case(tmp_path):
    rows = list(asked(FAULTY, 0, Store(tmp_path)))
    assert rows[0]["tool"] == "ten rules of thumb"
    assert rows[0]["said"] == "saturating non-linearity"
