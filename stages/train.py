"""Stage `train`: one run over all folds and seeds, and its final model."""

from pathlib import Path

from fathom.nuclei import read_nuclei
from fathom.params import Recipe, read_run, read_section
from fathom.runs import cells_of, train_run
from fathom.splits import read_splits
from fathom.stage import run_stage


def train(run: str, nuclei: Path, splits: Path, checkpoints: Path, out: Path) -> None:
    """Train the run called RUN; continue the cells that have checkpoints."""
    chosen, line = read_run(run)
    recipe = chosen.recipe(read_section(Recipe), run)
    found = read_nuclei(nuclei)
    cells = cells_of(run, line, recipe, found, read_splits(splits, found))
    train_run(cells, found, checkpoints, out)


if __name__ == "__main__":
    run_stage(train)
