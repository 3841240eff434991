"""What a ladder asks for, trained from the pool and the store: the one place here that trains."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fathom.diagnosis.diagnosis import read_evidence
from fathom.diagnosis.evidence import Evidence
from fathom.diagnosis.ladder import Wanted
from fathom.ground.numerics import Numerics
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL
from fathom.training.cell import Cell
from fathom.training.trained_rows import cells_of, train_rows


@dataclass(frozen=True)
class ArmTrainer:
    """Trains what a ladder asks for, from the pool and the store, into a folder a row."""

    nuclei: Nuclei
    splits: pd.DataFrame
    probes: Probes
    numerics: Numerics
    store: Path
    group: str  # column of the nuclei's table that stands on one side of a split
    out: Path

    def __call__(self, wanted: Mapping[str, Wanted]) -> dict[str, Evidence]:
        """Train the first units of each row; those that the store holds are taken from it."""
        rows = {
            self.out / name: (self._cells(name, one), self.nuclei) for name, one in wanted.items()
        }
        train_rows(rows, self.numerics, self.store)
        return {name: self._evidence(name, one) for name, one in wanted.items()}

    def _evidence(self, name: str, wanted: Wanted) -> Evidence:
        whole = wanted.to_the_end(len(wanted.plan.recipe.seeds) * self._folds)
        folder = self.out / name
        return read_evidence(name, wanted.plan, folder, self.nuclei, self.group, whole)[0]

    @property
    def _folds(self) -> int:
        return len(set(self.splits["fold"].tolist()) - {FINAL})

    def _cells(self, name: str, wanted: Wanted) -> list[Cell]:
        folds = self._folds
        seeds = seeds_for(wanted.plan.recipe, folds, wanted.networks)
        recipe = wanted.plan.recipe.model_copy(update={"seeds": seeds})
        plan = Plan(wanted.plan.line, recipe)
        cells = cells_of(name, plan, self.probes, self.nuclei, self.splits, final=False)
        by_unit = sorted(cells, key=lambda cell: (cell.seed, cell.fold))[: wanted.networks]
        whole = wanted.to_the_end(len(wanted.plan.recipe.seeds) * folds)
        return [replace(cell, until_left=unit >= whole) for unit, cell in enumerate(by_unit)]


def seeds_for(recipe: Recipe, folds: int, networks: int) -> tuple[int, ...]:
    """Return the seeds that so many networks take: the recipe's in order, then those above them."""
    own = sorted(recipe.seeds)
    missing = max(0, -(-networks // folds) - len(own))
    return (*own, *range(own[-1] + 1, own[-1] + 1 + missing))
