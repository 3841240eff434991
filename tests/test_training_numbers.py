"""The numbers of a network and of a training against what they should be, computed beside them."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch
from simulated_crops import Forgetful, assert_same, cell_of, shown_of
from torch.nn.functional import conv2d

from fathom.ground.streams import Streams
from fathom.networks.architecture import parse
from fathom.networks.network import build
from fathom.training.training import train_cell

QUIET = {"dropout": 0.0, "augmentation": False}
N = 104
SHOWN = shown_of(N)


def train(cell):
    return train_cell(SHOWN, cell, Forgetful(), lambda epoch: None)


def test_a_residual_block_that_changes_the_shape_adds_its_input_projected():
    layers = parse("res(6conv3x3/2 - 6conv3x3) - gap - o")
    block = build(layers, cell_of(N).recipe, channels=4, crop_px=12, streams=Streams(0)).layers[0]
    maps = torch.randn(2, 4, 12, 12, generator=torch.Generator().manual_seed(0))
    (first, second), skip = (part.convolution for part in block.content), block.skip.convolution
    assert skip.weight.shape == (6, 4, 1, 1)
    inner = torch.relu(conv2d(maps, first.weight, first.bias, stride=2, padding=1))
    content = conv2d(inner, second.weight, second.bias, padding=1)
    projected = conv2d(maps, skip.weight, skip.bias, stride=2)
    torch.testing.assert_close(block(maps), torch.relu(content + projected))
    assert (content < 0).any()  # so that a ReLU on either of the two would show
    assert (projected < 0).any()


def test_probabilities_stand_in_the_order_of_their_rows():
    cell = cell_of(N)
    one, other = (
        train(replace(cell, rows={**cell.rows, "test": rows}))
        for rows in (np.arange(30), np.arange(30)[::-1])
    )
    assert {part: len(p) for part, p in one.probabilities.items()} == {
        "train": N - 24,
        "validation": 24,
        "test": 30,
    }
    assert all(p.dtype == np.float64 for p in one.probabilities.values())
    assert np.ptp(one.probabilities["test"]) > 0.01
    np.testing.assert_allclose(one.probabilities["test"], other.probabilities["test"][::-1], 1e-5)
    np.testing.assert_allclose(
        one.probabilities["test"][:24], one.probabilities["validation"], 1e-5
    )


def test_a_training_that_diverges_at_once_keeps_the_initial_weights():
    cell = cell_of(N, line="6*(4conv3x3) - fc8 - fc8 - o", learning_rate=1e6, **QUIET)
    trained, again = train(cell), train(cell)
    assert [isnan(epoch.validation_loss) for epoch in trained.history] == [True] * 4
    assert isnan(trained.history[-1].train_loss)
    assert (trained.probabilities["train"] == 0.5).all()
    assert np.isfinite(trained.probabilities["validation"]).all()
    initial = build(parse(cell.line), cell.recipe, 1, 12, cell.streams).state_dict()
    assert all(np.array_equal(weight, initial[name]) for name, weight in trained.weights.items())
    assert_same(trained, again)


@pytest.mark.parametrize("left", [1, 2])
def test_batch_norm_on_single_pixels_trains_whatever_is_left_of_the_batches(left):
    # Maps of 1 x 1: on a batch of one crop torch would refuse, with one value a channel.
    cell = cell_of(24 + 32 + left, line="mp12x12 - 4conv1x1 - o", norm="batch")
    assert not any(isnan(epoch.train_loss) for epoch in train(cell).history)


def test_numbers_below_a_normal_float_count_again_after_a_training():
    train(cell_of(N, epochs=1))
    assert (torch.tensor(1e-39) * 1.0).item() > 0
