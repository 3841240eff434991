from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fathom.ground.section import read_section
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.initialisation import main_layers, projections, unit_variance
from fathom.networks.network import build
from fathom.networks.recipe import Recipe

RECIPE = read_section(Recipe, Path(__file__).parents[1] / "params.yaml")
DEEP = "8conv3x3 - 8conv3x3 - 16conv3x3 - 16conv3x3/2 - fc32 - fc32 - o"
RESIDUAL = "8conv3x3 - res(8conv3x3 - 8conv3x3) - res(16conv3x3/2 - 16conv3x3) - gap - o"


def network(line=DEEP, seed=0, **changes):
    return build(parse(line), RECIPE.model_copy(update=changes), 1, 12, Streams(seed))


def noise(n=64, side=12, seed=0):
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_layers_and_projections_are_told_apart():
    built = network(RESIDUAL)
    assert [tuple(layer.weight.shape[:2]) for layer in main_layers(built)] == [
        *((8, 1), (8, 8), (8, 8), (16, 8), (16, 16), (1, 16))
    ]
    assert [tuple(layer.weight.shape) for layer in projections(built)] == [(16, 8, 1, 1)]


def test_a_network_that_looks_linear_computes_a_linear_function():
    """Balduzzi et al. 2017: f(a x + b y) = a f(x) + b f(y), which no other start gives."""
    x, y = noise(seed=1), noise(seed=2)

    def distance(initialisation):
        built = network(initialisation=initialisation, dropout=0.0).eval()
        with torch.no_grad():
            linear = 2 * built(x) - 3 * built(y)
            return float((built(2 * x - 3 * y) - linear).norm() / linear.norm())

    assert distance("looks-linear") < 1e-4
    assert distance("he") > 0.1


def test_looks_linear_weights_are_orthogonal_and_keep_the_size_of_the_signal():
    built = network("16conv1x1 - 16conv1x1 - fc24 - o", initialisation="looks-linear").eval()
    inner = built.layers[1].convolution.weight.detach()[:, :, 0, 0]
    assert torch.equal(inner[:8, :8], -inner[8:, :8])
    assert torch.equal(inner[:8, :8], -inner[:8, 8:])
    np.testing.assert_allclose(inner[:8, :8] @ inner[:8, :8].T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("line", ["7conv3x3 - 5conv3x3 - fc9 - o", RESIDUAL])
def test_an_odd_number_of_channels_and_skips_look_linear_too(line):
    built = network(line, initialisation="looks-linear").eval()
    assert torch.isfinite(built(noise())).all()
    assert float(built(noise()).detach().std()) > 0


@pytest.mark.parametrize("line", [DEEP, RESIDUAL])
def test_lsuv_gives_every_layer_unit_variance(line):
    built = network(line, initialisation="lsuv", dropout=0.0).eval()
    layers = list(main_layers(built))
    unit_variance(built, layers, noise())
    variances = []
    for layer in layers:
        layer.register_forward_hook(lambda *hooked: variances.append(float(hooked[2].var())))
    with torch.no_grad():
        built(noise())
    assert variances == pytest.approx([1.0] * len(layers), abs=0.02)


def test_the_initial_scale_multiplies_every_weight_and_no_bias():
    one, three = network(initialisation="torch"), network(initialisation="torch", initial_scale=3.0)
    for name, value in one.state_dict().items():
        expected = value if name.endswith("bias") else 3 * value
        assert torch.equal(three.state_dict()[name], expected), name


def test_layers_draw_from_streams_of_their_own():
    """A layer's weights do not depend on what is drawn before it."""
    short, long = network("8conv3x3 - fc32 - o"), network("8conv3x3 - mp2x2 - fc32 - fc32 - o")
    assert torch.equal(short.layers[0].convolution.weight, long.layers[0].convolution.weight)
    drawn = [layer.weight for layer in main_layers(network("8conv3x3 - 8conv3x3 - 8conv3x3 - o"))]
    assert not torch.equal(drawn[1], drawn[2])


def test_group_norm_normalises_each_group_of_each_sample():
    built = network("8conv3x3 - gap - o", norm="group")
    norm = built.layers[0].norm
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == 4
    assert built.layers[0].convolution.bias is None
    out = norm(torch.randn(3, 8, 5, 5) * 7 + 2).detach().reshape(3, 4, -1)
    np.testing.assert_allclose(out.mean(2), 0, atol=1e-5)
    np.testing.assert_allclose(out.var(2, correction=0), 1, atol=1e-3)
    assert network("6conv3x3 - gap - o", norm="group").layers[0].norm.num_groups == 2
