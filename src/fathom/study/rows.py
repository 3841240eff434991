"""The tables of networks (`runs`, `controls`) and their architectures."""

import re
from pathlib import Path
from typing import ClassVar

from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE, Section, validated, value_at

_NAME = re.compile(r"[^\W\d_][\w-]*")


class Run(Section):
    """A row of one of the tables: one architecture and named changes, in order.

    `fathom.networks.interventions` makes the changes.
    """

    key: ClassVar[str] = "runs"
    architecture: str
    interventions: dict[str, dict[str, object]]


def read_runs(file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read the networks that are compared and exported, in the order of the file."""
    return read_table("runs", file)


def read_controls(file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read the networks that see only what should not tell the label, never exported."""
    return read_table("controls", file)


def read_row(table: str, name: str, file: Path = PARAMS_FILE) -> tuple[Run, str]:
    """Read the row called `name` of `table`, and its architecture's line."""
    _check_name(table, name)
    run = validated(Run, value_at(file, table, name), f"{table}.{name}")
    line = value_at(file, "architectures", run.architecture)
    if not isinstance(line, str):
        raise FathomError(
            f"{file}: 'architectures.{run.architecture}' must be one line of text, not {line!r}"
        )
    return run, line


def read_table(table: str, file: Path = PARAMS_FILE) -> dict[str, Run]:
    """Read all rows of a table, in the order of the file."""
    rows = value_at(file, table)
    if not isinstance(rows, dict) or not rows:
        raise FathomError(f"params.yaml: '{table}' must list at least one run, not {rows!r}")
    for name in map(str, rows):
        _check_name(table, name)
    return {str(name): validated(Run, row, f"{table}.{name}") for name, row in rows.items()}


def _check_name(table: str, name: str) -> None:
    """Refuse what neither DVC's templates, nor a shell, nor a folder would take as it is."""
    if not _NAME.fullmatch(name):
        raise FathomError(
            f"params.yaml: '{table}.{name}' is no name of a row: take letters, digits, - and _, a "
            "letter first"
        )


def read_architectures(file: Path = PARAMS_FILE) -> dict[str, str]:
    """Read the lines of all architectures, by name."""
    lines = value_at(file, "architectures")
    if not isinstance(lines, dict) or not all(isinstance(line, str) for line in lines.values()):
        raise FathomError(f"{file}: 'architectures' must give each name one line of text")
    return {str(name): line for name, line in lines.items()}
