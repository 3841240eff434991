"""Every command of README and of the docs is run here, or says above its block why it is not.

A block of commands is fenced as `sh`, one with what they print as `console`. A comment above leaves
it out, `<!-- not run: REASON -->`, or its lines that begin with a command,
`<!-- not run: `make repro`, REASON -->`. The blocks of a page are run in their order, in a clone of
their own that has models, slides and images. The examples of `--help` are run one by one.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
import yaml
from conftest import draw_field
from model_cards import ROOT, abstention_of
from pylibCZIrw import czi
from slide_files import write_pyramid_ome
from test_pipeline import ENVIRONMENT, committed, run
from tiny_model import write_model

from fathom.commands.examples import EXAMPLES

GENERATED = "command-line.md"  # its blocks are the examples
PAGES = [
    page
    for page in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
    if page.name != GENERATED
]
BLOCK = re.compile(
    r"(?:^<!-- not run: (.*?) -->\n)?^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
PROGRAMS = re.compile(
    r"^(\$ )?(fathom|dvc|git|gto|make|python|pip|pytest|sphinx-build)\s", re.MULTILINE
)
LANGUAGES = ("sh", "console")
# What must be there before an example of a command.
BEFORE = {"check": "fathom new data/mine --labels folders --yes"}


def blocks_of(page):
    """Yield the commands of each block of a page, without those that are not run."""
    for reason, language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language not in LANGUAGES:
            continue
        left_out = re.findall(r"`([^`]+)`", reason.partition(", ")[0])
        if reason and not reason.startswith("`"):
            continue
        lines = body.splitlines(keepends=True)
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        yield "".join(line for line in lines if not line.startswith(tuple(left_out)))


RUN = {page: blocks for page in PAGES if (blocks := list(blocks_of(page)))}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a clone of the work tree, its branches, models, slides, and images without tables."""
    folder = tmp_path_factory.mktemp("prepared") / "fathom"
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    committed(folder, "The project")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".installed").touch()
    for name in ("shallow", "vgg-13-batchnorm"):
        write_model(
            folder / "models" / f"{name}.onnx", um_per_px=None, abstention=abstention_of("slide")
        )
    write_slides(folder)
    write_images(folder)
    return folder


def write_slides(folder):
    """Write the slides that the pages name: slides/a.tif, .svs, and README's three."""
    field, _ = draw_field(0)
    grey = (field >> 8).astype("uint8")
    (folder / "slides").mkdir()
    tifffile.imwrite(folder / "slides" / "a.tif", grey)
    text = "Aperio Image Library v11\r\n160x160 |AppMag = 20|MPP = 0.5"
    for name in ("slides/b.svs", "slide1.svs"):
        tifffile.imwrite(folder / name, grey, description=text, metadata=None)
    write_pyramid_ome(folder / "slide2.ome.tif", [grey])
    with czi.create_czi(str(folder / "slide3.czi")) as document:
        document.write(data=grey[..., None], plane={"C": 0})


def write_images(folder):
    """Write images of two classes in data/mine, points of them, and a set of new slides."""
    points = ["image,x,y,label"]
    for number in range(8):
        field, annotated = draw_field(number)
        kind = "ill" if number // 2 % 2 else "well"  # all images of a patient are of one class
        name = f"{kind}/p{number // 2}_s{number % 2}_1"
        path = folder / "data" / "mine" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, field)
        points += [f"{name},{x},{y},{label}" for x, y, label in annotated.itertuples(index=False)]
    (folder / "points.csv").write_text("\n".join(points) + "\n", encoding="utf-8")
    new = folder / "data" / "mine-new"
    new.mkdir()
    tifffile.imwrite(new / "a.tif", draw_field(9)[0])
    (new / "images.csv").write_text("image,slide,patient\na.tif,s,p\n", encoding="utf-8")


@pytest.fixture
def clone(prepared, tmp_path):
    return Path(shutil.copytree(prepared, tmp_path / "fathom", symlinks=True))


def run_in(folder, commands):
    """Run commands as a reader would paste them, with a yes to every question."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        input="y\n" * 9,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_the_other(clone, page):
    for block in RUN[page]:
        run_in(clone, block)


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "example"), [(name, one) for name, of in EXAMPLES.items() for one in of]
)
def test_every_example_runs_and_stands_in_the_help(clone, command, example):
    run_in(clone, "git branch --quiet lower-rate")
    run_in(clone, BEFORE.get(command, "true"))
    printed = run_in(clone, example)
    if "--json" in example:
        json.loads(printed)
    told = run_in(clone, f"COLUMNS=200 fathom {command} --help")
    assert example in told


@pytest.mark.long
def test_the_example_for_ci_writes_what_changed_and_the_diff_of_dvc(clone):
    text = (ROOT / "docs" / "ci-example.yml").read_text(encoding="utf-8")
    [script] = [
        step["run"]
        for step in yaml.safe_load(text)["jobs"]["compare"]["steps"]
        if step.get("name") == "What changed"
    ]
    headline = clone / "metrics" / "headline.json"
    run_in(clone, "git update-ref refs/remotes/origin/main main")
    headline.write_text(json.dumps(json.loads(headline.read_text()) | {"test_nuclei": 7}))
    committed(clone, "Change")
    run_in(clone, f"export BASE=main RUN=RUN GITHUB_STEP_SUMMARY=summary.md\n{script}")
    comment = (clone / "comment.md").read_text(encoding="utf-8")
    assert comment.startswith("### What changed from origin/main (")
    assert re.search(r"\| metrics/headline.json +\| test_nuclei +\| \d+ +\| 7 ", comment)
    assert comment == (clone / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_of_commands_is_fenced_as_one_or_says_why_it_is_not_run(page):
    for reason, language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if PROGRAMS.search(body):
            assert language in LANGUAGES, body
        if reason:
            assert language in LANGUAGES, body
            assert len(reason.split()) > 2, reason
