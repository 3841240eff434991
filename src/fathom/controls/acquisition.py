"""The acquisition (a slide, or a patient of one day): whether it shows, and tells the label.

Both together make a shortcut. A network that recognises the acquisition and knows its share of the
positive class scores above chance on folds that cut through acquisitions, and fails on a new one
(the batch effect: Leek et al. 2010, Nat. Rev. Genet. 11:733; of slides' sites: Howard et al. 2021,
Nat. Commun. 12:4423).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from fathom.baselines.baseline import classify
from fathom.baselines.params import Baseline
from fathom.controls.params import Shortcuts
from fathom.ground.errors import FathomError
from fathom.splitting.folds import make_folds
from fathom.study.certificate import DUPLICATES
from fathom.study.duplicates import bind
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Classifier
from fathom.study.splits import Split

FEWEST = 3  # acquisitions: one to test on, and one each to train and to validate on
_COARSER = ("image", "slide", "patient")


def leave_one_out(nuclei: Nuclei, split: Split, shortcuts: Shortcuts, pairs: pd.DataFrame) -> Split:
    """Return the params of splits of which each fold tests on one acquisition that no other has.

    Where an acquisition has one class only, or `pairs` of duplicates bind two, several are tested
    together: the folds keep every promise of `fathom.study.splits`.

    Raises `FathomError` where there are too few of them, or where the study's groups are larger
    than acquisitions, for then a fold that leaves out one would cut a group.
    """
    column = shortcuts.acquisition
    if _COARSER.index(split.group) > _COARSER.index(column):
        raise FathomError(
            f"params.yaml: shortcuts.acquisition = '{column}' is finer than split.group = "
            f"'{split.group}': leaving out one would cut through groups. Use '{split.group}'"
        )
    folds = acquisitions_to_leave_out(nuclei, shortcuts, pairs)
    if folds < FEWEST:
        raise FathomError(
            f"no {column} can be left out: each class must stand in {FEWEST} of them, one to test "
            f"on and one each to train and to validate on; the rarer stands in {folds}"
        )
    return split.model_copy(update={"group": column, "folds": folds})


def acquisitions_to_leave_out(nuclei: Nuclei, shortcuts: Shortcuts, pairs: pd.DataFrame) -> int:
    """Return how many folds there can be, each with both classes in its test part."""
    units = bind(nuclei, shortcuts.acquisition, pairs).unit
    positive = nuclei.kept["positive"].to_numpy(dtype=np.bool_)
    return min(len(np.unique(units[of])) for of in (positive, ~positive))


def read_pairs(splits: Path) -> pd.DataFrame:
    """Return the duplicates that bind the groups of the study's splits."""
    return pd.read_parquet(splits / DUPLICATES)


def classify_across(
    features: pd.DataFrame,
    nuclei: Nuclei,
    split: Split,
    shortcuts: Shortcuts,
    pairs: pd.DataFrame,
    params: Baseline,
) -> dict[Classifier, pd.DataFrame]:
    """Return each classifier's predictions of the acquisitions that it was not trained on.

    None where there are too few acquisitions.
    """
    if acquisitions_to_leave_out(nuclei, shortcuts, pairs) < FEWEST:
        return {}
    splits = make_folds(nuclei, leave_one_out(nuclei, split, shortcuts, pairs), pairs).table
    results = classify(features, nuclei, splits, params)
    return {name: result.predictions for name, result in results.items()}


def recognised(
    features: pd.DataFrame, nuclei: Nuclei, column: str, shortcuts: Shortcuts
) -> pd.DataFrame:
    """Let a random forest name the `column` (slide or patient) of each nucleus, cross-validated.

    Slides are kept whole where each acquisition has two or more, so that what is recognised is
    the acquisition and no single field of it. Returns nucleus, true and predicted (str).
    """
    truth = nuclei.kept[column].to_numpy(dtype=str)
    slide = nuclei.kept["slide"].to_numpy(dtype=str)
    matrix = features.to_numpy(dtype=np.float64)
    predicted = np.full(len(truth), "", dtype=object)
    if slides_are_whole(nuclei, column):
        slides = int(nuclei.kept.groupby(column)["slide"].nunique().min())
        whole = StratifiedGroupKFold(min(shortcuts.folds, slides))
        parts = list(whole.split(matrix, truth, slide))
    else:
        cut = StratifiedKFold(shortcuts.folds, shuffle=True, random_state=shortcuts.seed)
        parts = list(cut.split(matrix, truth))
    found = Parallel(n_jobs=-1)(
        delayed(_forest_predictions)(matrix[train], truth[train], matrix[test], shortcuts)
        for train, test in parts
    )
    for (_, test), names in zip(parts, found, strict=True):
        predicted[test] = names
    return pd.DataFrame({"nucleus": nuclei.kept["nucleus"], "true": truth, "predicted": predicted})


def slides_are_whole(nuclei: Nuclei, column: str) -> bool:
    """Return whether `recognised` keeps slides whole: each value of `column` has two or more."""
    return bool((nuclei.kept.groupby(column)["slide"].nunique() > 1).all())


def _forest_predictions(
    train: npt.NDArray[np.float64],
    truth: npt.NDArray[np.str_],
    test: npt.NDArray[np.float64],
    shortcuts: Shortcuts,
) -> npt.NDArray[np.str_]:
    forest = RandomForestClassifier(
        shortcuts.trees, class_weight="balanced", random_state=shortcuts.seed
    )
    names: npt.NDArray[np.str_] = forest.fit(train, truth).predict(test)
    return names
