"""The first screen's sentences, each branch on constructed numbers."""

import json

import pytest

from fathom.diagnosis.causes import CAUSES as TABLE
from fathom.diagnosis.verdict import DATA_FAULT, NO_EFFECT, NOTHING, UNEXPLAINED
from fathom.page.answers import depth_in_words, next_steps, which_network, why
from fathom.page.content import Content
from fathom.page.plain_words import CAUSES, cause_in_words
from fathom.study.rows import Run

INTERVALS = {"good": (0.60, 0.65, 0.70), "chance": (0.47, 0.50, 0.53), "bad": (0.40, 0.44, 0.48)}


def numbers(score, validation=0.6, layers=6, to_first=None, to_baseline=None, **more):
    low, value, high = INTERVALS[score]
    made = {
        "balanced_accuracy": value,
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
    }
    made |= {"validation_balanced_accuracy": validation, "nuclei": 2000, "groups": 20, "seeds": 1}
    made |= {"cells": 3, "confidence": 0.95, "weight_layers": layers}
    for key, claim in (("first", to_first), ("baseline", to_baseline)):
        if claim is not None:
            name = f"difference_to_{key}"
            made |= {name: claim * 0.1, f"{name}_low": claim * 0.1 - 0.05}
            made |= {f"{name}_high": claim * 0.1 + 0.05, f"{name}_claim": claim}
    return made | more


@pytest.fixture
def content(tmp_path):
    """Return a function that makes a study of results; runs first, one classifier."""

    def made(results, **more):
        folder = tmp_path / "runs"
        folder.mkdir(exist_ok=True)
        for name, of in results.items():
            (folder / f"{name}.json").write_text(json.dumps(of))
        runs = {
            name: Run(architecture="a", interventions={})
            for name in results
            if not name.startswith("baseline-")
        }
        params = {"comparison": {"baseline": "forest"}, "split": {"group": "slide"}}
        empty = {"metrics": {}, "plots": {}, "verdicts": {}, "rows": None, "tables": {}}
        empty |= {"study": {}, "pictures": {}, "images": {}}
        return Content(
            params=params,
            results=results,
            runs=runs,
            control_runs={},
            metrics_folder=tmp_path,
            **(empty | more),
        )

    return made


def test_a_network_that_learned_is_used_with_its_interval(content):
    answer = which_network(
        content(
            {
                "shallow": numbers("good", 0.6),
                "deep": numbers("good", 0.7, 13, to_first=0, to_baseline=1),
                "baseline-forest": numbers("chance", 0.5),
            }
        )
    )
    assert answer.headline == "Use deep."
    assert answer.sentences[0] == (
        "By validation it is the best: deep with .650 [.600, .700] in balanced accuracy on 2,000 "
        "held-out nuclei; the statistical classifier forest with .500 [.470, .530]."
    )
    assert answer.sentences[1] == (
        "deep is better than forest (+.100 [+.050, +.150]) and is not told from shallow "
        "(.000 [-.050, +.050]); the intervals are over 20 slides, and luck of the seed is not in "
        "them."
    )


def test_a_classifier_that_is_claimed_to_be_better_comes_first(content):
    answer = which_network(
        content(
            {
                "shallow": numbers("good", to_baseline=-1),
                "baseline-forest": numbers("good"),
            }
        )
    )
    assert answer.headline == "A classifier, forest, before any network."
    assert "is worse than the statistical classifier forest with .650" in answer.sentences[0]


@pytest.mark.parametrize(
    ("classifier", "claim", "headline", "said"),
    [
        (
            "good",
            -1,
            "No network yet: forest does better.",
            "forest with .650 [.600, .700] is",
        ),
        ("good", 0, "No network yet: all may be guessing.", "forest with .650 [.600, .700] is"),
        ("chance", 0, "No network yet: all may be guessing.", "nor is the statistical classifier"),
    ],
)
def test_no_network_is_named_where_guessing_is_not_excluded(
    content, classifier, claim, headline, said
):
    results = {"shallow": numbers("chance", to_baseline=claim)}
    answer = which_network(content(results | {"baseline-forest": numbers(classifier)}))
    assert answer.headline == headline
    assert "not shown to be better than guessing (.5)" in answer.sentences[0]
    assert said in answer.sentences[0]


def test_no_network_is_named_where_all_failed(content):
    answer = which_network(content({"shallow": numbers("good", final_diverged=1)}))
    assert answer.headline == "None can be used."
    assert answer.sentences[1].startswith("The intervals are over 20 slides")


def test_several_seeds_are_in_the_intervals(content):
    answer = which_network(content({"shallow": numbers("good", seeds=3)}))
    assert answer.sentences[1] == "The intervals are over 20 slides and the seeds."


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ((0,), "Of 1 network deeper than one, none is shown to be better and none is shown to be "
               "worse."),
        ((1, -1), "Of 2 networks deeper than one, d0 (+.100 [+.050, +.150]) is better and "
                  "d1 (-.100 [-.150, -.050]) is worse."),
        ((), "No network deeper than one was compared with it."),
    ],
)  # fmt: skip
def test_what_is_claimed_of_depth(content, claims, said):
    deeper = {f"d{n}": numbers("good", layers=13, to_first=c) for n, c in enumerate(claims)}
    assert depth_in_words(content({"one": numbers("good")} | deeper)) == said


def verdict(cause=UNEXPLAINED, depth=(-0.1, -0.05, 0.0), together=(), learned=None, **more):
    rungs = [
        {"name": f"deep-{name}", "left": {"left": 5, "networks": 6}, "state": "cure"}
        for name in ("norm", "he")
    ]
    gain = learned and dict(zip(("low", "estimate", "high"), learned, strict=True))
    ends = depth and dict(zip(("low", "estimate", "high"), depth, strict=True))
    return {
        "network": "deep",
        "causes": [{"name": cause, "learned": gain, "refuted_by": "it trains no better"}],
        "compared_with": "shallow",
        "depth": ends,
        "left": {"left": 1, "networks": 6},
        "left_interval": [0.004, 0.641],
        "rungs": rungs,
        "together": list(together),
        "next": [],
        "ladder": {"next_rows": []},
        "smallest_visible": None,
        **more,
    }


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ((-0.1, -0.05, -0.01), "It is worse than shallow (-.050 [-.100, -.010]), and 1 of 6"),
        ((-0.1, -0.05, 0.01), "not told from shallow (-.050 [-.100, +.010]); 1 of 6"),
        ((0.01, 0.05, 0.1), "It is better than shallow (+.050 [+.010, +.100]); 1 of 6"),
        (None, "1 of 6 networks left the plateau of guessing [.00, .64]."),
    ],
)
def test_whether_it_is_worse_at_all_is_said(depth, said):
    assert said in why(verdict(depth=depth), {}).sentences[1]


def test_the_shallower_network_stands_beside_it():
    same = verdict(depth=(-0.1, -0.05, 0.01))
    assert why(same, {"shallow": (0, 3)}).sentences[1].endswith("; of shallow, 0 of 3.")
    assert why(same, {}).question == "Why does deep fail, and what would prove that wrong?"


@pytest.mark.parametrize(
    ("together", "learned", "said"),
    [
        ((), None, "Nothing that was tried frees it."),
        (("deep-norm",), None, "Freed by norm (5 of 6)."),
        (("deep-norm", "deep-he"), (0.1, 0.2, 0.3),
         "Freed by norm (5 of 6) and he (5 of 6); it learned, too: +.200 [+.100, +.300] in "),
        (("deep-norm",), (-0.1, 0.0, 0.1),
         "not shown to learn then: .000 [-.100, +.100] in validation above"),
        (("deep-norm",), (None, 0.1, None),
         "not shown to learn then: +.100 in validation above shuffled labels."),
    ],
)  # fmt: skip
def test_what_freed_it_and_whether_it_learned(together, learned, said):
    assert said in why(verdict(together=together, learned=learned), {}).sentences[2]


def test_the_question_is_answered_by_the_cause_and_what_would_refute_it():
    answer = why(verdict("signal explodes", depth=(-0.1, -0.05, -0.01)), {})
    assert answer.question == "Why is deep worse, and what would prove that wrong?"
    assert answer.headline == "Signal explodes."
    assert answer.sentences[-1] == "Proved wrong if it trains no better."


def steps(content, **of):
    return " ".join(next_steps(content({"shallow": numbers("good")}), verdict(**of)))


def test_what_to_do_next(content):
    assert "Make deep-norm a row of runs" in steps(content, together=("deep-norm",))
    assert "already" in steps(content, together=("shallow",), learned=(0.1, 0.2, 0.3))
    told = steps(content, together=("deep-norm",), learned=(-0.1, 0.0, 0.1))
    assert "Look at the data before the depth" in told
    assert "a row of runs" not in told
    waiting = {"next": ["deep-x: {}"], "ladder": {"next_rows": [{"name": "deep-x"}]}}
    assert "the ladder would go on with deep-x." in steps(content, **waiting)
    assert "more seeds" in steps(content)
    assert "more seeds" not in steps(content, **waiting)
    assert "Mend the data" in steps(content, cause=f"{DATA_FAULT}: doubled")
    assert "another" not in steps(content, cause=NO_EFFECT)
    assert "cheaper" in steps(content, cause=NO_EFFECT)
    assert "label that the crops can show" in steps(content, cause=NOTHING)


def test_what_tells_the_label_is_named_where_networks_learn_nothing(content):
    own = {"shape.balanced_accuracy": 0.63, "shape.balanced_accuracy_low": 0.6}
    own |= {"shape.balanced_accuracy_high": 0.66}
    study = content({"shallow": numbers("good")}, metrics={"controls.json": own})
    told = list(next_steps(study, verdict(together=("deep-norm",), learned=(-0.1, 0.0, 0.1))))
    assert told[1].startswith("What tells the label here is the outline, .630 [.600, .660]")


def test_every_cause_has_plain_words():
    assert set(CAUSES) == {
        *(cause.name for cause in TABLE),
        *(DATA_FAULT, NO_EFFECT, NOTHING, UNEXPLAINED),
    }
    assert cause_in_words(f"{DATA_FAULT}: one_nucleus_two_labels").startswith("The data have a")
