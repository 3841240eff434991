"""What a network is shown: the crops of each batch, turned and mirrored, and their labels."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fathom.networks.recipe import Recipe
from fathom.study.stored_crops import CropRows, Crops

Targets = npt.NDArray[np.bool_]  # (n,), whether the nucleus is of the positive class
Rows = npt.NDArray[np.intp]  # positions in crops and targets

SYMMETRIES = 8  # of the square


def turned(crops: CropRows, rows: Rows, generator: np.random.Generator) -> Crops:
    """Return the crops of `rows`, each turned and mirrored on its own.

    Two flips and a transposition, each for half of the crops, make the eight symmetries of the
    square equally likely. A quarter turn is a transposition and a flip.
    """
    drawn = generator.integers(0, SYMMETRIES, len(rows))
    out = np.empty((len(rows), *crops.shape[1:]), np.uint8)
    for symmetry in range(SYMMETRIES):
        here = drawn == symmetry
        picked = crops[rows[here]]
        if symmetry & 1:
            picked = picked[:, ::-1]
        if symmetry & 2:
            picked = picked[:, :, ::-1]
        if symmetry & 4:
            picked = picked.transpose(0, 2, 1, 3)
        out[here] = picked
    return out


def batches(rows: Rows, size: int, generator: np.random.Generator) -> Iterator[Rows]:
    """Yield the rows in a random order, `size` at a time, the last time what is left.

    BatchNorm cannot train on one crop, so a single one that is left joins the batch before: in
    every run, so that runs with and without it see the same batches.
    """
    order = generator.permutation(rows)
    starts = list(range(0, len(rows), size))
    if len(rows) - starts[-1] == 1:
        starts.pop()
    for start, end in pairwise([*starts, len(rows)]):
        yield order[start:end]


def fewer(rows: Rows, targets: Targets, recipe: Recipe, generator: np.random.Generator) -> Rows:
    """Return the training rows that `recipe.training_nuclei` leaves, in their order.

    A share or a number of them, drawn at random and from both classes alike; with more nuclei
    asked for than there are, all. Nuclei are drawn, not slides: every slide stays represented.
    """
    wanted = recipe.training_nuclei
    if wanted == "all":
        return rows
    share = min(1.0, wanted / len(rows)) if isinstance(wanted, int) else wanted
    chosen = []
    for positive in (False, True):
        here = rows[targets[rows] == positive]
        chosen.append(generator.permutation(here)[: max(1, round(share * len(here)))])
    return np.sort(np.concatenate(chosen))


def training_targets(
    rows: Rows, targets: Targets, recipe: Recipe, generator: np.random.Generator
) -> Targets:
    """Return the targets that a network is trained on: shuffled among `rows` if the recipe says so.

    The other parts keep their labels, so that what a network without anything to learn gets from
    the choice of its best epoch and threshold is in its score.
    """
    if recipe.training_labels == "own":
        return targets
    shuffled = targets.copy()
    shuffled[rows] = generator.permutation(targets[rows])
    return shuffled
