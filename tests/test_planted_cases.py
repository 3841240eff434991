"""The cases of benchmarks/planted_causes.py: what is planted is there, and one thing only."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.verdict import NOTHING

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import planted_cases as planted

NAMES = [case.name for case in planted.CASES]


def test_every_cause_is_planted_twice_and_there_are_healthy_networks():
    causes = [case.cause for case in planted.CASES if case.cause]
    assert len(causes) >= 24
    for cause in {*(cause.name for cause in CAUSES), NOTHING}:
        assert causes.count(cause) == 2, cause
    assert len(planted.CASES) - len(causes) >= 8
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("case", planted.CASES, ids=NAMES)
def test_a_case_and_its_shallower_network_can_be_trained(case):
    assert case.plan(case.network).recipe == case.plan(planted.SHALLOWER[case.network]).recipe


def test_validation_patients_are_whole_and_their_nuclei_as_many_of_both_classes(monkeypatch):
    nuclei = planted.simulated(**(planted.NUCLEI | {"nuclei_per_patient": 6}))
    monkeypatch.setattr(planted, "simulated", lambda *_, **__: nuclei)
    [case] = [case for case in planted.CASES if case.name == "vgg-13"]
    patient = nuclei.table["patient"].to_numpy()
    for rows in case.rows():
        train, validation = patient[rows["train"]], patient[rows["validation"]]
        assert not set(train) & set(validation)
        assert len(set(validation)) == 2
    [case] = [case for case in planted.CASES if case.positives == 0.1]
    positive = nuclei.table["positive"].to_numpy(dtype=bool)
    shares = [positive[rows["train"]].mean() for rows in case.rows()]
    assert np.mean(shares) < 0.2
