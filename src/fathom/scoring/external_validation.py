"""External validation of a model: labelled slides of other microscopes, scored as any; no torch.

Nothing is tuned here: the threshold, the segmentation and the crops are the model's own. The
intervals are over slides, with the model held fixed (`fathom.statistics.intervals`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.audit.account_checks import audit_accounts
from fathom.audit.params import Audit
from fathom.audit.table_checks import audit_spellings
from fathom.datasets.dataset import DataSet, stem
from fathom.datasets.new_slides import require_known
from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
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


@dataclass(frozen=True, eq=False)
class ScoredDataSet:
    """What the images of a data set came to.

    nuclei : `fathom.results.nuclei_table.SCORE_COLUMNS`, slide, and label, the class that is known;
        `left_out` also says of which nuclei none is known, or two
    images : the table of summary.csv
    accounts : what became of the annotations and nuclei, `fathom.study.accounts.ACCOUNT_COLUMNS`
    """

    nuclei: pd.DataFrame
    images: pd.DataFrame
    accounts: pd.DataFrame


def score_dataset(
    model: OnnxModel, dataset: DataSet, assumed_um_per_px: float | None, out: Path
) -> ScoredDataSet:
    """Score every image of a data set and write what `fathom predict` writes.

    Files carry the images' stems, `images/p1/a.tif` that of `p1/a`. The column um_per_px counts as
    `--um-per-px` does, `assumed_um_per_px` as `--assume-um-per-px`. Nuclei are found as the model's
    were; of a model of label images, in the data set's masks.

    Raises
    ------
    FathomError
        Where the data set has other classes than the model, lacks label images that the model
        needs, or has an image that cannot be scored.
    """
    known = (model.card.positive, model.card.negative)
    require_known(dataset.folder, dataset.classes, known, f"the model {model.path}")
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
            dataset.images["image"], dataset.images["um_per_px_given"], strict=True
        )
    ]
    labelled = LabelledNuclei(dataset, model.card.positive, assumed_um_per_px)
    outcomes = scorer.score(slides, Formats(), done={}, watch=labelled.add)
    images = write_summaries(slides, outcomes, model.card, out)
    nuclei, accounts = labelled.tables()
    return ScoredDataSet(nuclei, images, accounts)


def audit_new_slides(scored: ScoredDataSet, dataset: DataSet, params: Audit) -> list[str]:
    """Return what the study's audit finds in the tables of new slides, a sentence each.

    Names that may be one, and annotations in no nucleus. Raises `FathomError` where another reading
    of the annotations fits clearly better than what is written: what would be measured with them is
    no number of the model's.
    """
    found = [*audit_accounts(scored.accounts, params), *audit_spellings(dataset.images)]
    if wrong := [one for one in found if one.check == "annotations_misread"]:
        lines = "\n".join(f"  {one.where}: {one.what}" for one in wrong)
        raise FathomError(
            f"{dataset.folder}: nothing is measured, for the points are wrong:\n{lines}"
        )
    # An image without labels gives nothing, and need not.
    return [f"{one.where}: {one.what}" for one in found if one.check != "nothing_kept"]


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
