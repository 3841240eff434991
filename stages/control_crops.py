"""Stage `control_crops`: crops that lack what a network should go by, one folder a control."""

from pathlib import Path

import fathom.stage
from fathom.controls.control_crops import write_control_crops
from fathom.datasets.dataset import read_dataset
from fathom.imaging.nuclei import read_nuclei
from fathom.params.data import Crop
from fathom.params.section import read_section


def control_crops(dataset: Path, labels: Path, nuclei: Path, out: Path) -> None:
    """Write silhouettes, surroundings, unchanged crops, and who shows its label's pixels."""
    write_control_crops(read_dataset(dataset), labels, read_nuclei(nuclei), read_section(Crop), out)


if __name__ == "__main__":
    fathom.stage.run(control_crops)
