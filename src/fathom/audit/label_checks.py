"""Likely label errors: confident learning, less what the overlap of the classes explains.

Northcutt, Jiang & Chuang (2021, JAIR 70:1373, section 3.1) count a nucleus of class i as
confidently of class j if its out-of-sample probability of j is at least the mean that nuclei
labelled j have. Where the classes overlap, correct labels are counted, too: a nucleus on the wrong
side need not be labelled wrongly. How many those are is told by the half of each class that lies
away from the other one, as that of a normal distribution (the binormal model of ROC analysis,
Hanley 1988): wrong labels lie in the half towards it, and widen the other one little. Only more
than those is a finding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import binom, norm
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from fathom.audit.findings import Finding
from fathom.audit.params import Audit
from fathom.baselines.baseline import build_classifier
from fathom.ground.arrays import Bools, Floats

_FOLDS = 5
_PENALTY = {"C": 1.0}
_FEWEST = 100  # nuclei a class; of fewer the spread is so uncertain that sound labels are blamed
_SLACK = 1.5  # the tails may be so much heavier than normal ones


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Nuclei of one class that look confidently like the other."""

    label: str
    rows: npt.NDArray[np.intp]
    expected: float
    """How many would be there without any label error."""
    chance: float
    """Probability of so many or more without any."""


def out_of_fold_scores(
    features: pd.DataFrame, positive: Bools, groups: npt.NDArray[np.object_], seed: int
) -> Floats | None:
    """Return log-odds of the positive class, (n,), each from nuclei of other groups.

    Logistic regression, the baseline's, whose log-odds are nearly normal within a class. None where
    the groups cannot be divided so that both classes are always there to learn from.
    """
    fewest = min(len(set(groups[positive])), len(set(groups[~positive])))
    if fewest < 2 or min(positive.sum(), (~positive).sum()) < _FEWEST:
        return None
    splitter = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    matrix = features.to_numpy(dtype=np.float64)
    scores = np.full(len(positive), np.nan)
    for train, test in splitter.split(matrix, positive, groups):
        if len(set(positive[train].tolist())) < 2:
            return None
        with threadpool_limits(1):
            model = build_classifier("logistic", _PENALTY, seed).fit(matrix[train], positive[train])
            scores[test] = model.decision_function(matrix[test])
    return scores


def confidently_other(scores: Floats, positive: Bools) -> Bools:
    """Return which nuclei count as confidently of the class they are not labelled as.

    Equation 1 of Northcutt et al. (2021) for two classes: the probability of the other class is at
    least that class' mean; where that of their own is at least its mean as well, the larger counts.
    """
    probability = np.column_stack([expit(-scores), expit(scores)])
    given = positive.astype(np.intp)
    means = np.array([probability[given == one, one].mean() for one in (0, 1)])
    confident = probability >= means
    rows = np.arange(len(given))
    other = confident[rows, 1 - given]
    own = confident[rows, given] & (probability[rows, given] >= probability[rows, 1 - given])
    return np.asarray(other & ~own)


def label_errors(scores: Floats, positive: Bools, names: tuple[str, str]) -> list[LabelErrors]:
    """Return both classes' nuclei that look like the other; `names` are (negative, positive).

    Those are counted that are confidently of the other class and lie beyond its median: of wrongly
    labelled nuclei half do, of a class' own tail next to none.
    """
    other = confidently_other(scores, positive)
    found = []
    for is_positive in (False, True):
        towards = -1.0 if is_positive else 1.0  # the other class has the larger of these
        own, others = (towards * scores[positive == one] for one in (is_positive, not is_positive))
        threshold = max(_mean_confidence(others), float(np.median(others)))
        beyond = (positive == is_positive) & other & (towards * scores >= threshold)
        middle, sd = _half(own)
        share = min(_SLACK * float(norm.sf((threshold - middle) / sd)), 1.0)
        rows = np.flatnonzero(beyond)
        chance = float(binom.sf(len(rows) - 1, len(own), share))
        found.append(LabelErrors(names[is_positive], rows, share * len(own), chance))
    return found


def _mean_confidence(log_odds: Floats) -> float:
    """Return a class' mean probability as log-odds, 0 where it is below one half."""
    mean = min(float(expit(log_odds).mean()), 1 - 1e-12)  # all may be certain
    return max(float(np.log(mean / (1 - mean))), 0.0)


def _half(towards_other: Floats) -> tuple[float, float]:
    """Return the median, and the standard deviation by the half away from the other class."""
    middle = float(np.median(towards_other))
    away = towards_other[towards_other <= middle]
    return middle, max(float(np.sqrt(np.mean((away - middle) ** 2))), 1e-9)


def audit_labels(
    nucleus: pd.Series, errors: list[LabelErrors], scores: Floats, params: Audit
) -> Iterator[Finding]:
    """Yield a finding for each class with more confidently other nuclei than overlap explains.

    Its confidence is the share of the nuclei it lists that are expected to be wrong; the most
    certain stand first.
    """
    for one in errors:
        if one.chance < params.chance / 2 and len(one.rows) > one.expected:
            order = one.rows[np.argsort(-np.abs(scores[one.rows]), kind="stable")]
            yield Finding(
                "label_errors",
                one.label,
                f"{len(one.rows)} nuclei of this label look like the other class, "
                f"{one.expected:.1f} would by the classes' overlap",
                1 - one.expected / len(one.rows),
                tuple(nucleus.iloc[order]),
            )
