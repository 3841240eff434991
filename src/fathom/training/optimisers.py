"""The step from gradients to weights."""

from collections.abc import Iterable

import torch

from fathom.params.recipe import Recipe


def optimiser_of(parameters: Iterable[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser.

    RMSProp: PyTorch adds eps to the root of the mean square (Keras 3 adds it below the root).
    Adam: `momentum` and `alpha` are its beta 1 and beta 2. `weight_decay` is an L2 penalty, added
    to the gradient, in all three.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    match recipe.optimiser:
        case "rmsprop":
            return torch.optim.RMSprop(
                parameters,
                lr=rate,
                alpha=recipe.alpha,
                eps=recipe.eps,
                momentum=recipe.momentum,
                weight_decay=decay,
            )
        case "adam":
            betas = (recipe.momentum, recipe.alpha)
            return torch.optim.Adam(
                parameters, lr=rate, betas=betas, eps=recipe.eps, weight_decay=decay
            )
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=rate, momentum=recipe.momentum, weight_decay=decay
            )


def warm_up(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Set the learning rate of step 0, 1, ..., of which an epoch has `steps`.

    It rises in equal parts to the recipe's rate over `warmup_epochs` (Goyal et al. 2017, section
    2.2); without warm-up it is the recipe's throughout.
    """
    rising = recipe.warmup_epochs * steps
    rate = recipe.learning_rate * min(1.0, (step + 1) / rising if rising else 1.0)
    for group in optimiser.param_groups:
        group["lr"] = rate
