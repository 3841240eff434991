"""From tables on disk to verdicts, and the verdicts as files and text."""

import json
import re
from dataclasses import replace
from math import inf, log, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import nuclei_of
from made_splits import make_splits
from test_verdict import CONTROL, LIMITS, REPAIRED, STUCK, bistable, row, shallow

from fathom.diagnosis.arm_trainer import ArmTrainer, seeds_for
from fathom.diagnosis.case import Case
from fathom.diagnosis.causes import CAUSES
from fathom.diagnosis.diagnosis import (
    TrainedRow,
    _whole_seeds,
    case_of,
    evidence_table,
    read_trained_rows,
    suspects,
)
from fathom.diagnosis.effects import held_out_accuracy
from fathom.diagnosis.evidence import evidence_of, paired
from fathom.diagnosis.ladder import Step, Wanted, climb
from fathom.diagnosis.ladder_file import LADDER, NextRow, Told, read_climbed, write_climbed
from fathom.diagnosis.looks import Tally
from fathom.diagnosis.verdict import judge
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.networks.interventions import Plan, planned
from fathom.networks.recipe import Probes, Recipe
from fathom.reports.diagnosis_report import next_lines
from fathom.reports.report import next_rows, print_next_rows
from fathom.reports.verdict_text import (
    Explained,
    numbers,
    verdict_markdown,
    write_verdicts,
)
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
    [line] = evidence_table({"one": rows["one"].evidence}, 0.95).to_dict("records")
    left = sum(rows["one"].evidence.left)
    assert [line[key] for key in ("row", "layers", "networks", "left")] == ["one", 3, 2, left]
    tested = held_out_accuracy(rows["one"].evidence, 0.95)
    assert (line["balanced_accuracy"], line["low"], line["high"]) == (
        tested.estimate,
        tested.low,
        tested.high,
    )
    assert line["tested"] == 2
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


def test_a_network_that_is_worse_than_a_shallower_one_is_a_suspect_and_no_other():
    worse = LIMITS.model_copy(update={"networks": "worse"})
    assert [case.base.name for case in suspects(ROWS, worse, 48)] == ["deep"]


def test_a_network_that_stays_on_the_plateau_is_a_suspect():
    worse = LIMITS.model_copy(update={"networks": "worse"})
    rows = rows_of(shallow(), bistable("deep", 5, 6))
    fine = rows_of(shallow(), row("deep"))
    assert [case.base.name for case in suspects(rows, worse, 48)] == ["deep"]
    assert suspects(fine, worse, 48) == []


def test_networks_can_be_named():
    limits = LIMITS.model_copy(update={"networks": ("deep+he",)})
    assert [case.base.name for case in suspects(ROWS, limits, 48)] == ["deep+he"]
    with pytest.raises(
        FathomError, match=r"'diagnosis\.networks' names 'other'; there is: shallow"
    ):
        suspects(ROWS, LIMITS.model_copy(update={"networks": ("other",)}), 48)


def test_a_control_is_no_network_to_explain():
    rows = rows_of(shallow(), row("deep"), CONTROL)
    limits = LIMITS.model_copy(update={"networks": ("control",)})
    with pytest.raises(FathomError, match="'control', which trains on shuffled labels"):
        suspects(rows, limits, 48)


STEPS = (Step("0 of 6 networks of deep left the plateau", 3), Step("cured by deep+he", 9))
NEXT = NextRow("deep-batchnorm", {"batchnorm": {"norm": "batch"}})
SHARES = {"shallow": Tally(3, 3), "deep": Tally(0, 6)}
TEXTURE = "No network found even the strongest change of the texture."


def explained(*rungs, next_rows=()):
    case = Case(bistable("deep", 0, 6), (shallow(),), rungs, 48, cures_allowed=7)
    told = Told(STEPS, 54, 9, next_rows)
    rows = next_lines(told, "deep", {"deep": Run(architecture="vgg-13", interventions={})})
    return Explained(judge(case, LIMITS), told, rows, TEXTURE)


FREED = bistable("deep+he", 6, 6, {"initialisation": "he"})


def test_verdicts_are_written_the_same_way_every_time(tmp_path):
    for name in ("one", "two"):
        write_verdicts(tmp_path / name, tmp_path / f"{name}.json", [explained(FREED)], SHARES, 0.95)
    for name in ("verdicts.json", "deep.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    content = json.loads((tmp_path / "one" / "verdicts.json").read_text())["deep"]
    assert content["main"] == "unexplained"
    assert content["together"] == ["deep+he"]
    assert content["texture"] == TEXTURE
    assert content["rungs"][0]["left"] == {"left": 6, "networks": 6}
    assert content["ladder"]["steps"][1] == {"said": "cured by deep+he", "spent": 9}


def test_metrics_have_the_same_keys_whatever_was_trained():
    few, many = numbers([], SHARES, 0.95), numbers([explained(FREED)], SHARES, 0.95)
    assert few.keys() == many.keys()
    assert (many["spent"], many["cures"], many["deep.left"]) == (9, 1, 0)
    assert many["deep.left_high"] == pytest.approx(1 - 0.025 ** (1 / 6))
    assert many["cause.unexplained"] == 1
    assert {f"cause.{cause.name}" for cause in CAUSES} < few.keys()


def test_the_page_names_shares_cures_and_how_it_came_to_them():
    norm = bistable("deep+norm", 6, 6, {"norm": "batch"})
    page = verdict_markdown(explained(FREED, norm))
    assert "0 of 6 networks left the plateau, a share of 0.00 [0.00, 0.46]" in page
    assert re.search(r"Repaired by `deep\+(he|norm)`: 6 of 6 left the plateau", page)
    assert "Cures that worked: `deep+he`, `deep+norm`. They are not told apart here" in page
    assert "- 9 networks: cured by deep+he" in page
    assert f"\n\n{TEXTURE}\n\n" in page
    assert "- Whether it learned is open: the same network on shuffled labels was not" in page
    spent = "9 networks were trained, of a budget of 54. A larger "
    assert f"{spent}`diagnosis.budget` would train the control on shuffled labels." in page
    waiting = verdict_markdown(explained(FREED, next_rows=(NEXT,)))
    assert "A larger `diagnosis.budget` would try deep-batchnorm." in waiting
    both = verdict_markdown(
        explained(bistable("deep+half", 2, 3, {"norm": "batch"}), next_rows=(NEXT,))
    )
    assert "would go on with deep+half, and would try deep-batchnorm." in both


def test_where_the_control_was_trained_a_larger_budget_would_try_nothing():
    control = bistable("control", 0, 6, {"initialisation": "he", "training_labels": "shuffled"})
    page = verdict_markdown(explained(FREED, control))
    assert "of a budget of 54. A larger budget would try nothing more." in page
    assert "above the same network on shuffled labels." in page


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (2, "- Tried, and open: `deep+whole` (2 of 3 left); more networks would tell."),
        (0, "- Tried without repair: `deep+whole`."),
    ],
)
def test_an_arm_that_is_open_is_not_called_a_failure(left, said):
    page = verdict_markdown(explained(bistable("deep+whole", left, 3, {"dropout": 0.0})))
    assert f"dropout: 0.5\n{said}" in page


def test_the_page_says_when_networks_left_and_the_p_value_where_epochs_may_be_compared():
    base = bistable("deep", 3, 6)
    slow = bistable("deep+slow", 6, 6, {"learning_rate": 0.0001})
    case = Case(base, (shallow(),), (FREED, slow), 48, cures_allowed=7)
    page = verdict_markdown(Explained(judge(case, LIMITS), Told(STEPS, 54, 9, ()), (), TEXTURE))
    he, rate = judge(case, LIMITS).rungs
    assert f"| deep+he | 6 of 6 | {he.median_epoch:g} | {he.earlier:.2g} |" in page
    assert rate.earlier is None
    assert f"| deep+slow | 6 of 6 | {rate.median_epoch:g} |  |" in page


def test_the_next_row_can_be_pasted_into_params(tmp_path, capsys):
    write_verdicts(tmp_path, tmp_path / "m.json", [explained(next_rows=(NEXT,))], SHARES, 0.95)
    print_next_rows(next_rows(tmp_path, None))
    [name, found] = yaml.safe_load(capsys.readouterr().out).popitem()
    assert name == "deep-batchnorm"
    assert Run.model_validate(found).interventions == {"batchnorm": {"norm": "batch"}}
    write_verdicts(tmp_path, tmp_path / "m.json", [explained()], SHARES, 0.95)
    print_next_rows(next_rows(tmp_path, "deep"))
    assert capsys.readouterr().out == "# deep: no row is left that the ladder would train\n"
    with pytest.raises(FathomError, match="there is no verdict on 'other', only on: deep"):
        next_rows(tmp_path, "other")


def test_a_row_of_params_that_waits_is_printed_as_it_stands():
    skips = Run(architecture="vgg-13", interventions={"skips": {"residual": True}})
    runs = {"deep": Run(architecture="vgg-13", interventions={}), "deep-skips": skips}
    [line] = next_lines(Told((), 3, 3, (NextRow("deep-skips", {}),)), "deep", runs)
    assert Run.model_validate(yaml.safe_load(line)["deep-skips"]) == skips


def test_a_change_of_the_networks_own_name_is_added_to_it_and_replaces_nothing():
    run = Run(architecture="vgg-13", interventions={"long": {"epochs_times": 2}})
    row = NextRow("deep-long", {"long": {"epochs_times": 3}})
    [line] = next_lines(Told((), 3, 3, (row,)), "deep", {"deep": run})
    found = Run.model_validate(yaml.safe_load(line)["deep-long"])
    assert planned(found, "deep-long", LINE, RECIPE, 12).recipe.epochs == 6 * RECIPE.epochs


@pytest.mark.parametrize(
    ("networks", "said"),
    [(3, "would train more networks of deep"), (6, "would train the control on shuffled labels")],
)
def test_where_the_budget_was_spent_at_once_more_of_it_is_said_to_do_more(networks, said):
    verdict = judge(Case(bistable("deep", 0, networks), (shallow(),), (), 48), LIMITS)
    page = verdict_markdown(Explained(verdict, Told((), 0, 0, ()), (), TEXTURE))
    assert f"A larger `diagnosis.budget` {said}" in page
    assert "*Whether it learned is open: no network was trained on shuffled labels.*" in page


def test_of_a_control_no_loss_is_printed_for_it_learned_other_labels():
    control = bistable("deep-c", 0, 6, {"training_labels": "shuffled"})
    [line] = [
        line
        for line in verdict_markdown(explained(control)).splitlines()
        if line.startswith("| c ")
    ]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert (cells[4], cells[5]) == ("", "")
    assert cells[6].startswith("+0.0") or cells[6].startswith("-0.0")


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_an_arm_of_three_networks_can_be_read_whatever_the_folds(folds):
    """Three of five folds test no nucleus of the others: nothing is held out, and all is read."""
    splits = [(fold, n) for fold in range(folds) for n in range(40)]
    parts = ["test" if n % folds == fold else "train" for fold, n in splits]
    predictions = pd.DataFrame(
        {
            "nucleus": [f"n{n}" for _, n in splits],
            "fold": [fold for fold, _ in splits],
            "seed": 0,
            "part": parts,
        }
    )
    own = predictions[predictions["fold"] < 3]
    cells = tuple(
        replace(CONTROL.cells[0], fold=fold, seed=0, only_left=False)
        for fold in range(min(3, folds))
    )
    arm = replace(CONTROL, cells=cells)
    assert _whole_seeds(arm, own, 40) == ({0} if folds <= 3 else set())
    asked = replace(arm, cells=(*cells[:-1], replace(cells[-1], only_left=True)))
    assert _whole_seeds(asked, own, 40) == set()


@pytest.mark.parametrize(
    ("losses", "left"), [((0.3, 0.05), 2), ((0.1,), 1), ((0.69, 0.69), None), ((nan, nan), None)]
)
def test_networks_of_one_or_two_epochs_leave_by_the_epochs_that_there_are(losses, left):
    cells = tuple(replace(cell, losses=losses) for cell in CONTROL.cells)
    assert set(replace(CONTROL, cells=cells).left_at) == {left}


def test_seeds_go_on_from_those_of_the_recipe():
    assert seeds_for(RECIPE, 3, 6) == (0, 1)
    assert seeds_for(RECIPE, 3, 7) == (0, 1, 2)
    assert seeds_for(RECIPE.model_copy(update={"seeds": (5, 2)}), 4, 12) == (2, 5, 6)


@pytest.mark.long
def test_networks_beyond_the_recipes_own_seeds_end_when_they_left(trained, tmp_path):
    nuclei, folder = trained
    splits = make_splits(nuclei, Split(group="patient", folds=2, validation_share=0.3, seed=0))
    probes = Probes(crops=8, epochs=(2,))
    trainer = ArmTrainer(nuclei, splits, probes, "portable", folder / "cells", "patient", tmp_path)
    recipe = RECIPE.model_copy(update={"epochs": 40, "seeds": (0,)})
    short = trainer({"a": Wanted(Plan(LINE, recipe), 3, 2)})["a"]
    whole = trainer({"b": Wanted(Plan(LINE, recipe), 3, 3)})["b"]
    assert short.left == whole.left == (True,) * 3
    assert [cell.only_left for cell in short.by_seed_and_fold] == [False, False, True]
    assert len(short.by_seed_and_fold[2].losses) == short.left_at[2] + 3 < 40
    # What was cut short counts in no measure but `left`, nor does its half seed.
    own = replace(whole, cells=tuple(cell for cell in whole.cells if cell.seed == 0))
    for number in ("train_accuracy", "validation", "signal_end"):
        assert short.median(number) == own.median(number)
    assert short.held_out == whole.held_out
    assert {(a.fold, a.seed) for a, _ in paired(whole, short)} == {(0, 0), (1, 0)}


@pytest.mark.long
def test_a_ladder_is_trained_written_and_read_back(trained, tmp_path):
    """The real pool and store, and a task that is learned at once: a base and a control."""
    nuclei, folder = trained
    rows = read(trained, {"one": Run(architecture="one", interventions={})})
    limits = LIMITS.model_copy(update={"networks": ("one",), "budget": 12, "fitted": 0.5})
    splits = make_splits(nuclei, Split(group="patient", folds=2, validation_share=0.3, seed=0))
    probes = Probes(crops=8, epochs=(2,))
    [given] = suspects(rows, limits, nuclei.crop_px)
    found = []
    for name in ("a", "b"):
        out = tmp_path / name
        trainer = ArmTrainer(nuclei, splits, probes, "portable", folder / "cells", "patient", out)
        write_climbed(out, climb(given, limits, trainer))
        found.append((out / LADDER).read_bytes())
    assert found[0] == found[1]
    case, told, tables = read_climbed(tmp_path / "a", given, nuclei, "patient")
    units = [(cell.seed, cell.fold) for cell in case.base.by_seed_and_fold]
    assert units == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    # The two networks of the row were there.
    assert case.base.by_seed_and_fold[:2] == given.base.by_seed_and_fold
    assert (told.budget, told.spent >= 4) == (12, True)
    assert set(tables) == {"one", *(row.name for row in case.ladder)}
    with pytest.raises(FathomError, match=r"ladder\.json is missing: run 'dvc repro ladder'"):
        read_climbed(tmp_path / "c", given, nuclei, "patient")


def test_every_architecture_of_params_can_be_diagnosed():
    assert set(read_architectures(FILE)) >= {"plain-20", "plain-56", "res-20", "res-56", "vgg-16"}
    assert CONTROL.plan.recipe.training_labels == "shuffled"
