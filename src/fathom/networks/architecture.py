"""A network as one line of text: the parser, the printer, and what the line says of its shapes.

`32conv3x3 - mp2x2 - fc32 - o` is a convolution of 32 filters, max-pooling, a dense layer of 32
units and the output; docs/architecture-lines.md has the grammar. A network has one spelling:
`format(parse(line)) == line` for every line that `parse` accepts.
"""

import re
from collections.abc import Iterator

from fathom.ground.errors import FathomError
from fathom.networks.layers import (
    SEPARATOR,
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

GRAMMAR = "<n>conv<k>x<k>, <n>conv<k>x<k>/<stride>, mp<k>x<k>, gap, fc<n>, o, res(...), <r>*(...)"
LARGEST = 65_536  # filters, units, sizes, repeats: more is a slip of the pen
MOST_LAYERS = 2_000  # with repeats written out
DEEPEST = 8  # brackets inside brackets


def parse(line: str) -> tuple[Layer, ...]:
    """Read an architecture line.

    Raises `FathomError`, naming the position and the text of the first layer at fault, for text
    outside the grammar and for an order of layers that is no network.
    """
    try:
        layers = _parse_sequence(line, inside="", depth=0)
        _check_order(layers)
    except FathomError as error:
        raise FathomError(f"the architecture {line!r} is not valid: {error}") from None
    return layers


def format(layers: tuple[Layer, ...]) -> str:
    """Write layers as the line that `parse` reads."""
    return SEPARATOR.join(map(str, layers))


def expand(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return the layers with every `Repeat` written out, inside `Residual` too."""
    return tuple(layer for _, layer in _located(layers))


def written_out(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """Yield the layers in the order of computation, without `Repeat` and `Residual`."""
    for layer in expand(layers):
        if isinstance(layer, Residual):
            yield from layer.content
        else:
            yield layer


def shapes(layers: tuple[Layer, ...], channels: int, crop_px: int) -> tuple[Shape, ...]:
    """Return the output shape of each layer of `expand(layers)`, for crops of `crop_px`.

    Raises `FathomError` naming the layer that would pool below 1 x 1.
    """
    found = [Shape(channels, crop_px)]
    for where, layer in _located(layers):
        side = found[-1].side
        found.append(layer.after(found[-1]))
        if found[-1].side < 1:
            raise FathomError(
                f"{where}, '{layer}', would pool a map of {side} x {side} px below 1 x 1 for crops "
                f"of {crop_px} px: leave out a pooling layer or raise crop.crop_px"
            )
    return tuple(found[1:])


def check_fits(layers: tuple[Layer, ...], crop_px: int) -> None:
    """Raise `FathomError` naming the layer that would pool below 1 x 1 for crops of `crop_px`.

    A kernel larger than its map is allowed: a network can have one, so it can be studied.
    """
    shapes(layers, channels=1, crop_px=crop_px)


def _parse_sequence(text: str, inside: str, depth: int) -> tuple[Layer, ...]:
    """Read layers joined by the separator; `inside` says which brackets they stand in."""
    if depth > DEEPEST:
        raise FathomError(f"brackets stand more than {DEEPEST} deep")
    tokens = _split(text, inside)
    return tuple(
        _parse_layer(token, f"layer {number} of {len(tokens)}{inside}", depth)
        for number, token in enumerate(tokens, start=1)
    )


def _split(text: str, inside: str) -> list[str]:
    """Split at the separators that stand outside brackets."""
    tokens, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            raise FathomError(f"the ')' after {text[:place]!r}{inside} closes no bracket")
        if depth == 0 and place >= start and text.startswith(SEPARATOR, place):
            tokens.append(text[start:place])
            start = place + len(SEPARATOR)
    if depth:
        raise FathomError(f"a '(' is never closed in {text!r}{inside}")
    return [*tokens, text[start:]]


def _parse_layer(token: str, where: str, depth: int) -> Layer:
    """Read one layer, which stands at `where`."""
    if found := re.fullmatch(r"res\((.*)\)", token):
        return Residual(_parse_sequence(found[1], f" inside {where}", depth + 1))
    if found := re.fullmatch(r"([0-9]+)\*\((.*)\)", token):
        content = _parse_sequence(found[2], f" inside {where}", depth + 1)
        return Repeat(_number(found[1], token, where), content)
    return _parse_plain(token, where)


def _parse_plain(token: str, where: str) -> Layer:
    """Read one layer without brackets."""
    if token == "gap":
        return GlobalAveragePool()
    if token == "o":
        return Output()
    if found := re.fullmatch(r"fc([0-9]+)", token):
        return Dense(_number(found[1], token, where))
    if found := re.fullmatch(r"mp([0-9]+)x([0-9]+)", token):
        size, other = (_number(digits, token, where) for digits in found.groups())
        _require(size == other, token, where, "does not pool squares")
        _require(size > 1, token, where, "pools single pixels, which changes nothing")
        return MaxPool(size)
    if found := re.fullmatch(r"([0-9]+)conv([0-9]+)x([0-9]+)(?:/([0-9]+))?", token):
        counts = (_number(digits or "1", token, where) for digits in found.groups())
        filters, kernel, other, stride = counts
        _require(kernel == other, token, where, "has a kernel that is not square")
        _require(kernel % 2 == 1, token, where, "has an even kernel: only an odd one has a centre")
        _require(found[4] != "1", token, where, "spells out the stride 1: leave out '/1'")
        return Convolution(filters, kernel, stride)
    raise FathomError(f"{where}, {token!r}, is not one of {GRAMMAR}, joined by {SEPARATOR!r}")


def _number(digits: str, token: str, where: str) -> int:
    """Read a count from 1 to `LARGEST`; leading zeros would be a second spelling."""
    fits = not digits.startswith("0") and len(digits) <= 5 and int(digits) <= LARGEST
    _require(fits, token, where, f"holds {digits}: numbers go from 1 to {LARGEST}, not led by 0")
    return int(digits)


def _require(holds: bool, token: str, where: str, otherwise: str) -> None:
    if not holds:
        raise FathomError(f"{where}, {token!r}, is not one of {GRAMMAR}: it {otherwise}")


def _located(layers: tuple[Layer, ...], inside: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield each layer in the order of computation, repeats written out, with its place."""
    for number, layer in enumerate(layers, start=1):
        where = f"layer {number} of {len(layers)}{inside}"
        if isinstance(layer, Repeat):
            for _ in range(layer.times):
                yield from _located(layer.content, f" inside {where}")
        elif isinstance(layer, Residual):
            yield where, Residual(expand(layer.content))
        else:
            yield where, layer


def _length(layers: tuple[Layer, ...]) -> int:
    """Count the layers with repeats written out, without writing them out."""
    return sum(
        (layer.times if isinstance(layer, Repeat) else 1)
        * (_length(layer.content) if isinstance(layer, Repeat | Residual) else 1)
        for layer in layers
    )


def _check_order(layers: tuple[Layer, ...]) -> None:
    """Raise `FathomError` where layers that are fine one by one are no network together."""
    if (length := _length(layers)) > MOST_LAYERS:
        raise FathomError(f"it has {length} layers with its repeats, more than {MOST_LAYERS}")
    if not isinstance(layers[-1], Output):
        raise FathomError(f"its last layer, '{layers[-1]}', is not the output, 'o'")
    mapless = None  # the layer that left no maps
    located = tuple(_located(layers))
    for place, (where, layer) in enumerate(located, start=1):
        if isinstance(layer, Output) and place < len(located):
            raise FathomError(f"{where}, 'o', is the output, which stands once, at the end")
        if mapless and not isinstance(layer, Dense | Output):
            raise FathomError(f"{where}, '{layer}', needs maps, which '{mapless}' does not leave")
        if isinstance(layer, Residual):
            for inner in layer.content:
                if not isinstance(inner, Convolution):
                    raise FathomError(
                        f"{where}, 'res(...)', holds '{inner}', not convolutions only"
                    )
        if isinstance(layer, GlobalAveragePool | Dense):
            mapless = layer
