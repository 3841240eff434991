import pytest
import yaml
from model_cards import abstention_of
from segmenter_networks import network_params
from tiny_model import PARAMS, make_card

from fathom.imaging.params import Segmentation
from fathom.packaging.card import model_card

METRICS = {
    "nuclei": 2152.0,
    "groups": 23.0,
    "confidence": 0.95,
    "balanced_accuracy": 0.616,
    "balanced_accuracy_low": 0.589,
    "balanced_accuracy_high": 0.643,
    "auroc": 0.651,
    "auroc_low": 0.605,
    "auroc_high": 0.694,
    "sensitivity": 0.52,
    "sensitivity_low": 0.44,
    "sensitivity_high": 0.6,
    "specificity": 0.72,
    "specificity_low": 0.66,
    "specificity_high": 0.77,
    "difference_to_baseline": -0.021,
    "difference_to_baseline_low": -0.048,
    "difference_to_baseline_high": 0.005,
    "difference_to_baseline_claim": 0.0,
    "difference_to_first": 0.045,
    "difference_to_first_low": 0.014,
    "difference_to_first_high": 0.077,
    "difference_to_first_claim": 1.0,
}
HASH = "ab" * 32
NO_BAND = abstention_of("slide").model_copy(update={"band": None, "groups": 4})


def page(**changes):
    return model_card(
        make_card(**{"metrics": METRICS, "abstention": abstention_of("slide"), **changes}), HASH
    )


def test_results_stand_with_their_intervals_and_what_they_are_over():
    text = page()
    assert "| balanced accuracy | .616 [.589, .643] |" in text
    assert "| AUROC | .651 [.605, .694] |" in text
    assert "95 % interval" in text
    assert "intervals over slides" in text
    assert "2,152 nuclei in 23 slides" in text


def test_comparisons_say_what_was_shown():
    text = page()
    assert "neither better nor worse than the statistical baseline" in text
    assert "-.021 [-.048, +.005]." in text
    assert "better than the study's first network, after Holm's correction: +.045" in text
    assert "worse than the statistical baseline, after Holm" in page(
        metrics={**METRICS, "difference_to_baseline_claim": -1.0}
    )


def test_it_can_be_rebuilt_from_what_the_page_says():
    card = make_card(metrics=METRICS)
    block = model_card(card, HASH).split("```yaml\n")[1].split("```")[0]
    sections = yaml.safe_load(block)
    assert sections["recipe"] == card.recipe
    assert sections["crop"] == card.crop.model_dump()
    assert Segmentation.model_validate(sections["segmentation"]) == card.segmentation


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"metrics": {**METRICS, "balanced_accuracy_low": 0.49}}, "Not shown to be better than"),
        ({}, "Of 100 ill nuclei it misses about 48, and it calls about 28 of 100 well ones ill"),
        ({"metrics": {**METRICS, "groups": 6.0}}, "Few slides"),
        ({}, "not shown to be better than measured features"),
        ({}, "Splits did not keep patients whole"),
        ({"abstention": None}, "does not say whether splits kept patients whole"),
        ({"abstention": None}, "it gives no verdict on a whole slide"),
        ({}, "off by up to 0.20 for 90 % of slides like the study's (12 measured)"),
        ({"abstention": NO_BAND}, "4 slides are too few to calibrate a verdict"),
        ({"segmentation": network_params(network="a/b.onnx")}, "`a/b.onnx`, SHA-256 `000"),
        (
            {"segmentation": Segmentation(**{**PARAMS["segmentation"], "method": "masks"})},
            "label images made elsewhere",
        ),
    ],
)
def test_limits_follow_from_the_card(changes, limit):
    assert limit in page(**changes).split("## Limits")[1]


def test_limits_that_do_not_hold_are_not_named():
    text = page(
        abstention=abstention_of("patient"),
        metrics={**METRICS, "difference_to_baseline_claim": 1.0},
    )
    for limit in ("Not shown", "not shown to be better", "keep patients whole", "Few"):
        assert limit not in text.split("## Limits")[1]


def test_a_file_without_results_says_so():
    text = page(metrics={})
    assert "holds no results with intervals" in text
    assert "An unknown number of nuclei" in text


def test_hashes_and_the_heading_that_bioimageio_looks_for():
    text = page()
    assert HASH in text
    assert "0" * 64 in text
    assert "## Validation" in text
    assert page() == text
