"""How a slide is scored, whoever asks: the stage `predict`, `fathom predict`, `fathom.predict`.

A slide is opened at the model's resolution, streamed tile by tile, and its nuclei are found by the
model's own means: a threshold, a network of the user's, or label images made elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from glob import escape
from pathlib import Path
from platform import node

import pandas as pd

from fathom.datasets.masks import mask_of_array, read_mask
from fathom.ground.errors import FathomError, ModelError, SlideError
from fathom.ground.heap import share_one_heap
from fathom.ground.images import Labels, Micrograph
from fathom.ground.progress import track
from fathom.ground.workers import (
    ATTEMPTS,
    Done,
    Ended,
    Failed,
    Task,
    UnfitWorkerError,
    outcomes,
    scheduler,
)
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_writer import NucleiBatch
from fathom.results.overlay import LONGEST_PX
from fathom.results.slide_files import Formats, slide_files
from fathom.results.summary import (
    SUMMARY,
    ScoredSlide,
    Summary,
    summary_of_slide,
    write_patients,
    write_summary,
)
from fathom.scoring.segmenter import open_segmenter, require_masks
from fathom.scoring.slide_progress import Place, SlideProgress
from fathom.scoring.stream import Tile, measure_slide, stream
from fathom.scoring.tiles import TILE_PX, require_tile
from fathom.slides.opening import open_slide, slide_of
from fathom.slides.slide import ArrayReader, Slide, overview


@dataclass(frozen=True)
class Reading:
    """How slides are read, where the files and the model do not say it."""

    channel: int | str | None = None  # of several, by index from 0 or by name
    tile_px: int = TILE_PX  # side of what is worked on at once; the nuclei do not depend on it
    # Of a file's full resolution, where neither the user nor the file says it.
    assumed_um_per_px: float | None = None


@dataclass(frozen=True)
class NewSlide:
    """A slide to score, and where its results go."""

    path: Path
    image: str  # its name in the results
    base: Path  # the path of its results, without their endings
    um_per_px: float | None = None  # of its full resolution, in place of what the file says
    masks: Path | None = None  # its label image, where the model's nuclei come from such


# Is told of every batch of a slide's nuclei as it comes.
Watch = Callable[[NewSlide, PixelGrid, NucleiBatch], None]


class Scorer:
    """A model with all it needs to score slides.

    Parameters
    ----------
    model : that was checked
    segmenter : the network that finds the nuclei, where the model's were found by one; None for the
        one beside the model
    masks : whether each slide comes with a label image

    Raises `FathomError` where the model's nuclei cannot be found so.
    """

    def __init__(
        self,
        model: OnnxModel,
        reading: Reading,
        *,
        segmenter: Path | None = None,
        masks: bool = False,
    ) -> None:
        require_tile(reading.tile_px)
        require_masks(model, given=masks)
        self.model = model
        self.reading = reading
        self._segmenter, self._masks = segmenter, masks
        self._network = open_segmenter(model, segmenter)

    def open(self, slide: Path | Micrograph, um_per_px: float | None) -> Slide:
        """Open a file, or an array, at the resolution and with the channels of the model."""
        card, assumed = self.model.card, self.reading.assumed_um_per_px
        if isinstance(slide, Path):
            return open_slide(
                slide,
                um_per_px=card.um_per_px,
                own_um_per_px=um_per_px,
                assumed_um_per_px=assumed,
                channel=self.reading.channel,
                channels=card.channels,
            )
        source = ArrayReader(slide, Path("array"))
        self.model.check_channels(slide, source.path)
        return slide_of(source, card.um_per_px, given=um_per_px, assumed=assumed)

    def tiles(self, slide: Slide, image: str, masks: Path | Labels | None) -> Iterator[Tile]:
        """Yield the tiles of an open slide with their scored nuclei; `image` is its name."""
        if isinstance(masks, Path):
            labels: Labels | None = read_mask(masks)
        else:
            labels = None if masks is None else mask_of_array(masks, Path("masks"))
        measured = measure_slide(slide, self.model.card, self._network, labels)
        return stream(measured, self.model, image, self.reading.tile_px)

    def origin(self, slide: NewSlide) -> dict[str, str | float | None]:
        """Return what of a call decides about a slide's nuclei, for `--resume`."""
        return {
            "model_sha256": self.model.sha256,
            "given_um_per_px": slide.um_per_px,
            "assumed_um_per_px": self.reading.assumed_um_per_px,
            "channel": self.reading.channel,
            "label_image": None if slide.masks is None else slide.masks.as_posix(),
        }

    def score(
        self,
        slides: Sequence[NewSlide],
        formats: Formats,
        *,
        done: Mapping[Path, ScoredSlide],
        watch: Watch | None = None,
    ) -> list[ScoredSlide | FathomError]:
        """Score slides and write the files of each; return what each came to, or what failed.

        `done` holds what slides came to that are finished already, by their `base`. Several are
        scored in a process apart, or by the workers of a cluster: their decoders are native code,
        and a file can end the process that reads it. Who watches has the nuclei in this process.
        """
        if watch is None and (scheduler() or sum(one.base not in done for one in slides) > 1):
            return self._score_apart(slides, formats, done)
        found: list[ScoredSlide | FathomError] = []
        with SlideProgress(len(slides)) as progress:
            for number, slide in enumerate(slides, start=1):
                try:
                    known = done.get(slide.base)
                    found.append(known or self.write(slide, formats, number, progress, watch))
                except FathomError as error:
                    found.append(error)
        return found

    def _score_apart(
        self, slides: Sequence[NewSlide], formats: Formats, done: Mapping[Path, ScoredSlide]
    ) -> list[ScoredSlide | FathomError]:
        own = self.model.path, self.model.sha256, self.reading, self._segmenter, self._masks
        found: dict[Path, ScoredSlide | FathomError] = dict(done)
        left, tasks = [], []
        for number, slide in enumerate(slides, start=1):
            if slide.base not in found:
                place = Place(number, len(slides))
                left.append(slide)
                tasks.append(Task(slide.image, _score, (*own, slide, formats, place), None))
        come = outcomes(tasks, at_once=1)
        for number, outcome in track(come, "scoring", len(tasks)) if scheduler() else come:
            slide = left[number]
            match outcome:
                case Done(value):
                    found[slide.base] = value
                case Failed(error):
                    if isinstance(error, UnfitWorkerError) or not isinstance(error, FathomError):
                        raise error
                    found[slide.base] = error
                case Ended(how):
                    _forget_parts(slide, formats)
                    found[slide.base] = SlideError(
                        f"{slide.path}: the process that read it was ended {how}, {ATTEMPTS} "
                        "times: the file is damaged so that its reader does not survive it, or "
                        "memory ran out; the other slides are not concerned. Save the file again "
                        "from its source, or leave it out"
                    )
        return [found[slide.base] for slide in slides]

    def write(
        self,
        new: NewSlide,
        formats: Formats,
        number: int,
        progress: SlideProgress,
        watch: Watch | None,
    ) -> ScoredSlide:
        """Score one slide and write its files, all of them or none."""
        card, origin = self.model.card, self.origin(new)
        with self.open(new.path, new.um_per_px) as slide, progress.slide(slide, number) as passed:
            tiles = self.tiles(slide, new.image, new.masks)
            picture, _ = overview(slide, LONGEST_PX, by_pyramid=True)
            grid = PixelGrid.of(slide)
            with slide_files(new.base, grid, picture, card, new.image, formats, origin) as files:
                for tile in tiles:
                    files.add(tile.batch)
                    passed.tile(tile.core, len(tile.batch.table))
                    if watch:
                        watch(new, grid, tile.batch)
            return ScoredSlide(files.tally, slide.resolution)


def _score(
    model: Path,
    sha256: str,
    reading: Reading,
    segmenter: Path | None,
    masks: bool,
    slide: NewSlide,
    formats: Formats,
    place: Place,
) -> ScoredSlide:
    """Score one slide in a worker, and write its files."""
    scorer = _opened(model, reading, segmenter, masks)
    if scorer.model.sha256 != sha256:
        raise ModelError(f"{model}: is another file on {node()} than where the slides were listed")
    with SlideProgress(place.of) as progress:
        return scorer.write(slide, formats, place.number, progress, None)


def _forget_parts(slide: NewSlide, formats: Formats) -> None:
    """Delete what a process that is no more had begun to write (`ground.output.written_whole`)."""
    for path in formats.paths(slide.base).values():
        for part in path.parent.glob(f".{escape(path.name)}.*.part"):
            part.unlink(missing_ok=True)


@cache  # a worker opens its model once
def _opened(model: Path, reading: Reading, segmenter: Path | None, masks: bool) -> Scorer:
    share_one_heap()
    return Scorer(OnnxModel(model), reading, segmenter=segmenter, masks=masks)


def write_summaries(
    slides: Sequence[NewSlide],
    outcomes: Sequence[ScoredSlide | FathomError],
    card: ModelCard,
    out: Path,
    patients: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Write the summaries; raise `FathomError` where something is to be said of a slide."""
    rows = [
        summary_of_slide(found, card, slide.image)
        if isinstance(found, ScoredSlide)
        else Summary(slide.image, remark=str(found))
        for slide, found in zip(slides, outcomes, strict=True)
    ]
    remarks = [row.remark for row in rows if row.remark]
    tallies = [found.tally if isinstance(found, ScoredSlide) else None for found in outcomes]
    if slides and not any(tallies):
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
