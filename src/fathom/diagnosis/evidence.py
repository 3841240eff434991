"""What a row of params.yaml came to, as numbers a diagnosis can compare: one set a cell.

Everything is computed from the tables that training left (predictions, history, probes), never from
what was printed. A cell's numbers are those of its probed batch, its training part in evaluation
mode after the last epoch, and its validation part under the weights that were kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, log, nan

import numpy as np
import pandas as pd

from fathom.diagnosis.looks import Tally, tally
from fathom.ground.arrays import Bools, Floats
from fathom.networks.interventions import Plan
from fathom.statistics.metrics import EVEN, balanced_accuracy_of
from fathom.statistics.scores import is_constant
from fathom.study.plateau import RUNNING, constant_loss, fell_back, left_at

LAST_EPOCHS = 5  # accuracies of single epochs jump (.99, .53, 1.0 in a healthy net): their median
LEAST_PROBABILITY = 1e-7  # a cross-entropy of a certain mistake is 16, not infinite, as in Keras
TINY = 1e-30  # a signal of 0 grows by a very large factor, not by infinity


@dataclass(frozen=True)
class CellEvidence:
    """One fold and seed. Every number is finite but where its comment says otherwise."""

    fold: int
    seed: int
    train_loss: float
    train_accuracy: float  # of the network, dropout off; see `_fit`
    validation: float  # balanced accuracy at the threshold .5
    constant: bool  # every validation nucleus gets the same probability
    one_class: bool  # every validation nucleus falls on the same side of .5
    majority: float  # share of the larger class in the training part
    input_rms: float
    signal: float  # at the start, of the last hidden layer: SD between samples / RMS
    spread: float  # at the start, of the last hidden layer: SD between samples
    growth: float  # at the start: SD between samples, last hidden layer / first; inf on overflow
    first_update: float  # relative change of the weights in the first step, median over layers
    silent: float  # share of units of the last hidden layer silent on every sample, at the end
    signal_end: float  # `signal`, at the end
    identity_distance: float  # median over residual blocks, at the end; NaN without blocks
    losses: tuple[float, ...]  # running training loss by epoch; NaN after a divergence
    train_nuclei: int
    validation_nuclei: int
    only_left: bool = False  # asked only whether it leaves the plateau: it may have ended early

    @property
    def log_train_loss(self) -> float:
        """Logarithm of the training loss: folds of one network can differ by factors."""
        return log(max(self.train_loss, LEAST_PROBABILITY))


@dataclass(frozen=True)
class Evidence:
    """One row of params.yaml: its plan and its cells, in the order of folds and seeds."""

    name: str
    plan: Plan
    weight_layers: int
    cells: tuple[CellEvidence, ...]
    # Of the held-out nuclei, a row a group: decisions counted as in `fathom.statistics.metrics`,
    # all cells together, each at its own threshold.
    held_out: tuple[tuple[float, ...], ...] | None = None
    tested: int = 0  # networks that `held_out` is of

    @cached_property
    def by_seed_and_fold(self) -> tuple[CellEvidence, ...]:
        """Return the cells by seed, then fold: the order in which an arm of the ladder grows."""
        return tuple(sorted(self.cells, key=lambda cell: (cell.seed, cell.fold)))

    @cached_property
    def finished(self) -> tuple[CellEvidence, ...]:
        """Return the cells that were to be trained to the end; all but `left` is asked of these.

        Those of which only `left` is asked are never among them: one that stays has all its epochs,
        one that leaves has not, and counting the former alone would count failures.
        """
        return tuple(cell for cell in self.cells if not cell.only_left)

    @cached_property
    def left_at(self) -> tuple[int | None, ...]:
        """Return the epoch at which each network left the plateau, in that order."""
        return tuple(self._left_at(cell) for cell in self.by_seed_and_fold)

    @property
    def left(self) -> tuple[bool, ...]:
        """Return whether each network left the plateau, in that order."""
        return tuple(epoch is not None for epoch in self.left_at)

    @property
    def tally(self) -> Tally:
        """Return how many networks left the plateau."""
        return tally(self.left)

    @property
    def fell_back(self) -> int:
        """Return how many networks left the plateau and came back to it."""
        return sum(fell_back(cell.losses, self._constant(cell)) for cell in self.finished)

    @property
    def left_with_one_answer(self) -> int:
        """Return how many finished networks left the plateau and still answer one class."""
        return sum(c.one_class and self._left_at(c) is not None for c in self.finished)

    def _left_at(self, cell: CellEvidence) -> int | None:
        """Return when a network left; where a running mean has too few epochs, by what there is."""
        losses = cell.losses
        missing = max(0, RUNNING - len(losses))
        found = left_at((*losses, *losses[-1:] * missing), self._constant(cell))
        return None if found is None else min(found, len(losses))

    def _constant(self, cell: CellEvidence) -> float:
        return constant_loss(cell.majority, self.plan.recipe.loss_weights)

    def median(self, number: str) -> float:
        """Return the median over finished cells of one of their numbers, NaN where all are."""
        values = np.array([getattr(cell, number) for cell in self.finished], dtype=np.float64)
        return float(np.nanmedian(values)) if not np.isnan(values).all() else nan

    def share(self, flag: str) -> float:
        """Return the share of finished cells in which a flag is set."""
        return float(np.mean([getattr(cell, flag) for cell in self.finished]))


def evidence_of(
    name: str,
    plan: Plan,
    weight_layers: int,
    positive: pd.Series,
    predictions: pd.DataFrame,
    history: pd.DataFrame,
    probes: pd.DataFrame,
    whole: int | None = None,
) -> Evidence:
    """Return the evidence of one row from its tables (`fathom.study.trained`).

    `positive` is bool and indexed by nucleus. The final model, fold -1, is left out. The first
    `whole` units, by seed and fold, were to be trained to the end; None: all were.
    """
    keys = probes[["fold", "seed"]].drop_duplicates().itertuples(index=False)
    units = sorted((int(seed), int(fold)) for fold, seed in keys)
    cells = []
    for unit, (seed, fold) in enumerate(units):
        own = (
            table[(table["fold"] == fold) & (table["seed"] == seed)]
            for table in (predictions, history, probes)
        )
        cell = _cell(fold, seed, positive, *own)
        cells.append(replace(cell, only_left=whole is not None and unit >= whole))
    in_order = sorted(cells, key=lambda cell: (cell.fold, cell.seed))
    return Evidence(name, plan, weight_layers, tuple(in_order))


def _cell(
    fold: int,
    seed: int,
    positive: pd.Series,
    predictions: pd.DataFrame,
    history: pd.DataFrame,
    probes: pd.DataFrame,
) -> CellEvidence:
    train, validation = (predictions[predictions["part"] == p] for p in ("train", "validation"))
    truth = positive.loc[validation["nucleus"]].to_numpy(dtype=np.bool_)
    trained = positive.loc[train["nucleus"]].to_numpy(dtype=np.bool_)
    probability = validation["probability"].to_numpy(dtype=np.float64)
    start, end = (probes[probes["epoch"] == probes["epoch"].agg(which)] for which in ("min", "max"))
    hidden = start.iloc[-2]  # rows: the input, the hidden layers, the output
    first = start.iloc[1]
    return CellEvidence(
        fold,
        seed,
        train_loss=_cross_entropy(train["probability"].to_numpy(dtype=np.float64), trained),
        train_accuracy=_fit(train["probability"].to_numpy(dtype=np.float64), trained, history),
        validation=_balanced(probability, truth),
        constant=is_constant(probability),
        one_class=len(np.unique(probability >= EVEN)) == 1,
        majority=float(max(trained.mean(), 1 - trained.mean())),
        input_rms=float(start.iloc[0]["rms"]),
        signal=_or(float(hidden["signal"]), 0.0),
        spread=_or(float(hidden["between_samples"]), inf),
        growth=_or(
            float(hidden["between_samples"]) / max(float(first["between_samples"]), TINY), inf
        ),
        first_update=_or(float(start["update"].median()), inf),
        silent=_or(float(end.iloc[-2]["silent"]), 1.0),
        signal_end=_or(float(end.iloc[-2]["signal"]), 0.0),
        identity_distance=_median(end["identity_distance"].to_numpy(dtype=np.float64)),
        losses=tuple(history.sort_values("epoch")["train_loss"].tolist()),
        train_nuclei=len(train),
        validation_nuclei=len(validation),
    )


def _fit(probability: Floats, positive: Bools, history: pd.DataFrame) -> float:
    """Return the balanced accuracy that training reached.

    That of the last epoch's network, or the median of the last epochs' running accuracies where
    that is higher: single epochs jump, and dropout and augmentation lower the running ones. With
    classes out of balance a running accuracy is high for nothing, and is not used.
    """
    last = _balanced(probability, positive)
    if abs(positive.mean() - 0.5) > 0.05:
        return last
    running = history.sort_values("epoch")["train_accuracy"].tail(LAST_EPOCHS).median()
    return max(last, float(running))


def _balanced(probability: Floats, truth: Bools) -> float:
    return 0.5 if is_constant(probability) else balanced_accuracy_of(probability >= EVEN, truth)


def _cross_entropy(probability: Floats, positive: Bools) -> float:
    own = np.where(positive, probability, 1 - probability)
    return float(-np.log(np.clip(own, LEAST_PROBABILITY, 1)).mean())


def _median(values: Floats) -> float:
    return float(np.nanmedian(values)) if not np.isnan(values).all() else nan


def _or(value: float, otherwise: float) -> float:
    """Return a number, or what stands for one that overflowed or was never there."""
    return value if np.isfinite(value) else otherwise


def paired(one: Evidence, other: Evidence) -> Sequence[tuple[CellEvidence, CellEvidence]]:
    """Return the finished cells of the same fold and seed, in order."""
    others = {(cell.fold, cell.seed): cell for cell in other.finished}
    return [
        (cell, others[key]) for cell in one.finished if (key := (cell.fold, cell.seed)) in others
    ]
