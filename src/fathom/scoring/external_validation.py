"""External validation of a model: labelled slides of other microscopes, scored as any; no torch.

Nothing is tuned here: the threshold, the segmentation and the crops are the model's own. The
intervals are over slides, with the model held fixed (`fathom.statistics.intervals`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from fathom.audit.account_checks import misread
from fathom.audit.findings import Finding, finding_table
from fathom.audit.group_checks import audit_spellings
from fathom.audit.params import Audit
from fathom.datasets.dataset import DataSet, stem
from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.section import Positive, Section
from fathom.imaging.segment_dataset import require_label_images
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.slide_files import Formats
from fathom.scoring.labelled_nuclei import LabelledNuclei
from fathom.scoring.scorer import NewSlide, Reading, Scorer, write_summaries
from fathom.statistics.intervals import design_of, leave_out, share_interval
from fathom.statistics.metrics import (
    balanced_accuracy,
    counts_by_group,
    ordered_pairs,
    sensitivity,
    share,
    specificity,
)
from fathom.statistics.params import Comparison
from fathom.study.accounts import ANNOTATION_COUNTS, REASONS


class NewSlides(Section):
    """The data set that the best model is scored on, and what is supposed of it."""

    key: ClassVar[str] = "new_slides"
    dataset: str  # its folder
    # Of images of which neither images.csv nor the file says it; None: those are refused.
    assumed_um_per_px: Positive | None


@dataclass(frozen=True, eq=False)
class ScoredDataSet:
    """What the images of a data set came to.

    nuclei : `fathom.results.nuclei_table.SCORE_COLUMNS`, slide, and label, the class that is known;
        `left_out` also says of which nuclei none is known, or two
    images : the table of summary.csv
    accounts : what became of the annotations, `fathom.scoring.labelled_nuclei.ACCOUNT_COLUMNS`
    """

    nuclei: pd.DataFrame
    images: pd.DataFrame
    accounts: pd.DataFrame


def score_dataset(
    model: OnnxModel, dataset: DataSet, assumed_um_per_px: float | None, audit: Audit, out: Path
) -> ScoredDataSet:
    """Score every image of a data set and write what `fathom predict` writes.

    Files carry the images' stems, `images/p1/a.tif` that of `p1/a`. The column um_per_px counts as
    `--um-per-px` does, `assumed_um_per_px` as `--assume-um-per-px`. Nuclei are found as the model's
    were; of a model of label images, in the data set's masks.

    Raises
    ------
    FathomError
        Where the data set has other classes than the model, lacks label images that the model
        needs, or has an image that cannot be scored; where two of its patients, or two slides of
        one, may be one, or its annotations fit clearly better when they are read in another way.
        What `audit` waives by name, or takes for a warning, stops nothing.
    """
    _require_same_classes(model, dataset)
    _refuse(dataset, audit_spellings(dataset.images), audit)
    masks = model.card.segmentation.method == "masks"
    if masks:
        require_label_images(dataset)
    scorer = Scorer(model, Reading(assumed_um_per_px=assumed_um_per_px), masks=masks)
    slides = [
        NewSlide(
            dataset.path(image),
            image,
            out / stem(image),
            None if pd.isna(um_per_px) else float(um_per_px),
            dataset.mask_path(image) if masks else None,
        )
        for image, um_per_px in zip(
            dataset.images["image"], dataset.images["stated_um_per_px"], strict=True
        )
    ]
    labelled = LabelledNuclei(dataset)
    outcomes = scorer.score(slides, Formats(), done={}, watch=labelled.add)
    images = write_summaries(slides, outcomes, model.card, out)
    nuclei, accounts = labelled.tables()
    _refuse(dataset, misread(accounts, audit), audit)
    return ScoredDataSet(nuclei, images, accounts)


def _require_same_classes(model: OnnxModel, dataset: DataSet) -> None:
    known = {model.card.positive, model.card.negative}
    if unknown := sorted(set(dataset.classes) - known):
        raise FathomError(
            f"{dataset.folder}: the model {model.path} does not know the class {unknown[0]!r}, "
            f"only {' and '.join(map(repr, sorted(known)))}. Set new_slides.dataset in params.yaml "
            "to a data set with the study's classes, or without labels"
        )


def _refuse(dataset: DataSet, findings: Iterable[Finding], audit: Audit) -> None:
    """Raise `FathomError` where a finding on labels or names is an error that is not waived."""
    table = finding_table(findings, audit, complete=False)
    errors = table[(table["severity"] == "error") & (table["waived"] == "")]
    if errors.empty:
        return
    lines = "\n".join(f"  {name}: {what}" for name, what in errors[["name", "what"]].to_numpy())
    raise FathomError(
        f"{dataset.folder}: how well the model does there would be told wrongly:\n{lines}\nMend "
        "the tables; or waive a finding under audit.waivers in params.yaml, by its name, with the "
        "reason"
    )


def validation_metrics(
    scored: ScoredDataSet, card: ModelCard, params: Comparison
) -> dict[str, float | int]:
    """Return the numbers of metrics/new_slides.json.

    Counts, and where scored nuclei of both classes are labelled, balanced accuracy, AUROC,
    sensitivity and specificity at the model's threshold, each with `_low` and `_high`.
    """
    table, images = scored.nuclei, scored.images
    if images.empty:
        return {"images": 0}
    known = table[table["left_out"] == ""]
    positive = (known["label"] == card.positive).to_numpy(dtype=bool)
    group, slides = pd.factorize(known["slide"], sort=True)
    numbers: dict[str, float | int] = {
        "images": len(images),
        "images_um_per_px_assumed": int((images["um_per_px_stated_by"] == "assumption").sum()),
        "nuclei": len(table),
        "scored": int(table["probability"].notna().sum()),
        "labelled": len(known),
        "labelled_positive": int(positive.sum()),
        "labelled_slides": len(slides),
        **{
            f"left_out_{key}": int((table["left_out"] == reason).sum())
            for key, reason in REASONS.items()
        },
        **{name: int(scored.accounts[name].sum()) for name in ANNOTATION_COUNTS},
    }
    if not 0 < positive.sum() < len(positive):
        return numbers
    design = design_of(positive, group, len(slides))
    probability = known["probability"].to_numpy(dtype=np.float64)
    decision = (probability >= card.threshold).astype(np.float64)
    counts = counts_by_group(decision, positive, group, len(slides))
    pairs = ordered_pairs(probability, positive, group, len(slides))
    for name, values in _measures(counts, pairs, leave_out(design).groups).items():
        numbers |= share_interval(values, design, params.confidence).as_numbers(name)
    return numbers


def _measures(counts: Floats, pairs: Floats, weights: Floats) -> dict[str, Floats]:
    """Compute every measure on each row of the slides' `weights`: (rows,) each."""
    drawn = weights @ counts
    positives, negatives = drawn[:, 0] + drawn[:, 1], drawn[:, 2] + drawn[:, 3]
    return {
        "balanced_accuracy": balanced_accuracy(drawn),
        "auroc": share(((weights @ pairs) * weights).sum(axis=1), positives * negatives),
        "sensitivity": sensitivity(drawn),
        "specificity": specificity(drawn),
    }
