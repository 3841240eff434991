"""All controls that are no networks, as prediction tables beside those of the classifiers."""

from pathlib import Path

import pandas as pd

from fathom.baselines.params import Baseline
from fathom.controls.acquisition import classify_across, recognised
from fathom.controls.catalogue import ACQUISITION, ACROSS, LABEL_PIXELS, RECOGNISED
from fathom.controls.feature_controls import feature_controls
from fathom.controls.params import Shortcuts
from fathom.controls.threshold_controls import by_acquisition, by_label_pixels
from fathom.ground.output import write_table
from fathom.study.nuclei import Nuclei
from fathom.study.splits import Split


def write_control_classifiers(
    features: pd.DataFrame,
    nuclei: Nuclei,
    splits: pd.DataFrame,
    pairs: pd.DataFrame,
    counts: pd.DataFrame,
    baseline: Baseline,
    split: Split,
    shortcuts: Shortcuts,
    out: Path,
) -> None:
    """Write a table of predictions for each control to `out`.

    Beside them `ACROSS`, the classifiers with one acquisition left out, where there are enough,
    and `RECOGNISED`, who was taken for whom.

    Parameters
    ----------
    features, nuclei : a row a nucleus, in the same order
    splits, pairs : of the study, and the duplicates that bind its groups
    counts : what `fathom.controls.control_crops.label_pixels` returns
    """
    tables = feature_controls(features, nuclei, splits, baseline)
    column, seed = shortcuts.acquisition, shortcuts.seed
    tables[ACQUISITION] = by_acquisition(nuclei, splits, column, seed)
    by_pixels = by_label_pixels(nuclei, splits, counts, seed)
    if by_pixels is not None:
        tables[LABEL_PIXELS] = by_pixels
    for name, table in tables.items():
        write_table(out / f"{name}.parquet", table)
    across = classify_across(features, nuclei, split, shortcuts, pairs, baseline)
    for classifier, table in across.items():
        write_table(out / ACROSS / f"{classifier}.parquet", table)
    for of in dict.fromkeys(("slide", column)):
        if nuclei.kept[of].nunique() > 1:
            predictions = recognised(features, nuclei, of, shortcuts)
            write_table(out / RECOGNISED / f"{of}.parquet", predictions)
