"""One whole `dvc repro` on a tiny simulated data set, and what follows from a change.

The project's files are copied into a new repository, so that a stage runs what is in the work tree.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import write_simulated_dataset

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "OMP_NUM_THREADS": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}
# Names that a shell would take apart.
DATASET = """data/Zoë's "fields" $HOME"""
NEW_SLIDES = "data/neue Präparate; 'zwei'"
LINES = {
    "small": "4conv3x3 - mp2x2 - 8conv3x3 - gap - o",
    "deep": "4conv3x3 - 2*(res(4conv3x3 - 4conv3x3)) - mp2x2 - gap - fc8 - o",
}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def repro(folder: Path, *arguments: str) -> list[str]:
    """Run `dvc repro` and return the stages that it ran."""
    out = run(folder, "dvc", "repro", *arguments)
    return re.findall(r"Running stage '([^']+)'", out)


def edit(folder: Path, change) -> None:
    file = folder / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(params)
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def tiny(params: dict) -> None:
    """Make the study one of seconds: two small networks, two epochs, two folds."""
    params["dataset"] = DATASET
    params["new_slides"] = {"dataset": NEW_SLIDES, "assumed_um_per_px": None}
    params["classes"]["positive"] = "ill"
    params["crop"]["crop_px"] = 32
    params["split"] |= {"folds": 2, "validation_share": 0.5}
    params["recipe"] |= {"epochs": 2, "batch_size": 16}
    params["architectures"] = dict(LINES)
    params["runs"] = {
        "small": {"architecture": "small", "interventions": {}},
        "deep-batchnorm": {"architecture": "deep", "interventions": {"bn": {"norm": "batch"}}},
    }
    # Four networks more for the run itself, six for a cure and six for the control.
    params["diagnosis"] |= {"networks": ["deep-batchnorm"], "budget": 16}
    params["texture"] |= {"strengths": [1.0]}
    params["controls"] = {
        name: {"architecture": "small", "interventions": {}}
        for name in ("silhouette", "background", "shuffled-labels")
    }
    params["baseline"] |= {
        "logistic": {"C": [0.1]},
        "svm": {"C": [1.0], "gamma": [0.01]},
        "forest": {"n_estimators": [20], "max_features": [0.3], "min_samples_leaf": [5]},
    }


def committed(folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a repository in which the whole pipeline has run and its results are committed."""
    folder = tmp_path_factory.mktemp("project") / "fathom"
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(
            ("metrics/", "plots/", "docs/pictures/", "verdicts/", "report/tables/")
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for lock in ("dvc.lock", "data/dvc.lock"):
        (folder / lock).unlink(missing_ok=True)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    write_simulated_dataset(folder / DATASET)
    write_simulated_dataset(folder / NEW_SLIDES, slides=3)
    edit(folder, tiny)
    # Not `fetch`: nothing asks for the data that it downloads.
    assert set(repro(folder)) == {
        *("check", "audit_images", "segment", "score_segmentation", "crop", "features", "audit"),
        *("split", "baseline", "compare"),
        *(
            f"{stage}@{name}"
            for stage in ("train", "export")
            for name in ("small", "deep-batchnorm")
        ),
        *("predict", "package", "ladder", "texture_runs", "texture", "diagnose", "report"),
        *("control_crops", "control_classifiers", "control_runs", "controls"),
    }
    committed(folder, "Run the pipeline")
    return folder


@pytest.fixture
def branch(project):
    """Return the project on a branch of its own, and bring it back afterwards."""
    run(project, "git", "checkout", "--quiet", "-b", "change")
    yield project
    run(project, "git", "checkout", "--quiet", "--force", "main")
    run(project, "git", "branch", "--quiet", "-D", "change")
    run(project, "git", "clean", "--quiet", "--force", "-d", "metrics", "plots", "docs", "verdicts",
        "report")  # fmt: skip
    # The default data were never fetched here: they are missing, and may be.
    run(project, "dvc", "checkout", "--quiet", "--force", "--allow-missing")


def finished_cells(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".cells").glob("*.cell")}


def content(folder: Path, *names: str) -> dict[str, bytes]:
    files = [path for name in names for path in sorted((folder / name).rglob("*"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def test_everything_that_is_promised_is_there(project):
    for name in ("small", "deep-batchnorm"):
        assert (project / "models" / f"{name}.onnx").is_file()
        metrics = json.loads((project / "metrics" / "runs" / f"{name}.json").read_text())
        assert 0 <= metrics["balanced_accuracy_low"] <= metrics["balanced_accuracy"] <= 1
    summary = json.loads((project / "metrics" / "summary.json").read_text())
    assert 0 < len(summary) <= 40
    assert all(isinstance(value, int | float) for value in summary.values())
    assert json.loads((project / "metrics" / "new_slides.json").read_text())["images"] == 3
    best = (project / "data" / "new_slides" / "best_run.txt").read_text().strip()
    registered = (project / "registry" / "nucleus-classifier.onnx").read_bytes()
    assert registered == (project / "models" / f"{best}.onnx").read_bytes()
    assert f"`{best}`" in (project / "registry" / "model-card.md").read_text()
    texture = json.loads((project / "metrics" / "texture.json").read_text())
    assert texture["small.1.cells"] == texture["deep-batchnorm.1.cells"] == 2
    said = json.loads((project / "verdicts" / "verdicts.json").read_text())
    assert "nothing" in said["deep-batchnorm"]["texture"]
    pictures = {path.name for path in (project / "docs" / "pictures").glob("*.png")}
    assert {"curves.png", "depth.png", "roc.png", "confusion.png", "results.png"} <= pictures


def test_the_report_is_one_page_and_a_clone_without_data_writes_the_same(project, tmp_path):
    written = (project / "report" / "index.html").read_bytes()
    assert 100_000 < len(written) <= 3_000_000
    for name in ("small", "deep-batchnorm", "baseline-forest"):
        assert f'data-follow="{name}"' in written.decode("utf-8")
    small = sum(path.stat().st_size for path in (project / "report" / "tables").iterdir())
    assert small <= 1_000_000
    run(tmp_path, "git", "clone", "--quiet", str(project), "clone")
    clone = tmp_path / "clone"
    assert not (clone / "data" / "runs").exists()
    assert run(clone, "fathom", "report", "--no-open") == "report/index.html\n"
    assert (clone / "report" / "index.html").read_bytes() == written


def test_the_table_is_printed_at_the_width_of_a_log(project):
    out = run(project, "fathom", "table")
    assert "small" in out
    assert "deep-batchnorm" in out
    assert "models" in out
    # Three intervals of 1.000 side by side need more than 80 columns, and no number is cut off.
    assert max(map(len, out.splitlines())) <= 84
    assert out.count("[") == out.count("]")


def test_a_second_repro_runs_nothing(project):
    assert repro(project) == []


@pytest.mark.long
def test_the_same_bytes_when_every_stage_is_forced(project):
    assert len(repro(project, "--force")) == 25
    assert run(project, "git", "status", "--porcelain") == ""


@pytest.mark.long
def test_a_branch_finds_the_networks_that_another_has_trained(branch):
    edit(branch, lambda params: params["recipe"].update(learning_rate=0.02))
    repro(branch, "train@small")
    trained, cells = content(branch, "data/runs/small"), finished_cells(branch)
    run(branch, "git", "checkout", "--quiet", "--force", "main")
    run(branch, "dvc", "checkout", "--quiet", "--force", "--allow-missing")
    assert content(branch, "data/runs/small") != trained
    run(branch, "git", "checkout", "--quiet", "change")
    edit(branch, lambda params: params["recipe"].update(learning_rate=0.02))
    out = run(branch, "dvc", "repro", "--no-run-cache", "--force", "--single-item", "train@small")
    assert "3 of 3 networks were trained before: taken from .cells" in out
    assert content(branch, "data/runs/small") == trained
    assert finished_cells(branch) == cells


def test_plots_are_understood_by_dvc(project, tmp_path):
    run(project, "dvc", "plots", "show", "--out", str(tmp_path))
    assert (tmp_path / "index.html").stat().st_size > 10_000


@pytest.mark.long
def test_a_changed_learning_rate_runs_what_reads_it_and_the_diff_is_a_table(branch):
    edit(branch, lambda params: params["recipe"].update(learning_rate=0.01))
    networks = ("small", "deep-batchnorm")
    assert set(repro(branch, "predict")) == {
        *(f"{stage}@{name}" for stage in ("train", "export") for name in networks),
        *("check", "compare", "predict"),
    }
    committed(branch, "Raise the learning rate")
    assert "metrics/headline.json" in run(branch, "dvc", "metrics", "diff", "main", "--all")
    diff = run(branch, "dvc", "metrics", "diff", "main", "--targets", "metrics/summary.json")
    assert re.search(r"metrics/summary\.json +[\w-]+\.\w+ +[\d.]+ +[\d.]+ +-?[\d.]+", diff), diff


@pytest.mark.long
def test_a_changed_architecture_line_trains_that_run_alone(branch):
    line = LINES["small"].replace("8conv", "6conv")
    edit(branch, lambda params: params["architectures"].update(small=line))
    before = finished_cells(branch)
    ran = repro(branch, "compare", "diagnose")
    # The ladder reads every line: its networks are in the store. `small` looks for a texture too,
    # over two folds, beside its own two and the final network.
    assert set(ran) == {
        *("check", "train@small", "ladder", "texture_runs", "texture", "compare", "diagnose"),
    }
    assert len(finished_cells(branch) - before) == 5


@pytest.mark.long
def test_a_new_run_is_one_row(branch):
    row = {"architecture": "small", "interventions": {"no-dropout": {"dropout": 0.0}}}
    edit(branch, lambda params: params["runs"].update({"small-no-dropout": row}))
    ran = repro(branch, "compare", "diagnose")
    assert set(ran) == {
        *("check", "train@small-no-dropout", "ladder", "texture_runs", "compare", "diagnose"),
    }


@pytest.mark.long
def test_a_larger_budget_tries_one_more_cure_and_trains_nothing_twice(branch):
    def rungs():
        verdicts = json.loads((branch / "verdicts" / "verdicts.json").read_text())
        return {rung["name"] for rung in verdicts["deep-batchnorm"]["rungs"]}

    before, cells = rungs(), finished_cells(branch)
    assert len(before) == 2
    [row] = yaml.safe_load(run(branch, "fathom", "why", "--next"))
    edit(branch, lambda params: params["diagnosis"].update(budget=30))
    assert set(repro(branch)) == {"ladder", "texture_runs", "diagnose", "report"}
    assert rungs() - before == {row}
    assert len(finished_cells(branch) - cells) == 3
    told = run(branch, "fathom", "why", "deep-batchnorm")
    assert "19 networks were trained, of a budget of 30" in told


def test_a_truncated_image_stops_before_training_and_is_found(branch):
    image = branch / DATASET / "images" / "field03.tif"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=branch,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    image.write_bytes(whole)
    assert done.returncode != 0
    assert re.findall(r"Running stage '([^']+)'", done.stdout) == ["check", "audit_images"]
    assert "unreadable_image:images/field03.tif" in done.stderr
    found = (branch / "data" / "audit_images" / "findings.md").read_text(encoding="utf-8")
    assert "unreadable_image:images/field03.tif" in found


@pytest.mark.long
def test_an_edited_module_is_a_reason_to_run_the_stages_that_import_from_its_room(branch):
    def changed_by(module):
        path = branch / "src" / "fathom" / module
        before = path.read_text(encoding="utf-8")
        path.write_text(before + "\n# edited\n", encoding="utf-8")
        status = json.loads(run(branch, "dvc", "status", "--json"))
        path.write_text(before, encoding="utf-8")
        return {
            stage.removeprefix("dvc.yaml:")
            for stage, changes in status.items()
            if any(f"src/fathom/{path.parent.name}" in str(change) for change in changes)
        }

    assert "segment" in changed_by("imaging/segmentation.py")
    assert "package" not in changed_by("splitting/folds.py")
    assert {"train@small", "train@deep-batchnorm"} <= changed_by("training/training.py")
    assert not {"segment", "crop", "baseline", "split"} & changed_by("training/training.py")
    assert not {"segment", "train@small"} & changed_by("reports/report.py")


@pytest.mark.long
def test_what_python_leaves_in_a_room_is_no_reason_to_run_a_stage(branch):
    everything = """
import fathom, importlib, pkgutil
for module in pkgutil.walk_packages(fathom.__path__, "fathom."):
    importlib.import_module(module.name)
"""
    here = ENVIRONMENT | {"PYTHONPATH": str(branch / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", everything], cwd=branch, env=here, check=True)
    assert list((branch / "src" / "fathom" / "training" / "__pycache__").glob("training.*.pyc"))
    changed = json.loads(run(branch, "dvc", "status", "--json"))
    assert changed.keys() <= {"data/dvc.yaml:fetch"}  # the default data, which this study is not of


@pytest.mark.long
def test_a_kill_during_training_costs_no_byte_and_no_epoch_twice(branch):
    """SIGKILL `dvc repro` in the middle of a cell; the next one continues it to the same bytes."""
    edit(branch, lambda params: params["recipe"].update(epochs=60))
    before = finished_cells(branch)
    repro(branch, "train@small")
    unkilled = content(branch, "data/runs/small")
    for name in finished_cells(branch) - before:  # or nothing would be trained again
        (branch / ".cells" / name).unlink()
    shutil.rmtree(branch / "data" / "runs" / "small")
    command = ["dvc", "repro", "--no-run-cache", "--force", "--single-item", "train@small"]
    process = subprocess.Popen(
        command, cwd=branch, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_checkpoint(branch / ".cells", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (branch / "data" / "runs" / "small" / "predictions.parquet").exists()

    done = subprocess.run(
        command, cwd=branch, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert re.search(r"small, .*: continues after epoch [1-9]", done.stderr), done
    assert content(branch, "data/runs/small") == unkilled


def wait_for_checkpoint(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not list(folder.glob("*.unfinished")):
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
