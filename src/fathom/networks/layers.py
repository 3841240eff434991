"""What an architecture is made of: each layer with its spelling in a line and its output shape.

docs/architecture-lines.md shows the spellings; `fathom.networks.architecture` reads them.
"""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

SEPARATOR = " - "


class Shape(NamedTuple):
    """What a layer hands on for one crop: `channels` square maps of `side` x `side`."""

    channels: int
    side: int


@dataclass(frozen=True)
class Convolution:
    """`<n>conv<k>x<k>` or `<n>conv<k>x<k>/<stride>`: same padding, the recipe's norm, ReLU."""

    filters: int
    kernel: int  # side, odd: an even one has no middle pixel that padding could keep in place
    stride: int = 1

    def __str__(self) -> str:
        stride = "" if self.stride == 1 else f"/{self.stride}"
        return f"{self.filters}conv{self.kernel}x{self.kernel}{stride}"

    def after(self, shape: Shape) -> Shape:
        return Shape(self.filters, -(-shape.side // self.stride))


@dataclass(frozen=True)
class MaxPool:
    """`mp<k>x<k>`: the maximum of each k x k square; what does not fill a square is dropped."""

    size: int

    def __str__(self) -> str:
        return f"mp{self.size}x{self.size}"

    def after(self, shape: Shape) -> Shape:
        return Shape(shape.channels, shape.side // self.size)


@dataclass(frozen=True)
class GlobalAveragePool:
    """`gap`: the mean of each map."""

    def __str__(self) -> str:
        return "gap"

    def after(self, shape: Shape) -> Shape:
        return Shape(shape.channels, 1)


@dataclass(frozen=True)
class Dense:
    """`fc<n>`: n units, ReLU, the recipe's dropout."""

    units: int

    def __str__(self) -> str:
        return f"fc{self.units}"

    def after(self, _: Shape) -> Shape:
        return Shape(self.units, 1)


@dataclass(frozen=True)
class Output:
    """`o`: the one neuron whose value is the logit of the positive class."""

    def __str__(self) -> str:
        return "o"

    def after(self, _: Shape) -> Shape:
        return Shape(1, 1)


@dataclass(frozen=True)
class Residual:
    """`res(...)`: convolutions with a skip around them (He et al. 2015, figure 2)."""

    content: "tuple[Layer, ...]"

    def __str__(self) -> str:
        return f"res({SEPARATOR.join(map(str, self.content))})"

    def after(self, shape: Shape) -> Shape:
        return reduce(lambda inner, layer: layer.after(inner), self.content, shape)


@dataclass(frozen=True)
class Repeat:
    """`<r>*(...)`: the content r times in a row, each time with weights of its own."""

    times: int
    content: "tuple[Layer, ...]"

    def __str__(self) -> str:
        return f"{self.times}*({SEPARATOR.join(map(str, self.content))})"

    def after(self, shape: Shape) -> Shape:
        return reduce(lambda inner, layer: layer.after(inner), self.content * self.times, shape)


Layer = Convolution | MaxPool | GlobalAveragePool | Dense | Output | Residual | Repeat
