from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.models.abstention import UNKNOWN, calibrate, conformal_quantile, share_errors
from fathom.study.nuclei import Nuclei


def study(shares, n=40, folds=(-1,), seed=0):
    """Return nuclei of slides s0, s1, ... and predictions of them that are right but for noise."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"slide": [f"s{k}" for k in range(len(shares)) for _ in range(n)]})
    table["positive"] = [k < round(share * n) for share in shares for k in range(n)]
    table["nucleus"] = [f"a#{k}" for k in range(len(table))]
    table["left_out"] = ""
    noise = rng.normal(0, 0.2, len(table))
    each = pd.DataFrame({"nucleus": table["nucleus"], "part": "validation", "seed": 0})
    each["probability"] = np.clip(0.3 + 0.4 * table["positive"] + noise, 0, 1)
    predictions = pd.concat([each.assign(fold=fold) for fold in folds], ignore_index=True)
    return Nuclei(Path(), table, table), predictions


@given(
    st.lists(st.floats(0, 1), max_size=60),
    st.sampled_from([0.5, 0.8, 0.9, 0.95]),
)
def test_the_quantile_is_that_of_the_definition(errors, confidence):
    n, found = len(errors), conformal_quantile(errors, confidence)
    place = next(k for k in range(1, n + 2) if k >= (n + 1) * confidence - 1e-9)
    assert found == (sorted(errors)[place - 1] if place <= n else None)


@pytest.mark.parametrize(("confidence", "least"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_so_many_groups_are_needed(confidence, least):
    assert conformal_quantile([0.1] * (least - 1), confidence) is None
    assert conformal_quantile([0.1] * least, confidence) == 0.1


@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_the_share_of_a_new_group_lies_within_the_band_as_often_as_promised(confidence):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(4000):
        errors = np.abs(rng.standard_t(2, 15)) / 20  # heavy tails: no distribution is assumed
        band = conformal_quantile(list(errors[1:]), confidence)
        covered.append(errors[0] <= band)
    # Between the level and the level + 1 / (n + 1), but for the noise of 4,000 draws.
    assert confidence - 0.015 < np.mean(covered) < confidence + 1 / 15 + 0.015


def test_an_error_is_measured_with_a_threshold_of_the_other_groups():
    part = pd.DataFrame(
        {
            "slide": ["a"] * 4 + ["b"] * 4,
            "positive": [True, True, False, False] * 2,
            # Of a alone the threshold would be .25, of b alone .75: each puts the other all wrong.
            "probability": [0.4, 0.4, 0.1, 0.1, 0.9, 0.9, 0.6, 0.6],
        }
    )
    assert share_errors(part, "slide") == {"a": 0.5, "b": 0.5}


def test_without_others_or_without_a_class_among_them_nothing_is_known():
    part = pd.DataFrame(
        {
            "slide": ["a", "a", "b", "b"],
            "positive": [True, False, True, True],
            "probability": [0.9, 0.1, 0.8, 0.7],
        }
    )
    assert share_errors(part, "slide") == {"a": UNKNOWN, "b": 0.0}
    assert share_errors(part[:2], "slide") == {"a": UNKNOWN}
    diverged = part.assign(probability=np.nan)
    assert share_errors(diverged, "slide") == {"a": UNKNOWN, "b": UNKNOWN}


def test_the_band_grows_with_what_the_model_gets_wrong():
    shares = np.linspace(0.2, 0.8, 20)
    nuclei, predictions = study(shares)
    found = calibrate(predictions, nuclei, "slide", 0.9)
    assert (found.group, found.groups, found.confidence) == ("slide", 20, 0.9)
    assert 0 < found.band < 0.3
    worse = predictions.assign(probability=predictions["probability"].iloc[::-1].to_numpy())
    assert calibrate(worse, nuclei, "slide", 0.9).band > found.band


def test_a_group_counts_once_and_the_final_model_first():
    nuclei, predictions = study(np.linspace(0.2, 0.8, 12), folds=(-1, 0, 1))
    own = calibrate(predictions[predictions["fold"] == -1], nuclei, "slide", 0.9)
    others = predictions["fold"] >= 0
    spoilt = predictions.assign(probability=predictions["probability"].where(~others, 0.5))
    assert calibrate(spoilt, nuclei, "slide", 0.9) == own
    # A group that the final model trained on comes from a fold.
    left = spoilt[~((spoilt["fold"] == -1) & spoilt["nucleus"].isin(nuclei.table["nucleus"][:40]))]
    assert calibrate(left, nuclei, "slide", 0.9).groups == 12


def test_only_validation_parts_are_asked():
    nuclei, predictions = study(np.linspace(0.2, 0.8, 12))
    own = calibrate(predictions, nuclei, "slide", 0.9)
    for part in ("train", "test"):
        other = predictions.assign(part=part, fold=0, probability=0.5)
        assert calibrate(pd.concat([predictions, other]), nuclei, "slide", 0.9) == own


def test_too_few_groups_are_said_not_hidden():
    nuclei, predictions = study([0.3, 0.5, 0.7])
    found = calibrate(predictions, nuclei, "slide", 0.9)
    assert (found.groups, found.band) == (3, None)
