"""Random numbers: what shares a stream, and what must not."""

import numpy as np
import pytest
import torch
from conftest import nuclei_of
from made_splits import make_splits
from simulated_crops import PARAMS, cell_of, shown_of

from fathom.ground.streams import PURPOSES, Streams
from fathom.networks.architecture import parse
from fathom.networks.interventions import Plan
from fathom.networks.network import build
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import Nuclei
from fathom.study.splits import FINAL, Split
from fathom.training.trained_rows import cells_of
from fathom.training.training import _Training

LINE = "4conv3x3 - mp2x2 - fc8 - o"
FIRST, LAST = [26, 90, 24], [479, 628, 225]


def numbers(seed, fold, purpose, *place):
    return tuple(Streams(seed, fold).generator(purpose, *place).integers(0, 2**60, 4).tolist())


def test_the_same_seed_and_fold_give_the_same_numbers():
    assert numbers(3, 1, "order") == numbers(3, 1, "order")
    assert numbers(3, 1, "weights", 0, 2) == numbers(3, 1, "weights", 0, 2)


def test_every_seed_fold_purpose_and_place_has_numbers_of_its_own():
    drawn = {
        numbers(seed, fold, purpose, *place)
        for seed in range(4)
        for fold in range(FINAL, 4)
        for purpose in PURPOSES
        for place in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))
    }
    assert len(drawn) == 4 * 5 * len(PURPOSES) * 6


def test_the_numbers_do_not_change_from_one_version_of_fathom_to_the_next():
    """These were drawn once: with other ones every committed number would be another."""
    assert Streams(0, 0).generator("weights", 0, 0).integers(0, 1000, 3).tolist() == FIRST
    assert Streams(7, FINAL).generator("nuclei").integers(0, 1000, 3).tolist() == LAST


def build_of(seed, fold, **changes):
    recipe = Recipe.model_validate({**PARAMS["recipe"], **changes})
    return build(parse(LINE), recipe, 1, 12, Streams(seed, fold))


def test_folds_of_one_seed_start_from_other_weights():
    drawn = [build_of(0, fold).layers[0].convolution.weight for fold in (FINAL, 0, 1, 2)]
    for number, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[:number])


def test_two_rows_of_one_seed_and_fold_start_from_the_same_weights():
    one, other = build_of(4, 1), build_of(4, 1, learning_rate=0.5, dropout=0.0, epochs=3)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_a_layer_and_a_projection_of_one_place_have_other_weights():
    line = "res(8conv1x1 - 8conv1x1) - gap - o"
    recipe = Recipe.model_validate({**PARAMS["recipe"], "initialisation": "he"})
    block = build(parse(line), recipe, 4, 12, Streams(0, 0)).layers[0]
    main, projection = block.content[0].convolution.weight, block.skip.convolution.weight
    assert main.shape == projection.shape
    assert not torch.equal(main, projection)


def training_of(seed, fold, **changes):
    cell = cell_of(72, line=LINE, **changes)
    cell = type(cell)(cell.run, fold, seed, cell.line, cell.recipe, cell.rows)
    return _Training(shown_of(72), cell, torch.device("cpu"))


def drawn_by(training):
    """Return what a training draws: the order, flips and dropout of its crops, its labels."""
    streams = (training.order, training.flips, training.dropout)
    return [one.integers(0, 2**60, 4).tolist() for one in streams] + [training.trained_on.tolist()]


@pytest.mark.parametrize("part", range(4))
def test_order_flips_dropout_and_labels_follow_seed_and_fold(part):
    def drawn(seed, fold):
        return drawn_by(training_of(seed, fold, training_labels="shuffled"))[part]

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


def test_order_flips_and_dropout_have_streams_of_their_own():
    order, flips, dropout, _ = drawn_by(training_of(0, 0))
    assert len({tuple(order), tuple(flips), tuple(dropout)}) == 3


def test_drawn_nuclei_are_the_same_in_every_row_of_a_seed_and_fold(tmp_path):
    rng = np.random.default_rng(0)
    bare = nuclei_of([f"p{i // 10}" for i in range(120)], [bool(i % 2) for i in range(120)])
    np.save(tmp_path / "0.npy", rng.integers(1, 256, (120, 12, 12, 1)).astype(np.uint8))
    table = bare.table.assign(shard="0.npy", row=range(120))
    nuclei = Nuclei(tmp_path, table, table)
    splits = make_splits(nuclei, Split(group="patient", folds=2, validation_share=0.3, seed=0))

    def drawn(**changes):
        recipe = Recipe.model_validate(
            {**PARAMS["recipe"], "seeds": (0, 1), "training_nuclei": 0.5, **changes}
        )
        plan, probes = Plan(LINE, recipe), Probes(crops=8, epochs=())
        cells = cells_of("a", plan, probes, nuclei, splits, final=True)
        return {(cell.fold, cell.seed): cell.rows["train"].tolist() for cell in cells}

    one, other = drawn(), drawn(norm="batch", epochs=3)
    assert one == other
    assert set(one) == {(FINAL, 0), (0, 0), (0, 1), (1, 0), (1, 1)}
    for fold in (0, 1):
        assert one[fold, 0] != one[fold, 1]
        assert len(one[fold, 0]) == len(one[fold, 1])
