"""Findings from the accounts of a data set, built by hand."""

import pandas as pd
import pytest
from audit_params import audit_params

from fathom.audit.account_checks import audit_accounts
from fathom.ground.errors import FathomError
from fathom.study.accounts import ACCOUNT_COLUMNS, READINGS, read_accounts, write_accounts


def account(image, slide="s", patient="p", **counts):
    """Return an image whose annotations all lie in kept nuclei, but for `counts`."""
    row = dict.fromkeys(ACCOUNT_COLUMNS, 0) | {"image": image, "slide": slide, "patient": patient}
    row |= {"nuclei": 20, "kept": 20, "annotations": 20, "annotations_kept": 20, "covered": 0.1}
    return row | counts


def found_in(*rows):
    found = audit_accounts(pd.DataFrame(rows, columns=list(ACCOUNT_COLUMNS)), audit_params())
    return {one.name: one for one in found}


def test_nothing_is_said_of_a_sound_set_nor_of_one_without_annotations():
    assert found_in(account("a"), account("b")) == {}
    assert found_in(account("a", annotations=0, annotations_kept=0)) == {}
    assert found_in() == {}


@pytest.mark.parametrize("reading", READINGS)
def test_every_reading_is_named_in_words(reading):
    moved = {f"gained_{reading}": 18, f"lost_{reading}": 2}
    (found,) = found_in(account("a", **moved), account("b", **moved)).values()
    assert found.name == "annotations_misread:annotations.csv"
    assert READINGS[reading] in found.what
    assert found.rows == ("a", "b")


def test_few_points_that_another_reading_fits_are_chance():
    assert found_in(account("a", gained_exchanged=6, lost_exchanged=1)) == {}


def test_one_patient_and_one_image_are_found_where_the_rest_is_as_written():
    right = {"lost_upwards": 20}
    wrong = {"gained_upwards": 20, "lost_upwards": 0}
    rows = [account(str(i), patient=f"p{i // 2}", **right) for i in range(8)]
    of_patient = [account("x", patient="q", **wrong), account("y", patient="q", **wrong)]
    of_image = [account("z", patient="p0", **wrong)]
    found = found_in(*rows, *of_patient, *of_image)
    assert set(found) == {"annotations_misread:patient q", "annotations_misread:image z"}


def test_a_share_in_no_nucleus_is_a_finding_of_the_set_or_of_the_image():
    lost = {"annotations_kept": 5, "annotations_in_no_nucleus": 15}
    (found,) = found_in(account("a", **lost), account("b")).values()
    assert found.name == "annotations_without_nucleus:annotations.csv"
    assert "15 of 40" in found.what
    assert "90%" in found.what
    (found,) = found_in(account("a", **lost), *(account(str(i)) for i in range(9))).values()
    assert (found.name, found.rows) == ("annotations_without_nucleus:a", ("a",))


def test_the_reading_that_fits_best_is_named_with_those_in_no_nucleus():
    lost = {"annotations_kept": 5, "annotations_in_no_nucleus": 15}
    fits = {"gained_times_1_3": 6, "lost_times_1_3": 1, "gained_exchanged": 2}
    (found,) = found_in(account("a", **lost, **fits), account("b")).values()
    assert found.name == "annotations_without_nucleus:annotations.csv"
    said = (
        "5 more have a nucleus of their own if they are of an image of three times the resolution"
    )
    assert found.what.endswith(said)


def test_who_gives_nothing_is_named_once_by_the_largest_that_gives_nothing():
    nothing = {"kept": 0, "nuclei": 5, "left_out_no_label": 3, "left_out_touches_border": 2}
    rows = [
        account("a", "s1", "p1"),
        account("b", "s1", "p1", **nothing),
        account("c", "s2", "p1", kept=0, nuclei=0),
        account("d", "s3", "p2", **nothing),
    ]
    found = found_in(*rows)
    assert set(found) == {
        "nothing_kept:image b",
        "nothing_kept:slide s2",
        "nothing_kept:patient p2",
    }
    assert (
        "5 nuclei were found (touches the border 2, no label 3)"
        in found["nothing_kept:image b"].what
    )
    assert "no nucleus was found" in found["nothing_kept:slide s2"].what


def test_accounts_are_read_as_they_were_written(tmp_path):
    table = pd.DataFrame([account("a")], columns=list(ACCOUNT_COLUMNS))
    write_accounts(tmp_path / "accounts.parquet", table)
    pd.testing.assert_frame_equal(read_accounts(tmp_path / "accounts.parquet"), table)
    with pytest.raises(FathomError, match="run the stage 'crop' first"):
        read_accounts(tmp_path / "none.parquet")
    table[["image"]].to_parquet(tmp_path / "old.parquet")
    with pytest.raises(FathomError, match="another version"):
        read_accounts(tmp_path / "old.parquet")
