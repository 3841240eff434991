"""`fathom new`: names, labels of every kind, a yes, and never a file overwritten."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from conftest import draw_field
from PIL import Image
from typer.testing import CliRunner

from fathom.arranging.arrange import propose, write
from fathom.arranging.labels import geojson_points
from fathom.arranging.pattern import Pattern, guess
from fathom.cli import app
from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.ground.errors import FathomError
from fathom.ground.images import read_labels

NAMES = [
    f"{patient}_{slide}_{field}" for patient in ("p1", "p2") for slide in "ab" for field in "12"
]


def images_of(folder, names, suffix=".tif"):
    for name in names:
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.arange(1600, dtype=np.uint16).reshape(40, 40))
    return folder


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (NAMES, "{patient}_{slide}_{field}"),
        ([f"study/{name}_DAPI" for name in NAMES], "study/{patient}_{slide}_{field}_DAPI"),
        (["p1/a", "p1/b", "p2/a"], "{patient}/{field}"),
        (["p1/s1/a", "p1/s2/a", "p2/s1/b"], "{patient}/{slide}/{field}"),
        (["x 1-1", "x 1-2", "x 2-1"], "x {patient}-{field}"),
        (["d1/x/p1_1", "d2/p1_2", "d3/p2_1"], "{patient}_{field}"),
        (["a", "b", "c"], "{field}"),
        (["a_1", "b_2", "c_3"], "{field}"),
        (["a_1", "b", "c_3_4"], "{field}"),
    ],
)
def test_the_pattern_that_names_suggest(names, pattern):
    assert guess(names).text == pattern


def test_a_slide_belongs_to_one_patient():
    found = Pattern("{patient}_{slide}_{field}").read(NAMES)
    assert found["p1_a_2"] == ("p1", "p1_a")
    assert found["p2_a_2"] == ("p2", "p2_a")
    assert Pattern("{patient}_*").read(["d/p1_x"]) == {"d/p1_x": ("p1", "d/p1_x")}


@pytest.mark.parametrize("text", ["{person}", "{patient}{patient}", "{patient", "a", "}{field}"])
def test_what_is_no_pattern(text):
    with pytest.raises(FathomError, match="is none: it consists of"):
        Pattern(text)


def test_names_that_do_not_fit_are_named():
    with pytest.raises(FathomError, match="does not fit 1 of 2 images, such as 'odd'"):
        Pattern("{patient}_{field}").read(["p1_1", "odd"])


def test_folders_are_labels(tmp_path):
    folder = images_of(
        tmp_path / "set",
        [
            f"{label}/{p}_{i}"
            for label, p in (("ill", "p1"), ("non-ill", "p2"), ("ill", "p3"))
            for i in (1, 2)
        ],
    )
    found = propose(folder)
    assert found.pattern == "*/{patient}_{field}"
    write(found)
    assert check_dataset(folder) == []
    dataset = read_dataset(folder)
    assert dataset.classes == ("ill", "non-ill")
    assert set(dataset.images["patient"]) == {"p1", "p2", "p3"}
    assert dataset.images["slide"].nunique() == 6


def test_a_table_labels_images_or_points(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    table = tmp_path / "labels.csv"
    table.write_text(
        "image,label,note\n"
        + "".join(f"{name},{'ill' if name < 'p2' else 'well'},x\n" for name in NAMES)
    )
    found = propose(folder, labels=str(table), um_per_px=0.5)
    assert found.images["label"].tolist() == ["ill"] * 4 + ["well"] * 4
    assert found.images["um_per_px"].tolist() == ["0.5"] * 8
    table.write_text("image,x,y,label\np1_a_1.tif,3,4.5,ill\np2_b_2,5,6,well\n")
    found = propose(folder, labels=str(table))
    assert found.points == (("p1_a_1.tif", 3.0, 4.5, "ill"), ("p2_b_2.tif", 5.0, 6.0, "well"))
    assert "6 images have no label" in found.text()
    table.write_text("image,label\nnone.tif,ill\n")
    with pytest.raises(FathomError, match=r"row 2, column 'image': 'none.tif' is none of the"):
        propose(folder, labels=str(table))


def feature(kind, coordinates, name):
    classification = {"name": name, "color": [1, 2, 3]} if name else None
    properties = {"objectType": "annotation", "classification": classification}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_points_and_outlines_of_qupath(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    # A crescent: its centre of mass is not in it.
    crescent = [[0, 0], [20, 0], [20, 20], [0, 20], [0, 16], [16, 16], [16, 4], [0, 4], [0, 0]]
    square = [[30, 30], [36, 30], [36, 36], [30, 36], [30, 30]]
    features = [
        feature("Point", [3.5, 4.5], "ill"),
        feature("MultiPoint", [[1, 2], [3, 4]], "well"),
        feature("Polygon", [crescent], "ill"),
        feature("MultiPolygon", [[square], [[[0, 0], [1, 0], [1, 1], [0, 0]]]], "well"),
        feature("Point", [9, 9], None),
    ]
    collection = {"type": "FeatureCollection", "features": features}
    (folder / "p1_a_1.geojson").write_text(json.dumps(collection))
    points, without = geojson_points(folder / "p1_a_1.geojson", "p1_a_1.tif")
    assert without == 1
    assert [point.label for point in points] == ["ill", "well", "well", "ill", "well"]
    x, y = points[3].x, points[3].y
    assert 16 <= x < 20 or not 4 <= y < 16
    assert 31 < points[4].x < 35
    assert 31 < points[4].y < 35
    (folder / "p2_a_1.geojson").write_text(json.dumps(features[:1]))
    found = propose(folder)
    assert len(found.points) == 6
    assert "1 objects in them have no class" in found.text()
    (folder / "p2_a_1.geojson").write_text("{}")
    with pytest.raises(FathomError, match=r"p2_a_1\.geojson: is not GeoJSON as QuPath writes it"):
        propose(folder)


@pytest.mark.parametrize("end", ["_cp_masks.png", "_labels.tif", "_masks.tif"])
def test_label_images_with_a_table_of_classes(tmp_path, end):
    """The nuclei are labelled by the pixel deepest in them, and the label images become masks."""
    folder = tmp_path / "set"
    folder.mkdir()
    for number in (1, 2):
        field, points = draw_field(number)
        tifffile.imwrite(folder / f"p{number}_1.tif", field)
        rows, columns = np.mgrid[:160, :160]
        labels = np.zeros((160, 160), np.uint16)
        for nucleus, (x, y) in enumerate(points[["x", "y"]].to_numpy(), start=1):
            labels[(rows - y) ** 2 + (columns - x) ** 2 < 60] = nucleus
        path = folder / f"p{number}_1{end}"
        if path.suffix == ".png":
            Image.fromarray(labels).save(path)
        else:
            tifffile.imwrite(path, labels)
    classes = tmp_path / "classes.csv"
    lines = [f"p{n}_1,{i},{'ill' if i % 2 else 'well'}" for n in (1, 2) for i in range(1, 11)]
    classes.write_text("\n".join(["image,number,label", *lines]))
    found = propose(folder, classes=classes)
    assert "4 nuclei of the label images have no class" in found.text()
    write(found)
    assert check_dataset(folder) == []
    dataset = read_dataset(folder)
    assert dataset.images["image"].tolist() == ["p1_1.tif", "p2_1.tif"]
    for image in dataset.images["image"]:
        labels = read_labels(dataset.mask_path(image))
        here = dataset.annotations[dataset.annotations["image"] == image]
        at = labels[here["y"].astype(int), here["x"].astype(int)]
        assert at.tolist() == list(range(1, 11))
        assert here["label"].tolist() == ["ill", "well"] * 5
    classes.write_text("image,number,label\np1_1,99,ill\n")
    (folder / "images.csv").unlink()
    (folder / "annotations.csv").unlink()
    with pytest.raises(FathomError, match="has no nucleus 99"):
        propose(folder, classes=classes)


def test_nothing_is_written_without_a_yes_and_nothing_is_overwritten(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    asked = CliRunner().invoke(app, ["new", str(folder)], input="n\n")
    assert "pattern: {patient}_{slide}_{field}" in asked.output
    assert "8 images, 4 slides, 2 patients" in asked.output
    assert "nothing was written" in asked.output
    assert not (folder / "images.csv").exists()
    assert CliRunner().invoke(app, ["new", str(folder)], input="y\n").exit_code == 0
    before = (folder / "images.csv").read_bytes()
    table = pd.read_csv(folder / "images.csv")
    assert table["slide"].tolist() == [name[:4] for name in NAMES]
    with pytest.raises(FathomError, match="is there already, and nothing is overwritten"):
        propose(folder)
    assert (folder / "images.csv").read_bytes() == before


def test_label_images_that_are_there_are_kept(tmp_path):
    folder = images_of(tmp_path / "set", NAMES)
    tifffile.imwrite(folder / "p1_a_1_masks.tif", np.ones((40, 40), np.uint8))
    (folder / "masks").mkdir()
    (folder / "masks/p1_a_1.tif").write_bytes(b"mine")
    found = propose(folder)
    with pytest.raises(FathomError, match="is there already"):
        write(found)
    assert (folder / "masks/p1_a_1.tif").read_bytes() == b"mine"
    assert not (folder / "images.csv").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "there is no such folder"),
        (lambda folder: folder.mkdir(), "holds no image"),
    ],
)
def test_a_folder_without_images_is_refused(tmp_path, make, message):
    make(tmp_path / "set")
    with pytest.raises(FathomError, match=message):
        propose(tmp_path / "set")
