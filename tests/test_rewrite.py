import re
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import NETWORKS

from fathom.ground.errors import FathomError
from fathom.networks.architecture import expand, format, parse
from fathom.networks.architecture_cost import cost
from fathom.networks.families import cifar_family, reduced_vgg
from fathom.networks.layers import Convolution, MaxPool, Repeat, Residual
from fathom.networks.rewrite import unpooled, widened, with_residuals


def flat(layers):
    """Return the layers without brackets."""
    found = []
    for layer in expand(layers):
        found += layer.content if isinstance(layer, Residual) else [layer]
    return found


def blocks(layers):
    return [layer for layer in expand(layers) if isinstance(layer, Residual)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("8conv3x3 - 8conv3x3 - o", "res(8conv3x3 - 8conv3x3) - o"),
        ("8conv3x3 - 8conv5x5 - 8conv1x1 - o", "res(8conv3x3 - 8conv5x5) - 8conv1x1 - o"),
        # never across a pooling layer or a change of width; the first of a pair may have a stride
        (
            "8conv3x3 - mp2x2 - 8conv3x3 - 4conv3x3/2 - 4conv3x3 - 4conv3x3/2 - fc2 - o",
            "8conv3x3 - mp2x2 - 8conv3x3 - res(4conv3x3/2 - 4conv3x3) - 4conv3x3/2 - fc2 - o",
        ),
        # inside repeats, and never across their brackets
        (
            "8conv3x3 - 3*(8conv3x3 - 8conv3x3) - 8conv3x3 - o",
            "8conv3x3 - 3*(res(8conv3x3 - 8conv3x3)) - 8conv3x3 - o",
        ),
        (
            "2*(8conv3x3 - 8conv3x3 - 8conv3x3 - mp2x2) - o",
            "2*(res(8conv3x3 - 8conv3x3) - 8conv3x3 - mp2x2) - o",
        ),
        # one convolution repeated pairs with itself
        ("4*(8conv3x3) - o", "2*(res(8conv3x3 - 8conv3x3)) - o"),
        ("5*(8conv3x3) - gap - o", "2*(res(8conv3x3 - 8conv3x3)) - 8conv3x3 - gap - o"),
        ("3*(8conv3x3) - o", "res(8conv3x3 - 8conv3x3) - 8conv3x3 - o"),
        ("2*(4*(8conv3x3) - mp2x2) - o", "2*(2*(res(8conv3x3 - 8conv3x3)) - mp2x2) - o"),
        ("8conv3x3 - 3*(8conv3x3) - o", "8conv3x3 - res(8conv3x3 - 8conv3x3) - 8conv3x3 - o"),
        # what has a skip keeps it
        (
            "res(8conv3x3) - 8conv3x3 - 8conv3x3 - o",
            "res(8conv3x3) - res(8conv3x3 - 8conv3x3) - o",
        ),
    ],
)
def test_pairs_get_a_skip(line, expected):
    assert format(with_residuals(parse(line))) == expected


@pytest.mark.parametrize(
    "line",
    [
        "8conv3x3 - 4conv3x3 - o",
        "8conv3x3 - mp2x2 - 8conv3x3 - o",
        "8conv3x3 - 8conv3x3/2 - o",
        "3*(8conv3x3/2) - o",
        "1*(8conv3x3) - o",
        "3*(res(8conv3x3 - 8conv3x3)) - o",
        "fc8 - fc8 - o",
    ],
)
def test_without_a_pair_no_skip_can_be_added(line):
    with pytest.raises(FathomError, match=r"no skip can be added to .* no two convolutions"):
        with_residuals(parse(line))


@given(st.integers(1, 50), st.integers(1, 64))
def test_plain_networks_become_the_papers_residual_ones(n, width):
    plain, residual = (parse(cifar_family(6 * n + 2, width, residual=r)) for r in (False, True))
    first, *rest = plain
    # n = 1 has no bracket after the first convolution, which would pair with the second
    if n > 1:
        assert with_residuals(plain) == residual
    else:
        assert (first, *with_residuals(tuple(rest))) == residual


@pytest.mark.parametrize("configuration", ["A", "B", "D"])
def test_vgg_gets_a_skip_for_each_pair_of_a_stage(configuration):
    layers = parse(reduced_vgg(configuration, 8))
    stages = [
        sum(1 for _ in stage)
        for pools, stage in groupby(layers, lambda layer: isinstance(layer, MaxPool))
        if not pools
    ][:5]
    assert len(blocks(with_residuals(layers))) == sum(length // 2 for length in stages)


def has_pair(layers):
    """Say whether two convolutions of one width follow each other, never across a bracket."""
    for layer, after in pairwise([*layers, None]):
        if isinstance(layer, Repeat):
            alone = len(layer.content) == 1 and layer.times > 1
            if has_pair(layer.content * 2 if alone else layer.content):
                return True
        elif isinstance(layer, Convolution) and isinstance(after, Convolution):  # noqa: SIM102
            if layer.filters == after.filters and after.stride == 1:
                return True
    return False


@settings(max_examples=150)
@given(NETWORKS)
def test_skips_change_nothing_but_the_skips_and_are_refused_where_there_is_no_pair(layers):
    if not has_pair(layers):
        with pytest.raises(FathomError, match="no skip can be added"):
            with_residuals(layers)
        return
    found = with_residuals(layers)
    if not re.search(r"\*\([^ ()]*\)", format(layers)):  # one left over loses its bracket
        assert not has_pair(found)
    assert flat(found) == flat(layers)
    assert len(blocks(found)) > len(blocks(layers))
    for block in set(blocks(found)) - set(blocks(layers)):
        first, second = block.content
        assert first.filters == second.filters
        assert second.stride == 1


def test_wider_lines_are_those_of_the_wider_family():
    assert widened(parse(reduced_vgg("D", 8)), 2) == parse(reduced_vgg("D", 4))
    plain, wide = (cifar_family(20, width, residual=True) for width in (8, 24))
    assert widened(parse(plain), 3) == parse(wide)


@given(NETWORKS, st.integers(2, 5))
def test_widening_multiplies_every_number_of_filters_and_units_and_nothing_else(layers, factor):
    if not any(hasattr(layer, "filters") or hasattr(layer, "units") for layer in flat(layers)):
        with pytest.raises(FathomError, match="can be widened"):
            widened(layers, factor)
        return

    def wider(found):
        return re.sub("[0-9]+(?=conv)|(?<=fc)[0-9]+", lambda n: str(int(n[0]) * factor), found)

    assert format(widened(layers, factor)) == wider(format(layers))


@pytest.mark.parametrize(
    ("line", "factor", "message"),
    [
        ("8conv3x3 - o", 1, "a factor of 1 widens nothing"),
        ("8conv3x3 - o", 0, "a factor of 0 widens nothing"),
        ("mp2x2 - gap - o", 2, "nothing of 'mp2x2 - gap - o' can be widened"),
        ("8conv3x3 - fc40000 - o", 2, "'fc80000', .* numbers go from 1 to 65536"),
    ],
)
def test_what_cannot_be_widened_is_refused(line, factor, message):
    with pytest.raises(FathomError, match=message):
        widened(parse(line), factor)


@pytest.mark.parametrize(
    ("line", "crop_px", "expected"),
    [
        # 8, 4, 2: the last convolution gets 4 x 4; what pools behind it stays
        (
            "2conv3x3 - mp2x2 - 2conv3x3 - mp2x2 - 2conv3x3 - mp2x2 - fc4 - o",
            8,
            "2conv3x3 - mp2x2 - 2conv3x3 - 2conv3x3 - mp2x2 - fc4 - o",
        ),
        # of a repeat, the last repetitions only
        (
            "3*(2conv3x3 - mp2x2) - 2conv3x3 - o",
            12,
            "2conv3x3 - mp2x2 - 2conv3x3 - mp2x2 - 2conv3x3 - 2conv3x3 - o",
        ),
        # a stride goes, and its convolution stays
        ("2conv3x3/4 - 4conv3x3 - gap - o", 8, "2conv3x3 - 4conv3x3 - gap - o"),
        ("mp2x2 - res(4conv3x3/2 - 4conv3x3) - o", 8, "mp2x2 - res(4conv3x3 - 4conv3x3) - o"),
        # one is not enough
        ("mp2x2 - mp2x2 - 2conv5x5 - o", 8, "2conv5x5 - o"),
        # repeats that pool nothing stay short
        (
            "9*(2conv3x3) - mp4x4 - 3*(res(2conv3x3 - 2conv3x3)) - o",
            8,
            "9*(2conv3x3) - 3*(res(2conv3x3 - 2conv3x3)) - o",
        ),
    ],
)
def test_pooling_is_left_out_where_a_kernel_is_larger_than_its_map(line, crop_px, expected):
    assert format(unpooled(parse(line), crop_px)) == expected


@settings(max_examples=300)
@given(NETWORKS, st.sampled_from([5, 8, 12, 20]))
def test_unpooled_no_kernel_is_larger_than_its_map_and_all_else_is_there(layers, crop_px):
    convolutions = [layer for layer in flat(layers) if isinstance(layer, Convolution)]
    try:
        small = cost(layers, 1, crop_px).kernels_beyond_map
    except FathomError:
        with pytest.raises(FathomError, match="below 1 x 1"):
            unpooled(layers, crop_px)
        return
    if small == 0 or max(layer.kernel for layer in convolutions) > crop_px:
        with pytest.raises(FathomError):
            unpooled(layers, crop_px)
        return
    found = unpooled(layers, crop_px)
    assert cost(found, 1, crop_px).kernels_beyond_map == 0
    assert without_pooling(found) == without_pooling(layers)
    assert len(blocks(found)) == len(blocks(layers))


def without_pooling(layers):
    return [
        replace(layer, stride=1) if isinstance(layer, Convolution) else layer
        for layer in flat(layers)
        if not isinstance(layer, MaxPool)
    ]


@pytest.mark.parametrize(
    ("line", "crop_px", "message"),
    [
        ("2conv3x3 - mp2x2 - 2conv3x3 - o", 6, "no pooling has to be left out"),
        ("2conv7x7 - mp2x2 - o", 6, "the kernel of '2conv7x7' is larger than the crop of 6 px"),
        ("mp8x8 - o", 6, "below 1 x 1"),
    ],
)
def test_what_cannot_be_unpooled_is_refused(line, crop_px, message):
    with pytest.raises(FathomError, match=message):
        unpooled(parse(line), crop_px)
