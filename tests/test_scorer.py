"""One road: the stage, the command and Python give a nucleus the same probability."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from conftest import draw_field
from tiny_model import PARAMS, write_model

import fathom
from fathom.ground.images import read_micrograph, write_labels
from fathom.imaging.params import Segmentation
from fathom.imaging.segmentation import segment
from fathom.scoring import tiles

ROOT = Path(__file__).parents[1]
MODEL_UM = 0.5
COLUMN_UM, FILE_UM, ASSUMED_UM = 0.4, 0.5, 0.3
# What decides the resolution of each of three slides, and what must stand in the results.
STATED_BY = {"column": "user", "file": "file", "silent": "assumption"}
SAME = ["y", "x", "top", "left", "bottom", "right", "area_px", "left_out"]


@pytest.fixture(scope="module", params=["threshold", "masks"])
def method(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, method):
    """Return a folder with params, models of the method, and a data set of three new slides."""
    folder = tmp_path_factory.mktemp(method)
    segmentation = Segmentation.model_validate({**PARAMS["segmentation"], "method": method})
    (folder / "models").mkdir()
    write_model(folder / "models" / "tiny.onnx", um_per_px=MODEL_UM, segmentation=segmentation)
    rows, points = ["image,slide,patient,um_per_px"], ["image,x,y,label"]
    for seed, name in enumerate(STATED_BY):
        field, annotations = draw_field(seed)
        path = folder / "new" / "images" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"resolution": (1e4 / FILE_UM,) * 2, "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(path, field, **(known if name == "file" else {}))
        labels = segment(field, Segmentation.model_validate(PARAMS["segmentation"]))
        write_labels(folder / "whole" / f"{name}.tif", labels)
        labels[0, 0] = labels.max()  # a stray pixel, far from its nucleus
        write_labels(folder / "new" / "masks" / f"{name}.tif", labels)
        um = COLUMN_UM if name == "column" else ""
        rows.append(f"images/{name}.tif,{name},p,{um}")
        points += [f"images/{name}.tif,{x},{y},{label}" for x, y, label in annotations.to_numpy()]
    (folder / "new" / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "new" / "annotations.csv").write_text("\n".join(points) + "\n", encoding="utf-8")
    params = {
        "numerics": "native",
        "runs": {"tiny": {"architecture": "tiny", "interventions": {}}},
        "audit": PARAMS["audit"],
        "comparison": PARAMS["comparison"],
        "new_slides": {"dataset": "new", "assumed_um_per_px": ASSUMED_UM},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "runs").mkdir()
    (folder / "runs" / "tiny.json").write_text('{"validation_balanced_accuracy": 0.6}')
    return folder


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(arguments, cwd=folder, env=environment, check=True, timeout=120)


@pytest.fixture(scope="module")
def by_stage(folder):
    """Return the table of each slide, and the metrics, that the stage `predict` writes."""
    stage = ROOT / "stages" / "predict.py"
    run(folder, sys.executable, stage, "new", "models", "runs", "out", "metrics.json")
    tables = {name: pd.read_parquet(folder / "out" / f"{name}.parquet") for name in STATED_BY}
    return tables, json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def given(folder, name, method):
    """Return what a call of `fathom.predict` needs beyond slide and model."""
    masks = folder / "new" / "masks" / f"{name}.tif" if method == "masks" else None
    um = COLUMN_UM if name == "column" else None
    return {"um_per_px": um, "assume_um_per_px": ASSUMED_UM, "masks": masks}


def require_same(found, expected):
    order = ["top", "left", "bottom", "right"]
    found, expected = (t.sort_values(order, ignore_index=True) for t in (found, expected))
    pd.testing.assert_frame_equal(found[SAME], expected[SAME], check_dtype=False)
    np.testing.assert_allclose(found["probability"], expected["probability"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["column", *(pytest.param(name, marks=pytest.mark.long) for name in ("file", "silent"))]
)
def test_the_stage_is_the_command_is_python(folder, method, by_stage, name):
    expected = by_stage[0][name]
    assert expected["probability"].notna().sum() >= 8
    out, call = folder / f"by-command-{name}", given(folder, name, method)
    options = ["--um-per-px", COLUMN_UM] if name == "column" else []
    options += ["--masks", folder / "new" / "masks"] if method == "masks" else []
    run(
        folder,
        *(sys.executable, "-c", "from fathom.cli import main; main()", "predict"),
        *("models/tiny.onnx", f"new/images/{name}.tif", "--out", out),
        *("--assume-um-per-px", str(ASSUMED_UM), *map(str, options)),
    )
    require_same(pd.read_parquet(out / f"{name}.parquet"), expected)
    slide, model = folder / "new" / "images" / f"{name}.tif", folder / "models" / "tiny.onnx"
    for tile_px in (1024, 64):
        found = fathom.predict(slide, model, tile_px=tile_px, **call)
        require_same(found, expected)
        assert found.attrs["um_per_px_stated_by"] == STATED_BY[name]
    if name != "file":  # an array has no file to ask
        require_same(fathom.predict(read_micrograph(slide), model, **call), expected)


def test_a_nucleus_in_two_pieces_is_its_largest_piece(folder, method, by_stage):
    """As in the study: the stray pixel neither moves it nor makes it larger than the crop."""
    if method != "masks":
        pytest.skip("a threshold reads no label image")
    for name in STATED_BY:
        call = {**given(folder, name, method), "masks": folder / "whole" / f"{name}.tif"}
        slide, model = folder / "new" / "images" / f"{name}.tif", folder / "models" / "tiny.onnx"
        require_same(fathom.predict(slide, model, **call), by_stage[0][name])


def test_each_resolution_stands_in_the_results(folder, by_stage):
    summary = pd.read_csv(folder / "out" / "summary.csv").set_index("image")
    for name, who in STATED_BY.items():
        assert summary.loc[f"images/{name}.tif", "um_per_px_stated_by"] == who
    assert summary["um_per_px"].tolist() == [COLUMN_UM, FILE_UM, ASSUMED_UM]
    numbers = by_stage[1]
    assert (numbers["images"], numbers["images_um_per_px_assumed"]) == (3, 1)


def test_annotations_are_found_in_nuclei_at_any_resolution(by_stage):
    """Each field has 12 nuclei, an annotation inside each; every scored one is labelled."""
    numbers = by_stage[1]
    assert numbers["labelled"] == numbers["scored"] > 24
    assert numbers["left_out_no_label"] == numbers["left_out_two_labels"] == 0
    assert numbers["labelled_positive"] > 8


def test_masks_and_thresholds_that_agree_give_the_same_probability(tmp_path):
    """At the model's own resolution, where the outlines are the same to the pixel."""
    field, _ = draw_field(5)
    section = Segmentation.model_validate(PARAMS["segmentation"])
    masks = section.model_copy(update={"method": "masks"})
    threshold = write_model(tmp_path / "threshold.onnx", um_per_px=None)
    by_masks = write_model(tmp_path / "masks.onnx", um_per_px=None, segmentation=masks)
    expected = fathom.predict(field, threshold)
    assert len(expected) == 12
    for tile_px in (1024, 64):
        found = fathom.predict(field, by_masks, masks=segment(field, section), tile_px=tile_px)
        require_same(found, expected)


def test_masks_are_looked_at_where_they_are(tmp_path, monkeypatch):
    """Of a large slide a sample is measured: of one with few nuclei, the part that has them."""
    monkeypatch.setattr(tiles, "SAMPLES", 2)
    monkeypatch.setattr(tiles, "SAMPLE_PX", 160)
    section = Segmentation.model_validate(PARAMS["segmentation"])
    masks = section.model_copy(update={"method": "masks"})
    model = write_model(tmp_path / "masks.onnx", um_per_px=None, segmentation=masks)
    field, _ = draw_field(5)
    labels = segment(field, section)
    expected = fathom.predict(field, model, masks=labels)
    slide, sparse = np.full((960, 960), 300, np.uint16), np.zeros((960, 960), np.int32)
    slide[640:800, 320:480], sparse[640:800, 320:480] = field, labels * 1_000_003
    found = fathom.predict(slide, model, masks=sparse, tile_px=100)
    inner = expected[~expected["touches_border"]]
    moved = inner.assign(
        **{name: inner[name] + 640 for name in ("y", "top", "bottom")},
        **{name: inner[name] + 320 for name in ("x", "left", "right")},
    )
    require_same(found[found["top"].isin(moved["top"])], moved)
    none = fathom.predict(slide, model, masks=np.zeros_like(sparse))
    assert none.empty
