"""Stage `segment`: the nuclei of every micrograph as label images, found or taken from masks."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.imaging.params import read_segmentation
from fathom.imaging.segment_dataset import segment_dataset


def segment(dataset: Path, out: Path) -> None:
    """Write one label image for each micrograph of `dataset`."""
    segment_dataset(read_dataset(dataset), read_segmentation(), out)


if __name__ == "__main__":
    fathom.ground.stage.run(segment)
