"""Stage `control_crops`: crops that lack what a network should go by, one folder a control."""

from pathlib import Path

import fathom.ground.stage
from fathom.controls.control_crops import write_control_crops
from fathom.datasets.dataset import read_dataset
from fathom.ground.section import read_section
from fathom.imaging.params import Crop
from fathom.study.nuclei import read_nuclei


def control_crops(dataset: Path, labels: Path, nuclei: Path, out: Path) -> None:
    """Write silhouettes, surroundings, unchanged crops, and who shows its label's pixels."""
    write_control_crops(read_dataset(dataset), labels, read_nuclei(nuclei), read_section(Crop), out)


if __name__ == "__main__":
    fathom.ground.stage.run(control_crops)
