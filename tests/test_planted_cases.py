"""The cases of benchmarks/planted_causes.py: what is planted is there, and one thing only."""

from dataclasses import replace

import diagnosed_cases as diagnosed
import numpy as np
import pandas as pd
import planted_cases as planted
import pytest
import studied_nuclei
from planted_causes import tally, with_other_rows
from studied_nuclei import Nuclei, faults_of, studied

from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.verdict import DATA_FAULT, NOTHING

NAMES = [case.name for case in planted.CASES]


def test_every_cause_is_planted_and_half_of_the_cases_are_on_real_nuclei():
    faulty = [case for case in planted.CASES if case.accept]
    assert (len(faulty), len(planted.CASES) - len(faulty)) == (30, 16)
    accepted = {name for case in faulty for name in case.accept}
    assert {*(cause.name for cause in CAUSES), NOTHING} <= accepted
    assert sum(case.is_of_data for case in faulty) == 4
    assert sum(case.setting.nuclei.real for case in planted.CASES) == 23
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("case", planted.CASES, ids=NAMES)
def test_a_case_its_twin_and_its_shallower_network_can_be_trained(case):
    plan = case.setting.plan("a")
    assert replace(case.setting, line=case.shallower).plan("b").recipe == plan.recipe
    if case.accept:
        twin = case.twin.plan("c")
        assert (twin, case.twin.nuclei, case.setting.positives) != (
            plan,
            case.setting.nuclei,
            None,
        )
    else:
        assert case.twin is None


def test_validation_patients_are_whole_and_classes_as_asked():
    [few] = [case for case in planted.CASES if case.setting.positives]
    nuclei = Nuclei(per_patient=8)
    given = studied(nuclei, 3)
    for positives in (None, few.setting.positives):
        for rows in replace(few.setting, nuclei=nuclei, positives=positives).rows(3):
            train, validation = given.patient[rows["train"]], given.patient[rows["validation"]]
            assert not set(train) & set(validation)
            assert len(set(validation)) == 3
            share = given.positive[rows["train"]].mean()
            assert share < 0.12 if positives else abs(share - 0.5) < 0.2


@pytest.mark.parametrize("one", [planted.SIMULATED, planted.REAL, planted.COPIED], ids=str)
def test_nuclei_are_the_same_again_and_others_for_another_seed(one):
    if not studied_nuclei.are_there(one):
        pytest.skip("data/nuclei is absent: run `dvc repro crop`")
    given, again = studied(one, 0), studied.__wrapped__(one, 0)
    assert np.array_equal(given.crops, again.crops)
    assert given.table.equals(again.table)
    assert not np.array_equal(given.crops, studied(one, 1).crops)
    assert len(given.crops) <= 300
    assert given.table["nucleus"].is_unique
    assert abs(given.positive.mean() - 0.5) < 0.1


@pytest.mark.long
def test_a_fault_of_the_data_is_found_and_nothing_is_without_it():
    small = Nuclei(per_patient=12, separation=0.0)
    assert not faults_of(small, 0).errors
    for fault, check in (
        ("a mark in positive crops", "class_told_by_mark"),
        ("nuclei under both labels", "one_nucleus_two_labels"),
        ("copies in another patient", "duplicate_nuclei_across_patients"),
        ("black crops", "refused"),
    ):
        errors = faults_of(replace(small, fault=fault), 0).errors
        assert any(one.startswith(check) for one in errors), fault


class Six:
    """Evidence as far as the rule of harm asks for it."""

    def __init__(self, left, train, validation):
        self.left = [True] * left + [False] * (6 - left)
        self.medians = {"train_accuracy": train, "validation": validation}

    def median(self, measure):
        return self.medians[measure]


TWIN = Six(6, 0.95, 0.9)


@pytest.mark.parametrize(
    ("six", "says"),
    [
        (Six(6, 0.95, 0.9), "did no harm"),
        (Six(6, 0.95, 0.99), "did no harm"),
        (Six(4, 0.95, 0.9), "did no harm"),
        (Six(3, 0.95, 0.9), ""),
        (Six(6, 0.95, 0.79), ""),
        (Six(6, 0.84, 0.9), ""),
    ],
)
def test_harm_is_by_the_rule(six, says):
    case = planted.ON_SIMULATED[0]
    assert diagnosed.Outcome(case, six, TWIN, None, 8).does_not_count == says


def test_a_fault_of_the_data_may_also_raise_the_result():
    [mark] = [case for case in planted.CASES if case.name == "mark"]
    twin = Six(0, 0.5, 0.5)
    assert diagnosed.Outcome(mark, Six(6, 1.0, 1.0), twin, None, 8).does_not_count == ""
    assert diagnosed.Outcome(mark, Six(0, 0.5, 0.55), twin, None, 8).does_not_count


@pytest.mark.parametrize(
    ("six", "says"),
    [(TWIN, ""), (Six(5, 0.9, 0.9), "not healthy"), (Six(6, 0.9, 0.7), "not healthy")],
)
def test_a_healthy_case_is_healthy(six, says):
    assert diagnosed.Outcome(planted.SOUND[0], six, None, None, 8).does_not_count == says


class Said:
    """A verdict as far as its mark asks for it."""

    def __init__(self, *names, warnings=()):
        self.causes = [type("Cause", (), {"name": name})() for name in names]
        self.data_warnings, self.main = warnings, names[0]


@pytest.mark.parametrize(
    ("case", "said", "mark"),
    [
        (0, Said(planted.NO_SIGNAL), "right"),
        (0, Said(planted.TOO_HIGH, planted.NO_SIGNAL), "partly"),
        (0, Said("unexplained"), "wrong"),
        (14, Said(f"{DATA_FAULT}: class_told_by_mark:corners of crops: 9 crops"), "right"),
        (14, Said("no depth effect", warnings=["class_told_by_mark:a: b"]), "right"),
        (14, Said(planted.TOO_HIGH, warnings=["class_told_by_mark:a: b"]), "partly"),
        (14, Said("no depth effect", warnings=["label_errors:a: b"]), "wrong"),
        (30, Said("no depth effect"), "right"),
        (30, Said("unexplained"), "false alarm"),
    ],
)
def test_a_verdict_is_marked_by_the_rule(case, said, mark):
    assert diagnosed.marked(planted.CASES[case], said) == mark


def test_the_table_keeps_other_seeds_and_counts(tmp_path):
    path = tmp_path / "table.csv"
    rows = pd.DataFrame(
        {"seed": [0, 1], "case": ["a", "a"], "accepted": ["x", "x"], "result": ["right", "wrong"]}
    ).assign(nuclei=["real", "real, wrong labels"], warnings="label_errors")
    rows.to_csv(path, index=False)
    found = with_other_rows(path, rows[:1].assign(result="partly"), ["seed", "case"])
    assert found["result"].tolist() == ["wrong", "partly"]
    # One of the two was warned of for nothing.
    assert "| planted | 2 | 0 | 1 | 1 | 0 | 0 | 1 |" in tally(found)
