"""How a stage script runs: its paths from the command line, its errors as sentences."""

import sys
from collections.abc import Callable

import typer

from fathom.errors import FathomError


def run_stage(function: Callable[..., None]) -> None:
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
