"""Nuclei of new slides as they come, with the classes annotated inside them, all accounted for."""

from collections import defaultdict
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.datasets.dataset import DataSet
from fathom.imaging.annotations import account_of_points, readings
from fathom.imaging.crop_dataset import give_labels
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_table import SCORE_COLUMNS
from fathom.results.nuclei_writer import NucleiBatch
from fathom.scoring.scorer import NewSlide
from fathom.study.accounts import ACCOUNT_COLUMNS, READINGS, REASONS


class LabelledNuclei:
    """The nuclei of a data set, batch by batch: no label image of a slide is ever held.

    `positive` is the positive class, `assumed_um_per_px` the scale of images that do not say it.
    """

    def __init__(self, dataset: DataSet, positive: str, assumed_um_per_px: float | None) -> None:
        self._dataset, self._positive = dataset, positive
        known = dataset.images["um_per_px"].fillna(assumed_um_per_px or np.nan)
        self._um_per_px = dict(zip(dataset.images["image"], known, strict=True))
        self._points = dict(iter(dataset.annotations.groupby("image")))
        self._nothing = dataset.annotations.iloc[:0]
        self._tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        self._placed: dict[str, _Placed] = {}

    def add(self, slide: NewSlide, grid: PixelGrid, batch: NucleiBatch) -> None:
        """Keep the rows of a batch, and which annotations lie inside which nucleus."""
        self._tables[slide.image].append(batch.table)
        if slide.image not in self._placed:
            points = self._points.get(slide.image, self._nothing)
            scale = self._um_per_px[slide.image]
            self._placed[slide.image] = _Placed.of(points, grid, None if isnan(scale) else scale)
        self._placed[slide.image].find(batch)

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return all nuclei, image by image in the data set's order, and the images' accounts.

        The accounts are those of `fathom.study.accounts`, of the images in which a nucleus is.
        """
        nuclei, accounts = [], []
        columns = ["image", "slide", "patient", "label"]
        rows = self._dataset.images[columns].itertuples(index=False, name=None)
        for image, slide, patient, label in rows:
            if image not in self._tables:
                continue
            table = pd.concat(self._tables[image], ignore_index=True)
            placed = self._placed[image]
            give_labels(table, placed.classes(), None if pd.isna(label) else label)
            nuclei.append(table.assign(slide=slide))
            counts = self._counts(table) | placed.account(table)
            accounts.append({"image": image, "slide": slide, "patient": patient, **counts})
        account = pd.DataFrame(accounts, columns=list(ACCOUNT_COLUMNS))
        if not nuclei:
            return pd.DataFrame(columns=[*SCORE_COLUMNS, "slide", "label"]), account
        return pd.concat(nuclei, ignore_index=True), account

    def _counts(self, table: pd.DataFrame) -> dict[str, int]:
        kept = table["left_out"] == ""
        reasons = {f"left_out_{key}": table["left_out"] == why for key, why in REASONS.items()}
        return {
            "nuclei": len(table),
            "kept": int(kept.sum()),
            "kept_positive": int((kept & (table["label"] == self._positive)).sum()),
            **{name: int(those.sum()) for name, those in reasons.items()},
        }


@dataclass(frozen=True, eq=False)
class _Placed:
    """The annotations of an image in its view, as they are written and under each reading.

    labels : (n,) str, of the annotations
    rows, columns : (1 + readings, n) int, the pixel of the view that each lies in
    order : of all of them, flat, from the uppermost down
    numbers : (1 + readings, n), the nucleus that each lies in, 0 where none was found yet
    view_px : pixels of the view
    """

    labels: list[str]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    order: npt.NDArray[np.intp]
    numbers: npt.NDArray[np.int32]
    view_px: int

    @classmethod
    def of(cls, points: pd.DataFrame, grid: PixelGrid, um_per_px: float | None) -> "_Placed":
        down, across = grid.steps
        x, y = (points[axis].to_numpy(dtype=np.float64) for axis in "xy")
        shape = (round(grid.height * down), round(grid.width * across))
        meant = [(x, y), *readings((x, y), shape, um_per_px).values()]
        # Points are those of the file's full resolution.
        rows = np.stack([np.floor(y / down) for _, y in meant]).astype(np.int64)
        columns = np.stack([np.floor(x / across) for x, _ in meant]).astype(np.int64)
        return cls(
            points["label"].astype(str).tolist(),
            rows,
            columns,
            np.argsort(rows, axis=None, kind="stable"),
            np.zeros(rows.shape, dtype=np.int32),
            grid.height * grid.width,
        )

    def find(self, batch: NucleiBatch) -> None:
        """Set the numbers of the points that lie in the nuclei of a batch."""
        rows, columns, numbers = self.rows.ravel(), self.columns.ravel(), self.numbers.reshape(-1)
        sorted_rows = rows[self.order]
        boxes = batch.table[["label_number", "top", "left", "bottom", "right"]].to_numpy().tolist()
        for (number, top, left, bottom, right), mask in zip(boxes, batch.masks, strict=True):
            near = self.order[slice(*np.searchsorted(sorted_rows, (top, bottom)))]
            near = near[(columns[near] >= left) & (columns[near] < right)]
            numbers[near[mask[rows[near] - top, columns[near] - left]]] = number

    def classes(self) -> dict[int, set[str]]:
        """Return which classes are annotated in each nucleus, by its number."""
        inside: dict[int, set[str]] = defaultdict(set)
        for number, label in zip(self.numbers[0].tolist(), self.labels, strict=True):
            if number:
                inside[number].add(label)
        return inside

    def account(self, table: pd.DataFrame) -> dict[str, int | float]:
        """Return what became of the annotations; `table` is that of the image's nuclei."""
        left_out = dict(zip(table["label_number"], table["left_out"], strict=True))
        meant = dict(zip(READINGS, self.numbers[1:], strict=True))
        covered = float(table["area_px"].sum()) / self.view_px
        return account_of_points(self.numbers[0], meant, left_out, covered)
