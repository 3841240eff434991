"""What became of every network that was trained, small enough for git: a line a network or layer.

Rows are those of `runs` and those that the ladders trained. Where a ladder grew a run, its tables
hold all of that run's networks, and are the ones that are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.diagnosis.evidence import Evidence
from fathom.ground.arrays import Floats
from fathom.reports.layer_plots import layers_of
from fathom.reports.plot_tables import spaced_epochs
from fathom.statistics.metrics import wilson_interval
from fathom.statistics.scores import Cells
from fathom.study.trained import HISTORY

MOST_EPOCHS = 40  # of a curve: as many points as can be told apart in a picture of this width
BINS = 10  # of predicted probability, of equal width


@dataclass(frozen=True)
class Row:
    """A row of params.yaml or of a ladder: where its tables are, and what they came to."""

    folder: Path
    evidence: Evidence
    probes: pd.DataFrame


def networks(rows: Mapping[str, Row]) -> pd.DataFrame:
    """Return a line a network: run, fold, seed, epochs, left_at, constant.

    `left_at` is the epoch at which it had left the plateau, missing where it never did; `constant`
    is 1 where it gives every nucleus of its validation part the same answer.
    """
    lines = [
        {
            "run": name,
            "fold": cell.fold,
            "seed": cell.seed,
            "epochs": len(cell.losses),
            "left_at": left,
            "constant": int(cell.constant),
        }
        for name, row in rows.items()
        for cell, left in zip(row.evidence.by_seed_and_fold, row.evidence.left_at, strict=True)
    ]
    columns = ["run", "fold", "seed", "epochs", "left_at", "constant"]
    return pd.DataFrame(lines, columns=columns).astype({"left_at": "Int64"})


def curves(rows: Mapping[str, Row]) -> pd.DataFrame:
    """Return a line a network and epoch: run, fold, seed, epoch, loss, validation.

    `loss` is the running training loss in nats, `validation` the accuracy on the validation part.
    Of long trainings `MOST_EPOCHS` evenly spaced epochs are kept, the first and last among them.
    """
    tables = []
    for name, row in rows.items():
        history = pd.read_parquet(row.folder / HISTORY)
        kept = spaced_epochs(int(history["epoch"].max()), MOST_EPOCHS)
        history = history[(history["fold"] >= 0) & history["epoch"].isin(kept)]
        chosen = history.sort_values(["seed", "fold", "epoch"]).assign(run=name)
        tables.append(chosen.rename(columns={"train_loss": "loss"}))
    table = pd.concat(tables, ignore_index=True)
    table["validation"] = table["validation_accuracy"]
    return table[["run", "fold", "seed", "epoch", "loss", "validation"]].round(4)


def layers(rows: Mapping[str, Row]) -> pd.DataFrame:
    """Return a line a row and layer: run, place, layer, start, end, readability.

    `start` and `end` are the standard deviation between nuclei of the layer's pre-activations,
    before the first step and after the last; medians over networks (`layers_of`).
    """
    tables = []
    for name, row in rows.items():
        table = layers_of(row.probes).reset_index()
        called = row.probes.drop_duplicates("place").set_index("place")["layer"]
        tables.append(table.assign(run=name, layer=table["place"].map(called)))
    columns = ["run", "place", "layer", "start", "end", "readability"]
    table = pd.concat(tables, ignore_index=True)[columns]
    for column in columns[3:]:
        table[column] = [float(f"{value:.4g}") for value in table[column]]
    return table


def calibration(everyone: Mapping[str, Cells], confidence: float) -> pd.DataFrame:
    """Return how often nuclei are positive, by the probability that they were given.

    Columns: run, predicted (the mean probability of the bin), observed (the share that is
    positive), low, high (by Wilson, nuclei taken as independent), nuclei. Test parts, all folds
    and seeds; bins of one tenth, empty ones left out.
    """
    return pd.DataFrame(
        [
            {"run": name, **line}
            for name, cells in everyone.items()
            for line in _bins(
                np.concatenate([cell.test.probability for cell in cells]),
                np.concatenate([cell.test.positive for cell in cells]).astype(np.float64),
                confidence,
            )
        ]
    ).round(4)


def _bins(probability: Floats, positive: Floats, confidence: float) -> list[dict[str, float]]:
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    lines = []
    for number in np.unique(place):
        here = place == number
        found, nuclei = int(positive[here].sum()), int(here.sum())
        low, high = wilson_interval(found, nuclei, confidence)
        lines.append(
            {
                "predicted": float(probability[here].mean()),
                "observed": found / nuclei,
                "low": low,
                "high": high,
                "nuclei": nuclei,
            }
        )
    return lines
