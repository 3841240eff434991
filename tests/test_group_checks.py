import numpy as np
import pytest
from audit_params import audit_params, kept_of

from fathom.audit.group_checks import audit_patients, audit_spellings, canonical, class_counts


@pytest.mark.parametrize(
    "other", ["p7", "P7", "p7 ", " P07", "P-7", "p_07", "P 7", "p007", "p.7", "PO7", "pO07"]
)
def test_spellings_of_one_patient(other):
    assert canonical(other) == canonical("P07")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p1", "p10"),
        ("p1-2", "p12"),
        ("1.10", "1.1"),
        ("2022-05-25", "2022-05-26"),
        ("p7a", "p7b"),
        ("Olsen", "0lsen2"),
        ("p7", "q7"),
    ],
)
def test_different_patients(one, other):
    assert canonical(one) != canonical(other)


def test_two_spellings_are_one_finding_with_the_images_of_both():
    kept = kept_of(["ill"] * 4, patients=["P07", "p7", "p8", "P07"])
    images = kept.assign(image=[f"{number}.tif" for number in range(4)])
    (found,) = audit_spellings(images)
    assert found.check == "patient_spellings"
    assert found.where == "P07|p7"
    assert found.rows == ("0.tif", "1.tif", "3.tif")


def labels(n, share, seed=0):
    return np.where(np.random.default_rng(seed).random(n) < share, "ill", "well").tolist()


def test_a_patient_of_one_class_among_others_with_both():
    kept = kept_of(labels(90, 0.5) + ["ill"] * 30, patients=[f"p{i // 30}" for i in range(120)])
    (found,) = audit_patients(kept, audit_params())
    assert (found.check, found.where, len(found.rows)) == ("one_class_patient", "patient p3", 30)
    assert found.confidence > 0.999


def test_few_nuclei_of_one_class_are_chance():
    kept = kept_of(labels(90, 0.5) + ["ill"] * 5, patients=["a"] * 45 + ["b"] * 45 + ["c"] * 5)
    assert list(audit_patients(kept, audit_params())) == []


def test_where_the_label_is_one_of_patients_that_is_the_study():
    patients = [f"p{i // 30}" for i in range(120)]
    kept = kept_of((["ill"] * 30 + ["well"] * 30) * 2, patients=patients)
    assert list(audit_patients(kept, audit_params())) == []


def test_counts_by_patient():
    kept = kept_of(["ill", "well", "ill", "ill"], patients=["a", "a", "b", "b"])
    assert class_counts(kept, "patient").to_dict("index") == {
        "a": {"ill": 1, "well": 1},
        "b": {"ill": 2, "well": 0},
    }
