"""The controls' numbers against scikit-learn and by hand, on prediction paths that are drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import simulated_runs as simulated
from sklearn.metrics import balanced_accuracy_score

from fathom.controls.catalogue import (
    ACROSS,
    CLASSIFIER_CONTROLS,
    LABEL_PIXELS,
    RECOGNISED,
    reference_of,
)
from fathom.controls.control_scores import batch_effect, label_leak, label_strata, recognition
from fathom.controls.controls import PREDICTIONS, PredictionPaths, Rows, score_controls
from fathom.controls.params import Shortcuts
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.statistics.intervals import design_of, leave_out
from fathom.statistics.measures import stratified
from fathom.statistics.metrics import balanced_accuracy
from fathom.statistics.scores import read_cells
from fathom.study.rows import Run
from fathom.study.trained import HISTORY

STUDY = simulated.study(groups=9)
DESIGN = design_of(STUDY.positive, STUDY.group, STUDY.groups)
THREE = (STUDY.group // 3).astype(np.int64)  # three acquisitions of three groups
SHORTCUTS = Shortcuts(acquisition="patient", least_label_px=5, folds=3, trees=10, seed=0)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a prediction table as cells of a study."""

    def as_cells(table, study=STUDY):
        write_table(tmp_path / "predictions.parquet", table)
        return read_cells(tmp_path / "predictions.parquet", study)

    return as_cells


def decisions(cells, table):
    """Return the test nuclei of a table with each one's decision at its fold's threshold."""
    threshold = {cell.fold: cell.threshold for cell in cells}
    test = table[(table["part"] == "test") & (table["fold"] >= 0)]
    return test.assign(
        decision=test["probability"] >= test["fold"].map(threshold),
        place=STUDY.nucleus.get_indexer(pd.Index(test["nucleus"])),
    )


def score(rows):
    return balanced_accuracy_score(STUDY.positive[rows["place"]], rows["decision"])


def test_strata_count_what_scikit_learn_counts(read):
    table = simulated.predictions(STUDY, 0.5)
    strata = stratified(STUDY, THREE)
    cells = read(table, strata.study)
    made = decisions(cells, table)
    weights = leave_out(DESIGN)
    for number in range(3):
        here = made[THREE[made["place"]] == number]
        found = balanced_accuracy(strata.counts(cells, weights, np.arange(3) == number))
        assert found[0] == pytest.approx(score(here))
        for group in range(STUDY.groups):  # left out of every stratum
            rest = here[STUDY.group[here["place"]] != group]
            assert found[1 + group] == pytest.approx(score(rest))


def test_a_stratum_may_cut_through_groups(read):
    table = simulated.predictions(STUDY, 0.5)
    cut = (np.arange(len(STUDY.nucleus)) % 2).astype(np.int64)
    strata = stratified(STUDY, cut)
    cells = read(table, strata.study)
    made = decisions(cells, table)
    both = np.array([True, True])
    for mask, here in ((np.array([True, False]), made[cut[made["place"]] == 0]), (both, made)):
        found = balanced_accuracy(strata.counts(cells, leave_out(DESIGN), mask))[0]
        assert found == pytest.approx(score(here))


def test_within_an_acquisition_its_share_of_the_label_is_worth_nothing(read):
    # Acquisition 0 mostly negative, 2 mostly positive; everyone is given its acquisition's share.
    rank = np.arange(len(STUDY.nucleus)) % 12
    positive = rank < np.array([2, 6, 10])[THREE]
    study = replace(STUDY, positive=positive)
    table = simulated.predictions(study, 1.0)
    place = study.nucleus.get_indexer(pd.Index(table["nucleus"]))
    table["probability"] = np.array([0.1, 0.5, 0.9])[THREE[place]]
    strata = stratified(study, THREE)
    cells = read(table, strata.study)
    design = design_of(study.positive, study.group, study.groups)
    numbers = batch_effect({"shares": cells}, {}, strata, design, 0.95)
    assert numbers["batch.shares.default"] > 0.65
    assert numbers["batch.shares.within"] == pytest.approx(0.5)
    assert "batch.shares.across" not in numbers


def test_the_loss_on_a_new_acquisition_is_paired(read):
    strata = stratified(STUDY, THREE)
    table = simulated.predictions(STUDY, 2.0)
    cells = read(table, strata.study)
    same = batch_effect({"a": cells}, {"a": cells}, strata, DESIGN, 0.95)
    assert same["batch.a.loss"] == same["batch.a.loss_low"] == same["batch.a.loss_high"] == 0
    worse = read(simulated.predictions(STUDY, 0.0), strata.study)
    numbers = batch_effect({"a": cells}, {"a": worse}, strata, DESIGN, 0.95)
    assert numbers["batch.a.across"] == pytest.approx(0.5)
    assert numbers["batch.a.loss"] == pytest.approx(0.5 - numbers["batch.a.default"])
    assert numbers["batch.a.loss_high"] < 0


def test_a_leak_is_what_is_lost_without_the_nuclei_that_show_their_label(read):
    rng = np.random.default_rng(0)
    shown = STUDY.positive & (rng.random(len(STUDY.nucleus)) < 0.5)
    counts = pd.DataFrame({"nucleus": STUDY.nucleus, "label_px": np.where(shown, 9, 2)})
    strata, numbers = label_strata(counts, STUDY, least_px=5)
    assert numbers["label_pixels.nuclei"] == len(STUDY.nucleus)
    assert numbers["label_pixels.positive"] == pytest.approx(shown[STUDY.positive].mean())
    assert numbers["label_pixels.negative"] == 0
    table = simulated.predictions(STUDY, 0.0)
    place = STUDY.nucleus.get_indexer(pd.Index(table["nucleus"]))
    noise = rng.random(len(table)) / 2
    table["probability"] = np.where(shown[place], 0.9, noise)  # finds the shown ones alone
    cells = read(table, strata.study)
    found = label_leak({"a": cells}, strata, DESIGN, 0.95)
    made = decisions(cells, table)
    without = made[~shown[made["place"]]]
    assert found["label.a.all"] == pytest.approx(score(made))
    assert found["label.a.without"] == pytest.approx(score(without))
    assert found["label.a.leak_low"] > 0
    assert found["label.a.sensitivity_shown"] == 1
    assert found["label.a.sensitivity_not_shown"] < 0.8


def test_nuclei_without_a_label_mask_are_left_out():
    counts = pd.DataFrame({"nucleus": STUDY.nucleus[:24], "label_px": 9})
    strata, numbers = label_strata(counts, STUDY, least_px=5)
    assert numbers["label_pixels.nuclei"] == 24
    assert set(strata.stratum[np.isin(strata.group, [0, 1])]) == {1}
    assert set(strata.stratum[~np.isin(strata.group, [0, 1])]) == {2}
    assert label_strata(counts.iloc[:0], STUDY, 5)[1] == {"label_pixels.nuclei": 0}


def test_recognition_is_a_balanced_accuracy():
    rng = np.random.default_rng(0)
    true = np.array(["a", "b", "c"])[THREE]
    predicted = np.where(rng.random(len(true)) < 0.6, true, "b")
    table = pd.DataFrame({"nucleus": STUDY.nucleus, "true": true, "predicted": predicted})
    found = recognition(table, STUDY, DESIGN, 0.95, "patient")
    assert found["patient.recognised"] == pytest.approx(balanced_accuracy_score(true, predicted))
    assert found["patient.chance"] == pytest.approx(1 / 3)
    assert found["patient.number"] == 3
    low, high = found["patient.recognised_low"], found["patient.recognised_high"]
    assert low < found["patient.recognised"] < high


def test_who_a_control_is_held_against():
    runs = {name: Run.model_validate(run) for name, run in simulated.RUNS.items()}
    controls = {"silhouette": Run(architecture="large", interventions={})}
    assert reference_of("silhouette", controls, runs, "svm") == "deep"
    assert reference_of("size", controls, runs, "svm") == "baseline-svm"
    other = {"silhouette": Run(architecture="none of them", interventions={})}
    assert reference_of("silhouette", other, runs, "svm") == "shallow"


@pytest.fixture
def project(tmp_path):
    """Return the paths of a study in which size tells the label and background does not."""
    simulated.write_project(tmp_path)
    effects = dict.fromkeys(CLASSIFIER_CONTROLS, 0.0) | {"size": 2.0}
    for name, effect in effects.items():
        table = simulated.predictions(STUDY, effect)
        write_table(tmp_path / "classifiers" / f"{name}.parquet", table)
    for name, effect in {"silhouette": 1.0, "background": 0.0}.items():
        table = simulated.predictions(STUDY, effect)
        write_table(tmp_path / "control_runs" / name / PREDICTIONS, table)
        write_table(tmp_path / "control_runs" / name / HISTORY, simulated.history())
    predicted = pd.DataFrame({"nucleus": STUDY.nucleus, "true": THREE.astype(str)})
    write_table(
        tmp_path / "classifiers" / RECOGNISED / "patient.parquet",
        predicted.assign(predicted=predicted["true"]),
    )
    across = simulated.predictions(STUDY, 0.1)
    write_table(tmp_path / "classifiers" / ACROSS / "forest.parquet", across)
    empty = pd.DataFrame({"nucleus": pd.Series(dtype=str), "label_px": pd.Series(dtype=int)})
    write_table(tmp_path / "label_pixels.parquet", empty)
    return tmp_path


def rows_of(*controls):
    runs = {name: Run.model_validate(run) for name, run in simulated.RUNS.items()}
    return Rows(runs, {name: Run(architecture="small", interventions={}) for name in controls})


def scored(folder):
    paths = PredictionPaths(
        folder / "runs",
        folder / "baseline",
        folder / "control_runs",
        folder / "classifiers",
        folder / "label_pixels.parquet",
    )
    rows = rows_of("silhouette", "background")
    return score_controls(simulated.nuclei(), "slide", rows, paths, simulated.PARAMS, SHORTCUTS)


def test_all_numbers_of_a_study(project):
    numbers = scored(project)
    assert numbers["size.balanced_accuracy_low"] > 0.5
    assert numbers["background.balanced_accuracy"] == pytest.approx(0.5)
    # The silhouette is scored as the shallow run is: the paths are drawn alike.
    assert numbers["silhouette.beyond"] == numbers["silhouette.beyond_high"] == 0
    assert numbers["background.beyond_low"] > 0
    assert "batch.baseline-forest.across" in numbers
    assert "batch.baseline-svm.across" not in numbers
    assert "batch.shallow.within" in numbers
    assert numbers["patient.recognised"] == 1
    assert numbers["label_pixels.nuclei"] == 0
    assert not any(key.startswith((f"{LABEL_PIXELS}.", "label.")) for key in numbers)
    assert all(np.isfinite(list(numbers.values())))
    # An effect of 0 is one answer for all.
    constant = {key: n for key, n in numbers.items() if key.endswith("constant_cells") and n}
    assert set(constant) <= {
        "background.constant_cells",
        *(f"{name}.constant_cells" for name in CLASSIFIER_CONTROLS),
    }
    assert numbers["silhouette.cells"] == simulated.FOLDS
    assert numbers["silhouette.diverged_cells"] == 0


def test_a_control_that_nothing_writes_crops_for_is_refused():
    with pytest.raises(FathomError, match=r"'controls\.nonsense' is not one of silhouette"):
        rows_of("nonsense")
