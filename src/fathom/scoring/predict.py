"""Score new slides with a model file: nuclei found, cut and scored as the study's were; no torch.

`predict` returns the nuclei of one slide, `predict_slides` writes the files of many. Each image is
a slide of its own; which patient it is of, a table beside the images says. What comes out is
described in docs/new-slides.md.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fathom.datasets.layout import MASK_SUFFIXES
from fathom.datasets.masks import mask_named
from fathom.datasets.spellings import alike, rounded
from fathom.datasets.tables import one_form, read_sound_rows
from fathom.ground.errors import FathomError, SlideError
from fathom.ground.images import Labels, Micrograph
from fathom.models.onnx_model import OnnxModel
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_table import SCORE_SCHEMA, with_coordinates
from fathom.results.slide_files import Formats, about
from fathom.scoring.output_folder import (
    require_free,
    require_writable,
    result_base,
    slides_done,
)
from fathom.scoring.scorer import NewSlide, Reading, Scorer, write_summaries
from fathom.scoring.tiles import TILE_PX

PATIENT_COLUMNS = ("image", "patient")


def predict(
    slide: str | Path | Micrograph,
    model: str | Path | OnnxModel,
    *,
    um_per_px: float | None = None,
    assume_um_per_px: float | None = None,
    channel: int | str | None = None,
    tile_px: int = TILE_PX,
    segmenter: Path | None = None,
    masks: str | Path | Labels | None = None,
    force: bool = False,
) -> pd.DataFrame:
    """Score the nuclei of a slide.

    Parameters
    ----------
    slide
        A file of any kind that `fathom predict` reads, or an array, (H, W) grey or (H, W, 3) RGB,
        uint8 or uint16. A file is read a tile at a time, and can be larger than memory.
    model
        A model file that fathom exported, or one that is open: `fathom.models.onnx_model`.
    um_per_px
        Of the slide's full resolution, in place of what the file says.
    assume_um_per_px
        The same, where neither you nor the file knows it. That it is an assumption stands in
        `attrs` of what is returned.
    channel
        Of a file with several, by index from 0 or by name.
    tile_px
        Side of what is worked on at once. The nuclei do not depend on it.
    segmenter
        The network that finds the nuclei, where the model's were found by one; by default, the
        file of its name beside the model (docs/own-segmenter.md).
    masks
        The slide's label image, a file or (H, W) of whole numbers, 0 = background, one number a
        nucleus, at full resolution: for a model whose nuclei come from such,
        `segmentation.method: masks`.
    force
        Score also with a network that failed in training: it diverged, or knows one answer.

    Returns
    -------
    One row a nucleus, row by row of tiles, with the columns of the Parquet file of
    `fathom predict`. Among them: x and y (centroid, px of the image at the model's resolution),
    area_px, left_out ("" or why it was not scored), probability (of the model's positive class),
    class. Its `attrs` are the Parquet file's metadata: the model, the resolution and who states it.

    Raises
    ------
    SlideError
        Where the slide cannot be read or scored with this model; the next one may.
    ModelError
        Where the model file, or its segmenter, cannot be used for any slide.
    FathomError
        The class of both; as it is for another argument that cannot be.

    Examples
    --------
    >>> import fathom
    >>> nuclei = fathom.predict("slide.tif", "model.onnx")
    >>> scored = nuclei[nuclei["left_out"] == ""]
    >>> len(nuclei), len(scored)
    (12, 12)
    >>> sorted(set(scored["class"])) == ["ill", "well"]
    True
    >>> bool(scored["probability"].between(0, 1).all())
    True
    """
    network = model if isinstance(model, OnnxModel) else OnnxModel(Path(model))
    if not force:
        network.card.require_sound(network.path)
    reading = Reading(channel, tile_px, assume_um_per_px)
    scorer = Scorer(network, reading, segmenter=segmenter, masks=masks is not None)
    with scorer.open(Path(slide) if isinstance(slide, str) else slide, um_per_px) as opened:
        grid, image = PixelGrid.of(opened), opened.path.as_posix()
        tiles = scorer.tiles(opened, image, Path(masks) if isinstance(masks, str) else masks)
        tables = [tile.batch.table for tile in tiles if len(tile.batch.table)]
        none = pa.schema(SCORE_SCHEMA).empty_table().to_pandas()
        together = pd.concat(tables, ignore_index=True) if tables else none
        nuclei = with_coordinates(together, grid)
    nuclei.attrs.update(about(grid, network.card, image))
    return nuclei


def predict_slides(
    model: Path,
    slides: Sequence[Path],
    out: Path,
    *,
    um_per_px: float | None = None,
    segmenter: Path | None = None,
    masks: Path | None = None,
    reading: Reading | None = None,
    formats: Formats | None = None,
    patients: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
) -> pd.DataFrame:
    """Score slides and write the files of each, and one summary.csv.

    Parameters
    ----------
    model : a file that fathom exported
    slides : files of any kind that `fathom.slides.opening` reads
    out : the folder to write to
    um_per_px : of the slides' full resolution, in place of what the files say
    segmenter : the network that finds the nuclei, where the model's were found by one
    masks : a folder of label images, named as the slides, where the model's nuclei came from such
    reading : how slides are read, where the files and the model do not say it
    formats : what is written beside GeoJSON, Parquet and PNG
    patients : a table of whose the slides are, for a summary by patient
    overwrite : replace files that are there already
    resume : keep the slides that an earlier call finished, with this model and these options
    force : score also with a network that failed in training: it diverged, or knows one answer

    Returns
    -------
    The table of summary.csv: one row a slide, in the order given, the fields of `Summary`.

    Raises
    ------
    FathomError
        Before any work, where the model or the folder cannot be used, or two slides would write
        the same files. After all of it, where something is to be said of a slide: one that cannot
        be scored does not stop the others, and leaves no file. Where none can, there is no summary.
    """
    network, formats = OnnxModel(model), formats or Formats()
    if not force:
        network.card.require_sound(model)
    scorer = Scorer(network, reading or Reading(), segmenter=segmenter, masks=masks is not None)
    names = read_patients(patients, slides) if patients else None
    new = [_new_slide(slide, out, um_per_px, masks) for slide in slides]
    require_free(new, out, formats, overwrite=overwrite, resume=resume)
    done = slides_done(new, formats, scorer) if resume else {}
    require_writable(out)
    outcomes = scorer.score(new, formats, done=done)
    return write_summaries(new, outcomes, network.card, out, names)


def _new_slide(slide: Path, out: Path, um_per_px: float | None, masks: Path | None) -> NewSlide:
    base = result_base(slide, out)
    mask = None if masks is None else mask_of(slide, masks, base.name)
    return NewSlide(slide, slide.as_posix(), base, um_per_px, mask)


def mask_of(slide: Path, folder: Path, name: str) -> Path:
    """Return the label image called `name` in a folder; raise `SlideError` unless there is one."""
    if found := mask_named(folder, name, slide.as_posix()):
        return found
    raise SlideError(
        f"{slide}: has no label image in {folder}: {name} with one of the endings "
        f"{', '.join(MASK_SUFFIXES)} was expected"
    )


def read_patients(path: Path, images: Sequence[Path]) -> list[str]:
    """Return the patient of each image, in the order of `images`.

    `path` is a CSV file with the columns `image` and `patient`, read by the rules of images.csv
    (`fathom.datasets.tables`); other columns are ignored, and so are images that are not asked for.
    An image stands there as it was given to the command, or by its file name alone.

    Raises `FathomError` where the table cannot be read or has a fault of form, lacks an image or
    has two patients for one, where two of the patients may be one, spelled in two ways, and where a
    spreadsheet rounded one, who may be several.
    """
    known: dict[str, set[str]] = {}
    for name, patient in _read(path):
        known.setdefault(name, set()).add(patient)
    patients = []
    for image in images:
        names = (one_form(image.as_posix()), one_form(image.name))
        found = sorted({patient for name in names for patient in known.get(name, ())})
        if len(found) != 1:
            what = f"has {len(found)} patients: {', '.join(found)}" if found else "is missing"
            raise FathomError(
                f"{path}: the image {image.name!r} {what}; give every image one row, by its path "
                "or its file name, with one patient"
            )
        patients.append(found[0])
    if unclear := next(filter(rounded, patients), None):
        raise FathomError(
            f"{path}: '{unclear}' is a number that a spreadsheet rounded, and several patients may "
            "be in it; write it in full, in a column of the format text"
        )
    if spelled := alike(patients):
        raise FathomError(
            f"{path}: {' and '.join(map(repr, spelled[0]))} may be one patient, who would be "
            f"counted {len(spelled[0])} times; spell every patient in one way"
        )
    return patients


def _read(path: Path) -> list[tuple[str, str]]:
    """Return image and patient of each row."""
    rows = read_sound_rows(path, PATIENT_COLUMNS, "table of patients")
    return [(row.get("image"), row.get("patient")) for row in rows]
