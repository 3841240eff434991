from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fathom.ground.errors import FathomError
from fathom.networks.architecture import expand, parse, shapes
from fathom.networks.architecture_cost import weight_layers
from fathom.networks.families import cifar_family, families, reduced_vgg
from fathom.networks.layers import Convolution, MaxPool, Residual, Shape
from fathom.networks.network import Network
from fathom.networks.recipe import Recipe

PARAMS = Path(__file__).parents[1] / "params.yaml"
LINES = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["architectures"]


def test_the_lines_of_params_are_what_the_families_write():
    assert reduced_vgg("A", 8) == LINES["vgg-11"]
    assert reduced_vgg("B", 8) == LINES["vgg-13"]
    assert cifar_family(20, 8, residual=True) == LINES["res-20"]


@pytest.mark.parametrize(
    ("configuration", "filters"),
    [
        # Simonyan & Zisserman 2014, table 1, column by column; the output is the last layer.
        ("A", [64, 128, 256, 256, 512, 512, 512, 512]),
        ("B", [64, 64, 128, 128, 256, 256, 512, 512, 512, 512]),
        ("D", [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]),
    ],
)
def test_vgg_is_the_papers_table(configuration, filters):
    layers = parse(reduced_vgg(configuration, 1))
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    assert convolutions == [Convolution(count, 3) for count in filters]
    assert sum(not isinstance(layer, MaxPool) for layer in layers) == len(filters) + 3
    assert [shape.side for shape in shapes(layers, 3, 224)][-4] == 7


@pytest.mark.parametrize("divisor", [0, 3, 128, -8])
def test_a_divisor_that_leaves_broken_filters_is_refused(divisor):
    with pytest.raises(FathomError, match=f"cannot be divided by {divisor}"):
        reduced_vgg("A", divisor)


@given(st.integers(1, 300), st.integers(1, 64))
def test_plain_and_residual_differ_in_the_letters_res_and_nothing_else(n, width):
    plain, residual = (cifar_family(6 * n + 2, width, residual=skip) for skip in (False, True))
    opened = []
    for layer in expand(parse(residual)):
        opened += layer.content if isinstance(layer, Residual) else [layer]
    assert tuple(opened) == expand(parse(plain))
    # as text: a bracket of res(...) holds two convolutions and no other bracket
    text, after = "", residual.split("res(")
    for part in after:
        text += part if part is after[0] else part.replace(")", "", 1)
    assert text == plain


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
def test_the_cifar_family_is_section_4_2_of_the_paper(depth):
    # The table there: output map 32 x 32, 16 x 16, 8 x 8; layers 1 + 2n, 2n, 2n; filters 16, 32, 64
    n = (depth - 2) // 6
    layers = parse(cifar_family(depth, 16, residual=False))
    expected = [(16, 32)] * (1 + 2 * n) + [(32, 16)] * 2 * n + [(64, 8)] * 2 * n
    assert list(shapes(layers, 3, 32)) == [*expected, (64, 1), (1, 1)]
    residual = parse(cifar_family(depth, 16, residual=True))
    assert sum(isinstance(layer, Residual) for layer in expand(residual)) == 3 * n
    assert weight_layers(layers) == weight_layers(residual) == depth


def test_plain_and_residual_have_the_same_weights_beside_the_projections():
    recipe = Recipe.model_construct(norm="batch", dropout=0.0, activation="relu", initial_bias=0.0)

    def weights(residual):
        layers = parse(cifar_family(14, 4, residual=residual))
        network = Network(layers, recipe, Shape(channels=1, side=12))
        return [
            tuple(module.weight.shape)
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and ".skip" not in name
        ]

    assert weights(residual=True) == weights(residual=False)
    assert len(weights(residual=True)) == 14


@pytest.mark.parametrize("depth", [-4, 0, 2, 7, 9, 18, 21])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(FathomError, match=f"has {depth} layers: take 6n"):
        cifar_family(depth, 8, residual=True)


@pytest.mark.parametrize(
    ("depth", "width", "message"),
    [(2006, 8, "more than 2000"), (20, 16_385, "65540"), (20, 0, "holds 0")],
)
def test_a_line_beyond_the_grammars_bounds_is_refused(depth, width, message):
    with pytest.raises(FathomError, match=message):
        cifar_family(depth, width, residual=False)


def test_families_begin_with_the_same_filters_and_are_named_by_their_depth():
    lines = families(4, (20, 56))
    assert " ".join(lines) == "vgg-11 vgg-13 vgg-16 plain-20 res-20 plain-56 res-56"
    for name, line in lines.items():
        assert weight_layers(parse(line)) == int(name.split("-")[1])
        assert line.startswith("16conv3x3 - ")
