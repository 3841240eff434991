"""The labels of new slides: which annotations lie in which scored nucleus, and in none."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.datasets.dataset import DataSet
from fathom.imaging.annotations import WRITTEN, Numbers, account_of_numbers, all_readings
from fathom.imaging.crop_dataset import give_labels
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_batch import NucleiBatch
from fathom.results.nuclei_table import SCORE_COLUMNS
from fathom.scoring.scorer import NewSlide
from fathom.study.accounts import ANNOTATION_COUNTS, READINGS

# Of an account, `fathom.study.accounts`: what an annotation can be part of.
ACCOUNT_COLUMNS = (
    "image",
    "slide",
    "patient",
    *ANNOTATION_COUNTS,
    *(f"{side}_{reading}" for reading in READINGS for side in ("gained", "lost")),
)

Places = npt.NDArray[np.int64]


class _Annotated:
    """The points of one image in every reading, and the nuclei found at them so far."""

    def __init__(self, annotations: pd.DataFrame, grid: PixelGrid) -> None:
        self.classes = annotations["label"].astype(str).to_numpy()
        down, across = grid.steps
        size = round(grid.height * down), round(grid.width * across)
        meant = all_readings(annotations, size, grid.full_um_per_px)
        self._readings = tuple(meant)
        # The pixel of the view that a point of the file lies in, one reading after another.
        x, y = (np.concatenate([points[axis] for points in meant.values()]) for axis in (0, 1))
        self._rows: Places = np.floor(y / down).astype(np.int64)
        self._columns: Places = np.floor(x / across).astype(np.int64)
        self._found: Numbers = np.zeros(len(x), dtype=np.int32)

    def add(self, batch: NucleiBatch) -> None:
        """Note which points lie in the nuclei of a batch."""
        rows, columns = self._rows, self._columns
        boxes = batch.table[["label_number", "top", "left", "bottom", "right"]].to_numpy().tolist()
        for (number, top, left, bottom, right), mask in zip(boxes, batch.masks, strict=True):
            near = np.flatnonzero(
                (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
            )
            within = mask[rows[near] - top, columns[near] - left]
            self._found[near[within]] = number

    @property
    def numbers(self) -> dict[str, Numbers]:
        """Return the nucleus at each point, 0 at one in none, for each reading."""
        parts = np.split(self._found, len(self._readings))
        return dict(zip(self._readings, parts, strict=True))

    @property
    def inside(self) -> dict[int, set[str]]:
        """Return the classes annotated inside each nucleus, by its number."""
        found: dict[int, set[str]] = defaultdict(set)
        for number, label in zip(self.numbers[WRITTEN].tolist(), self.classes, strict=True):
            if number:
                found[number].add(label)
        return found


class LabelledNuclei:
    """The nuclei of a data set as they come, with the annotations that lie inside them."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset
        self._points = dict(iter(dataset.annotations.groupby("image")))
        self._tables: dict[str, list[pd.DataFrame]] = defaultdict(list)
        self._annotated: dict[str, _Annotated] = {}

    def add(self, slide: NewSlide, grid: PixelGrid, batch: NucleiBatch) -> None:
        """Keep the rows of a batch, and which annotations lie inside which nucleus."""
        image = slide.image
        self._tables[image].append(batch.table)
        if image in self._points:
            if image not in self._annotated:
                self._annotated[image] = _Annotated(self._points[image], grid)
            self._annotated[image].add(batch)

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return all nuclei and the accounts of annotated images, in the data set's order.

        Nuclei have `SCORE_COLUMNS`, slide, and label, accounts `ACCOUNT_COLUMNS`.
        """
        tables, accounts = [], []
        columns = ["image", "slide", "patient", "label"]
        for image, slide, patient, label in self._dataset.images[columns].to_numpy().tolist():
            left_out: dict[int, str] = {}
            annotated = self._annotated.get(image)
            if image in self._tables:
                table = pd.concat(self._tables[image], ignore_index=True)
                inside = annotated.inside if annotated else {}
                give_labels(table, inside, None if pd.isna(label) else label)
                left_out = dict(zip(table["label_number"], table["left_out"], strict=True))
                tables.append(table.assign(slide=slide))
            if image in self._points:
                nowhere = np.zeros(len(self._points[image]), dtype=np.int32)
                numbers = (
                    annotated.numbers if annotated else dict.fromkeys((WRITTEN, *READINGS), nowhere)
                )
                account = account_of_numbers(numbers, left_out)
                accounts.append({"image": image, "slide": slide, "patient": patient, **account})
        none = pd.DataFrame(columns=[*SCORE_COLUMNS, "slide", "label"])
        nuclei = pd.concat(tables, ignore_index=True) if tables else none
        return nuclei, pd.DataFrame(accounts, columns=list(ACCOUNT_COLUMNS))
