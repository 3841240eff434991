"""Training one cell: one run, one fold, one seed, on one thread.

The same cell gives the same bytes, whatever runs beside it and however often it was interrupted.
Where torch finds a GPU it is used, for one cell at a time; fathom's tests have had none to run on.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from fathom.architecture import parse
from fathom.checkpoint import Checkpoint
from fathom.errors import FathomError
from fathom.network import build, scale_input
from fathom.nuclei import Crops
from fathom.params import Recipe
from fathom.splits import FINAL

Targets = npt.NDArray[np.bool_]  # (n,), whether the nucleus is of the positive class
Rows = npt.NDArray[np.intp]  # positions in crops and targets
Weights = dict[str, torch.Tensor]

EVALUATED_AT_ONCE = 256  # crops; a constant, because the size of a batch changes how sums round


@dataclass(frozen=True)
class Cell:
    """One network to train: its run, its line and recipe, and the rows of each part."""

    run: str
    fold: int
    seed: int
    line: str
    recipe: Recipe
    rows: Mapping[str, Rows]  # of train and validation, and of test unless it is the final model

    def __str__(self) -> str:
        part = "final model" if self.fold == FINAL else f"fold {self.fold}"
        return f"{self.run}, {part}, seed {self.seed}"


class Epoch(NamedTuple):
    """What one epoch came to; NaN is a loss that was not finite: the training diverged.

    The training figures are running ones, as Keras prints them: over the epoch's batches, with
    dropout and augmentation, while the weights change.
    """

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Trained:
    """What a cell leaves.

    `weights` are of the epoch that the recipe keeps, among those with a finite validation loss: a
    diverged network's are never kept, and the initial ones are where no epoch has such a loss.
    `probabilities` (float64, a part's rows in order) are of the last epoch for the training part
    and of `weights` for the others, without dropout and augmentation, in float32 as the exported
    model computes them. A logit that is not a number says nothing: it counts as probability 0.5.
    """

    history: list[Epoch]
    probabilities: dict[str, npt.NDArray[np.float64]]
    weights: Weights


def train_cell(
    crops: Crops,
    targets: Targets,
    cell: Cell,
    checkpoint: Checkpoint,
    report: Callable[[Epoch], None],
) -> Trained:
    """Train a cell from its checkpoint on, or from the start; `report` hears of each epoch.

    Torch's global state (threads, random numbers, determinism) is left as it was found. Raises
    `FathomError` for a part that is too small to train or validate on.
    """
    if len(cell.rows["train"]) < 2 or len(cell.rows["validation"]) < 1:
        raise FathomError(
            f"run {cell.run}, fold {cell.fold}: has {len(cell.rows['train'])} nuclei to train and "
            f"{len(cell.rows['validation'])} to validate on; at least 2 and 1 are needed"
        )
    with _reproducible():
        training = _Training(crops, targets, cell)
        if saved := checkpoint.load():
            training.restore(saved)
            done = len(training.history)
            print(f"{cell}: continues after epoch {done}", file=sys.stderr, flush=True)
            report(training.history[-1])
        while len(training.history) < cell.recipe.epochs:
            training.run_epoch()
            checkpoint.save(training.state())
            report(training.history[-1])
        return training.result()


class _Training:
    """A cell between two epochs: all that its further course depends on."""

    def __init__(self, crops: Crops, targets: Targets, cell: Cell) -> None:
        self.crops, self.targets = crops, targets
        self.rows, self.recipe = cell.rows, cell.recipe
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        _, crop_px, _, channels = crops.shape
        self.network = build(parse(cell.line), cell.recipe, channels, crop_px, cell.seed)
        self.network.to(self.device)
        # PyTorch adds eps to the root of the mean square (Keras 3 adds it below the root).
        self.optimiser = torch.optim.RMSprop(
            self.network.parameters(),
            lr=cell.recipe.learning_rate,
            alpha=cell.recipe.alpha,
            eps=cell.recipe.eps,
        )
        # The order of the crops has a stream of its own, so that runs which differ in dropout see
        # the same batches. Dropout can only draw from torch's global one.
        order_seed, dropout_seed = np.random.SeedSequence(cell.seed).generate_state(2).tolist()
        self.generator = torch.Generator().manual_seed(order_seed)
        torch.manual_seed(dropout_seed)
        self.history: list[Epoch] = []
        self.kept = self._weights()

    def run_epoch(self) -> None:
        """Train on each crop once, validate, and keep the weights if they are the ones to keep."""
        loss, accuracy = self._train()
        logits = self._logits("validation")
        target = torch.from_numpy(self.targets[self.rows["validation"]])
        validation_loss = _finite(binary_cross_entropy_with_logits(logits, target.double()))
        finite = [
            epoch.validation_loss for epoch in self.history if isfinite(epoch.validation_loss)
        ]
        improved = validation_loss < min(finite, default=inf)
        if improved or (self.recipe.weights == "last" and isfinite(validation_loss)):
            self.kept = self._weights()
        self.history.append(
            Epoch(
                len(self.history) + 1,
                loss,
                accuracy,
                validation_loss,
                float(((logits > 0) == target).double().mean()),
            )
        )

    def result(self) -> Trained:
        """Return what is left when all epochs are done."""
        last = self._probabilities("train")
        self.network.load_state_dict(self.kept)
        others = {part: self._probabilities(part) for part in self.rows if part != "train"}
        return Trained(self.history, {"train": last, **others}, self.kept)

    def state(self) -> dict[str, object]:
        """Return everything that `restore` needs."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "kept": self.kept,
            "history": [tuple(epoch) for epoch in self.history],
            "generator": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "dropout_gpu": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.kept = state["kept"]
        self.history = [Epoch(*epoch) for epoch in state["history"]]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["dropout_gpu"])

    def _train(self) -> tuple[float, float]:
        """Train on each crop of the training part once; return the running loss and accuracy."""
        self.network.train()
        rows = self.rows["train"]
        losses, correct = [], []
        for batch in _batches(rows, self.recipe.batch_size, self.generator):
            crops = torch.from_numpy(self.crops[batch])
            if self.recipe.augmentation:
                crops = augment(crops, self.generator)
            target = torch.from_numpy(self.targets[batch]).to(self.device)
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"
            ):
                logits = self.network(self._scaled(crops))
            loss = binary_cross_entropy_with_logits(logits.float(), target.float())
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.append(loss.detach().double() * len(batch))
            correct.append(((logits > 0) == target).sum())
        total = torch.stack(losses).sum() / len(rows)
        return _finite(total), float(torch.stack(correct).sum()) / len(rows)

    def _scaled(self, crops: torch.Tensor) -> torch.Tensor:
        return scale_input(crops.to(self.device), self.recipe.input_scale)

    @torch.inference_mode()
    def _logits(self, part: str) -> torch.Tensor:
        """Return the logits of a part, (n,) float64 on the CPU, as the exported model has them."""
        self.network.eval()
        rows = self.rows[part]
        chunks = [
            self.network(
                self._scaled(torch.from_numpy(self.crops[rows[i : i + EVALUATED_AT_ONCE]]))
            )
            for i in range(0, len(rows), EVALUATED_AT_ONCE)
        ]
        return torch.cat(chunks).cpu().double()

    def _probabilities(self, part: str) -> npt.NDArray[np.float64]:
        probabilities = torch.sigmoid(self._logits(part)).nan_to_num(nan=0.5)
        return probabilities.numpy()

    def _weights(self) -> Weights:
        """Return a copy of the network's weights on the CPU."""
        return {
            name: weight.detach().to("cpu", copy=True)
            for name, weight in self.network.state_dict().items()
        }


def augment(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn and mirror each crop of (n, side, side, channels) on its own.

    Two flips and a transposition, each for half of the crops, make the eight symmetries of the
    square equally likely. A quarter turn is a transposition and a flip.
    """
    draws = torch.randint(0, 2, (3, len(crops), 1, 1, 1), generator=generator).bool()
    crops = torch.where(draws[0], crops.flip(1), crops)
    crops = torch.where(draws[1], crops.flip(2), crops)
    return torch.where(draws[2], crops.transpose(1, 2), crops)


def _batches(rows: Rows, size: int, generator: torch.Generator) -> Iterator[Rows]:
    """Yield the rows in a random order, `size` at a time, the last time what is left.

    BatchNorm cannot train on one crop, so a single one that is left joins the batch before: in
    every run, so that runs with and without it see the same batches.
    """
    order = rows[torch.randperm(len(rows), generator=generator).numpy()]
    starts = list(range(0, len(rows), size))
    if len(rows) - starts[-1] == 1:
        starts.pop()
    for start, end in pairwise([*starts, len(rows)]):
        yield order[start:end]


def _finite(loss: torch.Tensor) -> float:
    """Return a loss as a number; infinity becomes NaN, the one sign of a diverged training."""
    return value if isfinite(value := float(loss)) else nan


@contextmanager
def _reproducible() -> Iterator[None]:
    """One thread and deterministic algorithms, and afterwards all global state as it was.

    Numbers too small for a normal float32 count as 0: in a network that is stuck the mean squares
    of RMSProp become such numbers and stay so, and arithmetic with them is slow (epochs of 50
    instead of 36 ms after 400 steps, 436,000 of 690,000 mean squares). Torch cannot say whether
    this was on before; by default it is off.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its one setting is unknown to the type checker
    filled = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            torch.set_num_threads(1)
            torch.use_deterministic_algorithms(True)
            # Filling memory that is about to be overwritten costs up to 9 % and changes nothing.
            memory.fill_uninitialized_memory = False
            torch.set_flush_denormal(True)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            memory.fill_uninitialized_memory = filled
            torch.set_flush_denormal(False)
