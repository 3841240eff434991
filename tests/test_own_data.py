"""The documented way to one's own data, as a whole: a clone, a folder of images, every command.

docs/own-data.md, README.md: new, check, add, repro, predict, and experiments of DVC.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import draw_field
from test_pipeline import ROOT, committed, edit, run, tiny
from tifffile import imwrite

MINE = "data/mine"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone of the project as it is in the work tree, with a folder of images in data/."""
    source = tmp_path_factory.mktemp("source") / "fathom"
    folder = tmp_path_factory.mktemp("clone") / "fathom"
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(source, "git", "init", "--quiet", "--initial-branch=main")
    committed(source, "The project")
    run(source.parent, "git", "clone", "--quiet", str(source), str(folder))
    images = folder / MINE / "images"
    images.mkdir(parents=True)
    points = []
    for number in range(8):
        field, annotated = draw_field(number)
        name = f"p{number // 2}_s{number % 2}_1"
        imwrite(images / f"{name}.tif", field)
        points.append(annotated.assign(image=name))
    pd.concat(points).to_csv(folder / "points.csv", index=False)
    return folder


@pytest.mark.long
def test_the_documented_path_from_a_clone_to_a_scored_slide_and_experiments(clone):
    run(clone, "fathom", "new", MINE, "--labels", "points.csv", "--yes")
    assert "no fault found" in run(clone, "fathom", "check", MINE)
    run(clone, "dvc", "add", "--quiet", MINE)
    status = run(clone, "git", "status", "--porcelain", "--untracked-files=all")
    assert f"{MINE}.dvc" in status
    assert f"{MINE}/images" not in status

    def own(params):
        tiny(params)
        params["dataset"] = MINE
        # As the page has it, whatever else `tiny` sets.
        params["new_slides"] = {"dataset": "data/none", "assumed_um_per_px": None}

    edit(clone, own)
    committed(clone, "My data")
    run(clone, "dvc", "repro", "--quiet")
    committed(clone, "My results")
    # Nothing of the default study is fetched, and nothing is scored.
    assert not list((clone / "data").glob("micronuclei*"))
    scored = json.loads((clone / "metrics" / "new_slides.json").read_text(encoding="utf-8"))
    assert scored == {"images": 0}
    assert "nuclei" in run(clone, "fathom", "table")
    slide = f"{MINE}/images/p0_s0_1.tif"
    run(clone, "fathom", "predict", "models/small.onnx", slide, "--out", "scored")
    assert (clone / "scored" / "summary.csv").is_file()

    before = (clone / "metrics" / "summary.json").read_text()
    changed = ("-S", "recipe.learning_rate=0.01")
    run(clone, "dvc", "exp", "run", "--quiet", "--name", "here", *changed)
    after = (clone / "metrics" / "summary.json").read_text()
    assert after != before
    run(clone, "git", "checkout", "--quiet", "--force", ".")
    run(clone, "dvc", "checkout", "--quiet", "--force", "--allow-missing")
    run(clone, "dvc", "exp", "run", "--quiet", "--temp", "--name", "aside", *changed)
    run(clone, "dvc", "exp", "run", "--quiet", "--queue", "--name", "later", *changed)
    run(clone, "dvc", "queue", "start", "--quiet")
    run(clone, "dvc", "queue", "logs", "--follow", "later")
    shown = run(clone, "dvc", "exp", "list", "--name-only").split()
    assert {"here", "aside", "later"} <= set(shown)
    for name in ("here", "aside", "later"):
        kept = run(clone, "git", "show", f"{_revision(clone, name)}:metrics/summary.json")
        assert kept == after, name


def _revision(folder, name):
    refs = run(folder, "git", "for-each-ref", "--format=%(refname)", "refs/exps")
    return next(ref for ref in refs.split() if ref.endswith(f"/{name}"))


@pytest.mark.parametrize("mine", [MINE, "data/study1/mine", "data/study1/2026/mine"])
def test_dvc_takes_a_folder_at_any_depth_of_data(clone, mine):
    """`dvc add` refuses to write a note that git ignores; the images stay out of git."""
    note = clone / f"{mine}.dvc"
    if not (clone / mine).is_dir():
        shutil.copytree(clone / MINE, clone / mine)
    if not note.is_file():
        run(clone, "dvc", "add", "--quiet", mine)
    assert yaml.safe_load(note.read_text())["outs"][0]["path"] == "mine"
    status = run(clone, "git", "status", "--porcelain", "--untracked-files=all", "--", "data")
    seen = {line[3:] for line in status.splitlines()}
    assert f"{mine}.dvc" in seen or run(clone, "git", "ls-files", f"{mine}.dvc")
    assert not [name for name in seen if "/images" in name or name.endswith(".csv")]


def test_git_ignores_what_the_pipeline_writes_in_data(clone):
    """DVC adds a line to data/.gitignore for each output that git does not ignore."""
    written = {
        out if isinstance(out, str) else next(iter(out))
        for file in ("dvc.yaml", "data/dvc.yaml")
        for stage in yaml.safe_load((ROOT / file).read_text())["stages"].values()
        for out in stage.get("do", stage).get("outs", ())
    }
    in_data = sorted(out.replace("${key}", "x") for out in written if out.startswith("data/"))
    assert len(in_data) > 10
    for out in in_data:
        name = out if "." in Path(out).name else f"{out}/"
        assert run(clone, "git", "check-ignore", name).strip() == name
