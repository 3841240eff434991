"""How a stage script runs: its paths from the command line, its errors as sentences.

A script imports this first (`import fathom.ground.stage`): it chooses the instruction sets, which
NumPy and torch read when they are loaded. The workers that train networks choose theirs by the
param `numerics` (`fathom.training.pool`).
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from fathom.ground.errors import FathomError
from fathom.ground.numerics import pin
from fathom.ground.refusals import heed_termination, refusal
from fathom.ground.section import PARAMS_FILE, value_at

pin("portable")

FROM_PARAMS = "params:"  # so begins a word of the command line that is a key of params.yaml
DATA_SET = "images.csv"  # a folder that has it is the user's, who may change it at any time


def run(function: Callable[..., None]) -> None:
    """Call `function` with the command line's arguments, in its own order.

    A `FathomError` is printed as the sentence it is, and the process ends with exit code 2. So it
    does where the system refuses something, and where a data set is no longer what it was when the
    stage began: DVC would take what was made for that of the new one.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    heed_termination()
    try:
        words = arguments(sys.argv[1:])
        read = [Path(word) for word in words if (Path(word) / DATA_SET).is_file()]
        before = _files(read)
        with _ended_well():
            app(words)
        _require_unchanged(before, _files(read))
    except Exception as error:
        told = str(error) if isinstance(error, FathomError) else refusal(error)
        if told is None:
            raise
        print(f"{function.__name__}: {told}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def _ended_well() -> Iterator[None]:
    """Go on where the command line ends the program with the exit code 0."""
    try:
        yield
    except SystemExit as ended:
        if ended.code:
            raise


def _files(folders: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """Return size and time of change of every file of the data sets that are there."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _require_unchanged(
    before: dict[Path, tuple[int, int]], after: dict[Path, tuple[int, int]]
) -> None:
    changed = sorted(
        str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise FathomError(
            f"{changed[0]}{more}: changed while this stage read the data set. What it made is of "
            "neither; run this again when the data set is complete"
        )


def arguments(words: Sequence[str]) -> list[str]:
    """Return the words of a command line, those `params:KEY` as params.yaml has them.

    The folders of data sets are handed on so: DVC would write their names into a line that a shell
    reads, quotes, blanks and dollars included.
    """
    return [
        str(value_at(PARAMS_FILE, *word.removeprefix(FROM_PARAMS).split(".")))
        if word.startswith(FROM_PARAMS)
        else word
        for word in words
    ]
