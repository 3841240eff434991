"""How a case is trained and diagnosed: its network, a shallower one, a healthy twin, the ladder.

A case is a network under a recipe on nuclei, and the causes that count as right. Rules, fixed
before anything was run:

- **Harm.** Six networks of the case and six of its healthy twin are trained on the same folds and
  seeds. The fault does harm where at least three fewer leave the plateau, or the median training or
  validation accuracy (balanced, of networks) is lower by at least .1. A fault of the data can also
  raise the result: there .1 in either direction of the validation accuracy is harm. Else the case
  *did no harm*: it does not count, and no ladder is climbed.
- **A healthy case** counts where all six of its networks leave the plateau and their median
  validation accuracy is at least .8; else it is *not healthy*.
- **Right**: the main cause of the verdict is one that is accepted. **Partly**: one is among the
  causes, not first. Else **wrong**. What the audit grades as a warning stands beside the causes: a
  fault of the data is also right where its warning is there and no other cause. A healthy case is
  right with the verdict *no depth effect*, else a **false alarm**.
- At most 40 networks a case: two of the network and two of the shallower one, as the rows of a
  study would leave them, and `BUDGET` for the ladder. The twin is the benchmark's, not counted.

Cells are kept in a store: an interrupted call goes on where it was ended.
"""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from studied_nuclei import CROP_PX, PARAMS, PATIENTS, Nuclei, faults_of, studied

from fathom.diagnosis.case import Case as Asked
from fathom.diagnosis.case import Diagnosis
from fathom.diagnosis.evidence import Evidence, evidence_of
from fathom.diagnosis.ladder import Wanted, climb
from fathom.diagnosis.looks import FIRST
from fathom.diagnosis.verdict import DATA_FAULT, NO_EFFECT, NOTHING, UNEXPLAINED, Verdict, judge
from fathom.ground.section import read_section
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Probes, Recipe
from fathom.statistics.metrics import EVEN, counts_by_group
from fathom.study.rows import Run
from fathom.study.trained import PROBE_COLUMNS
from fathom.training.batches import Rows, fewer
from fathom.training.cell import Cell, Epoch, Shown, Trained
from fathom.training.pool import train_cells
from fathom.training.store import Store

FOLDS = 2
APART = 4  # every fourth patient validates: three of twelve in a fold
BUDGET = 36  # of the ladder
SEEDS = 100  # of networks, to each seed of nuclei: those of two seeds never meet
HARM = 0.1  # of an accuracy
FEWER_LEFT = 3  # of six networks
SOUND = 0.8  # validation accuracy of a healthy network
PROBES = Probes(crops=64, epochs=(1,))
NO_TRAINING_CAUSE = {NOTHING, NO_EFFECT, UNEXPLAINED}


@dataclass(frozen=True)
class Setting:
    """What is trained: a line, changes of the recipe of params.yaml, and nuclei."""

    line: str
    recipe: Mapping[str, object]
    nuclei: Nuclei
    positives: float | None = None  # share of positive nuclei that stay in training

    def plan(self, name: str) -> Plan:
        """Return the plan of the setting."""
        row = Run(architecture=name, interventions={"case": dict(self.recipe)})
        return planned(row, name, self.line, read_section(Recipe, PARAMS), CROP_PX)

    def rows(self, seed: int) -> list[dict[str, Rows]]:
        """Return the rows of training and validation, fold by fold; whole patients validate."""
        given = studied(self.nuclei, seed)
        folds = []
        for fold in range(FOLDS):
            validates = given.patient % APART == fold
            train, validation = np.flatnonzero(~validates), np.flatnonzero(validates)
            if self.positives is not None:
                those = train[given.positive[train]]
                kept = those[: max(2, round(self.positives * len(those)))]
                train = np.sort(np.concatenate([train[~given.positive[train]], kept]))
            folds.append({"train": train, "validation": validation})
        return folds


@dataclass(frozen=True)
class Case:
    """One case; `accept` is what the verdict may call it, empty for a healthy network."""

    name: str
    accept: tuple[str, ...]
    setting: Setting
    twin: Setting | None  # the same without the fault; None: it is healthy itself
    shallower: str  # its line
    network: str = ""  # a name of the line, for tables

    @property
    def is_of_data(self) -> bool:
        """Whether the fault is one of the data."""
        return any(one.startswith(DATA_FAULT) for one in self.accept)


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: Case
    six: Evidence  # the first six networks
    twin: Evidence | None
    verdict: Verdict | None  # None: the case does not count
    networks: int

    @cached_property
    def does_not_count(self) -> str:
        """Return why the case does not count; "" where it does."""
        if not self.case.accept:
            sound = all(self.six.left) and self.six.median("validation") >= SOUND
            return "" if sound else "not healthy"
        return "" if self._harms(self.twin) else "did no harm"

    def _harms(self, twin: Evidence) -> bool:
        lower = [twin.median(m) - self.six.median(m) for m in ("train_accuracy", "validation")]
        if self.case.is_of_data:
            lower.append(abs(lower[1]))
        return max(lower) >= HARM or sum(twin.left) - sum(self.six.left) >= FEWER_LEFT

    @property
    def mark(self) -> str:
        """Return right, partly or wrong, or why the case does not count."""
        return self.does_not_count or marked(self.case, self.verdict)

    def row(self) -> dict[str, object]:
        """Return a line of a table."""
        said = self.verdict
        causes = dict.fromkeys(_short(one.name) for one in said.causes) if said else ()
        warned = dict.fromkeys(map(_check, said.data_warnings)) if said else ()
        return {
            "case": self.case.name,
            "network": self.case.network,
            "nuclei": str(self.case.setting.nuclei),
            "accepted": " | ".join(self.case.accept) or "healthy",
            "left": str(self.six.tally),
            "training": round(self.six.median("train_accuracy"), 3),
            "validation": round(self.six.median("validation"), 3),
            "twin": round(self.twin.median("validation"), 3) if self.twin else "",
            "verdict": " + ".join(causes),
            "warnings": " ".join(warned),
            "result": self.mark,
            "networks": self.networks,
        }


def marked(case: Case, verdict: Verdict) -> str:
    """Return right, partly or wrong; of a healthy case right or false alarm."""
    if not case.accept:
        return "right" if verdict.main == NO_EFFECT else "false alarm"
    names = [cause.name for cause in verdict.causes]
    warned = [f"{DATA_FAULT}: {one}" for one in verdict.data_warnings]
    alone = case.is_of_data and verdict.main in NO_TRAINING_CAUSE
    if _accepted(case, names[:1]) or (alone and _accepted(case, warned)):
        return "right"
    return "partly" if _accepted(case, [*names, *warned]) else "wrong"


def _accepted(case: Case, names: list[str]) -> bool:
    return any(name.startswith(one) for name in names for one in case.accept)


def _short(cause: str) -> str:
    """Return a cause's name; of a fault of the data without its sentence."""
    return f"{DATA_FAULT}: {_check(cause[len(DATA_FAULT) + 2 :])}" if ":" in cause else cause


def _check(sentence: str) -> str:
    return sentence.partition(":")[0]


def diagnosed(case: Case, store: Store, seed: int, budget: int = BUDGET) -> Outcome:
    """Train what the rules ask for, climb the ladder where the case counts, and judge."""
    train = _Trainer(case.setting, store, seed)
    own = case.setting.plan("network")
    shallower = replace(case.setting, line=case.shallower).plan("shallower")
    there = Wanted(shallower, FOLDS, FOLDS)
    rows = train({"network": Wanted(own, FIRST, FIRST), "shallower": there})
    twin = six_networks(case.twin, store, seed) if case.twin else None
    found = Outcome(case, rows["network"], twin, None, FIRST + FOLDS)
    if found.does_not_count:
        return found
    limits = read_section(Diagnosis, PARAMS).model_copy(update={"budget": budget})
    faults = faults_of(case.setting.nuclei, seed)
    base = train({"network": Wanted(own, FOLDS, FOLDS)})["network"]  # what the ladder begins with
    asked = Asked(base, (rows["shallower"],), (), CROP_PX, faults)
    climbed = climb(asked, limits, train)
    verdict = judge(climbed.case, limits)
    return replace(found, verdict=verdict, networks=climbed.spent + 2 * FOLDS)


def six_networks(setting: Setting, store: Store, seed: int) -> Evidence:
    """Return the first six networks of a setting."""
    wanted = Wanted(setting.plan("network"), FIRST, FIRST)
    return _Trainer(setting, store, seed)({"network": wanted})["network"]


@dataclass(frozen=True)
class _Trainer:
    """Trains the first networks of each row, as many at once as there are cores."""

    setting: Setting
    store: Store
    seed: int

    def __call__(self, wanted: Mapping[str, Wanted]) -> dict[str, Evidence]:
        given = studied(self.setting.nuclei, self.seed)
        folds = self.setting.rows(self.seed)
        cells = [
            self._cell(name, one, unit, folds)
            for name, one in wanted.items()
            for unit in range(one.networks)
        ]
        shown = Shown(given.crops, given.positive)
        with redirect_stdout(sys.stderr):  # it says what the store held
            left = train_cells([(cell, shown) for cell in cells], "portable", self.store)
        pairs = list(zip(cells, left, strict=True))
        return {
            name: self._evidence(name, one, [pair for pair in pairs if pair[0].run == name])
            for name, one in wanted.items()
        }

    def _cell(self, name: str, wanted: Wanted, unit: int, folds: list[dict[str, Rows]]) -> Cell:
        """Return the network of one unit: all folds of a seed of its own, then the next seed's."""
        fold, own = unit % FOLDS, self.seed * SEEDS + unit // FOLDS
        plan, ends = wanted.plan, unit >= wanted.to_the_end(FOLDS)
        positive = studied(self.setting.nuclei, self.seed).positive
        stream = Streams(own, fold).generator("nuclei")
        rows = {**folds[fold], "train": fewer(folds[fold]["train"], positive, plan.recipe, stream)}
        return Cell(name, fold, own, plan.line, plan.recipe, rows, PROBES, until_left=ends)

    def _evidence(self, name: str, wanted: Wanted, pairs: list[tuple[Cell, Trained]]) -> Evidence:
        given, plan = studied(self.setting.nuclei, self.seed), wanted.plan
        names = given.table["nucleus"].to_numpy()
        positive = pd.Series(given.positive, index=names)
        layers = weight_layers(parse(plan.line))
        tables, to_the_end = _tables(pairs, names), wanted.to_the_end(FOLDS)
        evidence = evidence_of(name, plan, layers, positive, *tables, to_the_end)
        whole = [pair for pair in pairs if not pair[0].until_left]
        held_out = _held_out(whole, given.positive, given.patient)
        return replace(evidence, held_out=held_out, tested=len(whole))


def _held_out(pairs, positive, patient) -> tuple[tuple[float, ...], ...]:
    """Count the decisions on validation nuclei by patient: there are no other held-out ones."""
    counts = sum(
        counts_by_group(
            (one.probabilities["validation"] >= EVEN).astype(float),
            positive[cell.rows["validation"]],
            patient[cell.rows["validation"]],
            PATIENTS,
        )
        for cell, one in pairs
    )
    validated = counts.sum(axis=1) > 0
    return tuple(tuple(row) for row in counts[validated].tolist())


def _tables(pairs, names) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return predictions, history and probes, as `fathom.study.trained` has them."""
    predictions = pd.concat(
        pd.DataFrame({"nucleus": names[cell.rows[part]], "part": part, "probability": p}).assign(
            fold=cell.fold, seed=cell.seed
        )
        for cell, one in pairs
        for part, p in one.probabilities.items()
    )
    history, probes = (
        pd.concat(
            pd.DataFrame(getattr(one, of), columns=columns).assign(fold=cell.fold, seed=cell.seed)
            for cell, one in pairs
        )
        for of, columns in (("history", Epoch._fields), ("probes", PROBE_COLUMNS))
    )
    return predictions, history, probes
