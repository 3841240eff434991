"""The "statistical methods": logistic regression, SVM and random forest on measured features.

In every outer fold each combination of a classifier's grid is fitted on the training part, and the
validation part chooses by AUROC: a threshold is chosen on it afterwards, as for the networks, so
that only the ranking of the nuclei is left to choose. For that threshold's sake the classifier
that was chosen is not fitted again on both parts together. The test part is only predicted.

SVM and forest are fitted on `baseline.most_nuclei` nuclei of a training part at most, drawn by the
seed: a million would take an SVM a year, and a forest more memory than there is. chosen.json says
where that happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from fathom.baselines.params import Baseline
from fathom.ground.arrays import Floats, Positions
from fathom.ground.output import write_json, write_table
from fathom.ground.progress import track
from fathom.study.nuclei import Nuclei
from fathom.study.rows import CLASSIFIERS, Classifier
from fathom.study.splits import FINAL, PARTS, part_rows

Matrix = npt.NDArray[np.float64]  # (nuclei, features)
Rows = Mapping[str, Positions]  # of each part of a fold


@dataclass(frozen=True)
class Part:
    """Nuclei of the study: all, or those of one part of a fold."""

    features: Matrix
    positive: npt.NDArray[np.bool_]  # (n,)

    def of(self, rows: Positions) -> "Part":
        """Return some of them."""
        return Part(self.features[rows], self.positive[rows])


@dataclass(frozen=True)
class Choice:
    """The classifier, fitted on the training part, that ranks the validation part best."""

    hyperparameters: dict[str, float]
    validation_auroc: float
    model: BaseEstimator


@dataclass(frozen=True)
class Result:
    """What one classifier made of all folds."""

    predictions: pd.DataFrame  # nucleus, fold, seed, part, probability
    chosen: list[dict[str, object]]  # one entry a fold


def classify(
    features: pd.DataFrame, nuclei: Nuclei, splits: pd.DataFrame, params: Baseline
) -> dict[Classifier, Result]:
    """Tune, fit and predict every classifier in every outer fold, on all cores.

    `features` has a row for each row of `nuclei.kept`. A fit runs on one thread with its own seed:
    the numbers do not depend on how many there are.
    """
    matrix = features.to_numpy(dtype=np.float64)
    study = Part(matrix, nuclei.kept["positive"].to_numpy(dtype=bool))
    folds = sorted(set(splits["fold"].tolist()) - {FINAL})
    rows = {fold: {part: part_rows(nuclei, splits, fold, part) for part in PARTS} for fold in folds}
    tasks = [(classifier, fold) for classifier in CLASSIFIERS for fold in folds]
    # The workers share the study's matrix, and take their parts of it: so it is held once.
    done = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_run)(classifier, fold, study, rows[fold], params) for classifier, fold in tasks
    )
    pairs = dict(zip(tasks, track(done, "baseline", len(tasks)), strict=True))
    names = nuclei.kept["nucleus"]
    return {
        classifier: Result(
            pd.concat(
                [
                    _predictions(names, rows[fold], pairs[classifier, fold][0], fold, params.seed)
                    for fold in folds
                ],
                ignore_index=True,
            ),
            [pairs[classifier, fold][1] for fold in folds],
        )
        for classifier in CLASSIFIERS
    }


def write_baseline(out: Path, results: Mapping[Classifier, Result]) -> None:
    """Write `<classifier>.parquet`, the predictions, and chosen.json, the hyperparameters."""
    for classifier, result in results.items():
        write_table(out / f"{classifier}.parquet", result.predictions)
    write_json(out / "chosen.json", {name: result.chosen for name, result in results.items()})


def _predictions(
    names: pd.Series, rows: Rows, probabilities: Mapping[str, Floats], fold: int, seed: int
) -> pd.DataFrame:
    """Return the predictions of one classifier in one fold: all parts, one after the other."""
    tables = [
        pd.DataFrame(
            {
                "nucleus": names.iloc[at].to_numpy(),
                "fold": fold,
                "seed": seed,
                "part": part,
                "probability": probabilities[part],
            }
        )
        for part, at in rows.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _run(
    classifier: Classifier, fold: int, study: Part, rows: Rows, params: Baseline
) -> tuple[dict[str, Floats], dict[str, object]]:
    """Return the probabilities of one classifier in one fold by part, and what was chosen."""
    train = study.of(rows["train"])
    fitted_on = drawn(classifier, params, train, fold)
    with threadpool_limits(1):
        choice = choose(classifier, params, fitted_on, study.of(rows["validation"]))
        probabilities = {
            part: probability(choice.model, study.features[at]) for part, at in rows.items()
        }
    chosen: dict[str, object] = {
        "fold": fold,
        "hyperparameters": choice.hyperparameters,
        "validation_auroc": round(choice.validation_auroc, 6),
    }
    if len(fitted_on.positive) < len(train.positive):
        chosen["fitted_on"] = len(fitted_on.positive)
    return probabilities, chosen


def drawn(classifier: Classifier, params: Baseline, train: Part, fold: int) -> Part:
    """Return the nuclei that a classifier is fitted on: all, or `most_nuclei` in their order."""
    if classifier == "logistic" or len(train.positive) <= params.most_nuclei:
        return train
    rng = np.random.default_rng([params.seed, fold])
    rows = np.sort(rng.choice(len(train.positive), params.most_nuclei, replace=False))
    return train.of(rows)


def choose(classifier: Classifier, params: Baseline, train: Part, validation: Part) -> Choice:
    """Fit every combination of the grid on `train`; return the first of the best on `validation`.

    The order is that of the grid's lists, C before gamma, max_features before min_samples_leaf.
    """

    def fitted(hyperparameters: dict[str, float]) -> Choice:
        model = build_classifier(classifier, hyperparameters, params.seed)
        model.fit(train.features, train.positive)
        scores = probability(model, validation.features)
        return Choice(hyperparameters, float(roc_auc_score(validation.positive, scores)), model)

    grid = ParameterGrid(getattr(params, classifier).model_dump())
    return max(map(fitted, grid), key=lambda choice: choice.validation_auroc)


def build_classifier(
    classifier: Classifier, hyperparameters: Mapping[str, float], seed: int
) -> BaseEstimator:
    """Return an unfitted scikit-learn estimator; only the forest draws on `seed`."""
    if classifier == "forest":  # its splits do not depend on the features' units
        return RandomForestClassifier(**hyperparameters, random_state=seed)
    if classifier == "svm":
        return make_pipeline(StandardScaler(), SVC(**hyperparameters))
    return make_pipeline(
        StandardScaler(), LogisticRegression(**hyperparameters, solver="newton-cholesky")
    )


def probability(model: BaseEstimator, features: Matrix) -> npt.NDArray[np.float64]:
    """Return the probability of the positive class, (n,) float64.

    That of an SVM is the logistic function of its decision value: the ranking is the SVM's own and
    .5 is its boundary, but it is not calibrated. Platt scaling would fit the SVM several times over
    within the training part, across groups, for a calibration that nothing here uses.
    """
    if hasattr(model, "decision_function"):
        # For logistic regression this is predict_proba.
        return np.asarray(expit(model.decision_function(features)), dtype=np.float64)
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)
