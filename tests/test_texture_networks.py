"""Who is asked for a planted texture, who finds it, and that nobody is asked in vain."""

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
QUICK = {"optimiser": "adam", "momentum": 0.9, "alpha": 0.999, "learning_rate": 0.01}
QUICK |= {"initialisation": "he", "dropout": 0.0, "epochs": 25, "batch_size": 16}
SEEING = Plan(LINE, Recipe.model_validate(PARAMS["recipe"] | QUICK))
BLIND = Plan(LINE, SEEING.recipe.model_copy(update={"learning_rate": 1e-9}))
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
    """Return the folders of a study and of a search: one network learns, one cannot."""
    folder = tmp_path_factory.mktemp("searched")
    write_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        one = search(folder, folder / "cells", STRENGTHS)
        one.run({"seeing": SEEING, "blind": BLIND}, folder / "out")
    return folder, folder / "out"


def found(out, strength):
    return {one.network: one.found for one in score_strength(out, strength, "slide", 0.95)}


def test_a_strong_texture_is_found_by_who_can_learn_and_nothing_where_nothing_is(searched):
    _, out = searched
    assert found(out, 1.0) == {"blind": False, "seeing": True}
    assert found(out, 0.7) == {"seeing": True}
    assert found(out, 0.001) == {"seeing": False}
    [strongest] = [s for s in score_strength(out, 1.0, "slide", 0.95) if s.network == "seeing"]
    assert strongest.accuracy.estimate > 0.8
    assert (strongest.cells, strongest.left) == (2, 2)


def test_who_missed_a_change_is_not_asked_for_weaker_ones(searched):
    assert sorted(path.name for path in searched[1].iterdir()) == ["0.001", "0.7", "1"]


def test_it_says_what_is_being_decided_and_writes_the_same_bytes_again(searched, tmp_path, capsys):
    folder, out = searched
    write_study(tmp_path)
    again = search(tmp_path, folder / "cells", STRENGTHS)
    again.run({"seeing": SEEING, "blind": BLIND}, tmp_path / "out")
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    for file in files:
        assert (out / file).read_bytes() == (tmp_path / "out" / file).read_bytes(), file
    said = capsys.readouterr().out
    assert "texture: do seeing, blind find a change of 1 SD? 4 networks" in said
    assert "texture: 0.7 SD is found by seeing" in said
    assert "texture: 0.001 SD is found by none" in said


def asked(folder, *evidence, networks="worse"):
    limits = LIMITS.model_copy(update={"networks": networks})
    rows = rows_of(*evidence)
    for case in suspects(rows, limits, 48):
        write_climbed(folder / case.base.name, Climbed(case, (), 54, 9))
    return asked_networks(rows, folder, None, "slide", limits)


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
