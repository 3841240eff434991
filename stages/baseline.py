"""Stage `baseline`: logistic regression, SVM and random forest on the features, fold by fold."""

from pathlib import Path

import fathom.ground.stage
from fathom.baselines.baseline import classify, write_baseline
from fathom.baselines.features import read_features
from fathom.baselines.params import Baseline
from fathom.ground.section import read_section
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import read_splits


def baseline(features: Path, nuclei: Path, splits: Path, out: Path) -> None:
    """Write predictions of every part (`<classifier>.parquet`) and chosen.json to `out`."""
    table = read_nuclei(nuclei)
    results = classify(
        read_features(features, table),
        table,
        read_splits(splits, table),
        read_section(Baseline),
    )
    write_baseline(out, results)


if __name__ == "__main__":
    fathom.ground.stage.run(baseline)
