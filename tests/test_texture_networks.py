"""Who is asked for a planted texture, who finds it, and that nobody is asked in vain."""

import re

import pytest
from simulated_crops import PARAMS
from simulated_textures import SPLIT, texture, write_study
from test_diagnosis import LIMITS, bistable, rows_of
from test_verdict import row, shallow

from fathom.diagnosis.diagnosis import suspects
from fathom.diagnosis.ladder import Climbed
from fathom.diagnosis.ladder_file import write_climbed
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes, Recipe
from fathom.study.nuclei import read_nuclei
from fathom.study.splits import read_splits
from fathom.texture.texture_networks import Search, asked_networks
from fathom.texture.texture_scores import score_strength

LINE = "8conv3x3 - mp2x2 - 8conv3x3 - gap - o"
QUICK = {"optimiser": "adam", "momentum": 0.9, "alpha": 0.999, "learning_rate": 0.003}
QUICK |= {"initialisation": "he", "norm": "batch", "dropout": 0.0, "epochs": 25, "batch_size": 16}
SEEING = Plan(LINE, Recipe.model_validate(PARAMS["recipe"] | QUICK))
STILL = {"learning_rate": 1e-9}
UNTRAINED = Plan(LINE, SEEING.recipe.model_copy(update=STILL))
FAINT = STILL | {"norm": "none", "initial_scale": 1e-6}  # every nucleus gets the same answer
BLIND = Plan(LINE, SEEING.recipe.model_copy(update=FAINT))
NETWORKS = {"seeing": SEEING, "blind": BLIND, "untrained": UNTRAINED}
STRENGTHS = (1.0, 0.7, 0.001, 0.0005)


def search(study, store, strengths):
    nuclei = read_nuclei(study / "nuclei")
    splits = study / "splits"
    probes = Probes(crops=8, epochs=(2,))
    own = read_splits(splits, nuclei)
    planted = texture(*strengths)
    return Search(nuclei, own, splits, SPLIT, planted, probes, "portable", store, 0.95)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Return the folders of a study and of a search: of three networks one learns."""
    folder = tmp_path_factory.mktemp("searched")
    write_study(folder)
    one = search(folder, folder / "cells", STRENGTHS)
    one.run(NETWORKS, folder / "out")
    return folder, folder / "out"


def found(out, strength):
    return {one.network: one.found for one in score_strength(out, strength, "slide", 0.95)}


@pytest.mark.long
def test_a_strong_texture_is_found_by_who_can_learn_and_nothing_where_nothing_is(searched):
    _, out = searched
    scores = {one.network: one for one in score_strength(out, 1.0, "slide", 0.95)}
    assert set(scores) == set(NETWORKS)
    assert scores["seeing"].found
    assert scores["seeing"].accuracy.estimate > 0.8
    assert (scores["seeing"].cells, scores["seeing"].left) == (2, 2)
    assert not scores["blind"].found
    assert scores["blind"].constant_cells == 2
    assert found(out, 0.7)["seeing"]
    assert not any(found(out, 0.001).values())


@pytest.mark.long
def test_initial_weights_are_filters_too_so_that_leaving_the_plateau_is_said_beside(searched):
    [untrained] = [
        one for one in score_strength(searched[1], 1.0, "slide", 0.95) if one.network == "untrained"
    ]
    assert untrained.found
    assert untrained.left == 0


@pytest.mark.long
def test_who_missed_a_change_is_not_asked_for_weaker_ones(searched):
    _, out = searched
    assert sorted(path.name for path in out.iterdir()) == ["0.001", "0.7", "1"]
    assert "blind" not in found(out, 0.7)


@pytest.mark.long
def test_it_says_what_is_being_decided_and_writes_the_same_bytes_again(searched, tmp_path, capsys):
    folder, out = searched
    write_study(tmp_path)
    again = search(tmp_path, folder / "cells", STRENGTHS)
    again.run(NETWORKS, tmp_path / "out")
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    for file in files:
        assert (out / file).read_bytes() == (tmp_path / "out" / file).read_bytes(), file
    said = capsys.readouterr().out
    assert "texture: do seeing, blind, untrained find a change of 1 SD? 6 networks" in said
    assert re.search(r"texture: 0\.7 SD is found by .*seeing", said)
    assert "texture: 0.001 SD is found by none" in said


def asked(folder, *evidence):
    limits, rows = LIMITS.model_copy(update={"networks": "worse"}), rows_of(*evidence)
    nuclei = write_study(folder)
    for case in suspects(rows, limits, nuclei.crop_px):
        write_climbed(folder / case.base.name, Climbed(case, (), 54, 9))
    return asked_networks(rows, folder, nuclei, "slide", limits)


def test_the_first_run_the_diagnosed_one_and_its_first_cure_are_asked(tmp_path):
    cure = bistable("deep+he", 6, 6, {"initialisation": "he"})
    networks = asked(tmp_path, shallow(), bistable("deep", 0, 6), cure)
    assert list(networks) == ["shallow", "deep", "deep+he"]
    assert networks["deep+he"].recipe.initialisation == "he"


def test_without_a_cure_there_are_two(tmp_path):
    no_cure = bistable("deep+he", 0, 6, {"initialisation": "he"})
    assert list(asked(tmp_path, shallow(), bistable("deep", 0, 6), no_cure)) == ["shallow", "deep"]


def test_where_nothing_fails_the_deepest_run_is_asked(tmp_path):
    assert list(asked(tmp_path, shallow(), row("deep"))) == ["shallow", "deep"]
    assert list(asked(tmp_path, row("deep"))) == ["deep"]
