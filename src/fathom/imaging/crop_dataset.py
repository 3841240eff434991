"""From a data set and its label images to the study's nuclei: labelled, cut, counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.datasets.dataset import DataSet, labels_path
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.images import read_labels, read_micrograph
from fathom.ground.processor import cores
from fathom.ground.progress import track
from fathom.ground.workers import Task, run, scheduler
from fathom.imaging.annotations import account_of_annotations, nucleus_labels
from fathom.imaging.crops import CutOut, cut_out, describe, scale_of_pixels
from fathom.imaging.params import Classes, Crop
from fathom.study.accounts import ACCOUNT_COLUMNS, REASONS, best_reading, totals
from fathom.study.nuclei import CONFLICT, UNLABELLED, write_nuclei
from fathom.study.stored_crops import Crops

_TEXTS = ("label", "left_out")  # columns of text of an image's table
_COLUMN = "column "  # before the names of the others
_MANY = 8  # images that pay for processes: one starts in as long as five are cut


def crop_dataset(
    dataset: DataSet,
    labels: Path,
    classes: Classes,
    params: Crop,
    out: Path,
    store: ImageStore = NOWHERE,
) -> pd.DataFrame:
    """Write the nuclei of `dataset` to `out` and return the accounts of its images.

    `labels` is the folder of label images; the accounts are those of `fathom.study.accounts`.
    Of an image that the store knows nothing is measured or cut again. Raises `FathomError` where
    the positive class is not one of the data's, where grey and colour images are mixed, or where no
    nucleus of a class is left.
    """
    classes.require_positive(dataset.classes, dataset.folder)
    tables: list[pd.DataFrame] = []
    accounts: list[pd.DataFrame] = []
    shards: dict[str, Crops] = {}
    sources = _sources(dataset, labels, params)
    _make_missing(list(sources.values()), store)
    slides = list(dataset.images.groupby("slide", sort=True))
    for number, (slide, images) in enumerate(track(slides, "crop", len(slides))):
        table, crops, account = _slide(images, sources, params, store)
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


def _sources(dataset: DataSet, labels: Path, params: Crop) -> dict[str, "_Source"]:
    """Return the images of a data set by their names."""
    points = dict(iter(dataset.annotations.groupby("image")))
    none = dataset.annotations.iloc[:0]
    columns = ["image", "label", "um_per_px"]
    return {
        image: _Source(
            dataset.path(image),
            labels_path(labels, image),
            None if pd.isna(label) else label,
            None if pd.isna(um_per_px) else float(um_per_px),
            points.get(image, none),
            params,
        )
        for image, label, um_per_px in dataset.images[columns].itertuples(index=False)
    }


def _make_missing(sources: Sequence["_Source"], store: ImageStore) -> None:
    """Make what the store lacks of images, many at once, where there are many."""
    missing = [source for source in sources if not store.holds(source.key)]
    if store.folder is None or (len(missing) < _MANY and not scheduler()):
        return
    tasks = [Task(str(source.image), _make, (source, store)) for source in missing]
    for _ in track(run(tasks, cores()), "cutting", len(tasks)):
        pass


def _make(source: "_Source", store: ImageStore) -> None:
    store.keep(source.key, source.make())


def _slide(
    images: pd.DataFrame, sources: Mapping[str, "_Source"], params: Crop, store: ImageStore
) -> tuple[pd.DataFrame, Crops, pd.DataFrame]:
    """Return table, crops and annotations' accounts of one slide, image by image, by name."""
    tables, parts, accounts = [], [], []
    for image, slide, patient in images[["image", "slide", "patient"]].itertuples(index=False):
        source = sources[image]
        part = _OfImage.read(store.of(source.key, source.make))
        part.table["image"], part.table["patient"] = image, patient
        part.table["nucleus"] = [f"{image}#{number}" for number in part.table["label_number"]]
        tables.append(part.table)
        parts.append(part)
        accounts.append({"image": image, "slide": slide, "patient": patient, **part.counts})
    scale = scale_of_pixels((part.nuclear for part in parts), params)
    crops = [part.cut.scaled(scale) for part in parts]
    together = pd.concat(tables, ignore_index=True)
    return together, _joined(crops, images), pd.DataFrame(accounts)


@dataclass(frozen=True, eq=False)
class _Source:
    """An image, and all that its nuclei hang on but their slide's scale."""

    image: Path
    labels: Path
    label: str | None
    um_per_px: float | None
    annotations: pd.DataFrame  # its own
    params: Crop

    @cached_property
    def key(self) -> str:
        """What names in a store what `make` returns."""
        files = file_fingerprint(self.image), file_fingerprint(self.labels)
        # Of the params the side alone counts before the scale does.
        told = self.label, self.um_per_px, self.params.crop_px, *self.annotations["label"]
        points = (self.annotations[axis].to_numpy(dtype=np.float64) for axis in "xy")
        return key_of(__name__, *files, json.dumps(told), *points)

    def make(self) -> Made:
        """Measure and cut the nuclei, and account for the annotations."""
        micrograph, numbers = read_micrograph(self.image), read_labels(self.labels)
        table = describe(micrograph, numbers, self.params)
        give_labels(table, nucleus_labels(numbers, self.annotations), self.label)
        left_out = dict(zip(table["label_number"], table["left_out"], strict=True))
        counts = account_of_annotations(numbers, self.annotations, left_out, self.um_per_px)
        own = cut_out(micrograph, numbers, table[table["left_out"] == ""], self.params)
        texts = {name: table[name].tolist() for name in _TEXTS}
        texts["label"] = [None if pd.isna(text) else text for text in texts["label"]]
        numbers_of = table.drop(columns=list(_TEXTS))
        columns = {f"{_COLUMN}{name}": numbers_of[name].to_numpy() for name in numbers_of}
        pixels = {"nuclear": micrograph[numbers > 0], "pixels": own.pixels, "inside": own.inside}
        return Made({**columns, **pixels}, {"counts": counts, "texts": texts})


@dataclass(frozen=True, eq=False)
class _OfImage:
    """What one image gives; its crops are not scaled yet."""

    table: pd.DataFrame  # `describe`, with label
    counts: Mapping[str, int | float]  # of annotations
    nuclear: npt.NDArray[Any]  # pixels of all its nuclei, (n,) or (n, 3)
    cut: CutOut  # the rows of `table` that are not left out

    @classmethod
    def read(cls, made: Made) -> Self:
        """Return what `_Source.make` made."""
        arrays, notes = made
        columns = {name: arrays[name] for name in arrays if name.startswith(_COLUMN)}
        table = pd.DataFrame(columns).rename(columns=lambda name: name.removeprefix(_COLUMN))
        texts = notes["texts"]
        table["label"] = pd.Series(texts["label"], index=table.index, dtype="str")
        # As `give_labels` leaves it: where there is no nucleus, a column of objects.
        table["left_out"] = np.array(texts["left_out"], dtype=object)
        cut = CutOut(arrays["pixels"], arrays["inside"])
        return cls(table, notes["counts"], arrays["nuclear"], cut)


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
