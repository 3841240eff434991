"""The nuclei of a slide that is larger than memory, scored a tile at a time.

1. A fixed sample is measured: what the slide's nuclei have in common, and its scale of greys.
2. Tiles are read with a margin, segmented, cut and scored, several at once; a nucleus belongs to
   the tile that holds its centroid. Reading is ahead of segmentation, and while one tile is
   segmented another's crops are in the network. Results leave in the tiles' order, and never more
   than a few are at hand.

No label, mask or probability depends on the tiles' size or on how many are worked on at once:
the sample is fixed, filters' grids are the slide's, and a window's margin holds all that bears on
the nuclei of its core. docs/streaming.md has what was measured.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd

from fathom.ground.images import Labels, Micrograph
from fathom.imaging.crops import Scale, cut, describe, scale_of
from fathom.imaging.regions import Regions
from fathom.imaging.segmenter_network import SegmenterNetwork
from fathom.imaging.window import Rectangle, Window
from fathom.models.onnx_model import ModelCard, OnnxModel
from fathom.results.nuclei_table import SCORE_COLUMNS
from fathom.results.nuclei_writer import NucleiBatch
from fathom.scoring.segmenter import MaskSegmenter, SlideSegmenter, measure_segmenter
from fathom.scoring.tiles import (
    TILE_PX,
    Everywhere,
    Touches,
    is_small,
    require_tile,
    sample,
    tiles,
    tiles_in_parallel,
    whole_slide,
)
from fathom.slides.slide import Slide
from fathom.slides.tissue import tissue

Item = TypeVar("Item")
Read = TypeVar("Read")
Result = TypeVar("Result")


@dataclass(frozen=True)
class MeasuredSlide:
    """A slide, and what holds for all of it."""

    slide: Slide
    tissue: Touches
    segmenter: SlideSegmenter | None  # None where the sample has no nuclei
    scale: Scale | None  # None where each nucleus has its own


@dataclass(frozen=True)
class Tile:
    """A tile that was worked on."""

    core: Rectangle
    batch: NucleiBatch


def measure_slide(
    slide: Slide,
    card: ModelCard,
    network: SegmenterNetwork | None = None,
    masks: Labels | None = None,
) -> MeasuredSlide:
    """Measure the sample of a slide, from which follows what holds for all of it.

    `network` is what `open_segmenter` returned, `masks` the slide's label image, (H, W) int32 at
    full resolution, where the model's nuclei come from such.
    """
    if masks is not None:
        return _measured_by_masks(slide, card, MaskSegmenter.of(masks, slide))
    where = Everywhere() if is_small(slide) else tissue(slide, card.segmentation.stain)
    parts = [_read(slide, part) for part in sample(slide, where)]
    measured = measure_segmenter(slide, parts, card, network)
    if measured is None:
        return MeasuredSlide(slide, where, None, None)
    segmenter, labels = measured
    scale = scale_of(zip(parts, labels, strict=True), card.crop)
    return MeasuredSlide(slide, where, segmenter, scale)


def _measured_by_masks(slide: Slide, card: ModelCard, masks: MaskSegmenter) -> MeasuredSlide:
    parts = sample(slide, masks) if masks.labels.any() else []
    if not parts:
        return MeasuredSlide(slide, masks, None, None)
    pairs = [(_read(slide, part), masks.part(part)) for part in parts]
    return MeasuredSlide(slide, masks, masks, scale_of(pairs, card.crop))


def stream(
    measured: MeasuredSlide, model: OnnxModel, image: str, tile_px: int = TILE_PX
) -> Iterator[Tile]:
    """Yield the tiles of a slide, row by row, each with its scored nuclei.

    Parameters
    ----------
    measured : `measure_slide` of the slide
    image : the slide's name, in the nuclei's
    tile_px : side of a tile's core

    Nuclei are numbered 1..n as they come. Raises `FathomError` where the file is damaged.
    """
    require_tile(tile_px)
    segmenter = measured.segmenter
    if segmenter is None:
        return
    windows = tiles(measured.slide, measured.tissue, tile_px, segmenter.reach_px)
    worked = read_and_work(
        windows,
        lambda window: _read(measured.slide, window.frame),
        partial(_score_tile, measured, segmenter, model),
        tiles_in_parallel(tile_px, segmenter.reach_px),
    )
    number = 0
    for tile in worked:
        table = tile.batch.table
        table["label_number"] = np.arange(number + 1, number + len(table) + 1)
        number += len(table)
        yield Tile(tile.core, NucleiBatch(with_names(table, image), tile.batch.masks))


def _read(slide: Slide, part: Rectangle) -> Micrograph:
    return slide.read(part.top, part.left, part.height, part.width)


def _score_tile(
    measured: MeasuredSlide,
    segmenter: SlideSegmenter,
    model: OnnxModel,
    window: Window,
    micrograph: Micrograph,
) -> Tile:
    """Find, cut and score the nuclei of a window's core; they are not named yet."""
    labels, narrow = segmenter.nuclei(micrograph, window)
    micrograph = micrograph[narrow.frame.slices(window.frame)]
    labels = _own_nuclei(labels, narrow, segmenter.largest_px, measured.tissue)
    frame, everything = narrow.frame, whole_slide(measured.slide)
    border = everything.moved(-frame.top, -frame.left)
    table = score_labels(model, micrograph, labels, measured.scale, border)
    batch = NucleiBatch.of_labels(table, labels)
    table[["y", "top", "bottom"]] += frame.top
    table[["x", "left", "right"]] += frame.left
    return Tile(window.core, batch)


def _own_nuclei(labels: Labels, window: Window, largest_px: float, tissue: Touches) -> Labels:
    """Keep the nuclei that are the core's: in no other tile, not too large, on tissue; 1..n."""
    regions = Regions.of(labels)
    # In pixels of the slide, and rounded half up, so that every window says the same.
    corners = regions.boxes[:, :2] + (window.frame.top, window.frame.left)
    centres = np.floor(corners + regions.from_corners() + 0.5)
    sizes = regions.boxes[:, 2:] - regions.boxes[:, :2]
    narrow = sizes.max(axis=1, initial=0) < largest_px
    kept = np.zeros(labels.max(initial=0) + 1, dtype=bool)
    for number, centre, corner, size, fits in zip(
        regions.labels, centres.tolist(), corners.tolist(), sizes.tolist(), narrow, strict=True
    ):
        kept[number] = fits and window.core.holds(*centre) and tissue.touches(*corner, *size)
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    own: Labels = numbers[labels]
    return own


def score_labels(
    model: OnnxModel,
    micrograph: Micrograph,
    labels: Labels,
    scale: Scale | None,
    border: Rectangle | None = None,
) -> pd.DataFrame:
    """Score the nuclei of a label image, or of a part of one: one row a nucleus.

    Parameters
    ----------
    micrograph, labels : (H, W) or (H, W, 3), and (H, W) int32
    scale : the grey values that become 0 and 255, `fathom.imaging.crops.scale_of` the image
    border : of the image that the arrays are a part of, in their pixels; None: all of it

    Returns
    -------
    `SCORE_COLUMNS` without nucleus and image, positions in pixels of the arrays.
    """
    card = model.card
    table = describe(micrograph, labels, card.crop, border)
    scored = (table["left_out"] == "").to_numpy()
    crops = cut(micrograph, labels, table[scored], scale, card.crop)
    table["logit"] = table["probability"] = np.nan
    table.loc[scored, ["logit", "probability"]] = np.column_stack(model.score(crops))
    called = np.where(table["probability"] >= card.threshold, card.positive, card.negative)
    table["class"] = pd.Series(called, index=table.index, dtype="str").where(scored)
    return table[SCORE_COLUMNS[2:]]


def with_names(table: pd.DataFrame, image: str) -> pd.DataFrame:
    """Return the table of `score_labels` with the names of nuclei and image: `SCORE_COLUMNS`."""
    names = (image + "#") + table["label_number"].astype("str")
    whole = table.assign(
        image=pd.Series(image, index=table.index, dtype="str"), nucleus=names.astype("str")
    )
    return whole[SCORE_COLUMNS]


def read_and_work(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], Result],
    at_once: int,
) -> Iterator[Result]:
    """Yield `work(item, read(item))` of each item, in order.

    One thread reads ahead, `at_once` work; at most one item more than those is at hand. An
    error, or the end of the caller's interest, ends it all once what is at work is done.
    """
    reader, pool = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(at_once, "work")
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            pixels = reader.submit(read, item)
            under_way.append(pool.submit(_work, work, item, pixels))
            if len(under_way) > at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
        pool.shutdown(wait=True, cancel_futures=True)
        reader.shutdown(wait=True)


def _work(work: Callable[[Item, Read], Result], item: Item, pixels: Future[Read]) -> Result:
    return work(item, pixels.result())
