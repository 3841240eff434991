"""What happens inside a network: measured layer by layer on a fixed batch, while it trains.

One row a layer with weights, in the order of computation. A layer's pre-activation is what its
activation takes: after the norm, and for the last convolution of a residual block after the skip is
added; the output neuron's is the logit. What is measured lies before pooling. Norms use the batch's
own statistics, as in training; dropout is off. Nothing here changes the network or draws from a
global random state.

No single number of these is a verdict: half of a healthy ReLU layer is silent by nature, and
RMSProp rescales small gradients. `fathom.diagnosis.causes` says what is made of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import exp, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import entr
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fathom.networks.initialisation import Weighted, main_layers
from fathom.networks.network import ConvolutionBlock, Network, ResidualBlock
from fathom.study.trained import Probe


class Point(NamedTuple):
    """A layer with weights and where its pre-activation is seen."""

    layer: str
    weighted: Weighted
    seen: nn.Module  # what gives the pre-activation
    block: ResidualBlock | None  # the residual block that ends here
    activation: nn.Module  # what follows it
    is_output: bool  # the output neuron, which has no activation


def points_of(network: Network) -> list[Point]:
    """Return the layers with weights in the order of computation, without projections."""
    found = [point for layer in network.layers for point in _points(layer)]
    return [
        Point(f"{place} {_kind(one[0], place == len(found))}", *one, place == len(found))
        for place, one in enumerate(found, start=1)
    ]


def _points(
    layer: nn.Module,
) -> Iterator[tuple[Weighted, nn.Module, ResidualBlock | None, nn.Module]]:
    match layer:
        case ConvolutionBlock():
            yield layer.convolution, layer.norm, None, layer.activation
        case ResidualBlock():
            *inner, last = layer.content
            for block in inner:
                yield from _points(block)
            yield next(main_layers(last)), layer.sum, layer, layer.activation
        case nn.Sequential():  # a dense layer, or the output neuron
            dense = list(layer)
            for place, part in enumerate(dense):
                if isinstance(part, nn.Linear):
                    # Of the output neuron as much as of the others: how many sides it tells apart.
                    yield part, part, None, dense[place + 1] if dense[place + 1 :] else nn.ReLU()


def _kind(layer: Weighted, is_output: bool) -> str:
    if isinstance(layer, nn.Conv2d):
        side = layer.kernel_size[0]
        return f"{layer.out_channels}conv{side}x{side}"
    return "o" if is_output else f"fc{layer.out_features}"


def probe_layers(
    network: Network, inputs: torch.Tensor, target: torch.Tensor, epoch: int, *, jacobians: bool
) -> list[Probe]:
    """Measure every layer on one batch.

    Parameters
    ----------
    inputs : (n, channels, side, side) float32, scaled crops
    target : (n,) float32, 0 or 1
    jacobians : whether to take the layers' Jacobians too, which costs some more passes

    Returns
    -------
    list of Probe
        The input's row (place 0), then one a layer with weights.
    """
    points = points_of(network)
    with _batch_statistics(network):
        with _recorded(points) as seen:
            logits = network(inputs)
        loss = binary_cross_entropy_with_logits(logits, target)
        weights = [point.weighted.weight for point in points]
        gradients = torch.autograd.grad(loss, [*seen.signals, *weights], allow_unused=True)
        gains = _jacobian_gains(network, inputs, epoch) if jacobians else {}
    # d logit / d z has the sign of the loss's gradient for negative nuclei, the other for positive.
    sign = 1 - 2 * target
    rows = [_row(epoch, 0, "input", inputs, nn.Identity())]
    for place, (point, signal) in enumerate(zip(points, seen.signals, strict=True), start=1):
        by_sample, by_weight = gradients[place - 1], gradients[place - 1 + len(points)]
        rows.append(
            _row(epoch, place, point.layer, signal, point.activation)._replace(
                silent=nan if point.is_output else _silent(signal, point.activation),
                gradient_norm=nan if by_weight is None else float(by_weight.norm()),
                gradient_correlation=_mean_cosine(by_sample, sign),
                identity_distance=seen.identity_distance(point.block),
                jacobian=gains.get(point.weighted, nan),
            )
        )
    return rows


def relative_changes(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> list[float]:
    """Return |after - before| / |before| of each layer's weights: what a step really changed."""
    return [float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True)]


def weights_of(network: Network) -> list[torch.Tensor]:
    """Return a copy of each layer's weights, in the order of `points_of`."""
    return [layer.weight.detach().clone() for layer in main_layers(network)]


def _row(epoch: int, place: int, layer: str, signal: torch.Tensor, activation: nn.Module) -> Probe:
    signal = signal.detach()
    # In units of its largest value, or the squares of an exploding signal leave float32.
    peak = signal.abs().amax()
    unit = signal / peak if peak > 0 else signal
    rms = sqrt(float(unit.square().mean()))
    between = sqrt(float((unit - unit.mean(0)).square().mean()))
    ratio = between / rms if rms > 0 else 0.0
    rank = effective_rank(_by_unit(activation(signal.clone())).double())
    scale = float(peak)
    return Probe(
        epoch, place, layer, rms * scale, between * scale, ratio, nan, rank, nan, nan, nan, nan
    )


def _by_unit(signal: torch.Tensor) -> torch.Tensor:
    """(n, units, ...) to the mean of each unit's map, (n, units)."""
    return signal.flatten(2).mean(2) if signal.ndim > 2 else signal


def effective_rank(activations: torch.Tensor) -> float:
    """Return exp of the entropy of the singular values of (n, units), each unit centred.

    Roy & Vetterli 2007, definition 1. 0 where all samples are the same, NaN where not finite.
    """
    centred = activations - activations.mean(0)
    if not bool(centred.isfinite().all()):
        return nan
    values = np.linalg.svd(centred.cpu().numpy(), compute_uv=False)
    if not values.sum() > 0:
        return 0.0
    return exp(float(entr(values / values.sum()).sum()))


def _silent(signal: torch.Tensor, activation: nn.Module) -> float:
    """Return the share of units that give 0 for all samples: a property of ReLU alone."""
    if not isinstance(activation, nn.ReLU):
        return 0.0
    highest = signal.detach().transpose(0, 1).flatten(1).amax(1)
    return float((highest <= 0).double().mean())


def _mean_cosine(gradient: torch.Tensor | None, sign: torch.Tensor) -> float:
    """Return the mean cosine between the rows of (n, ...), each times its `sign`, unlike pairs."""
    if gradient is None:
        return nan
    rows = gradient.flatten(1) * sign.unsqueeze(1)
    # First in units of its largest value: the squares of a vanishing gradient leave float32.
    rows = rows / rows.abs().amax(dim=1, keepdim=True)
    rows = rows / rows.norm(dim=1, keepdim=True)
    rows = rows[rows.isfinite().all(1)]  # a sample whose gradient is 0 has no direction
    if len(rows) < 2:
        return nan
    return float((rows.sum(0).square().sum() - len(rows)) / (len(rows) * (len(rows) - 1)))


def _jacobian_gains(network: Network, inputs: torch.Tensor, epoch: int) -> dict[Weighted, float]:
    """Return, for each entry of `network.layers` with weights, its Jacobian's RMS singular value.

    |J|_F^2, the sum of the squared singular values, is the expectation of |J^T u|^2 for u of
    independent signs (Hutchinson 1990): no Jacobian is ever built. The mean is over samples, each
    with signs of its own. The entry's last layer with weights stands for it.
    """
    generator = np.random.default_rng(epoch)
    gains: dict[Weighted, float] = {}
    maps = inputs
    for layer in network.layers:
        maps = maps.detach().requires_grad_()
        out = layer(maps)
        if weighted := list(main_layers(layer)):
            drawn = generator.integers(0, 2, out.shape, dtype=np.int8)
            signs = torch.from_numpy(drawn).to(out) * 2 - 1
            (back,) = torch.autograd.grad(out, maps, signs)
            values = min(out[0].numel(), maps[0].numel()) * len(inputs)
            gains[weighted[-1]] = sqrt(float(back.square().sum()) / values)
        maps = out
    return gains


class _Seen:
    """What hooks note during one pass."""

    def __init__(self) -> None:
        self.signals: list[torch.Tensor] = []  # pre-activations
        self.parts: dict[nn.Module, torch.Tensor] = {}  # what blocks' contents and skips gave

    def identity_distance(self, block: ResidualBlock | None) -> float:
        if block is None:
            return nan
        return float((self.parts[block.content].norm() / self.parts[block.skip].norm()).detach())


@contextmanager
def _recorded(points: Sequence[Point]) -> Iterator[_Seen]:
    """Note each pre-activation, and what each residual block's content and skip give."""
    seen = _Seen()

    def signal(_module: nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        seen.signals.append(output)

    def part(module: nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        seen.parts[module] = output

    handles = [point.seen.register_forward_hook(signal) for point in points]
    for block in filter(None, (point.block for point in points)):
        handles += [module.register_forward_hook(part) for module in (block.content, block.skip)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _batch_statistics(network: Network) -> Iterator[None]:
    """Evaluate, but let the norms take the batch's statistics, and forget them afterwards."""
    was_training = network.training
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [(norm.momentum, norm.state_dict()["num_batches_tracked"].clone()) for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 0.0  # the running statistics stay as they are
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, kept, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = tracked
        network.train(was_training)
