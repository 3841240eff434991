"""A run: its architecture under its recipe, over all folds and seeds, and one final model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from fathom.architecture import check_fits, parse
from fathom.cells import checkpoints_of, train_cells
from fathom.checkpoint import forget_old
from fathom.nuclei import Nuclei
from fathom.output import write_table, written_whole
from fathom.params import Recipe
from fathom.splits import FINAL, PARTS, part_rows
from fathom.training import Cell, Epoch, Trained

PREDICTIONS, HISTORY, WEIGHTS = "predictions.parquet", "history.parquet", "final.safetensors"


def cells_of(
    run: str, line: str, recipe: Recipe, nuclei: Nuclei, splits: pd.DataFrame
) -> list[Cell]:
    """Return the cells of a run: the final model's, with the first seed, then each fold and seed.

    The final model has the most nuclei to train on: it starts first, so that no core is idle long.
    """
    folds = sorted(set(splits["fold"].tolist()) - {FINAL})
    cells = []
    for fold, seed in [(FINAL, recipe.seeds[0]), *((f, s) for f in folds for s in recipe.seeds)]:
        parts = PARTS[:2] if fold == FINAL else PARTS
        rows = {part: part_rows(nuclei, splits, fold, part) for part in parts}
        cells.append(Cell(run, fold, seed, line, recipe, rows))
    return cells


def train_run(cells: Sequence[Cell], nuclei: Nuclei, checkpoints: Path, out: Path) -> None:
    """Train all cells of a run (`cells_of`); write predictions, history and the final weights.

    Predictions: nucleus, fold, seed, part, probability of the positive class (see `Trained`).
    History: fold, seed and the fields of `Epoch`. Weights: the final model's, a state dict of
    `fathom.network.build`. All are written when the last cell is done, and only then are the
    checkpoints deleted. Raises `FathomError` before any training where the architecture does not
    fit the crops.
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
    final = next(one for cell, one in zip(cells, trained, strict=True) if cell.fold == FINAL)
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
