"""Stage `score_segmentation`: how well the label images agree with the data set's own masks."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.output import write_metrics
from fathom.imaging.segmentation_score import agreement


def score_segmentation(dataset: Path, labels: Path, metrics: Path) -> None:
    """Score the label images in `labels` where `dataset` has masks, and write the means."""
    write_metrics(metrics, agreement(read_dataset(dataset), labels))


if __name__ == "__main__":
    fathom.ground.stage.run(score_segmentation)
