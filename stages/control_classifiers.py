"""Stage `control_classifiers`: classifiers that see little, or meet an acquisition as new."""

from pathlib import Path

import pandas as pd

from fathom.baselines.features import read_features
from fathom.controls.control_classifiers import write_control_classifiers
from fathom.imaging.nuclei import read_nuclei
from fathom.params.baseline import Baseline
from fathom.params.data import Split
from fathom.params.section import read_section
from fathom.params.shortcuts import Shortcuts
from fathom.splitting.certificate import DUPLICATES
from fathom.splitting.splits import read_splits
from fathom.stage import run_stage


def control_classifiers(
    features: Path, nuclei: Path, splits: Path, label_pixels: Path, out: Path
) -> None:
    """Write a table of predictions for each control that is no network."""
    table = read_nuclei(nuclei)
    write_control_classifiers(
        read_features(features, table),
        table,
        read_splits(splits, table),
        pd.read_parquet(splits / DUPLICATES),
        pd.read_parquet(label_pixels),
        read_section(Baseline),
        read_section(Split),
        read_section(Shortcuts),
        out,
    )


if __name__ == "__main__":
    run_stage(control_classifiers)
