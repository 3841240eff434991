"""A run: its architecture under its recipe, over all folds and seeds, and one final model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from fathom.imaging.nuclei import Nuclei
from fathom.networks.architecture import check_fits, parse
from fathom.output import write_table, written_whole
from fathom.params.recipe import Probes
from fathom.splitting.splits import FINAL, PARTS, part_rows
from fathom.training.batches import fewer
from fathom.training.cell import Cell, Epoch, Trained
from fathom.training.cells import checkpoints_of, train_cells
from fathom.training.checkpoint import forget_old
from fathom.training.interventions import Plan
from fathom.training.probing import COLUMNS

PREDICTIONS, HISTORY, PROBES = "predictions.parquet", "history.parquet", "probes.parquet"
WEIGHTS = "final.safetensors"


def cells_of(
    run: str, plan: Plan, probes: Probes, nuclei: Nuclei, splits: pd.DataFrame, *, final: bool
) -> list[Cell]:
    """Return the cells of a run, one a fold and seed, each probed.

    With `final` there is the final model's before them, of the first seed. It has the most nuclei
    to train on: it starts first, so that no core is idle long.
    """
    recipe = plan.recipe
    targets = nuclei.kept["positive"].to_numpy(dtype=np.bool_)
    folds = sorted(set(splits["fold"].tolist()) - {FINAL})
    units = [(FINAL, recipe.seeds[0])] if final else []
    units += [(fold, seed) for fold in folds for seed in recipe.seeds]
    cells = []
    for fold, seed in units:
        parts = PARTS[:2] if fold == FINAL else PARTS
        rows = {part: part_rows(nuclei, splits, fold, part) for part in parts}
        rows["train"] = fewer(rows["train"], targets, recipe, seed)
        cells.append(
            Cell(run, fold, seed, plan.line, recipe, rows, None if fold == FINAL else probes)
        )
    return cells


def train_run(cells: Sequence[Cell], nuclei: Nuclei, checkpoints: Path, out: Path) -> None:
    """Train all cells of a run (`cells_of`); write predictions, history, probes and weights.

    Predictions: nucleus, fold, seed, part, probability of the positive class (see `Trained`).
    History: fold, seed and the fields of `Epoch`. Probes: fold, seed and
    `fathom.training.probing.COLUMNS`. Weights: a state dict of `fathom.networks.network.build`, if
    there is a final model among the cells. All are written when the last cell is done, and only
    then are the checkpoints deleted. Raises `FathomError` before any training where the
    architecture does not fit the crops.
    """
    crops = nuclei.crops()
    check_fits(parse(cells[0].line), crops.shape[1])
    targets = nuclei.kept["positive"].to_numpy(dtype=np.bool_)
    forget_old(checkpoints)
    resumable = checkpoints_of(cells, crops, targets, checkpoints)
    trained = train_cells(cells, crops, targets, resumable)
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS, _predictions(cells, trained, nuclei))
    write_table(out / HISTORY, _history(cells, trained))
    write_table(out / PROBES, _probes(cells, trained))
    for final in (one for cell, one in zip(cells, trained, strict=True) if cell.fold == FINAL):
        with written_whole(out / WEIGHTS) as part:
            save_file({name: weight.contiguous() for name, weight in final.weights.items()}, part)
    for checkpoint in resumable:
        checkpoint.remove()


def _predictions(cells: Sequence[Cell], trained: Sequence[Trained], nuclei: Nuclei) -> pd.DataFrame:
    names = nuclei.kept["nucleus"].to_numpy()
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "nucleus": names[cell.rows[part]],
                    "fold": cell.fold,
                    "seed": cell.seed,
                    "part": part,
                    "probability": one.probabilities[part],
                }
            )
            for cell, one in zip(cells, trained, strict=True)
            for part in cell.rows
        ],
        ignore_index=True,
    )


def _history(cells: Sequence[Cell], trained: Sequence[Trained]) -> pd.DataFrame:
    tables = [
        pd.DataFrame(one.history, columns=Epoch._fields).assign(fold=cell.fold, seed=cell.seed)
        for cell, one in zip(cells, trained, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)[["fold", "seed", *Epoch._fields]]


def _probes(cells: Sequence[Cell], trained: Sequence[Trained]) -> pd.DataFrame:
    tables = [
        pd.DataFrame(one.probes, columns=COLUMNS).assign(fold=cell.fold, seed=cell.seed)
        for cell, one in zip(cells, trained, strict=True)
        if cell.probes
    ]
    return pd.concat(tables, ignore_index=True)[["fold", "seed", *COLUMNS]]
