"""Commands about networks: `lines` of text and their cost, `runs` of params.yaml, `cells` kept."""

from pathlib import Path
from typing import Annotated

import typer

from fathom.commands.words import Json, print_json
from fathom.ground.errors import FathomError

# What `lines` is asked.
Lines = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LINE",
        help="Lines to measure. Without any: those of params.yaml, if it is here, and of the "
        "families VGG, plain and residual.",
    ),
]
Width = Annotated[
    int,
    typer.Option(
        "--width",
        help="Divide VGG's filters and units by this; the others begin with as many filters.",
    ),
]
Depths = Annotated[
    list[int] | None,
    typer.Option(
        "--depth", help="Of plain and residual, 6n + 2; repeatable.", show_default="20, 56"
    ),
]
CropPx = Annotated[
    int | None,
    typer.Option("--crop-px", min=1, help="Side of a crop.", show_default="that of params.yaml"),
]
Channels = Annotated[int, typer.Option("--channels", min=1, help="Of a crop.")]
WithNorm = Annotated[
    bool, typer.Option("--with-norm", help="Count parameters under batch or group norm.")
]


def lines(
    given: Lines = None,
    width: Width = 8,
    depth: Depths = None,
    crop_px: CropPx = None,
    channels: Channels = 1,
    with_norm: WithNorm = False,
    as_json: Json = False,
) -> None:
    """Print networks as lines, with their parameters, multiply-adds and receptive field."""
    from fathom.ground.section import PARAMS_FILE, read_section
    from fathom.imaging.params import Crop
    from fathom.networks.line_table import line_table, lines_to_print
    from fathom.networks.recipe import Norm
    from fathom.reports.line_numbers import line_numbers

    if crop_px is None:
        if not PARAMS_FILE.exists():
            raise FathomError(
                f"what a network costs depends on the crops' side, and there is no {PARAMS_FILE} "
                "here to say it: give --crop-px, such as 48"
            )
        crop_px = read_section(Crop).crop_px
    chosen = lines_to_print(given or (), width, depth or (20, 56), crop_px)
    norm: Norm = "batch" if with_norm else "none"
    if as_json:
        print_json([line_numbers(name, line, channels, crop_px, norm) for name, line in chosen])
    else:
        print(line_table(chosen, channels, crop_px, norm=norm))


def runs(
    data: Annotated[Path, typer.Option("--data", help="The folder of the pipeline's data.")] = Path(
        "data"
    ),
    as_json: Json = False,
) -> None:
    """List the rows of params.yaml: what each trains, what it costs, what is done."""
    from fathom.reports.run_table import listed_rows, print_rows

    rows = listed_rows(data)
    if as_json:
        print_json([row._asdict() for row in rows])
    else:
        print_rows(rows)


def cells(
    store: Annotated[
        Path, typer.Option("--store", help="The folder that cells are kept in.")
    ] = Path(".cells"),
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Delete what is damaged, and what was not used for so many --days."
        ),
    ] = False,
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, help="0 with --prune: all.", show_default="30"),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the cells that are kept so that they are not trained twice; --prune makes room."""
    from fathom.reports.cell_table import kept_cells, print_cells, print_pruned, prune_cells

    if prune:
        gone = prune_cells(store, days)
        if as_json:
            print_json([entry._asdict() for entry in gone])
        else:
            print_pruned(store, gone, days)
    elif days is not None:
        raise FathomError(f"--days {days} says what --prune deletes: give both, or neither")
    else:
        kept = kept_cells(store)
        if as_json:
            print_json([entry._asdict() for entry in kept])
        else:
            print_cells(store, kept)
