"""Each control's sentence follows from its numbers by rules."""

import pytest

from fathom.controls.catalogue import ALL
from fathom.reports.control_sentences import batch_sentences, control_sentence, leak_sentence


def numbers(control, score, half=0.03, beyond=0.02, beyond_half=0.03):
    return {
        f"{control}.balanced_accuracy": score,
        f"{control}.balanced_accuracy_low": score - half,
        f"{control}.balanced_accuracy_high": score + half,
        f"{control}.beyond": beyond,
        f"{control}.beyond_low": beyond - beyond_half,
        f"{control}.beyond_high": beyond + beyond_half,
    }


@pytest.mark.parametrize("control", ALL)
@pytest.mark.parametrize("score", [0.4, 0.5, 0.6])
def test_every_control_has_one_sentence_with_its_score(control, score):
    said = control_sentence(control, numbers(control, score), "baseline-forest")
    assert f"{score:.3f}".replace("0.", ".") in said
    assert said.endswith(".")
    assert said.count(". ") == 0


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        (0.05, "forest has +.050 [+.020, +.080] beyond it."),
        (0.01, "nothing shows that forest uses more (+.010 [-.020, +.040])."),
        (-0.05, "forest, which sees more, does worse (-.050 [-.080, -.020])."),
    ],
)
def test_what_the_reference_has_beyond_a_control_that_tells(beyond, expected):
    said = control_sentence("size", numbers("size", 0.6, beyond=beyond), "baseline-forest")
    assert said.startswith("The size alone tells the label, .600 [.570, .630]; ")
    assert said.endswith(expected)


def test_a_control_that_is_not_seen_to_tell_says_what_it_could_explain():
    said = control_sentence("background", numbers("background", 0.51), "shallow")
    assert "is not seen to tell the label" in said
    assert ".040 above chance at most" in said


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ({"diverged_cells": 3}, "all of its 3 networks diverged"),
        ({"diverged_cells": 0, "constant_cells": 3}, "say the same of every nucleus"),
    ],
)
def test_a_control_whose_networks_failed_says_nothing_of_the_label(failed, said):
    found = numbers("silhouette", 0.5) | {"silhouette.cells": 3}
    found |= {f"silhouette.{key}": value for key, value in failed.items()}
    sentence = control_sentence("silhouette", found, "shallow")
    assert said in sentence
    assert "tell the label" not in sentence


def test_one_network_that_learned_is_enough_for_a_sentence_on_the_label():
    found = numbers("silhouette", 0.5) | {"silhouette.cells": 3, "silhouette.diverged_cells": 2}
    assert "is not seen to tell the label" in control_sentence("silhouette", found, "shallow")


def test_one_answer_is_what_shuffled_labels_should_teach():
    control = "shuffled-labels"
    found = numbers(control, 0.5) | {f"{control}.cells": 3, f"{control}.constant_cells": 3}
    assert "the floor, as it should be" in control_sentence(control, found, "shallow")


def test_below_chance():
    assert "below chance" in control_sentence("shape", numbers("shape", 0.42), "baseline-forest")


@pytest.mark.parametrize("control", ["shuffled-labels", "shuffled-classifier"])
def test_the_floor(control):
    assert "the floor, as it should be" in control_sentence(
        control, numbers(control, 0.5), "shallow"
    )
    assert "the protocol leaks" in control_sentence(control, numbers(control, 0.6), "shallow")


@pytest.mark.parametrize("control", ["shuffled-labels", "shuffled-classifier"])
@pytest.mark.parametrize(("histogram", "said"), [(0.59, "the protocol leaks"), (1.0, "no leak")])
def test_a_choice_on_own_labels_lifts_the_floor_to_what_a_simple_measure_tells(
    control, histogram, said
):
    found = numbers(control, 0.6) | numbers("size", 0.52) | numbers("histogram", histogram)
    sentence = control_sentence(control, found, "shallow")
    assert said in sentence
    assert ("the histogram alone has 1.000" in sentence) == (histogram == 1)


def test_batch_effect():
    found = {
        "patient.recognised": 0.5,
        "patient.recognised_low": 0.4,
        "patient.recognised_high": 0.6,
        "patient.chance": 0.2,
        "patient.bits": 0.0123,
        "patient.bits_by_chance": 0.002,
        "batch.vgg.1.loss": -0.05,
        "batch.vgg.1.loss_high": -0.01,
        "batch.baseline-svm.loss": -0.05,
        "batch.baseline-svm.loss_high": 0.01,
    }
    told, lost = batch_sentences(found, "patient")
    assert "tell its patient: named right in .500 [.400, .600] where chance is .200" in told
    assert ".012 bits" in told
    assert lost == "On a patient that training never saw, worse than on the folds: vgg.1."
    found["batch.vgg.1.loss_high"] = 0.01
    found["patient.recognised_low"] = 0.1
    told, lost = batch_sentences(found, "patient")
    assert "are not seen to tell" in told
    assert "none is seen to be worse" in lost
    assert not list(batch_sentences({}, "patient"))


def test_label_pixels():
    assert "no label_masks/" in leak_sentence({"label_pixels.nuclei": 0}, 5)
    found = {"label_pixels.nuclei": 9, "label_pixels.positive": 0.44}
    found["label_pixels.negative"] = 0.0
    shares = "44.0 % of the positive nuclei and 0.0 % of the negative nuclei show 5 px or more"
    assert leak_sentence(found, 5).startswith(shares)
    assert "no score is seen to rest on them" in leak_sentence(found, 5)
    found |= {"label.baseline-svm.leak": 0.1, "label.baseline-svm.leak_low": 0.05}
    assert "lower without these nuclei: the score of svm" in leak_sentence(found, 5)
