from typing import get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import NETWORKS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fathom.ground.errors import FathomError
from fathom.networks.architecture import check_fits, expand, parse, shapes
from fathom.networks.architecture_cost import cost, padding_share, receptive_field, weight_layers
from fathom.networks.families import cifar_family, families, reduced_vgg
from fathom.networks.layers import Convolution, MaxPool, Residual, Shape
from fathom.networks.network import Network
from fathom.networks.recipe import Norm, Recipe

SHALLOW = "32conv3x3 - mp2x2 - 32conv3x3 - mp2x2 - 64conv5x5 - mp2x2 - fc32 - fc32 - o"
LINES = {"shallow": SHALLOW, **families(16, (8, 20))}


def network_of(layers, channels, crop_px, norm="none"):
    """Return the network as `networks.network.build` makes it, without drawing its weights."""
    recipe = Recipe.model_construct(norm=norm, dropout=0.0, activation="relu", initial_bias=0.0)
    with torch.device("meta"):
        return Network(layers, recipe, Shape(channels, crop_px)).eval()


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def flops(network, channels, crop_px):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, channels, crop_px, crop_px, device="meta"))
    return counter.get_total_flops()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LINES)
def test_parameters_and_multiply_adds_are_those_that_torch_counts(name, channels):
    layers = parse(LINES[name])
    for norm in get_args(Norm):
        network = network_of(layers, channels, 33, norm)
        found = cost(layers, channels, 33, norm)
        assert found.parameters == parameters(network)
        assert 2 * found.multiply_adds == flops(network, channels, 33)


@settings(max_examples=60)
@given(NETWORKS, st.integers(1, 3), st.sampled_from([9, 12, 17]))
def test_any_network_costs_what_torch_counts(layers, channels, crop_px):
    try:
        check_fits(layers, crop_px)
    except FathomError:
        assume(False)
    for norm in get_args(Norm):
        network = network_of(layers, channels, crop_px, norm)
        assert cost(layers, channels, crop_px, norm).parameters == parameters(network)
    found = cost(layers, channels, crop_px)
    assert 2 * found.multiply_adds == flops(
        network_of(layers, channels, crop_px), channels, crop_px
    )
    assert found.weight_layers == weight_layers(layers)
    assert found.maps == tuple(shape.side for shape in shapes(layers, channels, crop_px))


def test_the_numbers_of_a_residual_network_are_those_counted_by_hand():
    layers = parse("4conv5x5/2 - mp3x3 - res(6conv3x3/2 - 6conv1x1) - fc7 - o")
    found = cost(layers, channels=3, crop_px=24)  # maps: 12, 4, 2
    convolutions = 12 * 12 * 4 * 3 * 25 + 2 * 2 * 6 * 4 * 9 + 2 * 2 * 6 * 6
    projection, dense = 2 * 2 * 6 * 4, 6 * 2 * 2 * 7 + 7
    assert found.multiply_adds == convolutions + projection + dense
    weights = 4 * 3 * 25 + 6 * 4 * 9 + 6 * 6 + 6 * 4 + 6 * 2 * 2 * 7 + 7
    assert found.parameters == weights + (4 + 6 + 6 + 6 + 7 + 1)
    assert cost(layers, 3, 24, "batch").parameters == weights + 2 * (4 + 6 + 6 + 6) + (7 + 1)
    assert found.weight_layers == 5
    assert found.maps == (12, 4, 2, 1, 1)
    # 5, then 2 pixels more at a distance of 2, then 2 at 6, then none
    assert found.receptive_field_px == 5 + 4 + 12
    assert not found.sees_beyond_crop
    assert cost(layers, 3, 20).sees_beyond_crop


def seen(layers, side):
    """Return how wide the gradient of the middle unit of the last map is on the crop."""
    modules = []
    for layer in expand(layers):
        for inner in layer.content if isinstance(layer, Residual) else [layer]:
            if isinstance(inner, Convolution):
                padding = inner.kernel // 2
                module = nn.Conv2d(1, 1, inner.kernel, inner.stride, padding, bias=False)
                nn.init.ones_(module.weight)
                modules.append(module.double())
            elif isinstance(inner, MaxPool):
                modules.append(nn.AvgPool2d(inner.size))  # every pixel of a square has a say
    crop = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    maps = nn.Sequential(*modules)(crop)
    maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
    return int((crop.grad[0, 0] > 0).any(dim=0).sum())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (SHALLOW, 30),
        (reduced_vgg("B", 64), 156),
        (cifar_family(20, 1, residual=True), 81),
        ("2*(2conv5x5/3 - res(2conv1x1 - 2conv3x3)) - mp3x3 - gap - o", None),
        ("fc3 - o", 1),
    ],
)
def test_the_receptive_field_is_where_the_gradient_of_one_unit_reaches(line, expected):
    layers = parse(line)
    if "conv" in line:
        assert receptive_field(layers) == seen(layers, side=321)
    assert expected in {None, receptive_field(layers)}


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("side", [1, 2, 3, 6])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_weights_that_meet_padding_alone_are_those_without_gradient(kernel, side, stride):
    module = nn.Conv2d(1, 1, kernel, stride, kernel // 2)
    module(torch.ones(1, 1, side, side)).sum().backward()
    expected = float((module.weight.grad == 0).float().mean())
    assert padding_share(Convolution(1, kernel, stride), side) == pytest.approx(expected, abs=1e-6)


def test_pooled_away_is_counted():
    # 24 px: 24, 12, 6, 3 and then 1 before the last two convolutions
    found = cost(parse("3*(2conv3x3 - mp2x2) - 2*(2conv3x3 - mp3x3) - o"), 1, 81)
    assert (found.kernels_beyond_map, found.padding_share) == (0, 0)
    pooled = cost(parse("2conv3x3 - mp8x8 - 2*(2conv3x3) - res(2conv1x1 - 2conv3x3) - o"), 1, 8)
    assert pooled.kernels_beyond_map == 3
    weights = 2 * 9 + 3 * 4 * 9 + 4
    assert pooled.padding_share == pytest.approx(3 * 4 * 8 / weights)
    # a 3 x 3 kernel on 2 x 2 is too large, and yet all its weights meet a pixel
    two = cost(parse("2conv3x3 - o"), 1, 2)
    assert (two.kernels_beyond_map, two.padding_share) == (1, 0)


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(FathomError, match="below 1 x 1"):
        cost(parse("mp9x9 - o"), 1, 8)


def test_without_convolutions_there_is_no_share_of_their_weights():
    assert cost(parse("fc3 - o"), 1, 4).padding_share == 0
