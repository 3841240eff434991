"""The audit of a whole study: images, nuclei, labels, groups, and what it hands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.audit.class_checks import audit_acquisition, audit_brightness, audit_marks
from fathom.audit.findings import Finding, finding_metrics, finding_table, write_findings
from fathom.audit.group_checks import audit_patients, audit_spellings, class_counts
from fathom.audit.image_checks import audit_images
from fathom.audit.image_traits import image_traits
from fathom.audit.label_checks import audit_labels, label_errors, out_of_fold_scores
from fathom.audit.nucleus_checks import audit_nuclei, audit_pairs, near_duplicate_table, write_pairs
from fathom.imaging.nuclei import Nuclei
from fathom.output import write_table
from fathom.params.audit import Audit

TRAITS, COUNTS = "images.parquet", "class_counts.parquet"


@dataclass(frozen=True, eq=False)
class Audited:
    """What an audit found, and what it measured on the way."""

    findings: pd.DataFrame  # fathom.audit.findings.COLUMNS
    pairs: pd.DataFrame  # fathom.audit.nucleus_checks.near_duplicate_table
    traits: pd.DataFrame  # fathom.audit.image_traits.COLUMNS
    counts: pd.DataFrame  # group, name, a column a class
    metrics: Mapping[str, float | int]


def audit(
    folder: Path, images: pd.DataFrame, nuclei: Nuclei, features: pd.DataFrame, params: Audit
) -> Audited:
    """Audit the images of a data set's `folder` and the nuclei that were cut from them.

    `images` has image and patient; `features` has a row for each row of `nuclei.kept`.
    """
    kept = nuclei.kept
    traits = image_traits(folder, images["image"].tolist())
    crops = nuclei.crops()
    pairs = near_duplicate_table(nuclei, crops, params)
    positive = kept["positive"].to_numpy(dtype=bool)
    findings: list[Finding] = [
        *audit_images(traits, images, params),
        *audit_nuclei(nuclei, crops, params),
        *audit_pairs(pairs),
        *audit_brightness(kept, crops, params),
        *audit_marks(kept, crops, params),
        *audit_acquisition(kept, traits.table, params),
        *audit_patients(kept, params),
        *audit_spellings(kept),
    ]
    patients = kept["patient"].to_numpy(dtype=object)
    scores = out_of_fold_scores(features, positive, patients, params.seed)
    if scores is not None:
        names = (kept.loc[~positive, "label"].iloc[0], kept.loc[positive, "label"].iloc[0])
        errors = label_errors(scores, positive, names)
        findings += audit_labels(kept["nucleus"], errors, scores, params)
    table = finding_table(findings, params)
    metrics = {
        **finding_metrics(table),
        "images": len(images),
        "nuclei": len(kept),
        "patients": int(kept["patient"].nunique()),
        "near_duplicate_pairs": len(pairs),
        "near_duplicate_pairs_exact": int(pairs["exact"].sum()),
        "near_duplicate_pairs_across_patients": int(
            (pairs["first_patient"] != pairs["second_patient"]).sum()
        ),
        "labels_checked": len(kept) if scores is not None else 0,
    }
    return Audited(table, pairs, traits.table, _counts(kept), metrics)


def write_audit(out: Path, audited: Audited) -> None:
    """Write the findings (three forms), the pairs of near-duplicates, the traits and the counts."""
    write_findings(out, audited.findings)
    write_pairs(out, audited.pairs)
    write_table(out / TRAITS, audited.traits)
    write_table(out / COUNTS, audited.counts)


def _counts(kept: pd.DataFrame) -> pd.DataFrame:
    tables = [
        class_counts(kept, group).reset_index(names="name").assign(group=group)
        for group in ("patient", "slide", "image")
    ]
    return pd.concat(tables, ignore_index=True)
