"""What `fathom verify` says of stages whose outputs have other bytes than the committed ones."""

import hashlib
import json
import subprocess
from math import inf, nan
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from fathom import cli
from fathom.ground.errors import FathomError
from fathom.reports.verification import distance_between, verify


def git(*words):
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


def md5(content):
    return hashlib.md5(content).hexdigest()


def cached(folder, content, suffix=""):
    """Put `content` where DVC's cache has it; return its hash."""
    name = md5(content) + suffix
    path = folder / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def lock(**stages):
    """Write dvc.lock: a stage's outputs, path to hash."""
    outs = {
        name: {"outs": [{"path": path, "md5": value} for path, value in outputs.items()]}
        for name, outputs in stages.items()
    }
    text = yaml.safe_dump({"schema": "2.0", "stages": outs})
    Path("dvc.lock").write_text(text, encoding="utf-8")


def write_score(value):
    """Write the metrics of the stage `score`; return their hash."""
    content = json.dumps({"accuracy": value, "n": 3}).encode()
    Path("score.json").write_bytes(content)
    return md5(content)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a committed project: git keeps what `score` wrote, the cache the folder of `train`."""
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"nucleus": ["a", "b"], "probability": [0.25, 0.5]})
    table.to_parquet("p.parquet")
    listing = [
        {"md5": cached(tmp_path, (tmp_path / "p.parquet").read_bytes()), "relpath": "p.parquet"}
    ]
    folder = cached(tmp_path, json.dumps(listing).encode(), ".dir")
    (tmp_path / "run").mkdir()
    (tmp_path / "p.parquet").rename(tmp_path / "run" / "p.parquet")
    (tmp_path / ".gitignore").write_text("/run\n/.dvc\n")
    lock(score={"score.json": write_score(0.5)}, train={"run": folder})
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Run")
    return tmp_path, folder


def outcomes(tolerance=0.001):
    return {stage.name: stage.outcome for stage in verify("HEAD", tolerance)}


def test_the_committed_bytes_are_exact(project):
    assert outcomes() == {"score": "exact", "train": "exact"}


def test_a_number_that_is_near_is_within_tolerance_and_says_how_far(project):
    _, folder = project
    lock(score={"score.json": write_score(0.5 + 1e-6)}, train={"run": folder})
    [score, train] = verify("HEAD", 0.001)
    assert (score.outcome, score.first) == ("within tolerance", "score.json")
    assert score.distance == pytest.approx(1e-6)
    assert train.outcome == "exact"
    assert outcomes(tolerance=1e-9)["score"] == "different"


def test_a_table_is_compared_with_the_one_in_the_cache(project):
    path, _ = project
    other = pd.DataFrame({"nucleus": ["a", "b"], "probability": [0.25, 0.75]})
    other.to_parquet(path / "run" / "p.parquet")
    lock(score={"score.json": write_score(0.5)}, train={"run": "0" * 32 + ".dir"})
    [_, train] = verify("HEAD", 0.001)
    assert (train.outcome, train.distance, train.first) == ("different", 0.25, "run/p.parquet")


def test_committed_bytes_that_are_nowhere_are_different_and_say_so(project):
    path, _ = project
    for file in (path / ".dvc" / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    lock(score={"score.json": write_score(0.5)}, train={"run": "0" * 32 + ".dir"})
    [_, train] = verify("HEAD", 0.001)
    assert train.outcome == "different"
    assert "are not here to compare with" in train.first


def test_a_stage_that_did_not_run_is_said_and_fails_nothing(project):
    lock(score={"score.json": write_score(0.5)})
    assert outcomes() == {"score": "exact", "train": "not run"}
    done = CliRunner().invoke(cli.app, ["verify"])
    assert done.exit_code == 0, done.output
    assert "2 stages beside dvc.lock of HEAD: 1 exact, 1 not run." in done.output


def test_what_is_downloaded_has_a_lock_of_its_own(project):
    path, _ = project
    content = b"wheel"
    (path / "data").mkdir()
    (path / "data" / "wheel").write_bytes(content)
    outs = [{"path": "data/wheel", "md5": md5(content)}]
    text = yaml.safe_dump({"schema": "2.0", "stages": {"fetch": {"outs": outs}}})
    (path / "data" / "dvc.lock").write_text(text, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Fetch")
    assert outcomes() == {"score": "exact", "train": "exact", "fetch": "exact"}
    (path / "data" / "dvc.lock").unlink()
    assert outcomes()["fetch"] == "not run"


def test_a_stage_that_was_cloned_and_not_run_is_not_exact(project):
    """A clone has dvc.lock and what git keeps: neither says that anything was computed here."""
    path, _ = project
    (path / "run" / "p.parquet").unlink()
    (path / "run").rmdir()
    assert outcomes() == {"score": "exact", "train": "not run"}
    text = (
        (path / "dvc.lock").read_text().replace("  score:\n", "  score:\n    deps: [{path: run}]\n")
    )
    (path / "dvc.lock").write_text(text)
    assert outcomes() == {"score": "not run", "train": "not run"}


def test_the_command_ends_with_1_where_a_stage_is_different(project):
    lock(score={"score.json": write_score(0.9)}, train={"run": project[1]})
    done = CliRunner().invoke(cli.app, ["verify"])
    assert done.exit_code == 1
    assert "score  different, by 0.4: score.json" in done.output


def test_a_lock_that_is_missing_is_named(project):
    (project[0] / "dvc.lock").unlink()
    with pytest.raises(FathomError, match=r"dvc\.lock is missing: run 'dvc repro' first"):
        list(verify("HEAD", 0.001))
    with pytest.raises(FathomError, match=r"'nowhere' is no commit here\. The branches are: "):
        list(verify("nowhere", 0.001))


@pytest.mark.parametrize(
    ("suffix", "one", "other", "distance"),
    [
        (".json", b'{"a": 1}', b'{"a": 1}', 0),
        (".json", b'{"a": 1, "b": [2]}', b'{"a": 1.5, "b": [1]}', 1),
        (".json", b'{"a": 1}', b'{"b": 1}', inf),
        (".json", b'{"a": "x"}', b'{"a": "y"}', inf),
        (".json", b'{"a": true}', b'{"a": 1.0}', inf),
        (".json", b"{", b"{}", inf),
        (".csv", b"run,value\na,1\n", b"run,value\na,3\n", 2),
        (".csv", b"run,value\na,1\n", b"run,value\nb,1\n", inf),
        (".csv", b"run,value\na,\n", b"run,value\na,\n", 0),
        (".csv", b"run,value\na,1\n", b"run,value\na,1\nb,1\n", inf),
        (".png", b"1", b"2", inf),
    ],
)
def test_tables_are_apart_by_their_largest_difference(suffix, one, other, distance):
    assert distance_between(suffix, one, other) == distance


def test_a_number_that_is_missing_in_one_of_them_is_infinitely_far():
    one, other = (json.dumps({"a": value}).encode() for value in (1.0, nan))
    assert distance_between(".json", one, other) == inf
