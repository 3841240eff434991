"""The table of splits: its promises, checked on every read, and how to ask it for rows.

One row a nucleus and fold: `nucleus` str, `fold` int, `part` str, `kept` bool (not taken out by the
balancing). Folds 0, 1, ... are the outer folds, each with a training, a validation and a test
part; `FINAL` is the split of the final model, which has no test part.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.errors import FathomError
from fathom.nuclei import Nuclei

FINAL = -1
PARTS = ("train", "validation", "test")
TABLE, CERTIFICATE = "splits.parquet", "certificate.json"


def read_splits(folder: Path, nuclei: Nuclei) -> pd.DataFrame:
    """Read the splits of `nuclei` and check every promise again: no run trains on a bad split.

    Raises `FathomError` where the splits were made from other nuclei or break a promise.
    """
    path = folder / CERTIFICATE
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'split' first")
    certificate = json.loads(path.read_text(encoding="utf-8"))
    if certificate["nuclei_sha256"] != nuclei_hash(nuclei):
        raise FathomError(f"{folder} was made from other nuclei: run the stage 'split' again")
    splits = pd.read_parquet(folder / TABLE)
    check_splits(splits, nuclei, certificate["group"])
    return splits


def nuclei_hash(nuclei: Nuclei) -> str:
    """Return the SHA-256 of what a split depends on: ids, groups and labels, in order."""
    columns = nuclei.kept[["nucleus", "image", "slide", "patient", "label"]]
    return hashlib.sha256(columns.to_csv(index=False).encode()).hexdigest()


def part_rows(nuclei: Nuclei, splits: pd.DataFrame, fold: int, part: str) -> npt.NDArray[np.intp]:
    """Return the positions in `nuclei.kept` of the balanced nuclei of one part, ascending."""
    chosen = splits.loc[
        (splits["fold"] == fold) & (splits["part"] == part) & splits["kept"], "nucleus"
    ]
    return np.flatnonzero(nuclei.kept["nucleus"].isin(chosen))


def check_splits(splits: pd.DataFrame, nuclei: Nuclei, group: str) -> list[str]:
    """Check what a split promises and return the promises, a sentence each.

    Raises `FathomError` naming the promise, the fold and the part that break it.
    """
    rows = splits.merge(
        nuclei.kept[["nucleus", "label", "positive", group]],
        on="nucleus",
        how="left",
        validate="m:1",
    )
    _check_nuclei(rows, nuclei)
    for fold in sorted(set(rows["fold"].tolist())):
        here = rows[rows["fold"] == fold]
        for part in PARTS[:2] if fold == FINAL else PARTS:
            _check_part(here[here["part"] == part], fold, part)
        sides = here.groupby(group)["part"].nunique()
        if (sides > 1).any():
            raise FathomError(
                f"fold {fold}: {group} {sides.idxmax()!r} stands in more than one part"
            )
    return [
        f"no {group} stands in two parts of a fold",
        "every nucleus is in exactly one test fold, and once in every fold",
        "both classes are in every part",
        "in training and validation parts both classes keep the same number of nuclei",
        "no nucleus of a test part is taken out",
    ]


def _check_nuclei(rows: pd.DataFrame, nuclei: Nuclei) -> None:
    known = set(nuclei.kept["nucleus"])
    for fold in sorted(set(rows["fold"].tolist())):
        here = rows[rows["fold"] == fold]
        if len(here) != len(known) or set(here["nucleus"]) != known:
            raise FathomError(f"fold {fold} does not hold every nucleus exactly once")
    tests = rows.loc[rows["part"] == "test"]
    if set(tests["nucleus"]) != known or tests["nucleus"].duplicated().any():
        raise FathomError("not every nucleus is in exactly one test fold")
    if (tests["fold"] == FINAL).any():
        raise FathomError("the final model's split must not have a test part")


def _check_part(here: pd.DataFrame, fold: int, part: str) -> None:
    where = f"fold {fold}, {part} part"
    if here["positive"].nunique() < 2:
        has = ", ".join(sorted(set(here["label"].astype(str)))) or "nothing"
        raise FathomError(
            f"{where}: holds one class at most ({has}). Use fewer split.folds, a larger "
            "split.validation_share or a finer split.group in params.yaml"
        )
    if part == "test":
        if not here["kept"].all():
            raise FathomError(f"{where}: a nucleus was taken out of it")
        return
    positive = int((here["kept"] & here["positive"]).sum())
    negative = int((here["kept"] & ~here["positive"]).sum())
    if positive != negative:
        raise FathomError(f"{where}: keeps {positive} positive and {negative} negative nuclei")
