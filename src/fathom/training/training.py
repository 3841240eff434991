"""Training one cell: one run, one fold, one seed, on one thread.

The same cell gives the same bytes, whatever runs beside it and however often it was interrupted.
Under native numerics a GPU is used where torch finds one, for one cell at a time; fathom's tests
have had none to run on.
"""

import sys
from collections.abc import Callable, Iterator
from math import inf, isfinite, nan
from time import monotonic
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from fathom.ground.errors import FathomError
from fathom.ground.numerics import Numerics
from fathom.networks.architecture import parse
from fathom.networks.initialisation import main_layers, unit_variance
from fathom.networks.network import build, scale_input
from fathom.networks.recipe import Probes
from fathom.networks.units import Dropout
from fathom.study.plateau import AFTER_LEFT, constant_loss, left_at
from fathom.training.batches import Rows, batches, training_targets, turned
from fathom.training.cell import (
    Cell,
    Epoch,
    Shown,
    State,
    StateDict,
    Trained,
    arrays_of,
    named_after,
)
from fathom.training.determinism import reproducible
from fathom.training.optimisers import Optimiser, set_rate
from fathom.training.probing import Prober
from fathom.training.readability import readability

LSUV_CROPS = 128
READ_ON = 512  # nuclei, for the linear probes: more cost much and tell no more
SAVING_SHARE = 0.02  # of the time at most, for checkpoints; what is lost by a kill is trained again
EVALUATED_AT_ONCE = 256  # crops; a constant, because the size of a batch changes how sums round


class Saved(Protocol):
    """Where a cell stands (`fathom.training.store.Checkpoint`)."""

    def load(self) -> State | None: ...
    def save(self, state: State) -> None: ...


def train_cell(
    shown: Shown,
    cell: Cell,
    checkpoint: Saved,
    report: Callable[[Epoch], None],
    numerics: Numerics = "portable",
) -> Trained:
    """Train a cell from its checkpoint on, or from the start; `report` hears of each epoch.

    Torch's global state (threads, determinism) is left as it was found. Raises `FathomError` for a
    part that is too small to train or validate on.
    """
    if len(cell.rows["train"]) < 2 or len(cell.rows["validation"]) < 1:
        raise FathomError(
            f"run {cell.run}, fold {cell.fold}: has {len(cell.rows['train'])} nuclei to train and "
            f"{len(cell.rows['validation'])} to validate on; at least 2 and 1 are needed"
        )
    with reproducible(numerics):
        training = _Training(shown, cell, _device(numerics))
        if saved := checkpoint.load():
            training.restore(saved)
            done = len(training.history)
            print(f"{cell}: continues after epoch {done}", file=sys.stderr, flush=True)
            report(training.history[-1])
        due = monotonic()
        while not training.is_done():
            training.run_epoch()
            if (began := monotonic()) >= due:
                checkpoint.save(training.state())
                due = monotonic() + (monotonic() - began) / SAVING_SHARE
            report(training.history[-1])
        return training.result()


class _Training:
    """A cell between two epochs: all that its further course depends on."""

    def __init__(self, shown: Shown, cell: Cell, device: torch.device) -> None:
        self.crops, self.targets = shown.crops, shown.targets
        self.rows, self.recipe = cell.rows, cell.recipe
        self.until_left = cell.until_left
        self.device = device
        _, crop_px, _, channels = shown.crops.shape
        streams = cell.streams
        self.network = build(parse(cell.line), cell.recipe, channels, crop_px, streams)
        self.network.to(self.device)
        # The order of the crops, their flips and dropout have streams of their own, so that runs
        # which differ in dropout or augmentation see the same batches.
        self.order, self.flips, self.dropout = (
            streams.generator(purpose) for purpose in ("order", "flips", "dropout")
        )
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = self.dropout
        self.class_weights = self._class_weights()
        self.trained_on = training_targets(
            self.rows["train"], self.targets, cell.recipe, streams.generator("labels")
        )
        if cell.recipe.initialisation == "lsuv":
            unit_variance(self.network, list(main_layers(self.network)), self._examples(LSUV_CROPS))
        self.optimiser = Optimiser(self.network.parameters(), cell.recipe)
        self.prober = self._prober(cell.probes)
        self.history: list[Epoch] = []
        self.kept = self._weights()

    def is_done(self) -> bool:
        """Whether all epochs are over, or the network left the plateau and no more is asked."""
        done = len(self.history)
        if not self.until_left or done >= self.recipe.epochs:
            return done >= self.recipe.epochs
        share = float(self.trained_on[self.rows["train"]].mean())
        constant = constant_loss(max(share, 1 - share), self.recipe.loss_weights)
        left = left_at([epoch.train_loss for epoch in self.history], constant)
        return left is not None and done >= left + AFTER_LEFT

    def run_epoch(self) -> None:
        """Train on each crop once, validate, and keep the weights if they are the ones to keep."""
        epoch = len(self.history) + 1
        if self.prober and epoch == 1:
            self.prober.probe(self.network, 0)
        loss, accuracy = self._train(epoch)
        if self.prober:
            self.prober.probe(self.network, epoch)
        logits = self._logits("validation")
        target = torch.from_numpy(self.targets[self.rows["validation"]])
        validation_loss = _finite(binary_cross_entropy_with_logits(logits, target.double()))
        finite = [past.validation_loss for past in self.history if isfinite(past.validation_loss)]
        improved = validation_loss < min(finite, default=inf)
        if improved or (self.recipe.weights == "last" and isfinite(validation_loss)):
            self.kept = self._weights()
        self.history.append(
            Epoch(
                epoch,
                loss,
                accuracy,
                validation_loss,
                float(((logits > 0) == target).double().mean()),
            )
        )

    def result(self) -> Trained:
        """Return what is left when all epochs are done."""
        last = self._probabilities("train")
        self._load(self.kept)
        others = {part: self._probabilities(part) for part in self.rows if part != "train"}
        table = self.prober.table(self._readability()) if self.prober else []
        return Trained(self.history, {"train": last, **others}, self.kept, table)

    def state(self) -> State:
        """Return everything that `restore` needs."""
        optimiser = {name: one.cpu().numpy() for name, one in self.optimiser.state().items()}
        arrays = named_after("network", self._weights()) | named_after("kept", self.kept)
        return State(
            arrays | named_after("optimiser", optimiser),
            {
                "history": self.history,
                "streams": [one.bit_generator.state for one in self._streams()],
                "probes": self.prober.state() if self.prober else None,
            },
        )

    def restore(self, state: State) -> None:
        """Continue where `state` was taken."""
        self._load(arrays_of("network", state.arrays))
        kept = arrays_of("kept", state.arrays)
        self.kept = {name: kept[name] for name in self.kept}
        optimiser = arrays_of("optimiser", state.arrays)
        self.optimiser.restore({name: torch.from_numpy(one) for name, one in optimiser.items()})
        self.history = [Epoch(*epoch) for epoch in state.notes["history"]]
        for one, saved in zip(self._streams(), state.notes["streams"], strict=True):
            one.bit_generator.state = saved
        if self.prober:
            self.prober.restore(state.notes["probes"])

    def _streams(self) -> tuple[np.random.Generator, ...]:
        return self.order, self.flips, self.dropout

    def _train(self, epoch: int) -> tuple[float, float]:
        """Train on each crop of the training part once; return the running loss and accuracy."""
        self.network.train()
        rows = self.rows["train"]
        losses, correct = [], []
        shown = list(batches(rows, self.recipe.batch_size, self.order))
        for step, batch in enumerate(shown):
            set_rate(self.optimiser, self.recipe, (epoch - 1) * len(shown) + step, len(shown))
            watched = self.prober and self.prober.before_step(self.network, epoch, step, len(shown))
            logits, target, loss = self._loss(batch)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            if self.prober and watched:
                self.prober.after_step(self.network, watched)
            losses.append(loss.detach().double() * len(batch))
            correct.append(((logits > 0) == target).sum())
        total = torch.stack(losses).sum() / len(rows)
        return _finite(total), float(torch.stack(correct).sum()) / len(rows)

    def _loss(self, batch: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits and targets of a batch, and its mean loss."""
        turn = self.recipe.augmentation
        shown = turned(self.crops, batch, self.flips) if turn else self.crops[batch]
        target = torch.from_numpy(self.trained_on[batch]).to(self.device)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"
        ):
            logits = self.network(self._scaled(torch.from_numpy(shown))).float()
        weights = torch.where(target, *self.class_weights) if self.class_weights else None
        return logits, target, binary_cross_entropy_with_logits(logits, target.float(), weights)

    def _class_weights(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the weights of a positive and a negative nucleus; their mean over nuclei is 1."""
        if self.recipe.loss_weights == "none":
            return None
        share = self.targets[self.rows["train"]].mean()
        weights = torch.tensor([1 / share, 1 / (1 - share)], device=self.device) / 2
        return weights[0], weights[1]

    def _examples(self, number: int) -> torch.Tensor:
        """Return scaled crops of the training part, evenly spaced in it: the same every time."""
        return self._scaled(torch.from_numpy(self.crops[_spaced(self.rows["train"], number)]))

    def _prober(self, probes: Probes | None) -> Prober | None:
        if probes is None:
            return None
        labels = self.trained_on[_spaced(self.rows["train"], probes.crops)]
        target = torch.from_numpy(labels).to(self.device).float()
        return Prober(self._examples(probes.crops), target, probes, self.recipe.epochs)

    def _readability(self) -> list[float]:
        """Return how well the label can be read from each layer of the kept network."""
        train, validation = _spaced(self.rows["train"], READ_ON), self.rows["validation"]
        return readability(
            self.network,
            self._chunks(train),
            self.targets[train],
            self._chunks(validation),
            self.targets[validation],
        )

    def _chunks(self, rows: Rows) -> Iterator[torch.Tensor]:
        """Yield the scaled crops of `rows`, a chunk at a time: as float32 they are four times."""
        for start in range(0, len(rows), EVALUATED_AT_ONCE):
            chunk = self.crops[rows[start : start + EVALUATED_AT_ONCE]]
            yield self._scaled(torch.from_numpy(chunk))

    def _scaled(self, crops: torch.Tensor) -> torch.Tensor:
        return scale_input(crops.to(self.device), self.recipe.input_scale)

    @torch.inference_mode()
    def _logits(self, part: str) -> torch.Tensor:
        """Return the logits of a part, (n,) float64 on the CPU, as the exported model has them."""
        self.network.eval()
        # Filled in place: small tensors that outlive a chunk would lie between large freed blocks,
        # and the next chunk's would not fit there any more.
        logits = torch.empty(len(self.rows[part]), dtype=torch.float64)
        done = 0
        for chunk in self._chunks(self.rows[part]):
            logits[done : done + len(chunk)] = self.network(chunk)
            done += len(chunk)
        return logits

    def _probabilities(self, part: str) -> npt.NDArray[np.float64]:
        probabilities = torch.sigmoid(self._logits(part)).nan_to_num(nan=0.5)
        return probabilities.numpy()

    def _weights(self) -> StateDict:
        """Return a copy of the network's weights."""
        return {
            name: weight.detach().to("cpu", copy=True).numpy()
            for name, weight in self.network.state_dict().items()
        }

    def _load(self, weights: StateDict) -> None:
        self.network.load_state_dict(
            {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}
        )


def _device(numerics: Numerics) -> torch.device:
    on_gpu = numerics == "native" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def _finite(loss: torch.Tensor) -> float:
    """Return a loss as a number; infinity becomes NaN, the one sign of a diverged training."""
    return value if isfinite(value := float(loss)) else nan


def _spaced(rows: Rows, number: int) -> Rows:
    """Return `number` of the rows, evenly spaced; all where there are not so many."""
    places = np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(np.intp)
    return rows[places]
