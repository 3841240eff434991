"""The networks that look for a planted texture, trained from the strongest change to the weakest.

They are those of the study's question: the first of `runs`, the deeper ones that a ladder explains,
and each of these under the first cure that its ladder found. Recipes are the study's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.diagnosis import TrainedRow, suspects
from fathom.diagnosis.ladder_file import read_climbed
from fathom.diagnosis.rungs import judged_rungs
from fathom.ground.numerics import Numerics
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes
from fathom.study.nuclei import Nuclei, read_nuclei
from fathom.study.splits import Split
from fathom.texture.params import Texture
from fathom.texture.planted_texture import planted_splits, write_planted
from fathom.texture.texture_scores import NUCLEI, RUNS, score_strength, strength_folder
from fathom.training.trained_rows import cells_of, train_rows


def asked_networks(
    rows: Mapping[str, TrainedRow], ladders: Path, nuclei: Nuclei, group: str, limits: Diagnosis
) -> dict[str, Plan]:
    """Return the networks that are asked, by name.

    `rows` is what `runs` came to, `ladders` the folder of the stage `ladder`. Where no network has
    a ladder, the deepest stands for the deeper ones.
    """
    first = next(iter(rows))
    asked = {first: rows[first].plan}
    cases = suspects(rows, limits, nuclei.crop_px)
    if not cases:
        deepest = max(rows, key=lambda name: rows[name].evidence.weight_layers)
        return asked | {deepest: rows[deepest].plan}
    for given in cases:
        case, _, _ = read_climbed(ladders / given.base.name, given, nuclei, group)
        asked[case.base.name] = case.base.plan
        plans = {row.name: row.plan for row in case.ladder}
        cures = [rung.name for rung in judged_rungs(case, limits) if rung.repairs]
        asked |= {name: plans[name] for name in cures[:1]}
    return asked


@dataclass(frozen=True)
class Search:
    """What a search for the smallest texture stands on."""

    nuclei: Nuclei
    splits: pd.DataFrame  # the study's
    folder: Path  # that they were read from
    split: Split
    texture: Texture
    probes: Probes
    numerics: Numerics
    store: Path  # of cells
    confidence: float

    def run(self, networks: Mapping[str, Plan], out: Path) -> None:
        """Train strength by strength, each network until it misses one; write all to `out`."""
        asked = dict(networks)
        for strength in self.texture.strengths:
            cells = len(asked) * len(self.texture.seeds)
            print(
                f"texture: do {', '.join(asked)} find a change of {strength:g} SD? "
                f"{cells * self.split.folds} networks"
            )
            self._train(asked, strength, out)
            scores = score_strength(out, strength, self.split.group, self.confidence)
            found = [one.network for one in scores if one.found]
            print(f"texture: {strength:g} SD is found by {', '.join(found) or 'none'}")
            asked = {name: plan for name, plan in asked.items() if name in found}
            if not asked:
                return

    def _train(self, asked: Mapping[str, Plan], strength: float, out: Path) -> None:
        here = strength_folder(out, strength)
        write_planted(self.nuclei, self.split.group, self.texture, strength, here / NUCLEI)
        nuclei = read_nuclei(here / NUCLEI)
        splits = planted_splits(self.splits, self.folder, nuclei, self.split)
        rows = {}
        for name, plan in asked.items():
            recipe = plan.recipe.model_copy(update={"seeds": self.texture.seeds})
            own = Plan(plan.line, recipe)
            row = cells_of(name, own, self.probes, nuclei, splits, final=False)
            rows[here / RUNS / name] = row, nuclei
        train_rows(rows, self.numerics, self.store)
