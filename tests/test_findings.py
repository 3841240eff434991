import json

import pandas as pd
import pytest
from audit_params import PARAMS, audit_params
from pydantic import ValidationError

from fathom.audit.findings import (
    FINDING_COLUMNS,
    Finding,
    finding_metrics,
    finding_table,
    findings_markdown,
    refuse_errors,
    write_findings,
)
from fathom.audit.params import CHECKS
from fathom.ground.errors import FathomError

BLURRED = Finding("blurred_image", "images/a.tif", "it is blurred", 0.9, ("images/a.tif",))
COPY = Finding("duplicate_images_across_patients", "a|b", "show one field", 1.0, ("a", "b"))


def test_errors_stand_first_and_are_those_of_the_params():
    table = finding_table([BLURRED, COPY], audit_params())
    assert tuple(table.columns) == FINDING_COLUMNS
    assert table["severity"].tolist() == ["error", "warning"]
    assert table["check"].tolist() == [COPY.check, BLURRED.check]
    assert table["rows"].tolist() == [["a", "b"], ["images/a.tif"]]


def test_the_order_in_which_findings_come_does_not_matter():
    one, other = (
        finding_table([BLURRED, COPY], audit_params()),
        finding_table([COPY, BLURRED], audit_params()),
    )
    pd.testing.assert_frame_equal(one, other)


def test_an_error_stops_unless_it_is_waived_and_the_waiver_stays_visible(tmp_path):
    table = finding_table([BLURRED, COPY], audit_params())
    with pytest.raises(FathomError, match=r"1 error:\n  duplicate_images_across_patients:a\|b"):
        refuse_errors(table, tmp_path)
    waived = finding_table([BLURRED, COPY], audit_params(waivers={COPY.name: "a control"}))
    refuse_errors(waived, tmp_path)
    assert waived["waived"].tolist() == ["a control", ""]
    assert "*Waived: a control*" in findings_markdown(waived)
    metrics = finding_metrics(waived)
    assert (metrics["errors"], metrics["errors_waived"]) == (0, 1)
    assert (metrics["warnings"], metrics["warnings_waived"]) == (1, 0)


def test_a_warning_does_not_stop(tmp_path):
    refuse_errors(finding_table([BLURRED], audit_params()), tmp_path)


def test_severities_are_params(tmp_path):
    errors = [*PARAMS["audit"]["errors"], "blurred_image"]
    warnings = [check for check in PARAMS["audit"]["warnings"] if check != "blurred_image"]
    table = finding_table([BLURRED], audit_params(errors=errors, warnings=warnings))
    with pytest.raises(FathomError, match="blurred_image"):
        refuse_errors(table, tmp_path)


def test_a_waiver_that_fits_no_finding_is_a_finding():
    table = finding_table([BLURRED], audit_params(waivers={"blurred_image:images/b.tif": "thick"}))
    assert table["check"].tolist() == ["blurred_image", "waiver_without_finding"]
    assert "images/b.tif" in table["what"].iloc[1]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"errors": []}, "unreadable_image, .* is missing from both"),
        (
            {"errors": [*PARAMS["audit"]["errors"], "blurred_image"]},
            "blurred_image stands more than once",
        ),
        ({"waivers": {"blured_image:a": "typo"}}, "does not begin with a check's name"),
        ({"warnings": [*PARAMS["audit"]["warnings"], "blur"]}, "blur .* is not a check"),
    ],
)
def test_params_that_would_let_a_check_fall_through_are_refused(changes, match):
    with pytest.raises(FathomError, match=match):
        finding_table([], audit_params(**changes))


def test_a_waiver_has_a_reason():
    with pytest.raises(ValidationError, match="at least 1 character"):
        audit_params(waivers={"blurred_image:a": ""})


def test_the_table_is_written_three_times(tmp_path):
    table = finding_table([BLURRED, COPY], audit_params())
    write_findings(tmp_path, table)
    parquet = pd.read_parquet(tmp_path / "findings.parquet")
    assert parquet["name"].tolist() == table["name"].tolist()
    assert [list(rows) for rows in parquet["rows"]] == table["rows"].tolist()
    assert pd.read_csv(tmp_path / "findings.csv")["rows"].tolist() == ["a b", "images/a.tif"]
    assert "| error | **duplicate_images_across_patients:a\\|b**" in (
        tmp_path / "findings.md"
    ).read_text(encoding="utf-8")


def test_nothing_found_is_said_and_counted(tmp_path):
    table = finding_table([], audit_params())
    write_findings(tmp_path, table)
    assert "found nothing" in (tmp_path / "findings.md").read_text(encoding="utf-8")
    metrics = finding_metrics(table)
    assert set(CHECKS) < set(metrics)
    assert json.dumps(metrics)
    assert not any(metrics.values())
