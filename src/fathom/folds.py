"""Making the splits: outer folds and an inner validation part that keep groups whole."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from fathom.errors import FathomError
from fathom.nuclei import Nuclei
from fathom.output import write_json, write_table
from fathom.params import Split
from fathom.splits import CERTIFICATE, FINAL, PARTS, TABLE, check_splits, nuclei_hash

Groups = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]


def write_splits(nuclei: Nuclei, params: Split, out: Path) -> dict[str, object]:
    """Make, check and write the splits of `nuclei`; return the certificate that is written beside.

    Raises `FathomError` where there are too few groups, saying how many there are, or where the
    groups cannot be divided so that every part has both classes.
    """
    splits = make_splits(nuclei, params)
    certificate: dict[str, object] = {
        "group": params.group,
        "folds": params.folds,
        "seed": params.seed,
        "nuclei_sha256": nuclei_hash(nuclei),
        "checked": check_splits(splits, nuclei, params.group),
        "parts": _parts(splits, nuclei, params.group),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / TABLE, splits)
    write_json(out / CERTIFICATE, certificate)
    return certificate


def make_splits(nuclei: Nuclei, params: Split) -> pd.DataFrame:
    """Return the table of splits (see `fathom.splits`): same nuclei and params, same rows.

    Outer folds: scikit-learn's StratifiedGroupKFold, shuffled with the seed. The validation part of
    a fold is one fold of a second such division of the groups outside its test part.
    """
    groups = nuclei.kept[params.group].to_numpy(dtype=object)
    positive = nuclei.kept["positive"].to_numpy(dtype=bool)
    _check_groups(groups, positive, params)
    everything = np.arange(len(groups))
    tests = list(_divide(groups, positive, params.folds, params.seed))
    tables = []
    for fold, test in [(FINAL, everything[:0]), *enumerate(tests)]:
        rest = np.setdiff1d(everything, test)
        validation = rest[_validation(groups[rest], positive[rest], params, fold)]
        part = np.full(len(groups), "train", dtype=object)
        part[validation] = "validation"
        part[test] = "test"
        kept = np.ones(len(groups), dtype=bool)
        for number, name in enumerate(PARTS[:2]):
            # One stream a fold and part: a further fold changes no other part's draw.
            generator = np.random.default_rng([params.seed, fold - FINAL, number])
            kept &= _balanced(part == name, positive, generator)
        table = {"nucleus": nuclei.kept["nucleus"], "fold": fold, "part": part, "kept": kept}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def _check_groups(groups: Groups, positive: Bools, params: Split) -> None:
    """Refuse a number of folds that cannot give every part both classes."""
    # One for each test fold; and outside any test fold one to train and one to validate on.
    needed = 4 if params.folds == 2 else params.folds
    counts = {
        f"{params.group}s with positive nuclei": len(set(groups[positive])),
        f"{params.group}s with negative nuclei": len(set(groups[~positive])),
    }
    if min(counts.values()) < needed:
        raise FathomError(
            f"too few groups for split.folds = {params.folds}: each class must stand in at least "
            f"{needed} {params.group}s, and there are "
            + " and ".join(f"{count} {what}" for what, count in counts.items())
            + f" ({len(set(groups))} in all). Use fewer folds or a finer split.group"
        )


def _divide(groups: Groups, positive: Bools, folds: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each of `folds` parts of whole groups with like shares of classes."""
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(groups, positive, groups)]


def _validation(groups: Groups, positive: Bools, params: Split, fold: int) -> npt.NDArray[np.intp]:
    """Return the rows of the validation part: the nearest to the share that whole groups allow."""
    fewest = min(len(set(groups[positive])), len(set(groups[~positive])))
    if fewest < 2:
        raise FathomError(
            f"fold {fold}: outside its test part a class stands in {fewest} {params.group} only, "
            "so that it cannot be both trained and validated on. Use fewer split.folds or a finer "
            "split.group"
        )
    folds = max(2, min(round(1 / params.validation_share), fewest))
    share = params.validation_share * len(groups)
    parts = _divide(groups, positive, folds, params.seed)
    both = [part for part in parts if 0 < positive[part].sum() < len(part)]
    return min(both or parts, key=lambda part: abs(len(part) - share))


def _balanced(here: Bools, positive: Bools, generator: np.random.Generator) -> Bools:
    """Return False for the nuclei of `here` that undersampling takes out of the larger class."""
    kept = np.ones(len(here), dtype=bool)
    classes = [np.flatnonzero(here & positive), np.flatnonzero(here & ~positive)]
    smaller, larger = sorted(classes, key=len)
    kept[generator.permutation(larger)[len(smaller) :]] = False
    return kept


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
            "kept": int(here["kept"].sum()),
        }
        for (fold, part), here in rows.groupby(["fold", "part"], sort=True)
    ]
