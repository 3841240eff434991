from audit_params import audit_params

from fathom.audit.findings import Finding, finding_table
from fathom.diagnosis.case import data_faults


def test_waived_errors_are_faults_and_warnings_on_labels_are_said():
    mark = Finding("class_told_by_mark", "slides", "a mark tells the class", 1.0, ())
    labels = Finding("label_errors", "ill", "9 look like the other class", 0.8, ("n1",))
    blurred = Finding("blurred_image", "a.tif", "is blurred", 1.0, ("a.tif",))
    params = audit_params(waivers={mark.name: "it is cut off", labels.name: "seen"})
    found = data_faults(finding_table([mark, labels, blurred], params))
    assert found.errors == (f"{mark.name}: a mark tells the class (waived: it is cut off)",)
    assert found.warnings == (f"{labels.name}: 9 look like the other class (waived: seen)",)


def test_a_clean_set_has_none():
    found = data_faults(finding_table([], audit_params()))
    assert (found.errors, found.warnings) == ((), ())
