"""How a stage script runs: its paths from the command line, its errors as sentences.

A script imports this first (`import fathom.ground.stage`): it chooses the instruction sets, which
NumPy and torch read when they are loaded. The workers that train networks choose theirs by the
param `numerics` (`fathom.training.pool`).
"""

import sys
from collections.abc import Callable, Sequence

import typer

from fathom.ground.errors import FathomError
from fathom.ground.numerics import pin
from fathom.ground.params_fault import fault_of_params
from fathom.ground.section import PARAMS_FILE, value_at

pin("portable")

FROM_PARAMS = "params:"  # so begins a word of the command line that is a key of params.yaml


def run(function: Callable[..., None]) -> None:
    """Call `function` with the command line's arguments, in its own order.

    A `FathomError` is printed as the sentence it is, and the process ends with exit code 2.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    try:
        app(arguments(sys.argv[1:]))
    except FathomError as error:
        print(f"{function.__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception:
        if (what := fault_of_params()) is None:
            raise
        print(f"{function.__name__}: {what}", file=sys.stderr)
        sys.exit(2)


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
