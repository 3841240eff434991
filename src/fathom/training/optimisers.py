"""The step from gradients to weights: RMSProp, Adam and SGD on one flat buffer.

torch's own steps take MKL's square root, which is not correctly rounded and differs by processor.
Every operation here (sum, product, quotient, NumPy's square root) is rounded exactly, as IEEE 754
wants it, so that a step has the same bits everywhere. One buffer for all weights also saves the
calls for each of them.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import cos, pi

import numpy as np
import torch

from fathom.networks.recipe import Recipe

ALIGNED = 16  # float32 values in a cache line
AT_ONCE = 65_536  # values; what a step needs of so many fits into a core's cache


class Optimiser:
    """Weights, gradients and what the optimiser remembers, each one flat float32 tensor.

    The parameters become views of `weights`, their gradients views of `gradients`.

    RMSProp (Tieleman & Hinton 2012): as PyTorch, eps is added to the root of the mean square (Keras
    3 adds it below the root). Adam (Kingma & Ba 2015, algorithm 1): `momentum` and `alpha` are its
    beta 1 and beta 2. SGD: with momentum as in PyTorch, v = momentum v + g, w = w - rate v.
    `weight_decay` is an L2 penalty, added to the gradient, in all three; `clip_norm` is of the
    gradient without it.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], recipe: Recipe) -> None:
        self.recipe = recipe
        self.rate = recipe.learning_rate
        self.steps = 0
        owned = list(parameters)
        sizes = [-(-parameter.numel() // ALIGNED) * ALIGNED for parameter in owned]
        self.weights = torch.zeros(sum(sizes), device=owned[0].device)
        self.gradients = torch.zeros_like(self.weights)
        self.mean = torch.zeros_like(self.weights)  # momentum, Adam's first moment
        self.square = torch.zeros_like(self.weights)  # mean square, Adam's second moment
        for parameter, start in zip(owned, accumulate([0, *sizes]), strict=False):
            shape, stride = parameter.shape, parameter.stride()
            weight = self.weights.as_strided(shape, stride, start)
            weight.copy_(parameter.detach())
            parameter.data = weight
            parameter.grad = self.gradients.as_strided(shape, stride, start)

    def zero_grad(self) -> None:
        self.gradients.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by their gradients, a cacheful at a time."""
        self.steps += 1
        if self.recipe.clip_norm:
            self._clip()
        step = {"rmsprop": self._rmsprop, "adam": self._adam, "sgd": self._sgd}[
            self.recipe.optimiser
        ]
        parts = (self.weights, self.gradients, self.mean, self.square)
        for weights, gradients, mean, square in zip(
            *(part.split(AT_ONCE) for part in parts), strict=True
        ):
            if self.recipe.weight_decay:
                gradients.add_(weights * self.recipe.weight_decay)
            weights.sub_(step(gradients, mean, square).mul_(self.rate))

    def _clip(self) -> None:
        """Shorten the gradient of all weights together to `clip_norm` (Pascanu et al. 2013)."""
        squares = self.gradients.cpu().numpy().astype(np.float64) ** 2
        norm = float(np.sqrt(squares.sum()))
        if norm > self.recipe.clip_norm:
            self.gradients.mul_(self.recipe.clip_norm / norm)

    def _rmsprop(
        self, gradients: torch.Tensor, mean: torch.Tensor, square: torch.Tensor
    ) -> torch.Tensor:
        _decay(square, self.recipe.alpha, gradients * gradients)
        change = gradients / _root(square).add_(self.recipe.eps)
        if self.recipe.momentum == 0:
            return change
        return mean.mul_(self.recipe.momentum).add_(change).clone()

    def _adam(
        self, gradients: torch.Tensor, mean: torch.Tensor, square: torch.Tensor
    ) -> torch.Tensor:
        first, second = self.recipe.momentum, self.recipe.alpha
        _decay(mean, first, gradients.clone())
        _decay(square, second, gradients * gradients)
        root = _root(square).div_((1 - second**self.steps) ** 0.5).add_(self.recipe.eps)
        return (mean / (1 - first**self.steps)).div_(root)

    def _sgd(
        self, gradients: torch.Tensor, mean: torch.Tensor, _square: torch.Tensor
    ) -> torch.Tensor:
        if self.recipe.momentum == 0:
            return gradients.clone()
        return mean.mul_(self.recipe.momentum).add_(gradients).clone()

    def state(self) -> dict[str, torch.Tensor]:
        """Return what `restore` needs beside the network's weights, which `weights` are too."""
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue where `state` was taken."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = int(state["steps"])


def _decay(remembered: torch.Tensor, share: float, new: torch.Tensor) -> None:
    """Make `remembered` share * remembered + (1 - share) * new."""
    remembered.mul_(share).add_(new.mul_(1 - share))


def _root(values: torch.Tensor) -> torch.Tensor:
    """Return the square root, correctly rounded: torch's, which is MKL's, is not."""
    if values.device.type != "cpu":
        return values.sqrt()
    with np.errstate(invalid="ignore"):  # of a training that diverged
        return torch.from_numpy(np.sqrt(values.numpy()))


def set_rate(optimiser: Optimiser, recipe: Recipe, step: int, steps: int) -> None:
    """Set the learning rate of step 0, 1, ..., of which an epoch has `steps`.

    It rises in equal parts to the recipe's rate over `warmup_epochs` (Goyal et al. 2017, section
    2.2); without warm-up it is there from the first step. The `schedule` then says what is left of
    it in each epoch.
    """
    rising = recipe.warmup_epochs * steps
    risen = min(1.0, (step + 1) / rising if rising else 1.0)
    optimiser.rate = recipe.learning_rate * risen * scheduled(recipe, step // steps)


def scheduled(recipe: Recipe, epoch: int) -> float:
    """Return the share of the rate that an epoch, from 0, trains with.

    step: a tenth from half of the epochs on, a hundredth from three quarters (He et al. 2015,
    section 4.2). cosine: (1 + cos(pi epoch / epochs)) / 2 (Loshchilov & Hutter 2017, equation 5,
    without restarts); rounded, for the last bits of a cosine differ by processor.
    """
    match recipe.schedule:
        case "constant":
            return 1.0
        case "step":
            passed = (epoch >= recipe.epochs // 2) + (epoch >= 3 * recipe.epochs // 4)
            return (1.0, 0.1, 0.01)[passed]
        case "cosine":
            return round((1 + cos(pi * epoch / recipe.epochs)) / 2, 9)
