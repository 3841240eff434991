"""The whole audit, on the simulated data set of the other tests and with a copied slide in it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from audit_params import PARAMS, audit_params

from fathom.audit.audit import audit, write_audit
from fathom.audit.findings import refuse_errors
from fathom.audit.image_audit import audit_image_files
from fathom.audit.pictures import draw_nuclei
from fathom.baselines.features import feature_table, read_features
from fathom.baselines.params import Features
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import read_micrograph, write_labels
from fathom.ground.output import write_metrics, write_table
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop, Segmentation
from fathom.imaging.segmentation import segment
from fathom.study.nuclei import read_nuclei


def audited(folder, work, **params):
    dataset = read_dataset(folder)
    settings = Segmentation.model_validate(PARAMS["segmentation"])
    for image in dataset.images["image"]:
        labels = segment(read_micrograph(folder / image), settings)
        write_labels(work / "labels" / image.removeprefix("images/"), labels)
    crop = Crop.model_validate({**PARAMS["crop"], "crop_px": 32})
    classes = Classes(positive="ill")
    accounts = crop_dataset(dataset, work / "labels", classes, crop, work / "nuclei")
    nuclei = read_nuclei(work / "nuclei")
    features = Features.model_validate(PARAMS["features"])
    write_table(work / "features.parquet", feature_table(nuclei, features))
    table = read_features(work / "features.parquet", nuclei)
    settings = audit_params(**params)
    images = audit_image_files(folder, settings)
    found = audit(images, nuclei, accounts, nuclei.crops(), table, settings)
    write_audit(work / "audit", found, settings)
    draw_nuclei(work / "audit", found.findings, nuclei, nuclei.crops(), folder)
    write_metrics(work / "audit.json", found.metrics)
    return found


@pytest.fixture(scope="module")
def copied(simulated_dataset, tmp_path_factory):
    """Return a data set in which the last patient's slide is the first's, turned."""
    folder = tmp_path_factory.mktemp("copied") / "set"
    shutil.copytree(simulated_dataset, folder)
    first = tifffile.imread(folder / "images/field00.tif")
    side = len(first)
    tifffile.imwrite(folder / "images/field07.tif", np.rot90(first).copy())
    points = pd.read_csv(folder / "annotations.csv")
    others = points[points["image"] != "images/field07.tif"]
    turned = points[points["image"] == "images/field00.tif"].assign(image="images/field07.tif")
    turned = turned.assign(x=turned["y"], y=side - turned["x"])
    pd.concat([others, turned]).to_csv(folder / "annotations.csv", index=False)
    return folder


def test_the_simulated_data_set_has_no_error(simulated_dataset, tmp_path):
    found = audited(simulated_dataset, tmp_path)
    refuse_errors(found.findings, tmp_path)
    assert found.metrics["images"] == 8
    assert found.metrics["nuclei"] == 96
    assert found.metrics["labels_checked"] == 0  # under 100 nuclei a class


def test_a_copied_slide_stops_the_pipeline_and_its_nuclei_are_paired(copied, tmp_path):
    found = audited(copied, tmp_path)
    names = set(found.findings["name"])
    assert "duplicate_images_across_patients:images/field00.tif|images/field07.tif" in names
    assert "duplicate_nuclei_across_patients:s0|s7" in names
    assert found.metrics["near_duplicate_pairs_across_patients"] >= 6
    with pytest.raises(FathomError, match="show one field"):
        refuse_errors(found.findings, tmp_path)


def rewritten(source, work, change):
    """Return a copy of a data set whose points are written otherwise."""
    folder = work / "set"
    shutil.copytree(source, folder)
    points = pd.read_csv(folder / "annotations.csv")
    points.assign(**change(points)).to_csv(folder / "annotations.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("reading", "change"),
    [
        ("x and y are exchanged", lambda points: {"x": points["y"], "y": points["x"]}),
        ("y is counted upwards", lambda points: {"y": 160 - points["y"]}),
    ],
)
def test_annotations_that_were_misread_stop_the_pipeline(
    simulated_dataset, tmp_path, reading, change
):
    folder = rewritten(simulated_dataset, tmp_path, change)
    found = audited(folder, tmp_path)
    with pytest.raises(FathomError, match=f"annotations_misread:annotations.csv.*{reading}"):
        refuse_errors(found.findings, tmp_path)


@pytest.mark.parametrize(
    ("reading", "um_per_px"), [("they are micrometres", 0.5), ("of half the resolution", None)]
)
def test_where_no_nucleus_is_left_the_reading_that_fits_is_named_at_once(
    simulated_dataset, tmp_path, reading, um_per_px
):
    folder = rewritten(simulated_dataset, tmp_path, lambda points: points[["x", "y"]] / 2)
    images = pd.read_csv(folder / "images.csv")
    images.assign(um_per_px=um_per_px).to_csv(folder / "images.csv", index=False)
    with pytest.raises(
        FathomError, match=f"If .*{reading}.*, 96 more annotations lie in a nucleus"
    ):
        audited(folder, tmp_path)


def test_annotations_of_one_image_that_were_misread_are_found(simulated_dataset, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(simulated_dataset, folder)
    points = pd.read_csv(folder / "annotations.csv")
    here = points["image"] == "images/field03.tif"
    points.loc[here, "y"] = points.loc[here, "y"] / 40  # above the nuclei
    points.to_csv(folder / "annotations.csv", index=False)
    findings = audited(folder, tmp_path).findings
    (row,) = findings[findings["check"] == "annotations_without_nucleus"].to_dict("records")
    assert row["where"] == "images/field03.tif"


def test_what_is_written(copied, tmp_path):
    audited(copied, tmp_path)
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {
        "findings.parquet",
        "findings.csv",
        "findings.md",
        "near_duplicates.parquet",
        "near_duplicates.json",
        "class_counts.parquet",
        "pictures",
    }
    assert json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["errors"] >= 2
    first = content(tmp_path / "audit")
    assert "pictures/duplicate_nuclei_across_patients.png" in first
    shutil.rmtree(tmp_path / "audit")
    audited(copied, tmp_path)
    assert content(tmp_path / "audit") == first


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
