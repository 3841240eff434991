"""Each optimiser against torch's own, to rounding."""

import copy

import numpy as np
import pytest
import torch
from simulated_crops import PARAMS

from fathom.networks.recipe import Recipe
from fathom.training.optimisers import AT_ONCE, Optimiser, set_rate

RATE = 0.003
# 70,000 values are more than one cacheful, 1 and 5 less than a cache line.
SHAPES = [(4, 3, 3, 3), (8, 4, 5, 5), (70, 1000), (1,), (5,)]
KINDS = {
    "rmsprop": ({}, lambda p: torch.optim.RMSprop(p, RATE, alpha=0.9, eps=1e-7)),
    "rmsprop with momentum": (
        {"momentum": 0.8},
        lambda p: torch.optim.RMSprop(p, RATE, alpha=0.9, eps=1e-7, momentum=0.8),
    ),
    "rmsprop with momentum and decay": (
        {"momentum": 0.8, "weight_decay": 0.05},
        lambda p: torch.optim.RMSprop(
            p, RATE, alpha=0.9, eps=1e-7, momentum=0.8, weight_decay=0.05
        ),
    ),
    "rmsprop with decay": (
        {"weight_decay": 0.05},
        lambda p: torch.optim.RMSprop(p, RATE, alpha=0.9, eps=1e-7, weight_decay=0.05),
    ),
    "adam": (
        {"optimiser": "adam", "momentum": 0.9, "alpha": 0.99},
        lambda p: torch.optim.Adam(p, RATE, betas=(0.9, 0.99), eps=1e-7),
    ),
    "adam with decay": (
        {"optimiser": "adam", "momentum": 0.7, "alpha": 0.999, "weight_decay": 0.05},
        lambda p: torch.optim.Adam(p, RATE, betas=(0.7, 0.999), eps=1e-7, weight_decay=0.05),
    ),
    "sgd": ({"optimiser": "sgd"}, lambda p: torch.optim.SGD(p, RATE)),
    "sgd with momentum": (
        {"optimiser": "sgd", "momentum": 0.9},
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
    ),
    "sgd with momentum and decay": (
        {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 0.05},
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, weight_decay=0.05),
    ),
}


def recipe_of(changes):
    fixed = {"optimiser": "rmsprop", "learning_rate": RATE, "alpha": 0.9, "eps": 1e-7}
    fixed |= {"momentum": 0.0, "weight_decay": 0.0}
    return Recipe.model_validate({**PARAMS["recipe"], **fixed, **changes})


def parameters():
    """Return weights of several shapes; the first convolution's are channels_last."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator) for shape in SHAPES]
    drawn[0] = drawn[0].to(memory_format=torch.channels_last)
    return [torch.nn.Parameter(one) for one in drawn]


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator) * 0.1**step for shape in SHAPES]


def take(optimiser, owned, steps):
    for step in steps:
        optimiser.zero_grad()
        # As in a training: autograd adds to what is there, or puts it there.
        sum((one * g).sum() for one, g in zip(owned, gradients(step), strict=True)).backward()
        optimiser.step()


@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_are_those_of_torch(kind):
    changes, torchs = KINDS[kind]
    own, other = parameters(), parameters()
    start = [one.detach().clone() for one in own]
    optimiser = Optimiser(iter(own), recipe_of(changes))
    take(optimiser, own, range(10))
    take(torchs(other), other, range(10))
    for one, expected, before in zip(own, other, start, strict=True):
        # What is compared is how far they moved, which a weight of another size would hide.
        moved, wanted = one.detach() - before, expected.detach() - before
        assert wanted.abs().median() > 0
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(moved.norm(), wanted.norm(), rtol=1e-5, atol=0)


def test_the_weights_and_their_layout_are_left_as_they_were():
    own = parameters()
    before = [(one.detach().clone(), one.stride()) for one in own]
    Optimiser(own, recipe_of({}))
    for one, (values, stride) in zip(own, before, strict=True):
        assert torch.equal(one, values)
        assert one.stride() == one.grad.stride() == stride
    assert own[0].is_contiguous(memory_format=torch.channels_last)


def test_zero_grad_forgets_the_gradients_of_all_weights():
    own = parameters()
    optimiser = Optimiser(own, recipe_of({}))
    sum(one.sum() for one in own).backward()
    assert all(bool((one.grad == 1).all()) for one in own)
    optimiser.zero_grad()
    assert all(bool((one.grad == 0).all()) for one in own)


def test_a_network_has_more_weights_than_are_changed_at_once():
    """Or the steps above would not show what goes wrong from one cacheful to the next."""
    assert sum(one.numel() for one in parameters()) > AT_ONCE


def test_the_square_root_is_correctly_rounded():
    """RMSProp's first step, where alpha = 0, eps = 0 and the rate = 1, is g / sqrt(g^2)."""
    drawn = np.random.default_rng(0).random(50_000, np.float32) + 0.1
    weight = torch.nn.Parameter(torch.zeros(len(drawn)))
    changes = {"alpha": 0.0, "learning_rate": 1.0}
    optimiser = Optimiser([weight], recipe_of({}).model_copy(update={**changes, "eps": 0.0}))
    weight.grad.copy_(torch.from_numpy(drawn))
    optimiser.step()
    root = np.sqrt((drawn * drawn).astype(np.float64)).astype(np.float32)
    assert weight.detach().numpy().tobytes() == (-(drawn / root)).tobytes()


@pytest.mark.parametrize("kind", ["rmsprop with momentum and decay", "adam", "sgd with momentum"])
def test_what_is_restored_goes_on_to_the_same_bits(kind):
    recipe = recipe_of(KINDS[kind][0])
    own = parameters()
    optimiser = Optimiser(own, recipe)
    take(optimiser, own, range(4))
    saved = copy.deepcopy(optimiser.state())
    weights = [one.detach().clone() for one in own]  # the network's state holds them
    take(optimiser, own, range(4, 9))

    again = parameters()
    continued = Optimiser(again, recipe)
    take(continued, again, range(2))  # elsewhere
    continued.restore(saved)
    for one, weight in zip(again, weights, strict=True):
        one.data.copy_(weight)
    take(continued, again, range(4, 9))
    for one, other in zip(own, again, strict=True):
        assert torch.equal(one, other)


def test_the_rate_rises_in_equal_parts_over_the_warm_up():
    recipe = recipe_of({"learning_rate": 0.8, "warmup_epochs": 2})
    optimiser = Optimiser(parameters(), recipe)
    rates = []
    for step in range(10):
        set_rate(optimiser, recipe, step, steps=4)
        rates.append(optimiser.rate)
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8]
    assert rates == pytest.approx(expected)


def test_without_warm_up_the_rate_is_the_recipes_from_the_first_step_on():
    recipe = recipe_of({"learning_rate": 0.8, "warmup_epochs": 0})
    optimiser = Optimiser(parameters(), recipe)
    for step in (0, 1, 50):
        set_rate(optimiser, recipe, step, steps=4)
        assert optimiser.rate == 0.8


def test_the_rate_scales_the_step():
    def moved(rate):
        own = parameters()
        optimiser = Optimiser(own, recipe_of({}))
        optimiser.rate = rate
        before = own[1].detach().clone()
        take(optimiser, own, range(1))
        return own[1].detach() - before

    torch.testing.assert_close(moved(0.02), 2 * moved(0.01), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "torchs"),
    [
        ("constant", lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1)),
        ("step", lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [6, 9], gamma=0.1)),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=12)),
    ],
)
def test_a_schedule_is_torchs_epoch_by_epoch(schedule, torchs):
    recipe = recipe_of({"schedule": schedule, "epochs": 12})
    optimiser = Optimiser(parameters(), recipe)
    theirs = torch.optim.SGD(parameters(), RATE)
    scheduler = torchs(theirs)
    for epoch in range(12):
        for step in range(3):
            set_rate(optimiser, recipe, epoch * 3 + step, steps=3)
            assert optimiser.rate == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6)
        theirs.step()
        scheduler.step()


def test_a_schedule_goes_on_from_the_warm_up():
    recipe = recipe_of({"schedule": "step", "epochs": 4, "warmup_epochs": 1, "learning_rate": 0.8})
    optimiser = Optimiser(parameters(), recipe)
    rates = []
    for step in range(8):
        set_rate(optimiser, recipe, step, steps=2)
        rates.append(optimiser.rate)
    assert rates == pytest.approx([0.4, 0.8, 0.8, 0.8, 0.08, 0.08, 0.008, 0.008])


@pytest.mark.parametrize("longest", [0.01, 0.5, 1e6])
def test_a_clipped_gradient_is_torchs(longest):
    changes = {"optimiser": "sgd", "clip_norm": longest, "weight_decay": 0.0}
    own, theirs = parameters(), parameters()
    optimiser, reference = Optimiser(own, recipe_of(changes)), torch.optim.SGD(theirs, RATE)
    for weights in (own, theirs):
        for number, weight in enumerate(weights):
            gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
            if weight.grad is None:
                weight.grad = gradient
            else:
                weight.grad.copy_(gradient)
    torch.nn.utils.clip_grad_norm_(theirs, longest)
    optimiser.step()
    reference.step()
    for one, other in zip(own, theirs, strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-5, atol=1e-8)
