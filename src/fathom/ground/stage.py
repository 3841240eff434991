"""How a stage script runs: its paths from the command line, its errors as sentences.

A script imports this first (`import fathom.ground.stage`): it chooses the instruction sets, which
NumPy and torch read when they are loaded. The workers that train networks choose theirs by the
param `numerics` (`fathom.training.pool`).
"""

import sys
from collections.abc import Callable

import typer

from fathom.ground.errors import FathomError
from fathom.ground.numerics import pin

pin("portable")


def run(function: Callable[..., None]) -> None:
    """Call `function` with the command line's arguments, in its own order.

    A `FathomError` is printed as the sentence it is, and the process ends with exit code 2.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    try:
        app()
    except FathomError as error:
        print(f"{function.__name__}: {error}", file=sys.stderr)
        sys.exit(2)
