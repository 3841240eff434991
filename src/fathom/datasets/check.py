"""Every fault of a data set in one go, each named by file, row and column.

Faults of form (what makes a table a table) are found in `fathom.datasets.tables`, those of meaning
here, and those that only the pixels show in `fathom.datasets.pixels`.
"""

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fathom.datasets.layout import (
    ANNOTATION_COLUMNS,
    ANNOTATIONS,
    IMAGE_COLUMNS,
    IMAGES,
    LABEL_MASKS,
    MASKS,
    OPTIONAL_IMAGE_COLUMNS,
    stem,
)
from fathom.datasets.pixels import pixel_faults
from fathom.datasets.tables import CsvRow, Fault, read_number, read_rows
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.ground.resolution import COARSEST_UM, FINEST_UM, is_plausible

# Systems have names of 255 bytes and paths of 4,096 at most; what fathom writes about an image
# has a longer name, in a folder of its own.
_MOST_NAME, _MOST_PATH = 200, 2000
_SHOWN = 40  # letters of a name that is too long


def check_dataset(folder: Path, *, require_labels: bool = True) -> list[Fault]:
    """Return every fault of the data set in `folder`; none means that it can be used.

    Decodes every image and every mask. `require_labels` asks for what a study needs and new
    slides do not: at least one image, and two classes.
    """
    return examine(folder, require_labels=require_labels)[2]


def examine(
    folder: Path, *, require_labels: bool, store: ImageStore = NOWHERE
) -> tuple[list[CsvRow], list[CsvRow], list[Fault]]:
    """Return the rows of images.csv, those of annotations.csv, and every fault.

    What would only follow from a fault of form is not said: a table that cannot be read has neither
    images nor labels. Images that `store` knows as sound are not decoded.
    """
    if not folder.is_dir():
        return [], [], [Fault(str(folder), None, None, "there is no such folder")]
    if not (folder / IMAGES).exists():
        what = f"is missing from {folder}; its first line must be: {','.join(IMAGE_COLUMNS)}"
        return [], [], [Fault(IMAGES, None, None, what)]
    images, of_images = read_rows(folder / IMAGES, IMAGE_COLUMNS, OPTIONAL_IMAGE_COLUMNS)
    annotations: list[CsvRow] = []
    of_annotations: list[Fault] = []
    if (folder / ANNOTATIONS).exists():
        annotations, of_annotations = read_rows(folder / ANNOTATIONS, ANNOTATION_COLUMNS)
    faults = of_images + of_annotations
    if of_images and not images:
        return images, annotations, faults
    labels_unknown = bool(of_annotations and not annotations)
    labels_unknown |= any(fault.column == "label" for fault in faults)

    faults += _path_faults(images)
    faults += _group_faults(images)
    faults += _scale_faults(images)
    faults += _annotated_image_faults(images, annotations)
    faults += _point_faults(annotations)
    if require_labels:
        faults += _unlabelled(images, annotations)
    fewest = 2 if require_labels and not labels_unknown else 0
    faults += _class_faults(images, annotations, fewest)
    files = [row for row in images if _path_fault(row.get("image")) is None]
    faults += pixel_faults(folder, files, annotations, store, square=require_labels)
    return images, annotations, sorted(faults, key=_place)


def _place(fault: Fault) -> tuple[int, str, float]:
    """Sort as one reads: tables first, each from top to bottom, then what it says as a whole."""
    file = {IMAGES: 0, ANNOTATIONS: 1}.get(fault.file, 2)
    return file, fault.file, math.inf if fault.row is None else fault.row


def _path_fault(image: str) -> str | None:
    """Say what is wrong with an image's path as a text; links in the folder may lead anywhere.

    They must: `dvc config cache.type symlink` makes every file of a data set one.
    """
    path = PurePosixPath(image)
    if "\\" in image:
        return f"'{image}': folders are separated by '/', not by a backslash"
    if path.is_absolute() or ".." in path.parts:
        return f"'{image}' leaves the folder; give the path inside it"
    if not path.name or str(path) != image:
        return f"'{image}' is not the plain path of a file, such as images/a.tif"
    if path.parts[0] in (MASKS, LABEL_MASKS):
        return f"'{image}' lies in {path.parts[0]}/, which is for label images"
    if longest := _too_long(path):
        return f"'{image[:_SHOWN]}...' is too long: {longest}; give the file a shorter name"
    return None


def _too_long(path: PurePosixPath) -> str:
    """Say how long a path or its longest name is, where that is too long; else ""."""
    name = max(len(os.fsencode(part)) for part in path.parts)
    whole = len(os.fsencode(path))
    if name > _MOST_NAME:
        return f"a name of {name} bytes, where {_MOST_NAME} are the most"
    if whole > _MOST_PATH:
        return f"a path of {whole} bytes, where {_MOST_PATH} are the most"
    return ""


def _path_faults(images: list[CsvRow]) -> Iterator[Fault]:
    """Find paths that cannot be used, images listed twice, and images that would share a mask."""
    first: dict[str, CsvRow] = {}
    for row in images:
        image = row.get("image")
        if not image:
            continue
        what = _path_fault(image)
        if what is None:
            earlier = first.setdefault(stem(image), row)
            if earlier is not row and earlier.get("image") == image:
                what = f"'{image}' is in row {earlier.number} already"
            elif earlier is not row:
                what = (
                    f"'{image}' and '{earlier.get('image')}' in row {earlier.number} would share "
                    f"the label image '{stem(image)}.tif'; rename one"
                )
        if what:
            yield Fault(IMAGES, row.number, "image", what)


def _group_faults(images: list[CsvRow]) -> Iterator[Fault]:
    """Find slides under two patients, and patients under two labels."""
    for group, column in (("slide", "patient"), ("patient", "label")):
        first: dict[str, CsvRow] = {}
        for row in images:
            if not row.get(group) or not row.get(column):
                continue
            earlier = first.setdefault(row.get(group), row)
            if row.get(column) != earlier.get(column):
                what = (
                    f"{group} '{row.get(group)}' has the {column} '{row.get(column)}' here and "
                    f"'{earlier.get(column)}' in row {earlier.number}"
                )
                yield Fault(IMAGES, row.number, column, what)


def _scale_faults(images: list[CsvRow]) -> Iterator[Fault]:
    for row in images:
        text = row.get("um_per_px")
        scale = read_number(text)
        if text and (scale is None or not is_plausible(scale)):
            what = (
                f"'{text}' is not the width of a pixel in um, {FINEST_UM} to {COARSEST_UM}; leave "
                "it empty where it is not known"
            )
            yield Fault(IMAGES, row.number, "um_per_px", what)


def _annotated_image_faults(images: list[CsvRow], annotations: list[CsvRow]) -> Iterator[Fault]:
    """Find annotations of no image, and of an image that has a label of its own."""
    row_of = {row.get("image"): row for row in images if row.get("image")}
    if images and not row_of:
        return  # no name could be read
    for row in annotations:
        image = row.get("image")
        if not image:
            continue
        if image not in row_of:
            what = f"'{image}' is not an image of {IMAGES}"
            yield Fault(ANNOTATIONS, row.number, "image", what)
        elif row_of[image].get("label"):
            what = (
                f"'{image}' has a label of its own, in row {row_of[image].number} of {IMAGES}; "
                "an image has one label or its nuclei have, not both"
            )
            yield Fault(ANNOTATIONS, row.number, "image", what)


def _point_faults(annotations: list[CsvRow]) -> Iterator[Fault]:
    """Find annotations without a point, and those made twice."""
    first: dict[tuple[str, float, float, str], CsvRow] = {}
    for row in annotations:
        x, y = read_number(row.get("x")), read_number(row.get("y"))
        for column, value in (("x", x), ("y", y)):
            if row.get(column) and value is None:
                what = f"'{row.get(column)}' is not a number"
                yield Fault(ANNOTATIONS, row.number, column, what)
        if x is None or y is None or not row.get("image"):
            continue
        earlier = first.setdefault((row.get("image"), x, y, row.get("label")), row)
        if earlier is not row:
            what = f"is the annotation of row {earlier.number} once more"
            yield Fault(ANNOTATIONS, row.number, None, what)


def _unlabelled(images: list[CsvRow], annotations: list[CsvRow]) -> Iterator[Fault]:
    """Find images whose label was left empty though none of their nuclei is annotated."""
    annotated = {row.get("image") for row in annotations}
    for row in images:
        if row.cells.get("label") == "" and row.get("image") not in annotated:
            what = f"is empty, and no nucleus of the image is in {ANNOTATIONS}"
            yield Fault(IMAGES, row.number, "label", what)


def _labels_alike(counts: Counter[str], file: str) -> Iterator[Fault]:
    """Find one class that is spelled in two ways; signs count, for `HER2+` is not `HER2-`."""
    first: dict[str, str] = {}
    for label in sorted(counts):
        plain = " ".join(unicodedata.normalize("NFKC", label).casefold().replace("_", " ").split())
        if (earlier := first.setdefault(plain, label)) != label:
            what = (
                f"'{earlier}' (count {counts[earlier]}) and '{label}' (count {counts[label]}) are "
                "one class, spelled in two ways"
            )
            yield Fault(file, None, "label", what)


def _class_faults(images: list[CsvRow], annotations: list[CsvRow], fewest: int) -> Iterator[Fault]:
    """Find too few and too many classes."""
    if fewest and not images:
        yield Fault(IMAGES, None, None, "lists no image")
        return
    labelled = [
        (row.get("label"), f"{file}, row {row.number}")
        for file, rows in ((IMAGES, images), (ANNOTATIONS, annotations))
        for row in rows
        if row.get("label")
    ]
    counts = Counter(label for label, _ in labelled)
    if fewest <= len(counts) <= 2:
        yield from _labels_alike(counts, file=ANNOTATIONS if annotations else IMAGES)
        return
    first = dict(reversed(labelled))
    there = [f"'{c}' (count {n}, first in {first[c]})" for c, n in counts.most_common()]
    what = f"there must be exactly two classes, not {len(counts)}"
    what += f": {'; '.join(there)}" if there else ""
    yield Fault(ANNOTATIONS if annotations else IMAGES, None, "label", what)
