"""The short form of benchmarks/kills.py: three kills of the first stages, three of `--resume`."""

import shutil
import signal
from pathlib import Path

import cluster_kills
import kills
import pytest
from tiny_model import write_model
from tiny_project import Started, hashes, write_project

# As `make repro` does it.
FIRST_STAGES = ("sh", "-c", "fathom recover && dvc repro segment")
OUTPUTS = ("data/audit_images", "data/labels", "data/checked.txt")


def test_instants_are_spread_over_the_whole_time_and_fall_into_stages():
    instants = kills.drawn(3, 100.0)
    assert [int(instant // 10) for instant, _ in instants] == list(range(10))
    assert {kind for _, kind in instants} == set(kills.SIGNALS)
    assert instants == kills.drawn(3, 100.0) != kills.drawn(4, 100.0)
    began = [("check", 2.0), ("segment", 5.0)]
    assert kills.place_of(1.5, began) == ("", 1.5)
    assert kills.place_of(6.5, began) == ("segment", 1.5)


@pytest.mark.long
def test_a_process_that_outlives_its_group_is_found_and_ended(tmp_path):
    there = tmp_path / "there"  # written once it has a session of its own
    script = f"sleep 60 & setsid sh -c 'touch {there}; exec sleep 61' & wait"
    started = Started(("sh", "-c", script), tmp_path)
    while not there.exists():
        assert started.seconds < 60
    started.signal(signal.SIGKILL)
    assert started.ended(60) == -signal.SIGKILL
    assert started.orphans(patience=0.2) == ["sleep 61"]
    assert started.orphans() == []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a fresh project, one in which the first stages have run, and when they began."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder / "fresh")
    shutil.copytree(folder / "fresh", folder / "whole", symlinks=True)
    whole = kills.undisturbed(folder / "whole", FIRST_STAGES)
    assert [name for name, _ in whole["began"]] == ["check", "audit_images", "segment"]
    return folder / "fresh", folder / "whole", whole


def assert_same(folder, whole):
    assert hashes(folder, OUTPUTS) == hashes(whole, OUTPUTS)
    assert kills.locked(folder) == kills.locked(whole)
    assert kills.damaged_in_cache(folder) == []
    assert kills.litter(folder) == []


@pytest.mark.long
def test_a_pipeline_that_is_killed_and_started_again_writes_the_same_bytes(
    project, tmp_path, monkeypatch
):
    monkeypatch.setattr(kills, "KILLS", 3)
    fresh, there, whole = project
    folder = shutil.copytree(fresh, tmp_path / "killed", symlinks=True)
    run = kills.disturbed(folder, FIRST_STAGES, 0, whole)
    assert run["failed"] == []
    assert sum(kill["signal"] is not None for kill in run["kills"]) >= 2
    assert [kill for kill in run["kills"] if kill.get("orphans")] == []
    assert_same(folder, there)


@pytest.mark.long
def test_of_two_at_once_the_second_says_who_is_busy_and_the_first_is_done(project, tmp_path):
    fresh, there, _ = project
    folder = shutil.copytree(fresh, tmp_path / "twice", symlinks=True)
    first = Started(FIRST_STAGES, folder)
    while not any(name == "audit_images" for name, _ in first.began):
        assert first.running
    second = Started(FIRST_STAGES, folder)
    assert second.ended(60) not in (0, None)
    assert "is busy, it is being blocked by" in "".join(second.said)
    assert first.ended() == 0
    assert_same(folder, there)


@pytest.mark.long
def test_scoring_that_is_killed_and_resumed_writes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(kills, "KILLS", 3)
    monkeypatch.setattr(kills, "RESULTS", tmp_path / "kills.json")
    slides = kills.write_slides(tmp_path / "fresh", 6)
    (tmp_path / "fresh" / "models").mkdir()
    write_model(tmp_path / "fresh" / "models" / "small.onnx", um_per_px=None)
    (tmp_path / "fresh" / "src").symlink_to(Path(__file__).parents[1] / "src")
    known = {"code": "of this test"}
    score = kills.scoring(slides)
    kills.going_on(tmp_path, "predict", score, ["scored"], known, 1, lambda _: {})
    [run] = kills.kept("predict", known)
    assert run["same_bytes"], run
    assert run["failed"] == []


def test_on_a_cluster_each_part_is_killed_and_only_the_caller_by_other_signals():
    kills_of_run = [cluster_kills.drawn(run, 60.0) for run in range(3)]
    for drawn in kills_of_run:
        assert {target for _, target, _ in drawn} == set(cluster_kills.TARGETS)
        assert {kind for _, target, kind in drawn if target != "caller"} == {"SIGKILL"}
        assert all(0 <= wait <= cluster_kills.STARTS_S + 6 for wait, _, _ in drawn)
    assert kills_of_run[0] == cluster_kills.drawn(0, 60.0) != kills_of_run[1]
