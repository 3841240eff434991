"""Commands about one's own images: `new` makes a data set of them, `check` finds its faults."""

from pathlib import Path
from typing import Annotated

import typer

from fathom.commands.words import Exit, Folder, Json, print_json
from fathom.ground.errors import FathomError

# What `new` is asked.
ImageFolder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="A folder of images, at any depth.")
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        help="Where slide and patient stand in the paths, such as {patient}_{slide}_{field}.",
        show_default="guessed",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="'folders', 'none', or a CSV table: image,label or image,x,y,label.",
        show_default="GeoJSON files named like the images, else folders, to be confirmed",
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        help="A CSV table, image,number,label: the classes of the nuclei in label images of "
        "Cellpose or StarDist, in masks/, beside the images or in a folder of their own.",
    ),
]
UmPerPx = Annotated[
    float | None,
    typer.Option("--um-per-px", help="Width of a pixel, of all images."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Write without asking.")]


def new(
    folder: ImageFolder,
    pattern: Pattern = None,
    labels: Labels = None,
    classes: Classes = None,
    um_per_px: UmPerPx = None,
    yes: Yes = False,
) -> None:
    """Make a data set of a folder of images: show its tables, and write them after a yes."""
    from fathom.arranging.arrange import propose, write

    proposal = propose(folder, pattern=pattern, labels=labels, classes=classes, um_per_px=um_per_px)
    print(proposal.text())
    if yes and proposal.question:
        raise FathomError(f"nothing was written. {proposal.question}")
    if not yes and not typer.confirm(f"Write these tables to {folder}?"):
        print("nothing was written")
        raise typer.Exit(Exit.NO)
    write(proposal)
    print(f"written; `fathom check {folder}` names every fault, docs/own-data.md what comes next")


def check(
    folder: Folder,
    new_slides: Annotated[
        bool, typer.Option("--new-slides", help="Labels are not required, as for new slides.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name every fault of a data set by file, row and column; exit with 1 if there is one."""
    from dataclasses import asdict

    from fathom.datasets.check import check_dataset

    faults = check_dataset(folder, require_labels=not new_slides)
    if as_json:
        print_json({"folder": folder, "faults": [asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            print(fault)
        print(_found(folder, len(faults)))
    if faults:
        raise typer.Exit(Exit.NO)


def _found(folder: Path, faults: int) -> str:
    if not faults:
        return f"{folder}: no fault found"
    return (
        f"{folder}: {faults} fault{'s' * (faults > 1)}; docs/own-data.md says how a data set is "
        "laid out"
    )
