"""From tables on disk to verdicts, and the verdicts as files and text."""

import json
from math import inf, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import nuclei_of
from made_splits import make_splits
from test_verdict import CONTROL, LIMITS, REPAIRED, STUCK, row, shallow

from fathom.diagnosis.diagnosis import TrainedRow, case_of, diagnose, read_trained_rows, row_table
from fathom.diagnosis.effects import held_out_accuracy
from fathom.diagnosis.evidence import evidence_of
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.networks.interventions import Plan
from fathom.networks.recipe import Probes, Recipe
from fathom.reports.verdict_text import is_stable, numbers, verdict_markdown, write_verdicts
from fathom.study.nuclei import Nuclei
from fathom.study.rows import Run, read_architectures
from fathom.study.splits import Split
from fathom.training.trained_rows import cells_of, train_rows

FILE = Path(__file__).parents[1] / "params.yaml"
PARAMS = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RECIPE = read_section(Recipe, FILE).model_copy(update={"epochs": 8, "batch_size": 16})
LINE = "4conv3x3 - mp2x2 - 4conv3x3 - gap - o"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return nuclei, and the folder of a run that was really trained on them."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    positive = [bool(i % 2) for i in range(80)]
    bare = nuclei_of([f"p{i // 10}" for i in range(80)], positive)
    crops = rng.integers(1, 100, (80, 12, 12, 1)) + 120 * np.array(positive)[:, None, None, None]
    np.save(folder / "0.npy", crops.astype(np.uint8))
    table = bare.table.assign(shard="0.npy", row=range(80))
    nuclei = Nuclei(folder, table, table)
    splits = make_splits(nuclei, Split(group="patient", folds=2, validation_share=0.3, seed=0))
    cells = cells_of(
        "one", Plan(LINE, RECIPE), Probes(crops=8, epochs=(2,)), nuclei, splits, final=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "LOKY_MAX_CPU_COUNT", "1"
        )  # a second worker takes longer to start than to train
        train_rows({folder / "one": (cells, nuclei)}, "portable", folder / "cells")
    return nuclei, folder


def read(trained, runs):
    nuclei, folder = trained
    return read_trained_rows(runs, folder, {"one": LINE}, RECIPE, nuclei, "patient")


def test_evidence_is_computed_from_the_tables(trained):
    nuclei, folder = trained
    [one] = read(trained, {"one": Run(architecture="one", interventions={})}).values()
    predictions = pd.read_parquet(folder / "one" / "predictions.parquet")
    probes = pd.read_parquet(folder / "one" / "probes.parquet")
    history = pd.read_parquet(folder / "one" / "history.parquet")
    positive = nuclei.kept.set_index("nucleus")["positive"]
    assert [(cell.fold, cell.seed) for cell in one.evidence.cells] == [(0, 0), (1, 0)]
    for cell in one.evidence.cells:
        mine = predictions[predictions["fold"] == cell.fold]
        train, validation = (mine[mine["part"] == part] for part in ("train", "validation"))
        truth = positive.loc[train["nucleus"]].to_numpy()
        own = np.where(truth, train["probability"], 1 - train["probability"])
        assert cell.train_loss == pytest.approx(-np.log(own).mean())
        decided = validation["probability"].to_numpy() >= 0.5
        truth = positive.loc[validation["nucleus"]].to_numpy()
        balanced = (decided[truth].mean() + (~decided[~truth]).mean()) / 2
        assert cell.validation == pytest.approx(balanced)
        start = probes[(probes["fold"] == cell.fold) & (probes["epoch"] == 0)]
        hidden = start[start["layer"] == "2 4conv3x3"].iloc[0]
        first = start[start["layer"] == "1 4conv3x3"].iloc[0]
        assert cell.signal == hidden["signal"]
        assert cell.growth == pytest.approx(hidden["between_samples"] / first["between_samples"])
        assert cell.first_update == pytest.approx(np.nanmedian(start["update"]))
        assert cell.input_rms == start[start["layer"] == "input"]["rms"].iloc[0]
        losses = history[history["fold"] == cell.fold].sort_values("epoch")["train_loss"]
        assert list(cell.losses) == losses.tolist()
        assert cell.train_nuclei == len(train)
    # Held-out: the four counts of every patient's ten nuclei, each tested once.
    assert np.array(one.evidence.held_out).sum(1).tolist() == [10.0] * 8


def test_a_certain_mistake_and_a_diverged_network_have_finite_evidence(trained):
    nuclei, folder = trained
    tables = [
        pd.read_parquet(folder / "one" / f"{name}.parquet")
        for name in ("predictions", "history", "probes")
    ]
    tables[0]["probability"] = 0.0
    tables[1]["train_loss"] = np.nan
    tables[2].loc[:, ["signal", "between_samples", "update", "silent"]] = np.inf
    positive = nuclei.kept.set_index("nucleus")["positive"]
    cell = evidence_of("one", Plan(LINE, RECIPE), 3, positive, *tables).cells[0]
    assert cell.train_loss == pytest.approx(-log(1e-7) / 2, rel=1e-6)
    assert cell.constant
    assert cell.validation == 0.5
    assert (cell.growth, cell.first_update, cell.signal) == (inf, inf, 0.0)


def test_the_table_of_rows_has_what_each_came_to(trained):
    rows = read(trained, {"one": Run(architecture="one", interventions={})})
    [line] = row_table(rows, 0.95).to_dict("records")
    assert (line["row"], line["layers"], line["changes"], line["cells"]) == ("one", 3, "", 2)
    tested = held_out_accuracy(rows["one"].evidence, 0.95)
    assert (line["balanced_accuracy"], line["low"], line["high"]) == (
        tested.estimate,
        tested.low,
        tested.high,
    )
    fits = [cell.train_accuracy for cell in rows["one"].evidence.cells]
    assert line["training_accuracy"] == pytest.approx(np.median(fits))


def test_a_row_that_was_not_trained_is_named(trained):
    with pytest.raises(FathomError, match=r"two/predictions\.parquet is missing: run 'dvc repro'"):
        read(trained, {"two": Run(architecture="one", interventions={})})


def test_a_row_of_an_unknown_architecture_is_named(trained):
    with pytest.raises(FathomError, match="'one' names no architecture: other"):
        read(trained, {"one": Run(architecture="other", interventions={})})


def rows_of(*evidences):
    """Return rows as if params.yaml defined them: interventions by what the name says."""
    interventions = {
        "he": {"initialisation": "he"},
        "control": {"training_labels": "shuffled"},
        "seeds": {"seeds": [1]},
    }
    found = {}
    for one in evidences:
        own = {key: interventions[key] for key in interventions if key in one.name.split("+")}
        architecture = "shallow" if one.weight_layers == 6 else "deep"
        run = Run(architecture=architecture, interventions=own)
        found[one.name] = TrainedRow(run, one.plan, one, pd.DataFrame())
    return found


STUCK_DEEP = row("deep", growth=1e5, **STUCK)
HE = row("deep+he", changes={"initialisation": "he"}, **REPAIRED)
ROWS = rows_of(
    shallow(),
    STUCK_DEEP,
    HE,
    row("deep+control", changes={"training_labels": "shuffled"}, validation=0.5),
    row("deep+seeds", changes={"seeds": [1]}),
    row("deep+he+seeds", changes={"initialisation": "he", "seeds": [1]}),
    row("shallow+he", PARAMS["architectures"]["shallow"], {"initialisation": "he"}, validation=0.8),
)


def test_a_case_has_shallower_relatives_under_the_same_interventions_and_one_change_rungs():
    case = case_of("deep", ROWS, 48)
    assert [one.name for one in case.shallower] == ["shallow"]
    assert [one.name for one in case.ladder] == ["deep+he", "deep+control"]
    case = case_of("deep+he", ROWS, 48)
    assert [one.name for one in case.shallower] == ["shallow+he"]
    assert case.ladder == ()  # other seeds are no change


def test_a_network_that_is_worse_than_a_shallower_one_is_diagnosed_and_no_other():
    [verdict] = diagnose(ROWS, LIMITS, 48)
    assert verdict.network == "deep"
    assert verdict.main == "signal explodes"
    assert verdict.by_seed == {0: "signal explodes"}


def test_networks_can_be_named():
    limits = LIMITS.model_copy(update={"networks": ("deep+he",)})
    assert [one.network for one in diagnose(ROWS, limits, 48)] == ["deep+he"]
    with pytest.raises(
        FathomError, match=r"'diagnosis\.networks' names 'other'; there is: shallow"
    ):
        diagnose(ROWS, LIMITS.model_copy(update={"networks": ("other",)}), 48)


def test_a_verdict_that_seeds_do_not_share_is_called_unstable(tmp_path):
    def two_seeds(one, **of_second):
        second = row(one.name, one.plan.line, **of_second)
        cells = [*one.cells, *(c.__class__(**{**vars(c), "seed": 1}) for c in second.cells)]
        return one.__class__(one.name, one.plan, one.weight_layers, tuple(cells))

    rows = rows_of(
        two_seeds(shallow()),
        two_seeds(STUCK_DEEP, growth=1e5, **STUCK),
        two_seeds(HE, **STUCK),
    )
    [verdict] = diagnose(rows, LIMITS, 48)
    assert verdict.by_seed == {0: "signal explodes", 1: "unexplained"}
    assert not is_stable(verdict)
    assert "unstable" in verdict_markdown(verdict)
    assert "unstable" not in verdict_markdown(diagnose(ROWS, LIMITS, 48)[0])


def test_verdicts_are_written_the_same_way_every_time(tmp_path):
    verdicts = diagnose(ROWS, LIMITS, 48)
    for name in ("one", "two"):
        write_verdicts(tmp_path / name, tmp_path / f"{name}.json", verdicts)
    for name in ("verdicts.json", "deep.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    content = json.loads((tmp_path / "one" / "verdicts.json").read_text())["deep"]
    assert content["main"] == "signal explodes"
    assert content["is_stable"] is True
    assert content["causes"][0]["repaired_by"]["name"] == "deep+he"
    found = json.loads((tmp_path / "one.json").read_text())
    assert found["deep.deep+he.validation_low"] > 0.2
    assert found["networks"] == 1


def test_the_page_names_cause_evidence_cure_and_what_would_refute_it():
    page = verdict_markdown(diagnose(ROWS, LIMITS, 48)[0])
    assert "**Signal explodes.**" in page
    assert "growth of the signal through the layers at the start: 1e+05" in page
    assert "Repaired by `deep+he`" in page
    assert "It would be refuted if an initialisation or a norm that bounds" in page
    assert "Tried without repair" not in page
    assert page.count("\n| deep+") == 2


def test_effects_without_an_interval_are_numbers_without_one():
    single = rows_of(shallow(cells=1), row("deep", cells=1, growth=1e5, **STUCK))
    limits = LIMITS.model_copy(update={"networks": ("deep",)})
    found = numbers(diagnose(single, limits, 48))
    assert "deep.depth" in found
    assert "deep.depth_low" not in found


def test_every_architecture_of_params_can_be_diagnosed():
    assert set(read_architectures(FILE)) >= {"plain-20", "plain-56", "res-20", "res-56", "vgg-16"}
    assert CONTROL.plan.recipe.training_labels == "shuffled"
