"""When a training network is probed, and what is kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any, NamedTuple

import torch

from fathom.networks.network import Network
from fathom.networks.recipe import Probes
from fathom.study.trained import Probe
from fathom.training.probes import probe_layers, relative_changes, weights_of


class Step(NamedTuple):
    """A step whose change of the weights is noted: the epochs it stands for, the weights before."""

    epochs: tuple[int, ...]
    before: list[torch.Tensor]


@dataclass
class Prober:
    """Probes one network at its start, at the epochs that params name and at the last."""

    inputs: torch.Tensor  # (n, channels, side, side) float32, scaled, on the network's device
    target: torch.Tensor  # (n,) float32
    probes: Probes
    last: int  # epoch
    rows: list[Probe] = field(default_factory=list)
    changes: dict[int, list[float]] = field(default_factory=dict)

    def is_due(self, epoch: int) -> bool:
        return epoch in (0, self.last) or epoch in self.probes.epochs

    def probe(self, network: Network, epoch: int) -> None:
        """Measure the network after `epoch`, if it is due; its Jacobians at the start and end."""
        if self.is_due(epoch):
            ends = epoch in (0, self.last)
            self.rows += probe_layers(network, self.inputs, self.target, epoch, jacobians=ends)

    def before_step(self, network: Network, epoch: int, step: int, steps: int) -> Step | None:
        """Note the weights before a step whose change is wanted: the first, an epoch's last."""
        first, last = epoch == 1 and step == 0, step == steps - 1 and self.is_due(epoch)
        epochs = (0,) * first + (epoch,) * last
        return Step(epochs, weights_of(network)) if epochs else None

    def after_step(self, network: Network, step: Step) -> None:
        """Note how far the step moved the weights."""
        for epoch in step.epochs:
            self.changes[epoch] = relative_changes(step.before, weights_of(network))

    def table(self, readability: Sequence[float]) -> list[tuple[object, ...]]:
        """Return the rows of `PROBE_COLUMNS`; `readability` has one a layer with weights."""
        return [
            (
                *row,
                self.changes[row.epoch][row.place - 1] if row.place else nan,
                readability[row.place - 1] if row.place and row.epoch == self.last else nan,
            )
            for row in self.rows
        ]

    def state(self) -> dict[str, object]:
        """Return what `restore` needs."""
        return {"rows": self.rows, "changes": list(self.changes.items())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.rows = [Probe(*row) for row in state["rows"]]
        self.changes = dict(state["changes"])
