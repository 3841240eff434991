"""Whether the band of each run holds on its test parts, which had no say in it.

    python benchmarks/abstention.py data/nuclei data/runs slide 0.9

A row a run: the band, in how many groups of the test parts the share called positive (threshold of
the fold's own validation part) lies within the band of the true share, how many verdicts are given,
and how many of those are wrong. The bands come from the validation parts alone, as at export.
"""

import sys
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from fathom.models.abstention import Group, calibrate
from fathom.statistics.metrics import choose_threshold
from fathom.study.nuclei import Nuclei, read_nuclei


def test_shares(predictions: pd.DataFrame, nuclei: Nuclei, group: str) -> pd.DataFrame:
    """Return the share called positive and the true one of each group of the test parts."""
    truth = nuclei.kept.set_index("nucleus")[["positive", group]]
    shares = []
    for _, rows in predictions.join(truth, on="nucleus").groupby(["fold", "seed"]):
        validation, test = (rows[rows["part"] == part] for part in ("validation", "test"))
        threshold = choose_threshold(
            validation["probability"].to_numpy(np.float64), validation["positive"].to_numpy(bool)
        )
        called = test.assign(called=test["probability"] >= threshold)
        shares.append(called.groupby(group)[["called", "positive"]].mean())
    return pd.concat(shares)


def main() -> None:
    """Print the table."""
    nuclei, runs = read_nuclei(Path(sys.argv[1])), Path(sys.argv[2])
    group, confidence = cast(Group, sys.argv[3]), float(sys.argv[4])
    print("run,groups,band,test_groups,within,verdicts,wrong")
    for path in sorted(runs.glob("*/predictions.parquet")):
        predictions = pd.read_parquet(path)
        found = calibrate(predictions, nuclei, group, confidence)
        band = 1.0 if found.band is None else found.band
        shares = test_shares(predictions, nuclei, group)
        within = (shares["called"] - shares["positive"]).abs() <= band
        given = (shares["called"] - 0.5).abs() > band
        wrong = given & ((shares["called"] > 0.5) != (shares["positive"] > 0.5))
        print(
            f"{path.parent.name},{found.groups},{band:.3f},{len(shares)},{within.sum()},"
            f"{given.sum()},{wrong.sum()}"
        )


if __name__ == "__main__":
    main()
