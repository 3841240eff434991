"""How well the label can be read from each layer: linear probes of Alain & Bengio 2016.

A ridge classifier on a layer's activations, fitted on nuclei of the training part and scored by
balanced accuracy on the validation part. Maps are averaged over their four quarters, so that a
layer has at most four numbers a filter. The penalty is chosen by leave-one-out on the training
nuclei; it is closed-form, so that the probes cost little beside the training.
"""

from collections.abc import Callable, Iterable
from math import nan

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
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
    train: Iterable[torch.Tensor],
    train_positive: Bools,
    validation: Iterable[torch.Tensor],
    validation_positive: Bools,
) -> list[float]:
    """Return the balanced accuracy of each layer's probe, in the order of `points_of`.

    Parameters
    ----------
    network : in evaluation mode
    train, validation : batches of scaled crops, (n, channels, side, side) float32 each; the
        activations of all of `train` are held at once, of `validation` those of a batch
    train_positive, validation_positive : (all n,) bool, both classes present

    Returns
    -------
    list of float
        NaN where a layer's activations are not finite.
    """
    by_batch = [activations(network, batch) for batch in train]
    by_layer = [np.concatenate(batches) for batches in zip(*by_batch, strict=True)]
    probes = [_fitted(layer, train_positive) for layer in by_layer]
    told = np.empty((len(probes), len(validation_positive)), dtype=np.bool_)
    finite, done = np.ones(len(probes), dtype=np.bool_), 0
    for batch in validation:
        end = done + len(batch)
        for place, layer in enumerate(activations(network, batch)):
            finite[place] &= np.isfinite(layer).all()
            if finite[place] and (probe := probes[place]):
                told[place, done:end] = probe.predict(layer.astype(np.float64))
        done = end
    return [
        float(balanced_accuracy_score(validation_positive, said)) if probe and whole else nan
        for said, probe, whole in zip(told, probes, finite, strict=True)
    ]


@torch.inference_mode()
def activations(network: Network, batch: torch.Tensor) -> list[Floats32]:
    """Return each layer's activations, (n, features) float32, maps averaged by quarters."""
    points = points_of(network)
    seen: dict[int, torch.Tensor] = {}
    handles = [
        point.seen.register_forward_hook(
            _keep(seen, place, nn.Identity() if point.is_output else point.activation)
        )
        for place, point in enumerate(points)
    ]
    try:
        network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return [seen[place].numpy() for place in range(len(points))]


def _keep(
    seen: dict[int, torch.Tensor], place: int, activation: nn.Module
) -> Callable[[nn.Module, object, torch.Tensor], None]:
    def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        output = activation(output.clone())  # which may work in place
        if output.ndim > 2 and output.shape[-1] > 1:
            output = adaptive_avg_pool2d(output, QUARTERS)
        seen[place] = output.flatten(1).cpu()

    return hook


def _fitted(train: Floats32, positive: Bools) -> Pipeline | None:
    """Return a layer's probe, None where its activations are not finite."""
    if not np.isfinite(train).all():
        return None
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES))
    return probe.fit(train.astype(np.float64), positive)
