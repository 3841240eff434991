"""What earlier releases wrote: this version reads it, or refuses it in a sentence.

`benchmarks/release_files.py` of a release wrote tests/files/releases/<version>/; no later version
changes it. `next` is what the work tree writes, until it is a release.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.models.onnx_model import OnnxModel
from fathom.scoring.predict import predict_slides

ROOT = Path(__file__).parents[1]
RELEASES = sorted(path for path in (ROOT / "tests" / "files" / "releases").iterdir())
ALONE = re.search(
    r"```python\n(import numpy as np\nimport onnxruntime.*?)```",
    (ROOT / "docs" / "new-slides.md").read_text(encoding="utf-8"),
    re.DOTALL,
)[1]


# Whose models are refused, and the key that they lack: docs/reliability.md has the list.
REFUSED = {"0.2.0": r"segmentation\.threshold\.lobe_diameters': Field required"}
READ = [path for path in RELEASES if path.name not in REFUSED]


def arrived(path, tmp_path, monkeypatch):
    shutil.copytree(path, tmp_path / "release")
    monkeypatch.chdir(tmp_path / "release")
    return path.name


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request, tmp_path, monkeypatch):
    """Return the version, with a copy of its files as the working directory."""
    return arrived(request.param, tmp_path, monkeypatch)


@pytest.fixture(params=READ, ids=lambda path: path.name)
def readable(request, tmp_path, monkeypatch):
    """Return a version whose models are read, with its files likewise."""
    return arrived(request.param, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_is_refused_is_so_in_a_sentence(name, tmp_path, monkeypatch):
    arrived(ROOT / "tests" / "files" / "releases" / name, tmp_path, monkeypatch)
    told = (
        rf"^model\.onnx: its metadata are not what this fathom expects \('{REFUSED[name]}.*Export"
    )
    with pytest.raises(FathomError, match=told):
        OnnxModel(Path("model.onnx"))


def test_its_model_says_and_computes_what_it_did(readable):
    model, kept = OnnxModel(Path("model.onnx")), np.load("crops.npz")
    assert (model.card.negative, model.card.positive, model.card.threshold) == ("well", "ill", 0.5)
    logit, probability = model.score(kept["crops"])
    np.testing.assert_allclose(logit, kept["logit"], atol=1e-4)
    np.testing.assert_allclose(probability, kept["probability"], atol=1e-4)


def test_its_model_finds_the_nuclei_that_it_found(readable):
    predict_slides(Path("model.onnx"), [Path("slide.tif")], Path("again"))
    before, now = (pd.read_parquet(f"{name}/slide.parquet") for name in ("scored", "again"))
    assert len(before) == 12
    assert set(before) <= set(now)
    scores = before.select_dtypes("floating").columns
    pd.testing.assert_frame_equal(
        now[before.columns].drop(columns=scores), before.drop(columns=scores)
    )
    pd.testing.assert_frame_equal(now[scores], before[scores], atol=1e-4, rtol=1e-4)


def test_its_results_are_tables_and_outlines_still(release):
    nuclei = pd.read_parquet("scored/slide.parquet")
    summary = pd.read_csv("scored/summary.csv")
    assert summary["scored"].tolist() == [(nuclei["left_out"] == "").sum()]
    assert summary["positive"].tolist() == [(nuclei["class"] == "ill").sum()]
    features = json.loads(Path("scored/slide.geojson").read_text(encoding="utf-8"))["features"]
    assert len(features) == summary["nuclei"].item()


def test_a_later_version_does_not_mix_its_results_with_those(readable, monkeypatch):
    Path("scored/slide.png").touch()  # no release keeps its picture
    monkeypatch.setattr("fathom.scoring.output_folder.version", lambda _: "99.0")
    with pytest.raises(FathomError, match=r"with fathom_version [\d.]+, and this call has"):
        predict_slides(Path("model.onnx"), [Path("slide.tif")], Path("scored"), resume=True)


def test_its_params_are_read_or_refused_in_a_sentence(release):
    from test_params import IN_FILE  # noqa: PLC0415  the sections, gathered by its imports

    refused = [why for section in IN_FILE if (why := refusal_of(section))]
    assert all(re.match(r"params\.yaml|[a-z_]+[.:]", why) for why in refused), refused


def refusal_of(section):
    """Return what is said of a section of params.yaml; anything but a sentence is raised."""
    try:
        read_section(section)
    except FathomError as error:
        return str(error)
    return None


def test_a_format_of_a_later_release_is_refused_in_a_sentence(release):
    model = onnx.load("model.onnx")
    [format_of] = [one for one in model.metadata_props if one.key == "format"]
    format_of.value = "99"
    onnx.save(model, "later.onnx")
    with pytest.raises(FathomError, match=r"has the format 99 .*this fathom reads the formats"):
        OnnxModel(Path("later.onnx"))


def test_its_model_runs_without_fathom_as_the_docs_say(release):
    """In ONNX Runtime alone: the block of docs/new-slides.md, where fathom cannot be imported."""
    check = """
kept = np.load("crops.npz")
np.testing.assert_allclose(logit, kept["logit"], atol=1e-4)
np.testing.assert_allclose(probability, kept["probability"], atol=1e-4)
assert card["positive"] == '"ill"', card
"""
    program = f"import sys\nsys.modules['fathom'] = None\n{ALONE}{check}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_operators_and_format_are_those_that_the_docs_name(release):
    model = onnx.load("model.onnx")
    said = (ROOT / "docs" / "new-slides.md").read_text(encoding="utf-8")
    [operators] = model.opset_import
    assert operators.domain == ""
    assert f"opset {operators.version}, the file has IR version {model.ir_version}" in said
