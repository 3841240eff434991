"""An ordinary training loop of a two-class network, with places where a tool can watch it."""

import copy
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs (n, ...) float32, targets (n,) float32, 0 or 1
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of the network's output and targets


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Training:
    """An ordinary training, yet to be run: one pass over `batches` is an epoch."""

    network: nn.Module
    batches: Iterable[Batch]
    optimiser: torch.optim.Optimizer  # of the network's parameters
    loss: Loss
    epochs: int
    validation: Batch | None
    rates: tuple[float, ...] = ()  # the learning rate of each epoch; (): it stays as it is

    def copied(self) -> "Training":
        """Return the same training of a copy of the network."""
        network, optimiser = copy.deepcopy((self.network, self.optimiser))  # one memo: they share
        return replace(self, network=network, optimiser=optimiser)

    def run(
        self,
        after_backward: Callable[[int, torch.Tensor, torch.Tensor], None] = _ignore,
        after_step: Callable[[int, torch.Tensor, torch.Tensor, float], None] = _ignore,
        after_validation: Callable[[int, float], None] = _ignore,
    ) -> None:
        """Train; the watchers hear of the step (from 0), its batch, and its loss."""
        steps = itertools.count()
        for epoch in range(self.epochs):
            for group in self.optimiser.param_groups if self.rates else ():
                group["lr"] = self.rates[epoch]
            self.network.train()
            for (inputs, targets), step in zip(self.batches, steps, strict=False):
                loss = self.loss(self.network(inputs), targets)
                loss.backward()
                after_backward(step, inputs, targets)
                self.optimiser.step()
                self.optimiser.zero_grad()
                after_step(step, inputs, targets, loss.item())
            if self.validation:
                after_validation(step, self.evaluate(self.validation))

    def evaluate(self, batch: Batch) -> float:
        """Return the loss of a batch without dropout."""
        self.network.eval()
        with torch.no_grad():
            return self.loss(self.network(batch[0]), batch[1]).item()
