"""Tables as CSV, whole or absent: the same rows give the same bytes on every system."""

import re
from pathlib import Path

import pandas as pd

from fathom.ground.output import written_whole

# What a spreadsheet runs, when it opens a CSV, in place of showing it (OWASP, CSV injection). A
# sign alone, or before a number or a word, is a class (`+`, `-ve`) or a coordinate, and no formula.
_FORMULA = re.compile(r"[=@\t\r\uff1d\uff20]|[+\-\uff0b\uff0d].*[(|!]", re.DOTALL)


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet would take the text of a cell for a formula."""
    return _FORMULA.match(text) is not None


def write_csv(
    path: Path, table: pd.DataFrame, *, float_format: str | None = None, as_it_is: bool = False
) -> None:
    """Write a table, without its index, in UTF-8 with line feeds.

    A cell that a spreadsheet would run gets an apostrophe before it, which shows it as text: names
    come from files, models and tables of others. `as_it_is` leaves that out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        shown = table if as_it_is else shown_as_text(table)
        shown.to_csv(part, index=False, lineterminator="\n", float_format=float_format)


def shown_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with an apostrophe before every cell that `is_formula`."""
    shown = table.copy()
    for column in table.columns:
        cells = table[column].tolist()
        runs = [isinstance(cell, str) and is_formula(cell) for cell in cells]
        if any(runs):
            shown[column] = [
                f"'{cell}" if run else cell for cell, run in zip(cells, runs, strict=True)
            ]
    return shown
