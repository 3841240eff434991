"""Every intervention of params.yaml: it changes what it says and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from simulated_crops import cell_of, crops_of, half_positive

from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.ground.streams import Streams
from fathom.networks.architecture import format, parse
from fathom.networks.interventions import REWRITES, Plan, planned
from fathom.networks.network import build
from fathom.networks.recipe import Recipe
from fathom.study.rows import Run
from fathom.training.cell import Shown
from fathom.training.training import _Training

FILE = Path(__file__).parents[1] / "params.yaml"
CONTENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RECIPE = read_section(Recipe, FILE)
LINE = CONTENT["architectures"]["vgg-13"]
INITIAL = {"initialisation", "initial_scale"}  # keys that change the initial weights


def plan_of(changes, line=LINE, recipe=RECIPE):
    row = Run(architecture="any", interventions={"changed": changes})
    return planned(row, "runs.one", line, recipe, crop_px=48)


@pytest.mark.parametrize("name", CONTENT["interventions"])
def test_it_changes_the_keys_it_names_and_no_other(name):
    changes = CONTENT["interventions"][name]
    plan = plan_of(changes)
    before, after = RECIPE.model_dump(), plan.recipe.model_dump()
    # `initial_scale: 1.0` says what is so already.
    named = {key for key, value in changes.items() if before.get(key) != value}
    keys = {key.removesuffix("_times") for key in named - set(REWRITES)}
    assert {key for key in before if before[key] != after[key]} == keys
    assert (plan.line != LINE) == bool(set(changes) & set(REWRITES))


@pytest.mark.parametrize("name", CONTENT["interventions"])
def test_the_initial_weights_are_the_same_where_it_does_not_touch_them(name):
    changes = CONTENT["interventions"][name]
    plan = plan_of(changes)
    before = build(parse(LINE), RECIPE, 1, 48, Streams(3))
    after = build(parse(plan.line), plan.recipe, 1, 48, Streams(3))
    for one, other in zip(weights(before), weights(after), strict=True):
        if "width_times" in changes:
            assert one.shape != other.shape
        else:
            assert torch.equal(one, other) == (not INITIAL & set(changes))


def weights(network):
    """Return the weights of the convolutions and dense layers, without the projections."""
    parameters = network.state_dict().items()
    return [w for name, w in parameters if w.ndim > 1 and ".skip." not in name]


SMALL = "4conv3x3 - 4conv3x3 - mp2x2 - fc8 - o"


def shown(changes, epochs=2):
    """Return the crops and targets that a network sees, batch by batch, and the training."""
    cell = cell_of(72, line=SMALL)
    plan = plan_of(changes, cell.line, cell.recipe)
    targets = half_positive(72)
    training = _Training(
        Shown(crops_of(targets), targets),
        replace(cell, line=plan.line, recipe=plan.recipe),
        torch.device("cpu"),
    )
    seen = []
    loss = training._loss
    training._loss = lambda batch: seen.append(batch) or loss(batch)
    for _ in range(epochs):
        training.run_epoch()
    return seen, training


BATCHES_CHANGE = {"half-the-data", "memorise-64"}


@pytest.mark.parametrize("name", sorted(set(CONTENT["interventions"]) - BATCHES_CHANGE))
def test_the_batches_are_the_same(name):
    changes = CONTENT["interventions"][name]
    for one, other in zip(shown({})[0], shown(changes)[0], strict=True):
        assert np.array_equal(one, other)


def test_flips_are_the_same_whatever_the_dropout():
    one, other = (shown({"dropout": rate})[1].flips.bit_generator.state for rate in (0.0, 0.5))
    assert one == other


def test_shuffled_labels_are_as_many_and_of_the_training_part_alone():
    training = shown({"training_labels": "shuffled"})[1]
    rows, own = training.rows, training.targets
    assert training.trained_on[rows["train"]].sum() == own[rows["train"]].sum()
    assert not np.array_equal(training.trained_on[rows["train"]], own[rows["train"]])
    assert np.array_equal(training.trained_on[rows["validation"]], own[rows["validation"]])


def test_the_rate_rises_over_the_warm_up_and_stays():
    def rates(epoch):
        training = shown({"warmup_epochs": 2}, epochs=epoch)[1]
        return training.optimiser.rate

    # Three batches an epoch: after one epoch step 3 of 6, after two the whole rate.
    full = RECIPE.learning_rate
    assert [rates(1), rates(2), rates(3)] == pytest.approx([full / 2, full, full])


def test_balanced_loss_gives_both_classes_the_same_weight():
    cell = cell_of(72)
    targets = np.arange(72) % 4 == 0
    recipe = cell.recipe.model_copy(update={"loss_weights": "balanced", "augmentation": False})
    seen = Shown(crops_of(targets), targets)
    training = _Training(seen, replace(cell, recipe=recipe), torch.device("cpu"))
    positive, negative = training.class_weights
    train = targets[cell.rows["train"]]
    assert float(positive * train.sum()) == pytest.approx(float(negative * (~train).sum()))
    assert float(positive * train.sum() + negative * (~train).sum()) == pytest.approx(len(train))


def test_a_multiplied_key_follows_the_recipe():
    slower = RECIPE.model_copy(update={"learning_rate": 0.5, "epochs": 7})
    recipe = plan_of({"learning_rate_times": 0.1, "epochs_times": 3}, recipe=slower).recipe
    assert (recipe.learning_rate, recipe.epochs) == (0.05, 21)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 1.0}, r"'runs\.one\.interventions\.changed\.lr' = 1\.0: Extra inputs"),
        ({"dropout_times": 2}, r"changed\.dropout_times': only learning_rate and epochs"),
        ({"epochs_times": 0}, r"changed\.epochs_times' = 0: must be a factor above 0"),
        ({"residual": False}, r"changed\.residual' = False: must be true"),
        ({"width_times": 1}, r"changed\.width_times' = 1: must be a whole number from 2"),
    ],
)
def test_what_cannot_be_done_names_its_place(changes, message):
    with pytest.raises(FathomError, match=message):
        plan_of(changes)


def test_a_rewrite_that_changes_nothing_is_refused():
    with pytest.raises(FathomError, match=r"changed\.residual' = True: no skip can be added"):
        plan_of({"residual": True}, line="8conv3x3 - mp2x2 - o")


def test_without_interventions_the_plan_is_the_architecture_and_the_recipe():
    row = Run(architecture="any", interventions={})
    assert planned(row, "one", LINE, RECIPE, 48) == Plan(format(parse(LINE)), RECIPE)
