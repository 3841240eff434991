"""Crops as the networks see them, in one picture: some of each class, surest hits and misses."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fathom.ground.csv_file import write_csv
from fathom.ground.output import written_whole
from fathom.page.files import ATLAS, ATLAS_ACROSS, CROPS, KINDS, SUREST
from fathom.statistics.scores import Cells
from fathom.study.nuclei import Nuclei
from fathom.study.stored_crops import Crops

SAMPLE = 16  # of each class
MOST_BYTES = 300_000
MOST_OF_RUNS = 320  # crops of all runs together, where there are many runs
# How many of each kind a run shows, and whether grey values are kept exactly: the first that fits.
TRIES = ((5, True), (5, False), (3, False), (2, False), (1, False))
QUALITY = 80


def write_crops(
    folder: Path, nuclei: Nuclei, predictions: Mapping[str, Path], everyone: Mapping[str, Cells]
) -> None:
    """Write the picture of crops, which nucleus is where in it, and each run's surest decisions.

    `predictions` are the tables of everyone that is compared, `everyone` the same as scored cells.
    """
    ranked = {name: _ranked(path, everyone[name], nuclei) for name, path in predictions.items()}
    most = max(1, MOST_OF_RUNS // (len(KINDS) * max(1, len(ranked))))
    crops, sample = nuclei.crops(), list(_sample(nuclei))
    for per_kind, exact in TRIES:
        surest = pd.concat(
            [_surest(name, table, min(per_kind, most)) for name, table in ranked.items()],
            ignore_index=True,
        )
        places = list(dict.fromkeys([*sample, *surest["place"]]))
        atlas = _atlas(crops[np.array(places)], exact=exact)
        if len(atlas) <= MOST_BYTES:
            break
    cell_of = {place: cell for cell, place in enumerate(places)}
    shown = nuclei.kept.loc[places, ["nucleus", "slide", "label"]]
    sampled = [int(cell < len(sample)) for cell in range(len(places))]
    surest["cell"] = surest["place"].map(cell_of)
    write_csv(folder / CROPS, shown.assign(cell=range(len(places)), sample=sampled))
    write_csv(folder / SUREST, surest[["run", "kind", "cell", "probability"]].round(4))
    with written_whole(folder / ATLAS) as part:
        part.write_bytes(atlas)


def _ranked(path: Path, cells: Cells, nuclei: Nuclei) -> pd.DataFrame:
    """Return each test nucleus' probability and how far beyond its threshold it lies, over seeds.

    Networks that say the same of every nucleus are sure of none.
    """
    threshold = {(cell.fold, cell.seed): cell.threshold for cell in cells if not cell.test.constant}
    table = pd.read_parquet(path)
    table = table[table["part"] == "test"]
    keys = list(zip(table["fold"], table["seed"], strict=True))
    table = table[[key in threshold for key in keys]]
    keys = [key for key in keys if key in threshold]
    table = table.assign(margin=table["probability"] - [threshold[key] for key in keys])
    means = table.groupby("nucleus")[["probability", "margin"]].mean()
    own = nuclei.kept.reset_index(names="place")[["nucleus", "place", "positive"]]
    return own.merge(means, on="nucleus").sort_values("place", ignore_index=True)


def _surest(run: str, table: pd.DataFrame, count: int) -> pd.DataFrame:
    called = table["margin"] >= 0
    chosen = []
    for kind in KINDS:
        right, positive = kind.startswith("hit"), kind.endswith("positive")
        here = table[(table["positive"] == positive) & ((called == table["positive"]) == right)]
        order = here["margin"].abs().sort_values(ascending=False, kind="stable").index
        chosen.append(here.loc[order[:count]].assign(run=run, kind=kind))
    return pd.concat(chosen)


def _sample(nuclei: Nuclei) -> Iterator[int]:
    """Yield nuclei of both classes in turn, evenly spaced over the study."""
    of_class = [
        nuclei.kept.index[nuclei.kept["positive"] == positive].to_numpy()
        for positive in (True, False)
    ]
    spaced = [np.linspace(0, len(one) - 1, min(SAMPLE, len(one))).astype(int) for one in of_class]
    for rank in range(SAMPLE):
        for one, places in zip(of_class, spaced, strict=True):
            if rank < len(places):
                yield int(one[places[rank]])


def _atlas(crops: Crops, *, exact: bool) -> bytes:
    """Return the crops side by side, `ATLAS_ACROSS` in a row, as WebP."""
    count, side = crops.shape[:2]
    sheet = np.zeros(
        (-(-count // ATLAS_ACROSS) * side, ATLAS_ACROSS * side, crops.shape[3]), dtype=np.uint8
    )
    for number, crop in enumerate(crops):
        top, left = side * (number // ATLAS_ACROSS), side * (number % ATLAS_ACROSS)
        sheet[top : top + side, left : left + side] = crop
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)
    return webp(picture, exact=exact)


def webp(picture: Image.Image, *, exact: bool = False) -> bytes:
    """Return a picture as WebP, every value kept where it is `exact`; the same bytes every time."""
    stream = BytesIO()
    picture.convert("RGB").save(stream, "WEBP", lossless=exact, quality=QUALITY, method=4)
    return stream.getvalue()
