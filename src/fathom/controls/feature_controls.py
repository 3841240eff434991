"""Classifiers that see a few measures only: how much of the label each kind tells.

The classifiers are those of `fathom.baselines.baseline`, tuned on the same folds. In each fold the
one that ranks the validation part best speaks for the control.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from fathom.baselines.baseline import Result, classify
from fathom.baselines.params import Baseline
from fathom.controls.catalogue import HISTOGRAM, SHAPE, SHUFFLED_CLASSIFIER, SIZE
from fathom.ground.errors import FathomError
from fathom.study.nuclei import Nuclei
from fathom.study.rows import CLASSIFIERS, Classifier
from fathom.study.splits import FINAL, part_rows

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
