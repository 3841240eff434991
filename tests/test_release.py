"""What is released: a version, its changelog, a wheel that predicts in an empty environment."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import metadata
from pathlib import Path

import pandas as pd
import pytest
import tifffile
import yaml
from conftest import draw_field
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from tiny_model import write_model

import fathom

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Neither the work tree nor this environment's packages are seen by what is run here.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
NUCLEI = 12


def run(*command, folder):
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel; skip where no package index offers the build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    backend = PROJECT["build-system"]["requires"]
    command = [*pip, "download", "--quiet", "--no-deps", "--dest", folder / "backend", *backend]
    asked = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(f"no package index offers {' '.join(backend)}: {asked.stderr.strip()}")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """Return the programs' folder of an environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=True)
    pinned = ROOT / "requirements.txt"
    command = ["-m", "pip", "install", "--quiet", "--no-compile", "--constraint", pinned, wheel]
    run(folder / "bin" / "python", *command, folder=folder)
    return folder / "bin"


def test_the_newest_section_of_the_changelog_is_of_this_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [
        re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", of) for of in headings[1:]
    ]
    assert all(released), headings
    assert ".".join(released[0].groups()[:3]) == PROJECT["project"]["version"]
    numbers = [(tuple(map(int, of.groups()[:3])), of[4]) for of in released]
    assert numbers == sorted(numbers, reverse=True)
    assert len({number for number, _ in numbers}) == len(numbers)


def test_every_pinned_package_installs_on_the_oldest_python_that_is_promised():
    oldest = SpecifierSet(PROJECT["project"]["requires-python"])
    assert str(oldest) == ">=3.11"
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    for pin in [Requirement(line) for line in lines if line and not line.startswith("#")]:
        # `[]` raises under the backport of importlib.metadata, where a package brings it.
        asked = metadata(pin.name).get("Requires-Python", "")
        assert "3.11.0" in SpecifierSet(asked), f"{pin} needs Python {asked}"


def test_the_version_is_written_in_one_place():
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    for path in (ROOT / "src").rglob("*.py"):
        assert "__version__" not in path.read_text("utf-8"), path


@pytest.mark.long
def test_the_wheel_has_the_version_and_the_types(wheel):
    assert wheel.name == f"fathom-{PROJECT['project']['version']}-py3-none-any.whl"
    listed = run(sys.executable, "-m", "zipfile", "--list", wheel, folder=wheel.parent)
    assert "fathom/py.typed" in listed
    assert "tests/" not in listed


@pytest.mark.long
def test_what_trains_is_not_installed(environment):
    listed = run(environment / "python", "-m", "pip", "list", "--format", "json", folder="/")
    names = {package["name"].lower() for package in json.loads(listed)}
    assert "fathom" in names
    assert not names & {"torch", "dvc", "onnx", "scikit-learn", "matplotlib", "joblib"}


@pytest.mark.long
def test_the_command_says_what_it_does(environment, tmp_path):
    assert "predict" in run(environment / "fathom", "--help", folder=tmp_path)


@pytest.mark.long
def test_a_slide_is_scored_as_it_is_here(environment, tmp_path):
    model = write_model(tmp_path / "tiny.onnx", um_per_px=None)
    slide = tmp_path / "slide.tif"
    tifffile.imwrite(slide, draw_field(3, NUCLEI)[0])
    run(environment / "fathom", "predict", model, slide, "--out", "scored", folder=tmp_path)
    scored = tmp_path / "scored"
    names = {path.name for path in scored.iterdir()}
    assert names == {"slide.geojson", "slide.parquet", "slide.png", "summary.csv"}
    assert pd.read_csv(scored / "summary.csv")["nuclei"].tolist() == [NUCLEI]
    features = json.loads((scored / "slide.geojson").read_text(encoding="utf-8"))["features"]
    table = pd.read_parquet(scored / "slide.parquet")
    assert len(features) == len(table) == NUCLEI

    script = (
        "import sys, fathom; table = fathom.predict(*sys.argv[1:3]); "
        "table.to_parquet(sys.argv[3]); assert 'torch' not in sys.modules"
    )
    there = tmp_path / "there.parquet"
    run(environment / "python", "-c", script, slide, model, there, folder=tmp_path)
    here = fathom.predict(slide, model)
    assert here["probability"].notna().any()
    pd.testing.assert_frame_equal(pd.read_parquet(there), here, check_dtype=False)
