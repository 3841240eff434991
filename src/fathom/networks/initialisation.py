"""How the weights of a network are drawn: each layer from a random stream of its own.

A layer's stream depends on seed, fold and the layer's place among the layers with weights (or
among the projections), never on what was drawn before it: two runs that differ in norm, skips or
pooling start from the same weights wherever these have the same shape. NumPy draws them, for it
gives the same numbers on every processor.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fathom.ground.streams import Streams
from fathom.networks.recipe import Initialisation, Recipe

Weighted = nn.Conv2d | nn.Linear
PROJECTION = 1
SKIP = "skip"  # the part of a residual block that is no layer of the depth
LSUV_PASSES = 10
LSUV_TOLERANCE = 0.01  # of the variance; Mishkin & Matas use .1 and 10 passes at most
LEAST_VARIANCE = 1e-12  # a map that is the same everywhere cannot be scaled to variance 1


def initialise(
    main: list[Weighted], projections: list[Weighted], recipe: Recipe, streams: Streams
) -> None:
    """Draw weights and biases of the layers in order of computation, and of the projections.

    torch: PyTorch's default, weights and biases uniform within 1 / sqrt(fan in). In all others
    biases are 0. glorot: uniform within sqrt(6 / (fan in + fan out)) (Glorot & Bengio 2010,
    equation 16), as in Keras. he: normal with variance 2 / fan in (He et al. 2015, "Delving deep
    into rectifiers", equation 10). looks-linear: orthogonal weights, mirrored so that the network
    computes a linear function at first (Balduzzi et al. 2017, section 4). lsuv: orthogonal weights
    (Saxe et al. 2014), to be scaled by `unit_variance`. A convolution's fan counts the pixels of
    its kernel. All weights are then multiplied by `recipe.initial_scale`, and `recipe.initial_bias`
    is added to the biases of all layers but the output neuron.
    """
    for kind, layers in enumerate((main, projections)):
        for place, layer in enumerate(layers):
            generator = streams.generator("weights", kind, place)
            _draw(layer, recipe.initialisation, generator)
            if recipe.initialisation == "looks-linear":
                is_first, is_last = place == 0, place == len(layers) - 1
                before = None if is_first else layers[place - 1].weight.shape[0]
                if kind == PROJECTION:
                    _mirror(layer, generator, layer.weight.shape[1], outputs=True)
                else:
                    _mirror(layer, generator, before, outputs=not is_last)
    with torch.no_grad():
        for layer in (*main, *projections):
            layer.weight.mul_(recipe.initial_scale)
        if recipe.initial_bias:
            for layer in (*main[:-1], *projections):
                if layer.bias is not None:
                    layer.bias.add_(recipe.initial_bias)


@torch.no_grad()
def _draw(layer: Weighted, initialisation: Initialisation, generator: np.random.Generator) -> None:
    weight, bias = layer.weight, layer.bias
    fan_in = weight[0].numel()
    fan_out = weight.shape[0] * (fan_in // weight.shape[1])
    if bias is not None:
        bias.zero_()
    match initialisation:
        case "torch":
            _fill(weight, generator.uniform(-(fan_in**-0.5), fan_in**-0.5, weight.shape))
            if bias is not None:
                _fill(bias, generator.uniform(-(fan_in**-0.5), fan_in**-0.5, bias.shape))
        case "glorot":
            bound = (6 / (fan_in + fan_out)) ** 0.5
            _fill(weight, generator.uniform(-bound, bound, weight.shape))
        case "he":
            _fill(weight, generator.standard_normal(weight.shape) * (2 / fan_in) ** 0.5)
        case "looks-linear" | "lsuv":
            _fill(weight, _orthogonal(weight.shape[0], fan_in, generator).reshape(weight.shape))


def _fill(weight: torch.Tensor, drawn: npt.NDArray[np.float64]) -> None:
    weight.copy_(torch.from_numpy(drawn))


def _orthogonal(rows: int, columns: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return (rows, columns) with orthonormal rows, or columns where there are fewer of them.

    Uniform among such matrices: the signs of R's diagonal are made positive (Mezzadri 2007).
    """
    drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


@torch.no_grad()
def _mirror(
    layer: Weighted, generator: np.random.Generator, before: int | None, *, outputs: bool
) -> None:
    """Set a layer to an orthogonal W mirrored in its inputs and, where asked, in its outputs.

    ReLU(z) and ReLU(-z), stacked, lose nothing of z, and the next layer's [W, -W] puts it together
    again: the network is an orthogonal linear map but for the pooling. `before` is the number of
    channels of the layer before, of which a dense layer sees all pixels; None is the first layer,
    whose inputs have no mirror images. Of an odd number of channels the last has none either, and
    starts at 0.
    """
    weight = layer.weight
    channels = before or weight.shape[1]
    halves_out, halves_in = (2 if outputs else 1), (2 if before else 1)
    rows, columns = max(1, weight.shape[0] // halves_out), max(1, channels // halves_in)
    pixels = weight[0].numel() // channels
    orthogonal = _orthogonal(rows, columns * pixels, generator).reshape(rows, columns, pixels)
    drawn = torch.from_numpy(orthogonal).float()
    whole = torch.zeros(weight.shape[0], channels, pixels)
    for row, column in product(range(halves_out), range(halves_in)):
        place = whole[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
        place.copy_((-1) ** (row + column) * drawn[: place.shape[0], : place.shape[1]])
    weight.copy_(whole.reshape(weight.shape))


@torch.no_grad()
def unit_variance(network: nn.Module, main: list[Weighted], inputs: torch.Tensor) -> None:
    """Scale each layer's weights in turn until its output on `inputs` has variance 1.

    Layer-sequential unit variance, Mishkin & Matas 2016, algorithm 1; the output neuron too.
    """
    for layer in main:
        for _ in range(LSUV_PASSES):
            variance = _variance(network, layer, inputs)
            if abs(variance - 1) < LSUV_TOLERANCE or not variance > LEAST_VARIANCE:
                break
            layer.weight.div_(variance**0.5)


def _variance(network: nn.Module, layer: Weighted, inputs: torch.Tensor) -> float:
    outputs: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        network(inputs)
    finally:
        handle.remove()
    return float(outputs[0].double().var())


def main_layers(network: nn.Module) -> Iterator[Weighted]:
    """Yield the layers with weights in the order of computation, without the projections."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and SKIP not in name.split("."):
            yield module


def projections(network: nn.Module) -> Iterator[Weighted]:
    """Yield the 1 x 1 convolutions of the skips, in order."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and SKIP in name.split("."):
            yield module
