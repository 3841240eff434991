"""An architecture as a torch network, its weights drawn from the streams of a seed and fold.

Layer i of `expand(layers)` is `network.layers[i]`. A network takes scaled crops (`scale_input`)
and gives one logit a crop.
"""

from math import gcd, prod
from typing import Literal

import torch
from torch import nn

from fathom.ground.streams import Streams
from fathom.networks.architecture import expand, shapes
from fathom.networks.initialisation import initialise, main_layers, projections
from fathom.networks.layers import (
    Convolution,
    Dense,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Output,
    Repeat,
    Residual,
    Shape,
)
from fathom.networks.recipe import Norm, Recipe
from fathom.networks.units import Add, Dropout, Linear, activation

WIDEST_NHWC = 3  # px; kernels wider than this are faster on NCHW (docs/performance.md)
GROUPS = 4  # of group normalisation; fewer where they do not divide the filters


class Network(nn.Module):
    """Layers in a row: (n, channels, crop_px, crop_px) float in, (n,) logits out."""

    def __init__(self, layers: tuple[Layer, ...], recipe: Recipe, shape: Shape) -> None:
        super().__init__()
        before = (shape, *shapes(layers, *shape))
        self.layers = nn.Sequential(
            *(_module(layer, before[i], recipe) for i, layer in enumerate(expand(layers)))
        )

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Compute the layers in their order, but an activation before pooling after it.

        The largest of four values is the same before and after a function that never falls, and so
        is every gradient; after pooling there is a quarter of the values.
        """
        maps, layers = crops, list(self.layers)
        while layers:
            layer = layers.pop(0)
            pooled = bool(layers) and isinstance(layers[0], nn.MaxPool2d)
            if pooled and isinstance(layer, ConvolutionBlock | ResidualBlock):
                maps = layer.activation(layers.pop(0)(layer.pre_activation(maps)))
            else:
                maps = layer(maps)
        return maps.squeeze(1)


class ConvolutionBlock(nn.Module):
    """Convolution, norm, activation.

    oneDNN in torch 2.13 gets two kinds of strided convolutions wrong on AVX512 (its gradients of
    the weights). Both are asked for in another way here, with the same result:
    1 x 1 kernels write beyond a buffer for channels that are no multiple of 16, so the pixels are
    picked first and the kernel takes each of them; in bfloat16 a stride larger than the map reads
    memory that nothing was written to, so the stride ends at the map's side.
    """

    def __init__(
        self, layer: Convolution, shape: Shape, recipe: Recipe, *, active: bool = True
    ) -> None:
        super().__init__()
        stride = min(layer.stride, shape.side)
        self.step = stride if layer.kernel == 1 else 1
        self.convolution = nn.Conv2d(
            shape.channels,
            layer.filters,
            layer.kernel,
            stride=stride // self.step,
            padding=layer.kernel // 2,
            # A norm takes away the mean and adds a shift of its own: a bias before it is idle.
            bias=recipe.norm == "none",
        )
        self.norm = _norm(recipe.norm, layer.filters)
        self.activation = activation(recipe.activation if active else "none")

    def pre_activation(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the pre-activation, which is what `norm` gives."""
        if self.step > 1:
            maps = maps[:, :, :: self.step, :: self.step]
        if self.convolution.weight.shape[-1] > WIDEST_NHWC:
            maps = maps.contiguous()
        out: torch.Tensor = self.norm(self.convolution(maps))
        return out

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.activation(self.pre_activation(maps))
        return out


class ResidualBlock(nn.Module):
    """activation(content(x) + skip(x)); the content's last convolution has none of its own.

    He et al. 2015, figure 2, equations 1 and 2. The skip is the identity, or where the content
    changes the shape a 1 x 1 projection (their option B) with the recipe's norm.
    """

    def __init__(self, layer: Residual, shape: Shape, recipe: Recipe) -> None:
        super().__init__()
        convolutions = [inner for inner in layer.content if isinstance(inner, Convolution)]
        before = shape
        self.content = nn.Sequential()
        for number, inner in enumerate(convolutions, start=1):
            active = number < len(convolutions)
            self.content.append(ConvolutionBlock(inner, before, recipe, active=active))
            before = inner.after(before)
        self.skip: nn.Module = nn.Identity()
        if before != shape:
            stride = prod(inner.stride for inner in convolutions)
            projection = Convolution(before.channels, kernel=1, stride=stride)
            self.skip = ConvolutionBlock(projection, shape, recipe, active=False)
        self.sum = Add()
        self.activation = activation(recipe.activation)

    def pre_activation(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the pre-activation, which is what `sum` gives."""
        out: torch.Tensor = self.sum(self.content(maps), self.skip(maps))
        return out

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.activation(self.pre_activation(maps))
        return out


class Mean(nn.Module):
    """(n, channels, side, side) to the mean of each map, (n, channels)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean((2, 3))


def build(
    layers: tuple[Layer, ...], recipe: Recipe, channels: int, crop_px: int, streams: Streams
) -> Network:
    """Return the network in training mode; the global random state is neither read nor changed.

    Raises `FathomError` where a layer would pool below 1 x 1 px.
    """
    with torch.device("meta"):  # without the weights that the modules' constructors would draw
        network = Network(layers, recipe, Shape(channels, crop_px))
    network.to_empty(device="cpu")
    initialise(list(main_layers(network)), list(projections(network)), recipe, streams)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()  # scale 1, shift 0, running mean 0 and variance 1
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in (*main_layers(network), *projections(network)):
        if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > WIDEST_NHWC:
            layer.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network


def scale_input(crops: torch.Tensor, scale: Literal["unit", "byte"]) -> torch.Tensor:
    """Turn (n, crop_px, crop_px, channels) uint8 into (n, channels, crop_px, crop_px) float32.

    The values are 0..1 (`unit`) or 0..255 (`byte`). What NHWC is in memory, PyTorch calls
    channels_last: nothing is moved.
    """
    maps = crops.permute(0, 3, 1, 2).to(torch.float32)
    return maps / 255 if scale == "unit" else maps


def _module(layer: Layer, before: Shape, recipe: Recipe) -> nn.Module:
    """Return the module of one expanded layer whose input has the shape `before`."""
    match layer:
        case Convolution():
            return ConvolutionBlock(layer, before, recipe)
        case MaxPool(size):
            return nn.MaxPool2d(size)
        case GlobalAveragePool():
            return Mean()
        case Dense(units):
            linear = Linear(before.channels * before.side**2, units)
            active = activation(recipe.activation)
            return nn.Sequential(nn.Flatten(), linear, active, Dropout(recipe.dropout))
        case Output():
            return nn.Sequential(nn.Flatten(), Linear(before.channels * before.side**2, 1))
        case Residual():
            return ResidualBlock(layer, before, recipe)
        case Repeat():
            raise TypeError("a repeat is written out before it becomes modules")


def _norm(norm: Norm, filters: int) -> nn.Module:
    """Return batch normalisation (Ioffe & Szegedy 2015), group (Wu & He 2018) or nothing."""
    match norm:
        case "batch":
            return nn.BatchNorm2d(filters)
        case "group":
            return nn.GroupNorm(gcd(GROUPS, filters), filters)
        case "none":
            return nn.Identity()
