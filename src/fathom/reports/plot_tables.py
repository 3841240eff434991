"""The tables behind the pictures, small enough for git: what `dvc plots` draws and compares."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.ground.arrays import Floats
from fathom.ground.csv_file import write_csv
from fathom.ground.errors import FathomError
from fathom.statistics.intervals import Numbers
from fathom.statistics.row_text import failed
from fathom.statistics.scores import Cells, Study
from fathom.study.rows import Run
from fathom.study.trained import HISTORY

FALSE_POSITIVE_RATES = np.linspace(0, 1, 51)
HISTORY_PARTS = ("training", "validation")
MOST_EPOCHS = 100  # of a curve; git keeps these tables


def tables(
    everyone: Mapping[str, Cells],
    study: Study,
    results: Mapping[str, Numbers],
    runs: Mapping[str, Run],
    run_folder: Path,
) -> dict[str, pd.DataFrame]:
    """Return every table by name; histories are read from `run_folder`/<run>/history.parquet."""
    return {
        "curves": curves({name: run_folder / name / HISTORY for name in runs}),
        "depth": depth(results, runs),
        "roc": roc(everyone),
        "confusion": confusion(everyone, study),
    }


def curves(histories: Mapping[str, Path]) -> pd.DataFrame:
    """Return accuracy and loss by epoch of each network of the folds.

    Columns: run, network (its fold and seed), part (training or validation), epoch, accuracy, loss.
    A mean over networks would hide that some learn and some do not. Of more than `MOST_EPOCHS`
    epochs so many are there, evenly spaced, the first and the last among them. The training figures
    are running means over the epoch's batches, with dropout and augmentation, as Keras prints them.
    """
    return pd.concat([_curves(run, path) for run, path in histories.items()], ignore_index=True)


def _curves(run: str, path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FathomError(f"{path} is missing: run 'dvc repro' to make it")
    history = pd.read_parquet(path)
    tables = []
    for (fold, seed), cell in history[history["fold"] >= 0].groupby(["fold", "seed"]):
        kept = spaced_epochs(int(cell["epoch"].max()), MOST_EPOCHS)
        epochs = cell[cell["epoch"].isin(kept)].sort_values("epoch")
        tables += [
            pd.DataFrame(
                {
                    "run": run,
                    "network": f"fold {fold} seed {seed}",
                    "part": part,
                    "epoch": epochs["epoch"],
                    "accuracy": epochs[f"{prefix}_accuracy"],
                    "loss": epochs[f"{prefix}_loss"],
                }
            )
            for part, prefix in zip(HISTORY_PARTS, ("train", "validation"), strict=True)
        ]
    return pd.concat(tables)


def spaced_epochs(last: int, most: int) -> set[int]:
    """Return so many epochs of 1 to `last`, evenly spaced, the first and the last among them."""
    return {int(epoch) for epoch in np.rint(np.linspace(1, last, min(last, most)))}


def depth(results: Mapping[str, Numbers], runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return training and test error by depth, as in figure 1 of He et al. 2015.

    Columns: run, recipe (its interventions), weight_layers, part (training or test), error, low,
    high, failed_networks (of the folds). The error is 1 - balanced accuracy, so .5 is chance.
    """
    rows = [
        {
            "run": name,
            "recipe": " + ".join(run.interventions) or "unchanged",
            "weight_layers": results[name]["weight_layers"],
            "part": part,
            "error": 1 - results[name][measure],
            "low": 1 - results[name][f"{measure}_high"],
            "high": 1 - results[name][f"{measure}_low"],
            "failed_networks": failed(results[name]),
        }
        for name, run in runs.items()
        for part, measure in (("training", "training_accuracy"), ("test", "balanced_accuracy"))
    ]
    return pd.DataFrame(rows)


def roc(everyone: Mapping[str, Cells]) -> pd.DataFrame:
    """Return each run's ROC curve: run, part (test), false_positive_rate, true_positive_rate.

    Curves of cells are averaged at equal false positive rates, weighted by their pairs of a
    positive and a negative nucleus. So the area is the AUROC that is reported, up to the grid.
    """
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "run": name,
                    "part": "test",
                    "false_positive_rate": FALSE_POSITIVE_RATES,
                    "true_positive_rate": _roc(cells),
                }
            )
            for name, cells in everyone.items()
        ],
        ignore_index=True,
    )


def _roc(cells: Cells) -> Floats:
    curves, pairs = [], []
    for test in (cell.test for cell in cells):
        values, place = np.unique(-test.probability, return_inverse=True)
        found = np.cumsum(np.bincount(place, test.positive, len(values)))
        mistaken = np.cumsum(np.bincount(place, ~test.positive, len(values)))
        x, y = np.r_[0, mistaken] / mistaken[-1], np.r_[0, found] / found[-1]
        curves.append(np.interp(FALSE_POSITIVE_RATES, x, y))
        pairs.append(found[-1] * mistaken[-1])
    return np.asarray(np.average(curves, axis=0, weights=pairs), dtype=np.float64)


def confusion(everyone: Mapping[str, Cells], study: Study) -> pd.DataFrame:
    """Return decisions on the test nuclei, each cell's at its own threshold.

    Columns: run, actual, predicted, nuclei (the mean over seeds), share (of the actual class).
    """
    negative, positive = study.classes
    rows = []
    for name, cells in everyone.items():
        counts = np.sum(
            [cell.test.counts(cell.threshold, study.groups) for cell in cells], axis=(0, 1)
        )
        seeds = counts.sum() / len(study.nucleus)
        found, missed, rejected, mistaken = counts / seeds
        for actual, predicted, nuclei, of in (
            (positive, positive, found, found + missed),
            (positive, negative, missed, found + missed),
            (negative, positive, mistaken, rejected + mistaken),
            (negative, negative, rejected, rejected + mistaken),
        ):
            rows.append((name, actual, predicted, nuclei, nuclei / of))
    return pd.DataFrame(rows, columns=["run", "actual", "predicted", "nuclei", "share"])


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as <name>.csv, floats with 6 decimals."""
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table.round(6))
