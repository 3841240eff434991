"""Score new slides with a model file: nuclei found, cut and scored as the study's were; no torch.

`predict` returns the nuclei of one slide, `predict_slides` writes the files of many. Each image is
a slide of its own. What comes out is described in docs/new-slides.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fathom.ground.errors import FathomError
from fathom.ground.images import Micrograph
from fathom.imaging.segmenter_network import SegmenterNetwork
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.coordinates import Frame
from fathom.results.nuclei_table import MEASURED, placed
from fathom.results.overlay import LONGEST_PX
from fathom.results.slide_files import Formats, slide_files
from fathom.results.summary import (
    SUMMARY,
    Summary,
    Tally,
    summary_of,
    write_patients,
    write_summary,
)
from fathom.scoring.output_folder import (
    require_free,
    require_writable,
    result_base,
    tallies_of_done,
)
from fathom.scoring.patients import read_patients
from fathom.scoring.progress import SlideProgress
from fathom.scoring.segmenter import open_segmenter
from fathom.scoring.stream import measure_slide, stream
from fathom.scoring.tiles import TILE_PX, require_tile
from fathom.slides.opening import open_array, open_slide
from fathom.slides.overview import overview
from fathom.slides.slide import Slide


@dataclass(frozen=True)
class Reading:
    """How slides are read, where the files and the model do not say it."""

    um_per_px: float | None = None  # of the files' full resolution, in place of what they say
    channel: int | str | None = None  # of several, by index from 0 or by name
    tile_px: int = TILE_PX  # side of what is worked on at once; the nuclei do not depend on it

    def open(self, path: Path, card: ModelCard) -> Slide:
        """Open a file at the resolution and with the channels that the model needs."""
        return open_slide(
            path,
            um_per_px=card.um_per_px,
            own_um_per_px=self.um_per_px,
            channel=self.channel,
            channels=card.channels,
        )


def predict(
    slide: str | Path | Micrograph,
    model: str | Path | OnnxModel,
    *,
    um_per_px: float | None = None,
    channel: int | str | None = None,
    tile_px: int = TILE_PX,
    segmenter: Path | None = None,
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
        Of the slide's full resolution, in place of what the file says. An array without it is
        taken to be at the model's resolution.
    channel
        Of a file with several, by index from 0 or by name.
    tile_px
        Side of what is worked on at once. The nuclei do not depend on it.
    segmenter
        The network that finds the nuclei, where the model's were found by one; by default, the
        file of its name beside the model (docs/own-segmenter.md).

    Returns
    -------
    One row a nucleus, row by row of tiles, with the columns of the Parquet file of
    `fathom predict`. Among them: x and y (centroid, px of the image at the model's resolution),
    area_px, left_out ("" or why it was not scored), probability (of the model's positive class),
    class.

    Raises
    ------
    FathomError
        Where the slide or the model cannot be read, or do not fit.

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
    finder = open_segmenter(network, segmenter)
    reading = Reading(um_per_px, channel, tile_px)
    if isinstance(slide, np.ndarray):
        needed = network.card.um_per_px
        opened = open_array(slide, um_per_px=needed, own_um_per_px=um_per_px)
        network.check_channels(slide, opened.path)
    else:
        opened = reading.open(Path(slide), network.card)
    with opened:
        measured = measure_slide(opened, network.card, finder)
        tiles = stream(measured, network, opened.path.as_posix(), tile_px)
        tables = [tile.batch.table for tile in tiles if len(tile.batch.table)]
        none = pa.schema(MEASURED).empty_table().to_pandas()
        together = pd.concat(tables, ignore_index=True) if tables else none
        return placed(together, frame_of(opened))


def predict_slides(
    model: Path,
    slides: Sequence[Path],
    out: Path,
    *,
    segmenter: Path | None = None,
    reading: Reading | None = None,
    formats: Formats | None = None,
    patients: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> pd.DataFrame:
    """Score slides and write the files of each, and one summary.csv.

    Parameters
    ----------
    model : a file that fathom exported
    slides : files of any kind that `fathom.slides.opening` reads
    out : the folder to write to
    segmenter : the network that finds the nuclei, where the model's were found by one
    reading : how slides are read, where the files and the model do not say it
    formats : what is written beside GeoJSON, Parquet and PNG
    patients : a table of whose the slides are, for a summary by patient
    overwrite : replace files that are there already
    resume : keep the slides that an earlier call finished, with this model and these options

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
    network = OnnxModel(model)
    call = _Call(
        network, open_segmenter(network, segmenter), out, reading or Reading(), formats or Formats()
    )
    require_tile(call.reading.tile_px)
    names = read_patients(patients, slides) if patients else None
    require_free(slides, out, call.formats, overwrite=overwrite, resume=resume)
    done = tallies_of_done(slides, out, call.formats, call.origin, network.card) if resume else {}
    require_writable(out)
    return _summarised(slides, call.outcomes(slides, done), names, network.card, out)


@dataclass(frozen=True)
class _Call:
    """What is the same for all slides of a call."""

    model: OnnxModel
    finder: SegmenterNetwork | None
    out: Path
    reading: Reading
    formats: Formats

    @property
    def origin(self) -> dict[str, str | float | None]:
        """Return what of a call decides about a slide's nuclei."""
        return {
            "model_sha256": self.model.sha256,
            "given_um_per_px": self.reading.um_per_px,
            "channel": self.reading.channel,
        }

    def outcomes(
        self, slides: Sequence[Path], done: Mapping[Path, Tally]
    ) -> list[Tally | FathomError]:
        """Score all slides but those that are `done`; return the counts of each, or what failed."""
        found: list[Tally | FathomError] = []
        with SlideProgress(len(slides)) as progress:
            for number, slide in enumerate(slides, start=1):
                try:
                    known = slide in done
                    found.append(done[slide] if known else self._write(slide, number, progress))
                except FathomError as error:
                    found.append(error)
        return found

    def _write(self, path: Path, number: int, progress: SlideProgress) -> Tally:
        """Score one slide and write its files, all of them or none; return its counts."""
        card, image, base = self.model.card, path.as_posix(), result_base(path, self.out)
        with self.reading.open(path, card) as slide, progress.slide(slide, number) as passed:
            measured = measure_slide(slide, card, self.finder)
            picture, _ = overview(slide, LONGEST_PX, by_pyramid=True)
            frame = frame_of(slide)
            with slide_files(base, frame, picture, card, image, self.formats, self.origin) as files:
                for tile in stream(measured, self.model, image, self.reading.tile_px):
                    files.add(tile.batch)
                    passed.tile(tile.core, len(tile.batch.table))
            return files.tally


def _summarised(
    slides: Sequence[Path],
    outcomes: Sequence[Tally | FathomError],
    patients: Sequence[str] | None,
    card: ModelCard,
    out: Path,
) -> pd.DataFrame:
    """Write the summaries; raise `FathomError` where something is to be said of a slide."""
    rows = [
        summary_of(found, card, slide.as_posix())
        if isinstance(found, Tally)
        else Summary(slide.as_posix(), remark=str(found))
        for slide, found in zip(slides, outcomes, strict=True)
    ]
    remarks = [row.remark for row in rows if row.remark]
    tallies = [found if isinstance(found, Tally) else None for found in outcomes]
    if not any(tallies):
        raise FathomError("\n  ".join(["no image could be scored; nothing was written", *remarks]))
    try:
        table = write_summary(rows, out)
        if patients is not None:
            write_patients(tallies, patients, card, out)
    except OSError as error:
        raise FathomError(f"{out / SUMMARY}: cannot be written ({error.strerror})") from None
    if remarks:
        heading = (
            f"{len(remarks)} of {len(slides)} images could not be scored; {out / SUMMARY} has a "
            "row for every image"
        )
        raise FathomError("\n  ".join([heading, *remarks]))
    return table


def frame_of(slide: Slide) -> Frame:
    """Return the frame of a slide's view."""
    return Frame(slide.height, slide.width, slide.um_per_px, slide.downsample, slide.stretch)
