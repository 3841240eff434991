from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_params import audit_params, kept_of
from test_near_duplicates import textured

from fathom.audit.nucleus_checks import (
    audit_nuclei,
    audit_pairs,
    how_looked_for,
    near_duplicate_table,
)
from fathom.ground.errors import FathomError
from fathom.study.duplicates import pair_table, read_duplicates, write_pairs
from fathom.study.nuclei import Nuclei

EACH, SLIDES = 20, 6


@pytest.fixture
def study():
    """Return 120 nuclei of 6 slides, two slides a patient, and their crops."""
    slides = np.repeat([f"s{i}" for i in range(SLIDES)], EACH).tolist()
    patients = np.repeat([f"p{i // 2}" for i in range(SLIDES)], EACH).tolist()
    labels = np.where(np.arange(EACH * SLIDES) % 2, "ill", "well").tolist()
    kept = kept_of(labels, patients, slides)
    return Nuclei(Path("nowhere"), kept.assign(left_out=""), kept), textured(EACH * SLIDES)


def found_in(nuclei, crops):
    findings = [
        *audit_nuclei(nuclei, crops, audit_params()),
        *audit_pairs(near_duplicate_table(nuclei, crops, audit_params())),
    ]
    return {one.name: one.rows for one in findings}


def test_clean_nuclei(study):
    assert found_in(*study) == {}


@pytest.mark.parametrize(
    ("source", "target", "names"),
    [
        (0, 60, {"duplicate_nuclei_across_patients:s0|s3"}),
        (0, 30, {"duplicate_nuclei:s0|s1"}),
        (0, 61, {"duplicate_nuclei_across_patients:s0|s3", "one_nucleus_two_labels:s0|s3"}),
        (61, 0, {"duplicate_nuclei_across_patients:s0|s3", "one_nucleus_two_labels:s0|s3"}),
    ],
)
def test_a_copy_is_named_by_slides_patients_and_labels(study, source, target, names):
    nuclei, crops = study
    crops[target] = np.rot90(crops[source])
    found = found_in(nuclei, crops)
    assert set(found) == names
    rows = tuple(sorted((f"n{source}", f"n{target}")))
    assert all(one == rows for one in found.values())


def test_debris_is_no_duplicate(study):
    """Two specks of one pixel are alike, whoever's they are and whatever their labels."""
    nuclei, crops = study
    for speck in (0, 61):
        crops[speck] = 0
        crops[speck, 16, 16] = 255
    found = found_in(nuclei, crops)
    assert {name: found[name] for name in found if "blank" not in name and "sat" not in name} == {
        "debris:slide s0": ("n0",),
        "debris:slide s3": ("n61",),
    }


def test_where_debris_is_left_out_the_names_of_copies_stay_right(study):
    nuclei, crops = study
    crops[5] = 0
    crops[5, 16, 16] = 255
    crops[70] = np.rot90(crops[30])
    found = found_in(nuclei, crops)
    assert found["duplicate_nuclei_across_patients:s1|s3"] == ("n30", "n70")


def test_blank_saturated_and_blurred_nuclei(study):
    nuclei, crops = study
    crops[3] = np.where(crops[3] > 0, 77, 0)
    white = slice(25, 30)
    crops[white] = np.where(crops[white] > 100, 255, crops[white])
    nuclei.kept.loc[nuclei.kept["slide"] == "s5", "focus"] = 0.1
    found = found_in(nuclei, crops)
    assert found == {
        "blank_nuclei:slide s0": ("n3",),
        "saturated_nuclei:slide s1": tuple(f"n{i}" for i in range(25, 30)),
        "blurred_nuclei:slide s5": tuple(f"n{i}" for i in range(100, 120)),
    }


def test_conflicting_annotations_are_one_finding(study):
    nuclei, crops = study
    table = pd.concat(
        [
            nuclei.table,
            nuclei.table.iloc[:2].assign(nucleus=["x", "y"], left_out="two labels inside"),
        ]
    )
    found = found_in(Nuclei(nuclei.folder, table, nuclei.kept), crops)
    assert found == {"conflicting_annotations:annotations.csv": ("x", "y")}


def test_pairs_are_read_as_they_were_written_and_not_for_other_nuclei(study, tmp_path):
    nuclei, crops = study
    crops[70] = crops[2]
    pairs = near_duplicate_table(nuclei, crops, audit_params())
    write_pairs(tmp_path, pairs, how_looked_for(audit_params()))
    read = read_duplicates(tmp_path, nuclei)
    assert read.pairs.to_dict("list") == {"first": ["n2"], "second": ["n70"]}
    assert read.how["nucleus_z"] == audit_params().nucleus_z
    other = Nuclei(nuclei.folder, nuclei.table, nuclei.kept.iloc[10:])
    with pytest.raises(FathomError, match="other nuclei"):
        read_duplicates(tmp_path, other)
    with pytest.raises(FathomError, match="run the stage 'audit' first"):
        read_duplicates(tmp_path / "nowhere", nuclei)


def test_no_pairs_are_pairs_too(study, tmp_path):
    nuclei, crops = study
    write_pairs(
        tmp_path,
        near_duplicate_table(nuclei, crops, audit_params()),
        how_looked_for(audit_params()),
    )
    assert pair_table(read_duplicates(tmp_path, nuclei).pairs).empty
