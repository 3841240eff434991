import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fathom.ground.errors import FathomError
from fathom.ground.numerics import environment
from fathom.ground.section import read_section
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse, shapes
from fathom.networks.layers import Convolution, Shape
from fathom.networks.network import ConvolutionBlock, ResidualBlock, build, scale_input
from fathom.networks.recipe import Recipe

PARAMS_FILE = Path(__file__).parents[1] / "params.yaml"
SHALLOW = "32conv3x3 - mp2x2 - 32conv3x3 - mp2x2 - 64conv5x5 - mp2x2 - fc32 - fc32 - o"


@pytest.fixture(scope="module")
def recipe():
    return read_section(Recipe, PARAMS_FILE)


def changed(recipe, **changes):
    return recipe.model_copy(update=changes)


def test_the_students_network_has_the_parameters_counted_by_hand(recipe):
    network = build(parse(SHALLOW), recipe, channels=1, crop_px=48, streams=Streams(0))
    convolutions = (32 * 9 + 32) + (32 * 32 * 9 + 32) + (64 * 32 * 25 + 64)
    dense = (64 * 6 * 6 * 32 + 32) + (32 * 32 + 32) + (32 + 1)
    assert sum(weight.numel() for weight in network.parameters()) == convolutions + dense


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_come_one_a_crop(recipe, channels):
    network = build(parse(SHALLOW), recipe, channels, crop_px=24, streams=Streams(0))
    assert network(torch.rand(5, channels, 24, 24)).shape == (5,)


@pytest.mark.parametrize(
    ("initialisation", "variance", "bias"),
    [
        ("torch", 1 / (3 * 64 * 9), True),  # uniform within 1 / sqrt(fan in): its square over 3
        ("glorot", 2 / (64 * 9 + 128 * 9), False),
        ("he", 2 / (64 * 9), False),
    ],
)
def test_weights_have_the_variance_of_the_paper(recipe, initialisation, variance, bias):
    layers = parse("64conv1x1 - 128conv3x3 - gap - o")
    network = build(
        layers, changed(recipe, initialisation=initialisation), 1, 16, streams=Streams(0)
    )
    convolution = network.layers[1].convolution
    assert float(convolution.weight.detach().var()) == pytest.approx(variance, rel=0.02)
    assert float(convolution.weight.detach().mean()) == pytest.approx(0, abs=variance**0.5 / 50)
    assert bool((convolution.bias != 0).any()) is bias


def test_the_seed_decides_the_weights_and_global_randomness_is_left_alone(recipe):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (
        build(parse(SHALLOW), recipe, 1, 24, Streams(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    weights = [one.layers[0].convolution.weight for one in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_batch_norm_stands_between_convolution_and_relu_and_replaces_the_bias(recipe):
    network = build(
        parse("4conv3x3 - gap - o"), changed(recipe, norm="batch"), 1, 8, streams=Streams(0)
    )
    block = network.layers[0]
    assert block.convolution.bias is None
    crops = torch.rand(6, 1, 8, 8)
    maps = block.convolution(crops)
    mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), correction=0)
    expected = torch.relu((maps - mean) / torch.sqrt(variance[:, None, None] + block.norm.eps))
    torch.testing.assert_close(block(crops), expected)


def test_plain_and_residual_differ_in_the_skip_alone(recipe):
    inside = "4conv3x3 - 4conv3x3"
    plain, residual = (
        build(parse(f"4conv3x3 - {content} - gap - o"), recipe, 1, 12, streams=Streams(0))
        for content in (inside, f"res({inside})")
    )
    assert [w.shape for w in plain.parameters()] == [w.shape for w in residual.parameters()]
    for one, two in zip(plain.parameters(), residual.parameters(), strict=True):
        assert torch.equal(one, two)
    block = residual.layers[1]
    assert isinstance(block, ResidualBlock)
    maps = torch.rand(2, 4, 12, 12)
    first, second = (part.convolution for part in block.content)
    expected = torch.relu(second(torch.relu(first(maps))) + maps)
    torch.testing.assert_close(block(maps), expected)


@pytest.mark.parametrize("name", ["leaky", "tanh", "sigmoid", "none"])
def test_the_activation_stands_in_every_hidden_layer_and_after_pooling(recipe, name):
    line = "4conv3x3 - mp2x2 - res(4conv3x3 - 4conv3x3) - fc5 - o"
    steady = changed(recipe, activation=name, dropout=0.0)
    network = build(parse(line), steady, 1, 8, Streams(0))
    crops = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    active = {
        "leaky": torch.nn.functional.leaky_relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "none": lambda maps: maps,
    }[name]
    first, pool, block, dense, out = network.layers
    maps = pool(active(first.convolution(crops)))
    one, two = (part.convolution for part in block.content)
    maps = active(two(active(one(maps))) + maps)
    units = active(dense[1](maps.flatten(1)))
    torch.testing.assert_close(network(crops), out[1](units).squeeze(1))


def test_the_initial_bias_is_added_in_hidden_layers_alone(recipe):
    line = parse("4conv3x3 - res(8conv3x3/2 - 8conv3x3) - fc5 - o")
    for name in ("glorot", "torch"):
        plain, biased = (
            build(line, changed(recipe, initialisation=name, initial_bias=bias), 1, 8, Streams(0))
            for bias in (0.0, -0.5)
        )
        biases = [
            (key, one, other)
            for (key, one), (_, other) in zip(
                plain.named_parameters(), biased.named_parameters(), strict=True
            )
        ]
        for key, one, other in biases[:-1]:
            expected = one - 0.5 if key.endswith("bias") else one
            assert torch.equal(other, expected), key
        assert torch.equal(biases[-1][1], biases[-1][2])


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_change_of_shape_is_projected(recipe, norm):
    line = "4conv3x3 - res(8conv3x3/2 - 8conv3x3) - gap - o"
    network = build(parse(line), changed(recipe, norm=norm), 1, 13, streams=Streams(0))
    block = network.layers[1]
    assert block.skip.convolution.kernel_size == (1, 1)
    assert isinstance(block.skip.norm, nn.BatchNorm2d) is (norm == "batch")
    assert block(torch.rand(2, 4, 13, 13)).shape == (2, 8, 7, 7)


def test_the_strided_projection_is_the_strided_convolution(recipe):
    network = build(
        parse("4conv3x3 - res(8conv3x3/2 - 8conv3x3) - gap - o"), recipe, 1, 13, Streams(0)
    )
    skip = network.layers[1].skip
    maps = torch.rand(2, 4, 13, 13)
    convolution = skip.convolution
    expected = nn.functional.conv2d(maps, convolution.weight, convolution.bias, stride=2)
    torch.testing.assert_close(skip(maps), expected)


def test_dropout_follows_the_dense_layers_with_the_recipes_share(recipe):
    network = build(parse(SHALLOW), changed(recipe, dropout=0.3), 1, 24, streams=Streams(0))
    shares = [part.p for part in network.modules() if isinstance(part, nn.Dropout)]
    assert shares == [0.3, 0.3]


def test_the_input_is_scaled_to_one_or_left(recipe):
    crops = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 3, 1)
    assert scale_input(crops, "unit").flatten().tolist() == pytest.approx([0, 0.2, 1])
    assert scale_input(crops, "byte").flatten().tolist() == [0, 51, 255]
    colour = torch.arange(2 * 5 * 5 * 3, dtype=torch.uint8).reshape(2, 5, 5, 3)
    scaled = scale_input(colour, "byte")
    assert scaled.shape == (2, 3, 5, 5)
    np.testing.assert_array_equal(scaled[1, 2].numpy(), colour[1, :, :, 2].numpy())


@pytest.mark.parametrize(
    ("line", "crop_px"),
    [
        (SHALLOW, 48),
        ("4conv5x5/3 - mp2x2 - res(6conv1x1/2 - 6conv3x3) - gap - fc5 - o", 50),
        ("4conv3x3 - mp16x16 - res(4conv7x7/2) - 8conv5x5/3 - fc5 - o", 19),
    ],
)
def test_maps_have_the_shapes_that_the_line_says(recipe, line, crop_px):
    layers = parse(line)
    network = build(layers, recipe, channels=3, crop_px=crop_px, streams=Streams(0))
    maps = torch.rand(2, 3, crop_px, crop_px)
    for module, shape in zip(network.layers, shapes(layers, 3, crop_px), strict=True):
        maps = module(maps)
        assert maps.flatten(1).shape == (2, shape.channels * shape.side**2)


# What oneDNN of torch 2.13 gets wrong on AVX512: see ConvolutionBlock.
STRIDED = [
    (Convolution(16, 1, 2), 8, 48, torch.float32),
    (Convolution(16, 3, 3), 8, 2, torch.bfloat16),
    (Convolution(16, 3, 2), 8, 1, torch.bfloat16),
]


@pytest.mark.parametrize(("convolution", "channels", "side", "precision"), STRIDED)
def test_gradients_of_strided_convolutions_are_the_textbooks(
    recipe, convolution, channels, side, precision
):
    check_gradients(recipe, convolution, channels, side, precision)


def check_gradients(recipe, convolution, channels, side, precision):
    block = ConvolutionBlock(convolution, Shape(channels, side), recipe, active=False)
    block.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(64, channels, side, side, generator=generator)
    maps = maps.to(memory_format=torch.channels_last)
    weight = block.convolution.weight
    exact = weight.detach().double().requires_grad_()  # oneDNN leaves float64 to torch itself
    padding = convolution.kernel // 2
    expected = nn.functional.conv2d(
        maps.double(), exact, stride=convolution.stride, padding=padding
    )
    upstream = torch.randn(expected.shape, generator=generator)
    expected.backward(upstream.double())
    for _ in range(5):
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            out = block(maps)
        out.backward(upstream.to(out.dtype))
        error = (weight.grad - exact.grad).abs().max() / exact.grad.abs().max()
        assert error < (0.03 if precision == torch.bfloat16 else 1e-4)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize(
    "line",
    [
        "8conv3x3 - mp2x2 - 8conv5x5 - 8conv3x3 - mp3x3 - fc8 - fc8 - o",
        "8conv3x3 - res(8conv3x3 - 8conv3x3) - mp2x2 - res(12conv3x3/2 - 12conv3x3) - gap - o",
        "mp2x2 - mp2x2 - 4conv3x3 - mp2x2 - mp2x2 - o",
    ],
)
def test_pooling_before_relu_changes_no_bit_of_logits_and_gradients(recipe, line, norm):
    """Some maps are negative throughout, and some values of a window are the same."""
    steady = changed(recipe, norm=norm, dropout=0.0)
    pooled, plain = (build(parse(line), steady, 1, 24, Streams(3)) for _ in range(2))
    for network in (pooled, plain):
        with torch.no_grad():
            for weight in network.parameters():
                weight[: len(weight) // 4] = -weight[: len(weight) // 4].abs()
    crops = torch.randint(0, 4, (16, 1, 24, 24), generator=torch.Generator().manual_seed(0)) / 3.0
    found, expected = pooled(crops), crops
    for layer in plain.layers:
        expected = layer(expected)
    expected = expected.squeeze(1)
    assert found.std() > 0
    assert torch.equal(found, expected)
    for logits in (found, expected):
        (logits * torch.linspace(-1, 1, 16)).sum().backward()
    for one, other in zip(pooled.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    for one, other in zip(pooled.buffers(), plain.buffers(), strict=True):
        assert torch.equal(one, other)


def test_in_evaluation_pooling_before_relu_changes_no_bit_either(recipe):
    line = "8conv3x3 - mp2x2 - res(8conv3x3 - 8conv3x3) - mp2x2 - fc8 - o"
    network = build(parse(line), changed(recipe, norm="batch"), 1, 24, Streams(0)).eval()
    crops = torch.rand(5, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    expected = crops
    for layer in network.layers:
        expected = layer(expected)
    assert torch.equal(network(crops), expected.squeeze(1))


def test_gradients_of_strided_convolutions_are_the_textbooks_under_native_numerics_too():
    """On AVX512 where there is that: the tests themselves compute portably."""
    script = f"""
import test_network as tested
recipe = tested.read_section(tested.Recipe, tested.Path({str(PARAMS_FILE)!r}))
for case in tested.STRIDED:
    tested.check_gradients(recipe, *case)
"""
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        timeout=120,
        cwd=PARAMS_FILE.parent / "tests",
        env=environment("native", os.environ),
    )


def test_a_network_that_does_not_fit_the_crops_is_refused(recipe):
    with pytest.raises(FathomError, match="layer 3 of 4, 'mp4x4', would pool"):
        build(
            parse("4conv3x3 - mp4x4 - mp4x4 - o"),
            recipe,
            channels=1,
            crop_px=15,
            streams=Streams(0),
        )
