"""All controls that are no networks, as prediction tables beside those of the classifiers.

Classifiers that see a few measures only say how much of the label each kind tells. They are those
of `fathom.baselines.baseline`, tuned on the same folds; in each fold the one that ranks the
validation part best speaks for the control. Other controls decide by one number a nucleus: nothing
is fitted but the threshold, which the validation part chooses as it does for everyone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.baselines.baseline import Result, classify
from fathom.baselines.params import Baseline
from fathom.controls.acquisition import classify_across, recognised
from fathom.controls.catalogue import (
    ACQUISITION,
    ACROSS,
    HISTOGRAM,
    LABEL_PIXELS,
    RECOGNISED,
    SHAPE,
    SHUFFLED_CLASSIFIER,
    SIZE,
)
from fathom.controls.params import Shortcuts
from fathom.ground.arrays import Floats
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.study.nuclei import Nuclei
from fathom.study.rows import CLASSIFIERS, Classifier
from fathom.study.splits import FINAL, PARTS, Split, part_rows

_SHAPE = (
    "area_px",
    "perimeter_px",
    "axis_major_px",
    "axis_minor_px",
    "eccentricity",
    "solidity",
    "extent",
    "form_factor",
)
# What each control may see, by the name of a measure of `fathom.baselines.features`. A perimeter
# would tell the outline, and a sum of grey levels the area.
SEES: dict[str, Callable[[str], bool]] = {
    SIZE: lambda name: name == "area_px",
    SHAPE: lambda name: name in _SHAPE,
    HISTOGRAM: lambda name: (
        name.startswith(("grey_", "red_", "green_", "blue_")) and name != "grey_sum_level"
    ),
}

UNKNOWN = 0.5  # the probability where nothing speaks for either class


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


def feature_controls(
    features: pd.DataFrame, nuclei: Nuclei, splits: pd.DataFrame, params: Baseline
) -> dict[str, pd.DataFrame]:
    """Return the predictions of each control, as `train` and `baseline` write them.

    `features` has a row for each row of `nuclei.kept`. `SHUFFLED_CLASSIFIER` sees all of them.
    """
    found = {}
    for control, sees in SEES.items():
        columns = [name for name in features if sees(str(name))]
        if not columns:
            raise FathomError(
                f"the table of features has no column for the control '{control}': run the stage "
                "'features' again"
            )
        found[control] = best_of(classify(features[columns], nuclei, splits, params))
    found[SHUFFLED_CLASSIFIER] = _shuffled(features, nuclei, splits, params)
    return found


def best_of(results: Mapping[Classifier, Result]) -> pd.DataFrame:
    """Return, fold by fold, the predictions of the classifier of the highest validation AUROC.

    Of several that are equally good the first in the order of `CLASSIFIERS` is taken.
    """
    folds = [entry["fold"] for entry in results[CLASSIFIERS[0]].chosen]
    auroc = np.array(
        [[entry["validation_auroc"] for entry in results[name].chosen] for name in CLASSIFIERS],
        dtype=np.float64,
    )
    tables = []
    for fold, best in zip(folds, auroc.argmax(axis=0), strict=True):
        predictions = results[CLASSIFIERS[best]].predictions
        tables.append(predictions[predictions["fold"] == fold])
    return pd.concat(tables, ignore_index=True)


def _shuffled(
    features: pd.DataFrame, nuclei: Nuclei, splits: pd.DataFrame, params: Baseline
) -> pd.DataFrame:
    """Return what is left if the labels of each training part are shuffled: the protocol's floor.

    Validation parts keep their labels and choose classifier, hyperparameters and, later, the
    threshold, as they always do.
    """
    tables = []
    for fold in sorted(set(splits["fold"].tolist()) - {FINAL}):
        rows = part_rows(nuclei, splits, fold, "train")
        kept = nuclei.kept.copy()
        positive = kept["positive"].to_numpy(dtype=np.bool_, copy=True)
        positive[rows] = np.random.default_rng([params.seed, fold]).permutation(positive[rows])
        kept["positive"] = positive
        without = Nuclei(nuclei.folder, nuclei.table, kept)
        results = classify(features, without, splits[splits["fold"] == fold], params)
        tables.append(best_of(results))
    return pd.concat(tables, ignore_index=True)


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
