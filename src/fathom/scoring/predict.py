"""Score new images with a model file: nuclei found, cut and scored as the study's were; no torch.

Each image is a slide of its own. What comes out is described in docs/new-slides.md.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.errors import FathomError
from fathom.images import Labels, Micrograph, read_micrograph, write_picture
from fathom.imaging.crops import cut, describe, scale_of
from fathom.imaging.find_nuclei import FindNuclei, finder
from fathom.output import write_table, written_whole
from fathom.progress import track
from fathom.scoring.geojson import Colour, detections
from fathom.scoring.onnx_model import ModelCard, OnnxModel
from fathom.scoring.overlay import overlay
from fathom.scoring.slide_summary import SUMMARY, Summary, summarise, write_summary

# Vermilion and sky blue of Okabe & Ito 2008: told apart by colour-blind readers, seen on grey.
POSITIVE_COLOUR: Colour = (213, 94, 0)
NEGATIVE_COLOUR: Colour = (86, 180, 233)

COLUMNS = [
    "nucleus",  # "<image>#<label number>"
    "image",
    "label_number",
    "y",  # centroid, px
    "x",
    "top",  # bounding box, px, half open
    "left",
    "bottom",
    "right",
    "area_px",
    "touches_border",
    "focus",
    "left_out",  # why the nucleus was not scored; "" where it was
    "logit",  # float64, NaN where not scored
    "probability",  # of the positive class
    "class",  # str, missing where not scored
]


def predict_images(
    model: Path, images: Sequence[Path], out: Path, *, segmenter: Path | None = None
) -> pd.DataFrame:
    """Score `images` and write, for each, GeoJSON, Parquet and PNG, and one summary.csv.

    Files that are there already are replaced. `segmenter` is the network that finds the nuclei,
    where the model's were found by one (`fathom.imaging.find_nuclei.network_file`).

    Returns
    -------
    The table of summary.csv: one row an image, in the order given, the fields of `Summary`.

    Raises
    ------
    FathomError
        Before any work, where the model or the folder cannot be used, or two images would write
        the same files. After all of it, where something is to be said of an image: one that cannot
        be scored does not stop the others.
    """
    network = OnnxModel(model)
    find = _finder(network, segmenter)
    _require_free_names(images, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        rows = [_row(network, find, image, out) for image in track(images, "scoring", len(images))]
        table = write_summary(rows, out)
    except OSError as error:
        raise FathomError(f"{out}: cannot be written to ({error.strerror})") from None
    if remarks := [row.remark for row in rows if row.remark]:
        raise FathomError(
            f"{len(remarks)} of {len(images)} images could not be scored; {out / SUMMARY} has a "
            "row for every image\n  " + "\n  ".join(remarks)
        )
    return table


def score_nuclei(
    model: OnnxModel, micrograph: Micrograph, labels: Labels, image: str
) -> pd.DataFrame:
    """Score the nuclei of a label image: one row a nucleus, `COLUMNS`."""
    card = model.card
    table = describe(micrograph, labels, card.crop)
    scored = (table["left_out"] == "").to_numpy()
    scale = scale_of([(micrograph, labels)], card.crop)
    crops = cut(micrograph, labels, table[scored], scale, card.crop)
    table["logit"] = table["probability"] = np.nan
    table.loc[scored, ["logit", "probability"]] = np.column_stack(model.score(crops))
    named = np.where(table["probability"] >= card.threshold, card.positive, card.negative)
    table["class"] = pd.Series(named, index=table.index, dtype="str").where(scored)
    table["image"] = pd.Series(image, index=table.index, dtype="str")
    table["nucleus"] = (image + "#") + table["label_number"].astype("str")
    return table[COLUMNS]


def write_image(
    base: Path, micrograph: Micrograph, labels: Labels, table: pd.DataFrame, card: ModelCard
) -> None:
    """Write `<base>.geojson`, `<base>.parquet` and `<base>.png`: all of them, or none."""
    colours = {card.positive: POSITIVE_COLOUR, card.negative: NEGATIVE_COLOUR}
    # with_suffix would cut a name such as `day.2`
    geojson, parquet, png = (
        base.with_name(f"{base.name}.{kind}") for kind in ("geojson", "parquet", "png")
    )
    base.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(geojson) as text_part,
        written_whole(parquet) as table_part,
        written_whole(png) as picture_part,
    ):
        text = detections(table, labels, card.positive, colours)
        text_part.write_text(text, encoding="utf-8")
        write_table(table_part, table)
        write_picture(picture_part, overlay(micrograph, labels, table, colours))


def _row(model: OnnxModel, find: FindNuclei, image: Path, out: Path) -> Summary:
    """Score one image, write its files and return its row; what is wrong with it is in the row."""
    try:
        micrograph = _read(image)
        model.check_channels(micrograph, image)
        labels = find(micrograph)
        table = score_nuclei(model, micrograph, labels, image.as_posix())
        write_image(out / image.stem, micrograph, labels, table, model.card)
    except FathomError as error:
        return Summary(image.as_posix(), remark=str(error))
    return summarise(table, model.card, image.as_posix())


def _read(image: Path) -> Micrograph:
    if image.is_dir():
        raise FathomError(f"{image}: is a folder; name the images in it, such as {image}/*.tif")
    return read_micrograph(image)


def _finder(model: OnnxModel, segmenter: Path | None) -> FindNuclei:
    method = model.card.segmentation.method
    if method == "masks":
        raise FathomError(
            f"{model.path}: was trained on nuclei from label images made elsewhere "
            "(segmentation.method: masks), which a new image does not have. Give them as a data "
            "set (params.yaml: new_slides, docs/new-slides.md), or train with method: threshold"
        )
    if segmenter is not None and method != "onnx":
        raise FathomError(
            f"{model.path}: finds nuclei by {method}, as its study did, and takes no segmenter: "
            "leave out --segmenter"
        )
    return finder(model.card.segmentation, given=segmenter, beside=model.path.parent)


def _require_free_names(images: Sequence[Path], out: Path) -> None:
    """Refuse to write the same file twice, or over an image."""
    there = {image.resolve() for image in images}
    first: dict[str, Path] = {}
    for image in images:
        if image.stem in first:
            raise FathomError(
                f"{first[image.stem]} and {image} would both write '{image.stem}.geojson': score "
                "them in separate calls, each with its own --out, or rename one"
            )
        first[image.stem] = image
        picture = out / f"{image.stem}.png"
        if picture.resolve() in there:
            raise FathomError(f"{picture}: is one of the images; take another folder as --out")
