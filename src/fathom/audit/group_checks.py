"""Patients and slides: who has one class only, and who goes by two names."""

from collections.abc import Iterator

import pandas as pd

from fathom.audit.checks import Check
from fathom.audit.findings import Finding, in_words
from fathom.audit.params import Audit
from fathom.datasets.spellings import alike, rounded


def audit_spellings(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield names of patients, and of slides, that differ as careless typing makes them differ.

    Or as a spreadsheet does. `images` has image, slide and patient, as they stand in the table. A
    slide belongs to one patient: only the slides of one are compared.
    """
    yield from _spellings(images, "patient", "patient_spellings")
    for _, of_patient in images.groupby("patient", sort=True):
        yield from _spellings(of_patient, "slide", "slide_spellings")


def _spellings(images: pd.DataFrame, column: str, check: Check) -> Iterator[Finding]:
    for names in alike(images[column]):
        rows = images.loc[images[column].isin(names), "image"]
        quoted = " and ".join(map(repr, names))
        what = f"{quoted} may be one {column}: a split by {column} would set them apart"
        yield Finding(check, "|".join(names), what, 1.0, tuple(rows))
    for name in sorted({name for name in images[column] if rounded(name)}):
        rows = images.loc[images[column] == name, "image"]
        what = f"'{name}' is a number that a spreadsheet rounded: several {column}s may be in it"
        yield Finding(check, name, what, 1.0, tuple(rows))


def audit_patients(kept: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Yield patients with one class only, where chance is no reason and others have both.

    Where most patients have one class, the label is one of patients, and that is the study.
    """
    counts = class_counts(kept, "patient")
    single = (counts > 0).sum(axis=1) == 1
    if single.mean() > 0.5:
        return
    shares = kept["label"].value_counts(normalize=True)
    for patient in counts.index[single]:
        label, n = counts.loc[patient].idxmax(), int(counts.loc[patient].max())
        chance = float(shares[label] ** n)
        if chance < params.chance:
            yield Finding(
                "one_class_patient",
                f"patient {patient}",
                f"all {n} nuclei are '{label}'; in the whole set: {in_words(_totals(counts))}",
                1 - chance,
                tuple(kept.loc[kept["patient"] == patient, "nucleus"]),
            )


def class_counts(kept: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the nuclei by patient, slide or image: a row a group, a column a class."""
    return kept.groupby([group, "label"]).size().unstack(fill_value=0)


def _totals(counts: pd.DataFrame) -> dict[str, int]:
    return {str(label): int(total) for label, total in counts.sum().items()}
