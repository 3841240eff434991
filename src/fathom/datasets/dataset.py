"""A data set: a folder of micrographs with the tables that say what they are (docs/own-data.md)."""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.datasets.check import examine
from fathom.datasets.layout import (
    ANNOTATION_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_MASKS,
    MASKS,
    labels_path,
    on_disk,
    stem,
)
from fathom.datasets.masks import mask_named
from fathom.datasets.tables import CsvRow
from fathom.ground.errors import FathomError
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.ground.images import stated_um_per_px

__all__ = ["DataSet", "labels_path", "read_dataset", "stem"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A folder that was checked, and its tables.

    Coordinates are pixels, x to the right, y down; the point (x, y) lies in the pixel
    `[floor(y), floor(x)]`, and that pixel is inside its image.
    """

    folder: Path
    images: pd.DataFrame
    """image, slide, patient: str; label: str, missing where the image as a whole has none;
    um_per_px: float, NaN where unknown: that of the table, else that of the file;
    um_per_px_given: that of the table alone. Sorted by image, index 0..n-1."""
    annotations: pd.DataFrame
    """image: str; x, y: float, px; label: str. In the order of the file, index 0..n-1."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, sorted; two where labels were required."""
        labels = pd.concat([self.images["label"], self.annotations["label"]])
        return tuple(sorted(labels.dropna().unique()))

    def path(self, image: str) -> Path:
        """Return the file of `image`."""
        return on_disk(self.folder, image)

    def mask_path(self, image: str) -> Path | None:
        """Return the file of the data set's own label image of `image`, if there is one."""
        return mask_named(self.folder, f"{MASKS}/{stem(image)}", image)

    def label_mask_path(self, image: str) -> Path | None:
        """Return the file that shows the pixels of `image` the label is about, if there is one."""
        return mask_named(self.folder, f"{LABEL_MASKS}/{stem(image)}", image)


def read_dataset(
    folder: Path, *, require_labels: bool = True, store: ImageStore = NOWHERE
) -> DataSet:
    """Check the whole folder and read its tables.

    Every image and mask is decoded once, on all cores, so that a stage never stops half-way
    through a data set; those that `store` knows as sound are not. A study needs exactly two
    classes; a folder of new slides does not, nor any image (`require_labels=False`). Raises one
    `FathomError` that lists every fault.
    """
    images, annotations, faults = examine(folder, require_labels=require_labels, store=store)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise FathomError(f"the data set {folder} has {count}:\n{lines}")
    return DataSet(folder, _image_table(folder, images), _annotation_table(annotations))


def _image_table(folder: Path, rows: list[CsvRow]) -> pd.DataFrame:
    rows = sorted(rows, key=lambda row: row.get("image"))
    table = _text_table(rows, IMAGE_COLUMNS)
    given = [float(row.get("um_per_px") or math.nan) for row in rows]
    known = [
        (stated_um_per_px(on_disk(folder, row.get("image"))) or math.nan)
        if math.isnan(scale)
        else scale
        for row, scale in zip(rows, given, strict=True)
    ]
    return table.assign(
        label=table["label"].mask(table["label"] == ""),
        um_per_px=pd.Series(known, dtype="float64"),
        um_per_px_given=pd.Series(given, dtype="float64"),
    )


def _annotation_table(rows: list[CsvRow]) -> pd.DataFrame:
    # float() reads what the check accepted; a cast of pandas has its own idea of a number.
    points = {
        axis: pd.Series([float(row.get(axis)) for row in rows], dtype="float64") for axis in "xy"
    }
    return _text_table(rows, ANNOTATION_COLUMNS).assign(**points)


def _text_table(rows: list[CsvRow], columns: tuple[str, ...]) -> pd.DataFrame:
    cells = {column: [row.get(column) for row in rows] for column in columns}
    return pd.DataFrame(cells, dtype="str")
