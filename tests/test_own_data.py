"""The documented way to one's own data, as a whole: a clone, a folder of images, every command.

docs/own-data.md, README.md: new, check, add, repro, predict, and experiments of DVC.
"""

import json
import subprocess

import pandas as pd
import pytest
import yaml
from conftest import draw_field
from test_pipeline import ENVIRONMENT, ROOT, committed, edit, run, tiny
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


def test_dvc_takes_the_folder_that_the_documentation_names(clone):
    """`dvc add` refuses to write a note that git ignores; the images stay out of git."""
    note = clone / f"{MINE}.dvc"
    if not note.is_file():
        run(clone, "dvc", "add", "--quiet", MINE)
    assert yaml.safe_load(note.read_text())["outs"][0]["path"] == "mine"
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", f"{MINE}/images"],
        cwd=clone,
        env=ENVIRONMENT,
        check=False,
    )
    assert ignored.returncode == 0
