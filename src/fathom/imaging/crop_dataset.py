"""From a data set and its label images to the study's nuclei: labelled, cut, counted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.datasets.dataset import DataSet, labels_path
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, Micrograph, read_labels, read_micrograph
from fathom.ground.progress import track
from fathom.imaging.annotations import account_of_annotations, nucleus_labels
from fathom.imaging.crops import cut, describe, scale_of
from fathom.imaging.params import Classes, Crop
from fathom.study.accounts import ACCOUNT_COLUMNS, REASONS, best_reading, totals
from fathom.study.nuclei import CONFLICT, UNLABELLED, Crops, write_nuclei


def crop_dataset(
    dataset: DataSet, labels: Path, classes: Classes, params: Crop, out: Path
) -> pd.DataFrame:
    """Write the nuclei of `dataset` to `out` and return the accounts of its images.

    `labels` is the folder of label images; the accounts are those of `fathom.study.accounts`.
    Raises `FathomError` where the positive class is not one of the data's, where grey and colour
    images are mixed, or where no nucleus of a class is left.
    """
    classes.require_positive(dataset.classes, dataset.folder)
    tables: list[pd.DataFrame] = []
    accounts: list[pd.DataFrame] = []
    shards: dict[str, Crops] = {}
    slides = list(dataset.images.groupby("slide", sort=True))
    for number, (slide, images) in enumerate(track(slides, "crop", len(slides))):
        table, crops, account = _slide(dataset, labels, images, params)
        shard = f"{number:05d}.npy"  # a slide's name may hold what a file's name may not
        kept = table["left_out"] == ""
        table["slide"] = str(slide)
        table["positive"] = table["label"] == classes.positive
        table["shard"] = np.where(kept, shard, "")
        table["row"] = np.where(kept, kept.cumsum() - 1, -1)
        tables.append(table)
        accounts.append(_counted(account, table))
        if kept.any():
            shards[shard] = crops
    table, account = (pd.concat(parts, ignore_index=True) for parts in (tables, accounts))
    _check(table, shards, dataset, account)
    write_nuclei(out, table, shards)
    return account[list(ACCOUNT_COLUMNS)]


def _slide(
    dataset: DataSet, labels: Path, images: pd.DataFrame, params: Crop
) -> tuple[pd.DataFrame, Crops, pd.DataFrame]:
    """Return table, crops and annotations' accounts of one slide, image by image, by name."""

    def pairs() -> Iterator[tuple[Micrograph, Labels]]:
        for image in images["image"]:
            yield (
                read_micrograph(dataset.path(image)),
                read_labels(labels_path(labels, image)),
            )

    scale = scale_of(pairs(), params)
    tables, crops, accounts = [], [], []
    columns = ["image", "slide", "patient", "label", "um_per_px"]
    rows = images[columns].itertuples(index=False, name=None)
    for (micrograph, numbers), row in zip(pairs(), rows, strict=True):
        image, slide, patient, label, um_per_px = row
        table = describe(micrograph, numbers, params)
        here = dataset.annotations[dataset.annotations["image"] == image]
        give_labels(table, nucleus_labels(numbers, here), None if pd.isna(label) else label)
        table["image"], table["patient"] = image, patient
        table["nucleus"] = [f"{image}#{number}" for number in table["label_number"]]
        crops.append(cut(micrograph, numbers, table[table["left_out"] == ""], scale, params))
        tables.append(table)
        left_out = dict(zip(table["label_number"], table["left_out"], strict=True))
        known = None if pd.isna(um_per_px) else float(um_per_px)
        counts = account_of_annotations(numbers, here, left_out, known)
        accounts.append({"image": image, "slide": slide, "patient": patient, **counts})
    together = pd.concat(tables, ignore_index=True)
    return together, _joined(crops, images), pd.DataFrame(accounts)


def _counted(account: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the accounts of a slide's images with the counts of their nuclei in `table`."""
    kept = table["left_out"] == ""
    counted = {"nuclei": kept | True, "kept": kept, "kept_positive": kept & table["positive"]}
    counted |= {f"left_out_{key}": table["left_out"] == reason for key, reason in REASONS.items()}
    counts = pd.DataFrame(counted).astype("int64").groupby(table["image"]).sum()
    here = counts.reindex(account["image"], fill_value=0).reset_index(drop=True)
    return pd.concat([account, here], axis="columns")


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


def _check(
    table: pd.DataFrame, shards: dict[str, Crops], dataset: DataSet, accounts: pd.DataFrame
) -> None:
    """Refuse nuclei that no network could be trained on, and say what became of them."""
    if len({crops.shape[-1] for crops in shards.values()}) > 1:
        raise FathomError(f"{dataset.folder} mixes grey and colour images; save all in one way")
    kept = table[table["left_out"] == ""]
    for name in dataset.classes:
        if not (kept["label"] == name).any():
            counts = ", ".join(f"{key} {value}" for key, value in totals(accounts).items())
            raise FathomError(
                f"{dataset.folder}: no nucleus of class {name!r} is left ({counts}). "
                f"Look at the label images, and at crop.crop_px in params.yaml{_hint(accounts)}"
            )


def _hint(accounts: pd.DataFrame) -> str:
    """Say which other reading of the annotations would put most more of them into nuclei."""
    best = best_reading(accounts)
    if best is None:
        return ""
    return (
        f". If {best[0]}, {best[1]} more annotations lie in a nucleus: look at x and y "
        "in annotations.csv"
    )
