"""Every table of a user's, read strictly as text, with every fault of form named by its place.

Nothing is guessed: a patient called `007` or `NA` keeps its name. Text is brought to one Unicode
form (NFC): what looks alike is alike, whichever system typed it.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fathom.ground.csv_file import is_formula
from fathom.ground.errors import FathomError

# What a missing value becomes when a script turns it into text (Python, R, SQL, JSON, C), and what
# a spreadsheet shows where it has none. Excel's errors end in ! or ? in every language but for "not
# available" (here in English, German, Italian, Portuguese, Dutch, Danish, Russian, Turkish,
# Hungarian and Czech); a column too narrow shows #; LibreOffice has errors by number. `NA` is not
# among them, it may be someone's initials, nor is `none`, a class.
_NOT_A_VALUE = re.compile(
    r"[+-]?(?i:nan)(\(ind\))?|[+-]?1\.#(IND|QNAN|INF)|NaT|None|null|NULL|\(null\)|<NA>|<null>|\\N"
    r"|[Nn]/[Aa]|(?i:#(n/?a|nv|n/[db]|i/t|н/д|yok|hiányzik|není_k_dispozici))|#[^\W\d][\w/]*[!?]|#+"
    r"|#GETTING_DATA|(Err|Fehler) ?:\d+"
)

_SAME_SCALE = 1.02
_TOLD = 5  # faults that an error lists


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set, and where."""

    file: str  # relative to the data set's folder, or the folder itself
    row: int | None  # line of the CSV as an editor shows it; the header is line 1
    column: str | None
    what: str

    def __str__(self) -> str:
        """Return `images.csv, row 7, column 'image': what is wrong`."""
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column '{self.column}'"
        return f"{self.file}{row}{column}: {self.what}"


@dataclass(frozen=True)
class CsvRow:
    """One row of a CSV: the line it begins on, and its cells so far as they are sound.

    A cell with a fault of form was reported and is not there, nor is one that the row or the
    header lacks; white space around a text was reported and is gone.
    """

    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """Return the cell, or "" where it is empty or not there."""
        return self.cells.get(column, "")


def read_number(text: str) -> float | None:
    """Return the number that a cell holds, None where it holds none or one that is not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def one_form(text: str) -> str:
    """Return a text in the Unicode form that tables are read in."""
    return unicodedata.normalize("NFC", text)


def one_scale(um_per_px: Iterable[float]) -> bool:
    """Return whether scales are one but for how they were rounded: within 2 % of each other."""
    known = list(um_per_px)
    return not known or max(known) <= _SAME_SCALE * min(known)


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), *, others: bool = False
) -> tuple[list[CsvRow], list[Fault]]:
    """Read a CSV (UTF-8, commas, a header; a byte order mark is accepted) and its faults of form.

    `columns` are all that may be there unless `others` may be, which are not looked at; `optional`
    are those that may be absent or have empty cells. A file that is no such table as a whole has
    one fault and no rows.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return [], [Fault(path.name, None, None, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return [], [Fault(path.name, line, None, "is not UTF-8 text; save the table as CSV UTF-8")]

    lines, faults = _split(text, path.name)
    if not lines:
        what = f"is empty; the first line must be: {','.join(columns)}"
        return [], faults or [Fault(path.name, 1, None, what)]
    (first, header), *rest = lines
    faults += _header_faults(path.name, first, header, columns, optional)
    if not others:
        faults += _unknown_columns(path.name, first, header, columns)
    rows = []
    for line, texts in rest:
        if len(texts) != len(header):
            what = f"has {len(texts)} cells where the header has {len(header)}"
            faults.append(Fault(path.name, line, None, what))
        cells = {c: t for c, t in zip(header, texts, strict=False) if c in columns}
        wrong = {c: _fault_of_form(t, may_be_empty=c in optional) for c, t in cells.items()}
        faults += [Fault(path.name, line, c, what) for c, what in wrong.items() if what]
        sound = {c: t.strip() for c, t in cells.items() if not wrong[c] or t.strip() != t}
        rows.append(CsvRow(line, sound))
    return rows, faults


def read_sound_rows(path: Path, columns: Sequence[str], what: str) -> list[CsvRow]:
    """Read a CSV with these columns and any others; raise `FathomError` that lists its faults.

    `what` is what messages call it, such as "table of patients".
    """
    if not path.is_file():
        raise FathomError(f"{path}: there is no such {what}")
    rows, faults = read_rows(path, columns, others=True)
    if faults:
        told = "\n".join(f"  {fault}" for fault in faults[:_TOLD])
        more = f"\n  and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        raise FathomError(f"{path}: the {what} has faults:\n{told}{more}")
    return rows


def _split(text: str, file: str) -> tuple[list[tuple[int, list[str]]], list[Fault]]:
    """Split into (line number, cells); blank lines are no rows."""
    reader = csv.reader(io.StringIO(one_form(text), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if cells:
                lines.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        return [], [Fault(file, begins, None, f"is not CSV from here on: {error}")]
    return lines, []


def _header_faults(
    file: str, row: int, header: list[str], columns: Sequence[str], optional: Sequence[str]
) -> Iterator[Fault]:
    there = ", ".join(header)
    for column in columns:
        if column not in header and column not in optional:
            hint = "; commas must separate the cells" if ";" in there or "\t" in there else ""
            yield Fault(file, row, column, f"is missing; there is only: {there}{hint}")
        same = [other for other in header if other.strip().casefold() == column.casefold()]
        if column in same and len(same) > 1:
            what = f"is there more than once: {', '.join(map(repr, same))}"
            yield Fault(file, row, column, what)


def _unknown_columns(
    file: str, row: int, header: list[str], columns: Sequence[str]
) -> Iterator[Fault]:
    for column in dict.fromkeys(header):
        if column not in columns:
            yield Fault(file, row, column, f"is not one of {', '.join(columns)}")


def _fault_of_form(text: str, *, may_be_empty: bool) -> str | None:
    if not text.strip():
        if text:
            return "holds white space only"
        return None if may_be_empty else "is empty"
    if text != text.strip():
        return f"{text!r} begins or ends with white space"
    if not text.isprintable():
        return f"{text!r} holds a character that cannot be printed"
    if _NOT_A_VALUE.fullmatch(text):
        return f"'{text}' is not a value"
    formula = f"{text!r} is a formula to a spreadsheet, which would run it; give it another name"
    return formula if is_formula(text) else None
