"""Tables of the page: cells that sort by their numbers, and the same table as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from urllib.parse import quote

import pandas as pd

from fathom.controls.catalogue import CONTROLS
from fathom.diagnosis.looks import Tally
from fathom.ground.csv_file import shown_as_text
from fathom.page.content import Content
from fathom.page.drawing import interval
from fathom.reports.control_report import control_tables
from fathom.reports.control_sentences import SCORE, numbers_of
from fathom.statistics.row_text import (
    decimal,
    difference,
    mark,
    marked,
    signed_interval,
    with_interval,
)
from fathom.study.rows import is_classifier, short

WHOLE = 36  # letters of a cell that stay on one line


@dataclass(frozen=True)
class Cell:
    """What is printed, what it sorts by, and a picture beside it."""

    text: str
    value: float | str | None = None
    picture: str = ""  # Markup
    run: str = ""  # a name that can be followed

    @property
    def is_long(self) -> bool:
        """Whether it runs over several lines."""
        return len(self.text) > WHOLE

    @property
    def sorts_by(self) -> str:
        """The value as the page's script reads it; an empty one comes last."""
        if self.value is None:
            return self.text
        return f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)


@dataclass(frozen=True)
class Table:
    """A table: its name for files, caption, headings, rows, notes, and all of it as CSV."""

    name: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: str
    notes: tuple[str, ...] = ()
    sortable: bool = False

    @property
    def download(self) -> str:
        """The table as a link that needs no server."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv, safe=',. :[]()')}"


def plain(name: str, caption: str, table: pd.DataFrame, *, sortable: bool = False) -> Table:
    """Return a data frame as a table."""
    rows = tuple(
        tuple(Cell(_text(value), _value(value)) for value in row)
        for row in table.itertuples(index=False)
    )
    headings = tuple(str(column).replace("_", " ") for column in table.columns)
    return Table(name, caption, headings, rows, as_csv(table), sortable=sortable)


def as_csv(table: pd.DataFrame) -> str:
    """Return a data frame as CSV with line feeds."""
    stream = StringIO()
    shown_as_text(table).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue()


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"  # noqa: PLR0124  NaN alone differs from itself
    return str(value)


def _value(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None  # noqa: PLR0124


def runs_table(content: Content) -> Table:
    """Return networks, classifiers, what ladders added, and controls, side by side."""
    scale = score_scale(content)
    rows = [_result_row(content, name, scale) for name in content.results]
    ladder = _ladder_rows(content).items()
    rows += [_ladder_row(content, name, row, scale) for name, row in ladder]
    rows += [_control_row(content, name, scale) for name in content.controls]
    headings = (
        "run",
        "balanced accuracy",
        f"{decimal(scale[0], 1)} to {decimal(scale[1], 1)}",
        "kind",
        "layers",
        f"minus {short(content.first)}",
        f"minus {short(content.baseline)}",
        "left the plateau",
        "AUROC",
        "training accuracy",
        "sensitivity",
        "specificity",
    )
    csv = as_csv(_all_numbers(content))
    return Table("runs", "Networks, classifiers and controls", headings, tuple(rows), csv,
                 sortable=True)  # fmt: skip


def score_scale(content: Content) -> tuple[float, float]:
    """Return the ends of what all intervals of balanced accuracy are drawn on, whole tenths."""
    controls = content.control_numbers
    ends = [of[f"{SCORE}_{end}"] for of in content.results.values() for end in ("low", "high")]
    ends += [
        controls[f"{name}.{SCORE}_{end}"] for name in content.controls for end in ("low", "high")
    ]
    ends += [row[end] for row in _ladder_rows(content).values() for end in ("low", "high")]
    return min(4, int(min(ends) * 10)) / 10, max(6, -int(-max(ends) * 10 // 1)) / 10


def _result_row(content: Content, name: str, scale: tuple[float, float]) -> tuple[Cell, ...]:
    numbers = content.results[name]
    layers = numbers.get("weight_layers")
    return (
        Cell(marked(name, numbers), short(name), run=name),
        Cell(with_interval(numbers, SCORE), numbers[SCORE]),
        _interval_cell(content, name, [numbers[f"{SCORE}{end}"] for end in ("_low", "", "_high")],
                       scale),
        Cell("classifier" if is_classifier(name) else "network"),
        Cell("" if layers is None else f"{layers:.0f}", layers and float(layers)),
        _difference_cell(numbers, "first"),
        _difference_cell(numbers, "baseline"),
        left_cell(content, name),
        Cell(with_interval(numbers, "auroc"), numbers["auroc"]),
        *(Cell(decimal(numbers[of]), numbers[of]) for of in
          ("training_accuracy", "sensitivity", "specificity")),
    )  # fmt: skip


def _difference_cell(numbers: Mapping[str, float], reference: str) -> Cell:
    key = f"difference_to_{reference}"
    return Cell(difference(numbers, key), numbers[key]) if key in numbers else Cell("")


def _all_numbers(content: Content) -> pd.DataFrame:
    """Return every number of all rows of the table, by run."""
    ladder = {name: _ladder_numbers(row) for name, row in _ladder_rows(content).items()}
    controls = content.control_numbers
    scored = {f"control {name}": numbers_of(name, controls) for name in content.controls}
    numbers = pd.DataFrame.from_dict({**content.results, **ladder, **scored}, orient="index")
    return numbers.rename_axis("run").reset_index()


def _ladder_numbers(row: dict[str, float]) -> dict[str, float]:
    return {
        SCORE: row[SCORE],
        f"{SCORE}_low": row["low"],
        f"{SCORE}_high": row["high"],
        "weight_layers": row["layers"],
        "training_accuracy": row["training_accuracy"],
    }


def left_cell(content: Content, name: str) -> Cell:
    """Return how many networks of a row left the plateau."""
    if name not in content.left:
        return Cell("")
    left, networks = content.left[name]
    return Cell(f"{left} of {networks}", left / networks if networks else 0.0)


def _interval_cell(
    content: Content, name: str, ends: Sequence[float], scale: tuple[float, float]
) -> Cell:
    place = content.everyone.index(name) if name in content.everyone else None
    return Cell("", ends[1], interval(name, place, ends[0], ends[1], ends[2], scale))


def _ladder_rows(content: Content) -> dict[str, dict[str, float]]:
    """Return the numbers of the rows that ladders added and that were tested, in their order."""
    if content.rows is None:
        return {}
    tested = content.rows[content.rows[SCORE].notna()].set_index("row")
    return {
        str(name): {str(column): float(value) for column, value in row.items()}
        for name, row in tested.iterrows()
        if name not in content.results
    }


def _ladder_row(
    content: Content, name: str, row: dict[str, float], scale: tuple[float, float]
) -> tuple[Cell, ...]:
    low, value, high = (row[of] for of in ("low", SCORE, "high"))
    own = _ladder_numbers(row)
    return (
        Cell(name, name, run=name),
        Cell(with_interval(own, SCORE), value),
        _interval_cell(content, name, (low, value, high), scale),
        Cell("tried by the ladder"),
        Cell(f"{row['layers']:.0f}", row["layers"]),
        *(Cell(""), Cell("")),
        left_cell(content, name),
        Cell(""),
        Cell(decimal(row["training_accuracy"]), row["training_accuracy"]),
        *(Cell(""), Cell("")),
    )


def _control_row(content: Content, name: str, scale: tuple[float, float]) -> tuple[Cell, ...]:
    numbers = numbers_of(name, content.control_numbers)
    return (
        Cell(CONTROLS[name].shown + mark(numbers), CONTROLS[name].shown),
        Cell(with_interval(numbers, SCORE), numbers[SCORE]),
        _interval_cell(content, f"control-{name}",
                       [numbers[f"{SCORE}{end}"] for end in ("_low", "", "_high")], scale),
        Cell("control"),
        Cell(""),
        *(Cell(""), Cell(""), Cell("")),
        Cell(with_interval(numbers, "auroc"), numbers["auroc"]),
        *(Cell(""), Cell(""), Cell("")),
    )  # fmt: skip


def control_report_tables(content: Content) -> list[Table]:
    """Return the tables of the controls as `fathom table` prints them, with their sentences."""
    made = []
    for number, one in enumerate(control_tables(content.metrics_folder)):
        headings = tuple(heading.replace("\n", " ") for heading in one.headings)
        csv = as_csv(pd.DataFrame(one.rows, columns=list(headings)))
        rows = tuple(tuple(Cell(text) for text in row) for row in one.rows)
        name = f"controls-{number + 1}"
        made.append(Table(name, one.title, headings, rows, csv, tuple(one.notes)))
    return made


def ladder_table(content: Content, network: str) -> Table:
    """Return the changes that were tried on a network, each with its share and its effects."""
    verdict, confidence = content.verdicts[network], content.params["diagnosis"]["confidence"]
    own = left_cell_of(verdict["left"], confidence)
    rows = [(Cell("none", run=network), own, *(Cell(""),) * 4)]
    rows += [
        (
            Cell(rung["name"].removeprefix(f"{network}-"), run=rung["name"]),
            left_cell_of(rung["left"], confidence),
            Cell("never" if rung["median_epoch"] is None else f"{rung['median_epoch']:g}",
                 rung["median_epoch"]),
            effect_cell(rung["train_accuracy"]),
            effect_cell(rung["validation"]),
            Cell("" if rung["state"] == "no cure" else rung["state"]),
        )
        for rung in verdict["rungs"]
    ]  # fmt: skip
    headings = ("one change", "left the plateau", "median epoch", "training accuracy",
                "validation accuracy", "came to")  # fmt: skip
    flat = pd.json_normalize([{"row": network, "left": verdict["left"]}, *verdict["rungs"]])
    return Table(f"ladder-{network}", f"Changes tried on {network}, one at a time", headings,
                 tuple(rows), as_csv(flat))  # fmt: skip


def left_cell_of(tally: Mapping[str, int], confidence: float) -> Cell:
    """Return k of n with its exact interval."""
    counted = Tally(tally["left"], tally["networks"])
    low, high = (decimal(end, 2) for end in counted.interval(confidence))
    return Cell(f"{counted} [{low}, {high}]", counted.left / max(counted.networks, 1))


def effect_cell(effect: Mapping[str, float | None]) -> Cell:
    """Return a paired difference with its interval."""
    estimate, low, high = (effect[of] for of in ("estimate", "low", "high"))
    if estimate is None:
        return Cell("")
    return Cell(signed_interval(estimate, low, high), estimate)


def dictionary_table(name: str, caption: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Return names and values as a table of two columns."""
    listed = list(pairs)
    csv = as_csv(pd.DataFrame(listed, columns=["name", "value"]))
    rows = tuple((Cell(key), Cell(value)) for key, value in listed)
    return Table(name, caption, ("name", "value"), rows, csv)
