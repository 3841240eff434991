"""Whether a network left the plateau, and at which epoch: the outcome that decides.

A network that learns nothing answers every nucleus alike, and its training loss stays at that of
the best constant answer. Some networks of one recipe leave that plateau and others never do; the
mean of their accuracies then describes neither. So a network is asked whether it left, by its
running training loss alone.
"""

from collections.abc import Sequence
from math import log

import numpy as np

from fathom.ground.arrays import Floats

RUNNING = 3  # epochs whose mean is taken: single epochs jump
AFTER_LEFT = 3  # epochs that a network still trains where nothing else is asked of it
BELOW = 0.98  # of the constant answer's loss; chance alone makes 0.995


def constant_loss(majority: float, loss_weights: str) -> float:
    """Return the training loss of the best answer that is the same for every nucleus, in nats.

    The entropy of the class shares, `majority` being the larger one; with balanced loss weights
    both classes weigh the same, and it is log 2 whatever the shares.
    """
    if loss_weights == "balanced":
        return log(2)
    return -sum(share * log(share) for share in (majority, 1 - majority) if share > 0)


def left_at(losses: Sequence[float], constant: float) -> int | None:
    """Return the epoch, from 1, at which a network had left the plateau, or None.

    It is the first whose running training loss, the mean of three epochs, is at least 2 % below
    `constant`. A diverged epoch (NaN) is below nothing.
    """
    below = np.flatnonzero(_running(losses) <= BELOW * constant)
    return int(below[0]) + RUNNING if len(below) else None


def fell_back(losses: Sequence[float], constant: float) -> bool:
    """Whether a network left the plateau and its last epochs are on it again, or diverged."""
    left = left_at(losses, constant) is not None
    return left and not bool(_running(losses)[-1] <= BELOW * constant)


def _running(losses: Sequence[float]) -> Floats:
    values = np.asarray(losses, dtype=np.float64)
    if len(values) < RUNNING:
        return np.empty(0)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, RUNNING).mean(axis=1))
