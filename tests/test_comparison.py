import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simulated_runs as simulated
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

import compare as compare_stage
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.networks.architecture import parse
from fathom.networks.architecture_cost import weight_layers
from fathom.statistics.comparison import SUMMARY_SIZE, compare, summary
from fathom.statistics.intervals import (
    GroupWeights,
    design_of,
    difference_interval,
    leave_out,
    share_interval,
    spread,
)
from fathom.statistics.measures import measures_of
from fathom.statistics.metrics import choose_threshold
from fathom.statistics.scores import read_cells
from fathom.study.rows import names_in_order, read_architectures

STUDY = simulated.study()
AS_IT_IS = GroupWeights(np.ones((1, STUDY.groups)), {0: np.ones(1)})


@pytest.fixture
def read(tmp_path):
    """Return a function that passes a prediction table through its file."""

    def read(table, study=STUDY):
        write_table(tmp_path / "predictions.parquet", table)
        return read_cells(tmp_path / "predictions.parquet", study)

    return read


def compared(runs, **changes):
    params = simulated.PARAMS.model_copy(update=changes)
    return compare(runs, STUDY, {"shallow": 3}, params)


@pytest.fixture
def everyone(read):
    effects = {**simulated.EFFECTS, "baseline-forest": 0.5}
    return {name: read(simulated.predictions(STUDY, effect)) for name, effect in effects.items()}


def drawn_nuclei(table, weights):
    """Return the rows of a prediction table with each group's nuclei as often as it was drawn."""
    place = STUDY.nucleus.get_indexer(pd.Index(table["nucleus"]))
    table = table.assign(positive=STUDY.positive[place])
    return table.loc[table.index.repeat(weights[STUDY.group[place]].astype(int))]


def drawn(rng, units, rows=20):
    """Return how often each of `units` is drawn with replacement, a row a draw."""
    return rng.multinomial(units, np.full(units, 1 / units), size=rows).astype(float)


def test_every_draw_is_what_scikit_learn_finds_on_the_drawn_nuclei(read):
    table = simulated.predictions(STUDY, 0.8, seeds=(0, 1))
    table["probability"] = table["probability"].round(1)  # ties
    rng = np.random.default_rng(0)
    of_seeds = dict(enumerate(drawn(rng, 2).T))
    draws = GroupWeights(drawn(rng, STUDY.groups), of_seeds)
    measured = measures_of(read(table), draws)
    outer = table[table["fold"] >= 0].reset_index(drop=True)
    for row, weights in enumerate(draws.groups):
        called, pairs, ordered, trained = [], 0, 0.0, []
        for (_, seed), cell in outer.groupby(["fold", "seed"]):
            times = draws.seeds[seed][row]
            everything = drawn_nuclei(cell, np.ones(STUDY.groups))
            validation = everything[everything["part"] == "validation"]
            threshold = choose_threshold(
                validation["probability"].to_numpy(), validation["positive"].to_numpy()
            )
            test = drawn_nuclei(cell[cell["part"] == "test"], weights * times)
            train = drawn_nuclei(cell[cell["part"] == "train"], weights * times)
            trained.append(train)
            called.append(test.assign(called=test["probability"] >= threshold))
            here = test["positive"].sum() * (~test["positive"]).sum()
            if here:
                pairs += here
                ordered += here * roc_auc_score(test["positive"], test["probability"])
        test = pd.concat(called)
        expected = {
            "balanced_accuracy": balanced_accuracy_score(test["positive"], test["called"]),
            "sensitivity": recall_score(test["positive"], test["called"]),
            "specificity": recall_score(~test["positive"], ~test["called"]),
            "auroc": ordered / pairs,
        }
        train = pd.concat(trained)
        expected["training_accuracy"] = balanced_accuracy_score(
            train["positive"], train["probability"] >= 0.5
        )
        for name, value in expected.items():
            assert measured[name][row] == pytest.approx(value, abs=1e-12), (row, name)


def test_training_accuracy_is_the_plain_one_where_classes_are_balanced(read):
    table = simulated.predictions(STUDY, 1.0)
    train = drawn_nuclei(table, np.ones(STUDY.groups)).query("part == 'train' and fold >= 0")
    balanced = train.groupby(["fold", "positive"]).head(15)
    rest = table[table["part"] != "train"]
    found = measures_of(read(pd.concat([rest, balanced])), AS_IT_IS)
    plain = ((balanced["probability"] >= 0.5) == balanced["positive"]).mean()
    assert found["training_accuracy"][0] == pytest.approx(plain)


def test_auroc_counts_no_pairs_across_networks(read):
    table = simulated.predictions(STUDY, 1.0)
    scaled = table.assign(
        probability=table["probability"].where(table["fold"] != 1, table["probability"] / 10)
    )
    one, other = (
        compared({"shallow": read(t), "baseline-forest": read(t)}) for t in (table, scaled)
    )
    assert one["shallow"]["auroc"] == other["shallow"]["auroc"]


def test_the_threshold_comes_from_the_validation_part_alone(read):
    table = simulated.predictions(STUDY, 1.0)
    other = table["part"] != "validation"
    moved = table.assign(probability=table["probability"].where(~other, 0.123))
    assert [c.threshold for c in read(table)] == [c.threshold for c in read(moved)]


def test_each_seed_weighs_the_same_and_equal_seeds_change_nothing(read):
    table = simulated.predictions(STUDY, 0.8)
    twice = pd.concat([table, table.assign(seed=1)])
    forest = read(table)
    one = compared({"shallow": read(table), "baseline-forest": forest})["shallow"]
    two = compared({"shallow": read(twice), "baseline-forest": forest})["shallow"]
    assert two.pop("cells") == 2 * one.pop("cells")
    assert two.pop("seeds") == 2 * one.pop("seeds")
    assert one == two


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.full(n, 0.7),
        lambda n: 0.4 + np.random.default_rng(0).normal(0, 1e-8, n),
        lambda n: np.full(n, np.nan),
    ],
    ids=["constant", "float noise", "diverged"],
)
def test_a_network_that_says_nothing_scores_half_with_no_spread(everyone, read, make):
    table = simulated.predictions(STUDY, 1.0)
    table["probability"] = make(len(table))
    # another constant in each fold, on either side of .5: no advantage from the folds' shares
    table["probability"] += table["fold"].map({-1: 0, 0: 0.2, 1: -0.3, 2: 0.1})
    numbers = compared({**everyone, "stuck": read(table)})["stuck"]
    assert numbers["constant_cells"] == numbers["cells"] == simulated.FOLDS
    for name in ("balanced_accuracy", "auroc", "sensitivity", "specificity", "training_accuracy"):
        assert [numbers[name], numbers[f"{name}_low"], numbers[f"{name}_high"]] == [0.5] * 3


def test_differences_are_paired_and_none_is_to_itself(everyone):
    results = compared(everyone)
    assert "difference_to_first" not in results["shallow"]
    assert "difference_to_baseline" not in results["baseline-forest"]
    assert results["deep"]["constant_cells"] == simulated.FOLDS
    for prefix, of in (("", "balanced_accuracy"), ("auroc_", "auroc")):
        for reference, other in (("first", "shallow"), ("baseline", "baseline-forest")):
            found = results["deep-normed"][f"{prefix}difference_to_{reference}"]
            assert found == pytest.approx(results["deep-normed"][of] - results[other][of])
    # two runs with the same predictions differ by nothing, whoever is left out
    same = compared({"shallow": everyone["shallow"], "baseline-forest": everyone["shallow"]})
    ends = ("", "_low", "_high", "_claim", "_detectable")
    assert [same["shallow"][f"difference_to_baseline{end}"] for end in ends] == [0] * len(ends)
    assert same["shallow"]["difference_to_baseline_p"] == 1


def test_a_difference_and_its_claim_are_those_of_the_groups_left_out(everyone):
    results = compared(everyone)
    design = design_of(STUDY.positive, STUDY.group, STUDY.groups)
    measured = {name: measures_of(cells, leave_out(design)) for name, cells in everyone.items()}
    alone = {}
    for name in list(everyone)[1:]:
        apart = spread(measured[name]["auroc"] - measured["shallow"]["auroc"], design)
        ends = difference_interval(apart, 0.95)
        numbers, key = results[name], "auroc_difference_to_first"
        assert (numbers[f"{key}_low"], numbers[f"{key}_high"]) == (ends.low, ends.high)
        assert numbers[f"{key}_p"] == apart.p_value()
        alone[name] = (apart.p_value(), numbers)
    stepped = 0.0
    for place, (p_value, numbers) in enumerate(sorted(alone.values(), key=lambda one: one[0])):
        stepped = max(stepped, p_value * (len(alone) - place))
        assert numbers[f"{key}_p_holm"] == pytest.approx(min(1, stepped))
        assert numbers[f"{key}_claim"] == np.sign(numbers[key]) * (stepped < 0.05)
    assert {numbers[f"{key}_claim"] for _, numbers in alone.values()} == {-1, 0}


def test_seeds_that_differ_widen_the_interval_but_not_of_a_run_of_one_seed(read):
    shallow = read(simulated.predictions(STUDY, 0.8, seeds=(0, 1, 2)))
    forest = read(simulated.predictions(STUDY, 0.5))
    numbers = compared({"shallow": shallow, "baseline-forest": forest})
    alone = compared({"shallow": forest, "baseline-forest": forest})

    def width(numbers):
        return numbers["balanced_accuracy_high"] - numbers["balanced_accuracy_low"]

    groups_only = design_of(STUDY.positive, STUDY.group, STUDY.groups)
    seeds_together = dict.fromkeys((0, 1, 2), np.ones(1 + STUDY.groups))
    weights = GroupWeights(leave_out(groups_only).groups, seeds_together)
    values = measures_of(shallow, weights)["balanced_accuracy"]
    narrow = share_interval(values, groups_only, 0.95)
    assert width(numbers["shallow"]) > 1.01 * (narrow.high - narrow.low)
    assert numbers["shallow"]["balanced_accuracy"] == narrow.estimate
    assert width(numbers["baseline-forest"]) == width(alone["baseline-forest"])
    assert [numbers[name]["seeds"] for name in numbers] == [3, 1]


def test_an_effect_is_found_and_its_absence_too(everyone):
    results = compared(everyone)
    assert results["shallow"]["balanced_accuracy_low"] > 0.52
    assert results["deep"]["difference_to_first_high"] < 0
    assert results["shallow"]["weight_layers"] == 3
    assert "weight_layers" not in results["baseline-forest"]
    for numbers in results.values():
        for name in ("balanced_accuracy", "auroc", "training_accuracy"):
            assert numbers[f"{name}_low"] <= numbers[name] <= numbers[f"{name}_high"]


def test_the_same_numbers_twice_and_confidence_widens(everyone):
    assert compared(everyone) == compared(everyone)
    narrow, wide = (compared(everyone, confidence=c)["shallow"] for c in (0.5, 0.95))
    assert wide["auroc_high"] > narrow["auroc_high"]


def test_the_final_models_rows_are_left_out(read):
    table = simulated.predictions(STUDY, 1.0)
    without = table[table["fold"] >= 0]
    assert len(read(table)) == len(read(without)) == simulated.FOLDS


def test_predictions_of_other_nuclei_are_refused(read, tmp_path):
    table = simulated.predictions(STUDY, 1.0)
    for wrong in (
        table.assign(nucleus=table["nucleus"].str.replace("s0", "s99")),
        table.drop(table.index[(table["part"] == "test")][0]),
        pd.concat([table, table[(table["part"] == "test")].head(1)]),
    ):
        with pytest.raises(FathomError, match="seed 0 does not test each of the 108 nuclei"):
            read(wrong)
    with pytest.raises(FathomError, match=r"nothing\.parquet is missing"):
        read_cells(tmp_path / "nothing.parquet", STUDY)


def test_a_run_with_the_name_of_a_classifier_is_refused():
    with pytest.raises(FathomError, match="'baseline-svm'"):
        names_in_order(["shallow", "baseline-svm"])


@pytest.mark.parametrize(("runs", "each"), [(8, 5), (9, 4), (12, 3), (20, 1), (60, 1)])
def test_the_summary_is_never_too_long_to_compare(runs, each):
    keys = ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high")
    numbers = dict.fromkeys((*keys, "training_accuracy", "auroc", "specificity"), 0.5)
    found = summary({f"run-{number}": numbers for number in range(runs)})
    assert len(found) == each * min(runs, SUMMARY_SIZE)
    assert "run-0.balanced_accuracy" in found


def test_the_summary_names_the_runs_of_which_a_network_failed():
    keys = ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high")
    sound = dict.fromkeys((*keys, "training_accuracy", "auroc"), 0.5) | {"constant_cells": 0}
    failed = {"constant_cells": 2, "diverged_cells": 1, "final_constant": 1}
    found = summary({"sound": sound, "failed": sound | failed, "final": {**sound, **FINAL_ALONE}})
    marks = {key: of for key, of in found.items() if key.endswith("failed_networks")}
    assert marks == {"failed.failed_networks": 3, "final.failed_networks": 1}


FINAL_ALONE = {"final_diverged": 1}


def test_depth_is_the_number_in_the_networks_name():
    lines = read_architectures(Path(__file__).parents[1] / "params.yaml")
    depths = {name: weight_layers(parse(line)) for name, line in lines.items()}
    assert {"shallow": 6, "vgg-11": 11, "vgg-13": 13, "res-20": 20}.items() <= depths.items()


def test_the_stage_writes_the_same_bytes_twice(tmp_path, monkeypatch):
    simulated.write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    written = []
    for out in (Path("one"), Path("two")):
        compare_stage.compare(
            Path("nuclei"),
            Path("baseline"),
            Path("runs"),
            out / "metrics" / "runs",
            out / "metrics" / "summary.json",
            out / "metrics" / "headline.json",
            out / "plots",
            out / "pictures",
        )
        files = sorted(path for path in out.rglob("*") if path.is_file())
        written.append({str(path.relative_to(out)): path.read_bytes() for path in files})
    assert written[0] == written[1]
    runs = [*simulated.RUNS, "baseline-logistic", "baseline-svm", "baseline-forest"]
    pictures = ("confusion", "curves", "depth", "results", "roc")
    assert set(written[0]) == {
        "metrics/summary.json",
        "metrics/headline.json",
        *(f"metrics/runs/{run}.json" for run in runs),
        *(f"plots/{table}.csv" for table in ("confusion", "curves", "depth", "roc")),
        *(f"pictures/{picture}.png" for picture in pictures),
    }
    numbers = json.loads(written[0]["metrics/runs/deep-normed.json"])
    assert numbers["weight_layers"] == 5
    assert all(isinstance(value, int | float) for value in numbers.values())
