"""Commands about results: `table`, `why` and the `report`; `compare` and `verify` by commit."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fathom.commands.words import Exit, Json, Markdown, print_json


def table(
    metrics: Annotated[Path, typer.Option("--metrics", help="The folder of metrics.")] = Path(
        "metrics"
    ),
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Print the comparison of all runs, and where to look next."""
    from fathom.reports.report import comparison_numbers, print_comparison

    if as_json:
        print_json(comparison_numbers(metrics))
    else:
        print_comparison(metrics, markdown=markdown)


def why(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="A network that was diagnosed.", show_default="all of them"
        ),
    ] = None,
    verdicts: Annotated[Path, typer.Option("--verdicts", help="The folder of verdicts.")] = Path(
        "verdicts"
    ),
    next_row: Annotated[
        bool,
        typer.Option("--next", help="Print the row that a larger budget would train next, alone."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print why a network fails: the cause, its evidence, its cure, what was spent to find it."""
    from fathom.reports.report import next_rows, print_next_rows, print_verdicts, read_verdicts

    if next_row:
        rows = next_rows(verdicts, run)
        if as_json:
            print_json(rows)
        else:
            print_next_rows(rows)
    elif as_json:
        print_json(read_verdicts(verdicts, run))
    else:
        print_verdicts(verdicts, run)


def report(
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path(
        "report/index.html"
    ),
    show: Annotated[
        bool,
        typer.Option(
            "--open/--no-open", help="Show it in a browser, or only write it; --json never shows."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Write the study as one page, from the tables that git keeps, and open it."""
    from fathom.page.opened import shown_in_browser, write_report

    absent = write_report(out)
    if as_json:
        print_json({"page": out, "bytes": out.stat().st_size, "absent": absent})
        return
    print(out)
    for what in absent:
        print(f"absent: {what}", file=sys.stderr)
    if show:
        shown_in_browser(out)


def compare(
    before: Annotated[
        str, typer.Argument(metavar="BEFORE", help="A revision: branch, tag or commit.")
    ],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The other.")] = "HEAD",
    everything: Annotated[
        bool, typer.Option("--all", help="Also print the measures that did not change.")
    ] = False,
    markdown: Markdown = False,
    as_json: Json = False,
) -> None:
    """Say what changed between two commits: measures with intervals, verdicts, data, params.

    A change whose interval holds 0 is said to be none. Needs no data: it reads what git keeps.
    """
    from fathom.reports.changes import compare_revisions
    from fathom.reports.changes_text import as_dict, print_changes

    changes = compare_revisions(before, after)
    if as_json:
        print_json(as_dict(changes))
    else:
        print_changes(changes, everything=everything, markdown=markdown)


def verify(
    revision: Annotated[
        str,
        typer.Argument(metavar="REVISION", help="The commit whose dvc.lock is compared with."),
    ] = "HEAD",
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="The largest difference of a number.")
    ] = 0.001,
    as_json: Json = False,
) -> None:
    """Say of each stage whether this machine computed what was committed; exit with 1 if not."""
    from fathom.reports import verification

    stages = list(verification.verify(revision, tolerance))
    if as_json:
        print_json([stage._asdict() for stage in stages])
    else:
        verification.print_verification(stages, revision)
    if any(stage.outcome == "different" for stage in stages):
        raise typer.Exit(Exit.NO)
