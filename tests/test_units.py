"""Fathom's own units against torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fathom.networks.units import Add, Dropout, Linear, ReLU, activation


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n", "inputs", "outputs"), [(64, 300, 32), (1, 5, 1), (7, 1, 3)])
def test_a_dense_layer_computes_what_torch_computes(n, inputs, outputs):
    layer = Linear(inputs, outputs)
    units = noise(n, inputs).requires_grad_()
    exact = [one.detach().double().requires_grad_() for one in (units, layer.weight, layer.bias)]
    upstream = noise(n, outputs, seed=1)
    expected = functional.linear(*exact)
    expected.backward(upstream.double())
    found = layer(units)
    found.backward(upstream)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    for one, other in zip((units, layer.weight, layer.bias), exact, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-5)
    assert found.dtype == units.grad.dtype == torch.float32


def test_a_dense_layer_takes_units_that_are_not_contiguous():
    layer = Linear(12, 3)
    units = noise(12, 5).T
    torch.testing.assert_close(layer(units), functional.linear(units, layer.weight, layer.bias))


def test_gradients_that_nobody_wants_are_not_computed():
    layer = Linear(4, 2)
    units = noise(3, 4)
    layer.weight.requires_grad_(False)
    layer(units).sum().backward()
    assert units.grad is None
    assert layer.weight.grad is None
    assert layer.bias.grad.tolist() == [3, 3]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_numbers_than_float32_are_torchs(dtype):
    layer, units = Linear(4, 2).to(dtype), noise(3, 4).to(dtype)
    expected = functional.linear(units, layer.weight, layer.bias)
    assert torch.equal(layer(units), expected)
    assert layer(units).dtype == dtype


def test_under_autocast_a_dense_layer_computes_in_bfloat16():
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(4, 2)(noise(3, 4)).dtype == torch.bfloat16


def dropout(share, seed=0):
    unit = Dropout(share)
    unit.generator = np.random.default_rng(seed)
    return unit


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_takes_its_share_and_scales_what_is_left(share):
    n = 100_000
    units = noise(n // 100, 100).abs() + 1
    left = dropout(share)(units)
    kept = left != 0
    deviation = (share * (1 - share) / n) ** 0.5
    assert float((~kept).double().mean()) == pytest.approx(share, abs=4 * deviation)
    torch.testing.assert_close(left[kept], units[kept] / (1 - share))


def test_the_gradient_of_dropout_is_its_mask():
    units = torch.ones(50, 8, requires_grad=True)
    left = dropout(0.5)(units)
    left.sum().backward()
    assert torch.equal(units.grad, left.detach())
    assert set(units.grad.unique().tolist()) == {0.0, 2.0}


def test_the_same_generator_drops_the_same_units_and_others_the_next_time():
    units = torch.ones(20, 30)
    one, again, other = dropout(0.5), dropout(0.5), dropout(0.5, seed=1)
    first, second = one(units), one(units)
    assert torch.equal(again(units), first)
    assert torch.equal(again(units), second)
    assert not torch.equal(first, second)
    assert not torch.equal(other(units), first)


def test_global_randomness_is_neither_read_nor_changed_where_a_generator_is_given():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = dropout(0.5)(torch.ones(9, 9))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(dropout(0.5)(torch.ones(9, 9)), one)


def test_in_evaluation_dropout_changes_nothing_and_draws_nothing():
    unit = dropout(0.5).eval()
    state = unit.generator.bit_generator.state
    units = noise(4, 5)
    assert torch.equal(unit(units), units)
    assert unit.generator.bit_generator.state == state


def test_without_a_share_nothing_is_dropped():
    units = noise(4, 5)
    assert torch.equal(dropout(0.0)(units), units)


def test_relu_is_in_place_in_training_alone():
    unit, maps = ReLU(), noise(4, 5)
    before = maps.clone()
    out = unit.eval()(maps)
    assert torch.equal(maps, before)
    assert torch.equal(out, before.clamp(min=0))
    unit.train()(maps)
    assert torch.equal(maps, out)


def test_relu_has_the_same_gradient_in_place():
    def gradient(unit):
        units = noise(4, 5).requires_grad_()
        (unit(units * 2) * noise(4, 5, seed=1)).sum().backward()
        return units.grad

    assert torch.equal(gradient(ReLU().train()), gradient(torch.nn.ReLU()))


def test_add_is_the_sum():
    one, other = noise(2, 3), noise(2, 3, seed=1)
    assert torch.equal(Add()(one, other), one + other)


TORCHS = {
    "relu": functional.relu,
    "leaky": lambda z: functional.leaky_relu(z, 0.01),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "none": lambda z: z * 1,
}


@pytest.mark.parametrize("name", TORCHS)
def test_an_activation_and_its_gradient_are_torchs(name):
    maps = (3 * noise(4, 6, 5, 5)).to(memory_format=torch.channels_last)
    own, exact = maps.clone().requires_grad_(), maps.double().requires_grad_()
    unit = activation(name).eval()
    found, expected = unit(own), TORCHS[name](exact)
    upstream = noise(4, 6, 5, 5, seed=1)
    found.backward(upstream)
    expected.backward(upstream.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(own.grad.double(), exact.grad, rtol=1e-5, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_no_activation_ever_falls_so_that_pooling_can_come_first():
    values = torch.linspace(-20, 20, 40_001)
    for name in TORCHS:
        assert bool((activation(name).eval()(values).diff() >= -1e-7).all()), name


def test_tanh_of_infinite_and_tiny_values_is_exact():
    values = torch.tensor([-np.inf, -1e-30, 0.0, 1e-30, np.inf])
    found = activation("tanh")(values)
    assert found.tolist() == [-1.0, values[1].item(), 0.0, values[3].item(), 1.0]
