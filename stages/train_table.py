"""Stages `experiments` and `control_runs`: all rows of a table of params.yaml."""

from pathlib import Path

import fathom.ground.stage
from fathom.ground.numerics import read_numerics
from fathom.ground.section import read_section
from fathom.networks.interventions import planned
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.rows import read_architectures, read_table
from fathom.study.splits import read_splits
from fathom.training.trained_rows import cells_of, train_rows


def train_table(table: str, nuclei: Path, splits: Path, cells: Path, out: Path) -> None:
    """Train the rows of TABLE on NUCLEI, a control on what is in there under its name."""
    lines, recipe, probes = read_architectures(), read_section(Recipe), read_section(Probes)
    table_rows = read_table(table)
    folders = {name: nuclei / name if table == "controls" else nuclei for name in table_rows}
    shown = {folder: read_nuclei(folder) for folder in set(folders.values())}
    divided = {folder: read_splits(splits, found) for folder, found in shown.items()}
    rows = {}
    for name, row in table_rows.items():
        found, parts = shown[folders[name]], divided[folders[name]]
        plan = planned(row, f"{table}.{name}", lines[row.architecture], recipe, found.crop_px)
        rows[out / name] = cells_of(name, plan, probes, found, parts, final=False), found
    train_rows(rows, read_numerics(), cells)


if __name__ == "__main__":
    fathom.ground.stage.run(train_table)
