"""The first screen's sentences, each branch on constructed numbers."""

import json

import pandas as pd
import pytest

from fathom.diagnosis.causes import CAUSES as TABLE
from fathom.diagnosis.verdict import (
    DATA_FAULT,
    NO_EFFECT,
    NOT_COMPARED,
    NOTHING,
    UNEXPLAINED,
)
from fathom.page.answers import beside, depth_in_words, next_steps, which_network, why
from fathom.page.content import Content
from fathom.page.plain_words import CAUSES, cause_in_words
from fathom.page.tried import Tried
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
        params |= {"diagnosis": {"least_gain": 0.05}, "architectures": {}}
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


def test_a_difference_between_guesses_is_said_to_be_one(content):
    worse = {name: numbers("chance", layers=13, to_first=-1) for name in ("d0", "d1")}
    guess = numbers("chance")
    one = depth_in_words(content({"one": guess, "d0": worse["d0"]}))
    assert one.endswith("d0 (-.100 [-.150, -.050]) is worse than one, while both may be guessing.")
    two = depth_in_words(content({"one": guess} | worse))
    assert two.endswith("are worse than one, while all of them may be guessing.")
    assert "guessing" not in depth_in_words(content({"one": numbers("good")} | worse))


def row(name, networks=12, left=7, score="good", tested=3):
    low, value, high = INTERVALS[score]
    counts = {"row": name, "layers": 13, "epochs": 40, "networks": networks, "left": left}
    counts |= {"training_accuracy": 0.6, "validation_balanced_accuracy": 0.5}
    return counts | {"balanced_accuracy": value, "low": low, "high": high, "tested": tested}


def test_an_arm_of_a_ladder_above_guessing_is_named_with_its_networks(content):
    results = {"shallow": numbers("chance"), "baseline-forest": numbers("good")}
    results["baseline-forest"] |= {"balanced_accuracy_low": 0.71}
    rows = pd.DataFrame(
        [row("deep-he", tested=9), row("deep-he-shuffled-labels"), row("deep-x", score="bad")]
    )
    study = content(results, rows=rows)
    assert which_network(study).sentences[2] == (
        "Of the networks, only deep-he (.650 [.600, .700], 9 networks) is shown to be better than "
        "guessing, below forest."
    )
    study.params["diagnosis"]["least_gain"] = 0.2
    assert (
        "guessing, by less than .20 (diagnosis.least_gain), below"
        in which_network(study).sentences[2]
    )
    assert len(which_network(content(results)).sentences) == 2
    results["shallow"] = numbers("good")
    assert len(which_network(content(results, rows=rows)).sentences) == 2


def verdict(cause=UNEXPLAINED, depth=(-0.1, -0.05, 0.0), together=(), learned=None, **more):
    rungs = [
        {"name": f"deep-{name}", "left": {"left": 5, "networks": 6}, "state": "cure"}
        for name in ("norm", "he")
    ]
    gain = learned and dict(zip(("low", "estimate", "high"), learned, strict=True))
    ends = depth and dict(zip(("low", "estimate", "high"), depth, strict=True))
    main = {"name": cause, "learned": gain, "refuted_by": "it trains no better"}
    return {
        "network": "deep",
        "causes": [main | {"repaired_by": rungs[0]}],
        "suspected": [],
        "outcome": "leaving the plateau",
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


def answer(content, told, left=None, tried=None, results=None, tested=3):
    """Answer why of a study whose rows left the plateau as in `left`."""
    rows = [
        row(name, networks, count, tested=tested)
        for name, (count, networks) in (left or {}).items()
    ]
    study = content(
        results or {"shallow": numbers("good")}, rows=pd.DataFrame(rows) if rows else None
    )
    return why(study, told, tried or Tried())


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ((-0.1, -0.05, -0.01), "By accuracy deep is worse than shallow: -.050 [-.100, -.010]."),
        ((-0.1, -0.05, 0.01), "By accuracy deep is not told from shallow: -.050 [-.100, +.010]."),
        ((0.01, 0.05, 0.1), "By accuracy deep is better than shallow: +.050 [+.010, +.100]."),
        (None, "1 of 6 networks left the plateau of guessing [.00, .64]."),
    ],
)
def test_whether_it_is_worse_at_all_is_said(content, depth, said):
    told = answer(content, verdict(depth=depth)).sentences[1]
    assert told.startswith("1 of 6 networks left the plateau of guessing [.00, .64].")
    assert told.endswith(said)


def test_the_shallower_network_stands_beside_it(content):
    same = verdict(depth=(-0.1, -0.05, 0.01))
    assert "; of shallow, 0 of 3." in answer(content, same, {"shallow": (0, 3)}).sentences[1]
    assert answer(content, same).question == "Why does deep fail, and what would prove that wrong?"


def test_the_number_of_the_ladder_and_that_of_the_run_are_told_apart(content):
    results = {"shallow": numbers("good"), "deep": numbers("good", to_first=0)}
    told = verdict(depth=(-0.1, -0.05, 0.01))
    said = answer(content, told, {"deep": (0, 12)}, None, results, tested=6).sentences[1]
    assert said.endswith(
        "By accuracy deep is not told from shallow: -.050 [-.100, +.010] with 6 networks, "
        ".000 [-.050, +.050] with the 3 of the run alone, which tables show."
    )
    # Where the ladder added none, there is one number.
    said = answer(content, told, {"deep": (0, 3)}, None, results).sentences[1]
    assert said.endswith("-.050 [-.100, +.010].")


@pytest.mark.parametrize(
    ("together", "learned", "said"),
    [
        ((), None, "Nothing that was tried freed it."),
        (("deep-norm",), None,
         "Freed by norm (5 of 6). Whether it then learned is open: no control on shuffled labels"),
        (("deep-norm", "deep-he"), (0.1, 0.2, 0.3),
         "Freed by norm (5 of 6) and he (5 of 6). With norm deep learned, too: +.200 [+.100, +.300]"
         " in validation above shuffled labels."),
        (("deep-norm",), (-0.1, 0.0, 0.1),
         "With norm deep is not shown to learn: .000 [-.100, +.100] in validation above"),
        (("deep-norm",), (None, 0.1, None),
         "deep is not shown to learn: +.100 in validation above shuffled labels."),
    ],
)  # fmt: skip
def test_what_freed_it_and_whether_it_learned(content, together, learned, said):
    assert said in answer(content, verdict(together=together, learned=learned)).sentences[2]


def test_of_a_network_that_left_the_plateau_a_cure_repairs(content):
    told = verdict(together=("deep-norm",), outcome="loss and accuracy")
    assert answer(content, told).sentences[2].startswith("Repaired by norm (5 of 6). ")


@pytest.mark.parametrize(
    ("tests", "together", "said"),
    [
        ((), (), "That was not tried."),
        (("deep-norm",), ("deep-norm",), "Tried with norm: it freed deep, so the cause stands."),
        (("deep-norm", "deep-he"), ("deep-norm", "deep-he"),
         "Tried with norm and he: both freed deep, so the cause stands."),
        (("deep-norm", "deep-he"), ("deep-he",),
         "Tried with norm and he: he freed deep, so the cause stands."),
        (("deep-norm",), (), "Tried with norm: nothing freed it."),
    ],
)  # fmt: skip
def test_what_would_refute_it_and_whether_that_was_tried(content, tests, together, said):
    told = verdict("signal explodes", depth=(-0.1, -0.05, -0.01), together=together)
    found = answer(content, told, tried=Tried(tests))
    assert found.question == "Why is deep worse, and what would prove that wrong?"
    assert found.headline == "Signal explodes."
    assert found.sentences[-2:] == ("Proved wrong if it trains no better.", said)


def test_what_nothing_explains_is_tried_by_what_was_trained(content):
    assert answer(content, verdict(UNEXPLAINED)).sentences[-1] == "So far that is not so."


def test_other_causes_suspects_and_what_was_not_tried_stand_beside_it():
    told = verdict(suspected=[{"name": "dropout too strong"}])
    told["causes"].append({"name": "signal explodes"})
    assert list(beside(told, Tried((), ("less dropout", "more epochs")))) == [
        "Also: signal explodes.",
        "Suspected: dropout too strong.",
        "Not tried: less dropout, more epochs.",
    ]
    assert list(beside(verdict(), Tried())) == []


def steps(content, **of):
    return " ".join(next_steps(content({"shallow": numbers("good")}), verdict(**of)))


def test_what_to_do_next(content):
    assert "Make deep-norm a row of runs" in steps(content, together=("deep-norm",))
    assert "already" in steps(content, together=("shallow",), learned=(0.1, 0.2, 0.3))
    told = steps(content, together=("deep-norm",), learned=(-0.1, 0.0, 0.1))
    assert "Look at the data before the depth: what norm freed is not shown to learn." in told
    assert "a row of runs" not in told
    waiting = {"next": ["deep-x: {}"], "ladder": {"next_rows": [{"name": "deep-x"}]}}
    assert "the ladder would go on with deep-x." in steps(content, **waiting)
    assert "budget: the ladder" not in steps(content, together=("deep-norm",), **waiting)
    assert "more seeds" in steps(content)
    assert "more seeds" not in steps(content, **waiting)
    assert "Mend the data" in steps(content, cause=f"{DATA_FAULT}: doubled")
    assert "another" not in steps(content, cause=NO_EFFECT)
    assert "cheaper" in steps(content, cause=NO_EFFECT)
    alone = steps(content, cause=NOT_COMPARED)
    assert "shallower architecture a row of runs" in alone
    assert "cheaper" not in alone
    assert "label that the crops can show" in steps(content, cause=NOTHING)


def test_what_tells_the_label_is_named_where_networks_learn_nothing(content):
    own = {"shape.balanced_accuracy": 0.63, "shape.balanced_accuracy_low": 0.6}
    own |= {"shape.balanced_accuracy_high": 0.66}
    study = content({"shallow": numbers("good")}, metrics={"controls.json": own})
    told = list(next_steps(study, verdict(together=("deep-norm",), learned=(-0.1, 0.0, 0.1))))
    assert told[1] == "What tells the label here is the outline, .630 [.600, .660]."


def test_every_cause_has_plain_words():
    assert set(CAUSES) == {
        *(cause.name for cause in TABLE),
        *(DATA_FAULT, NO_EFFECT, NOT_COMPARED, NOTHING, UNEXPLAINED),
    }
    assert cause_in_words(f"{DATA_FAULT}: one_nucleus_two_labels").startswith("The data have a")
