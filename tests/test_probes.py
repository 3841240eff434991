"""Every probe against a direct computation on a tiny network."""

from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from fathom.ground.section import read_section
from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.network import build
from fathom.networks.recipe import Recipe
from fathom.training.probes import (
    effective_rank,
    points_of,
    probe_layers,
    relative_changes,
    weights_of,
)
from fathom.training.readability import activations, readability

RECIPE = read_section(Recipe, Path(__file__).parents[1] / "params.yaml")
LINE = "3conv3x3 - mp2x2 - res(3conv3x3 - 3conv3x3) - res(4conv3x3/2 - 4conv3x3) - fc5 - o"


def network_of(line=LINE, norm="none", seed=0):
    recipe = RECIPE.model_copy(update={"norm": norm, "initialisation": "he"})
    return build(parse(line), recipe, 1, 8, Streams(seed))


def batch(n=6, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(n, 1, side, side, generator=generator)
    return inputs, (torch.arange(n) % 2).float()


def rows_of(network, epoch=0, *, jacobians=False):
    return probe_layers(network, *batch(), epoch, jacobians=jacobians)


def by_hand(network, inputs):
    """Return the pre-activations of LINE's network without a norm, layer by layer."""
    network.eval()
    first, pool, one, two, dense, out = network.layers
    signals = [first.convolution(inputs)]
    maps = pool(signals[-1].relu())
    for block in (one, two):
        signals.append(block.content[0].convolution(maps))
        content = block.content[1].convolution(signals[-1].relu())
        signals.append(content + block.skip(maps))
        maps = signals[-1].relu()
    signals.append(dense[1](maps.flatten(1)))
    signals.append(out(signals[-1].relu()))
    return signals


def test_layers_are_named_in_the_order_of_computation_without_projections():
    names = [point.layer for point in points_of(network_of())]
    assert names == [
        *("1 3conv3x3", "2 3conv3x3", "3 3conv3x3", "4 4conv3x3", "5 4conv3x3", "6 fc5", "7 o")
    ]


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_layer_is_seen_after_its_norm_or_sum_and_the_last_is_the_output(norm):
    network = network_of(norm=norm)
    points = points_of(network)
    first, _, one, two, dense, out = network.layers
    assert [point.seen for point in points] == [
        *(first.norm, one.content[0].norm, one.sum, two.content[0].norm, two.sum, dense[1], out[1])
    ]
    assert [point.block for point in points] == [None, None, one, None, two, None, None]
    assert [point.is_output for point in points] == [False] * 6 + [True]
    assert len({point.weighted for point in points}) == 7


def test_signals_are_those_of_the_pre_activations():
    network = network_of()
    rows = rows_of(network)
    with torch.no_grad():
        signals = [batch()[0], *by_hand(network, batch()[0])]
    assert [row.place for row in rows] == list(range(8))
    for row, signal in zip(rows, signals, strict=True):
        z = signal.numpy().astype(float)
        between = np.sqrt(z.var(axis=0).mean())
        assert row.rms == pytest.approx(np.sqrt((z**2).mean()), rel=1e-5)
        assert row.between_samples == pytest.approx(between, rel=1e-5)
        assert row.signal == pytest.approx(between / np.sqrt((z**2).mean()), rel=1e-5)


def test_silent_units_are_those_that_no_pixel_of_any_sample_activates():
    network = network_of()
    with torch.no_grad():
        network.layers[0].convolution.bias[1] = -100.0
        network.layers[4][1].bias[:2] = -100.0
    rows = rows_of(network)
    with torch.no_grad():
        signals = by_hand(network, batch()[0])
    for row, signal in zip(rows[1:-1], signals[:-1], strict=True):
        units = signal.transpose(0, 1).flatten(1).numpy()
        assert row.silent == pytest.approx(np.mean([(unit <= 0).all() for unit in units]))
    assert rows[1].silent == pytest.approx(1 / 3)
    assert rows[6].silent >= 2 / 5
    assert np.isnan(rows[-1].silent)


def test_gradient_norms_are_autograds():
    network = network_of()
    rows = rows_of(network)
    inputs, target = batch()
    network.eval()
    binary_cross_entropy_with_logits(network(inputs), target).backward()
    for row, point in zip(rows[1:], points_of(network), strict=True):
        assert row.gradient_norm == pytest.approx(
            float(point.weighted.weight.grad.norm()), rel=1e-5
        )


def test_gradient_correlation_is_the_mean_cosine_of_the_samples_own_gradients():
    """Sample by sample, the gradient of the logit in the first layer's pre-activation."""
    network = network_of()
    row = rows_of(network)[1]
    directions = []
    for one in batch()[0]:
        signals = by_hand(network, one[None])
        (gradient,) = torch.autograd.grad(signals[-1].sum(), signals[0])
        directions.append((gradient / gradient.norm()).flatten().numpy())
    cosines = np.array(directions) @ np.array(directions).T
    expected = cosines[~np.eye(len(cosines), dtype=bool)].mean()
    assert row.gradient_correlation == pytest.approx(expected, rel=1e-4)


def test_identity_distance_is_that_of_each_block_and_of_no_other_layer():
    network = network_of()
    rows = rows_of(network)
    with torch.no_grad():
        signals = by_hand(network, batch()[0])
        x = network.layers[1](signals[0].relu())
        for place, block in ((3, network.layers[2]), (5, network.layers[3])):
            distance = block.content(x).norm() / block.skip(x).norm()
            assert rows[place].identity_distance == pytest.approx(float(distance), rel=1e-5)
            x = block(x)
    others = [row.identity_distance for row in rows if row.place not in (3, 5)]
    assert np.isnan(others).all()


def test_jacobians_have_the_root_mean_square_singular_value():
    network = network_of().eval()
    inputs = batch(n=256)[0]
    rows = probe_layers(network, inputs, torch.zeros(256), 0, jacobians=True)
    maps = inputs
    ends = {0: 1, 2: 3, 3: 5, 4: 6, 5: 7}  # entry of network.layers: place of its last layer
    for number, layer in enumerate(network.layers):
        if number in ends:
            squares, values = 0.0, 0
            for one in maps[:64]:
                jacobian = torch.autograd.functional.jacobian(layer, one[None])
                out = layer(one[None]).numel()
                singular = torch.linalg.svdvals(jacobian.reshape(out, -1))
                squares, values = squares + float((singular**2).sum()), values + len(singular)
            found = rows[ends[number]].jacobian
            assert found == pytest.approx((squares / values) ** 0.5, rel=0.1), number
        maps = layer(maps).detach()
    assert np.isnan([row.jacobian for row in rows if row.place not in ends.values()]).all()


def test_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values():
    singular = [3.0, 1.0]
    left = torch.linalg.qr(torch.rand(9, 3, generator=torch.Generator().manual_seed(0)))[0]
    left = torch.linalg.qr(left - left.mean(0))[0][:, :2]  # centred columns
    matrix = left @ torch.diag(torch.tensor(singular)) + 5  # the mean does not count
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))
    assert effective_rank(matrix) == pytest.approx(exp(entropy), rel=1e-4)
    assert effective_rank(torch.ones(4, 3)) == 0
    assert np.isnan(effective_rank(torch.full((4, 3), torch.inf)))


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_probing_changes_nothing_and_takes_no_random_number(norm):
    network = network_of(norm=norm).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    probe_layers(network, *batch(), 0, jacobians=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert all(module.training for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module._forward_hooks for module in network.modules())


def test_batch_norm_is_probed_with_the_statistics_of_the_batch():
    """After the norm each channel has mean 0 and variance 1 over the batch, whatever was seen."""
    network = network_of("4conv3x3 - gap - o", norm="batch")
    network.layers[0].norm.running_mean += 50
    assert rows_of(network)[1].rms == pytest.approx(1, rel=1e-3)


def test_a_step_changes_the_weights_relatively():
    network = network_of()
    before = weights_of(network)
    with torch.no_grad():
        for point in points_of(network):
            point.weighted.weight.mul_(1.25)
    assert relative_changes(before, weights_of(network)) == pytest.approx([0.25] * 7)


def test_a_diverged_network_is_measured_as_not_a_number():
    network = network_of()
    with torch.no_grad():
        network.layers[0].convolution.weight.fill_(torch.inf)
    rows = rows_of(network)
    assert np.isnan(rows[-1].rms)


def test_a_label_that_is_in_the_pixels_is_readable_and_one_that_is_not_is_not():
    """Brightness is there from the first layer on; a random label is nowhere."""
    rng = np.random.default_rng(0)
    truth = np.arange(400) % 2 == 0
    pixels = rng.random((400, 1, 8, 8)) * 0.1 + 0.5 * truth[:, None, None, None]
    inputs = torch.from_numpy(pixels.astype(np.float32))
    network = network_of().eval()
    found = readability(network, [inputs[:200]], truth[:200], [inputs[200:]], truth[200:])
    assert len(found) == 7
    assert found[0] == 1
    random = rng.permutation(truth)
    chance = readability(network, [inputs[:200]], random[:200], [inputs[200:]], random[200:])
    assert np.mean(chance) == pytest.approx(0.5, abs=0.08)


def test_activations_are_averaged_over_the_quarters_of_their_maps():
    network = network_of().eval()
    inputs = batch()[0]
    found = activations(network, inputs)
    with torch.no_grad():
        maps = by_hand(network, inputs)[0].relu().numpy()
    quarters = maps.reshape(6, 3, 2, 4, 2, 4).mean(axis=(3, 5)).reshape(6, 12)
    np.testing.assert_allclose(found[0], quarters, rtol=1e-5)
    assert [one.shape[1] for one in found] == [12, 12, 12, 16, 16, 5, 1]
