import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from fathom.ground.errors import FathomError
from fathom.statistics.metrics import (
    balanced_accuracy,
    balanced_accuracy_of,
    choose_threshold,
    counts_by_group,
    ordered_pairs,
    sensitivity,
    share,
    specificity,
)
from fathom.statistics.scores import is_constant


@st.composite
def scored(draw):
    """Probabilities with many ties, truth with both classes, groups."""
    n = draw(st.integers(2, 40))
    steps = draw(st.sampled_from([1, 2, 5, 1000]))
    level = st.lists(st.integers(0, steps), min_size=n, max_size=n)
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    positive = np.array(draw(flags.filter(lambda flags: len(set(flags)) == 2)))
    group = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    return np.array(draw(level)) / steps, positive, group


@given(scored())
def test_measures_agree_with_scikit_learn(data):
    probability, positive, group = data
    called = probability >= 0.5
    counts = counts_by_group(called.astype(float), positive, group, 4).sum(axis=0)
    assert sensitivity(counts) == pytest.approx(recall_score(positive, called))
    assert specificity(counts) == pytest.approx(recall_score(~positive, ~called))
    assert balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(positive, called))
    pairs = ordered_pairs(probability, positive, np.zeros(len(group), dtype=int), 1).item()
    area = pairs / (positive.sum() * (~positive).sum())
    assert area == pytest.approx(roc_auc_score(positive, probability))


@given(scored())
def test_pairs_are_those_of_a_loop_over_nuclei(data):
    probability, positive, group = data
    expected = np.zeros((4, 4))
    for i, j in itertools.product(np.flatnonzero(positive), np.flatnonzero(~positive)):
        order = np.sign(probability[i] - probability[j])
        expected[group[i], group[j]] += (1 + order) / 2
    np.testing.assert_array_equal(ordered_pairs(probability, positive, group, 4), expected)


@given(scored())
def test_the_threshold_is_the_best_midpoint_and_the_nearest_to_half(data):
    probability, positive, _ = data
    threshold = choose_threshold(probability, positive)
    values = np.unique(probability)
    if len(values) == 1:
        assert threshold == 0.5
        return
    middles = (values[:-1] + values[1:]) / 2
    scores = [balanced_accuracy_score(positive, probability >= middle) for middle in middles]
    best = middles[np.isclose(scores, max(scores), atol=1e-12)]
    assert abs(threshold - 0.5) == pytest.approx(abs(best - 0.5).min(), abs=1e-12)
    assert np.isclose(best, threshold).any()


def test_the_threshold_by_hand():
    positive = np.array([False, False, True, True])
    assert choose_threshold(np.array([0.1, 0.2, 0.6, 0.9]), positive) == pytest.approx(0.4)
    # .15 and .75 are equally good; .75 is nearer to .5
    mixed = np.array([True, False, False, True])
    assert choose_threshold(np.array([0.1, 0.2, 0.7, 0.8]), mixed) == pytest.approx(0.75)
    # the only candidate, although a constant call would be better
    assert choose_threshold(np.array([0.9, 0.2]), np.array([False, True])) == pytest.approx(0.55)


def test_the_threshold_parts_two_neighbouring_floats():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = choose_threshold(np.array([low, high]), np.array([False, True]))
    assert low < threshold <= high


def test_the_threshold_refuses_what_has_no_answer():
    with pytest.raises(FathomError, match="0 positive and 2 negative"):
        choose_threshold(np.array([0.1, 0.2]), np.array([False, False]))
    with pytest.raises(FathomError, match="diverged"):
        choose_threshold(np.array([0.1, np.nan]), np.array([False, True]))


def test_an_absent_class_is_nan_without_a_warning():
    counts = np.array([[0.0, 0.0, 3.0, 1.0], [2.0, 2.0, 3.0, 1.0]])
    np.testing.assert_array_equal(sensitivity(counts), [np.nan, 0.5])
    np.testing.assert_array_equal(balanced_accuracy(counts), [np.nan, 0.625])
    np.testing.assert_array_equal(share(np.array([1.0, 0.0]), [0, 2]), [np.nan, 0])


def test_half_a_decision_counts_half_to_each_side():
    half = np.full(3, 0.5)
    counts = counts_by_group(half, np.array([True, True, False]), np.array([0, 1, 1]), 2)
    np.testing.assert_array_equal(counts, [[0.5, 0.5, 0, 0], [0.5, 0.5, 0.5, 0.5]])


@given(scored())
def test_the_balanced_accuracy_of_decisions_is_that_of_scikit_learn(drawn):
    probability, positive, _ = drawn
    decision = probability >= 0.5
    expected = balanced_accuracy_score(positive, decision)
    assert balanced_accuracy_of(decision, positive) == pytest.approx(expected)


def test_probabilities_that_say_nothing_are_constant():
    for nothing in ([0.3, 0.3], [0.3, 0.3 + 1e-7], [0.1, np.nan], [0.1, np.inf]):
        assert is_constant(np.array(nothing))
    assert not is_constant(np.array([0.1, 0.2]))
