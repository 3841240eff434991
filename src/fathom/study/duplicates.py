"""Groups bound to one side: near-duplicates across groups make one unit of them.

A group (patient, slide, image) never stands in two parts of a fold. Where a nucleus of one group is
a copy of a nucleus of another, whole groups on either side still leak, and so the two groups are
one unit of the split; and so on along chains, for a copy of a copy is a copy.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fathom.ground.errors import FathomError
from fathom.ground.output import write_json, write_table
from fathom.study.nuclei import Nuclei

PAIR = ["first", "second"]  # str, ids of nuclei


@dataclass(frozen=True)
class Duplicates:
    """Pairs of nuclei that show the same object, and how they were looked for."""

    pairs: pd.DataFrame  # PAIR, a row a pair, may be empty; further columns are not looked at
    how: Mapping[str, str | int | float]  # method and thresholds, for the certificate


NOT_LOOKED_FOR = Duplicates(pd.DataFrame(columns=PAIR, dtype=str), {"method": "not looked for"})


@dataclass(frozen=True)
class Bound:
    """What is divided: units of one group, or of several that duplicates bind together."""

    unit: npt.NDArray[np.int64]  # (len(nuclei.kept),): the unit of each nucleus, 0..n-1
    joined: tuple[tuple[str, ...], ...]  # the groups of each unit of several groups


def pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the columns `PAIR` alone, each pair once, in one order whatever theirs was."""
    missing = [column for column in PAIR if column not in pairs]
    if missing:
        raise FathomError(f"the table of duplicates has no column '{missing[0]}'")
    ordered = np.sort(pairs[PAIR].to_numpy(dtype=str), axis=1)
    table = pd.DataFrame(ordered, columns=PAIR, dtype=str)
    return table.drop_duplicates().sort_values(PAIR, ignore_index=True)


def bind(nuclei: Nuclei, group: str, pairs: pd.DataFrame) -> Bound:
    """Return the units of `nuclei.kept`: the components of the graph of groups with a pair.

    Nuclei without a crop bind as well: two groups that share an image share it wherever a nucleus
    was too large to crop.
    """
    codes, names = pd.factorize(nuclei.table[group])
    rows = pd.Index(nuclei.table["nucleus"])
    ends = np.stack([rows.get_indexer(pairs[column]) for column in PAIR])
    if (ends < 0).any():
        unknown = pairs[PAIR].to_numpy().T[ends < 0][0]
        raise FathomError(
            f"the table of duplicates names nucleus {unknown!r}, which is not in the table of "
            "nuclei: look for duplicates again"
        )
    links = coo_array((np.ones(len(pairs)), tuple(codes[ends])), shape=(len(names), len(names)))
    component = connected_components(links, directed=False)[1]
    unit, _ = pd.factorize(component[codes[rows.get_indexer(nuclei.kept["nucleus"])]])
    members: dict[int, list[str]] = {}
    for name, one in zip(names, component.tolist(), strict=True):
        members.setdefault(one, []).append(str(name))
    return Bound(unit, tuple(tuple(sorted(one)) for one in members.values() if len(one) > 1))


PAIRS, HOW = "near_duplicates.parquet", "near_duplicates.json"


def write_pairs(folder: Path, pairs: pd.DataFrame, how: Mapping[str, str | int | float]) -> None:
    """Write the pairs (`first_nucleus`, `second_nucleus`) and how they were looked for."""
    write_table(folder / PAIRS, pairs)
    write_json(folder / HOW, how)


def read_duplicates(folder: Path, nuclei: Nuclei) -> Duplicates:
    """Read the pairs of nuclei that must stand on one side of every split.

    Raises `FathomError` where they are missing or of other nuclei.
    """
    for name in (PAIRS, HOW):
        if not (folder / name).is_file():
            raise FathomError(f"{folder / name} is missing: run the stage 'audit' first")
    pairs = pd.read_parquet(folder / PAIRS, columns=["first_nucleus", "second_nucleus"])
    if not set(pairs.to_numpy().ravel()) <= set(nuclei.kept["nucleus"]):
        raise FathomError(
            f"{folder / PAIRS} was made from other nuclei: run the stage 'audit' again"
        )
    how = json.loads((folder / HOW).read_text(encoding="utf-8"))
    return Duplicates(pairs.set_axis(PAIR, axis="columns"), how)
