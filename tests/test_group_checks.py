import numpy as np
from audit_params import audit_params, kept_of

from fathom.audit.group_checks import audit_patients, audit_spellings, class_counts


def test_two_spellings_are_one_finding_with_the_images_of_both():
    kept = kept_of(["ill"] * 4, patients=["P07", "p7", "p8", "P07"])
    images = kept.assign(image=[f"{number}.tif" for number in range(4)], slide=list("abcd"))
    (found,) = audit_spellings(images)
    assert found.check == "patient_spellings"
    assert found.where == "P07|p7"
    assert found.rows == ("0.tif", "1.tif", "3.tif")


def test_slides_of_one_patient_are_compared_and_of_two_patients_are_not():
    kept = kept_of(["ill"] * 4, patients=["p", "p", "q", "q"], slides=["S1", "s01", "s1", "s2"])
    (found,) = audit_spellings(kept)
    assert found.name == "slide_spellings:S1|s01"


def test_a_number_that_a_spreadsheet_rounded_may_be_several_patients():
    patients = ["1.23457E+17", "1.23457E+17", "1.2E+01"]
    kept = kept_of(["ill"] * 3, patients=patients, slides=["a", "b", "c"])
    (found,) = audit_spellings(kept)
    assert (found.name, len(found.rows)) == ("patient_spellings:1.23457E+17", 1 + 1)


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
