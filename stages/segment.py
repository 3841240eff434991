"""Stage `segment`: the nuclei of every micrograph as label images, found or taken from masks."""

from pathlib import Path

from fathom.datasets.dataset import read_dataset
from fathom.imaging.segment_dataset import segment_dataset
from fathom.params.segmenter import read_segmentation
from fathom.stage import run_stage


def segment(dataset: Path, out: Path) -> None:
    """Write one label image for each micrograph of `dataset` into the folder `out`."""
    segment_dataset(read_dataset(dataset), read_segmentation(), out)


if __name__ == "__main__":
    run_stage(segment)
