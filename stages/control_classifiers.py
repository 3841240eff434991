"""Stage `control_classifiers`: classifiers that see little, or meet an acquisition as new."""

from pathlib import Path

import fathom.ground.stage
from fathom.baselines.features import read_features
from fathom.baselines.params import Baseline
from fathom.controls.acquisition import read_pairs
from fathom.controls.control_classifiers import read_label_pixels, write_control_classifiers
from fathom.controls.params import Shortcuts
from fathom.ground.section import read_section
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split, read_splits


def control_classifiers(
    features: Path, nuclei: Path, splits: Path, label_pixels: Path, out: Path
) -> None:
    """Write a table of predictions for each control that is no network."""
    table = read_nuclei(nuclei)
    write_control_classifiers(
        read_features(features, table),
        table,
        read_splits(splits, table),
        read_pairs(splits),
        read_label_pixels(label_pixels),
        read_section(Baseline),
        read_section(Split),
        read_section(Shortcuts),
        out,
    )


if __name__ == "__main__":
    fathom.ground.stage.run(control_classifiers)
