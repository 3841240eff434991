"""External validation of a model: labelled slides of other microscopes, scored as any; no torch.

Nothing is tuned here: the threshold, the segmentation and the crops are the model's own. The
intervals are over slides, with the model held fixed (`fathom.statistics.intervals`).
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.datasets.dataset import DataSet, stem
from fathom.datasets.new_slides import require_known
from fathom.ground.arrays import Floats
from fathom.imaging.crop_dataset import give_labels
from fathom.imaging.segment_dataset import require_label_images
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_batch import NucleiBatch
from fathom.results.nuclei_table import SCORE_COLUMNS
from fathom.results.slide_files import Formats
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
from fathom.study.accounts import REASONS


@dataclass(frozen=True, eq=False)
class ScoredDataSet:
    """What the images of a data set came to.

    nuclei : `fathom.results.nuclei_table.SCORE_COLUMNS`, slide, and label, the class that is known;
        `left_out` also says of which nuclei none is known, or two
    images : the table of summary.csv
    """

    nuclei: pd.DataFrame
    images: pd.DataFrame


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
            dataset.images["image"], dataset.images["um_per_px"], strict=True
        )
    ]
    labelled = _LabelledNuclei(dataset)
    outcomes = scorer.score(slides, Formats(), done={}, watch=labelled.add)
    images = write_summaries(slides, outcomes, model.card, out)
    return ScoredDataSet(labelled.table(), images)


class _LabelledNuclei:
    """The nuclei of a data set as they come, with the classes annotated inside them."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset
        self._points = dict(iter(dataset.annotations.groupby("image")))
        self._tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        # By image and number of the nucleus.
        self._inside: dict[str, dict[int, set[str]]] = defaultdict(dict)

    def add(self, slide: NewSlide, grid: PixelGrid, batch: NucleiBatch) -> None:
        """Keep the rows of a batch, and which annotations lie inside which nucleus."""
        self._tables[slide.image].append(batch.table)
        points = self._points.get(slide.image)
        if points is None:
            return
        # The pixel of the view that a point of the file's full resolution lies in.
        down, across = grid.steps
        rows = (points["y"].to_numpy() / down).astype(int)
        columns = (points["x"].to_numpy() / across).astype(int)
        classes = points["label"].astype(str).to_numpy()
        boxes = batch.table[["label_number", "top", "left", "bottom", "right"]].to_numpy().tolist()
        for (number, top, left, bottom, right), mask in zip(boxes, batch.masks, strict=True):
            near = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
            within = mask[rows[near] - top, columns[near] - left]
            if within.any():
                self._inside[slide.image][number] = set(classes[near][within])

    def table(self) -> pd.DataFrame:
        """Return all rows, image by image in the data set's order."""
        tables = []
        rows = self._dataset.images[["image", "slide", "label"]].itertuples(index=False, name=None)
        for image, slide, label in rows:
            if image in self._tables:
                table = pd.concat(self._tables[image], ignore_index=True)
                give_labels(table, self._inside[image], None if pd.isna(label) else label)
                tables.append(table.assign(slide=slide))
        if not tables:
            return pd.DataFrame(columns=[*SCORE_COLUMNS, "slide", "label"])
        return pd.concat(tables, ignore_index=True)


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
