import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import simulated_runs as simulated
from PIL import Image

from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.reports import plot_tables, plots
from fathom.statistics.comparison import compare
from fathom.statistics.scores import ScoredCell, Scores, read_cells
from fathom.study.rows import Run

RUNS = {name: Run.model_validate(run) for name, run in simulated.RUNS.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return tables and results of the simulated study."""
    folder = tmp_path_factory.mktemp("runs")
    simulated.write_project(folder)
    study = simulated.study()
    files = {run: folder / "runs" / run / "predictions.parquet" for run in RUNS}
    files |= {
        f"baseline-{name}": folder / "baseline" / f"{name}.parquet"
        for name in simulated.CLASSIFIERS
    }
    everyone = {name: read_cells(file, study) for name, file in files.items()}
    results = compare(
        everyone, study, {"shallow": 2, "deep": 5, "deep-normed": 5}, simulated.PARAMS
    )
    return plot_tables.tables(everyone, study, results, RUNS, folder / "runs"), results


def testpictures_are_readable_and_the_same_bytes_twice(made, tmp_path):
    tables, results = made
    for folder in ("one", "two"):
        plots.draw_all(tables, results, 0.95, tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["confusion.png", "curves.png", "depth.png", "results.png", "roc.png"]
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        picture = Image.open(io.BytesIO(content))
        assert picture.width == 1200
        assert "Software" not in picture.info
        assert np.asarray(picture.convert("L")).std() > 5


def test_the_users_own_style_changes_nothing_and_is_left_alone(made, tmp_path):
    _, results = made
    plots.draw_results(results, 0.95, tmp_path / "plain.png")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        plots.draw_results(results, 0.95, tmp_path / "styled.png")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


@pytest.mark.parametrize("runs", [1, 7])
def test_one_run_and_many_runs_can_be_drawn(made, tmp_path, runs):
    tables, results = made
    names = [f"a-network-of-a-long-name-{number}" for number in range(runs)]
    many = {
        kind: pd.concat([table[table["run"] == "shallow"].assign(run=name) for name in names])
        for kind, table in tables.items()
    }
    plots.draw_all(many, dict.fromkeys(names, results["shallow"]), 0.95, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_every_network_has_a_curve_of_its_own(made):
    curves = made[0]["curves"]
    rows = curves.query("run == 'deep' and part == 'training' and epoch == 2")
    # folds 0, 1 and 2 of the simulated history; the final model's fold is not shown
    assert list(rows["network"]) == [f"fold {fold} seed 0" for fold in range(3)]
    assert rows["accuracy"].to_numpy() == pytest.approx([0.60, 0.61, 0.62])
    assert rows["loss"].to_numpy() == pytest.approx(0.6)
    assert len(curves) == len(RUNS) * 3 * 2 * 4


def test_of_many_epochs_a_hundred_are_kept_the_first_and_the_last_among_them(tmp_path):
    epochs = range(1, 301)
    history = pd.DataFrame({"fold": 0, "seed": 1, "epoch": epochs})
    for part in ("train", "validation"):
        history[f"{part}_accuracy"] = 0.5
        history[f"{part}_loss"] = [1 / epoch for epoch in epochs]
    write_table(tmp_path / "history.parquet", history)
    curves = plot_tables.curves({"deep": tmp_path / "history.parquet"})
    training = curves[curves["part"] == "training"]
    assert len(training) == 100
    assert list(training["epoch"].iloc[[0, -1]]) == [1, 300]
    assert training["loss"].to_numpy() == pytest.approx(1 / training["epoch"].to_numpy())


def test_errors_by_depth_mirror_the_results(made):
    tables, results = made
    depth = tables["depth"].set_index(["run", "part"])
    assert depth.loc[("deep-normed", "test"), "recipe"] == "batchnorm"
    assert depth.loc[("shallow", "test"), "recipe"] == "unchanged"
    for (run, part), row in depth.iterrows():
        measure = "training_accuracy" if part == "training" else "balanced_accuracy"
        assert row["error"] == pytest.approx(1 - results[run][measure])
        assert row["low"] <= row["error"] <= row["high"]
        assert row["failed_networks"] == results[run]["constant_cells"]


def test_the_area_under_each_curve_is_the_reported_auroc(made):
    tables, results = made
    for run, curve in tables["roc"].groupby("run"):
        x, y = curve["false_positive_rate"], curve["true_positive_rate"]
        assert np.trapezoid(y, x) == pytest.approx(results[run]["auroc"], abs=0.015)
        assert (np.diff(y) >= 0).all()


def test_confusion_counts_every_test_nucleus_once(made):
    tables, results = made
    for run, square in tables["confusion"].groupby("run"):
        assert square["nuclei"].sum() == results[run]["nuclei"]
        shares = square.set_index(["actual", "predicted"])["share"]
        assert shares["ill", "ill"] == pytest.approx(results[run]["sensitivity"])
        assert shares["well", "well"] == pytest.approx(results[run]["specificity"])
        assert shares.groupby("actual").sum().tolist() == pytest.approx([1, 1])


def test_a_cell_counts_in_the_roc_curve_by_its_pairs():
    def cell(probability, positive):
        group = np.zeros(len(positive), dtype=np.int64)
        scores = Scores(np.asarray(probability), np.asarray(positive), group, constant=False)
        return ScoredCell(scores, scores, scores, 0.5, fold=0, seed=0)

    right = cell([0.9] * 20 + [0.1] * 20, [True] * 20 + [False] * 20)
    wrong = cell([0.1, 0.1, 0.9, 0.9], [True, True, False, False])
    curve = plot_tables.roc({"deep": (right, wrong)})
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(400 / 404, abs=1e-3)


def test_confusion_is_the_mean_of_seeds(tmp_path):
    study = simulated.study()
    table = simulated.predictions(study, 1.0, seeds=(0, 1))
    write_table(tmp_path / "predictions.parquet", table)
    square = plot_tables.confusion(
        {"deep": read_cells(tmp_path / "predictions.parquet", study)}, study
    )
    assert square["nuclei"].sum() == len(study.nucleus)
    assert square.loc[square["actual"] == "ill", "nuclei"].sum() == study.positive.sum()


def test_tables_are_written_in_full_and_the_same_bytes(made, tmp_path):
    tables, _ = made
    for folder in ("one", "two"):
        plot_tables.write_tables(tmp_path / folder, tables)
    for name, table in tables.items():
        content = (tmp_path / "one" / f"{name}.csv").read_bytes()
        assert content == (tmp_path / "two" / f"{name}.csv").read_bytes()
        assert len(pd.read_csv(io.BytesIO(content))) == len(table)


def test_a_missing_history_is_a_sentence(tmp_path):
    with pytest.raises(FathomError, match=r"history\.parquet is missing"):
        plot_tables.curves({"deep": tmp_path / "history.parquet"})
