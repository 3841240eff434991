"""The table of splits: its promises, checked on every read, and how to ask it for rows.

One row a nucleus and fold: `nucleus` str, `fold` int, `part` str, `kept` bool (not taken out by the
balancing). Folds 0, 1, ... are the outer folds, each with a training, a validation and a test
part; `FINAL` is the split of the final model, which has no test part.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from fathom.ground.errors import FathomError
from fathom.ground.section import Section, Seed, Share
from fathom.study.certificate import DUPLICATES, TABLE, read_certificate
from fathom.study.duplicates import bind, pair_table
from fathom.study.nuclei import Nuclei

FINAL = -1
PARTS = ("train", "validation", "test")

# What a split promises, and how `check_splits` looks at it.
PROMISES = {
    "no {group} stands in two parts of a fold": "parts of each {group}'s nuclei counted, by fold",
    "no two nuclei of a pair of duplicates, nor their {group}s, stand in two parts of a fold": (
        "parts counted, by fold, of the connected components of {group}s that pairs join"
    ),
    "every nucleus is in exactly one test fold, and once in every fold": (
        "ids of each fold and of all test parts compared with the table of nuclei"
    ),
    "both classes are in every part": "classes counted by fold and part",
    "in training and validation parts both classes keep the same number of nuclei": (
        "kept nuclei counted by fold, part and class"
    ),
    "no nucleus of a test part is taken out": "kept nuclei counted by fold",
}


class Split(Section):
    """How nuclei are divided into outer folds and an inner validation part."""

    key: ClassVar[str] = "split"
    group: Literal["image", "slide", "patient"]
    folds: Annotated[int, Field(ge=2)]
    validation_share: Share
    seed: Seed


def read_splits(
    folder: Path, nuclei: Nuclei, duplicates: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Read the splits of `nuclei` and check every promise again: no run trains on a bad split.

    Raises `FathomError` where the certificate does not match the nuclei, the table of splits or the
    duplicates (those written beside it and, where they are given, `duplicates`), or where the
    splits break a promise.
    """
    certificate = read_certificate(folder, nuclei)
    pairs = pd.read_parquet(folder / DUPLICATES)
    if duplicates is not None and not pairs.equals(pair_table(duplicates)):
        raise FathomError(
            f"{folder} was made with other duplicates ({len(pairs)} pairs, now "
            f"{len(duplicates)}): run the stage 'split' again"
        )
    splits = pd.read_parquet(folder / TABLE)
    check_splits(splits, nuclei, certificate["params"]["group"], pairs)
    return splits


def part_rows(nuclei: Nuclei, splits: pd.DataFrame, fold: int, part: str) -> npt.NDArray[np.intp]:
    """Return the positions in `nuclei.kept` of the balanced nuclei of one part, ascending."""
    chosen = splits.loc[
        (splits["fold"] == fold) & (splits["part"] == part) & splits["kept"], "nucleus"
    ]
    return np.flatnonzero(nuclei.kept["nucleus"].isin(chosen))


def check_splits(
    splits: pd.DataFrame, nuclei: Nuclei, group: str, pairs: pd.DataFrame
) -> dict[str, str]:
    """Check what a split promises and return the promises, and how each was checked.

    Raises `FathomError` naming the promise, the fold and the part that break it.
    """
    bound = bind(nuclei, group, pairs)
    rows = splits.merge(
        nuclei.kept[["nucleus", "label", "positive", group]].assign(unit=bound.unit),
        on="nucleus",
        how="left",
        validate="m:1",
    )
    _check_nuclei(rows, nuclei)
    for fold in sorted(set(rows["fold"].tolist())):
        here = rows[rows["fold"] == fold]
        for part in PARTS[:2] if fold == FINAL else PARTS:
            _check_part(here[here["part"] == part], fold, part)
        _check_sides(here, fold, group)
    return {what.format(group=group): how.format(group=group) for what, how in PROMISES.items()}


def _check_sides(here: pd.DataFrame, fold: int, group: str) -> None:
    """Refuse a group, or groups that duplicates bind, in two parts of a fold."""
    sides = here.groupby(group)["part"].nunique()
    if (sides > 1).any():
        raise FathomError(f"fold {fold}: {group} {sides.idxmax()!r} stands in more than one part")
    sides = here.groupby("unit")["part"].nunique()
    if (sides > 1).any():
        names = ", ".join(sorted(map(str, set(here.loc[here["unit"] == sides.idxmax(), group]))))
        raise FathomError(
            f"fold {fold}: the {group}s {names}, which duplicates bind together, stand in more "
            "than one part"
        )


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
