"""Stage `train`: a row of params.yaml's `runs` over all folds and seeds."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_row
from fathom.study.splits import read_splits
from fathom.training.trained_rows import cells_of, train_rows


def train(name: str, nuclei: Path, splits: Path, cells: Path, out: Path) -> None:
    """Train the run NAME and its final model; networks in the store CELLS are taken from it."""
    row, line = read_row("runs", name)
    found = read_nuclei(nuclei)
    plan = planned(row, f"runs.{name}", line, read_section(Recipe), found.crop_px)
    parts = read_splits(splits, found)
    units = cells_of(name, plan, read_section(Probes), found, parts, final=True)
    train_rows({out: (units, found)}, read_numerics(), cells)


if __name__ == "__main__":
    fathom.ground.stage.run(train)
