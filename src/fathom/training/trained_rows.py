"""A run: its architecture under its recipe, over all folds and seeds, and one final model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from fathom.ground.numerics import Numerics
from fathom.ground.output import write_table, written_whole
from fathom.ground.streams import Streams
from fathom.networks.architecture import check_fits, parse
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL, PARTS, part_rows
from fathom.study.trained import HISTORY, PREDICTIONS, PROBE_COLUMNS, PROBES, WEIGHTS
from fathom.training.batches import fewer
from fathom.training.cell import Cell, Epoch, Shown, Trained
from fathom.training.pool import train_cells
from fathom.training.store import Store


def cells_of(
    run: str, plan: Plan, probes: Probes, nuclei: Nuclei, splits: pd.DataFrame, *, final: bool
) -> list[Cell]:
    """Return the cells of a run, one a fold and seed, each probed.

    With `final` there is the final model's before them, of the first seed. Raises `FathomError`
    where the architecture does not fit the crops.
    """
    recipe = plan.recipe
    check_fits(parse(plan.line), nuclei.crop_px)
    targets = nuclei.kept["positive"].to_numpy(dtype=np.bool_)
    folds = sorted(set(splits["fold"].tolist()) - {FINAL})
    units = [(FINAL, recipe.seeds[0])] if final else []
    units += [(fold, seed) for fold in folds for seed in recipe.seeds]
    cells = []
    for fold, seed in units:
        parts = PARTS[:2] if fold == FINAL else PARTS
        rows = {part: part_rows(nuclei, splits, fold, part) for part in parts}
        drawn = Streams(seed, fold).generator("nuclei")
        rows["train"] = fewer(rows["train"], targets, recipe, drawn)
        cells.append(
            Cell(run, fold, seed, plan.line, recipe, rows, None if fold == FINAL else probes)
        )
    return cells


def train_rows(
    rows: Mapping[Path, tuple[Sequence[Cell], Nuclei]], numerics: Numerics, cells: Path
) -> None:
    """Train the cells of all rows (`cells_of`) in one pool; write what a row left to its folder.

    What the store in the folder `cells` holds is not trained again. Predictions: nucleus, fold,
    seed, part, probability of the positive class (see `Trained`). History: fold, seed and the
    fields of `Epoch`. Probes: fold, seed and `fathom.study.trained.PROBE_COLUMNS`. Weights: a
    state dict of `fathom.networks.network.build`, if there is a final model among the cells. All
    are written when the last cell is done.
    """
    store = Store(cells)
    store.forget_unfinished()
    different = {id(nuclei): nuclei for _, nuclei in rows.values()}
    shown = {name: _shown(nuclei) for name, nuclei in different.items()}
    work = [(cell, shown[id(nuclei)]) for row, nuclei in rows.values() for cell in row]
    trained = iter(train_cells(work, numerics, store))
    for out, (row, nuclei) in rows.items():
        _write_row(row, [next(trained) for _ in row], nuclei, out)


def _shown(nuclei: Nuclei) -> Shown:
    return Shown(nuclei.crops(), nuclei.kept["positive"].to_numpy(dtype=np.bool_))


def _write_row(
    cells: Sequence[Cell], trained: Sequence[Trained], nuclei: Nuclei, out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / PREDICTIONS, _predictions(cells, trained, nuclei))
    write_table(out / HISTORY, _history(cells, trained))
    write_table(out / PROBES, _probes(cells, trained))
    for final in (one for cell, one in zip(cells, trained, strict=True) if cell.fold == FINAL):
        with written_whole(out / WEIGHTS) as part:
            save_file(final.weights, part)


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
        pd.DataFrame(one.probes, columns=PROBE_COLUMNS).assign(fold=cell.fold, seed=cell.seed)
        for cell, one in zip(cells, trained, strict=True)
        if cell.probes
    ]
    return pd.concat(tables, ignore_index=True)[["fold", "seed", *PROBE_COLUMNS]]
