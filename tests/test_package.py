import io
import json
import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import yaml
from model_cards import abstention_of
from packaging.version import Version
from PIL import Image
from tiny_model import PARAMS, RECIPE, make_card, make_crops, write_model

from fathom import cli
from fathom.ground.errors import FathomError
from fathom.ground.streams import Streams
from fathom.imaging.params import Crop
from fathom.models.export import Graph, export
from fathom.models.onnx_model import OnnxModel
from fathom.networks.architecture import parse
from fathom.networks.network import build
from fathom.packaging.description import Package, package_name
from fathom.packaging.package import write_model_card, write_package
from fathom.study.nuclei import NUCLEUS_COLUMNS, data_sha256, read_nuclei, write_nuclei

FILES = {
    "bioimageio.yaml",
    "model.onnx",
    "README.md",
    "cover.png",
    "crops.npy",
    "logit.npy",
    "probability.npy",
}
SIMULATED = Package.model_validate(PARAMS["package"])
STUDY = Package.model_validate({**PARAMS["package"], "test_crops": "study"})


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_model(
        tmp_path_factory.mktemp("model") / "tiny.onnx", abstention=abstention_of("slide")
    )


@pytest.fixture(scope="module")
def zipped(model_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "tiny.zip"
    write_package(model_file, path, SIMULATED)
    return path


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_card(model_file, path, **properties):
    """Write a copy of a model file with other metadata, as JSON."""
    proto = onnx.load(model_file)
    for held in proto.metadata_props:
        held.value = properties.get(held.key, held.value)
    onnx.save(proto, path)
    return path


def test_it_holds_what_the_description_names_and_the_hashes_are_right(zipped, model_file):
    files = contents(zipped)
    assert set(files) == FILES
    assert files["model.onnx"] == model_file.read_bytes()
    described = yaml.safe_load(files["bioimageio.yaml"])

    def named(node):
        if isinstance(node, dict):
            if {"source", "sha256"} <= node.keys():
                yield node["source"], node["sha256"]
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from named(child)

    hashes = dict(named(described))
    assert set(hashes) == FILES - {"bioimageio.yaml"}
    assert hashes == {name: sha256(files[name]).hexdigest() for name in hashes}
    assert described["license"] == "MIT"
    assert described["authors"] == [{"name": "The fathom developers"}]
    assert (
        described["weights"]["onnx"]["opset_version"]
        == onnx.load(model_file).opset_import[0].version
    )
    assert described["config"]["fathom"]["crop"]["crop_px"] == 32


def test_the_same_model_gives_the_same_bytes(zipped, model_file, tmp_path):
    again = tmp_path / "deeper" / "again.zip"
    write_package(model_file, again, SIMULATED)
    assert again.read_bytes() == zipped.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == ["again.zip"]


def test_the_test_outputs_are_those_of_the_test_inputs(zipped, model_file):
    files = contents(zipped)
    crops, logit, probability = (
        np.load(io.BytesIO(files[f"{name}.npy"])) for name in ("crops", "logit", "probability")
    )
    assert (crops.shape, crops.dtype) == ((8, 32, 32, 1), np.uint8)
    found = OnnxModel(model_file).score(crops)
    np.testing.assert_array_equal(found, (logit, probability))
    assert np.ptp(logit) > 0


def test_the_cover_has_the_shape_and_size_asked_for(zipped):
    cover = contents(zipped)["cover.png"]
    assert len(cover) < 500_000
    assert Image.open(io.BytesIO(cover)).size == (640, 320)


def test_the_documentation_is_the_model_card(zipped, model_file, tmp_path):
    write_model_card(model_file, tmp_path / "cards" / "card.md")
    card = (tmp_path / "cards" / "card.md").read_bytes()
    assert contents(zipped)["README.md"] == card
    assert sha256(model_file.read_bytes()).hexdigest().encode() in card


def test_crops_that_are_small_and_have_colour(tmp_path):
    crop_px = 8
    line = "2conv3x3 - mp2x2 - fc2 - o"
    graph = Graph(build(parse(line), RECIPE, 3, crop_px, Streams(0)), RECIPE).eval()
    crop = Crop.model_validate({**PARAMS["crop"], "crop_px": crop_px})
    card = make_card(channels=3, crop=crop, architecture=line)
    crops = np.random.default_rng(0).integers(0, 256, (4, crop_px, crop_px, 3), dtype=np.uint8)
    export(graph, card, crops, tmp_path / "m.onnx")
    write_package(tmp_path / "m.onnx", tmp_path / "m.zip", SIMULATED)
    shown = np.load(io.BytesIO(contents(tmp_path / "m.zip")["crops.npy"]))
    assert shown.shape == (8, crop_px, crop_px, 3)
    assert shown.any(axis=(1, 2, 3)).all()


@pytest.fixture
def nuclei(tmp_path):
    n = 20
    rest = dict.fromkeys(NUCLEUS_COLUMNS, 0) | {"left_out": "", "shard": "00000.npy"}
    table = pd.DataFrame({**rest, "nucleus": [f"a.tif#{i}" for i in range(n)], "row": range(n)})
    write_nuclei(tmp_path / "nuclei", table, {"00000.npy": make_crops(n)})
    return read_nuclei(tmp_path / "nuclei")


def test_crops_of_the_study_are_shown_where_that_is_wished(nuclei, model_file, tmp_path):
    digest = data_sha256(nuclei)
    model = with_card(model_file, tmp_path / "own.onnx", data_sha256=f'"{digest}"')
    write_package(model, tmp_path / "own.zip", STUDY, nuclei)
    shown = np.load(io.BytesIO(contents(tmp_path / "own.zip")["crops.npy"]))
    np.testing.assert_array_equal(shown, make_crops(20)[np.linspace(0, 19, 8).astype(int)])
    write_package(model, tmp_path / "simulated.zip", SIMULATED, nuclei)
    hidden = contents(tmp_path / "simulated.zip")["crops.npy"]
    assert contents(tmp_path / "own.zip")["crops.npy"] != hidden


def test_nuclei_of_another_study_are_refused(nuclei, model_file, tmp_path):
    with pytest.raises(FathomError, match=r"these are not the nuclei .*tiny\.onnx was trained on"):
        write_package(model_file, tmp_path / "m.zip", STUDY, nuclei)
    with pytest.raises(FathomError, match="name the folder of the study's nuclei with --nuclei"):
        write_package(model_file, tmp_path / "m.zip", STUDY)
    assert not (tmp_path / "m.zip").exists()


@pytest.mark.parametrize(
    ("positive", "name"),
    [
        ("Mitose 50 %/ä", "Mitose 50 -- or well nuclei (tiny)"),
        ("x" * 100, "x" * 57 + " (tiny)"),
    ],
)
def test_names_keep_to_the_characters_and_the_length_allowed(model_file, positive, name):
    card = OnnxModel(model_file).card.model_copy(update={"positive": positive})
    assert package_name(card) == name.replace("--", "-")
    assert len(package_name(card)) <= 64


def fathom(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fathom", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_the_command_writes_the_package(zipped, model_file, tmp_path, monkeypatch):
    params = Path(__file__).parents[1] / "params.yaml"
    out = tmp_path / "m.zip"
    assert fathom(monkeypatch, "package", model_file, "--out", out, "--params", params) == 0
    assert out.read_bytes() == zipped.read_bytes()


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("authors: [A]\ncitations: []\ntest_crops: simulated", "'package.licence'"),
        ("licence: MIT\nauthors: [A/B]\ncitations: []\ntest_crops: simulated", "A/B"),
        ("licence: MIT\nauthors: [A]\ncitations: [{text: T}]\ntest_crops: simulated", "doi or a"),
    ],
)
def test_what_is_missing_in_params_is_named(
    model_file, tmp_path, monkeypatch, capsys, section, fault
):
    params = tmp_path / "own.yaml"
    params.write_text("package:\n  " + section.replace("\n", "\n  "), encoding="utf-8")
    out = tmp_path / "m.zip"
    assert fathom(monkeypatch, "package", model_file, "--out", out, "--params", params) == 2
    printed = capsys.readouterr().err
    assert fault in printed
    assert "Traceback" not in printed
    assert not out.exists()


# In a process of its own: the library leaves archives open, which pytest would call an error here.
TESTED = """
import json, sys
from bioimageio.core import test_description
summary = test_description(sys.argv[1])
details = [(detail.name, detail.status) for detail in summary.details]
errors = [error.msg for detail in summary.details for error in detail.errors]
warned = [warning.loc[-1] for detail in summary.details for warning in detail.warnings]
print(json.dumps([summary.status, details, errors, warned]))
"""


def verdict_of_bioimageio(path, folder):
    """Return the status, the details, the errors, and what was warned of."""
    pytest.importorskip("bioimageio.core")
    if Version(version("pydantic")) >= Version("2.14") and (
        version("bioimageio.spec") == "0.5.12.0"
    ):
        pytest.skip("bioimageio.spec 0.5.12.0 cannot read a package under pydantic 2.14 or newer")
    done = subprocess.run(
        [sys.executable, "-c", TESTED, path],
        env=os.environ | {"BIOIMAGEIO_CACHE_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_bioimageio_validates_it_and_reproduces_its_outputs(zipped, tmp_path):
    status, details, errors, warned = verdict_of_bioimageio(zipped, tmp_path)
    assert (status, errors) == ("passed", [])
    assert ["Reproduce test outputs from test inputs (onnx)", "passed"] in details
    # What is wanted beyond the test tensors: pictures of them, which no table of scores has.
    assert set(warned) <= {"sample_tensor", "onnx"}


@pytest.mark.long
def test_bioimageio_notices_other_outputs(zipped, tmp_path):
    files = contents(zipped)
    wrong = io.BytesIO()
    np.save(wrong, np.load(io.BytesIO(files["logit.npy"])) + 1)
    files["logit.npy"] = wrong.getvalue()
    described = yaml.safe_load(files["bioimageio.yaml"])
    described["outputs"][0]["test_tensor"]["sha256"] = sha256(files["logit.npy"]).hexdigest()
    files["bioimageio.yaml"] = yaml.safe_dump(described).encode()
    with zipfile.ZipFile(tmp_path / "wrong.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    status, _, errors, _ = verdict_of_bioimageio(tmp_path / "wrong.zip", tmp_path / "cache")
    assert status != "passed"
    assert "Output 'logit': 8 of 8 elements disagree" in errors[0]
