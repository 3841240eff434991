"""Stages `train`, `experiment` and `study`: a row of params.yaml over all folds and seeds."""

from pathlib import Path

from fathom.imaging.nuclei import read_nuclei
from fathom.params.recipe import Probes, Recipe
from fathom.params.runs import Table, read_row
from fathom.params.section import read_section
from fathom.splitting.splits import read_splits
from fathom.stage import run_stage
from fathom.training.interventions import planned
from fathom.training.runs import cells_of, train_run


def train(
    table: Table, name: str, nuclei: Path, splits: Path, checkpoints: Path, out: Path
) -> None:
    """Train the row NAME of TABLE, of `runs` with a final model; continue from checkpoints."""
    row, line = read_row(table, name)
    found = read_nuclei(nuclei)
    crop_px = found.crops().shape[1]
    plan = planned(row, f"{table}.{name}", line, read_section(Recipe), crop_px)
    parts, probes = read_splits(splits, found), read_section(Probes)
    cells = cells_of(name, plan, probes, found, parts, final=table == "runs")
    train_run(cells, found, checkpoints, out)


if __name__ == "__main__":
    run_stage(train)
