"""Training error by depth, with and without skips, as figures 1 and 6 of He et al. 2015.

    python benchmarks/degradation.py [--real] [--norm batch none] [--out docs/degradation.csv]

plain-20, plain-56, res-20 and res-56 with 8, 16 and 32 filters, the first convolution with stride
2, under the default recipe with He initialisation and without dropout, with batch normalisation as
in the paper unless told otherwise. 3 folds of whole patients. The interval is Student's over the
folds.

On SIMULATED nuclei (docs/simulator.md), or with --real on nuclei of the default data, 50 from each
of 12 slides, a slide standing for a patient: labels drawn at random, the texture of the positive
ones changed by half a nucleus' SD (`studied_nuclei`).
"""

import fathom.ground.stage  # noqa: F401  first: it chooses the instruction sets  # isort: skip

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from planted_cases import halved
from scipy import stats
from studied_nuclei import PARAMS, PATIENTS, Nuclei, are_there, studied

from fathom.ground.section import read_section
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.families import cifar_family
from fathom.networks.recipe import Probes, Recipe
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.cell import Cell, Shown
from fathom.training.pool import train_cells
from fathom.training.store import Store

FOLDS = 3
WIDTH = 8
RECIPE = {"initialisation": "he", "dropout": 0.0, "batch_size": 32}


def cells_of(patient, epochs: int, norms: list[str]) -> list[Cell]:
    """Return a cell for each norm, depth, kind and fold."""
    cells = []
    for norm in norms:
        recipe = read_section(Recipe, PARAMS).changed(
            RECIPE | {"norm": norm, "epochs": epochs}, "degradation"
        )
        for depth in (20, 56):
            for residual in (False, True):
                line = halved(cifar_family(depth, WIDTH, residual=residual))
                name = f"{'res' if residual else 'plain'}-{depth}, norm {norm}"
                for fold in range(FOLDS):
                    validation = np.flatnonzero(patient % FOLDS == fold)
                    train = np.flatnonzero(patient % FOLDS != fold)
                    rows = {"train": train, "validation": validation}
                    probes = Probes(crops=64, epochs=())
                    cells.append(Cell(name, fold, 0, line, recipe, rows, probes))
    return cells


def interval(values) -> str:
    """Return the mean with Student's 95 % interval."""
    mean, error = np.mean(values), stats.sem(values)
    reach = stats.t.ppf(0.975, len(values) - 1) * error
    return f"{mean:.3f} [{mean - reach:.3f}, {mean + reach:.3f}]"


def main() -> None:
    """Train all networks and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuclei", type=int, default=600)
    parser.add_argument("--real", action="store_true", help="nuclei of the default data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--norm", nargs="+", default=["batch"], choices=["batch", "group", "none"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    each = arguments.nuclei // PATIENTS
    asked = Nuclei(arguments.real, per_patient=each, separation=3.0, strength=0.5)
    if not are_there(asked):
        parser.error("data/nuclei is absent: `dvc repro crop` makes it")
    nuclei = studied(asked, seed=0)
    positive = nuclei.positive
    cells = cells_of(nuclei.patient, arguments.epochs, arguments.norm)
    with tempfile.TemporaryDirectory() as folder:
        shown = Shown(nuclei.crops, positive)
        trained = train_cells([(cell, shown) for cell in cells], "portable", Store(Path(folder)))
    rows = []
    for cell, one in zip(cells, trained, strict=True):
        truth = positive[cell.rows["validation"]]
        last = one.history[-5:]
        rows.append(
            {
                "network": cell.run,
                "parameters": cost(parse(cell.line), 1, 48, cell.recipe.norm).parameters,
                "fold": cell.fold,
                "training error": 1 - np.median([epoch.train_accuracy for epoch in last]),
                "training loss": np.median([epoch.train_loss for epoch in last]),
                "validation error": np.mean((one.probabilities["validation"] >= 0.5) != truth),
                "identity distance": _distance(one.probes),
            }
        )
    table = pd.DataFrame(rows)
    if arguments.out:
        table.round(6).to_csv(arguments.out, index=False)
    print("| network | parameters | training error | training loss | validation error | F / x |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, group in table.groupby("network", sort=False):
        measured = " | ".join(
            interval(group[key]) for key in ("training error", "training loss", "validation error")
        )
        distance = group["identity distance"].mean()
        shown = "" if np.isnan(distance) else f"{distance:.2f}"
        print(f"| {name} | {group['parameters'].iloc[0]:,} | {measured} | {shown} |")


def _distance(probes) -> float:
    """Return the median over blocks, after the last epoch, of |F(x)| / |x|."""
    table = pd.DataFrame(probes, columns=PROBE_COLUMNS)
    end = table[table["epoch"] == table["epoch"].max()]["identity_distance"].dropna()
    return float(end.median()) if len(end) else np.nan


if __name__ == "__main__":
    main()
