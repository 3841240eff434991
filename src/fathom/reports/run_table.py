"""The rows of params.yaml as a table: what each trains, what that costs, and what is done."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from fathom.ground.section import PARAMS_FILE, read_section
from fathom.imaging.params import Crop
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.interventions import Plan, planned_table
from fathom.networks.recipe import Recipe
from fathom.statistics.final_network import networks
from fathom.study.rows import (
    Run,
    read_architectures,
    read_controls,
    read_runs,
)
from fathom.study.splits import Split
from fathom.study.trained import HISTORY, PREDICTIONS

# Forward and backward: the gradients of the inputs and of the weights cost a forward pass each.
PASSES = 3


class Row(NamedTuple):
    """A row of params.yaml as `fathom runs` lists it."""

    table: str  # runs or controls
    row: str
    weight_layers: int
    changes: tuple[str, ...]
    epochs: int
    cells: int
    cost: float  # multiply-adds of the whole training, in those of the first row
    done: str  # "", "yes", or how many of its networks failed


def listed_rows(data: Path, params: Path = PARAMS_FILE) -> list[Row]:
    """Return every row: its line's depth, its changes, its epochs, its cost, whether it is done."""
    crop_px, folds = read_section(Crop, params).crop_px, read_section(Split, params).folds
    rows: list[Row] = []
    first: float | None = None
    for name, run, plan, folder in _rows(params, crop_px):
        cells = folds * len(plan.recipe.seeds) + (folder == "runs")
        price = price_of(plan, cells, crop_px)
        first = first or price
        rows.append(
            Row(
                "runs" if folder == "runs" else "controls",
                name,
                cost(parse(plan.line), 1, crop_px).weight_layers,
                tuple(run.interventions),
                plan.recipe.epochs,
                cells,
                price / first,
                _done(data / folder / name),
            )
        )
    return rows


def print_rows(rows: Iterable[Row]) -> None:
    """Print the rows as a table."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("row", "layers", "changes", "epochs x cells", "cost", "done"):
        left = heading in ("row", "changes")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(
            row.row,
            str(row.weight_layers),
            ", ".join(row.changes),
            f"{row.epochs} x {row.cells}",
            f"{row.cost:.1f}",
            row.done,
        )
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(
        "cost: multiply-adds of the whole training, in those of the first row. Small convolutions "
        "reach fewer a second than large ones: an hour's worth differs."
    )


def _done(folder: Path) -> str:
    """Say whether a row was trained, and how many of its networks failed."""
    if not (folder / PREDICTIONS).is_file():
        return ""
    if not (folder / HISTORY).is_file():
        return "yes"
    table = networks(folder)
    counts = {how: int(table[how].sum()) for how in ("diverged", "constant")}
    return ", ".join(f"{n} of {len(table)} {how}" for how, n in counts.items() if n) or "yes"


def price_of(plan: Plan, cells: int, crop_px: int) -> float:
    """Return the multiply-adds of a row's training for each nucleus of its training part."""
    adds = cost(parse(plan.line), 1, crop_px).multiply_adds
    wanted = plan.recipe.training_nuclei
    share = wanted if isinstance(wanted, float) else 1.0
    return float(PASSES * adds * plan.recipe.epochs * cells * share)


def _rows(params: Path, crop_px: int) -> Iterator[tuple[str, Run, Plan, str]]:
    """Yield each row's name, what it is, its plan, and the folder of `data` it is trained into."""
    lines, recipe = read_architectures(params), read_section(Recipe, params)
    runs, controls = read_runs(params), read_controls(params)
    for table, rows, folder in (("runs", runs, "runs"), ("controls", controls, "control_runs")):
        plans = planned_table(table, rows, lines, recipe, crop_px)
        for name, row in rows.items():
            yield name, row, plans[name], folder
