"""Making the splits: outer folds and an inner validation part that keep groups whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.ground.arrays import Bools, Ints
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.splitting import division, division_proof
from fathom.splitting.division import Division, Units
from fathom.splitting.division_proof import divide
from fathom.study.certificate import DUPLICATES, TABLE, write_certificate
from fathom.study.duplicates import NOT_LOOKED_FOR, Bound, Duplicates, bind, pair_table
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL, PARTS, Split, check_splits

# Streams of chance: one a fold and purpose, so that a further fold changes no other's draw.
VALIDATION, OUTER = 2, 3  # 0 and 1 balance the parts of these numbers in PARTS

METHOD = {
    "objective": (
        "imbalance J: J^2 = 1/3 sum over negative, positive, all nuclei of sum over parts of "
        "share * (nuclei / (share * all nuclei of that kind) - 1)^2"
    ),
    "search": "exchanges of two units between two parts, and moves of one, from several starts",
    "bound": (
        "no division has a smaller J: largest units whole and the rest even; for small problems "
        "branch and bound (HiGHS) on tangents of the squares"
    ),
    "starts": division.STARTS,
    "exchanged_units": division.EXCHANGED,
    "largest_program_binaries": division_proof.BINARIES,
    "nodes_times_binaries": division_proof.NODES,
    "closeness_of_squares": division_proof.CLOSE,
}


@dataclass(frozen=True)
class Folds:
    """The table of splits (see `fathom.study.splits`), and how each fold was divided."""

    table: pd.DataFrame
    outer: Division
    validation: dict[int, Division]  # by fold: into training and validation part


def write_splits(
    nuclei: Nuclei, params: Split, out: Path, duplicates: Duplicates = NOT_LOOKED_FOR
) -> dict[str, object]:
    """Make, check and write the splits of `nuclei`; return the certificate that is written beside.

    Raises `FathomError` where there are too few groups for both classes in every part, saying how
    many there are.
    """
    pairs = pair_table(duplicates.pairs)
    folds, bound = make_folds(nuclei, params, pairs), bind(nuclei, params.group, pairs)
    content: dict[str, object] = {
        "params": params.model_dump(),
        "checked": check_splits(folds.table, nuclei, params.group, pairs),
        "duplicates": {
            "how": dict(duplicates.how),
            "pairs": len(pairs),
            "bound_together": [list(groups) for groups in bound.joined],
        },
        "method": METHOD,
        "divisions": _divisions(folds),
        "parts": _parts(folds.table, nuclei, params.group),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / TABLE, folds.table)
    write_table(out / DUPLICATES, pairs)
    write_certificate(out, nuclei, content)
    return content


def make_folds(nuclei: Nuclei, params: Split, pairs: pd.DataFrame) -> Folds:
    """Divide the groups into test parts, and those outside each into training and validation.

    Both are the most even divisions (`fathom.splitting.division`) of whole units: groups, or
    several that the duplicates in `pairs` bind together. The validation part is to hold
    `params.validation_share` of either class outside the test part.
    """
    bound = bind(nuclei, params.group, pairs)
    positive = nuclei.kept["positive"].to_numpy(dtype=bool)
    counts = np.stack([np.bincount(bound.unit, kind) for kind in (~positive, positive)], axis=1)
    counts = counts.astype(np.int64)
    # Outside a test part each class must stand in two units, one to train and one to validate on.
    # Of three or more test parts with one each, the others see to that.
    least = 2 if params.folds == 2 else 1
    _check_groups(counts, bound, nuclei, params, least * params.folds)
    shares = np.full(params.folds, 1 / params.folds)
    stream = np.random.default_rng([params.seed, 0, OUTER])
    outer = divide(Units(counts, shares, least), stream)
    tables, validation = [], {}
    for fold in (FINAL, *range(params.folds)):
        number = np.where(outer.parts == fold, PARTS.index("test"), PARTS.index("train"))
        rest = np.flatnonzero(outer.parts != fold)
        stream = np.random.default_rng([params.seed, fold - FINAL, VALIDATION])
        inner = np.array([1 - params.validation_share, params.validation_share])
        validation[fold] = divide(Units(counts[rest], inner, 1), stream)
        number[rest] = validation[fold].parts
        part = np.array(PARTS, dtype=object)[number][bound.unit]
        kept = balanced(part, positive, params.seed, fold)
        table = {"nucleus": nuclei.kept["nucleus"], "fold": fold, "part": part, "kept": kept}
        tables.append(pd.DataFrame(table))
    return Folds(pd.concat(tables, ignore_index=True), outer, validation)


def _check_groups(counts: Ints, bound: Bound, nuclei: Nuclei, params: Split, needed: int) -> None:
    """Refuse folds that cannot give every part both classes: see `splitting.division`."""
    negative, positive = (counts > 0).sum(0).tolist()
    if min(negative, positive) >= needed:
        return
    there = f"{nuclei.kept[params.group].nunique()} in all"
    if bound.joined:
        there += f", {len(counts)} once those that duplicates bind together count as one"
    raise FathomError(
        f"too few groups for split.folds = {params.folds}: each class must stand in at least "
        f"{needed} {params.group}s, and there are {positive} {params.group}s with positive nuclei "
        f"and {negative} {params.group}s with negative nuclei ({there}). Use fewer folds or a "
        "finer split.group"
    )


def balanced(part: npt.NDArray[np.object_], positive: Bools, seed: int, fold: int) -> Bools:
    """Return False for what undersampling takes out of the larger class, by chance, by part.

    `part` (n,) names the part of each nucleus in this fold; test parts keep all of theirs.
    """
    kept = np.ones(len(part), dtype=bool)
    for number, name in enumerate(PARTS[:2]):
        generator = np.random.default_rng([seed, fold - FINAL, number])
        here = part == name
        classes = [np.flatnonzero(here & positive), np.flatnonzero(here & ~positive)]
        smaller, larger = sorted(classes, key=len)
        kept[generator.permutation(larger)[len(smaller) :]] = False
    return kept


def _divisions(folds: Folds) -> list[dict[str, object]]:
    """Return how even each division is, and how even any could be, for the certificate."""
    named = {"test parts": folds.outer} | {
        f"training and validation part of fold {fold}": one
        for fold, one in folds.validation.items()
    }
    return [
        {
            "of": name,
            "units": len(one.parts),
            "imbalance": round(one.imbalance, 6),
            "bound": round(one.bound, 6),
            "gap": round(one.imbalance - one.bound, 6),
        }
        for name, one in named.items()
    ]


def _parts(splits: pd.DataFrame, nuclei: Nuclei, group: str) -> list[dict[str, object]]:
    """Return what is in each part, for the certificate."""
    rows = splits.merge(nuclei.kept[["nucleus", "positive", group]], on="nucleus")
    return [
        {
            "fold": int(str(fold)),
            "part": str(part),
            "groups": sorted(map(str, here[group].unique())),
            "nuclei": len(here),
            "positive": int(here["positive"].sum()),
            "negative": int((~here["positive"]).sum()),
            "kept": int(here["kept"].sum()),
        }
        for (fold, part), here in rows.groupby(["fold", "part"], sort=True)
    ]
