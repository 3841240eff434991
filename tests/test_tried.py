"""What was tried on a network and what was not, by the plans of the committed study's rows."""

import pytest
from page_studies import ROOT, content_of, copied, edit_json, edit_params

from fathom.page.tried import Tried, learns_nothing_by_design, tried


@pytest.fixture
def study(tmp_path):
    return copied(tmp_path / "study")


def add_rung(study, name):
    """Let the verdict on vgg-13 have one more rung, as a ladder would."""

    def change(verdicts):
        rungs = verdicts["vgg-13"]["rungs"]
        rungs.append(rungs[0] | {"name": name, "state": "no cure"})

    edit_json(study / "verdicts" / "verdicts.json", change)


def test_rows_that_could_refute_the_cause_are_told_by_what_they_change():
    found = tried(content_of(ROOT), "vgg-13")
    # A norm and an initialisation; skips are no cure of this cause, nor is the control one.
    assert found.tests == ("vgg-13-batchnorm", "vgg-13-he-init")


def test_what_was_not_tried_follows_from_the_rows_that_exist(study):
    before = tried(content_of(study), "vgg-13").untried
    assert {"another activation", "more epochs"} < set(before)
    tried_there = {"a norm", "another initialisation", "skips", "a lower learning rate", "warm-up"}
    assert not (tried_there | {"less dropout"}) & set(before)
    # A rung of the ladder is known by its name there, a row of params.yaml by what it changes.
    add_rung(study, "vgg-13-leaky-units")
    longer = {"architecture": "vgg-13", "interventions": {"patience": {"epochs": 400}}}
    edit_params(study, lambda params: params["runs"].update({"vgg-13-mine": longer}))
    add_rung(study, "vgg-13-mine")
    after = tried(content_of(study), "vgg-13").untried
    assert set(before) - set(after) == {"another activation", "more epochs"}


def test_what_would_change_nothing_is_not_said_to_be_untried(study):
    assert "a larger eps" in tried(content_of(study), "vgg-13").untried
    edit_params(study, lambda params: params["recipe"].update(optimiser="sgd"))  # has no eps
    assert "a larger eps" not in tried(content_of(study), "vgg-13").untried


def test_of_a_network_that_params_no_longer_have_nothing_is_known(study):
    edit_params(study, lambda params: params["runs"].pop("vgg-13"))
    assert tried(content_of(study), "vgg-13") == Tried()


def test_shuffled_labels_are_known_by_the_plan_and_in_a_ladder_by_the_name(study):
    row = {"architecture": "vgg-13", "interventions": {"x": {"training_labels": "shuffled"}}}
    edit_params(study, lambda params: params["runs"].update({"floor": row}))
    content = content_of(study)
    shuffled = [name for name in content.everyone if learns_nothing_by_design(content, name)]
    assert shuffled == ["floor", "vgg-13-batchnorm-shuffled-labels"]
