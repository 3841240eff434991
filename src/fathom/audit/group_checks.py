"""Patients: who has one class only, and who goes by two names."""

import re
from collections.abc import Iterator

import pandas as pd

from fathom.audit.findings import Finding, in_words
from fathom.audit.params import Audit

_LOOKALIKES = str.maketrans("oilz", "0112")


def canonical(name: str) -> tuple[str, ...]:
    """Return what remains of a name when it is typed carelessly: "P07", "p 7 " and "p-7" are one.

    Case, white space and punctuation do not count, nor do leading zeros; in a run of digits the
    letters that look like digits are digits ("PO7"). Numbers stay apart from their neighbours, so
    that "p1-2" is not "p12" and 1.10 is not 1.1.
    """
    text = re.sub(r"(?<=\d)[oil](?=\d|\b)|(?<![a-z])[oil](?=\d)", _digit, name.strip().casefold())
    # P07 with the letter O: a lone letter before it, a digit after it.
    text = re.sub(r"(?<=\b[a-z])[oil](?=\d)", _digit, text)
    return tuple(
        part.lstrip("0") or "0" if part.isdigit() else part
        for part in re.findall(r"\d+|[^\W\d_]+", text)
    )


def _digit(letter: re.Match[str]) -> str:
    return letter[0].translate(_LOOKALIKES)


def audit_spellings(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield names of patients that differ only as careless typing makes them differ.

    `images` has image and patient, as text, as they stand in the data set's table.
    """
    by_name: dict[tuple[str, ...], list[str]] = {}
    for patient in sorted(set(images["patient"])):
        by_name.setdefault(canonical(patient), []).append(patient)
    for names in by_name.values():
        if len(names) > 1:
            rows = images.loc[images["patient"].isin(names), "image"]
            quoted = " and ".join(map(repr, names))
            what = f"{quoted} may be one patient: a split by patient would set them apart"
            yield Finding("patient_spellings", "|".join(names), what, 1.0, tuple(rows))


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
