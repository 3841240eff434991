"""Prediction tables as scored cells: each network with the threshold its own validation chose."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.ground.arrays import Bools, Floats, Ints
from fathom.ground.errors import FathomError
from fathom.statistics.metrics import EVEN, choose_threshold, counts_by_group
from fathom.study.nuclei import Nuclei

CONSTANT = 1e-6  # probabilities that spread less than this differ by float32 noise


@dataclass(frozen=True)
class Study:
    """The nuclei that every run is scored on."""

    nucleus: pd.Index  # (n,) str
    positive: Bools  # (n,)
    group: Ints  # (n,), 0..groups-1
    groups: int
    classes: tuple[str, str]  # the names of the negative and the positive class


@dataclass(frozen=True)
class Scores:
    """One part of a cell, one entry a nucleus."""

    probability: Floats  # (n,) of the positive class; .5 throughout where they say nothing
    positive: Bools  # (n,)
    group: Ints  # (n,)
    constant: bool

    def decisions(self, threshold: float) -> Floats:
        """Return 1 for positive, 0 for negative, .5 throughout where the scores say nothing.

        A network that learned nothing falls on either side of its threshold by chance. Half a
        decision, as AUROC counts ties, scores it .5 whatever the share of the classes in its fold.
        """
        if self.constant:
            return self.probability
        return (self.probability >= threshold).astype(np.float64)

    def counts(self, threshold: float, groups: int) -> Floats:
        """Count the decisions by group: (groups, 4), see `fathom.statistics.metrics`."""
        return counts_by_group(self.decisions(threshold), self.positive, self.group, groups)


@dataclass(frozen=True)
class ScoredCell:
    """One network (a fold and a seed of a run) and the threshold its validation part chose."""

    train: Scores
    validation: Scores
    test: Scores
    threshold: float
    fold: int
    seed: int


Cells = tuple[ScoredCell, ...]


def study_of(nuclei: Nuclei, group: str) -> Study:
    """Return the nuclei with their `group`, the name of a column of their table."""
    kept = nuclei.kept
    codes, names = pd.factorize(kept[group], sort=True)
    positive = kept["positive"].to_numpy(dtype=bool)
    group_of = codes.astype(np.int64)
    return Study(pd.Index(kept["nucleus"]), positive, group_of, len(names), class_names(nuclei))


def is_constant(probability: Floats) -> bool:
    """Whether probabilities say nothing: they are all one, or a network that diverged wrote NaN."""
    return not np.isfinite(probability).all() or bool(np.ptp(probability) <= CONSTANT)


def class_names(nuclei: Nuclei) -> tuple[str, str]:
    """Return the names of the negative and the positive class."""
    label, positive = nuclei.kept["label"], nuclei.kept["positive"].to_numpy(dtype=bool)
    return str(label[~positive].iloc[0]), str(label[positive].iloc[0])


def read_cells(path: Path, study: Study, seeds: Collection[int] | None = None) -> Cells:
    """Read a prediction table as scored cells, of these seeds or all, in the order of folds.

    The final model's rows are left out: it has no test part. Raises `FathomError` where the file
    is missing or a seed does not test each nucleus of the study exactly once.
    """
    if not path.is_file():
        raise FathomError(f"{path} is missing: run 'dvc repro' to make it")
    table = pd.read_parquet(path)
    table = table[table["fold"] >= 0]
    if seeds is not None:
        table = table[table["seed"].isin(seeds)]
    table = table.assign(place=study.nucleus.get_indexer(pd.Index(table["nucleus"])))
    tests = table[table["part"] == "test"]
    for seed in sorted(set(table["seed"].tolist())):
        tested = np.sort(tests.loc[tests["seed"] == seed, "place"].to_numpy())
        if not np.array_equal(tested, np.arange(len(study.nucleus))):
            raise FathomError(
                f"{path}: seed {seed} does not test each of the {len(study.nucleus)} nuclei "
                "exactly once: it was made from other nuclei or splits. Run 'dvc repro'"
            )
    cells = table.groupby(["fold", "seed"], sort=True)
    return tuple(_scored_cell(cell, study) for _, cell in cells)


def _scored_cell(cell: pd.DataFrame, study: Study) -> ScoredCell:
    train, validation, test = (
        _scores(cell[cell["part"] == part], study) for part in ("train", "validation", "test")
    )
    threshold = choose_threshold(validation.probability, validation.positive)
    fold, seed = (int(cell[name].iloc[0]) for name in ("fold", "seed"))
    return ScoredCell(train, validation, test, threshold, fold, seed)


def _scores(rows: pd.DataFrame, study: Study) -> Scores:
    place = rows["place"].to_numpy()
    probability = rows["probability"].to_numpy(dtype=np.float64)
    constant = is_constant(probability)
    if constant:
        probability = np.full(len(probability), EVEN)
    return Scores(probability, study.positive[place], study.group[place], constant)
