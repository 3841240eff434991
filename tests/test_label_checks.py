import numpy as np
import pandas as pd
import pytest
from audit_params import audit_params
from scipy.special import logit

from fathom.audit.label_checks import (
    audit_labels,
    confidently_other,
    label_errors,
    out_of_fold_scores,
)

NAMES = ("well", "ill")


def scores_of(n, separation, seed=0):
    """Return log-odds of two normal classes, n of each, and their true labels."""
    rng = np.random.default_rng(seed)
    positive = np.arange(2 * n) % 2 == 0
    latent = rng.normal(0, 1, 2 * n) + separation * (positive - 0.5)
    return separation * latent, positive


def flipped(positive, share, seed=1):
    wrong = np.random.default_rng(seed).random(len(positive)) < share
    return positive ^ wrong, wrong


def findings_of(scores, positive):
    names = pd.Series(np.arange(len(scores)).astype(str))
    errors = label_errors(scores, positive, NAMES)
    return list(audit_labels(names, errors, scores, audit_params()))


def test_confidently_other_is_the_off_diagonal_of_the_confident_joint():
    """By hand, Northcutt et al. 2021, eq. 1: means are .8 (positive) and .7 (negative)."""
    p = np.array([0.95, 0.9, 0.55, 0.1, 0.15, 0.85])
    positive = np.array([True, True, True, False, False, False])
    threshold_positive, threshold_negative = p[:3].mean(), (1 - p[3:]).mean()
    assert threshold_positive == pytest.approx(0.8)
    assert threshold_negative == pytest.approx(0.6333, abs=1e-3)
    assert confidently_other(logit(p), positive).tolist() == [False] * 5 + [True]


@pytest.mark.parametrize("separation", [0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_overlapping_classes_with_true_labels_are_no_finding(separation, seed):
    scores, positive = scores_of(500, separation, seed)
    assert findings_of(scores, positive) == []


@pytest.mark.parametrize("separation", [4.0, 6.0])
def test_flipped_labels_are_found_and_listed_first(separation):
    scores, truth = scores_of(500, separation)
    positive, wrong = flipped(truth, 0.05)
    found = findings_of(scores, positive)
    assert {one.where for one in found} == set(NAMES)
    listed = [int(name) for one in found for name in one.rows]
    assert wrong[listed].mean() > 0.6
    assert sum(wrong[listed]) > 0.4 * wrong.sum()
    for one in found:
        assert one.confidence < 1
        assert wrong[int(one.rows[0])]


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found_where_classes_overlap(seed):
    scores, truth = scores_of(500, 3.0, seed)
    positive, _ = flipped(truth, 0.05, seed + 50)
    assert findings_of(scores, positive)


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_many_flipped_labels_are_found_where_classes_are_apart(share):
    """So many make a class wide that is measured on both sides of its median."""
    scores, truth = scores_of(500, 4.0)
    positive, wrong = flipped(truth, share)
    found = findings_of(scores, positive)
    assert {one.where for one in found} == set(NAMES)
    listed = [int(name) for one in found for name in one.rows]
    assert wrong[listed].mean() > 0.9


def test_scores_that_are_certain_are_scored():
    scores, positive = scores_of(500, 3.0)
    certain = np.where(positive, 40.0, -40.0)
    assert [len(one.rows) for one in label_errors(certain, positive, NAMES)] == [0, 0]
    assert len(label_errors(40 * scores, positive, NAMES)) == 2


def test_scores_come_from_other_groups():
    """A feature that tells the group, not the class, is of no use across groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"p{i}" for i in range(10)], 40).astype(object)
    positive = np.repeat(np.arange(10) % 2 == 0, 40)
    own = pd.DataFrame({f"f{i}": (groups == f"p{i}") + rng.normal(0, 0.01, 400) for i in range(10)})
    scores = out_of_fold_scores(own, positive, groups, seed=0)
    assert ((scores > 0) == positive).mean() < 0.6
    told = pd.DataFrame({"f": positive + rng.normal(0, 0.1, 400)})
    scores = out_of_fold_scores(told, positive, groups, seed=0)
    assert ((scores > 0) == positive).mean() > 0.95


def test_where_groups_cannot_be_divided_nothing_is_scored():
    groups = np.repeat(["a", "b"], 40).astype(object)
    features = pd.DataFrame({"f": np.arange(80.0)})
    assert out_of_fold_scores(features, groups == "a", groups, seed=0) is None
