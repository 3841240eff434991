"""Commands about a trained network: `predict` scores slides with it, `package` hands it on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fathom.commands.words import Model
from fathom.ground.errors import FathomError

# What `predict` is asked.
Slides = Annotated[
    list[Path],
    typer.Argument(
        metavar="SLIDE",
        help="TIFF, BigTIFF, OME-TIFF, OME-Zarr, PNG, JPEG, CZI, or a scanner's: SVS, NDPI, "
        "MRXS, SCN, DICOM.",
    ),
]
ScoredFolder = Annotated[Path, typer.Option("--out", help="The folder to write to.")]
UmPerPx = Annotated[
    float | None,
    typer.Option(
        "--um-per-px",
        help="Width of a pixel at full resolution.",
        show_default="what the file says",
    ),
]
AssumeUmPerPx = Annotated[
    float | None,
    typer.Option(
        "--assume-um-per-px",
        help="The same, of the slides whose files do not say it; every result names it an "
        "assumption.",
    ),
]
Channel = Annotated[
    str | None,
    typer.Option("--channel", help="Of several: its number, from 0, or its name."),
]
TilePx = Annotated[
    int,
    typer.Option(
        "--tile-px", help="Side of what is worked on at once; the nuclei do not depend on it."
    ),
]
Gzip = Annotated[bool, typer.Option("--gzip", help="Write .geojson.gz.")]
LabelImages = Annotated[
    bool,
    typer.Option("--label-images", help="Also write a label image, .labels.ome.tif."),
]
AnnData = Annotated[bool, typer.Option("--anndata", help="Also write .h5ad, for scverse.")]
Patients = Annotated[
    Path | None,
    typer.Option(
        "--patients", help="A CSV file, image and patient: also write a summary by patient."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are there already.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a call that was ended: slides that it finished with this model and "
        "these options are kept.",
    ),
]
Segmenter = Annotated[
    Path | None,
    typer.Option(
        "--segmenter",
        help="The ONNX network that finds the nuclei, where the model's were found by one.",
        show_default="beside the model",
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        help="A folder of label images, named as the slides, where the model's nuclei came "
        "from such.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Score also with a network that failed in training."),
]


def predict(
    model: Model,
    slides: Slides,
    out: ScoredFolder,
    um_per_px: UmPerPx = None,
    assume_um_per_px: AssumeUmPerPx = None,
    channel: Channel = None,
    tile_px: TilePx = 1024,
    gzip: Gzip = False,
    label_images: LabelImages = False,
    anndata: AnnData = False,
    patients: Patients = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    segmenter: Segmenter = None,
    masks: Masks = None,
    force: Force = False,
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
            formats=Formats(gzip=gzip, labels=label_images, anndata=anndata),
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


def package(
    model: Model,
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
