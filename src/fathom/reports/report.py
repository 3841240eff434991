"""The comparison and the verdicts, for a terminal or README: reads files, imports little."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from fathom.audit.params import Audit
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.reports.audit_notes import account_notes, audit_notes
from fathom.reports.control_report import ControlTable, control_tables
from fathom.statistics.params import Comparison
from fathom.statistics.row_text import decimal, difference, mark_notes, marked, with_interval
from fathom.study.rows import baseline_name, names_in_order, read_runs, short

Numbers = dict[str, float]

VERDICTS = "verdicts.json"  # of `fathom.reports.verdict_text.write_verdicts`
_FOLDED = 8  # columns at least, of what may fold
CHOSEN = Path("data/baseline/chosen.json")  # of the stage `baseline`

LOOK_AT = (
    ("report/index.html", "all of this as one page, to open and to send on"),
    ("docs/pictures/", "the comparison in pictures, as README shows them"),
    ("metrics/", "every number; between branches: fathom compare main"),
    ("verdicts/", "why a network is worse, with the evidence: fathom why"),
    ("models/", "one ONNX model a network, for fathom predict"),
    ("data/new_slides/", "the new slides, scored by the best network"),
    ("registry/", "the best network with its model card, packed for others"),
)


@dataclass(frozen=True)
class Column:
    """A heading and how a cell is written from the name and the numbers of its row."""

    heading: str
    cell: Callable[[str, Numbers], str]


@dataclass(frozen=True)
class Results:
    """What was compared, in order, and what was not compared yet."""

    numbers: dict[str, Numbers]
    missing: tuple[str, ...]
    first: str
    baseline: str


def print_comparison(metrics: Path, *, markdown: bool) -> None:
    """Print the comparison in the folder `metrics` and where to look next.

    The controls follow, where they are scored. 80 columns are enough. As Markdown it is the tables
    and their notes alone, for a README. Raises
    `FathomError` where nothing was compared yet.
    """
    results = _read_results(metrics / "runs")
    waivers = read_section(Audit).waivers
    notes = [*_notes(results), *account_notes(metrics), *audit_notes(metrics, waivers)]
    if markdown:
        tables = map(_control_markdown, control_tables(metrics))
        print("\n\n".join([_markdown(results, notes), *tables]))
        return
    console = Console(highlight=False, markup=False)
    for columns in ((RUN, *MEASURES), (RUN, *RATES, *_differences(results))):
        _print_whole(_table(results, columns), console)
    for note in (*notes, *_chosen()):
        console.print(note)
    for controls in control_tables(metrics):
        _print_controls(controls, console)
    places = [(place, what) for place, what in LOOK_AT if Path(place).exists()]
    if places:
        console.print("\nLook at")
    for place, what in places:
        console.print(f"  {place:<17} {what}")


def comparison_numbers(metrics: Path) -> dict[str, Any]:
    """Return what `print_comparison` prints, as numbers: runs, controls, what is not compared yet.

    `controls` is metrics/controls.json as it is, None where the controls are not scored yet.
    """
    results = _read_results(metrics / "runs")
    controls = metrics / "controls.json"
    return {
        "runs": results.numbers,
        "not_compared": results.missing,
        "controls": json.loads(controls.read_text(encoding="utf-8"))
        if controls.is_file()
        else None,
    }


def _read_results(folder: Path) -> Results:
    """Read <name>.json of everyone that params list, whatever else lies in `folder`."""
    runs = read_runs()
    files = {name: folder / f"{name}.json" for name in names_in_order(runs)}
    there = {name: file for name, file in files.items() if file.is_file()}
    if not there:
        raise FathomError(f"{folder} has no results yet: run 'make repro' first")
    return Results(
        {name: json.loads(file.read_text(encoding="utf-8")) for name, file in there.items()},
        tuple(name for name in files if name not in there),
        next(iter(runs)),
        baseline_name(read_section(Comparison).baseline),
    )


def _markdown(results: Results, notes: Sequence[str]) -> str:
    columns = [RUN, *MEASURES, *RATES, *_differences(results)]
    lines = [
        [column.heading.replace("-\n", "").replace("\n", " ") for column in columns],
        ["---", *["---:"] * (len(columns) - 1)],
        *([column.cell(*row) for column in columns] for row in results.numbers.items()),
    ]
    table = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([*table, "", *(f"- {note}" for note in notes)]).replace("*", r"\*")


def _print_controls(controls: ControlTable, console: Console) -> None:
    console.print("", controls.title, "", sep="\n")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in controls.headings:
        # Numbers stay whole; what a control sees may run over two lines.
        table.add_column(heading, overflow="fold", no_wrap=heading != "sees", vertical="bottom")
    for row in controls.rows:
        table.add_row(*row)
    if controls.rows:
        _print_whole(table, console)
    for note in controls.notes:
        console.print(note)


def _control_markdown(controls: ControlTable) -> str:
    headings = [heading.replace("\n", " ") for heading in controls.headings]
    lines = [headings, ["---"] * len(headings), *controls.rows]
    table = [f"| {' | '.join(line)} |" for line in lines] if controls.rows else []
    notes = [f"- {note}" for note in controls.notes]
    return "\n".join([f"**{controls.title}**", "", *table, "", *notes])


RUN = Column("run", marked)
MEASURES = (
    Column("layers", lambda _, numbers: str(numbers.get("weight_layers", ""))),
    Column("training\naccuracy", lambda _, numbers: decimal(numbers["training_accuracy"])),
    Column("balanced\naccuracy", lambda _, numbers: with_interval(numbers, "balanced_accuracy")),
    Column("AUROC", lambda _, numbers: with_interval(numbers, "auroc")),
)
RATES = (
    Column("sensi-\ntivity", lambda _, numbers: decimal(numbers["sensitivity"])),
    Column("speci-\nficity", lambda _, numbers: decimal(numbers["specificity"])),
)


def _differences(results: Results) -> tuple[Column, Column]:
    """Return the columns of paired differences of balanced accuracy."""

    def column(reference: str, other: str) -> Column:
        key = f"difference_to_{reference}"
        return Column(
            f"minus\n{short(other)}",
            lambda _, numbers: difference(numbers, key) if key in numbers else "",
        )

    return column("first", results.first), column("baseline", results.baseline)


def _print_whole(table: Table, console: Console) -> None:
    """Print a table wider than the terminal if it must be: half a number is a wrong number."""
    for column in table.columns:
        if column.no_wrap:
            lines = "\n".join(map(str, [column.header, *column.cells])).splitlines()
            column.min_width = max(map(len, lines))
    width = sum((column.min_width or _FOLDED) + 1 for column in table.columns)
    wide = Console(width=max(console.width, width), file=console.file, highlight=False)
    wide.print(table, "")


def _table(results: Results, columns: Sequence[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(
            column.heading,
            justify="right" if place else "left",
            no_wrap=place > 0,
            overflow="fold",
            vertical="bottom",
        )
    for name, numbers in results.numbers.items():
        table.add_row(*(column.cell(name, numbers) for column in columns))
    return table


def _notes(results: Results) -> Iterator[str]:
    """Yield what a reader must know to read the table, a sentence or two each."""
    numbers = next(iter(results.numbers.values()))
    yield (
        f"{numbers['nuclei']} test nuclei in {numbers['groups']} groups. "
        f"[low, high]: {numbers['confidence'] * 100:g} % interval over groups."
    )
    yield (
        "minus: paired difference of balanced accuracy; *: claimed, for its interval excludes 0 "
        "after Holm's correction."
    )
    to_first = "difference_to_first_detectable"
    differences = [of[to_first] for of in results.numbers.values() if to_first in of]
    if differences:
        yield (
            f"A true difference of {decimal(max(differences))} to {short(results.first)} would be "
            "claimed in 80 % of studies of this size."
        )
    if all(of["seeds"] == 1 for of in results.numbers.values()):
        yield "One seed each: what another seed would change is not in the intervals."
    for name, numbers in results.numbers.items():
        yield from mark_notes(name, numbers)
    if results.missing:
        yield f"Not compared yet: {', '.join(map(short, results.missing))}; run 'make repro'."


def _chosen() -> Iterator[str]:
    """Yield the hyperparameters that validation chose of each classifier, a value a fold."""
    if not CHOSEN.is_file():
        return
    for classifier, folds in json.loads(CHOSEN.read_text(encoding="utf-8")).items():
        by_fold = [fold["hyperparameters"] for fold in folds]
        values = {name: ", ".join(f"{one[name]:g}" for one in by_fold) for name in by_fold[0]}
        told = "; ".join(f"{name} {each}" for name, each in values.items())
        yield f"{classifier}, chosen by validation, fold by fold: {told}."


def print_verdicts(folder: Path, network: str | None) -> None:
    """Print the verdicts in `folder`, of the stage `diagnose`, or the one on `network`.

    Raises `FathomError` where nothing was diagnosed yet, or not this network.
    """
    there = read_verdicts(folder, network)
    console = Console(highlight=False)
    if not there:
        console.print("No network was diagnosed: none is worse than a shallower one.")
    for name in there:
        console.print(Markdown((folder / f"{name}.md").read_text(encoding="utf-8")), "")


def next_rows(folder: Path, network: str | None) -> dict[str, str | None]:
    """Return the first row of `runs` that each ladder did not come to, None where none is left."""
    there = read_verdicts(folder, network)
    return {name: next(iter(verdict["next"]), None) for name, verdict in there.items()}


def print_next_rows(rows: Mapping[str, str | None]) -> None:
    """Print the rows as params.yaml has them, a comment where there is none."""
    for name, row in rows.items():
        print(row or f"# {name}: no row is left that the ladder would train")


def read_verdicts(folder: Path, network: str | None) -> dict[str, Any]:
    """Return what verdicts.json of `folder` says of each network, or of this one.

    Raises `FathomError` where nothing was diagnosed yet, or not this network.
    """
    path = folder / VERDICTS
    if not path.is_file():
        raise FathomError(f"{path} is missing: run 'make repro' to make it")
    there: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if network is None:
        return there
    if network not in there:
        raise FathomError(
            f"there is no verdict on {network!r}, only on: {', '.join(there) or 'no network'}. "
            "'diagnosis.networks' in params.yaml says which networks are diagnosed"
        )
    return {network: there[network]}
