"""Classifiers that see little: a planted shortcut is found, clean nuclei are at chance."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import nuclei_of
from made_splits import make_splits
from sklearn.metrics import balanced_accuracy_score

from fathom.baselines.baseline import Result
from fathom.baselines.features import IDENTITY, feature_table
from fathom.baselines.params import Baseline, Features, ForestGrid, LogisticGrid, SvmGrid
from fathom.controls.acquisition import (
    acquisitions_to_leave_out,
    classify_across,
    leave_one_out,
    recognised,
    slides_are_whole,
)
from fathom.controls.control_classifiers import (
    SEES,
    best_of,
    by_acquisition,
    by_label_pixels,
    feature_controls,
    write_control_classifiers,
)
from fathom.controls.control_scores import mutual_information
from fathom.controls.params import Shortcuts
from fathom.ground.errors import FathomError
from fathom.simulation.simulated_nuclei import simulate_nuclei, write_simulated_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.splitting.folds import make_folds
from fathom.study.duplicates import PAIR
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import Split

BASELINE = Baseline(
    seed=0,
    most_nuclei=5000,
    logistic=LogisticGrid(C=(0.1,)),
    svm=SvmGrid(C=(1.0,), gamma=(0.1,)),
    forest=ForestGrid(n_estimators=(30,), max_features=(0.5,), min_samples_leaf=(5,)),
)
SPLIT = Split(group="slide", folds=3, validation_share=0.25, seed=0)
SHORTCUTS = Shortcuts(acquisition="patient", least_label_px=5, folds=3, trees=20, seed=0)
FEATURES = Features(percentiles=(5, 50, 95), grey_levels=8, distances_px=(1,))
NO_PAIRS = pd.DataFrame(columns=PAIR, dtype=str)
# 12 patients of 25 nuclei; nothing but the size can carry the label.
SIZED = replace(
    DEFAULT, patients=12, slides_per_patient=2, nuclei_per_patient=26, crop_px=24, cue="size"
)


def study(folder, simulation):
    write_simulated_nuclei(folder, simulate_nuclei(simulation, seed=1))
    nuclei = read_nuclei(folder)
    features = feature_table(nuclei, FEATURES).drop(columns=list(IDENTITY))
    return nuclei, features, make_splits(nuclei, SPLIT)


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """Return nuclei whose class is in their size, their features and splits."""
    return study(tmp_path_factory.mktemp("sized"), SIZED)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return nuclei whose class is in nothing."""
    return study(tmp_path_factory.mktemp("clean"), replace(SIZED, separation=0.0))


def score(predictions, nuclei):
    told = predictions[predictions["part"] == "test"].merge(nuclei.kept[["nucleus", "positive"]])
    assert sorted(told["nucleus"]) == sorted(nuclei.kept["nucleus"])
    return balanced_accuracy_score(told["positive"], told["probability"] >= 0.5)


def test_class_dependent_size_is_found_by_size_and_shape_not_by_shuffled_labels(sized):
    nuclei, features, splits = sized
    found = feature_controls(features, nuclei, splits, BASELINE)
    scores = {name: score(table, nuclei) for name, table in found.items()}
    assert scores["size"] > 0.85
    assert scores["shape"] > 0.85
    assert abs(scores["shuffled-classifier"] - 0.5) < 0.1


def test_clean_nuclei_are_at_chance(clean):
    nuclei, features, splits = clean
    found = feature_controls(features, nuclei, splits, BASELINE)
    for name, table in found.items():
        assert abs(score(table, nuclei) - 0.5) < 0.09, name


def test_what_each_sees(clean):
    names = {name: {of for of in clean[1] if sees(of)} for name, sees in SEES.items()}
    assert names["size"] == {"area_px"}
    assert len(names["shape"]) == 8
    assert {"grey_mean_level", "grey_p05_level", "grey_kurtosis"} <= names["histogram"]
    assert not any(of.startswith(("gradient", "glcm")) for of in names["histogram"])
    assert "grey_sum_level" not in names["histogram"]  # mean times area


def test_features_of_other_names_are_an_error(clean):
    nuclei, features, splits = clean
    with pytest.raises(FathomError, match="no column for the control 'size'"):
        feature_controls(features[["glcm_entropy_1px_mean"]], nuclei, splits, BASELINE)


def test_in_each_fold_the_best_in_validation_speaks():
    def result(name, auroc):
        table = pd.DataFrame({"fold": [0, 1], "probability": name})
        return Result(table, [{"fold": f, "validation_auroc": a} for f, a in enumerate(auroc)])

    results = {
        "logistic": result("logistic", [0.6, 0.7]),
        "svm": result("svm", [0.6, 0.6]),
        "forest": result("forest", [0.5, 0.8]),
    }
    assert best_of(results)["probability"].tolist() == ["logistic", "forest"]


def test_an_acquisition_that_tells_the_label():
    groups = [f"s{number:02d}" for number in np.repeat(np.arange(12), 20)]
    patient = np.repeat([f"p{number}" for number in range(4)], 60)
    positive = np.tile(np.arange(20) < 10, 12)
    positive[patient == "p0"] = np.tile(np.arange(20) < 18, 3)
    positive[patient == "p1"] = np.tile(np.arange(20) < 2, 3)
    nuclei = nuclei_of(groups, positive.tolist())
    nuclei.kept["patient"] = patient
    told = by_acquisition(nuclei, make_splits(nuclei, SPLIT), "patient", seed=0)
    assert score(told, nuclei) > 0.65
    bits, by_chance = mutual_information(nuclei, "patient")
    share = {"p0": 0.9, "p1": 0.1, "p2": 0.5, "p3": 0.5}.values()
    entropy = np.mean([-p * np.log2(p) - (1 - p) * np.log2(1 - p) for p in share])
    assert bits == pytest.approx(1 - entropy)
    assert by_chance == pytest.approx(3 / (2 * 240 * np.log(2)))


def test_of_an_acquisition_that_training_did_not_see_nothing_is_known(clean):
    nuclei = clean[0]
    splits = make_splits(nuclei, SPLIT.model_copy(update={"group": "patient"}))
    told = by_acquisition(nuclei, splits, "patient", seed=0)
    assert set(told.loc[told["part"] == "test", "probability"]) == {0.5}


def test_by_label_pixels_needs_every_nucleus(clean):
    nuclei, _, splits = clean
    counts = nuclei.kept[["nucleus"]].assign(label_px=9 * nuclei.kept["positive"].astype(int))
    told = by_label_pixels(nuclei, splits, counts, seed=0)
    assert score(told, nuclei) == 1
    assert by_label_pixels(nuclei, splits, counts.iloc[1:], seed=0) is None


def test_acquisitions_are_recognised_by_a_trait_of_theirs_only(clean):
    nuclei, features, _ = clean
    rng = np.random.default_rng(0)
    noise = pd.DataFrame({"noise": rng.normal(size=len(features))})
    patient = pd.factorize(nuclei.kept["patient"])[0]
    for table, expected in ((noise, (0.0, 0.2)), (noise.assign(gain=patient), (0.9, 1.0))):
        found = recognised(table, nuclei, "patient", SHORTCUTS)
        right = balanced_accuracy_score(found["true"], found["predicted"])
        assert expected[0] <= right <= expected[1]
    assert slides_are_whole(nuclei, "patient")
    assert not slides_are_whole(nuclei, "slide")


def test_a_slide_stands_on_one_side_where_acquisitions_have_several(clean):
    nuclei = clean[0]
    slide = pd.factorize(nuclei.kept["slide"])[0]
    # What tells slides apart and nothing of their patient: of no use on a slide never seen.
    scrambled = np.random.default_rng(0).permutation(slide.max() + 1)[slide]
    found = recognised(pd.DataFrame({"slide": scrambled}), nuclei, "patient", SHORTCUTS)
    assert (found["true"] == found["predicted"]).mean() < 0.3
    found = recognised(pd.DataFrame({"slide": scrambled}), nuclei, "slide", SHORTCUTS)
    assert (found["true"] == found["predicted"]).mean() > 0.95


def test_each_fold_leaves_out_one_acquisition(clean):
    nuclei = clean[0]
    splits = make_folds(nuclei, leave_one_out(nuclei, SPLIT, SHORTCUTS, NO_PAIRS), NO_PAIRS).table
    tested = splits[splits["part"] == "test"].merge(nuclei.kept[["nucleus", "patient"]])
    assert (tested.groupby("fold")["patient"].nunique() == 1).all()
    assert tested["fold"].nunique() == SIZED.patients


def test_duplicates_bind_acquisitions(clean):
    nuclei = clean[0]
    of = nuclei.kept.groupby("patient")["nucleus"].first()
    pairs = pd.DataFrame({"first": [of.iloc[0]], "second": [of.iloc[1]]})
    assert acquisitions_to_leave_out(nuclei, SHORTCUTS, pairs) == SIZED.patients - 1


def test_acquisitions_that_cannot_be_left_out(clean):
    nuclei, features, _ = clean
    two = nuclei_of(["a"] * 6 + ["b"] * 6, [True, False] * 6)
    with pytest.raises(FathomError, match="each class must stand in 3 of them"):
        leave_one_out(two, SPLIT, SHORTCUTS, NO_PAIRS)
    assert classify_across(features, two, SPLIT, SHORTCUTS, NO_PAIRS, BASELINE) == {}
    coarse = SPLIT.model_copy(update={"group": "patient"})
    by_slide = SHORTCUTS.model_copy(update={"acquisition": "slide"})
    with pytest.raises(FathomError, match=r"is finer than split\.group"):
        leave_one_out(nuclei, coarse, by_slide, NO_PAIRS)


def test_every_table_is_written(sized, tmp_path):
    nuclei, features, splits = sized
    few = features[["area_px", "eccentricity", "grey_mean_level"]]
    counts = pd.DataFrame({"nucleus": pd.Series(dtype=str), "label_px": pd.Series(dtype=int)})
    write_control_classifiers(
        few, nuclei, splits, NO_PAIRS, counts, BASELINE, SPLIT, SHORTCUTS, tmp_path
    )
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")}
    assert names == {
        *(f"{name}.parquet" for name in (*SEES, "shuffled-classifier", "acquisition")),
        *(f"across/{name}.parquet" for name in ("logistic", "svm", "forest")),
        *(f"recognised/{name}.parquet" for name in ("slide", "patient")),
    }
    across = pd.read_parquet(tmp_path / "across" / "logistic.parquet")
    assert score(across, nuclei) > 0.8  # size tells the label in every patient
