"""The unit of work: one network to train, and what it leaves. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import cost
from fathom.networks.recipe import Probes, Recipe
from fathom.study.splits import FINAL
from fathom.study.stored_crops import CropRows
from fathom.training.batches import Rows, Targets

Arrays = dict[str, npt.NDArray[Any]]
StateDict = Arrays  # a state dict of `fathom.networks.network.build`


@dataclass(frozen=True)
class Shown:
    """What cells are shown: all crops, whatever their part, and the class of each."""

    crops: CropRows
    targets: Targets


@dataclass(frozen=True)
class Cell:
    """One network to train: its run, its line and recipe, and the rows of each part."""

    run: str
    fold: int
    seed: int
    line: str
    recipe: Recipe
    rows: Mapping[str, Rows]  # of train and validation, and of test unless it is the final model
    probes: Probes | None = None  # None: the network is not probed
    # Asked only whether it leaves the plateau: it ends so many epochs later (`study.plateau`).
    until_left: bool = False

    def __str__(self) -> str:
        part = "final model" if self.fold == FINAL else f"fold {self.fold}"
        return f"{self.run}, {part}, seed {self.seed}"

    @property
    def streams(self) -> Streams:
        """Return where its random numbers come from."""
        return Streams(self.seed, self.fold)

    def multiply_adds(self, shown: Shown) -> float:
        """Return about how much work it is: forward and backward passes, in multiply-adds."""
        _, crop_px, _, channels = shown.crops.shape
        one = cost(parse(self.line), channels, crop_px).multiply_adds
        passes = 3 * len(self.rows["train"]) + len(self.rows["validation"])
        return float(one) * passes * self.recipe.epochs


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


def arrays_of(part: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names are `part`/<name>, by <name>."""
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def named_after(part: str, arrays: Arrays) -> Arrays:
    """Return the arrays with `part`/ before their names, as `arrays_of` finds them again."""
    return {f"{part}/{name}": values for name, values in arrays.items()}


class State(NamedTuple):
    """Where an unfinished cell stands."""

    arrays: Arrays
    notes: dict[str, Any]  # what JSON can say; NaN is allowed


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
    weights: StateDict
    probes: list[tuple[Any, ...]] = field(default_factory=list)  # `fathom.study.trained`
