"""The tables of networks (`runs`, `controls`) and their architectures.

A row's name becomes the name of a DVC stage, of files, and a word of commands: it consists of
letters, digits, `-` and `_`, and begins with a letter. So does that of an architecture. Where
results stand side by side, those of the statistical classifiers come after the runs, by names of
their own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal, get_args

from fathom.ground.errors import FathomError
from fathom.ground.section import PARAMS_FILE, Section, validated, value_at

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

Classifier = Literal["logistic", "svm", "forest"]
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)
PREFIX = "baseline-"  # of a classifier, where runs stand beside it


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
    _require_names(file, table, [name])
    run = validated(Run, value_at(file, table, name), f"{table}.{name}")
    _require_names(file, "architectures", [run.architecture])
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
    _require_names(file, table, rows)
    return {str(name): validated(Run, row, f"{table}.{name}") for name, row in rows.items()}


def _require_names(file: Path, table: str, names: Iterable[object]) -> None:
    """Raise `FathomError` that lists names which DVC, a shell or a file system would mistake."""
    if wrong := [name for name in names if not isinstance(name, str) or not _NAME.fullmatch(name)]:
        raise FathomError(
            f"{file}: '{table}' has the name {', '.join(map(repr, wrong))}; a name consists of "
            "letters a to z, digits, '-' and '_', and begins with a letter, such as small-lr0001"
        )


def read_architectures(file: Path = PARAMS_FILE) -> dict[str, str]:
    """Read the lines of all architectures, by name."""
    lines = value_at(file, "architectures")
    if not isinstance(lines, dict) or not all(isinstance(line, str) for line in lines.values()):
        raise FathomError(f"{file}: 'architectures' must give each name one line of text")
    _require_names(file, "architectures", lines)
    return {str(name): line for name, line in lines.items()}


def baseline_name(classifier: Classifier) -> str:
    """Return what a statistical classifier is called where runs stand beside it."""
    return f"{PREFIX}{classifier}"


def names_in_order(runs: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the runs, in their order, and of the statistical classifiers."""
    classifiers = tuple(map(baseline_name, CLASSIFIERS))
    names = tuple(runs)
    if taken := sorted(set(names) & set(classifiers)):
        raise FathomError(
            f"params.yaml: the run '{taken[0]}' has the name of a classifier's results: rename it"
        )
    return names + classifiers


def is_classifier(name: str) -> bool:
    """Return whether `name` is that of a statistical classifier, not of a run."""
    return name in map(baseline_name, CLASSIFIERS)


def short(name: str) -> str:
    """Return a name as tables and pictures print it: a classifier without its prefix."""
    return name.removeprefix(PREFIX) if is_classifier(name) else name
