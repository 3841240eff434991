"""How well the label can be read from each layer: linear probes of Alain & Bengio 2016.

A ridge classifier on a layer's activations, fitted on nuclei of the training part and scored by
balanced accuracy on the validation part. Maps are averaged over their four quarters, so that a
layer has at most four numbers a filter. The penalty is chosen by leave-one-out on the training
nuclei; it is closed-form, so that the probes cost little beside the training.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from fathom.ground.arrays import Bools, Floats32
from fathom.networks.network import Network
from fathom.training.probes import points_of

PENALTIES = np.logspace(-1, 5, 4)
QUARTERS = 2  # by 2


def readability(
    network: Network,
    train: Sequence[torch.Tensor],
    train_positive: Bools,
    validation: Sequence[torch.Tensor],
    validation_positive: Bools,
) -> list[float]:
    """Return the balanced accuracy of each layer's probe, in the order of `points_of`.

    Parameters
    ----------
    network : in evaluation mode
    train, validation : batches of scaled crops, (n, channels, side, side) float32 each
    train_positive, validation_positive : (all n,) bool, both classes present

    Returns
    -------
    list of float
        NaN where a layer's activations are not finite.
    """
    fitted = activations(network, train)
    scored = activations(network, validation)
    return [
        _score(x, train_positive, y, validation_positive)
        for x, y in zip(fitted, scored, strict=True)
    ]


@torch.inference_mode()
def activations(network: Network, batches: Sequence[torch.Tensor]) -> list[Floats32]:
    """Return each layer's activations, (all n, features) float32, maps averaged by quarters."""
    points = points_of(network)
    seen: list[list[torch.Tensor]] = [[] for _ in points]
    handles = [
        point.seen.register_forward_hook(
            _keep(kept, nn.Identity() if point.is_output else point.activation)
        )
        for point, kept in zip(points, seen, strict=True)
    ]
    try:
        for batch in batches:
            network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return [torch.cat(kept).numpy() for kept in seen]


def _keep(
    kept: list[torch.Tensor], activation: nn.Module
) -> Callable[[nn.Module, object, torch.Tensor], None]:
    def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        output = activation(output.clone())  # which may work in place
        if output.ndim > 2 and output.shape[-1] > 1:
            output = adaptive_avg_pool2d(output, QUARTERS)
        kept.append(output.flatten(1).cpu())

    return hook


def _score(train: Floats32, positive: Bools, validation: Floats32, truth: Bools) -> float:
    if not (np.isfinite(train).all() and np.isfinite(validation).all()):
        return float("nan")
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES))
    probe.fit(train.astype(np.float64), positive)
    return float(balanced_accuracy_score(truth, probe.predict(validation.astype(np.float64))))
