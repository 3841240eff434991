"""Networks that differ in depth and little else: the reduced VGG, the plain and residual nets.

Each helper writes an architecture line (docs/architecture-lines.md), short by its repeats.
"""

from collections.abc import Iterable
from typing import Literal

from fathom.ground.errors import FathomError
from fathom.networks.architecture import format, parse
from fathom.networks.layers import (
    Convolution,
    Dense,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Output,
    Repeat,
    Residual,
)

Configuration = Literal["A", "B", "D"]

# Simonyan & Zisserman 2014, table 1: the 3 x 3 convolutions before each of the five poolings, which
# have 64, 128, 256, 512 and 512 filters. With three layers behind they are VGG-11, -13 and -16.
VGG_CONVOLUTIONS: dict[Configuration, tuple[int, ...]] = {
    "A": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "D": (2, 2, 3, 3, 3),
}
VGG_FILTERS = (64, 128, 256, 512, 512)
VGG_UNITS = 4096


def reduced_vgg(configuration: Configuration, width_divisor: int) -> str:
    """Return the line of VGG-11 (A), VGG-13 (B) or VGG-16 (D), every width divided.

    Simonyan & Zisserman 2014, table 1, with two dense layers of 4096 units; the 1000 classes are
    the one output here. Raises `FathomError` for a divisor that does not divide 64.
    """
    filters_at_first = vgg_first_filters(width_divisor)
    layers: list[Layer] = []
    for filters, times in zip(VGG_FILTERS, VGG_CONVOLUTIONS[configuration], strict=True):
        reduced = Convolution(filters * filters_at_first // VGG_FILTERS[0], 3)
        layers += [reduced] * times + [MaxPool(2)]
    return format((*layers, *[Dense(VGG_UNITS // width_divisor)] * 2, Output()))


def vgg_first_filters(width_divisor: int) -> int:
    """Return how many filters the first convolution of a VGG divided by this has."""
    if width_divisor < 1 or VGG_FILTERS[0] % width_divisor:
        raise FathomError(
            f"VGG's 64 filters cannot be divided by {width_divisor}: take 1, 2, 4, 8, 16, 32 or 64"
        )
    return VGG_FILTERS[0] // width_divisor


def cifar_family(depth: int, width: int, *, residual: bool) -> str:
    """Return the line of plain-`depth` or res-`depth`, the networks of He et al. 2015, section 4.2.

    A convolution, then three stages of 2n convolutions, all 3 x 3, with `width`, 2 and 4 times
    `width` filters (16, 32 and 64 in the paper); the first of stages 2 and 3 has stride 2; then the
    mean of each map and the output. 6n + 2 layers with weights. The residual line has a skip around
    each pair, and no other letter differs; where the shape changes the skip is a projection (their
    option B; the paper takes A, padding with zeros, for these networks).

    Raises `FathomError` for a depth that is not 6n + 2 and for a line that `parse` refuses.
    """
    pairs, rest = divmod(depth - 2, 6)
    if pairs < 1 or rest:
        raise FathomError(
            f"no network of this family has {depth} layers: take 6n + 2, such as 8, 20, 32, 44, 56 "
            "or 110 (He et al. 2015, section 4.2)"
        )
    layers: list[Layer] = [Convolution(width, 3), *_pairs(width, 1, pairs, residual)]
    for filters in (2 * width, 4 * width):
        layers += _pairs(filters, 2, 1, residual) + _pairs(filters, 1, pairs - 1, residual)
    line = format((*layers, GlobalAveragePool(), Output()))
    parse(line)  # a width or depth beyond the grammar's bounds is an error here
    return line


def families(width_divisor: int, depths: Iterable[int]) -> dict[str, str]:
    """Return the lines of all families by name: vgg-11, ..., plain-20, res-20, ...

    The plain and residual nets begin with as many filters as the VGG does, 64 / `width_divisor`, so
    that depth is what differs; 4 gives the 16 of He et al. 2015.
    """
    lines = {
        f"vgg-{sum(VGG_CONVOLUTIONS[configuration]) + 3}": reduced_vgg(configuration, width_divisor)
        for configuration in VGG_CONVOLUTIONS
    }
    width = vgg_first_filters(width_divisor)
    for depth in depths:
        lines[f"plain-{depth}"] = cifar_family(depth, width, residual=False)
        lines[f"res-{depth}"] = cifar_family(depth, width, residual=True)
    return lines


def _pairs(filters: int, stride: int, times: int, residual: bool) -> list[Layer]:
    """Return pairs of convolutions, the first of each with this stride, repeated if need be."""
    pair: tuple[Layer, ...] = (Convolution(filters, 3, stride), Convolution(filters, 3))
    content = (Residual(pair),) if residual else pair
    if times > 1:
        return [Repeat(times, content)]
    return [*content] * times
