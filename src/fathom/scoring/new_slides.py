"""How well a model travels: labelled slides of other microscopes, scored as new ones; no torch.

Nothing is tuned here: the threshold, the segmentation and the crops are the model's own. The
intervals are over slides, with the model held fixed (`fathom.statistics.intervals`).
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fathom.datasets.dataset import DataSet, labels_path, stem
from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.imaging.annotations import nucleus_labels
from fathom.imaging.crop_dataset import give_labels
from fathom.imaging.segment_dataset import segment_dataset
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.coordinates import Frame
from fathom.results.nuclei_batch import NucleiBatch
from fathom.results.slide_files import slide_files
from fathom.results.summary import summary_of, write_summary
from fathom.scoring.nuclei_scores import score_nuclei
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


def score_dataset(model: OnnxModel, dataset: DataSet, out: Path) -> pd.DataFrame:
    """Score every image of a data set and write what `fathom predict` writes.

    Files carry the images' stems, `images/p1/a.tif` that of `p1/a`. Nuclei are found as the
    model's were: by threshold, or in the data set's masks.

    Returns
    -------
    The tables of all images (`fathom.scoring.nuclei_scores.SCORE_COLUMNS`) with two more columns:
    slide, and label, the class that is known. `left_out` also says of which nuclei none is known,
    or two.

    Raises
    ------
    FathomError
        Where the data set has other classes or channels than the model.
    """
    _require_same_classes(model, dataset)
    rows, tables = [], []
    with TemporaryDirectory(prefix="fathom-labels-") as folder:
        segment_dataset(dataset, model.card.segmentation, Path(folder))
        columns = ["image", "slide", "label", "um_per_px"]
        images = dataset.images[columns].itertuples(index=False, name=None)
        for image, slide, label, um_per_px in track(images, "scoring", len(dataset.images)):
            micrograph = read_micrograph(dataset.path(image))
            model.check_channels(micrograph, dataset.path(image))
            labels = read_labels(labels_path(Path(folder), image))
            table = score_nuclei(model, micrograph, labels, image)
            height, width = labels.shape
            frame = Frame(height, width, None if pd.isna(um_per_px) else float(um_per_px))
            base = out / stem(image)
            with slide_files(base, frame, micrograph, model.card, image) as files:
                files.add(NucleiBatch.of_labels(table, labels))
            rows.append(summary_of(files.tally, model.card, image))
            here = dataset.annotations[dataset.annotations["image"] == image]
            give_labels(table, nucleus_labels(labels, here), None if pd.isna(label) else label)
            tables.append(table.assign(slide=slide))
    write_summary(rows, out)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _require_same_classes(model: OnnxModel, dataset: DataSet) -> None:
    known = {model.card.positive, model.card.negative}
    if unknown := sorted(set(dataset.classes) - known):
        raise FathomError(
            f"{dataset.folder}: the model {model.path} does not know the class {unknown[0]!r}, "
            f"only {' and '.join(map(repr, sorted(known)))}. Set new_slides in params.yaml to a "
            "data set with the study's classes, or without labels"
        )


def travel(
    table: pd.DataFrame, images: int, card: ModelCard, params: Comparison
) -> dict[str, float | int]:
    """Return the numbers of metrics/new_slides.json from the table of `score_dataset`.

    Counts, and where scored nuclei of both classes are labelled, balanced accuracy, AUROC,
    sensitivity and specificity at the model's threshold, each with `_low` and `_high`.
    """
    if not images:
        return {"images": 0}
    known = table[table["left_out"] == ""]
    positive = (known["label"] == card.positive).to_numpy(dtype=bool)
    group, slides = pd.factorize(known["slide"], sort=True)
    numbers: dict[str, float | int] = {
        "images": images,
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
        numbers |= share_interval(values, design, params.confidence).named(name)
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
