from audit_params import kept_of

from fathom.audit.table_checks import audit_spellings


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
