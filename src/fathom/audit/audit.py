"""The audit of a whole study: its nuclei, labels and groups, beside what its images had."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.audit.account_checks import audit_accounts
from fathom.audit.class_checks import (
    audit_acquisition,
    audit_brightness,
    audit_marks,
    audit_patients,
    class_counts,
)
from fathom.audit.findings import (
    Finding,
    finding_metrics,
    finding_table,
    findings_of,
    write_findings,
)
from fathom.audit.image_audit import AuditedImages
from fathom.audit.label_checks import audit_labels, label_errors, out_of_fold_scores
from fathom.audit.nucleus_checks import (
    audit_nuclei,
    audit_pairs,
    how_looked_for,
    near_duplicate_table,
)
from fathom.audit.params import Audit
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.ground.output import write_table
from fathom.study.duplicates import write_pairs
from fathom.study.nuclei import Nuclei
from fathom.study.stored_crops import CropRows

COUNTS = "class_counts.parquet"


@dataclass(frozen=True, eq=False)
class Audited:
    """What an audit found, and what it measured on the way."""

    findings: pd.DataFrame  # fathom.audit.findings.FINDING_COLUMNS
    pairs: pd.DataFrame  # fathom.audit.nucleus_checks.near_duplicate_table
    counts: pd.DataFrame  # group, name, a column a class
    metrics: Mapping[str, float | int]


def audit(
    images: AuditedImages,
    nuclei: Nuclei,
    accounts: pd.DataFrame,
    crops: CropRows,
    features: pd.DataFrame,
    params: Audit,
    store: ImageStore = NOWHERE,
) -> Audited:
    """Audit nuclei, and grade what is found together with what their images had.

    `accounts` are those of `nuclei` (`fathom.study.accounts`). `crops` and `features` have a row
    for each row of `nuclei.kept`.
    """
    kept = nuclei.kept
    pairs = near_duplicate_table(nuclei, crops, params, store)
    findings: list[Finding] = [
        *findings_of(images.findings),
        *audit_nuclei(nuclei, crops, params),
        *audit_pairs(pairs),
        *audit_accounts(accounts, params),
        *audit_brightness(kept, crops, params),
        *audit_marks(kept, crops, params),
        *audit_acquisition(kept, images.traits, params),
        *audit_patients(kept, params),
    ]
    of_labels = _label_findings(kept, features, params)
    findings += of_labels or ()
    table = finding_table(findings, params)
    metrics = {
        **finding_metrics(table),
        "images": len(images.traits),
        "nuclei": len(kept),
        "patients": int(kept["patient"].nunique()),
        "near_duplicate_pairs": len(pairs),
        "near_duplicate_pairs_exact": int(pairs["exact"].sum()),
        "near_duplicate_pairs_across_patients": int(
            (pairs["first_patient"] != pairs["second_patient"]).sum()
        ),
        "labels_checked": 0 if of_labels is None else len(kept),
    }
    return Audited(table, pairs, _counts(kept), metrics)


def _label_findings(
    kept: pd.DataFrame, features: pd.DataFrame, params: Audit
) -> list[Finding] | None:
    """Return what is found of the labels, None where they cannot be looked into."""
    positive = kept["positive"].to_numpy(dtype=bool)
    patients = kept["patient"].to_numpy(dtype=object)
    scores = out_of_fold_scores(features, positive, patients, params.seed)
    if scores is None:
        return None
    names = (kept.loc[~positive, "label"].iloc[0], kept.loc[positive, "label"].iloc[0])
    errors = label_errors(scores, positive, names)
    return list(audit_labels(kept["nucleus"], errors, scores, params))


def write_audit(out: Path, audited: Audited, params: Audit) -> None:
    """Write the findings (three forms), the near-duplicates for the splits, and the counts."""
    write_findings(out, audited.findings)
    write_pairs(out, audited.pairs, how_looked_for(params))
    write_table(out / COUNTS, audited.counts)


def _counts(kept: pd.DataFrame) -> pd.DataFrame:
    tables = [
        class_counts(kept, group).reset_index(names="name").assign(group=group)
        for group in ("patient", "slide", "image")
    ]
    return pd.concat(tables, ignore_index=True)
