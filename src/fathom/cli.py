"""The command `fathom`. Imports what a command needs inside it, so that `--help` starts at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fathom.errors import FathomError

app = typer.Typer(
    name="fathom",
    help="How deep should a network be for your nuclei, and if the deeper one is worse, why?",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def check(
    folder: Annotated[
        Path, typer.Argument(help="A data set: images.csv, annotations.csv, masks/.")
    ],
    new_slides: Annotated[
        bool, typer.Option("--new-slides", help="Labels are not required, as for new slides.")
    ] = False,
) -> None:
    """Name every fault of a data set by file, row and column; exit with 2 if there is one."""
    from fathom.dataset_check import check_dataset

    faults = check_dataset(folder, require_labels=not new_slides)
    for fault in faults:
        print(fault)
    if faults:
        raise FathomError(
            f"{folder}: {len(faults)} fault{'s' * (len(faults) > 1)}; docs/own-data.md says how a "
            "data set is laid out"
        )
    print(f"{folder}: no fault found")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model that fathom exported, MODEL.onnx.")],
    images: Annotated[list[Path], typer.Argument(help="Micrographs: TIFF, PNG or JPEG.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
) -> None:
    """Score the nuclei of new slides: GeoJSON, Parquet and an overlay each, and summary.csv."""
    from fathom.predict import predict_images

    predict_images(model, images, out)


@app.command()
def lines(
    width: Annotated[int, typer.Option("--width", help="Divide filters and units by this.")] = 8,
) -> None:
    """Print the lines of VGG-11 and VGG-13 (configurations A and B), reduced in width."""
    from fathom.architecture import reduced_vgg

    print(f"vgg-11: {reduced_vgg('A', width)}")
    print(f"vgg-13: {reduced_vgg('B', width)}")


@app.command()
def table(
    metrics: Annotated[Path, typer.Option(help="The folder of metrics.")] = Path("metrics"),
    markdown: Annotated[bool, typer.Option(help="Print it as Markdown.")] = False,
) -> None:
    """Print the comparison of all runs, and where to look next."""
    from fathom.report import print_comparison

    print_comparison(metrics, markdown=markdown)


def main() -> None:
    """Run the command line; a mistake of its user's is one sentence and the exit code 2."""
    try:
        app()
    except FathomError as error:
        print(f"fathom: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("fathom: interrupted", file=sys.stderr)
        sys.exit(130)
