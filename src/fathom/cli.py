"""The command `fathom`: which commands there are, their order in the help, how they end."""

import sys
import traceback
from typing import Annotated

import typer

from fathom.commands import data, networks, recovery, results, slides
from fathom.commands.examples import epilog
from fathom.commands.words import Exit
from fathom.ground.errors import FathomError
from fathom.ground.refusals import heed_termination, refusal

app = typer.Typer(
    name="fathom",
    help="How deep should a network be for your nuclei, and if the deeper one is worse, why?",
    epilog="docs/command-line.md has every option, every example and the exit codes.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# A command's module imports little, and the command itself what it needs: `fathom --help` starts
# at once.
COMMANDS = {
    "Your images": (data.new, data.check),
    "Networks": (networks.lines, networks.runs, networks.cells, recovery.recover),
    "Results": (results.table, results.why, results.report, results.compare, results.verify),
    "A trained network": (slides.predict, slides.package),
}
for group, functions in COMMANDS.items():
    for function in functions:
        name = function.__name__
        app.command(name, rich_help_panel=group, epilog=epilog(name))(function)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"fathom {version('fathom')}")
        raise typer.Exit(Exit.DONE)


@app.callback()
def fathom(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit."),
    ] = False,
) -> None:
    """Take what stands before the command's name."""


def main() -> None:
    """Run the command line; a mistake of its user's is one sentence and the exit code 2."""
    heed_termination()
    try:
        app()
    except FathomError as error:
        print(f"fathom: {error}", file=sys.stderr)
        sys.exit(Exit.MISTAKE)
    except KeyboardInterrupt:
        print("fathom: interrupted", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        if told := refusal(error):
            print(f"fathom: {told}", file=sys.stderr)
            sys.exit(Exit.MISTAKE)
        traceback.print_exc()
        sys.exit(Exit.FAULT)
