import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from simulated_crops import Forgetful, assert_same
from torch.nn.functional import binary_cross_entropy_with_logits

from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.networks.recipe import Recipe
from fathom.study.plateau import constant_loss, left_at
from fathom.training.batches import batches, fewer, training_targets, turned
from fathom.training.cell import Cell, Shown
from fathom.training.pool import train_cells
from fathom.training.store import Store
from fathom.training.training import _Training, train_cell

RECIPE = read_section(Recipe, Path(__file__).parents[1] / "params.yaml").model_copy(
    update={"epochs": 6, "batch_size": 16, "dropout": 0.2}
)
LINE = "4conv3x3 - mp2x2 - gap - fc8 - o"
CPU = torch.device("cpu")


def task(n=96, side=12, seed=0):
    """Return crops of which the positive half is brighter."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2 == 0
    crops = rng.integers(1, 120, (n, side, side, 1)) + 120 * targets[:, None, None, None]
    return Shown(crops.astype(np.uint8), targets)


def cell(line=LINE, fold=0, seed=0, rows=None, probes=None, **changes):
    order = np.arange(96)
    parts = rows or {"train": order[:64], "validation": order[64:80], "test": order[80:]}
    return Cell("a", fold, seed, line, RECIPE.model_copy(update=changes), parts, probes)


def train(one, checkpoint=None, report=lambda epoch: None):
    return train_cell(task(), one, checkpoint or Forgetful(), report)


def test_a_separable_task_is_learned():
    trained = train(cell(epochs=25, learning_rate=0.01, dropout=0.0))
    positive = task().targets[80:]
    assert ((trained.probabilities["test"] > 0.5) == positive).mean() > 0.95
    assert [epoch.epoch for epoch in trained.history] == list(range(1, 26))
    assert trained.history[-1].train_loss < trained.history[0].train_loss / 2


def test_the_optimiser_is_rmsprop_as_the_recipe_says():
    """Three steps on the whole part, beside torch's RMSProp on a copy of the network."""
    every = np.arange(64)
    settings = {"learning_rate": 0.003, "alpha": 0.7, "eps": 1e-5, "weight_decay": 0.01}
    still = {"batch_size": 64, "dropout": 0.0, "augmentation": False}
    one = cell(rows={"train": every, "validation": every}, **settings, **still)
    training = _Training(task(), one, CPU)
    beside = copy.deepcopy(training.network)
    optimiser = torch.optim.RMSprop(beside.parameters(), 0.003, 0.7, 1e-5, weight_decay=0.01)
    crops = torch.from_numpy(task().crops[every]).permute(0, 3, 1, 2) / 255
    target = torch.from_numpy(task().targets[every]).float()
    for _ in range(3):
        training.run_epoch()
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(beside(crops), target).backward()
        optimiser.step()
    for found, expected in zip(training.network.parameters(), beside.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_the_first_step_is_the_learning_rate_over_the_root_of_one_minus_alpha():
    """DESIGN 6: 3.2 times the rate with Keras' rho of .9, 10 times with PyTorch's alpha of .99."""
    every = np.arange(64)
    one = cell(rows={"train": every, "validation": every}, batch_size=64, alpha=0.9, dropout=0.0)
    training = _Training(task(), one, CPU)
    before = training.network.layers[0].convolution.weight.detach().clone()
    training.run_epoch()
    steps = (training.network.layers[0].convolution.weight.detach() - before).abs()
    assert float(steps.median()) == pytest.approx(one.recipe.learning_rate * 10**0.5, rel=0.01)


def test_training_figures_are_the_means_over_the_crops_of_the_epoch():
    """With a rate of almost nothing they are those of the initial network."""
    rows = {"train": np.arange(37), "validation": np.arange(37)}
    still = {"learning_rate": 1e-12, "dropout": 0.0, "augmentation": False}
    [epoch] = train(cell(rows=rows, epochs=1, **still)).history
    assert epoch.train_loss == pytest.approx(epoch.validation_loss, rel=1e-6)
    assert epoch.train_accuracy == epoch.validation_accuracy


def test_training_predictions_are_of_the_last_epoch_and_without_dropout():
    rows = {"train": np.arange(64), "validation": np.arange(64)}
    trained = train(cell(rows=rows, weights="last", dropout=0.6))
    assert np.array_equal(trained.probabilities["train"], trained.probabilities["validation"])


@pytest.mark.long
def test_the_same_cell_has_the_same_bytes_alone_and_beside_others(tmp_path):
    shown = task()
    work = [(cell(fold=fold, norm=norm), shown) for norm in ("none", "batch") for fold in range(3)]
    results = [
        train_cells(work, "portable", Store(tmp_path / str(at_once)), at_once) for at_once in (1, 2)
    ]
    for one, two, (alone, _) in zip(*results, work, strict=True):
        assert_same(one, two)
        assert_same(one, train(alone))


class StoppedError(Exception):
    """What a test ends a training with."""


def test_a_cell_asked_only_whether_it_leaves_ends_three_epochs_after_it_did():
    one = cell(epochs=25, learning_rate=0.01, dropout=0.0)
    whole, short = train(one), train(replace(one, until_left=True))
    left = left_at([epoch.train_loss for epoch in whole.history], constant_loss(0.5, "none"))
    assert left is not None
    assert left + 3 < 25
    assert short.history == whole.history[: left + 3]
    assert set(short.probabilities) == set(whole.probabilities)


def test_a_cell_that_never_leaves_is_trained_to_the_end():
    stuck = cell(training_labels="shuffled", learning_rate=1e-7)
    assert_same(train(replace(stuck, until_left=True)), train(stuck))


def test_an_interrupted_cell_continues_to_the_same_bytes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fathom.training.training.SAVING_SHARE", np.inf)
    one = cell(norm="batch", dropout=0.5)
    saved = Store(tmp_path).at("key", one)

    def stop(epoch):
        if epoch.epoch == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(one, saved, stop)
    continued = train(one, saved)
    assert "a, fold 0, seed 0: continues after epoch 3" in capsys.readouterr().err
    assert_same(continued, train(one))


def test_best_keeps_the_epoch_with_the_lowest_validation_loss_and_last_the_last():
    # A rate this high makes the validation loss jump, so that the best epoch is not the last.
    rate = {"epochs": 12, "learning_rate": 0.2}
    best, last = train(cell(weights="best", **rate)), train(cell(weights="last", **rate))
    np.testing.assert_array_equal(np.array(best.history), np.array(last.history))
    losses = [epoch.validation_loss for epoch in best.history]
    assert np.argmin(losses) < len(losses) - 1
    target = task().targets[64:80]

    def loss_of(trained):
        p = trained.probabilities["validation"]
        return -np.log(np.where(target, p, 1 - p)).mean()

    assert loss_of(best) == pytest.approx(min(losses), rel=1e-5)
    assert loss_of(last) == pytest.approx(losses[-1], rel=1e-5)


def test_a_diverged_training_is_a_result():
    trained = train(cell(learning_rate=1e30, weights="last"))
    assert any(np.isnan(epoch.train_loss) for epoch in trained.history)
    for probabilities in trained.probabilities.values():
        assert np.isfinite(probabilities).all()
    assert all(np.isfinite(weight).all() for weight in trained.weights.values())


def test_batch_norm_trains_where_one_crop_is_left():
    rows = {"train": np.arange(33), "validation": np.arange(64, 80)}
    trained = train(cell(rows=rows, norm="batch", epochs=2))
    assert np.isfinite(trained.history[-1].train_loss)


def test_a_part_that_is_too_small_is_named():
    rows = {"train": np.arange(1), "validation": np.arange(64, 80)}
    with pytest.raises(FathomError, match="run a, fold 0: has 1 nuclei to train and 16 to valid"):
        train(cell(rows=rows))


def test_global_state_is_left_as_it_was():
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.get_num_threads()
    train(cell(epochs=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("n", [2, 32, 33, 40])
def test_batches_hold_every_row_once_and_never_a_single_one(n):
    rows = np.arange(100, 100 + n)
    drawn = list(batches(rows, 16, np.random.default_rng(0)))
    assert sorted(np.concatenate(drawn)) == rows.tolist()
    assert min(map(len, drawn)) > 1
    assert n == 2 or not np.array_equal(np.concatenate(drawn), rows)


def test_augmentation_draws_each_symmetry_of_the_square():
    crops = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    drawn = turned(crops, np.zeros(4000, np.intp), np.random.default_rng(0))
    assert (drawn.shape, drawn.dtype) == ((4000, 3, 3, 1), np.uint8)
    kinds, counts = np.unique(drawn.reshape(4000, 9), axis=0, return_counts=True)
    square = crops[0, :, :, 0]
    rotated = [np.rot90(square, turns) for turns in range(4)]
    expected = {tuple(one.ravel()) for one in [*rotated, *(np.fliplr(one) for one in rotated)]}
    assert {tuple(kind) for kind in kinds} == expected
    assert counts.min() > 420  # 500 each are expected, with a standard deviation of 21


def test_crops_are_turned_on_their_own_in_the_order_of_their_rows():
    """A crop of one grey has one only symmetry, so that its colours tell which it is."""
    colours = np.random.default_rng(0).integers(0, 256, (50, 1, 1, 3), dtype=np.uint8)
    crops = np.broadcast_to(colours, (50, 4, 4, 3)).copy()
    before = crops.copy()
    rows = np.array([7, 7, 0, 49, 3])
    np.testing.assert_array_equal(turned(crops, rows, np.random.default_rng(1)), crops[rows])
    np.testing.assert_array_equal(crops, before)


def test_the_same_generator_turns_the_same_way_and_draws_one_number_a_crop():
    crops, rows = task().crops, np.arange(30)
    first, second = np.random.default_rng(2), np.random.default_rng(2)
    one = turned(crops, rows, first)
    np.testing.assert_array_equal(one, turned(crops, rows, second))
    assert not np.array_equal(one, crops[rows])
    # So that a run on other crops of the same number sees the same turns.
    turned(crops[:, :5, :5], rows[::-1], first)
    turned(crops, rows, second)
    assert first.bit_generator.state == second.bit_generator.state


@pytest.mark.parametrize(
    ("wanted", "negative", "positive"),
    [("all", 60, 30), (0.5, 30, 15), (30, 20, 10), (500, 60, 30)],
)
def test_fewer_nuclei_are_drawn_from_both_classes_alike(wanted, negative, positive):
    targets = np.arange(100) % 3 == 0
    rows = np.arange(5, 95)
    recipe = RECIPE.model_copy(update={"training_nuclei": wanted})
    drawn = fewer(rows, targets, recipe, np.random.default_rng(0))
    assert (int((~targets[drawn]).sum()), int(targets[drawn].sum())) == (negative, positive)
    assert drawn.tolist() == sorted(set(drawn.tolist()) & set(rows.tolist()))
    again = fewer(rows, targets, recipe, np.random.default_rng(0))
    other = fewer(rows, targets, recipe, np.random.default_rng(1))
    assert np.array_equal(drawn, again)
    assert np.array_equal(drawn, other) == (negative == 60)


def test_labels_are_shuffled_among_the_training_rows_and_given_back_new():
    targets = np.arange(100) % 3 == 0
    before = targets.copy()
    rows = np.arange(20, 80)
    recipe = RECIPE.model_copy(update={"training_labels": "shuffled"})
    shuffled = training_targets(rows, targets, recipe, np.random.default_rng(0))
    rest = np.setdiff1d(np.arange(100), rows)
    assert np.array_equal(shuffled[rest], targets[rest])
    assert shuffled[rows].sum() == targets[rows].sum()
    assert not np.array_equal(shuffled[rows], targets[rows])
    assert np.array_equal(targets, before)
    assert training_targets(rows, targets, RECIPE, np.random.default_rng(0)) is targets


def test_bfloat16_changes_the_numbers_and_is_never_chosen_by_itself():
    whole, half = train(cell()), train(cell(precision="bfloat16"))
    assert whole.history[-1].train_loss != half.history[-1].train_loss
    assert half.weights["layers.0.convolution.weight"].dtype == np.float32
