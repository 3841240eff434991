"""The command `fathom`. Imports what a command needs inside it, so that `--help` starts at once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fathom.ground.errors import FathomError

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
    from fathom.datasets.check import check_dataset

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
def new(
    folder: Annotated[Path, typer.Argument(help="A folder of images, at any depth.")],
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="Where slide and patient stand in the paths, such as {patient}_{slide}_{field}.",
            show_default="guessed",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="'folders', 'none', or a CSV table: image,label or image,x,y,label.",
            show_default="GeoJSON files named like the images, else folders, to be confirmed",
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes",
            help="A CSV table, image,number,label: the classes of the nuclei in label images of "
            "Cellpose or StarDist, in masks/, beside the images or in a folder of their own.",
        ),
    ] = None,
    um_per_px: Annotated[
        float | None,
        typer.Option("--um-per-px", help="Width of a pixel, of all images."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Make a data set of a folder of images: show its tables, and write them after a yes."""
    from fathom.arranging.arrange import propose, write

    proposal = propose(folder, pattern=pattern, labels=labels, classes=classes, um_per_px=um_per_px)
    print(proposal.text())
    if yes and proposal.question:
        raise FathomError(f"nothing was written. {proposal.question}")
    if not yes and not typer.confirm(f"Write these tables to {folder}?"):
        print("nothing was written")
        return
    write(proposal)
    print(f"written; `fathom check {folder}` names every fault, docs/own-data.md what comes next")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model that fathom exported, MODEL.onnx.")],
    slides: Annotated[
        list[Path],
        typer.Argument(
            help="TIFF, BigTIFF, OME-TIFF, OME-Zarr, PNG, JPEG, CZI, or a scanner's: SVS, NDPI, "
            "MRXS, SCN, DICOM."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    um_per_px: Annotated[
        float | None,
        typer.Option(
            "--um-per-px",
            help="Width of a pixel at full resolution.",
            show_default="what the file says",
        ),
    ] = None,
    assume_um_per_px: Annotated[
        float | None,
        typer.Option(
            "--assume-um-per-px",
            help="The same, of the slides whose files do not say it; every result names it an "
            "assumption.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option("--channel", help="Of several: its number, from 0, or its name."),
    ] = None,
    tile_px: Annotated[
        int,
        typer.Option(
            "--tile-px", help="Side of what is worked on at once; the nuclei do not depend on it."
        ),
    ] = 1024,
    gzip: Annotated[bool, typer.Option("--gzip", help="Write .geojson.gz.")] = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="Also write a label image, .labels.ome.tif.")
    ] = False,
    anndata: Annotated[
        bool, typer.Option("--anndata", help="Also write .h5ad, for scverse.")
    ] = False,
    patients: Annotated[
        Path | None,
        typer.Option(
            "--patients", help="A CSV file, image and patient: also write a summary by patient."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there already.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a call that was ended: slides that it finished with this model and "
            "these options are kept.",
        ),
    ] = False,
    segmenter: Annotated[
        Path | None,
        typer.Option(
            "--segmenter",
            help="The ONNX network that finds the nuclei, where the model's were found by one.",
            show_default="beside the model",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="A folder of label images, named as the slides, where the model's nuclei came "
            "from such.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Score also with a network that failed in training."),
    ] = False,
) -> None:
    """Score the nuclei of new slides: GeoJSON, Parquet and an overlay each, and summary.csv."""
    from fathom.ground.heap import share_one_heap
    from fathom.results.slide_files import Formats
    from fathom.scoring.predict import predict_slides
    from fathom.scoring.scorer import Reading

    share_one_heap()
    number_or_name = int(channel) if channel is not None and channel.isdecimal() else channel
    with _resumable():
        predict_slides(
            model,
            slides,
            out,
            um_per_px=um_per_px,
            segmenter=segmenter,
            masks=masks,
            reading=Reading(number_or_name, tile_px, assume_um_per_px),
            formats=Formats(gzip=gzip, labels=labels, anndata=anndata),
            patients=patients,
            overwrite=overwrite,
            resume=resume,
            force=force,
        )


@contextmanager
def _resumable() -> Iterator[None]:
    """Say how an interrupted call goes on; Typer ends the process without a word."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            "fathom: interrupted; slides that were finished are kept, and the same call with "
            "--resume goes on",
            file=sys.stderr,
        )
        raise


@app.command()
def package(
    model: Annotated[Path, typer.Argument(help="A model that fathom exported, MODEL.onnx.")],
    out: Annotated[Path, typer.Option("--out", help="The zip to write.")],
    params: Annotated[
        Path, typer.Option("--params", help="The YAML file whose section `package` names authors.")
    ] = Path("params.yaml"),
    nuclei: Annotated[
        Path | None,
        typer.Option(
            "--nuclei", help="The study's nuclei, data/nuclei; for `test_crops: study` only."
        ),
    ] = None,
) -> None:
    """Pack a model for bioimage.io: weights, test crops, model card, licence and citations."""
    from fathom.ground.section import read_section
    from fathom.packaging.description import Package
    from fathom.study.nuclei import read_nuclei

    try:
        from fathom.packaging.package import write_package
    except ModuleNotFoundError as error:
        raise FathomError(
            f"`fathom package` needs {error.name}, which comes with the extra 'train': "
            "pip install 'fathom[train]'"
        ) from None

    section = read_section(Package, params)
    write_package(model, out, section, None if nuclei is None else read_nuclei(nuclei))
    print(out)


@app.command()
def lines(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LINE",
            help="Lines to measure. Without any: those of params.yaml, if it is here, and of the "
            "families VGG, plain and residual.",
        ),
    ] = None,
    width: Annotated[
        int,
        typer.Option(
            "--width",
            help="Divide VGG's filters and units by this; the others begin with as many filters.",
        ),
    ] = 8,
    depth: Annotated[
        list[int] | None,
        typer.Option(
            "--depth", help="Of plain and residual, 6n + 2; repeatable.", show_default="20, 56"
        ),
    ] = None,
    crop_px: Annotated[
        int | None,
        typer.Option(
            "--crop-px", min=1, help="Side of a crop.", show_default="that of params.yaml"
        ),
    ] = None,
    channels: Annotated[int, typer.Option("--channels", min=1, help="Of a crop.")] = 1,
    with_norm: Annotated[
        bool, typer.Option("--with-norm", help="Count parameters under batch or group norm.")
    ] = False,
) -> None:
    """Print networks as lines, with their parameters, multiply-adds and receptive field."""
    from fathom.ground.section import PARAMS_FILE, read_section
    from fathom.imaging.params import Crop
    from fathom.networks.line_table import line_table, lines_to_print

    if crop_px is None:
        if not PARAMS_FILE.exists():
            raise FathomError(
                f"what a network costs depends on the crops' side, and there is no {PARAMS_FILE} "
                "here to say it: give --crop-px, such as 48"
            )
        crop_px = read_section(Crop).crop_px
    chosen = lines_to_print(given or (), width, depth or (20, 56), crop_px)
    print(line_table(chosen, channels, crop_px, norm="batch" if with_norm else "none"))


@app.command()
def table(
    metrics: Annotated[Path, typer.Option(help="The folder of metrics.")] = Path("metrics"),
    markdown: Annotated[bool, typer.Option(help="Print it as Markdown.")] = False,
) -> None:
    """Print the comparison of all runs, and where to look next."""
    from fathom.reports.report import print_comparison

    print_comparison(metrics, markdown=markdown)


@app.command()
def why(
    network: Annotated[
        str | None, typer.Argument(help="A network that was diagnosed.", show_default="all")
    ] = None,
    verdicts: Annotated[Path, typer.Option(help="The folder of verdicts.")] = Path("verdicts"),
    next_row: Annotated[
        bool,
        typer.Option("--next", help="Print the row of params.yaml that would decide, alone."),
    ] = False,
) -> None:
    """Print why a network fails: the cause, its evidence, its cure, what was spent to find it."""
    from fathom.reports.report import print_next_row, print_verdicts

    if next_row:
        print_next_row(verdicts, network)
    else:
        print_verdicts(verdicts, network)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report/index.html"),
    show: Annotated[bool, typer.Option("--open/--no-open", help="Show it in a browser.")] = True,
) -> None:
    """Write the study as one page, from the tables that git keeps, and open it."""
    from fathom.page.opened import write_and_open

    write_and_open(out, show=show)


@app.command()
def runs(
    data: Annotated[Path, typer.Option(help="The folder of the pipeline's data.")] = Path("data"),
) -> None:
    """List the rows of params.yaml: what each trains, what it costs, what is done."""
    from fathom.reports.run_table import print_runs

    print_runs(data)


@app.command()
def cells(
    store: Annotated[Path, typer.Option(help="The folder of the cells.")] = Path(".cells"),
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
) -> None:
    """List the cells that are kept so that they are not trained twice; --prune makes room."""
    from fathom.reports.cell_table import print_cells, prune_cells

    if prune:
        prune_cells(store, days)
    elif days is not None:
        raise FathomError(f"--days {days} says what --prune deletes: give both, or neither")
    else:
        print_cells(store)


@app.command()
def verify(
    revision: Annotated[
        str, typer.Option("--revision", help="The commit whose dvc.lock is compared with.")
    ] = "HEAD",
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="The largest difference of a number.")
    ] = 0.001,
) -> None:
    """Say of each stage whether this machine computed what was committed; exit with 1 if not."""
    from fathom.reports.verification import print_verification

    if not print_verification(revision, tolerance):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a mistake of its user's is one sentence and the exit code 2."""
    # Ended by another program, it cleans up as it does when its user interrupts it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except FathomError as error:
        print(f"fathom: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("fathom: interrupted", file=sys.stderr)
        sys.exit(130)
