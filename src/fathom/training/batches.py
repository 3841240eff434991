"""What a network is shown: the crops of each batch, turned and mirrored, and their labels."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from fathom.params.recipe import Recipe

Targets = npt.NDArray[np.bool_]  # (n,), whether the nucleus is of the positive class
Rows = npt.NDArray[np.intp]  # positions in crops and targets


def augment(crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn and mirror each crop of (n, side, side, channels) on its own.

    Two flips and a transposition, each for half of the crops, make the eight symmetries of the
    square equally likely. A quarter turn is a transposition and a flip.
    """
    draws = torch.randint(0, 2, (3, len(crops), 1, 1, 1), generator=generator).bool()
    crops = torch.where(draws[0], crops.flip(1), crops)
    crops = torch.where(draws[1], crops.flip(2), crops)
    return torch.where(draws[2], crops.transpose(1, 2), crops)


def batches(rows: Rows, size: int, generator: torch.Generator) -> Iterator[Rows]:
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


def fewer(rows: Rows, targets: Targets, recipe: Recipe, seed: int) -> Rows:
    """Return the training rows that `recipe.training_nuclei` leaves, in their order.

    A share or a number of them, drawn at random and from both classes alike; with more nuclei
    asked for than there are, all. Nuclei are drawn, not slides: every slide stays represented.
    """
    wanted = recipe.training_nuclei
    if wanted == "all":
        return rows
    share = min(1.0, wanted / len(rows)) if isinstance(wanted, int) else wanted
    generator = np.random.default_rng(seed)
    chosen = []
    for positive in (False, True):
        here = rows[targets[rows] == positive]
        chosen.append(generator.permutation(here)[: max(1, round(share * len(here)))])
    return np.sort(np.concatenate(chosen))


def training_targets(rows: Rows, targets: Targets, recipe: Recipe, seed: int) -> Targets:
    """Return the targets that a network is trained on: shuffled among `rows` if the recipe says so.

    The other parts keep their labels, so that what a network without anything to learn gets from
    the choice of its best epoch and threshold is in its score.
    """
    if recipe.training_labels == "own":
        return targets
    shuffled = targets.copy()
    shuffled[rows] = np.random.default_rng(seed).permutation(targets[rows])
    return shuffled
