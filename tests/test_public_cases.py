"""The strangers' cases: each can be set up, its accepted causes exist, the first score stays."""

import json

import public_cases
import pytest
from page_tables import with_table
from studied_nuclei import FAULTS

from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.verdict import DATA_FAULT, NOTHING
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers

CASES, NOT_SET_UP = public_cases.read_cases()
KNOWN = {*(cause.name for cause in CAUSES), DATA_FAULT, NOTHING}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_and_its_cure_can_be_trained(case):
    plan, cured = case.setting.plan("case"), case.twin.plan("cured")
    assert set(case.accept) <= KNOWN
    assert plan != cured or case.setting.nuclei.fault in FAULTS
    layers = [weight_layers(parse(line)) for line in (case.shallower, case.setting.line)]
    assert layers[0] < layers[1]


def test_all_twenty_reports_are_there():
    assert len(CASES) + len(NOT_SET_UP) == 20


def row(result, verdict):
    return {"result": result, "verdict": verdict}


def test_recall_is_of_what_reproduces_and_precision_of_what_is_named():
    rows = [
        row("right", "input scale"),
        row("wrong", "unexplained"),
        row("wrong", "learning rate too low"),
        row("wrong", NOTHING),
        row("partly", "signal explodes + input scale"),
        row(public_cases.REPRODUCES_NOT, ""),
        row(public_cases.SET_UP_NOT, ""),
    ]
    found = public_cases.scores(rows)
    assert (found["cases"], found["reproduce"], found["named"]) == (7, 5, 4)
    assert (found["recall"], found["precision"]) == (0.2, 0.25)


def test_a_warning_that_is_right_is_named():
    rows = [row("right", "no depth effect"), row("right", "input scale"), row("wrong", NOTHING)]
    found = public_cases.scores(rows)
    assert (found["named"], found["precision"]) == (3, 0.667)


def test_the_first_run_stays(tmp_path):
    file = tmp_path / "results.json"
    first = public_cases.with_first(file, {"commit": "a"})
    file.write_text(json.dumps(first))
    assert public_cases.with_first(file, {"commit": "b"}) == {
        "first": {"commit": "a"},
        "last": {"commit": "b"},
    }


def test_other_settings_are_refused(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"first": {"settings_sha256": public_cases.digest()}}))
    public_cases.refuse_other_settings(file)
    file.write_text(json.dumps({"first": {"settings_sha256": "0"}}))
    with pytest.raises(SystemExit, match="frozen"):
        public_cases.refuse_other_settings(file)


def test_the_page_has_the_table_of_the_results():
    if not public_cases.RESULTS.exists():
        pytest.skip("no run of all cases is kept")
    results = json.loads(public_cases.RESULTS.read_text(encoding="utf-8"))
    page = public_cases.PAGE.read_text(encoding="utf-8")
    assert with_table(page, "public_cases", public_cases.table(results)) == page


def test_the_table_has_both_scores_and_a_row_a_case_of_the_first_run():
    case = {"case": "9", "result": "right", "verdict": "input scale", "left": "0 of 6"}
    first = {"commit": "a", "budget": 36, "rows": [case], "scores": public_cases.scores([case])}
    again = first | {"commit": "b"}
    once = public_cases.table({"first": first, "last": first})
    assert "| 9 |  | 0 of 6 |  |  |  | input scale | right |  |" in once
    assert "last" not in once
    assert "last run (commit b, budget 36): 1 right" in public_cases.table(
        {"first": first, "last": again}
    )
