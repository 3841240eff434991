"""Stage `segment`: the nuclei of every micrograph as label images, found or taken from masks."""

from pathlib import Path

import fathom.ground.stage
from fathom.datasets.dataset import read_dataset
from fathom.ground.image_store import open_store
from fathom.imaging.params import read_segmentation
from fathom.imaging.segment_dataset import segment_dataset


def segment(dataset: Path, store: Path, out: Path) -> None:
    """Write one label image for each micrograph of `dataset`; those in STORE are taken."""
    made = open_store(store)
    segment_dataset(read_dataset(dataset, store=made), read_segmentation(), out, made)


if __name__ == "__main__":
    fathom.ground.stage.run(segment)
