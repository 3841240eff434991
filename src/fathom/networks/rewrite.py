"""Changes of an architecture, each of one thing: skips, width, pooling.

Layers in, new layers out, the output neuron untouched. What comes out has a line that
`fathom.networks.architecture.parse` reads. A change that changes nothing is an error, for a run
with it would be the same run under another name.
"""

from collections.abc import Iterator
from dataclasses import replace

from fathom.ground.errors import FathomError
from fathom.networks.architecture import check_fits, expand, format, parse, written_out
from fathom.networks.layers import Convolution, Dense, Layer, MaxPool, Repeat, Residual, Shape


def with_residuals(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Put a skip around each pair of convolutions, as He et al. 2015, section 3.3, make res-34.

    A pair is two convolutions of the same width in a row, the second with stride 1 (the first may
    have another, as at the start of their stages), taken from the left; one left over stays. A
    pooling layer and the bracket of a repeat are never crossed: `3*(8conv3x3 - 8conv3x3)` becomes
    `3*(res(8conv3x3 - 8conv3x3))`, `5*(8conv3x3)` becomes `2*(res(8conv3x3 - 8conv3x3)) - 8conv3x3`
    and `2*(8conv3x3 - 8conv3x3 - 8conv3x3)` keeps its third convolution. So plain-20 becomes
    res-20. Where a pair changes the number of maps its skip is a projection, which has weights.

    Raises `FathomError` where there is no pair outside `res(...)`.
    """
    changed = _paired(layers)
    if changed == layers:
        raise FathomError(
            f"no skip can be added to {format(layers)!r}: outside 'res(...)' it has no two "
            "convolutions of the same width in a row, the second with stride 1"
        )
    return parse(format(changed))


def widened(layers: tuple[Layer, ...], factor: int) -> tuple[Layer, ...]:
    """Multiply the filters of every convolution and the units of every dense layer.

    Raises `FathomError` for a factor below 2, for layers without either, and where a number leaves
    the bounds of a line.
    """
    if factor < 2:
        raise FathomError(f"a factor of {factor} widens nothing: take 2 or more")
    changed = tuple(_wider(layer, factor) for layer in layers)
    if changed == layers:
        raise FathomError(
            f"nothing of {format(layers)!r} can be widened: it has no convolution or dense layer"
        )
    return parse(format(changed))


def unpooled(layers: tuple[Layer, ...], crop_px: int) -> tuple[Layer, ...]:
    """Leave out pooling until no convolution stands on a map smaller than its kernel.

    For crops of `crop_px`: the last pooling layer or stride before the first such convolution goes,
    then the same again. Earlier layers keep their maps and every convolution its weights; what
    pools behind the last convolution stays. The first dense layer can grow, as its maps do. A
    repeat that pools is written out.

    Raises `FathomError` where no kernel is larger than its map, where one is larger than the crop
    itself, and where the layers pool below 1 x 1.
    """
    check_fits(layers, crop_px)
    opened = changed = _opened(layers)
    while small := _first_small_map(changed, crop_px):
        layer, reductions = small
        if reductions == 0:
            raise FathomError(
                f"the kernel of '{layer}' is larger than the crop of {crop_px} px: no pooling "
                "stands before it that could be left out; raise crop.crop_px"
            )
        changed = _without_reduction(changed, reductions - 1)
    if changed == opened:
        raise FathomError(
            f"no pooling has to be left out of {format(layers)!r}: for crops of {crop_px} px every "
            "convolution stands on a map at least as large as its kernel"
        )
    return parse(format(changed))


def _paired(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return the layers with every pair in a `Residual`."""
    paired: list[Layer] = []
    rest = list(layers)
    while rest:
        layer = rest.pop(0)
        if rest and _is_pair(layer, rest[0]):
            paired.append(Residual((layer, rest.pop(0))))
        elif isinstance(layer, Repeat):
            paired += _paired_repeat(layer)
        else:
            paired.append(layer)
    return tuple(paired)


def _is_pair(first: Layer, second: Layer) -> bool:
    return (
        isinstance(first, Convolution)
        and isinstance(second, Convolution)
        and first.filters == second.filters
        and second.stride == 1
    )


def _paired_repeat(layer: Repeat) -> Iterator[Layer]:
    """Pair inside the content; a convolution repeated by itself pairs with its own repetition."""
    match layer.content:
        case (Convolution(stride=1) as convolution,) if layer.times > 1:
            block = Residual((convolution, convolution))
            pairs, left_over = divmod(layer.times, 2)
            yield Repeat(pairs, (block,)) if pairs > 1 else block
            if left_over:
                yield convolution
        case content:
            yield Repeat(layer.times, _paired(content))


def _wider(layer: Layer, factor: int) -> Layer:
    match layer:
        case Convolution(filters):
            return replace(layer, filters=filters * factor)
        case Dense(units):
            return Dense(units * factor)
        case Residual(content) | Repeat(content=content):
            return replace(layer, content=tuple(_wider(inner, factor) for inner in content))
        case _:
            return layer


def _reductions(layer: Layer) -> int:
    """Count the pooling layers and strides that make maps smaller, repeats written out."""
    return sum(
        isinstance(inner, MaxPool) or (isinstance(inner, Convolution) and inner.stride > 1)
        for inner in written_out((layer,))
    )


def _opened(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Write out the repeats that make maps smaller: one of their repetitions may have to change."""
    opened: list[Layer] = []
    for layer in layers:
        reduces = _reductions(layer) > 0
        opened += expand((layer,)) if reduces else (layer,)
    return tuple(opened)


def _first_small_map(layers: tuple[Layer, ...], crop_px: int) -> tuple[Convolution, int] | None:
    """Return the first convolution with a kernel larger than its map, and the reductions before."""
    shape, reductions = Shape(1, crop_px), 0
    for layer in written_out(layers):
        if isinstance(layer, Convolution) and layer.kernel > shape.side:
            return layer, reductions
        shape = layer.after(shape)
        reductions += _reductions(layer)
    return None


def _without_reduction(layers: tuple[Layer, ...], number: int) -> tuple[Layer, ...]:
    """Leave out one pooling layer or stride, counted from 0 in the order of computation."""
    kept: list[Layer] = []
    for layer in layers:
        here = _reductions(layer)
        if not 0 <= number < here:
            kept.append(layer)
        elif isinstance(layer, Residual):
            kept.append(Residual(_without_reduction(layer.content, number)))
        elif isinstance(layer, Convolution):
            kept.append(replace(layer, stride=1))
        number -= here
    return tuple(kept)
