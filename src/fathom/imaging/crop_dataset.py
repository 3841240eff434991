"""From a data set and its label images to the study's nuclei: labelled, cut, counted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.datasets.dataset import DataSet, labels_path
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.imaging.crops import cut, describe, scale_of
from fathom.imaging.params import Classes, Crop
from fathom.study.nuclei import CONFLICT, TOO_LARGE, TOUCHES_BORDER, UNLABELLED, Crops, write_nuclei

REASONS = {
    "touches_border": TOUCHES_BORDER,
    "larger_than_crop": TOO_LARGE,
    "two_labels": CONFLICT,
    "no_label": UNLABELLED,
}


def nucleus_labels(labels: Labels, annotations: pd.DataFrame) -> dict[int, set[str]]:
    """Return which classes were annotated inside each nucleus of one image.

    `annotations` is the part of `DataSet.annotations` that belongs to this image. An annotation on
    the background belongs to no nucleus.
    """
    rows = annotations["y"].to_numpy().astype(int)  # coordinates are not negative: this floors
    columns = annotations["x"].to_numpy().astype(int)
    found: dict[int, set[str]] = {}
    for number, label in zip(labels[rows, columns].tolist(), annotations["label"], strict=True):
        if number:
            found.setdefault(number, set()).add(str(label))
    return found


def crop_dataset(
    dataset: DataSet, labels: Path, classes: Classes, params: Crop, out: Path
) -> dict[str, int]:
    """Write the nuclei of `dataset` to `out` and return the counts: kept, and left out by reason.

    `labels` is the folder of label images. Raises `FathomError` where the positive class is not one
    of the data's, where grey and colour images are mixed, or where no nucleus of a class is left.
    """
    if classes.positive not in dataset.classes:
        raise FathomError(
            f"params.yaml: classes.positive = {classes.positive!r} is not a class of "
            f"{dataset.folder}; its classes are {', '.join(map(repr, dataset.classes))}"
        )
    tables: list[pd.DataFrame] = []
    shards: dict[str, Crops] = {}
    slides = list(dataset.images.groupby("slide", sort=True))
    for number, (slide, images) in enumerate(track(slides, "crop", len(slides))):
        table, crops = _slide(dataset, labels, images, params)
        shard = f"{number:05d}.npy"  # a slide's name may hold what a file's name may not
        kept = table["left_out"] == ""
        table["slide"] = str(slide)
        table["positive"] = table["label"] == classes.positive
        table["shard"] = np.where(kept, shard, "")
        table["row"] = np.where(kept, kept.cumsum() - 1, -1)
        tables.append(table)
        if kept.any():
            shards[shard] = crops
    table = pd.concat(tables, ignore_index=True)
    _check(table, shards, dataset)
    write_nuclei(out, table, shards)
    return _counts(table)


def _slide(
    dataset: DataSet, labels: Path, images: pd.DataFrame, params: Crop
) -> tuple[pd.DataFrame, Crops]:
    """Return the table and the crops of one slide, image by image in order of their names."""

    def pairs() -> Iterator[tuple[Micrograph, Labels]]:
        for image in images["image"]:
            yield (
                read_micrograph(dataset.path(image)),
                read_labels(labels_path(labels, image)),
            )

    scale = scale_of(pairs(), params)
    tables, crops = [], []
    rows = images[["image", "patient", "label"]].itertuples(index=False, name=None)
    for (micrograph, numbers), (image, patient, label) in zip(pairs(), rows, strict=True):
        table = describe(micrograph, numbers, params)
        here = dataset.annotations[dataset.annotations["image"] == image]
        give_labels(table, nucleus_labels(numbers, here), None if pd.isna(label) else label)
        table["image"], table["patient"] = image, patient
        table["nucleus"] = [f"{image}#{number}" for number in table["label_number"]]
        crops.append(cut(micrograph, numbers, table[table["left_out"] == ""], scale, params))
        tables.append(table)
    return pd.concat(tables, ignore_index=True), _joined(crops, images)


def give_labels(table: pd.DataFrame, inside: dict[int, set[str]], image_label: str | None) -> None:
    """Set `label` from the annotations inside, else from the image; leave out what has none."""
    of_image = {image_label} if image_label else set()
    classes = [inside.get(number, of_image) for number in table["label_number"]]
    table["label"] = pd.Series(
        [next(iter(found)) if len(found) == 1 else None for found in classes],
        index=table.index,
        dtype="str",
    )
    reason = [{0: UNLABELLED, 1: ""}.get(len(found), CONFLICT) for found in classes]
    table["left_out"] = np.where(table["left_out"] == "", reason, table["left_out"])


def _joined(crops: list[Crops], images: pd.DataFrame) -> Crops:
    if len({crop.shape[-1] for crop in crops}) > 1:
        colour = [
            name for name, crop in zip(images["image"], crops, strict=True) if crop.shape[-1] == 3
        ]
        raise FathomError(
            f"slide {images['slide'].iloc[0]!r} mixes grey and colour images; in colour: "
            f"{', '.join(colour[:3])}. Save all of them in one way"
        )
    return np.concatenate(crops)


def _check(table: pd.DataFrame, shards: dict[str, Crops], dataset: DataSet) -> None:
    """Refuse nuclei that no network could be trained on, and say what became of them."""
    if len({crops.shape[-1] for crops in shards.values()}) > 1:
        raise FathomError(f"{dataset.folder} mixes grey and colour images; save all in one way")
    kept = table[table["left_out"] == ""]
    for name in dataset.classes:
        if not (kept["label"] == name).any():
            counts = ", ".join(f"{key} {value}" for key, value in _counts(table).items())
            raise FathomError(
                f"{dataset.folder}: no nucleus of class {name!r} is left ({counts}). "
                "Look at the label images, and at crop.crop_px in params.yaml"
            )


def _counts(table: pd.DataFrame) -> dict[str, int]:
    """Return how many nuclei were found, kept, positive, and left out for which reason."""
    kept = table["left_out"] == ""
    return {
        "found": len(table),
        "kept": int(kept.sum()),
        "kept_positive": int((kept & table["positive"]).sum()),
        "slides": int(table.loc[kept, "slide"].nunique()),
        "patients": int(table.loc[kept, "patient"].nunique()),
        **{
            f"left_out_{key}": int((table["left_out"] == reason).sum())
            for key, reason in REASONS.items()
        },
    }
