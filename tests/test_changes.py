"""`fathom compare`: what is called a change, and what two commits of a project differ in."""

import json
import subprocess
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from fathom import cli
from fathom.ground.errors import FathomError
from fathom.reports.changes import Interval, compare_revisions, difference_of
from fathom.statistics.metrics import wilson_interval

VERDICT = {
    "main": "no signal reaches the output at initialisation",
    "causes": [{"name": "no signal reaches the output at initialisation"}],
    "rungs": [
        {"name": "deep-batchnorm", "state": "cure", "left": {"left": 6, "networks": 9}},
        {"name": "deep-residual", "state": "undecided", "left": {"left": 3, "networks": 6}},
    ],
    "left": {"left": 0, "networks": 12},
}
PARAMS = {
    "dataset": "data/mine",
    "new_slides": {"dataset": "data/none"},
    "recipe": {"learning_rate": 0.001, "seeds": [0, 1]},
    "runs": {"shallow": {}, "deep": {}},
}


def git(*words):
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


def write(name, value):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value) if path.suffix == ".json" else yaml.safe_dump(value, sort_keys=False)
    path.write_text(text, encoding="utf-8")


def score(value, half=0.03, **others):
    return {
        "balanced_accuracy": value,
        "balanced_accuracy_low": value - half,
        "balanced_accuracy_high": value + half,
        "confidence": 0.95,
        "seeds": 2,
        "weight_layers": 6,
    } | others


def write_project(params=PARAMS, data="a" * 32, code="b" * 32):
    write("params.yaml", params)
    write("metrics/runs/shallow.json", score(0.6))
    write("metrics/runs/deep.json", score(0.5))
    write("metrics/crop.json", {"images": 8, "kept": 90})
    write(
        "metrics/diagnosis.json",
        {"deep.left": 0, "deep.networks": 12, "deep.left_low": 0.0, "deep.left_high": 0.26},
    )
    write("verdicts/verdicts.json", {"deep": VERDICT})
    deps = [
        {"path": "data/mine", "md5": data, "nfiles": 9},
        {"path": "src/fathom/training", "md5": code},
    ]
    used = {"params.yaml": {"recipe": params["recipe"]}}
    write("dvc.lock", {"schema": "2.0", "stages": {"train@deep": {"deps": deps, "params": used}}})


def commit(message):
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a repository: a commit without results, then `main` with them, then `other`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    git("init", "--quiet", "--initial-branch=main")
    write("README.json", {})
    commit("Begin")
    git("tag", "begin")
    write_project()
    commit("Run")
    git("switch", "--quiet", "--create", "other")
    return tmp_path


def run(*words):
    return CliRunner().invoke(cli.app, ["compare", *words], catch_exceptions=False)


def test_a_change_whose_interval_holds_0_is_none():
    # Half-widths of .03 each: the change has sqrt(2) times that.
    one = Interval(0.60, 0.57, 0.63)
    far, kind = difference_of(one, Interval(0.64, 0.61, 0.67))
    assert kind == "none"
    assert far == pytest.approx((0.04, 0.04 - 0.03 * sqrt(2), 0.04 + 0.03 * sqrt(2)))
    assert difference_of(one, Interval(0.65, 0.62, 0.68))[1] == "up"
    assert difference_of(one, Interval(0.55, 0.52, 0.58))[1] == "down"
    assert difference_of(one, one)[1] == "same"


def test_limits_that_are_not_alike_stand_on_the_side_that_they_bound():
    # Newcombe 1998, table II, method 10: 56 of 70 and 48 of 80, Wilson's intervals at 95 %.
    one, other = (Interval(k / n, *wilson_interval(k, n, 0.95)) for k, n in ((48, 80), (56, 70)))
    assert difference_of(one, other)[0] == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_number_without_an_interval_is_not_told():
    assert difference_of(Interval(1, None, None), Interval(2, 1, 3)) == (
        Interval(1, None, None),
        "not told",
    )


def test_of_equal_truths_a_change_is_seldom_called_and_of_one_sample_never_more_often():
    """95 % intervals of means of 30; `shared` is the part of the noise that both commits have."""
    rng = np.random.default_rng(0)
    for shared, most in ((0.0, 0.065), (0.8, 0.01)):
        called = 0
        for _ in range(2000):
            both = rng.standard_normal(30)
            means = [
                np.mean(sqrt(shared) * both + sqrt(1 - shared) * rng.standard_normal(30))
                for _ in "ab"
            ]
            half = 1.96 / sqrt(30)
            found = difference_of(*(Interval(m, m - half, m + half) for m in means))
            called += found[1] in ("up", "down")
        assert called / 2000 < most


def test_the_same_results_are_the_same(project):
    changes = compare_revisions("main", "other")
    assert {change.kind for change in changes.measures} == {"same"}
    assert [change.of for change in changes.measures] == ["shallow", "deep", "deep"]
    assert (changes.data, changes.params, changes.code) == ((), (), ())
    assert "3 measures: 3 the same." in run("main").output


def test_what_changed_is_said_in_every_part(project):
    write_project(
        {**PARAMS, "recipe": {"learning_rate": 0.0001, "seeds": [0, 1]}}, "c" * 32, "d" * 32
    )
    write("metrics/runs/deep.json", score(0.58))
    write("metrics/runs/shallow.json", score(0.61))
    write("metrics/runs/new.json", score(0.5))
    write("metrics/crop.json", {"images": 8, "kept": 85})
    write(
        "verdicts/verdicts.json",
        {"deep": VERDICT | {"main": "unexplained", "causes": [], "rungs": []}},
    )
    commit("Change")
    printed = run("main").output
    for said in (
        "deep balanced accuracy .500 [.470, .530] .580 [.550, .610] higher: +.080 [+.038, +.122]",
        "new balanced accuracy .500 [.470, .530] new",
        "4 measures: 1 the same, 1 none, 1 higher, 1 new.",
        "2 intervals were looked at, each by itself",
        "deep no signal reaches the output at initialisation. 0 of 12 left the plateau. "
        "Cured by deep-batchnorm (6 of 9)",
        "unexplained. 0 of 12 left the plateau. No cure",
        "data set, hash aaaaaaaa cccccccc",
        "nuclei kept 90 85",
        "recipe.learning_rate 0.001 0.0001",
        "Other code: rooms training.",
    ):
        assert said in " ".join(printed.split()), said
    assert "shallow " not in printed
    assert "shallow " in run("main", "--all").output
    told = json.loads(run("main", "--json").output)
    kinds = {(one["of"], one["measure"]): one["kind"] for one in told["measures"]}
    assert kinds["shallow", "balanced accuracy"] == "none"
    assert told["verdicts"]["deep"]["changed"] is True
    assert told["params"] == [{"name": "recipe.learning_rate", "before": 0.001, "after": 0.0001}]
    table = run("main", "--markdown").output
    assert "| deep | balanced accuracy | .500 [.470, .530] |" in table


def test_results_of_other_params_are_said(project):
    write("params.yaml", PARAMS | {"recipe": {"learning_rate": 0.01, "seeds": [0, 1]}})
    commit("Forget to run")
    notes = compare_revisions("main", "HEAD").notes
    assert any(
        "results of HEAD were computed with other params" in note and "recipe.learning_rate" in note
        for note in notes
    )


def test_one_seed_other_confidence_and_what_is_not_committed_are_said(project):
    write("metrics/runs/deep.json", score(0.5, seeds=1, confidence=0.9))
    commit("One seed")
    write("metrics/runs/shallow.json", score(0.7))
    notes = " ".join(compare_revisions("main", "HEAD").notes)
    assert "Networks of one seed" in notes
    assert "they are of 90 and 95 %" in notes
    assert "Not committed, and not compared: metrics/runs/shallow.json." in notes


def test_files_of_metrics_that_one_commit_alone_has_are_named(project):
    write("metrics/texture.json", {"a": 1})
    write("metrics/runs/third.json", score(0.6))  # a run's are measures
    commit("Add")
    write("metrics/new/another.json", {"a": 1})
    notes = compare_revisions("main", "HEAD").notes
    assert "Only HEAD has metrics/texture.json." in notes
    assert "Not committed, and not compared: metrics/new/another.json." in notes
    assert "Only HEAD has metrics/texture.json." in compare_revisions("HEAD", "main").notes


def test_a_folder_below_and_a_clone_without_data_are_enough(project, tmp_path, monkeypatch):
    git("clone", "--quiet", str(project), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert run("origin/main", "origin/other").exit_code == 0


def test_a_revision_that_git_does_not_know_is_said_with_those_it_knows(project):
    with pytest.raises(
        FathomError, match=r"'mian' is no commit here\. The branches are: main, other"
    ):
        compare_revisions("mian", "HEAD")
    for number in range(9):
        git("branch", f"work-{number}")
    git("branch", "rate-lower")
    with pytest.raises(FathomError, match=r"are: rate-lower, .* and 6 more; `git fetch`") as said:
        compare_revisions("rate-loewr", "HEAD")
    assert str(said.value).count("work-") == 3
    with pytest.raises(FathomError, match="'--help' is no commit here"):
        compare_revisions("--help", "HEAD")


def test_a_revision_without_results_is_said_with_the_first_that_has_them(project):
    with pytest.raises(
        FathomError, match=r"begin \(.*\) has no results to compare: .*first commit"
    ):
        compare_revisions("begin", "HEAD")


def test_a_damaged_file_is_named(project):
    Path("metrics/crop.json").write_text("{", encoding="utf-8")
    commit("Break")
    with pytest.raises(FathomError, match=r"metrics/crop\.json of HEAD .* cannot be read"):
        compare_revisions("main", "HEAD")


def test_outside_of_a_repository_git_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(FathomError, match="not a git repository"):
        compare_revisions("main", "HEAD")
