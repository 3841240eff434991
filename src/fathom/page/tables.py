"""Tables of the page: cells that sort by their numbers, and the same table as CSV."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from fathom.controls.catalogue import CONTROLS
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
    with_interval,
)
from fathom.study.rows import is_classifier, short

WHOLE = 36  # letters of a cell that stay on one line


@dataclass(frozen=True)
class Cell:
    """What is printed, what it sorts by, and a picture beside it."""

    text: str
    value: float | str | None = None
    picture: Markup | str = ""
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


@dataclass(frozen=True)
class Bar:
    """A line of a list: a run, a small picture, its numbers."""

    name: str
    shown: str
    picture: Markup
    text: str
    state: str = ""


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
    ladder = content.ladder_rows.items()
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
    controls = [numbers_of(name, content.control_numbers) for name in content.controls]
    everyone = [*content.results.values(), *content.ladder_rows.values(), *controls]
    ends = [of[f"{SCORE}_{end}"] for of in everyone for end in ("low", "high")]
    return min(4, int(min(ends) * 10)) / 10, max(6, -int(-max(ends) * 10 // 1)) / 10


def _result_row(content: Content, name: str, scale: tuple[float, float]) -> tuple[Cell, ...]:
    numbers = content.results[name]
    layers = numbers.get("weight_layers")
    return (
        Cell(marked(name, numbers), short(name), run=name),
        Cell(with_interval(numbers, SCORE), numbers[SCORE]),
        _interval_cell(content, name, numbers, scale),
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
    ladder = {
        name: {
            **{key: row[key] for key in (SCORE, f"{SCORE}_low", f"{SCORE}_high")},
            "weight_layers": row["layers"],
            "training_accuracy": row["training_accuracy"],
        }
        for name, row in content.ladder_rows.items()
    }
    controls = content.control_numbers
    scored = {f"control {name}": numbers_of(name, controls) for name in content.controls}
    numbers = pd.DataFrame.from_dict({**content.results, **ladder, **scored}, orient="index")
    return numbers.rename_axis("run").reset_index()


def left_cell(content: Content, name: str) -> Cell:
    """Return how many networks of a row left the plateau."""
    if name not in content.left:
        return Cell("")
    left, networks = content.left[name]
    return Cell(f"{left} of {networks}", left / networks if networks else 0.0)


def _interval_cell(
    content: Content, name: str, numbers: Mapping[str, float], scale: tuple[float, float]
) -> Cell:
    return Cell("", numbers[SCORE], score_picture(content, name, numbers, scale))


def score_picture(
    content: Content, name: str, numbers: Mapping[str, float], scale: tuple[float, float]
) -> Markup:
    """Return balanced accuracy and its interval as a small picture."""
    low, value, high = (numbers[f"{SCORE}{end}"] for end in ("_low", "", "_high"))
    return interval(name, content.place(name), low, value, high, scale)


def _ladder_row(
    content: Content, name: str, row: dict[str, float], scale: tuple[float, float]
) -> tuple[Cell, ...]:
    return (
        Cell(name, name, run=name),
        Cell(with_interval(row, SCORE), row[SCORE]),
        _interval_cell(content, name, row, scale),
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
        _interval_cell(content, f"control-{name}", numbers, scale),
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


def dictionary_table(name: str, caption: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Return names and values as a table of two columns."""
    listed = list(pairs)
    csv = as_csv(pd.DataFrame(listed, columns=["name", "value"]))
    rows = tuple((Cell(key), Cell(value)) for key, value in listed)
    return Table(name, caption, ("name", "value"), rows, csv)
