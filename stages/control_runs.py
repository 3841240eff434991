"""Stage `control_runs`: all rows of `controls`, each on what is in the crops under its name."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_controls
from fathom.study.splits import read_splits
from fathom.training.trained_rows import cells_of, train_rows


def control_runs(nuclei: Path, splits: Path, cells: Path, out: Path) -> None:
    """Train the rows of `controls`, each on the folder of NUCLEI that has its name."""
    lines, recipe, probes = read_architectures(), read_section(Recipe), read_section(Probes)
    rows = {}
    for name, row in read_controls().items():
        shown = read_nuclei(nuclei / name)
        parts = read_splits(splits, shown)
        plan = planned(row, f"controls.{name}", lines[row.architecture], recipe, shown.crop_px)
        rows[out / name] = cells_of(name, plan, probes, shown, parts, final=False), shown
    train_rows(rows, read_numerics(), cells)


if __name__ == "__main__":
    fathom.ground.stage.run(control_runs)
