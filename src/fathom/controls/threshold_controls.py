"""Deciding by one number a nucleus: predictions as the stage `baseline` writes them.

Nothing is fitted but the threshold, which the validation part chooses as it does for everyone.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.ground.arrays import Floats
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL, PARTS, part_rows

UNKNOWN = 0.5  # the probability where nothing speaks for either class


def by_acquisition(nuclei: Nuclei, splits: pd.DataFrame, column: str, seed: int) -> pd.DataFrame:
    """Predict by the share of the positive class that `column` has in the training part.

    Of an acquisition that training did not see, nothing is known: .5.
    """
    acquisition = nuclei.kept[column].to_numpy(dtype=str)
    positive = nuclei.kept["positive"].astype(np.float64)

    def share(fold: int) -> Floats:
        train = part_rows(nuclei, splits, fold, "train")
        of_each = positive.iloc[train].groupby(acquisition[train]).mean()
        return np.asarray(pd.Series(acquisition).map(of_each).fillna(UNKNOWN), dtype=np.float64)

    return _predictions(share, nuclei, splits, seed)


def read_label_pixels(path: Path) -> pd.DataFrame:
    """Read what `fathom.controls.control_crops.label_pixels` counted; it may have no rows."""
    return pd.read_parquet(path)


def by_label_pixels(
    nuclei: Nuclei, splits: pd.DataFrame, counts: pd.DataFrame, seed: int
) -> pd.DataFrame | None:
    """Predict by how many of its own label's pixels a crop shows, the more the surer.

    `counts` is what `fathom.controls.control_crops.label_pixels` returns. None unless it has every
    nucleus.
    """
    pixels = nuclei.kept["nucleus"].map(counts.set_index("nucleus")["label_px"])
    if pixels.isna().any():
        return None
    told = (pixels / (1 + pixels)).to_numpy(dtype=np.float64)
    return _predictions(lambda _: told, nuclei, splits, seed)


def _predictions(
    told: Callable[[int], Floats], nuclei: Nuclei, splits: pd.DataFrame, seed: int
) -> pd.DataFrame:
    names = nuclei.kept["nucleus"].to_numpy()
    tables = []
    for fold in sorted(set(splits["fold"].tolist()) - {FINAL}):
        probability = told(fold)
        for part in PARTS:
            rows = part_rows(nuclei, splits, fold, part)
            table = {"nucleus": names[rows], "fold": fold, "seed": seed, "part": part}
            tables.append(pd.DataFrame({**table, "probability": probability[rows]}))
    return pd.concat(tables, ignore_index=True)
