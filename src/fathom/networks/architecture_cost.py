"""What an architecture costs and sees, computed from its line alone: no torch.

Parameters are exact, as `fathom.networks.network` builds them. Multiply-adds are those of
convolutions, projections and dense layers for one crop, positions in the padding included; norm,
ReLU, pooling and biases are not counted, as in He et al. 2015, table 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import prod

from fathom.networks.architecture import expand, shapes, written_out
from fathom.networks.layers import Convolution, Dense, Layer, MaxPool, Output, Residual, Shape
from fathom.networks.recipe import Norm


@dataclass(frozen=True)
class Cost:
    """The numbers of an architecture for square crops of `crop_px`."""

    crop_px: int
    parameters: int
    multiply_adds: int  # for one crop, forward
    weight_layers: int  # the depth in the name of VGG-11: projections do not count
    receptive_field_px: int  # side, of the last convolution or pooling layer; `gap` is not counted
    kernels_beyond_map: int  # convolutions whose kernel is larger than the map they are given
    padding_share: float  # of the weights of all convolutions: those that meet padding alone
    maps: tuple[int, ...]  # side after each layer of expand(layers); 1 where there are no maps

    @property
    def sees_beyond_crop(self) -> bool:
        """Whether the receptive field is larger than the crop: what is beyond is padding."""
        return self.receptive_field_px > self.crop_px


@dataclass(frozen=True)
class _Weighted:
    """A layer with weights and the shape of what it is given."""

    layer: Convolution | Dense | Output
    before: Shape
    projection: bool = False


def cost(layers: tuple[Layer, ...], channels: int, crop_px: int, norm: Norm = "none") -> Cost:
    """Compute what the network of `layers` costs for crops of `crop_px` with `channels`.

    `norm` is the recipe's: under batch or group norm a convolution has a scale and a shift a filter
    and no bias. Raises `FathomError` where a layer would pool below 1 x 1.
    """
    before = (Shape(channels, crop_px), *shapes(layers, channels, crop_px))
    weighted = tuple(chain.from_iterable(map(_weighted, expand(layers), before)))
    convolutions = [(w.layer, w.before) for w in weighted if isinstance(w.layer, Convolution)]
    weights = [layer.filters * shape.channels * layer.kernel**2 for layer, shape in convolutions]
    idle = sum(
        count * padding_share(layer, shape.side)
        for count, (layer, shape) in zip(weights, convolutions, strict=True)
    )
    return Cost(
        crop_px=crop_px,
        parameters=sum(map(partial(_parameters, norm=norm), weighted)),
        multiply_adds=sum(map(_multiply_adds, weighted)),
        weight_layers=weight_layers(layers),
        receptive_field_px=receptive_field(layers),
        kernels_beyond_map=sum(layer.kernel > shape.side for layer, shape in convolutions),
        padding_share=idle / sum(weights) if weights else 0.0,
        maps=tuple(shape.side for shape in before[1:]),
    )


def weight_layers(layers: tuple[Layer, ...]) -> int:
    """Count the layers with weights, the depth in the name of VGG-11; projections do not count."""
    return sum(isinstance(layer, Convolution | Dense | Output) for layer in written_out(layers))


def receptive_field(layers: tuple[Layer, ...]) -> int:
    """Return the side in px of what one unit of the last convolution or pooling layer can see.

    A kernel k adds (k - 1) times the distance, in px of the crop, of the pixels it is given
    (Araujo et al. 2019, "Computing receptive fields of convolutional neural networks", equation 2).
    A skip sees no more than its content. It is 1 where there is no such layer.
    """
    field, distance = 1, 1
    for layer in written_out(layers):
        if isinstance(layer, Convolution):
            field += (layer.kernel - 1) * distance
            distance *= layer.stride
        elif isinstance(layer, MaxPool):
            field += (layer.size - 1) * distance
            distance *= layer.size
    return field


def padding_share(layer: Convolution, side: int) -> float:
    """Return the share of a kernel that meets padding alone on a map of this side.

    3 x 3 on a map of 1 x 1 has one weight that ever meets a pixel: 8 / 9. Such weights have a
    gradient of 0.
    """
    half = layer.kernel // 2
    centres = range(0, side, layer.stride)
    met = sum(
        any(0 <= centre + offset < side for centre in centres) for offset in range(-half, half + 1)
    )
    return 1 - (met / layer.kernel) ** 2


def _weighted(layer: Layer, before: Shape) -> Iterator[_Weighted]:
    """Yield what has weights in one layer of `expand(layers)`, projections last."""
    if isinstance(layer, Convolution | Dense | Output):
        yield _Weighted(layer, before)
    elif isinstance(layer, Residual):
        shape = before
        inside = [inner for inner in layer.content if isinstance(inner, Convolution)]
        for inner in inside:
            yield _Weighted(inner, shape)
            shape = inner.after(shape)
        if shape != before:  # as fathom.networks.network.ResidualBlock: He et al. 2015, option B
            stride = prod(inner.stride for inner in inside)
            yield _Weighted(Convolution(shape.channels, 1, stride), before, projection=True)


def _parameters(one: _Weighted, norm: Norm) -> int:
    channels, side = one.before
    if isinstance(one.layer, Convolution):
        beside = 1 if norm == "none" else 2  # a bias, or a scale and a shift
        return one.layer.filters * (channels * one.layer.kernel**2 + beside)
    return (channels * side**2 + 1) * one.layer.after(one.before).channels


def _multiply_adds(one: _Weighted) -> int:
    channels, side = one.before
    after = one.layer.after(one.before)
    inputs = channels * (one.layer.kernel if isinstance(one.layer, Convolution) else side) ** 2
    return inputs * after.channels * after.side**2
